//! `Target`: the layout of one target directory, its lock, its two pointers and its marker.
//! Effects; each change is one rename or unlink, durable on return.
#![expect(clippy::disallowed_methods, reason = "effects: the target directory")]

use std::fs::{self, File, OpenOptions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use stagecraft_store::Digest;

use super::error::DirectoryError;
use crate::evaluate::Cancel;
use crate::providers::wait::{Deadline, Woken, wait};
use crate::release::id::ReleaseId;

/// How often a lock that another holds is tried again.
const RETRY: Duration = Duration::from_millis(20);
/// What a name that is not finished begins with.
const UNFINISHED: &str = ".new-";
const LEAVING: &str = ".old-";

static NEXT: AtomicU64 = AtomicU64::new(0);

/// A link beside the releases that names one of them.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Pointer {
    /// `current`: what serves.
    Current,
    /// `.good`: the last release that passed its gate; what a revert goes back to.
    Good,
}

impl Pointer {
    fn file(self) -> &'static str {
        match self {
            Self::Current => "current",
            Self::Good => ".good",
        }
    }
}

/// Who may hold the lock beside us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sharing {
    /// Others that add trees.
    Trees,
    /// Nobody.
    Alone,
}

/// One target directory.
#[derive(Debug, Clone)]
pub(crate) struct Target {
    root: PathBuf,
    shown: PathBuf,
}

impl Target {
    /// Returns the target at `path`, which is absolute or from the project root.
    pub(crate) fn new(path: &str, project: &Path) -> Self {
        Self {
            root: project.join(path),
            shown: PathBuf::from(path),
        }
    }

    /// Returns where the finished tree of a digest is.
    pub(crate) fn tree(&self, digest: &Digest) -> PathBuf {
        self.trees().join(digest.hex())
    }

    /// Returns the directory of all trees.
    pub(crate) fn trees(&self) -> PathBuf {
        self.root.join("trees")
    }

    /// Returns the directory of all releases.
    pub(crate) fn releases(&self) -> PathBuf {
        self.root.join("releases")
    }

    /// Returns the directory of one release.
    pub(crate) fn release(&self, id: &ReleaseId) -> PathBuf {
        self.releases().join(id.as_str())
    }

    /// Returns a path of the target as the configuration would write it.
    pub(crate) fn show(&self, path: &Path) -> PathBuf {
        path.strip_prefix(&self.root)
            .map_or_else(|_| path.to_owned(), |below| self.shown.join(below))
    }

    /// Returns the error of a failed `verb` on `path`.
    pub(crate) fn error(
        &self,
        verb: &'static str,
        path: &Path,
        source: io::Error,
    ) -> DirectoryError {
        DirectoryError::Io {
            verb,
            path: self.show(path),
            source,
        }
    }

    /// Makes the directories of the layout.
    pub(crate) fn prepare(&self) -> Result<(), DirectoryError> {
        let is_new = fs::symlink_metadata(&self.root).is_err();
        for directory in [self.trees(), self.releases()] {
            fs::create_dir_all(&directory)
                .map_err(|source| self.error("making", &directory, source))?;
        }
        match self.root.parent() {
            Some(parent) if is_new => self.sync(parent),
            Some(_) | None => Ok(()),
        }
    }

