//! Mark: what stays, and why. Looks only; runs beside those who use the store, so everything it
//! decides is looked at again, with the leases of that moment, before anything is removed.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};
use std::time::{Duration, SystemTime};

use super::{Fate, GcPolicy};
use crate::action::{ActionKey, HistoryKey, decode_history};
use crate::closure::{Listed, Presence, Reach, Want, walk, walk_reference};
use crate::digest::Digest;
use crate::error::{StoreError, at};
use crate::inventory::Area;
use crate::layout::{self, CAS, HISTORY, RESULTS};
use crate::root::{Reference, RootName};
use crate::store::Inner;
use crate::tree::Directory;

/// A history entry as it was listed.
#[derive(Debug, Clone, Copy)]
pub(super) struct Entry {
    pub(super) digest: Digest,
    pub(super) size: u64,
    pub(super) written: SystemTime,
}

/// Finds what stays.
pub(super) struct Mark<'a> {
    inner: &'a Inner,
    sizes: BTreeMap<Digest, u64>,
    /// Bytes of an object together with its twin.
    weights: BTreeMap<Digest, u64>,
    pub(super) reach: Reach,
    pub(super) incomplete_roots: Vec<RootName>,
    /// Results that leases name.
    pub(super) leased: BTreeSet<ActionKey>,
    /// How much of each lease was read.
    seen: BTreeMap<String, u64>,
    /// What leases named while it, or a part of it, was not there: it may have come since.
    unresolved: BTreeSet<Reference>,
    pub(super) fates: BTreeMap<ActionKey, Fate>,
}

/// A result that may stay if there is room.
struct Candidate {
    key: ActionKey,
    reach: Reach,
    burden: Burden,
}

/// What keeping a result costs: bytes for as long as nobody used them, by milliseconds to make them again.
type Burden = u128;

impl<'a> Mark<'a> {
    pub(super) fn new(inner: &'a Inner, blobs: &Area, twins: &Area) -> Self {
        let sizes: BTreeMap<Digest, u64> = blobs
            .files
            .iter()
            .map(|(digest, stat)| (*digest, stat.size))
            .collect();
        let mut weights = sizes.clone();
        for (digest, stat) in &twins.files {
            *weights.entry(*digest).or_default() += stat.size;
        }
        Self {
            inner,
            sizes,
            weights,
            reach: Reach::default(),
            incomplete_roots: Vec::new(),
            leased: BTreeSet::new(),
            seen: BTreeMap::new(),
            unresolved: BTreeSet::new(),
            fates: BTreeMap::new(),
        }
    }

