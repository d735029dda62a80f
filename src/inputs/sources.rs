//! The pipeline from patterns to `Sources`: list, choose, digest each chosen file once, share.
//! A file that is replaced between two of these steps starts the pipeline again, a few times.

#![expect(
    clippy::disallowed_methods,
    reason = "effects: looks at the project's own path"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::os::fd::OwnedFd;
use std::path::{Component, Path, PathBuf};
use std::sync::Arc;

use rayon::prelude::*;
use rustix::fs::{AtFlags, Mode, OFlags};
use rustix::io::Errno;
use stagecraft_store::{Digest, Node, Object};

use super::content::{ContentError, hash};
use super::nearest::nearest;
use super::select::{Key, Matches, Patterns, key};
use super::snapshot::Snapshot;
use super::stamp::{Stamp, is_file};
use super::walk::{Entry, Kind, Listing, list};
use super::{InputError, Request, Sources};
use crate::config::{Config, Diagnostic, Driver, OperationConfig};
use crate::name::OperationName;

/// How often the project may change under our eyes before we give up.
const ATTEMPTS: usize = 5;
/// Fewer files are not worth another thread.
const FILES_PER_TASK: usize = 64;

/// What the operations' `inputs` say, and what is wrong with them.
#[derive(Debug, Default)]
pub(super) struct Gathered {
    pub(super) sources: BTreeMap<OperationName, Sources>,
    pub(super) faults: Vec<Diagnostic>,
    pub(super) warnings: Vec<Diagnostic>,
}

/// Digests what the wanted operations' `inputs` match.
pub(super) fn gather(
    request: &Request<'_>,
    snapshot: &mut Snapshot,
) -> Result<Gathered, InputError> {
    let project = open(request.project)?;
    let excluded = deployed(request.config, request.project);
    let wanted: Vec<_> = request
        .config
        .operations
        .iter()
        .filter(|(name, _)| request.operations.contains(name))
        .collect();
    let patterns = Patterns::new(
        wanted
            .iter()
            .flat_map(|(_, operation)| &operation.inputs)
            .map(|input| &input.value),
    )?;
    let mut moved = PathBuf::new();
    for _ in 0..ATTEMPTS {
        let listing = list(&project, patterns.including(), &excluded)?;
        let matches = patterns.matches(&listing);
        let choices = choose(&wanted, &matches);
        let mut gathered = judge(&project, &wanted, &matches, &excluded);
        let nodes = match digest(&project, &listing, choices.values(), snapshot) {
            Ok(nodes) => nodes,
            Err(Failure::Moved(path)) => {
                moved = path;
                continue;
            }
            Err(Failure::Other(error)) => return Err(error),
        };
        blame(&wanted, &matches, &choices, &nodes, &mut gathered.faults);
        if gathered.faults.is_empty() {
            gathered.sources = share(&wanted, &choices, &listing, &nodes);
        }
        return Ok(gathered);
    }
    Err(InputError::Unstable { path: moved })
}

/// Opens the project's directory.
pub(super) fn open(project: &Path) -> Result<OwnedFd, InputError> {
    let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
    rustix::fs::open(project, flags, Mode::empty()).map_err(|error| InputError::Read {
        path: project.to_owned(),
        source: error.into(),
    })
}

/// Returns the paths of `directory` environments that lie inside the project.
fn deployed(config: &Config, project: &Path) -> BTreeSet<String> {
    let canonical = std::fs::canonicalize(project).unwrap_or_else(|_| project.to_owned());
    let drivers =
        config
            .environments
            .values()
            .filter_map(|environment| match &environment.driver {
                Driver::Directory(directory) => Some(Path::new(&directory.path)),
                Driver::Other(_) => None,
            });
    drivers
        .filter_map(|path| inside(path, &[project, &canonical]))
        .collect()
}

