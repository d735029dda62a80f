//! The store itself: opening it, its locks, its temporary files. What it does with bytes is in
//! `read`, `batch`, `commit`, `export`, `gc` and `verify`.
#![expect(
    clippy::disallowed_methods,
    reason = "effects: looks whether there is a store"
)]

use std::fmt;
use std::io::{self, ErrorKind, Read};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::disk::{Change, Disk, HostDisk, Scope, WriteMode};
use crate::error::{StoreError, at};
use crate::gate::{Entered, Files, Gate};
use crate::gc::trash::Stamps;
use crate::layout::{FORMAT, FORMAT_TEXT, LAYOUT, LEASES, LOCK};
use crate::lease::Lease;
use crate::owner::{self, Owner, made};

/// Up to this many paths are synced one by one; more go with everything else on the file system,
/// which costs about as much as a few of them.
const FEW: usize = 8;

/// Records and most directories are no larger.
const SMALL: usize = 2048;

/// A content-addressed store.
///
/// Several processes may use one at the same time, also while gc runs: what an open store asked for or
/// made visible stays until it is dropped. All methods may be called from many threads.
#[derive(Debug)]
pub struct Store {
    pub(crate) inner: Arc<Inner>,
}

/// What a store shares with its batches and scratch directories.
pub(crate) struct Inner {
    pub(crate) disk: Arc<dyn Disk>,
    pub(crate) host: Option<Host>,
    writable: bool,
    /// Every operation is inside it, a batch of gc alone.
    pub(crate) gate: Gate,
    /// What must stay while this store is open.
    pub(crate) lease: Lease,
    pub(crate) stamps: Stamps,
    owner: Mutex<Option<Owner>>,
    counter: AtomicU64,
}

/// Where the store lies on this machine.
pub(crate) struct Host {
    pub(crate) root: PathBuf,
    pub(crate) layout: PathBuf,
    pub(crate) disk: Arc<HostDisk>,
}

impl fmt::Debug for Inner {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Inner")
            .field("root", &self.host.as_ref().map(|host| &host.root))
            .field("writable", &self.writable)
            .finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the store in `root`, which is made if it is not there. Removes temporary files of dead
    /// processes.
    pub fn open(root: &Path) -> Result<Self, StoreError> {
        let root = std::path::absolute(root).map_err(at(root))?;
        let layout = root.join(LAYOUT);
        let disk = Arc::new(HostDisk::create(&layout).map_err(at(&layout))?);
        made(disk.change(Change::MakeDir(LEASES))).map_err(at(LEASES))?;
        let files = Files {
            lock: disk.handle_or_new(LOCK).map_err(at(LOCK))?,
            turn: Some(disk.handle(LEASES).map_err(at(LEASES))?),
        };
        let host = Host {
            root,
            layout,
            disk: Arc::clone(&disk),
        };
        Self::start(disk, Some(host), Some(files))
    }

    /// Opens the store in `root` for reading, or returns `None` when there is none. Never writes a
    /// byte and never makes a file; every method that would is refused with `ReadOnly`.
    pub fn open_existing(root: &Path) -> Result<Option<Self>, StoreError> {
        let root = std::path::absolute(root).map_err(at(root))?;
        let layout = root.join(LAYOUT);
        match std::fs::symlink_metadata(layout.join(FORMAT)) {
            Err(error)
                if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) =>
            {
                return Ok(None);
            }
            found => found.map_err(at(FORMAT))?,
        };
        let disk = Arc::new(HostDisk::new(&layout).map_err(at(&layout))?);
        // A store that came without a lock file is read without one.
        let if_there = |path| match disk.handle(path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            opened => opened.map(Some).map_err(at(path)),
        };
        let turn = if_there(LEASES)?;
        let files = if_there(LOCK)?.map(|lock| Files { lock, turn });
        let host = Host {
            root,
            layout,
            disk: Arc::clone(&disk),
        };
        let inner = Inner::new(disk, Some(host), files, false);
        inner.check_format()?;
        Ok(Some(Self {
            inner: Arc::new(inner),
        }))
    }

    /// Opens the store on `disk`, without locks: one store per disk at a time. For tests.
    pub fn on(disk: Arc<dyn Disk>) -> Result<Self, StoreError> {
        Self::start(disk, None, None)
    }

    fn start(
        disk: Arc<dyn Disk>,
        host: Option<Host>,
        files: Option<Files>,
    ) -> Result<Self, StoreError> {
        let inner = Inner::new(disk, host, files, true);
        if !inner.check_format()? {
            inner.create()?;
        }
        owner::reap(&*inner.disk, inner.host_disk(), inner.owned().as_deref())
            .map_err(at(crate::layout::TMP))?;
        Ok(Self {
            inner: Arc::new(inner),
        })
    }

    /// Returns the absolute path given to `open`; empty for a store that is not on this machine.
    pub fn root_path(&self) -> &Path {
        self.inner
            .host
            .as_ref()
            .map_or(Path::new(""), |host| &host.root)
    }
}

