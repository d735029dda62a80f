//! `Snapshot`: the stat cache of one project, `.stagecraft/snapshot`. Says which digest a file with a given stamp has.
//! Only ever a cache: whatever is wrong with the file makes it empty, and it believes no stamp that a later change
//! of the file could share (`spec/inputs/snapshot.md`).

#![expect(
    clippy::disallowed_methods,
    reason = "effects: reads and replaces the snapshot file"
)]

mod format;

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD};
use stagecraft_store::Digest;

use super::InputError;
use super::stamp::{Horizon, Stamp};

const DIRECTORY: &str = ".stagecraft";
const FILE: &str = "snapshot";
const PROBE: &str = "probe";
/// Files that were known and are no longer asked for may pile up to this many before they are looked at.
const SPARE: usize = 4096;

/// The stat cache of a project.
#[derive(Debug, Default)]
pub struct Snapshot {
    /// The project, if there is a file behind the snapshot.
    project: Option<PathBuf>,
    recording: bool,
    table: Table,
    learned: BTreeMap<String, (Stamp, Digest)>,
    /// The time of the project's file system before the current gathering read its first file.
    horizon: Option<Horizon>,
    changed: bool,
}

/// What the file holds.
#[derive(Debug, Default, Clone, PartialEq, Eq)]
struct Table {
    /// How many files were known when they were last looked at one by one.
    pruned: u64,
    /// Sorted by path; project files from the root, others absolute.
    files: Vec<(String, Stamp, Digest)>,
    facts: BTreeMap<String, Fact>,
}

/// An answer that was worked out from files, with what those files were.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Fact {
    /// What was asked; another question has another answer.
    pub(super) question: Vec<u8>,
    /// The files that the answer depends on; `None` for one that was not there.
    pub(super) witnesses: Vec<(String, Option<Stamp>)>,
    /// The answer.
    pub(super) answer: Vec<u8>,
}

impl Snapshot {
    /// Reads `.stagecraft/snapshot`, and writes nothing, then or later. One that is damaged, foreign or newer is empty.
    pub fn load(project: &Path) -> Self {
        let bytes = fs::read(project.join(DIRECTORY).join(FILE)).unwrap_or_default();
        let table = format::decode(&bytes).unwrap_or_default();
        Self {
            project: Some(project.to_owned()),
            table,
            ..Self::default()
        }
    }

    /// Returns the snapshot of no project: always empty.
    pub fn none() -> Self {
        Self::default()
    }

    /// Allows to write below `.stagecraft/`: a probe file while inputs are gathered, the snapshot in [`Self::save`].
    /// Without it nothing that is gathered is remembered.
    pub fn recording(mut self) -> Self {
        self.recording = self.project.is_some();
        self
    }

    /// Replaces the file in one step, if something was learned and the snapshot is recording.
    pub fn save(&mut self) -> Result<(), InputError> {
        let Some(project) = self
            .project
            .clone()
            .filter(|_| self.recording && self.changed)
        else {
            return Ok(());
        };
        self.merge(&project);
        let directory = project.join(DIRECTORY);
        let target = directory.join(FILE);
        let temporary = directory.join(format!("{FILE}.{}", std::process::id()));
        let written = fs::create_dir_all(&directory)
            .and_then(|()| fs::write(&temporary, format::encode(&self.table)))
            .and_then(|()| fs::rename(&temporary, &target));
        if let Err(source) = written {
            // The temporary file is in nobody's way if it cannot be removed either.
            drop(fs::remove_file(&temporary));
            return Err(InputError::Save {
                path: target,
                source,
            });
        }
        self.changed = false;
        Ok(())
    }

    /// Starts a gathering: what is learned from here on needs a new look at the clock.
    pub(super) fn begin(&mut self) {
        self.horizon = None;
    }

    /// Asks the file system of the project for its time, once; to be called before a file is read.
    pub(super) fn ask_time(&mut self) {
        if let (Some(project), true, None) = (&self.project, self.recording, self.horizon) {
            self.horizon = probe(&project.join(DIRECTORY)).ok();
        }
    }

    /// Returns the digest of the file at `path`, if it had `stamp` when it was read.
    pub(super) fn digest(&self, path: &str, stamp: &Stamp) -> Option<Digest> {
        if let Some((known, digest)) = self.learned.get(path) {
            return (known == stamp).then_some(*digest);
        }
        let index = self
            .table
            .files
            .binary_search_by(|(known, ..)| known.as_str().cmp(path))
            .ok()?;
        let (_, known, digest) = &self.table.files[index];
        (known == stamp).then_some(*digest)
    }

    /// Remembers a digest, if its stamp can be believed.
    pub(super) fn learn(&mut self, path: &str, stamp: Stamp, digest: Digest) {
        if self.horizon.is_some_and(|horizon| horizon.trusts(&stamp)) {
            self.learned.insert(path.to_owned(), (stamp, digest));
            self.changed = true;
        }
    }

    /// Returns the answer named `name` to `question`, if `stamp` still says of every witness what it said then.
    pub(super) fn answer(
        &self,
        name: &str,
        question: &[u8],
        stamp: impl Fn(&str) -> Option<Stamp>,
    ) -> Option<&[u8]> {
        let fact = self
            .table
            .facts
            .get(name)
            .filter(|fact| fact.question == question)?;
        let holds = fact
            .witnesses
            .iter()
            .all(|(path, known)| stamp(path) == *known);
        holds.then_some(&fact.answer)
    }

    /// Remembers an answer, if the stamps of all its witnesses can be believed.
    pub(super) fn conclude(&mut self, name: &str, fact: Fact) {
        let Some(horizon) = self.horizon else { return };
        let trusted = fact
            .witnesses
            .iter()
            .filter_map(|(_, stamp)| stamp.as_ref())
            .all(|stamp| horizon.trusts(stamp));
        if trusted {
            self.table.facts.insert(name.to_owned(), fact);
            self.changed = true;
        }
    }

    /// Puts what was learned into the table; when that has grown much, drops what is no longer there.
    fn merge(&mut self, project: &Path) {
        let learned = std::mem::take(&mut self.learned);
        let fresh: BTreeSet<&str> = learned.keys().map(String::as_str).collect();
        let files = &mut self.table.files;
        files.retain(|(path, ..)| !fresh.contains(path.as_str()));
        let limit = usize::try_from(self.table.pruned)
            .unwrap_or(usize::MAX)
            .saturating_mul(2)
            .saturating_add(SPARE);
        let crowded = files.len() + learned.len() > limit;
        if crowded {
            files.retain(|(path, stamp, _)| {
                // Joining an absolute path gives that path.
                let stat = rustix::fs::statat(CWD, project.join(path), AtFlags::SYMLINK_NOFOLLOW);
                stat.is_ok_and(|stat| Stamp::new(&stat) == *stamp)
            });
        }
        files.extend(
            learned
                .into_iter()
                .map(|(path, (stamp, digest))| (path, stamp, digest)),
        );
        files.sort_by(|a, b| a.0.cmp(&b.0));
        if crowded {
            self.table.pruned = self.table.files.len() as u64;
        }
    }
}

/// Returns the time that a file gets which is written in `directory` at this moment.
fn probe(directory: &Path) -> io::Result<Horizon> {
    fs::create_dir_all(directory)?;
    let mut file = File::create(directory.join(PROBE))?;
    file.write_all(b"\n")?;
    Ok(Horizon::new(&rustix::fs::fstat(&file)?))
}

#[cfg(test)]
pub(super) mod tests;