    /// Returns a path in `parent` that no finished thing has, and that nothing has yet.
    pub(crate) fn unfinished(parent: &Path) -> PathBuf {
        loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let path = parent.join(format!("{UNFINISHED}{}-{number}", std::process::id()));
            if fs::symlink_metadata(&path).is_err() {
                return path;
            }
        }
    }

    /// Returns whether a name is one of a thing that was never finished, or was about to go.
    pub(crate) fn is_leftover(name: &str) -> bool {
        name.starts_with(UNFINISHED) || name.starts_with(LEAVING)
    }

    /// Takes the target's lock, held while the returned file lives and never beyond this process.
    pub(crate) fn lock(
        &self,
        sharing: Sharing,
        cancel: Option<&Cancel>,
    ) -> Result<File, DirectoryError> {
        let path = self.root.join(".lock");
        let file = OpenOptions::new()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(&path)
            .map_err(|source| self.error("opening", &path, source))?;
        let operation = match sharing {
            Sharing::Trees => FlockOperation::NonBlockingLockShared,
            Sharing::Alone => FlockOperation::NonBlockingLockExclusive,
        };
        loop {
            match flock(&file, operation) {
                Ok(()) => return Ok(file),
                Err(Errno::WOULDBLOCK | Errno::INTR) => {}
                Err(error) => return Err(self.error("locking", &path, error.into())),
            }
            match wait(None, cancel, Deadline::after(RETRY)) {
                Ok(Woken::Cancelled) => {
                    return Err(DirectoryError::Cancelled {
                        path: self.shown.clone(),
                    });
                }
                Ok(Woken::Late | Woken::Ready) => {}
                Err(source) => return Err(self.error("locking", &path, source)),
            }
        }
    }

    /// Returns the release that a pointer names.
    pub(crate) fn pointer(&self, pointer: Pointer) -> Result<Option<ReleaseId>, DirectoryError> {
        let path = self.root.join(pointer.file());
        let foreign = || DirectoryError::Foreign {
            path: self.show(&path),
        };
        match fs::read_link(&path) {
            Ok(target) => {
                let id = target
                    .to_str()
                    .and_then(|target| target.strip_prefix("releases/")?.parse().ok());
                id.map(Some).ok_or_else(foreign)
            }
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                Ok(None)
            }
            Err(error) if error.kind() == ErrorKind::InvalidInput => Err(foreign()),
            Err(source) => Err(self.error("reading", &path, source)),
        }
    }

    /// Points a pointer at a release, or at none: one rename or one unlink, durable on return.
    pub(crate) fn point(
        &self,
        pointer: Pointer,
        to: Option<&ReleaseId>,
    ) -> Result<(), DirectoryError> {
        let path = self.root.join(pointer.file());
        match to {
            Some(id) => {
                let fresh = Self::unfinished(&self.root);
                symlink(format!("releases/{id}"), &fresh)
                    .map_err(|source| self.error("making", &fresh, source))?;
                fs::rename(&fresh, &path)
                    .map_err(|source| self.error("switching", &path, source))?;
            }
            None => self.unlink(&path)?,
        }
        self.sync(&self.root)
    }

    /// Returns whether what serves may not have been told about the last change.
    pub(crate) fn owes_activation(&self) -> bool {
        fs::symlink_metadata(self.marker()).is_ok()
    }

    /// Notes durably, before a change, that what serves has to be told about it.
    pub(crate) fn owe_activation(&self) -> Result<(), DirectoryError> {
        let path = self.marker();
        File::create(&path).map_err(|source| self.error("making", &path, source))?;
        self.sync(&self.root)
    }

    /// Notes that what serves was told.
    pub(crate) fn activated(&self) -> Result<(), DirectoryError> {
        self.unlink(&self.marker())
    }

    /// Opens the file that takes the output of a hook; `afresh` drops what earlier ones printed.
    pub(crate) fn hook_output(&self, name: &str, afresh: bool) -> Result<File, DirectoryError> {
        let path = self.root.join(name);
        let opened = OpenOptions::new()
            .read(true)
            .append(true)
            .create(true)
            .open(&path);
        let file = opened.map_err(|source| self.error("opening", &path, source))?;
        let owner_only = fs::Permissions::from_mode(0o600);
        file.set_permissions(owner_only)
            .map_err(|source| self.error("opening", &path, source))?;
        if afresh {
            file.set_len(0)
                .map_err(|source| self.error("emptying", &path, source))?;
        }
        Ok(file)
    }

    /// Makes the names in a directory durable.
    pub(crate) fn sync(&self, directory: &Path) -> Result<(), DirectoryError> {
        let synced = File::open(directory).and_then(|file| file.sync_all());
        synced.map_err(|source| self.error("syncing", directory, source))
    }

    /// Removes a directory and what is below, read-only directories too. It first leaves its name, so that nobody
    /// meets it half removed.
    pub(crate) fn discard(&self, path: &Path) -> Result<(), DirectoryError> {
        let parent = path.parent().unwrap_or(&self.root);
        let leaving = loop {
            let number = NEXT.fetch_add(1, Ordering::Relaxed);
            let leaving = parent.join(format!("{LEAVING}{}-{number}", std::process::id()));
            if fs::symlink_metadata(&leaving).is_err() {
                break leaving;
            }
        };
        fs::rename(path, &leaving).map_err(|source| self.error("removing", path, source))?;
        remove(&leaving).map_err(|source| self.error("removing", &leaving, source))
    }

    /// Removes what killed runs left unfinished; only under the lock held alone.
    pub(crate) fn clean(&self) -> Result<(), DirectoryError> {
        for directory in [self.root.clone(), self.trees(), self.releases()] {
            for name in self.names(&directory)? {
                if Self::is_leftover(&name) {
                    let path = directory.join(name);
                    remove(&path).map_err(|source| self.error("removing", &path, source))?;
                }
            }
        }
        Ok(())
    }

    /// Returns the UTF-8 names in a directory, sorted; none where there is no directory.
    pub(crate) fn names(&self, directory: &Path) -> Result<Vec<String>, DirectoryError> {
        let failed = |source| self.error("reading", directory, source);
        let entries = match fs::read_dir(directory) {
            Ok(entries) => entries,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
            Err(source) => return Err(failed(source)),
        };
        let mut names = Vec::new();
        for entry in entries {
            names.extend(entry.map_err(failed)?.file_name().into_string().ok());
        }
        names.sort_unstable();
        Ok(names)
    }

    fn marker(&self) -> PathBuf {
        self.root.join(".activate")
    }

    fn unlink(&self, path: &Path) -> Result<(), DirectoryError> {
        match fs::remove_file(path) {
            Ok(()) => Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(()),
            Err(source) => Err(self.error("removing", path, source)),
        }
    }
}

fn remove(path: &Path) -> io::Result<()> {
    if !fs::symlink_metadata(path)?.is_dir() {
        return fs::remove_file(path);
    }
    // Without write permission on the directory its entries cannot go.
    fs::set_permissions(path, fs::Permissions::from_mode(0o700))?;
    for entry in fs::read_dir(path)? {
        remove(&entry?.path())?;
    }
    fs::remove_dir(path)
}