    fn presence(&self) -> Fresh<'_> {
        Fresh(Listed {
            inner: self.inner,
            sizes: &self.sizes,
        })
    }

    /// How many bytes may stay, so that neither `max_size` is exceeded nor too little left free.
    pub(super) fn limit(&self, policy: &GcPolicy) -> Result<u64, StoreError> {
        let space = self.inner.disk.space().map_err(at("."))?;
        let percent = u64::from(policy.min_free_percent.min(100));
        let wanted = space.total / 100 * percent;
        let held: u64 = self.weights.values().sum();
        let fits = space.free.saturating_add(held).saturating_sub(wanted);
        Ok(policy.max_size.min(fits))
    }

    /// Marks what roots reach, and gives the results they name their fate.
    pub(super) fn roots(&mut self) -> Result<(), StoreError> {
        for (name, root) in self.inner.roots()? {
            let mut reach = Reach::default();
            for reference in &root.references {
                if let Reference::Result(key) = reference {
                    let fate = || Fate::Rooted(name.clone());
                    self.fates.entry(*key).or_insert_with(fate);
                }
                walk_reference(self.inner, &self.presence(), reference, &mut reach)?;
            }
            if !reach.missing.is_empty() {
                self.incomplete_roots.push(name);
            }
            self.merge(reach);
        }
        Ok(())
    }

    /// Marks what leases name beyond what was marked before. With `alone`, inside the gate alone, this
    /// is all that anybody relies on.
    pub(super) fn leases(&mut self, alone: bool) -> Result<(), StoreError> {
        let named = self.inner.leased(&mut self.seen, alone)?;
        let mut named: BTreeSet<Reference> = named.into_iter().map(|(_, one)| one).collect();
        named.append(&mut self.unresolved);
        for reference in named {
            if let Reference::Result(key) = reference {
                self.leased.insert(key);
            }
            let mut reach = Reach::default();
            walk_reference(self.inner, &self.presence(), &reference, &mut reach)?;
            if !reach.missing.is_empty() {
                self.unresolved.insert(reference);
            }
            self.merge(reach);
        }
        Ok(())
    }

    fn merge(&mut self, reach: Reach) {
        self.reach.objects.extend(reach.objects);
        self.reach.trees.extend(reach.trees);
    }

    /// Marks the leaves of operations that ran lately; returns the other entries.
    pub(super) fn recent_history(
        &mut self,
        policy: &GcPolicy,
        now: SystemTime,
    ) -> Result<Vec<Entry>, StoreError> {
        let mut old = Vec::new();
        for (digest, stat) in self.inner.area(HISTORY)?.files {
            let leaves = if is_older(stat.modified, policy.max_age, now) {
                None
            } else {
                self.leaves(digest)?
            };
            match leaves {
                Some(leaves) => {
                    self.reach.objects.insert(leaves);
                }
                None => old.push(Entry {
                    digest,
                    size: stat.size,
                    written: stat.modified,
                }),
            }
        }
        Ok(old)
    }

    fn leaves(&self, digest: Digest) -> Result<Option<Digest>, StoreError> {
        let bytes = self.inner.file(&layout::path(HISTORY, &digest))?;
        let key = HistoryKey::from_digest(digest);
        Ok(bytes.and_then(|bytes| decode_history(&key, &bytes).ok()))
    }

    /// Returns the entries whose leaves nothing else keeps.
    pub(super) fn unreached_history(&self, old: Vec<Entry>) -> Result<Vec<Entry>, StoreError> {
        let mut going = Vec::new();
        for entry in old {
            let leaves = self.leaves(entry.digest)?;
            if !leaves.is_some_and(|leaves| self.reach.objects.contains(&leaves)) {
                going.push(entry);
            }
        }
        Ok(going)
    }

    /// Marks results, the least burden first, as long as they are young, whole and fit; gives every
    /// result its fate.
    pub(super) fn results(
        &mut self,
        policy: &GcPolicy,
        now: SystemTime,
        limit: u64,
    ) -> Result<(), StoreError> {
        let mut candidates = self.candidates(policy, now)?;
        candidates.sort_by_key(|candidate| (candidate.burden, candidate.key));
        let mut size: u64 = self.bytes(&self.reach.objects);
        let mut full = false;
        for Candidate { key, reach, .. } in candidates {
            if !full {
                let added = reach.objects.difference(&self.reach.objects);
                let added: u64 = added.map(|digest| self.weight(digest)).sum();
                full = size.saturating_add(added) > limit;
                size = size.saturating_add(added);
            }
            let fate = if full { Fate::NoRoom } else { Fate::Recent };
            self.fates.insert(key, fate);
            if !full {
                self.merge(reach);
            }
        }
        Ok(())
    }

    /// Sorts out what stays or goes whatever room there is; returns the others.
    fn candidates(
        &mut self,
        policy: &GcPolicy,
        now: SystemTime,
    ) -> Result<Vec<Candidate>, StoreError> {
        let mut results = self.inner.area(RESULTS)?.files;
        results.sort_by_key(|(digest, stat)| (Reverse(stat.modified), *digest));
        let mut candidates = Vec::new();
        for (digest, stat) in results {
            let key = ActionKey(digest);
            if self.fates.contains_key(&key) {
                continue;
            }
            if self.leased.contains(&key) {
                self.fates.insert(key, Fate::Leased);
                continue;
            }
            if is_older(stat.modified, policy.max_age, now) {
                self.fates.insert(key, Fate::Old);
                continue;
            }
            let Some(record) = self.inner.record_of(&key)? else {
                self.fates.insert(key, Fate::Broken);
                continue;
            };
            let mut reach = Reach::default();
            walk(&self.presence(), Want::of_result(&record), &mut reach)?;
            if !reach.missing.is_empty() {
                self.fates.insert(key, Fate::Broken);
                continue;
            }
            let unused = now.duration_since(stat.modified).unwrap_or_default();
            let bytes = self.bytes(&reach.objects);
            candidates.push(Candidate {
                key,
                burden: burden(unused, bytes, record.milliseconds),
                reach,
            });
        }
        Ok(candidates)
    }

    fn bytes(&self, objects: &BTreeSet<Digest>) -> u64 {
        objects.iter().map(|digest| self.weight(digest)).sum()
    }

    fn weight(&self, digest: &Digest) -> u64 {
        self.weights.get(digest).copied().unwrap_or(0)
    }
}

/// The listing, and for what came after it the disk. Takes nothing back from the trash: that is for
/// those who need it.
struct Fresh<'a>(Listed<'a>);

impl Presence for Fresh<'_> {
    fn is_there(&self, digest: &Digest, size: Option<u64>) -> Result<bool, StoreError> {
        if self.0.is_there(digest, size)? {
            return Ok(true);
        }
        let path = layout::path(CAS, digest);
        let stat = self.0.inner.disk.stat(&path).map_err(at(&path))?;
        Ok(stat.is_some_and(|stat| size.is_none_or(|size| size == stat.size)))
    }

    fn directory(
        &self,
        digest: &Digest,
        size: Option<u64>,
    ) -> Result<Option<Directory>, StoreError> {
        if self.is_there(digest, size)? {
            self.0.inner.directory_of(digest, size)
        } else {
            Ok(None)
        }
    }
}

/// Seconds without use times bytes, by milliseconds to make them again; none of them counts as nothing.
fn burden(unused: Duration, bytes: u64, milliseconds: u64) -> Burden {
    let seconds = u128::from(unused.as_secs()) + 1;
    let kept = seconds.saturating_mul(u128::from(bytes) + 1);
    kept.saturating_mul(1000) / (u128::from(milliseconds) + 1)
}

fn is_older(used: SystemTime, age: Duration, now: SystemTime) -> bool {
    now.duration_since(used).is_ok_and(|since| since > age)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec: store/gc R10
    #[test]
    fn large_old_and_cheap_is_a_burden() {
        let hour = Duration::from_secs(3600);
        let usual = burden(hour, 1000, 1000);
        assert!(burden(hour * 2, 1000, 1000) > usual);
        assert!(burden(hour, 2000, 1000) > usual);
        assert!(burden(hour, 1000, 500) > usual);
        assert!(burden(hour * 2, 1000, 4000) < usual);
        assert!(burden(Duration::MAX, u64::MAX, 0) > burden(hour, u64::MAX, 0));
        assert!(burden(Duration::ZERO, 0, u64::MAX) < usual);
    }
}
