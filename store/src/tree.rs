//! Trees: directories as values. One directory is one REAPI `Directory` message in canonical form;
//! its digest names everything below it. Pure; reads and writes no file.

mod builder;
mod collision;
mod wire;

pub use builder::{BuiltTree, TreeBuilder};
pub(crate) use collision::groups as colliding;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use crate::digest::Digest;

/// How many directories may lie inside each other, and how many names a path may have.
pub const MAX_DEPTH: usize = 256;

/// The longest symlink target, in bytes, that Linux can hold.
const MAX_TARGET: usize = 4095;

/// A REAPI `Digest`: names a blob, or the blob that holds a `Directory` message.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Object {
    /// The hash of the bytes.
    pub digest: Digest,
    /// How many bytes there are.
    pub size: u64,
}

impl Object {
    /// Names `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        Self {
            digest: Digest::of(bytes),
            size: bytes.len() as u64,
        }
    }

    /// Names the empty blob, which is also the empty directory; it is always present.
    pub fn empty() -> Self {
        Self::of(b"")
    }
}

/// The name of a file, directory or symlink inside its directory: 1 to 255 bytes, no `/`, no NUL,
/// neither `.` nor `..`.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct EntryName(String);

impl EntryName {
    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for EntryName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for EntryName {
    type Err = TreeError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let refused = text.is_empty()
            || text.len() > 255
            || text.contains(['/', '\0'])
            || text == "."
            || text == "..";
        if refused {
            return Err(TreeError::Name {
                name: text.to_owned(),
            });
        }
        Ok(Self(text.to_owned()))
    }
}

/// What a name in a directory stands for.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Node {
    /// A regular file.
    File {
        /// Its bytes.
        object: Object,
        /// Whether its owner may execute it.
        executable: bool,
    },
    /// A directory.
    Directory {
        /// Its `Directory` message.
        object: Object,
    },
    /// A symlink; its target is content and is never followed.
    Symlink {
        /// The target, 1 to 4095 bytes without NUL.
        target: String,
    },
}

/// Why a tree cannot be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TreeError {
    /// A name no entry can have.
    #[error("`{name}` is not a file name")]
    Name {
        /// The name.
        name: String,
    },
    /// A path that is not names joined by `/`, or is too deep.
    #[error("`{path}` is not a relative path of plain names")]
    Path {
        /// The path.
        path: String,
    },
    /// A symlink target that no symlink can have.
    #[error("symlink `{path}` has a target that no symlink can have")]
    Target {
        /// The path of the symlink.
        path: String,
    },
    /// Two different things at one path.
    #[error("`{path}` is given twice")]
    Conflict {
        /// The path.
        path: String,
    },
    /// A size that REAPI cannot hold.
    #[error("`{path}` is too large")]
    Size {
        /// The path.
        path: String,
    },
    /// Bytes that are not a canonical `Directory` message.
    #[error("not a canonical directory: byte {at}")]
    NotCanonical {
        /// Where the first fault lies.
        at: usize,
    },
}

/// One directory: names and what they stand for, each name once, sorted by bytes.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Directory {
    entries: BTreeMap<EntryName, Node>,
}

impl Directory {
    /// Returns a directory without entries.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds an entry; refuses a name that is taken and a target or size that cannot be.
    pub fn insert(&mut self, name: EntryName, node: Node) -> Result<(), TreeError> {
        check(&name.0, &node)?;
        if self.entries.contains_key(&name) {
            return Err(TreeError::Conflict { path: name.0 });
        }
        self.entries.insert(name, node);
        Ok(())
    }

    /// Returns the entry of that name.
    pub fn get(&self, name: &str) -> Option<&Node> {
        let name: EntryName = name.parse().ok()?;
        self.entries.get(&name)
    }

    /// Returns the entries, sorted by name.
    pub fn iter(&self) -> impl Iterator<Item = (&EntryName, &Node)> {
        self.entries.iter()
    }

    /// Returns how many entries there are.
    pub fn len(&self) -> usize {
        self.entries.len()
    }

    /// Returns whether there is no entry.
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Returns the canonical REAPI message.
    pub fn encode(&self) -> Vec<u8> {
        wire::encode(&self.entries)
    }

    /// Reads a canonical REAPI message; refuses every other form of it.
    pub fn decode(bytes: &[u8]) -> Result<Self, TreeError> {
        wire::decode(bytes)
    }

    /// Names the encoded directory.
    pub fn object(&self) -> Object {
        Object::of(&self.encode())
    }
}

/// Refuses what a message cannot hold or a file system cannot have.
fn check(path: &str, node: &Node) -> Result<(), TreeError> {
    match node {
        Node::File { object, .. } | Node::Directory { object } => {
            if i64::try_from(object.size).is_err() {
                return Err(TreeError::Size {
                    path: path.to_owned(),
                });
            }
        }
        Node::Symlink { target } => {
            if target.is_empty() || target.len() > MAX_TARGET || target.contains('\0') {
                return Err(TreeError::Target {
                    path: path.to_owned(),
                });
            }
        }
    }
    Ok(())
}

/// Splits `a/b/c` into names.
pub(crate) fn split(path: &str) -> Result<Vec<EntryName>, TreeError> {
    let names: Result<Vec<EntryName>, _> = path.split('/').map(str::parse).collect();
    names
        .ok()
        .filter(|names| names.len() <= MAX_DEPTH)
        .ok_or_else(|| TreeError::Path {
            path: path.to_owned(),
        })
}
