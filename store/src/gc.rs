//! Garbage collection: keeps what roots and recent results reach, removes the rest. Runs alone: it
//! holds the exclusive lock, so nobody can come to need what it removes.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, PoisonError};
use std::time::{Duration, SystemTime};

use crate::action::{ActionKey, HistoryKey, decode_history};
use crate::closure::{Listed, Reach, Want, walk, walk_reference};
use crate::digest::Digest;
use crate::disk::{Change, Kind, Scope};
use crate::error::{StoreError, at};
use crate::inventory::Area;
use crate::layout::{self, CAS, CASX, HISTORY, RESULTS, TRASH, TREES};
use crate::lock;
use crate::owner;
use crate::root::{Reference, RootName};
use crate::store::{Inner, Store};
use crate::usage::Amount;

/// What gc leaves. Roots and what they reach always stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GcPolicy {
    /// How many bytes of objects may stay.
    pub max_size: u64,
    /// How long a result stays without use.
    pub max_age: Duration,
    /// How much of the file system is to be free, in percent.
    pub min_free_percent: u8,
}

/// What gc removed, or would remove.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GcReport {
    /// Results, by their keys, sorted.
    pub results: Vec<ActionKey>,
    /// Newest leaves of operations.
    pub history: Amount,
    /// Objects.
    pub blobs: Amount,
    /// Executable twins of objects.
    pub twins: Amount,
    /// Materialised trees.
    pub trees: u64,
    /// Files that were set aside before.
    pub trash: u64,
    /// Objects and twins that stay.
    pub kept: Amount,
    /// Roots that refer to something absent or damaged, sorted; they stay as they are.
    pub incomplete_roots: Vec<RootName>,
}

impl GcReport {
    /// Returns the bytes of objects and twins that went.
    pub fn freed(&self) -> u64 {
        self.blobs.bytes + self.twins.bytes
    }
}

impl Store {
    /// Removes what `policy` does not keep, as of `now`. Waits three seconds for other users of the
    /// store to go, then is refused with `InUse`; also refused while batches or scratch directories
    /// of this store are open. `dry_run` waits for nobody and changes nothing.
    pub fn gc(
        &self,
        policy: &GcPolicy,
        now: SystemTime,
        dry_run: bool,
    ) -> Result<GcReport, StoreError> {
        let inner = &*self.inner;
        if dry_run {
            let _gate = inner.enter();
            return Ok(Sweep::plan(inner, policy, now)?.report);
        }
        inner.writable()?;
        let gate = inner.gate.write().unwrap_or_else(PoisonError::into_inner);
        if Arc::strong_count(&inner.activity) > 1 {
            return Err(StoreError::InUse);
        }
        let alone = Alone::take(inner)?;
        let sweep = Sweep::plan(inner, policy, now)?;
        sweep.run(inner)?;
        drop(alone);
        drop(gate);
        Ok(sweep.report)
    }
}

/// Holds the exclusive lock; takes the shared one again when it goes.
struct Alone<'a>(&'a Inner);

impl<'a> Alone<'a> {
    fn take(inner: &'a Inner) -> Result<Self, StoreError> {
        let alone = Self(inner);
        if let Some(lock) = inner.host.as_ref().and_then(|host| host.lock.as_ref())
            && !lock::exclude(lock).map_err(|error| at(layout::LOCK)(error.into()))?
        {
            return Err(StoreError::InUse);
        }
        Ok(alone)
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        if let Some(lock) = self.0.host.as_ref().and_then(|host| host.lock.as_ref())
            && !lock::share(lock).unwrap_or(false)
        {
            tracing::warn!("store goes on without its lock");
        }
    }
}

/// Everything that is to go.
struct Sweep {
    blobs: Vec<Digest>,
    twins: Vec<Digest>,
    history: Vec<Digest>,
    trees: Vec<String>,
    trash: Vec<(String, Kind)>,
    report: GcReport,
}

