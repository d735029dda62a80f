//! `DirectoryError`: why a target directory could not be read or changed.
//! Paths are shown as the configuration writes them.

use std::io;
use std::path::PathBuf;

use stagecraft_store::{Digest, StoreError};

use crate::evaluate::{Cause, Failure};

/// What went wrong on a target.
#[derive(Debug, thiserror::Error)]
pub enum DirectoryError {
    /// A file system call failed.
    #[error("{verb} `{}`: {source}", path.display())]
    Io {
        /// What was tried.
        verb: &'static str,
        /// On what.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// `current` is something that this driver never makes.
    #[error("`{}` is not a link to one of the releases beside it", path.display())]
    Foreign {
        /// The path.
        path: PathBuf,
    },
    /// The release that the target should go back to is damaged.
    #[error("release {id} is no longer whole on the target: {what}")]
    BrokenRelease {
        /// The release.
        id: String,
        /// What is missing.
        what: String,
    },
    /// A tree that should be placed is not in the store.
    #[error("tree {digest} is not in the store")]
    Lost {
        /// The tree or one of its directories.
        digest: Digest,
    },
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The work was told to stop while it waited.
    #[error("interrupted while waiting for another deploy to `{}`", path.display())]
    Cancelled {
        /// The target.
        path: PathBuf,
    },
    /// A switch needs the id of the release that it makes.
    #[error("a switch needs a release")]
    NoRelease,
}

impl DirectoryError {
    /// Returns the failure of an operation that changed nothing that serves.
    pub(crate) fn failure(&self) -> Failure {
        let (cause, hint) = match self {
            Self::Lost { .. }
            | Self::Store(StoreError::Corrupt { .. } | StoreError::Absent { .. }) => (
                Cause::MissingBytes,
                Some("run `stagecraft store verify --repair`, then build again"),
            ),
            Self::Foreign { .. } => (
                Cause::Machine,
                Some("move it away; the driver makes it itself"),
            ),
            Self::Io { .. }
            | Self::Store(_)
            | Self::BrokenRelease { .. }
            | Self::Cancelled { .. }
            | Self::NoRelease => (Cause::Machine, None),
        };
        Failure {
            cause,
            message: self.to_string(),
            hint: hint.map(str::to_owned),
        }
    }
}