/// Returns `path` from the project root; `None` for the root itself and outside.
fn inside(path: &Path, roots: &[&Path]) -> Option<String> {
    let relative = if path.is_absolute() {
        roots.iter().find_map(|root| path.strip_prefix(root).ok())?
    } else {
        path
    };
    let mut parts = Vec::new();
    for part in relative.components() {
        match part {
            Component::CurDir => {}
            Component::Normal(name) => parts.push(name.to_str()?),
            Component::ParentDir => {
                parts.pop()?;
            }
            Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    (!parts.is_empty()).then(|| parts.join("/"))
}

type Wanted<'a> = [(&'a OperationName, &'a OperationConfig)];

fn choose<'a>(wanted: &Wanted<'a>, matches: &Matches<'_>) -> BTreeMap<Key<'a>, Vec<u32>> {
    let keys: BTreeSet<Key<'a>> = wanted
        .iter()
        .map(|(_, operation)| key(&operation.inputs))
        .collect();
    keys.into_par_iter()
        .map(|key| {
            let chosen = matches.choose(&key);
            (key, chosen)
        })
        .collect()
}

fn judge(
    project: &OwnedFd,
    wanted: &Wanted<'_>,
    matches: &Matches<'_>,
    excluded: &BTreeSet<String>,
) -> Gathered {
    let mut gathered = Gathered::default();
    for (_, operation) in wanted {
        let verdict = matches.judge(&operation.inputs, excluded);
        gathered.warnings.extend(verdict.warnings);
        gathered.faults.extend(verdict.faults);
        for (mut fault, glob) in verdict.missing {
            fault.hint = nearest(project, glob).map(|path| format!("did you mean `{path}`?"));
            gathered.faults.push(fault);
        }
    }
    gathered
}

/// What became of one chosen entry.
enum Outcome {
    Node(Node),
    /// It can be no input, for the reason that `message` ends with.
    Fault(String),
}

enum Failure {
    Moved(PathBuf),
    Other(InputError),
}

/// Digests each chosen entry once; at the index of an entry that nobody chose is nothing.
fn digest<'c>(
    project: &OwnedFd,
    listing: &Listing,
    choices: impl Iterator<Item = &'c Vec<u32>>,
    snapshot: &mut Snapshot,
) -> Result<Vec<Option<Outcome>>, Failure> {
    let mut needed = vec![false; listing.entries.len()];
    for index in choices.flatten() {
        needed[*index as usize] = true;
    }
    let looked: Vec<Option<Look>> = {
        let snapshot = &*snapshot;
        let pairs = listing
            .entries
            .par_iter()
            .zip(&needed)
            .with_min_len(FILES_PER_TASK);
        pairs
            .map(|(entry, needed)| needed.then(|| look(project, entry, snapshot)).transpose())
            .collect::<Result<_, _>>()?
    };
    if looked
        .iter()
        .flatten()
        .any(|look| matches!(look, Look::Unknown))
    {
        snapshot.ask_time();
    }
    let read: Vec<_> = looked
        .into_par_iter()
        .zip(&listing.entries)
        .map(|(looked, entry)| looked.map(|look| finish(project, entry, look)).transpose())
        .collect::<Result<Vec<_>, _>>()?;
    let mut outcomes = Vec::with_capacity(read.len());
    for (read, entry) in read.into_iter().zip(&listing.entries) {
        outcomes.push(read.map(|(outcome, learned)| {
            if let Some((stamp, digest)) = learned {
                snapshot.learn(&entry.path, stamp, digest);
            }
            outcome
        }));
    }
    Ok(outcomes)
}

/// What a look at the file, without reading it, says.
enum Look {
    Done(Outcome),
    Unknown,
}

fn look(project: &OwnedFd, entry: &Entry, snapshot: &Snapshot) -> Result<Look, Failure> {
    let path = &entry.path;
    let fault = |reason: String| Ok(Look::Done(Outcome::Fault(reason)));
    match entry.kind {
        _ if !entry.utf8 => fault(format!("the name of `{path}` is not UTF-8")),
        Kind::Special(word) => fault(format!("`{path}` is a {word}")),
        Kind::Unreadable(kind) => fault(format!("cannot read `{path}`: {kind}")),
        Kind::Symlink | Kind::Directory => link(project, path).map(Look::Done),
        Kind::File => {
            let stat = match entry.stat.as_deref() {
                Some(stat) => *stat,
                None => match rustix::fs::statat(project, path, AtFlags::SYMLINK_NOFOLLOW) {
                    Ok(stat) => stat,
                    Err(Errno::NOENT | Errno::NOTDIR) => return Err(Failure::Moved(path.into())),
                    Err(error) => {
                        return fault(format!(
                            "cannot read `{path}`: {}",
                            io::Error::from(error).kind()
                        ));
                    }
                },
            };
            if !is_file(&stat) {
                return Err(Failure::Moved(path.into()));
            }
            let stamp = Stamp::new(&stat);
            Ok(snapshot
                .digest(path, &stamp)
                .map_or(Look::Unknown, |digest| {
                    Look::Done(Outcome::Node(node(
                        Object {
                            digest,
                            size: stamp.size,
                        },
                        &stamp,
                    )))
                }))
        }
    }
}

fn node(object: Object, stamp: &Stamp) -> Node {
    Node::File {
        object,
        executable: stamp.executable,
    }
}

fn link(project: &OwnedFd, path: &str) -> Result<Outcome, Failure> {
    let target = rustix::fs::readlinkat(project, path, Vec::new())
        .map_err(|_| Failure::Moved(path.into()))?;
    Ok(match target.into_string() {
        Ok(target) => Outcome::Node(Node::Symlink { target }),
        Err(_) => Outcome::Fault(format!("the target of symlink `{path}` is not UTF-8")),
    })
}

type Learned = Option<(Stamp, Digest)>;

fn finish(project: &OwnedFd, entry: &Entry, look: Look) -> Result<(Outcome, Learned), Failure> {
    let path = &entry.path;
    match look {
        Look::Done(outcome) => Ok((outcome, None)),
        Look::Unknown => match hash(project, path) {
            Ok((stamp, object)) => Ok((
                Outcome::Node(node(object, &stamp)),
                Some((stamp, object.digest)),
            )),
            Err(ContentError::Moved) => Err(Failure::Moved(path.into())),
            Err(ContentError::Unstable) => {
                Err(Failure::Other(InputError::Unstable { path: path.into() }))
            }
            Err(ContentError::Read(error)) => Ok((
                Outcome::Fault(format!("cannot read `{path}`: {}", error.kind())),
                None,
            )),
        },
    }
}

/// Adds a fault for each chosen entry that can be no input, at the pattern of each operation that chose it.
fn blame(
    wanted: &Wanted<'_>,
    matches: &Matches<'_>,
    choices: &BTreeMap<Key<'_>, Vec<u32>>,
    outcomes: &[Option<Outcome>],
    faults: &mut Vec<Diagnostic>,
) {
    let bad = |index: &u32| match &outcomes[*index as usize] {
        Some(Outcome::Fault(reason)) => Some((*index, reason)),
        Some(Outcome::Node(_)) | None => None,
    };
    if !outcomes
        .iter()
        .flatten()
        .any(|outcome| matches!(outcome, Outcome::Fault(_)))
    {
        return;
    }
    for (_, operation) in wanted {
        for (index, reason) in choices[&key(&operation.inputs)].iter().filter_map(bad) {
            if let Some(input) = matches.site(&operation.inputs, index) {
                faults.push(Diagnostic {
                    at: input.at.clone(),
                    message: reason.clone(),
                    hint: None,
                });
            }
        }
    }
}

/// Makes one list per distinct choice.
fn share(
    wanted: &Wanted<'_>,
    choices: &BTreeMap<Key<'_>, Vec<u32>>,
    listing: &Listing,
    outcomes: &[Option<Outcome>],
) -> BTreeMap<OperationName, Sources> {
    let source = |index: &u32| {
        let index = *index as usize;
        let Some(Outcome::Node(node)) = &outcomes[index] else {
            return None;
        };
        let path = listing.entries[index]
            .path
            .parse()
            .expect("invariant: names of a directory make a path");
        Some((path, node.clone()))
    };
    let lists: BTreeMap<&Key<'_>, Sources> = choices
        .par_iter()
        .map(|(key, chosen)| (key, Arc::new(chosen.iter().filter_map(source).collect())))
        .collect();
    wanted
        .iter()
        .map(|(name, operation)| ((*name).clone(), Arc::clone(&lists[&key(&operation.inputs)])))
        .collect()
}