impl Inner {
    fn new(disk: Arc<dyn Disk>, host: Option<Host>, files: Option<Files>, writable: bool) -> Self {
        Self {
            disk,
            host,
            writable,
            gate: Gate::new(files),
            lease: Lease::default(),
            stamps: Stamps::default(),
            owner: Mutex::new(None),
            counter: AtomicU64::new(0),
        }
    }

    pub(crate) fn host_disk(&self) -> Option<&HostDisk> {
        self.host.as_ref().map(|host| &*host.disk)
    }

    /// Returns whether the format is ours; false when there is none yet.
    fn check_format(&self) -> Result<bool, StoreError> {
        let Some(bytes) = self.file(FORMAT)? else {
            return Ok(false);
        };
        if bytes == FORMAT_TEXT.as_bytes() {
            return Ok(true);
        }
        let text = String::from_utf8_lossy(&bytes);
        let first = text.lines().next().unwrap_or_default();
        let version = first.strip_prefix("stagecraft store ");
        match version.and_then(|version| version.parse::<u32>().ok()) {
            Some(2..) => Err(StoreError::Newer {
                found: first.to_owned(),
            }),
            Some(_) | None => Err(StoreError::Format),
        }
    }

    /// Makes an empty store; `FORMAT` comes last and whole.
    fn create(&self) -> Result<(), StoreError> {
        for area in crate::layout::SHARDED {
            self.ensure_dir(area)?;
        }
        for area in [
            crate::layout::ROOTS,
            crate::layout::TREES,
            crate::layout::TRASH,
        ] {
            self.ensure_dir(area)?;
        }
        let temporary = self.write_record(FORMAT_TEXT.as_bytes())?;
        self.sync(vec![temporary.clone(), String::new()])?;
        self.rename(&temporary, FORMAT)?;
        self.sync(vec![String::new()])
    }

    /// Refuses to change a store that was opened for reading.
    pub(crate) fn writable(&self) -> Result<(), StoreError> {
        if self.writable {
            Ok(())
        } else {
            Err(StoreError::ReadOnly)
        }
    }

    pub(crate) fn is_writable(&self) -> bool {
        self.writable
    }

