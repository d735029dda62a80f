//! The runtime of a program that no package owns: its bytes, its interpreter, its loader and libraries,
//! each of which may belong to a package after all. Follows names as the kernel and the loader would; runs nothing.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;

use stagecraft_store::{Digest, Encoder};

use super::InputError;
use super::elf::{Interpreter, Linkage, interpreter, linkage};
use super::loader;
use super::machine::{Machine, Resolved, candidate, directories};
use super::packages::Packages;
use super::runtime::Runtime;
use super::snapshot::Snapshot;
use super::stamp::Stamp;
use super::tools::Witnesses;

const CONTEXT: &str = "stagecraft 2026-11 traced tool v1";
/// What the sandbox shows of the host anyway.
const VISIBLE: [&str; 4] = ["/usr/", "/bin/", "/sbin/", "/lib"];

/// The walk over a program's runtime.
pub(super) struct Trace<'a> {
    pub(super) machine: &'a Machine,
    pub(super) packages: Option<&'a Packages<'a>>,
    pub(super) path: &'a OsStr,
    pub(super) snapshot: &'a mut Snapshot,
    found: Found,
}

/// What the walk has found so far.
#[derive(Default)]
struct Found {
    /// Digests by role: no path, so that two machines agree; `None` for a name that leads nowhere.
    files: BTreeMap<String, Option<Digest>>,
    /// Packages of interpreters, and of libraries.
    tools: BTreeSet<usize>,
    libraries: BTreeSet<usize>,
    programs: BTreeMap<String, String>,
    outside: BTreeSet<String>,
    witnesses: BTreeMap<String, Option<Stamp>>,
    /// Where the loader looks, once it is known.
    directories: Option<Vec<String>>,
    /// The RPATH of the program itself, substituted.
    rpath: Vec<String>,
}

/// A file whose runtime is still to be followed.
struct Step {
    role: String,
    path: String,
    library: bool,
}

impl<'a> Trace<'a> {
    /// Starts a walk.
    pub(super) fn new(
        machine: &'a Machine,
        packages: Option<&'a Packages<'a>>,
        path: &'a OsStr,
        snapshot: &'a mut Snapshot,
    ) -> Self {
        Self {
            machine,
            packages,
            path,
            snapshot,
            found: Found::default(),
        }
    }

    /// Returns the runtime of the program `name` at `path`, and the stamps of everything that was looked at.
    pub(super) fn follow(
        mut self,
        name: &str,
        path: &str,
    ) -> Result<(Runtime, Witnesses), InputError> {
        let mut steps = vec![Step {
            role: "program".to_owned(),
            path: path.to_owned(),
            library: false,
        }];
        while let Some(step) = steps.pop() {
            if !self.found.files.contains_key(&step.role) {
                self.step(&step, &mut steps)?;
            }
        }
        let mut encoder = Encoder::new();
        encoder.list(&self.found.files, |encoder, (role, digest)| {
            encoder.text(role);
            encoder.option(digest.as_ref(), |encoder, digest| {
                encoder.digest(digest);
            });
        });
        match self.packages {
            Some(packages) => packages.encode(
                &packages.closure(&self.found.tools, &self.found.libraries),
                &mut encoder,
            ),
            None => {
                encoder.u64(0);
            }
        }
        let mut programs = self.found.programs;
        if let Some(resolved) = self.machine.resolve(path) {
            programs.insert(name.to_owned(), resolved.target().to_owned());
        }
        let description = self
            .found
            .files
            .get("program")
            .copied()
            .flatten()
            .map(|digest| digest.to_string());
        let runtime = Runtime {
            identity: encoder.finish(CONTEXT),
            description: description.unwrap_or_default(),
            programs: programs.into_iter().collect(),
            files: self.found.outside.into_iter().collect(),
        };
        Ok((runtime, self.found.witnesses.into_iter().collect()))
    }

    fn step(&mut self, step: &Step, steps: &mut Vec<Step>) -> Result<(), InputError> {
        let Some(resolved) = self
            .machine
            .resolve(&step.path)
            .filter(|resolved| resolved.file)
        else {
            self.found
                .witnesses
                .insert(step.path.clone(), self.machine.stamp(&step.path));
            self.found.files.insert(step.role.clone(), None);
            return Ok(());
        };
        self.witness(&resolved);
        let owners = self
            .packages
            .map(|packages| packages.owners(&resolved))
            .unwrap_or_default();
        self.show(&step.path, &resolved);
        if !owners.is_empty() {
            let side = if step.library {
                &mut self.found.libraries
            } else {
                &mut self.found.tools
            };
            side.extend(owners);
            return Ok(());
        }
        let digest = self.machine.digest(resolved.target(), self.snapshot)?;
        self.found.files.insert(step.role.clone(), Some(digest));
        let bytes = self
            .machine
            .read(resolved.target())
            .map_err(|source| InputError::Read {
                path: resolved.target().into(),
                source,
            })?;
        if let Some(interpreter) = interpreter(&bytes) {
            self.interpreted(interpreter, steps);
        } else if let Some(linkage) = linkage(&bytes) {
            self.linked(&linkage, resolved.target(), step.library, steps);
        }
        Ok(())
    }