impl Sweep {
    fn plan(inner: &Inner, policy: &GcPolicy, now: SystemTime) -> Result<Self, StoreError> {
        let blobs = inner.area(CAS)?;
        let twins = inner.area(CASX)?;
        let mut mark = Mark::new(inner, &blobs, &twins);
        let limit = mark.limit(policy)?;
        let rooted = mark.roots()?;
        let old_history = mark.recent_history(policy, now)?;
        let results = mark.results(policy, now, &rooted, limit)?;
        let history = mark.reached_history(old_history)?;
        let mut sweep = Self {
            blobs: Vec::new(),
            twins: Vec::new(),
            history: Vec::new(),
            trees: Vec::new(),
            trash: Vec::new(),
            report: GcReport {
                results,
                incomplete_roots: mark.incomplete_roots,
                ..GcReport::default()
            },
        };
        let reach = mark.reach;
        let report = &mut sweep.report;
        for (area, going, amount) in [
            (&blobs, &mut sweep.blobs, &mut report.blobs),
            (&twins, &mut sweep.twins, &mut report.twins),
        ] {
            for (digest, stat) in &area.files {
                if reach.objects.contains(digest) {
                    report.kept.add(stat.size);
                } else {
                    going.push(*digest);
                    amount.add(stat.size);
                }
            }
        }
        for (digest, size) in history {
            sweep.history.push(digest);
            report.history.add(size);
        }
        for (name, _) in inner.list(TREES)? {
            let kept = Digest::from_hex(&name).is_ok_and(|tree| reach.trees.contains(&tree));
            if !kept {
                sweep.trees.push(format!("{TREES}/{name}"));
                report.trees += 1;
            }
        }
        for (name, stat) in inner.list(TRASH)? {
            sweep.trash.push((format!("{TRASH}/{name}"), stat.kind));
            report.trash += 1;
        }
        Ok(sweep)
    }

    /// Removes what refers before what it refers to, so that a crash leaves nothing dangling.
    fn run(&self, inner: &Inner) -> Result<(), StoreError> {
        let results = self.report.results.iter().map(|key| key.0).collect();
        remove(inner, RESULTS, &results)?;
        remove(inner, HISTORY, &self.history)?;
        inner.disk.sync(Scope::Everything).map_err(at(RESULTS))?;
        for tree in &self.trees {
            inner.set_aside(tree)?;
        }
        remove(inner, CASX, &self.twins)?;
        remove(inner, CAS, &self.blobs)?;
        for (path, kind) in &self.trash {
            let change = if *kind == Kind::Directory {
                Change::RemoveTree(path)
            } else {
                Change::Remove(path)
            };
            inner.discard(change, path)?;
        }
        owner::reap(&*inner.disk, inner.host_disk(), inner.owned().as_deref())
            .map_err(at(layout::TMP))
    }
}

fn remove(inner: &Inner, area: &str, digests: &Vec<Digest>) -> Result<(), StoreError> {
    let mut shards = BTreeSet::new();
    for digest in digests {
        let path = layout::path(area, digest);
        inner.discard(Change::Remove(&path), &path)?;
        shards.insert(layout::shard(area, digest));
    }
    for shard in shards {
        if inner.list(&shard)?.is_empty() {
            inner.discard(Change::RemoveDir(&shard), &shard)?;
        }
    }
    Ok(())
}

/// Finds what stays.
struct Mark<'a> {
    inner: &'a Inner,
    sizes: BTreeMap<Digest, u64>,
    /// Bytes of an object together with its twin.
    weights: BTreeMap<Digest, u64>,
    reach: Reach,
    incomplete_roots: Vec<RootName>,
}