    /// Keeps gc away while the guard lives.
    pub(crate) fn enter(&self) -> Result<Entered<'_>, StoreError> {
        self.gate.enter()
    }

    fn owner(&self) -> MutexGuard<'_, Option<Owner>> {
        self.owner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns our own directory of temporary files, if there is one.
    pub(crate) fn owned(&self) -> Option<String> {
        self.owner().as_ref().map(|owner| owner.path.clone())
    }

    /// Returns a path for a temporary file or directory that nobody else uses.
    pub(crate) fn fresh(&self) -> Result<String, StoreError> {
        self.writable()?;
        let mut owner = self.owner();
        let claimed = match owner.take() {
            Some(claimed) => claimed,
            None => owner::claim(&*self.disk, self.host_disk()).map_err(at(crate::layout::TMP))?,
        };
        let count = self.counter.fetch_add(1, Ordering::Relaxed);
        let path = format!("{}/{count:x}", claimed.path);
        *owner = Some(claimed);
        Ok(path)
    }

    /// Returns the bytes of a small file, unchecked; `None` when it is absent or no file.
    pub(crate) fn file(&self, path: &str) -> Result<Option<Vec<u8>>, StoreError> {
        self.file_of(path, None)
    }

    /// Returns the bytes of a file, unchecked. Of one whose `size` is known, no more than that is read:
    /// the caller compares a digest.
    pub(crate) fn file_of(
        &self,
        path: &str,
        size: Option<u64>,
    ) -> Result<Option<Vec<u8>>, StoreError> {
        match self.disk.open(path).and_then(|file| whole(file, size)) {
            Ok(bytes) => Ok(Some(bytes)),
            Err(error) if is_absent(&error) => Ok(None),
            Err(error) => Err(at(path)(error)),
        }
    }

    /// Makes a directory and its parents; one that is there is fine.
    pub(crate) fn ensure_dir(&self, path: &str) -> Result<(), StoreError> {
        match made(self.disk.change(Change::MakeDir(path))) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == ErrorKind::NotFound => {
                let (parent, _) = path
                    .rsplit_once('/')
                    .ok_or(())
                    .map_err(|()| at(path)(error))?;
                self.ensure_dir(parent)?;
                made(self.disk.change(Change::MakeDir(path)))
                    .map(|_| ())
                    .map_err(at(path))
            }
            Err(error) => Err(at(path)(error)),
        }
    }

    /// Writes a record to a temporary file and returns its path; the caller syncs and renames.
    pub(crate) fn write_record(&self, mut bytes: &[u8]) -> Result<String, StoreError> {
        let path = self.fresh()?;
        self.disk
            .write(&path, &mut bytes, WriteMode::Record)
            .map_err(at(&path))?;
        Ok(path)
    }

    pub(crate) fn rename(&self, from: &str, to: &str) -> Result<(), StoreError> {
        self.disk
            .change(Change::Rename { from, to })
            .map_err(at(to))
    }

    /// Makes paths durable, one by one or all at once, whatever is cheaper.
    pub(crate) fn sync(&self, mut paths: Vec<String>) -> Result<(), StoreError> {
        paths.sort_unstable();
        paths.dedup();
        let scope = match paths.len() {
            0 => return Ok(()),
            count if count <= FEW => Scope::Paths(&paths),
            _ => Scope::Everything,
        };
        self.disk.sync(scope).map_err(at(&paths[0]))
    }

    /// Lists a directory; an absent one is empty.
    pub(crate) fn list(&self, path: &str) -> Result<Vec<(String, crate::disk::Stat)>, StoreError> {
        match self.disk.list(path) {
            Err(error) if is_absent(&error) => Ok(Vec::new()),
            listed => listed.map_err(at(path)),
        }
    }

    /// Removes a file or directory that may be gone already.
    pub(crate) fn discard(&self, change: Change<'_>, path: &str) -> Result<(), StoreError> {
        match self.disk.change(change) {
            Err(error) if is_absent(&error) => Ok(()),
            done => done.map_err(at(path)),
        }
    }
}

/// Reads a file into a buffer that most records and directories fit into: asking for the length
/// first costs more than the one further read that finds the end.
fn whole(mut file: Box<dyn Read + Send>, size: Option<u64>) -> io::Result<Vec<u8>> {
    let limit = size.map_or(usize::MAX, |size| {
        usize::try_from(size).unwrap_or(usize::MAX)
    });
    let mut bytes = Vec::with_capacity(limit.min(SMALL));
    let mut buffer = [0; SMALL];
    while bytes.len() < limit {
        match file.read(&mut buffer[..SMALL.min(limit - bytes.len())]) {
            Ok(0) => break,
            Ok(count) if count == SMALL && limit == usize::MAX => {
                bytes.extend_from_slice(&buffer);
                file.read_to_end(&mut bytes)?;
                break;
            }
            Ok(count) => bytes.extend_from_slice(&buffer[..count]),
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(bytes)
}

/// Returns whether the error says that there is no such file.
pub(crate) fn is_absent(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::InvalidInput
    )
}

impl Drop for Inner {
    fn drop(&mut self) {
        self.end_lease();
        let owner = self.owner().take();
        if let Some(owner) = owner
            && let Err(error) = self.disk.change(Change::RemoveTree(&owner.path))
        {
            tracing::debug!(path = owner.path, %error, "temporary files stay");
        }
    }
}
