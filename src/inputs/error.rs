//! `InputError`: why the inputs of a plan could not be gathered.
//! Knows no exit code; what a person can fix in a file is a located fault, all of them at once.

use std::io;
use std::path::PathBuf;

use crate::config::Diagnostics;

/// Why the inputs of a plan could not be gathered.
#[derive(Debug, thiserror::Error)]
pub enum InputError {
    /// Inputs or tools that the configuration names cannot be used; every one of them.
    #[error("{0}")]
    Faults(Diagnostics),
    /// A text that should be a glob is none.
    #[error("`{glob}` is not a glob")]
    Glob {
        /// The text.
        glob: String,
        /// What is wrong with it.
        source: globset::Error,
    },
    /// A file or directory could not be read.
    #[error("failed to read `{path}`")]
    Read {
        /// The file: from the project root for one of the project's, else absolute.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// Directories are nested deeper than a tree may be.
    #[error("`{path}` lies more than {limit} directories deep")]
    Depth {
        /// The directory, from the project root.
        path: String,
        /// How deep a tree may be.
        limit: usize,
    },
    /// A name that a glob of `include` or `for` matches is not UTF-8.
    #[error("the name of `{path}` is not UTF-8")]
    Name {
        /// The path, with the offending bytes replaced.
        path: String,
    },
    /// A file was changed again and again while it was read.
    #[error("`{path}` changes while it is read")]
    Unstable {
        /// The file: from the project root for one of the project's, else absolute.
        path: PathBuf,
    },
    /// The key that secrets are fingerprinted with could not be read or made.
    #[error("failed to use `{path}`")]
    Fingerprint {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
    /// The snapshot could not be written; a cache, so nothing is lost but time.
    #[error("failed to write `{path}`")]
    Save {
        /// The file.
        path: PathBuf,
        /// Why.
        source: io::Error,
    },
}
