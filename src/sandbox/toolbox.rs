//! `Toolbox`: the programs and files of one set of tools, gathered once for all operations that have it, and the
//! directory that stands for PATH at level 0.
//! Never trusts that directory to be as it was left: at level 0 nothing keeps a command from writing to it.
#![expect(
    clippy::disallowed_methods,
    reason = "effects: fills the directory of PATH"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};

use stagecraft_store::{Scratch, Store, StoreError};

use crate::inputs::{Base, Tool};
use crate::plan::operation::Run;

/// What the operations with the same base and tools find on PATH.
#[derive(Debug)]
pub(crate) struct Toolbox {
    base: Arc<Base>,
    tools: Vec<Arc<Tool>>,
    /// Name on PATH -> program; a tool's wins over the base's.
    pub(crate) programs: BTreeMap<String, PathBuf>,
    /// Files and directories outside `/usr` that the tools need.
    pub(crate) files: Vec<PathBuf>,
    made: Mutex<Vec<Links>>,
}

/// A directory with a link for each program.
#[derive(Debug)]
struct Links {
    scratch: Scratch,
    seen: Seen,
}

/// What changes when a name of a directory is added, removed or replaced, or the directory is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen([i64; 4], u64, u32);

/// Why there is no directory for PATH.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LinksError {
    /// There is no room for it.
    #[error("scratch directory: {0}")]
    Scratch(#[from] StoreError),
    /// It cannot be filled.
    #[error("the directory of PATH: {0}")]
    Io(#[from] io::Error),
}

impl Toolbox {
    fn new(run: &Run) -> Self {
        let programs = run.tools.iter().flat_map(|tool| &tool.programs);
        let programs = run.base.programs.iter().chain(programs).cloned().collect();
        let files = run.tools.iter().flat_map(|tool| tool.files.clone());
        Self {
            base: Arc::clone(&run.base),
            tools: run.tools.clone(),
            programs,
            files: files.collect(),
            made: Mutex::default(),
        }
    }

    fn is_of(&self, run: &Run) -> bool {
        // Equal pointers make a cheap answer; the operations of a plan share what is equal.
        let same_base = Arc::ptr_eq(&self.base, &run.base) || self.base == run.base;
        let same =
            |(ours, theirs): (&Arc<Tool>, &Arc<Tool>)| Arc::ptr_eq(ours, theirs) || ours == theirs;
        same_base
            && self.tools.len() == run.tools.len()
            && self.tools.iter().zip(&run.tools).all(same)
    }

    /// Returns a directory with a link for each program, made when there is none yet that is as it was made.
    pub(crate) fn directory(&self, store: &Store) -> Result<PathBuf, LinksError> {
        let mut made = self.made.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(links) = made.last()
            && Seen::of(links.scratch.path()).is_ok_and(|seen| seen == links.seen)
        {
            return Ok(links.scratch.path().to_owned());
        }
        // One that a command meddled with may still be in use.
        let links = Links::fill(store.scratch()?, &self.programs)?;
        let path = links.scratch.path().to_owned();
        made.push(links);
        Ok(path)
    }
}

impl Links {
    fn fill(scratch: Scratch, programs: &BTreeMap<String, PathBuf>) -> io::Result<Self> {
        for (name, program) in programs {
            symlink(program, scratch.path().join(name))?;
        }
        fs::set_permissions(scratch.path(), fs::Permissions::from_mode(0o555))?;
        let seen = Seen::of(scratch.path())?;
        Ok(Self { scratch, seen })
    }
}

impl Seen {
    fn of(directory: &Path) -> io::Result<Self> {
        let status = fs::symlink_metadata(directory)?;
        let times = [
            status.mtime(),
            status.mtime_nsec(),
            status.ctime(),
            status.ctime_nsec(),
        ];
        Ok(Self(times, status.ino(), status.mode()))
    }
}

/// All that were asked for lately.
#[derive(Debug, Default)]
pub(crate) struct Toolboxes(Mutex<Vec<Arc<Toolbox>>>);

/// How many are kept.
const MOST: usize = 64;

impl Toolboxes {
    /// Returns the one that `run` finds.
    pub(crate) fn of(&self, run: &Run) -> Arc<Toolbox> {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(toolbox) = known.iter().find(|toolbox| toolbox.is_of(run)) {
            return Arc::clone(toolbox);
        }
        if known.len() == MOST {
            known.remove(0);
        }
        let toolbox = Arc::new(Toolbox::new(run));
        known.push(Arc::clone(&toolbox));
        toolbox
    }
}
