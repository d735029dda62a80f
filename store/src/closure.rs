//! Closures: everything that can be reached from a reference. One walk serves lookups, gc and
//! verify; it is a loop over a stack, so that no tree is too deep for it.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use crate::action::ActionResult;
use crate::digest::Digest;
use crate::error::StoreError;
use crate::root::Reference;
use crate::store::Inner;
use crate::tree::{Directory, Node, Object};

/// This many files are looked at by several threads; fewer are not worth waking them.
const MANY: usize = 512;

/// Something a walk looks for; the size is known unless a bare digest was given.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Want {
    Blob(Digest, Option<u64>),
    Tree(Digest, Option<u64>),
}

impl Want {
    /// What a result refers to.
    pub(crate) fn of_result(result: &ActionResult) -> Vec<Self> {
        let blob = |object: Object| Self::Blob(object.digest, Some(object.size));
        vec![
            blob(result.log),
            blob(result.leaves),
            Self::Tree(result.output.digest, Some(result.output.size)),
        ]
    }
}

/// What a walk, or several one after the other, found.
#[derive(Debug, Default)]
pub(crate) struct Reach {
    /// Every object that is there.
    pub(crate) objects: BTreeSet<Digest>,
    /// Those of them that were reached as directories, whole or not.
    pub(crate) trees: BTreeSet<Digest>,
    /// What is not there, damaged or of another size.
    pub(crate) missing: BTreeSet<Digest>,
    stop_at_gap: bool,
}

impl Reach {
    /// A walk that ends at the first absent object.
    pub(crate) fn first_gap() -> Self {
        Self {
            stop_at_gap: true,
            ..Self::default()
        }
    }
}

/// Where a walk finds out whether objects are there.
pub(crate) trait Presence: Sync {
    /// Whether the object is there with that size and, as far as known, whole.
    fn is_there(&self, digest: &Digest, size: Option<u64>) -> Result<bool, StoreError>;
    /// The directory of that name, if it is there and whole; `size` is what `is_there` just agreed to.
    fn directory(
        &self,
        digest: &Digest,
        size: Option<u64>,
    ) -> Result<Option<Directory>, StoreError>;
}

impl Presence for Inner {
    fn is_there(&self, digest: &Digest, size: Option<u64>) -> Result<bool, StoreError> {
        self.is_sound(digest, size)
    }

    fn directory(
        &self,
        digest: &Digest,
        size: Option<u64>,
    ) -> Result<Option<Directory>, StoreError> {
        self.directory_of(digest, size)
    }
}

/// The objects of a store as they were listed, by size: saves a look at each file.
pub(crate) struct Listed<'a> {
    pub(crate) inner: &'a Inner,
    pub(crate) sizes: &'a BTreeMap<Digest, u64>,
}

impl Presence for Listed<'_> {
    fn is_there(&self, digest: &Digest, size: Option<u64>) -> Result<bool, StoreError> {
        let empty = *digest == Object::empty().digest;
        let found = self.sizes.get(digest).copied().or(empty.then_some(0));
        Ok(found.is_some_and(|found| size.is_none_or(|size| size == found)))
    }

    fn directory(
        &self,
        digest: &Digest,
        _size: Option<u64>,
    ) -> Result<Option<Directory>, StoreError> {
        if self.is_there(digest, None)? {
            self.inner.directory(digest)
        } else {
            Ok(None)
        }
    }
}

/// Adds everything that can be reached from `start` to `reach`.
pub(crate) fn walk(
    presence: &dyn Presence,
    start: Vec<Want>,
    reach: &mut Reach,
) -> Result<(), StoreError> {
    let mut stack = start;
    // Looked at together, from however many directories they come.
    let mut files = Vec::new();
    while let Some(want) = stack.pop() {
        if reach.stop_at_gap && !reach.missing.is_empty() {
            return Ok(());
        }
        match want {
            Want::Blob(digest, size) => {
                if presence.is_there(&digest, size)? {
                    reach.objects.insert(digest);
                } else {
                    reach.missing.insert(digest);
                }
            }
            Want::Tree(digest, size) => {
                if reach.trees.contains(&digest) {
                    continue;
                }
                let whole = presence.is_there(&digest, size)?;
                let directory = if whole {
                    presence.directory(&digest, size)?
                } else {
                    None
                };
                let Some(directory) = directory else {
                    reach.missing.insert(digest);
                    continue;
                };
                reach.objects.insert(digest);
                reach.trees.insert(digest);
                for (_, node) in directory.iter() {
                    match node {
                        Node::File { object, .. } => files.push(*object),
                        Node::Directory { object } => {
                            stack.push(Want::Tree(object.digest, Some(object.size)));
                        }
                        Node::Symlink { .. } => {}
                    }
                }
                if files.len() >= MANY {
                    look_at_files(presence, &files, reach)?;
                    files.clear();
                }
            }
        }
    }
    look_at_files(presence, &files, reach)
}

/// Looks at files, many of them on all cores: a look is a system call.
fn look_at_files(
    presence: &dyn Presence,
    files: &[Object],
    reach: &mut Reach,
) -> Result<(), StoreError> {
    let look = |object: &Object| {
        let there = presence.is_there(&object.digest, Some(object.size))?;
        Ok((object.digest, there))
    };
    let looked: Vec<Result<(Digest, bool), StoreError>> = if files.len() < MANY {
        files.iter().map(look).collect()
    } else {
        files.par_iter().map(look).collect()
    };
    for one in looked {
        let (digest, there) = one?;
        let set = if there {
            &mut reach.objects
        } else {
            &mut reach.missing
        };
        set.insert(digest);
    }
    Ok(())
}

/// Adds a reference and everything below it; an absent result is missing under its key's digest.
pub(crate) fn walk_reference(
    inner: &Inner,
    presence: &dyn Presence,
    reference: &Reference,
    reach: &mut Reach,
) -> Result<(), StoreError> {
    let start = match reference {
        Reference::Blob(digest) => vec![Want::Blob(*digest, None)],
        Reference::Tree(digest) => vec![Want::Tree(*digest, None)],
        Reference::Result(key) => {
            let result = inner.record_of(key)?;
            if result.is_none() {
                reach.missing.insert(key.0);
            }
            result.as_ref().map(Want::of_result).unwrap_or_default()
        }
    };
    walk(presence, start, reach)
}

impl Inner {
    pub(crate) fn reach(&self, start: Vec<Want>, reach: &mut Reach) -> Result<(), StoreError> {
        walk(self, start, reach)
    }

    pub(crate) fn reach_reference(
        &self,
        reference: &Reference,
        reach: &mut Reach,
    ) -> Result<(), StoreError> {
        walk_reference(self, self, reference, reach)
    }
}