    fn witness(&mut self, resolved: &Resolved) {
        for path in &resolved.chain {
            self.found
                .witnesses
                .insert(path.clone(), self.machine.stamp(path));
        }
    }

    /// Notes what the sandbox has to show so that the file is there under every name that leads to it.
    fn show(&mut self, path: &str, resolved: &Resolved) {
        let names = resolved.chain.iter().map(String::as_str).chain([path]);
        let outside = names.filter(|path| !VISIBLE.iter().any(|visible| path.starts_with(visible)));
        self.found.outside.extend(outside.map(str::to_owned));
    }

    fn interpreted(&mut self, interpreter: Interpreter, steps: &mut Vec<Step>) {
        let step = |path: String, name: &str| Step {
            role: format!("interpreter {name}"),
            path,
            library: false,
        };
        match interpreter {
            Interpreter::At(path) => {
                let name = path.rsplit('/').next().unwrap_or_default().to_owned();
                steps.push(step(path, &name));
            }
            Interpreter::OnPath { env, name } => {
                steps.push(step(env, "env"));
                if let Some((found, resolved)) = self.machine.find(&name, self.path) {
                    let target = resolved.target().to_owned();
                    self.found.programs.insert(name.clone(), target);
                    self.passed_over(&name, &found);
                    steps.push(step(found, &name));
                } else {
                    self.passed_over(&name, "");
                    self.found.files.insert(format!("interpreter {name}"), None);
                }
            }
        }
    }

    /// Notes the places on PATH before `found` that lack the program `name` today.
    fn passed_over(&mut self, name: &str, found: &str) {
        let places = directories(self.path).map(|directory| candidate(&directory, name));
        for place in places.take_while(|place| place != found) {
            let stamp = self.machine.stamp(&place);
            self.found.witnesses.insert(place, stamp);
        }
    }

    fn linked(&mut self, linkage: &Linkage, path: &str, library: bool, steps: &mut Vec<Step>) {
        let origin = path.rsplit_once('/').map_or("", |(origin, _)| origin);
        if let Some(loader) = &linkage.interpreter {
            steps.push(Step {
                role: "loader".to_owned(),
                path: loader.clone(),
                library: true,
            });
        }
        let mut places: Vec<String> = loader::substitute(&linkage.rpath, origin).collect();
        if library {
            places.extend_from_slice(&self.found.rpath);
        } else {
            self.found.rpath.clone_from(&places);
        }
        places.extend(loader::substitute(&linkage.runpath, origin));
        places.extend_from_slice(self.library_directories());
        for name in &linkage.needed {
            let role = format!("library {name}");
            if self.found.files.contains_key(&role) || steps.iter().any(|step| step.role == role) {
                continue;
            }
            match self.library(name, &places, linkage) {
                Some(path) => steps.push(Step {
                    role,
                    path,
                    library: true,
                }),
                None => {
                    self.found.files.insert(role, None);
                }
            }
        }
    }

    fn library_directories(&mut self) -> &[String] {
        if self.found.directories.is_none() {
            let (directories, read) = loader::directories(self.machine);
            for path in read {
                let stamp = self.machine.stamp(&path);
                self.found.witnesses.insert(path, stamp);
            }
            self.found.directories = Some(directories);
        }
        self.found.directories.as_deref().unwrap_or_default()
    }

    fn library(&mut self, name: &str, places: &[String], needed_by: &Linkage) -> Option<String> {
        if name.contains('/') {
            return Some(name.to_owned()).filter(|name| name.starts_with('/'));
        }
        for place in places {
            let candidate = candidate(place, name);
            let bytes = self
                .machine
                .resolve(&candidate)
                .filter(|resolved| resolved.file)
                .and_then(|resolved| self.machine.read(resolved.target()).ok());
            if bytes
                .and_then(|bytes| linkage(&bytes))
                .is_some_and(|found| found.sort == needed_by.sort)
            {
                return Some(candidate);
            }
            let stamp = self.machine.stamp(&candidate);
            self.found.witnesses.insert(candidate, stamp);
        }
        None
    }
}
