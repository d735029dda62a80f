//! The seam between the store and a file system. Paths are relative to the store's directory,
//! names joined by `/`; nothing behind this seam knows what a file means.

mod beneath;
mod host;
mod remove;

pub(crate) use beneath::{directory_beneath, file_beneath};
pub use host::HostDisk;
pub(crate) use host::{set_object_time, translate};
pub(crate) use remove::remove_tree;

use std::io::{self, Read};
use std::time::{Duration, SystemTime};

/// The modification time of every object file: one second after the epoch.
///
/// Whoever writes into a file moves its time, so one look shows that an object was touched.
pub fn object_time() -> SystemTime {
    SystemTime::UNIX_EPOCH + Duration::from_secs(OBJECT_SECONDS)
}

/// [`object_time`] in seconds after the epoch.
pub(crate) const OBJECT_SECONDS: u64 = 1;

/// What a written file looks like.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum WriteMode {
    /// An object: mode 0444, modified at [`object_time`].
    Object,
    /// The executable twin of an object: mode 0555, modified at [`object_time`].
    Twin,
    /// A record: mode 0666 as the umask allows, modified now.
    Record,
}

/// What lies at a path.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A regular file.
    File,
    /// A directory.
    Directory,
    /// A symlink.
    Symlink,
    /// A device, fifo or socket.
    Other,
}

/// What a file system says of a path, without following symlinks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stat {
    /// What it is.
    pub kind: Kind,
    /// The length of a file in bytes; of other kinds, nothing to rely on.
    pub size: u64,
    /// When it was last written.
    pub modified: SystemTime,
    /// Equal for two names of one file, and for those only.
    pub inode: u64,
}

/// A change of names.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Change<'a> {
    /// Makes a directory with mode 0777 as the umask allows; its parent exists, itself it does not.
    MakeDir(&'a str),
    /// Moves a file to a name that must be free: `AlreadyExists` otherwise, and nothing moved.
    Place {
        /// The old name.
        from: &'a str,
        /// The new name.
        to: &'a str,
    },
    /// Moves a file or directory; a file at the new name is replaced at once.
    Rename {
        /// The old name.
        from: &'a str,
        /// The new name.
        to: &'a str,
    },
    /// Removes a file.
    Remove(&'a str),
    /// Removes an empty directory.
    RemoveDir(&'a str),
    /// Removes a directory and all below it, also what is read-only; follows no symlink.
    RemoveTree(&'a str),
    /// Sets the modification time of a file to now if it is older than `age`.
    Touch {
        /// The file.
        path: &'a str,
        /// How old it may be without a write.
        age: Duration,
    },
}

/// What must be on the medium when [`Disk::sync`] returns.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope<'a> {
    /// The bytes of these files, and the names in these directories.
    Paths(&'a [String]),
    /// Everything written before the call.
    Everything,
}

/// How large the file system is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Space {
    /// Bytes that can still be written.
    pub free: u64,
    /// Bytes in all.
    pub total: u64,
}

/// A file system that holds one store.
///
/// Contract: an absent path is `None` from `stat`, and `NotFound` from every other call. A file that
/// was written is not durable before it is synced, and neither is a name before its directory is.
/// `write` and `Place` never touch what is there already. A failed call may have had a part of its
/// effect. Calls come from many threads.
pub trait Disk: Send + Sync {
    /// Writes a new file and returns its length; `AlreadyExists` when the name is taken.
    fn write(&self, path: &str, source: &mut dyn Read, mode: WriteMode) -> io::Result<u64>;
    /// Opens a file for reading; refuses what is not a regular file with `InvalidInput`.
    fn open(&self, path: &str) -> io::Result<Box<dyn Read + Send>>;
    /// Says what lies at a path; follows no symlink.
    fn stat(&self, path: &str) -> io::Result<Option<Stat>>;
    /// Lists a directory, sorted by name.
    fn list(&self, path: &str) -> io::Result<Vec<(String, Stat)>>;
    /// Changes names.
    fn change(&self, change: Change<'_>) -> io::Result<()>;
    /// Returns once `scope` is durable.
    fn sync(&self, scope: Scope<'_>) -> io::Result<()>;
    /// Says how much room there is.
    fn space(&self) -> io::Result<Space>;
}