impl<'a> Mark<'a> {
    fn new(inner: &'a Inner, blobs: &Area, twins: &Area) -> Self {
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
        }
    }

    fn presence(&self) -> Listed<'_> {
        Listed {
            inner: self.inner,
            sizes: &self.sizes,
        }
    }

    /// How many bytes may stay, so that neither `max_size` is exceeded nor too little left free.
    fn limit(&self, policy: &GcPolicy) -> Result<u64, StoreError> {
        let space = self.inner.disk.space().map_err(at("."))?;
        let percent = u64::from(policy.min_free_percent.min(100));
        let wanted = space.total / 100 * percent;
        let held: u64 = self.weights.values().sum();
        let fits = space.free.saturating_add(held).saturating_sub(wanted);
        Ok(policy.max_size.min(fits))
    }

    /// Marks what roots reach; returns the results that roots name.
    fn roots(&mut self) -> Result<BTreeSet<ActionKey>, StoreError> {
        let mut rooted = BTreeSet::new();
        for (name, root) in self.inner.roots()? {
            let mut reach = Reach::default();
            for reference in &root.references {
                if let Reference::Result(key) = reference {
                    rooted.insert(*key);
                }
                walk_reference(self.inner, &self.presence(), reference, &mut reach)?;
            }
            if !reach.missing.is_empty() {
                self.incomplete_roots.push(name);
            }
            self.merge(reach);
        }
        Ok(rooted)
    }

    fn merge(&mut self, reach: Reach) {
        self.reach.objects.extend(reach.objects);
        self.reach.trees.extend(reach.trees);
    }

    /// Marks the leaves of operations that ran lately; returns the other entries with their sizes.
    fn recent_history(
        &mut self,
        policy: &GcPolicy,
        now: SystemTime,
    ) -> Result<Vec<(Digest, u64)>, StoreError> {
        let mut old = Vec::new();
        for (digest, stat) in self.inner.area(HISTORY)?.files {
            if is_older(stat.modified, policy.max_age, now) {
                old.push((digest, stat.size));
            } else if let Some(leaves) = self.leaves(digest)? {
                self.reach.objects.insert(leaves);
            } else {
                old.push((digest, stat.size));
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
    fn reached_history(&self, old: Vec<(Digest, u64)>) -> Result<Vec<(Digest, u64)>, StoreError> {
        let mut going = Vec::new();
        for (digest, size) in old {
            let leaves = self.leaves(digest)?;
            if !leaves.is_some_and(|leaves| self.reach.objects.contains(&leaves)) {
                going.push((digest, size));
            }
        }
        Ok(going)
    }

    /// Marks results, the last used first, as long as they are young, whole and fit; returns the
    /// keys of those that go.
    fn results(
        &mut self,
        policy: &GcPolicy,
        now: SystemTime,
        rooted: &BTreeSet<ActionKey>,
        limit: u64,
    ) -> Result<Vec<ActionKey>, StoreError> {
        let mut results = self.inner.area(RESULTS)?.files;
        results.sort_by_key(|(digest, stat)| (std::cmp::Reverse(stat.modified), *digest));
        let mut size: u64 = self
            .reach
            .objects
            .iter()
            .map(|digest| self.weight(digest))
            .sum();
        let mut full = false;
        let mut going = Vec::new();
        for (digest, stat) in results {
            let key = ActionKey(digest);
            if rooted.contains(&key) {
                continue;
            }
            let old = is_older(stat.modified, policy.max_age, now);
            let record = if old || full {
                None
            } else {
                self.inner.record_of(&key)?
            };
            let Some(record) = record else {
                going.push(key);
                continue;
            };
            let mut reach = Reach::default();
            walk(&self.presence(), Want::of_result(&record), &mut reach)?;
            let added: u64 = reach
                .objects
                .difference(&self.reach.objects)
                .map(|digest| self.weight(digest))
                .sum();
            full = size.saturating_add(added) > limit;
            if full || !reach.missing.is_empty() {
                going.push(key);
                continue;
            }
            size += added;
            self.merge(reach);
        }
        going.sort_unstable();
        Ok(going)
    }

    fn weight(&self, digest: &Digest) -> u64 {
        self.weights.get(digest).copied().unwrap_or(0)
    }
}

fn is_older(used: SystemTime, age: Duration, now: SystemTime) -> bool {
    now.duration_since(used).is_ok_and(|since| since > age)
}
