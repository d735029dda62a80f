//! Builds a tree from paths. Two different things at one path are an error, in whatever order they
//! come; a grafted subtree is opaque, so nothing can be added below it.

use std::collections::BTreeMap;
use std::collections::btree_map::Entry;

use super::{Directory, EntryName, Node, Object, TreeError, check, split};
use crate::digest::Digest;

/// Collects files, symlinks, directories and subtrees by path (`a/b/c`).
#[derive(Debug, Clone, Default)]
pub struct TreeBuilder {
    root: BTreeMap<EntryName, Slot>,
}

/// A finished tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuiltTree {
    /// The `Directory` message of the top.
    pub root: Object,
    /// Every `Directory` message made here by its digest; grafted ones are elsewhere.
    pub directories: BTreeMap<Digest, Vec<u8>>,
}

#[derive(Debug, Clone)]
enum Slot {
    Node(Node),
    Open(BTreeMap<EntryName, Slot>),
}

impl TreeBuilder {
    /// Starts with an empty tree.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a file; its parents are made.
    pub fn file(&mut self, path: &str, object: &Object, executable: bool) -> Result<(), TreeError> {
        let object = *object;
        self.place(path, Node::File { object, executable })
    }

    /// Adds a symlink; its parents are made.
    pub fn symlink(&mut self, path: &str, target: &str) -> Result<(), TreeError> {
        let target = target.to_owned();
        self.place(path, Node::Symlink { target })
    }

    /// Adds a whole directory by its object; nothing else can be at or below `path`.
    pub fn graft(&mut self, path: &str, subtree: Object) -> Result<(), TreeError> {
        self.place(path, Node::Directory { object: subtree })
    }

    /// Makes sure that there is a directory; one that is there already is fine.
    pub fn directory(&mut self, path: &str) -> Result<(), TreeError> {
        let names = split(path)?;
        open(&mut self.root, names, path).map(|_| ())
    }

    fn place(&mut self, path: &str, node: Node) -> Result<(), TreeError> {
        check(path, &node)?;
        let mut names = split(path)?;
        let Some(name) = names.pop() else {
            return Ok(());
        };
        let parent = open(&mut self.root, names, path)?;
        match parent.entry(name) {
            Entry::Vacant(entry) => {
                entry.insert(Slot::Node(node));
                Ok(())
            }
            Entry::Occupied(entry) => match entry.get() {
                Slot::Node(there) if *there == node => Ok(()),
                Slot::Node(_) | Slot::Open(_) => Err(TreeError::Conflict {
                    path: path.to_owned(),
                }),
            },
        }
    }

    /// Encodes every directory, deepest first.
    pub fn build(self) -> BuiltTree {
        let mut directories = BTreeMap::new();
        let root = close(self.root, &mut |object, bytes| {
            directories.insert(object.digest, bytes);
        });
        BuiltTree { root, directories }
    }

    /// Returns what [`TreeBuilder::build`] names its top, and keeps no bytes.
    pub fn root(self) -> Object {
        close(self.root, &mut |_, _| {})
    }
}

fn open<'a>(
    root: &'a mut BTreeMap<EntryName, Slot>,
    names: Vec<EntryName>,
    path: &str,
) -> Result<&'a mut BTreeMap<EntryName, Slot>, TreeError> {
    let mut current = root;
    for name in names {
        match current
            .entry(name)
            .or_insert_with(|| Slot::Open(BTreeMap::new()))
        {
            Slot::Open(below) => current = below,
            Slot::Node(_) => {
                return Err(TreeError::Conflict {
                    path: path.to_owned(),
                });
            }
        }
    }
    Ok(current)
}

/// Recursion is bounded: `split` refuses paths deeper than `MAX_DEPTH`.
fn close(slots: BTreeMap<EntryName, Slot>, made: &mut dyn FnMut(Object, Vec<u8>)) -> Object {
    let nodes = slots.into_iter().map(|(name, slot)| match slot {
        Slot::Node(node) => (name, node),
        Slot::Open(below) => {
            let object = close(below, made);
            (name, Node::Directory { object })
        }
    });
    let directory = Directory {
        entries: nodes.collect(),
    };
    let bytes = directory.encode();
    let object = Object::of(&bytes);
    made(object, bytes);
    object
}

#[cfg(test)]
mod tests {
    use super::*;

    fn conflict(path: &str) -> Result<(), TreeError> {
        Err(TreeError::Conflict {
            path: path.to_owned(),
        })
    }

    /// spec: store/format R9
    #[test]
    fn conflicts_name_the_path_in_either_order() {
        let one = Object::of(b"1");
        let mut builder = TreeBuilder::new();
        builder.file("a/b", &one, false).unwrap();
        assert_eq!(builder.file("a/b", &one, false), Ok(()));
        assert_eq!(builder.file("a/b", &one, true), conflict("a/b"));
        assert_eq!(builder.file("a/b/c", &one, true), conflict("a/b/c"));
        assert_eq!(builder.file("a", &one, true), conflict("a"));
        assert_eq!(builder.directory("a"), Ok(()));
        assert_eq!(builder.directory("a/b"), conflict("a/b"));
        assert_eq!(builder.graft("a", Object::empty()), conflict("a"));
        builder.graft("deps", Object::empty()).unwrap();
        assert_eq!(builder.symlink("deps/x", "y"), conflict("deps/x"));
    }

    /// spec: store/format R9
    #[test]
    fn paths_are_plain() {
        let mut builder = TreeBuilder::new();
        let deep = vec!["d"; super::super::MAX_DEPTH + 1].join("/");
        for path in ["", "/a", "a/", "a//b", "../a", "a/./b", "a\0", &deep] {
            assert!(builder.directory(path).is_err(), "{path}");
        }
        assert!(builder.symlink("a", "").is_err());
    }

    /// spec: store/format R9
    #[test]
    fn grafting_equals_building() {
        let one = Object::of(b"1");
        let mut below = TreeBuilder::new();
        below.file("x", &one, true).unwrap();
        let mut grafted = TreeBuilder::new();
        grafted.graft("a/b", below.build().root).unwrap();
        let mut whole = TreeBuilder::new();
        whole.file("a/b/x", &one, true).unwrap();
        assert_eq!(grafted.build().root, whole.clone().build().root);
        assert_eq!(whole.clone().root(), whole.build().root);
    }
}
