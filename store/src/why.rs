//! Why something is in the store: everything that keeps a digest, or names it. Looks only, and relies
//! on nothing.

use std::collections::BTreeMap;
use std::fmt;

use crate::action::{ActionKey, HistoryKey, decode_history};
use crate::closure::{Listed, Reach, Want, walk, walk_reference};
use crate::digest::Digest;
use crate::error::StoreError;
use crate::layout::{self, CAS, HISTORY, RESULTS, TRASH, TREES};
use crate::root::{Reference, RootName};
use crate::store::{Inner, Store};

/// One reason for which a digest is, or is not, to be found.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// The root reaches it.
    Root(RootName),
    /// What a running process relies on reaches it; the process by boot, id and start.
    Lease(String),
    /// The result of this action reaches it, or is it.
    Result(ActionKey),
    /// It is what went into the last run of an operation.
    History(Digest),
    /// It is a directory tree that lies unpacked in the store.
    Unpacked,
    /// It is an object that nothing above keeps: it goes with the next gc.
    Unused,
    /// gc removed it, and it can be taken back; or it was damaged and set aside. The path says which.
    Trash(String),
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Root(name) => write!(f, "root {name}"),
            Self::Lease(owner) => write!(f, "lease of process {owner}"),
            Self::Result(key) => write!(f, "result {key}"),
            Self::History(key) => write!(f, "last run of operation {key}"),
            Self::Unpacked => f.write_str("unpacked tree"),
            Self::Unused => f.write_str("nothing: it goes with the next gc"),
            Self::Trash(path) => write!(f, "{path}: removed, and deleted with a later gc"),
        }
    }
}

impl Store {
    /// Returns everything that keeps an object, a tree or a result (by its key), sorted; nothing when
    /// the store does not know the digest.
    pub fn why(&self, digest: &Digest) -> Result<Vec<Reason>, StoreError> {
        let inner = &*self.inner;
        let _gate = inner.enter()?;
        let cas = inner.area(CAS)?;
        let sizes: BTreeMap<Digest, u64> = cas
            .files
            .iter()
            .map(|(digest, stat)| (*digest, stat.size))
            .collect();
        let look = Look {
            inner,
            presence: Listed {
                inner,
                sizes: &sizes,
            },
            digest: *digest,
        };
        let mut reasons = look.named()?;
        reasons.extend(look.recorded()?);
        if reasons.is_empty() && sizes.contains_key(digest) {
            reasons.push(Reason::Unused);
        }
        reasons.extend(look.lying()?);
        reasons.sort();
        reasons.dedup();
        Ok(reasons)
    }
}

struct Look<'a> {
    inner: &'a Inner,
    presence: Listed<'a>,
    digest: Digest,
}

impl Look<'_> {
    fn is_reached(&self, reference: &Reference) -> Result<bool, StoreError> {
        let (_, digest) = reference.parts();
        if digest == self.digest {
            return Ok(true);
        }
        let mut reach = Reach::default();
        walk_reference(self.inner, &self.presence, reference, &mut reach)?;
        Ok(reach.objects.contains(&self.digest))
    }

    /// Roots and leases.
    fn named(&self) -> Result<Vec<Reason>, StoreError> {
        let mut reasons = Vec::new();
        for (name, root) in self.inner.roots()? {
            for reference in &root.references {
                if self.is_reached(reference)? {
                    reasons.push(Reason::Root(name.clone()));
                    break;
                }
            }
        }
        for (owner, reference) in self.inner.leased(&mut BTreeMap::new(), false)? {
            if self.inner.is_leased_by_the_living(&layout::lease(&owner))
                && self.is_reached(&reference)?
            {
                reasons.push(Reason::Lease(owner));
            }
        }
        Ok(reasons)
    }

    /// Results and history.
    fn recorded(&self) -> Result<Vec<Reason>, StoreError> {
        let mut reasons = Vec::new();
        for (name, _) in self.inner.area(RESULTS)?.files {
            let key = ActionKey(name);
            let Some(result) = self.inner.record_of(&key)? else {
                continue;
            };
            let mut reach = Reach::default();
            walk(&self.presence, Want::of_result(&result), &mut reach)?;
            if name == self.digest || reach.objects.contains(&self.digest) {
                reasons.push(Reason::Result(key));
            }
        }
        for (name, _) in self.inner.area(HISTORY)?.files {
            let bytes = self.inner.file(&layout::path(HISTORY, &name))?;
            let key = HistoryKey::from_digest(name);
            let leaves = bytes.and_then(|bytes| decode_history(&key, &bytes).ok());
            if leaves == Some(self.digest) {
                reasons.push(Reason::History(name));
            }
        }
        Ok(reasons)
    }

    /// Files that bear its name.
    fn lying(&self) -> Result<Vec<Reason>, StoreError> {
        let hex = self.digest.hex();
        let mut reasons = Vec::new();
        if self.inner.list(TREES)?.iter().any(|(name, _)| *name == hex) {
            reasons.push(Reason::Unpacked);
        }
        for path in self.inner.files_below(TRASH)? {
            if path.ends_with(&hex) {
                reasons.push(Reason::Trash(path));
            }
        }
        Ok(reasons)
    }
}
