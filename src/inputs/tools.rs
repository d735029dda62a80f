//! Which program each name in `tools` stands for, and its identity.
//! Asks the package database first, then the program's own bytes; remembers the answer beside the stamps it rests on.

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::Arc;

use stagecraft_store::Encoder;

use super::machine::{Machine, Resolved};
use super::packages::{ALTERNATIVES, DIVERSIONS, Packages, STATUS};
use super::runtime::Runtime;
use super::snapshot::{Fact, Snapshot};
use super::stamp::Stamp;
use super::trace::Trace;
use super::{Base, InputError, Request, Tool, base};
use crate::config::{Diagnostic, Location};

const CONTEXT: &str = "stagecraft 2026-11 packaged tool v1";

/// The tools and the base of a machine, and the names that lead to no program.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) tools: BTreeMap<String, Arc<Tool>>,
    pub(super) base: Arc<Base>,
    pub(super) faults: Vec<Diagnostic>,
}

/// The package database, read when something asks for it.
pub(super) struct Database<'m> {
    machine: &'m Machine,
    packages: OnceCell<Option<Packages<'m>>>,
}

/// What an answer rests on, by path.
pub(super) type Witnesses = Vec<(String, Option<Stamp>)>;

impl<'m> Database<'m> {
    fn new(machine: &'m Machine) -> Self {
        Self {
            machine,
            packages: OnceCell::new(),
        }
    }

    /// Returns the packages of the machine, if it has a database of them.
    pub(super) fn packages(&self) -> Result<Option<&Packages<'m>>, InputError> {
        if self.packages.get().is_none() {
            drop(self.packages.set(Packages::read(self.machine)?));
        }
        Ok(self.packages.get().and_then(Option::as_ref))
    }

    /// Returns the stamps of the files that every answer from packages rests on.
    pub(super) fn witnesses(&self) -> Witnesses {
        [STATUS, DIVERSIONS, ALTERNATIVES]
            .map(|path| (path.to_owned(), self.machine.stamp(path)))
            .to_vec()
    }
}

/// Finds the tools of the wanted operations, and the base.
pub(super) fn gather(
    request: &Request<'_>,
    machine: &Machine,
    snapshot: &mut Snapshot,
) -> Result<Gathered, InputError> {
    let path = request.path.unwrap_or_default();
    let database = Database::new(machine);
    let base = remembered(snapshot, machine, "base", &[], |snapshot| {
        base::find(machine, &database, snapshot)
    })?;
    let mut gathered = Gathered::default();
    for (name, places) in named(request) {
        let in_base = || {
            let (_, path) = base.programs.iter().find(|(program, _)| program == name)?;
            Some((path.clone(), machine.resolve(path)?))
        };
        let Some((found, resolved)) = machine.find(name, path).or_else(in_base) else {
            let missing = |at: &&Location| Diagnostic {
                at: (*at).clone(),
                message: format!("tool `{name}` is not on PATH"),
                hint: None,
            };
            gathered.faults.extend(places.iter().map(missing));
            continue;
        };
        let question = question(&found, &resolved, path);
        let key = format!("tool {name}");
        let runtime = remembered(snapshot, machine, &key, &question, |snapshot| {
            identify(name, &found, &resolved, &database, path, snapshot)
        })?;
        let tool = Arc::new(tool(name, runtime));
        gathered.tools.insert(name.to_owned(), tool);
    }
    gathered.base = Arc::new(Base {
        identity: base.identity,
        description: base.description,
        programs: paths(base.programs),
    });
    Ok(gathered)
}

/// Returns the tools that the wanted operations name, each with the places that do.
fn named<'a>(request: &Request<'a>) -> BTreeMap<&'a str, Vec<&'a Location>> {
    let mut named = BTreeMap::<_, Vec<_>>::new();
    let operations = request.config.operations.iter();
    for (_, operation) in operations.filter(|(name, _)| request.operations.contains(name)) {
        for tool in &operation.tools {
            named.entry(tool.value.as_str()).or_default().push(&tool.at);
        }
    }
    named
}

/// Returns the remembered answer, or works it out and remembers it.
fn remembered(
    snapshot: &mut Snapshot,
    machine: &Machine,
    name: &str,
    question: &[u8],
    work_out: impl FnOnce(&mut Snapshot) -> Result<(Runtime, Witnesses), InputError>,
) -> Result<Runtime, InputError> {
    let answer = snapshot.answer(name, question, |path| machine.stamp(path));
    if let Some(runtime) = answer.and_then(|answer| Runtime::decode(answer).ok()) {
        return Ok(runtime);
    }
    snapshot.ask_time();
    let (runtime, witnesses) = work_out(snapshot)?;
    snapshot.conclude(
        name,
        Fact {
            question: question.to_owned(),
            witnesses,
            answer: runtime.encode(),
        },
    );
    Ok(runtime)
}

fn question(found: &str, resolved: &Resolved, path: &OsStr) -> Vec<u8> {
    let mut encoder = Encoder::new();
    encoder.text(found);
    encoder.list(&resolved.chain, |encoder, path| {
        encoder.text(path);
    });
    encoder.bytes(path.as_encoded_bytes());
    encoder.into_bytes()
}

fn identify(
    name: &str,
    found: &str,
    resolved: &Resolved,
    database: &Database<'_>,
    path: &OsStr,
    snapshot: &mut Snapshot,
) -> Result<(Runtime, Witnesses), InputError> {
    let packages = database.packages()?;
    let mut witnesses = database.witnesses();
    let owners = packages
        .map(|packages| packages.owners(resolved))
        .unwrap_or_default();
    let (Some(packages), Some(first)) = (packages, owners.first()) else {
        let (runtime, traced) =
            Trace::new(database.machine, packages, path, snapshot).follow(name, found)?;
        witnesses.extend(traced);
        return Ok((runtime, witnesses));
    };
    witnesses.push((
        resolved.target().to_owned(),
        database.machine.stamp(resolved.target()),
    ));
    let description = format!(
        "{} {}",
        packages.package(*first).name,
        packages.package(*first).version
    );
    let closure = packages.closure(&owners.iter().copied().collect(), &BTreeSet::new());
    let mut encoder = Encoder::new();
    encoder.text(resolved.target());
    packages.encode(&closure, &mut encoder);
    let (mut programs, optional) = packages.programs(&closure);
    programs.insert(name.to_owned(), resolved.target().to_owned());
    let runtime = Runtime {
        identity: encoder.finish(CONTEXT),
        description,
        programs: programs.into_iter().collect(),
        files: optional.into_iter().collect(),
    };
    Ok((runtime, witnesses))
}

fn tool(name: &str, runtime: Runtime) -> Tool {
    Tool {
        name: name.to_owned(),
        identity: runtime.identity,
        description: runtime.description,
        programs: paths(runtime.programs),
        files: runtime.files.into_iter().map(PathBuf::from).collect(),
    }
}

fn paths(programs: Vec<(String, String)>) -> Vec<(String, PathBuf)> {
    programs
        .into_iter()
        .map(|(name, path)| (name, path.into()))
        .collect()
}

#[cfg(test)]
mod tests;
