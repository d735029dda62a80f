//! What can go wrong in the store, grouped by what a caller can do about it.

use std::io;
use std::path::{Path, PathBuf};

use crate::action::ActionKey;
use crate::digest::Digest;
use crate::disk::Kind;
use crate::record::RecordError;
use crate::root::RootName;
use crate::stream::StreamError;
use crate::tree::TreeError;

/// Why the store could not do something. An absent thing is `None`, never an error.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// A file system call failed. Paths in the store are relative to its layout directory.
    #[error("`{}`: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The store was made by a newer program.
    #[error("store has the format `{found}`, which is newer than this program")]
    Newer {
        /// The first line of its `FORMAT`.
        found: String,
    },
    /// `FORMAT` is not what any version writes.
    #[error("store has a damaged `FORMAT`")]
    Format,
    /// An object's bytes are not those that its name promises.
    #[error("object {digest} is damaged")]
    Corrupt {
        /// Its name.
        digest: Digest,
    },
    /// A root cannot be read, so what it keeps is unknown.
    #[error("root `{name}` is damaged: {source}")]
    DamagedRoot {
        /// Its name.
        name: RootName,
        /// What is wrong with it.
        source: RecordError,
    },
    /// A result refers to objects that are neither in the store nor in the batches.
    #[error("result {key} refers to {} absent objects", missing.len())]
    Incomplete {
        /// The action.
        key: ActionKey,
        /// The absent objects, sorted.
        missing: Vec<Digest>,
    },
    /// An object that was asked for must be there and is not.
    #[error("object {digest} is absent")]
    Absent {
        /// Its name.
        digest: Digest,
    },
    /// A file that is neither a regular file, nor a directory, nor a symlink.
    #[error("`{}` is a {what}, which cannot be stored", path.display())]
    Unsupported {
        /// The file.
        path: PathBuf,
        /// `fifo`, `socket` or `device`.
        what: &'static str,
    },
    /// A file that is not what the operation needs.
    #[error("`{}` is not a {}", path.display(), kind_name(*wanted))]
    NotA {
        /// The file.
        path: PathBuf,
        /// What it must be.
        wanted: Kind,
    },
    /// A name or symlink target that is not UTF-8.
    #[error("`{}` has a name or target that is not UTF-8", path.display())]
    NotUtf8 {
        /// The file, as far as it can be shown.
        path: PathBuf,
    },
    /// Directories nested too deeply.
    #[error("`{}` is nested deeper than 256 directories", path.display())]
    TooDeep {
        /// The file.
        path: PathBuf,
    },
    /// A tree that cannot be.
    #[error(transparent)]
    Tree(#[from] TreeError),
    /// A stream of another store is not one, or not whole.
    #[error(transparent)]
    Stream(#[from] StreamError),
    /// A root of a stream is here already and keeps something else.
    #[error("root `{name}` is here already and keeps something else")]
    RootTaken {
        /// Its name.
        name: RootName,
    },
    /// The target of an export is there already.
    #[error("`{}` exists already", path.display())]
    TargetExists {
        /// The target.
        path: PathBuf,
    },
    /// A living user's lease cannot be read, so what it relies on is unknown.
    #[error("lease `{owner}` is damaged; it goes with the process that holds it")]
    DamagedLease {
        /// The name of its file.
        owner: String,
    },
    /// Another gc runs, or operations of others do not end.
    #[error("store is in use")]
    InUse,
    /// A batch was made by another store.
    #[error("batch belongs to another store")]
    ForeignBatch,
    /// The store was opened for reading only.
    #[error("store is open for reading only")]
    ReadOnly,
    /// The store is not in a directory of this machine.
    #[error("store is not in a directory of this machine")]
    NotOnHost,
}

fn kind_name(kind: Kind) -> &'static str {
    match kind {
        Kind::File => "regular file",
        Kind::Directory => "directory",
        Kind::Symlink => "symlink",
        Kind::Other => "special file",
    }
}

/// Puts the path into an error.
pub(crate) fn at(path: impl AsRef<Path>) -> impl FnOnce(io::Error) -> StoreError {
    let path = path.as_ref().to_owned();
    move |source| StoreError::Io { path, source }
}
