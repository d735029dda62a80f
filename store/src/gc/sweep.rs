//! Sweep: removes what does not stay, in short batches inside the gate alone. Each batch first reads
//! what leases name by then. What refers goes before what it refers to.

use std::collections::BTreeSet;
use std::time::SystemTime;

use super::mark::{Entry, Mark};
use super::{GcPolicy, GcReport, trash};
use crate::action::ActionKey;
use crate::digest::Digest;
use crate::disk::{Change, Scope};
use crate::error::{StoreError, at};
use crate::gate::Alone;
use crate::layout::{self, CAS, CASX, HISTORY, RESULTS, TMP, TREES};
use crate::owner;
use crate::store::Inner;
use crate::usage::Amount;

/// How many files a batch moves: some milliseconds.
const BATCH: usize = 500;

/// Everything that may go, and what says whether it does.
pub(super) struct Sweep<'a> {
    mark: Mark<'a>,
    results: Vec<ActionKey>,
    history: Vec<Entry>,
    trees: Vec<String>,
    twins: Vec<(Digest, u64)>,
    blobs: Vec<(Digest, u64)>,
    report: GcReport,
}

impl<'a> Sweep<'a> {
    /// Looks at everything. Objects are listed before anything is marked: what comes later is no
    /// candidate.
    pub(super) fn plan(
        inner: &'a Inner,
        policy: &GcPolicy,
        now: SystemTime,
    ) -> Result<Self, StoreError> {
        let blobs = inner.area(CAS)?;
        let twins = inner.area(CASX)?;
        let trees = inner.list(TREES)?;
        let mut mark = Mark::new(inner, &blobs, &twins);
        let limit = mark.limit(policy)?;
        mark.roots()?;
        mark.leases(false)?;
        let old_history = mark.recent_history(policy, now)?;
        mark.results(policy, now, limit)?;
        let history = mark.unreached_history(old_history)?;
        let mut kept = Amount::default();
        let mut going = |files: &[(Digest, crate::disk::Stat)]| {
            let mut going = Vec::new();
            for (digest, stat) in files {
                if mark.reach.objects.contains(digest) {
                    kept.add(stat.size);
                } else {
                    going.push((*digest, stat.size));
                }
            }
            going
        };
        let (blobs, twins) = (going(&blobs.files), going(&twins.files));
        let goes = |name: &String| {
            !Digest::from_hex(name).is_ok_and(|tree| mark.reach.trees.contains(&tree))
        };
        let names = trees.into_iter().map(|(name, _)| name);
        let gone = mark.fates.iter().filter(|(_, fate)| !fate.is_kept());
        Ok(Self {
            results: gone.map(|(key, _)| *key).collect(),
            history,
            trees: names.filter(goes).collect(),
            twins,
            blobs,
            report: GcReport {
                fates: mark.fates.clone(),
                incomplete_roots: mark.incomplete_roots.clone(),
                trash: inner.expired(now, policy.grace)?.len() as u64,
                kept,
                ..GcReport::default()
            },
            mark,
        })
    }

    /// Returns the report of a gc that nobody interferes with.
    pub(super) fn foreseen(self) -> GcReport {
        let sum = |files: &[(Digest, u64)]| {
            let mut amount = Amount::default();
            for (_, size) in files {
                amount.add(*size);
            }
            amount
        };
        let mut report = self.report;
        report.results = self.results;
        report.trees = self.trees.len() as u64;
        report.twins = sum(&self.twins);
        report.blobs = sum(&self.blobs);
        for entry in &self.history {
            report.history.add(entry.size);
        }
        report
    }

    /// Removes records, then, when that is durable, what they kept.
    pub(super) fn run(
        mut self,
        inner: &Inner,
        policy: &GcPolicy,
        now: SystemTime,
    ) -> Result<GcReport, StoreError> {
        inner.empty_trash(now, policy.grace)?;
        self.results(inner)?;
        self.history(inner)?;
        inner.disk.sync(Scope::Everything).map_err(at(RESULTS))?;
        self.trees(inner)?;
        self.twins(inner)?;
        self.blobs(inner, &trash::directory(now))?;
        inner.empty_trash(now, policy.grace)?;
        inner.reap_claims()?;
        owner::reap(&*inner.disk, inner.host_disk(), inner.owned().as_deref()).map_err(at(TMP))?;
        Ok(self.report)
    }

    /// Goes inside alone, knowing all that anybody relies on. Most of it is read before, so that
    /// nobody waits for that.
    fn alone<'i>(&mut self, inner: &'i Inner) -> Result<Alone<'i>, StoreError> {
        self.mark.leases(false)?;
        let alone = inner.gate.alone()?;
        self.mark.leases(true)?;
        Ok(alone)
    }

    fn results(&mut self, inner: &Inner) -> Result<(), StoreError> {
        let results = std::mem::take(&mut self.results);
        for batch in results.chunks(BATCH) {
            let _alone = self.alone(inner)?;
            let mut shards = BTreeSet::new();
            for key in batch {
                if self.mark.leased.contains(key) {
                    self.report.fates.insert(*key, super::Fate::Leased);
                    continue;
                }
                remove(inner, RESULTS, &key.0, &mut shards)?;
                self.report.results.push(*key);
            }
            tidy(inner, shards)?;
        }
        Ok(())
    }

    fn history(&mut self, inner: &Inner) -> Result<(), StoreError> {
        let history = std::mem::take(&mut self.history);
        for batch in history.chunks(BATCH) {
            let _alone = self.alone(inner)?;
            let mut shards = BTreeSet::new();
            for entry in batch {
                let path = layout::path(HISTORY, &entry.digest);
                let stat = inner.disk.stat(&path).map_err(at(&path))?;
                // Written again since it was listed.
                if stat.is_none_or(|stat| stat.modified != entry.written) {
                    continue;
                }
                remove(inner, HISTORY, &entry.digest, &mut shards)?;
                self.report.history.add(entry.size);
            }
            tidy(inner, shards)?;
        }
        Ok(())
    }

    /// Trees are moved while nobody looks and removed, which takes longer, afterwards.
    fn trees(&mut self, inner: &Inner) -> Result<(), StoreError> {
        for name in std::mem::take(&mut self.trees) {
            let moved = {
                let _alone = self.alone(inner)?;
                let kept =
                    Digest::from_hex(&name).is_ok_and(|tree| self.mark.reach.trees.contains(&tree));
                if kept {
                    continue;
                }
                inner.move_aside(&format!("{TREES}/{name}"))?
            };
            self.report.trees += 1;
            if let Some(moved) = moved {
                inner.discard(Change::RemoveTree(&moved), &moved)?;
            }
        }
        Ok(())
    }

    fn twins(&mut self, inner: &Inner) -> Result<(), StoreError> {
        let twins = std::mem::take(&mut self.twins);
        for batch in twins.chunks(BATCH) {
            let _alone = self.alone(inner)?;
            let mut shards = BTreeSet::new();
            for (digest, size) in batch {
                if self.mark.reach.objects.contains(digest) {
                    self.report.kept.add(*size);
                    continue;
                }
                remove(inner, CASX, digest, &mut shards)?;
                self.report.twins.add(*size);
            }
            tidy(inner, shards)?;
        }
        Ok(())
    }

    fn blobs(&mut self, inner: &Inner, aside: &str) -> Result<(), StoreError> {
        let blobs = std::mem::take(&mut self.blobs);
        if !blobs.is_empty() {
            inner.ensure_dir(aside)?;
        }
        for batch in blobs.chunks(BATCH) {
            let _alone = self.alone(inner)?;
            let mut shards = BTreeSet::new();
            for (digest, size) in batch {
                if self.mark.reach.objects.contains(digest) {
                    self.report.kept.add(*size);
                    continue;
                }
                let from = layout::path(CAS, digest);
                let to = format!("{aside}/{}", digest.hex());
                let (from, to) = (from.as_str(), to.as_str());
                inner.discard(Change::Rename { from, to }, from)?;
                shards.insert(layout::shard(CAS, digest));
                self.report.blobs.add(*size);
            }
            tidy(inner, shards)?;
        }
        Ok(())
    }
}

fn remove(
    inner: &Inner,
    area: &str,
    digest: &Digest,
    shards: &mut BTreeSet<String>,
) -> Result<(), StoreError> {
    let path = layout::path(area, digest);
    inner.discard(Change::Remove(&path), &path)?;
    shards.insert(layout::shard(area, digest));
    Ok(())
}

/// Removes shard directories that became empty.
fn tidy(inner: &Inner, shards: BTreeSet<String>) -> Result<(), StoreError> {
    for shard in shards {
        if inner.list(&shard)?.is_empty() {
            inner.discard(Change::RemoveDir(&shard), &shard)?;
        }
    }
    Ok(())
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "effects: the clock of a test")]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::action::ActionResult;
    use crate::batch::Batch;
    use crate::root::Reference;
    use crate::store::Store;
    use crate::tree::{Object, TreeBuilder};

    const NOTHING: GcPolicy = GcPolicy {
        max_size: 0,
        max_age: Duration::MAX,
        min_free_percent: 0,
        grace: Duration::ZERO,
    };

    fn key() -> ActionKey {
        ActionKey(Digest::of(b"key"))
    }

    fn made(store: &Store) -> (Batch, ActionResult) {
        let mut batch = store.batch();
        let mut tree = TreeBuilder::new();
        let object = batch.put(b"made").unwrap();
        tree.file("bin/tool", &object, false).unwrap();
        let tree = tree.build();
        batch.add_tree(&tree).unwrap();
        let result = ActionResult {
            op_hash: Digest::of(b"op"),
            output: tree.root,
            log: Object::empty(),
            leaves: Object::empty(),
            level: 2,
            milliseconds: 1,
        };
        (batch, result)
    }

    /// Runs a gc that has looked at everything when `meanwhile` happens.
    fn gc_around(root: &std::path::Path, meanwhile: impl FnOnce()) {
        let store = Store::open(root).unwrap();
        let now = SystemTime::now();
        let sweep = Sweep::plan(&store.inner, &NOTHING, now).unwrap();
        meanwhile();
        sweep.run(&store.inner, &NOTHING, now).unwrap();
    }

    /// spec: store/gc R4
    #[test]
    fn a_result_that_was_named_before_it_was_there_keeps_what_it_refers_to() {
        let top = tempfile::tempdir().unwrap();
        let user = Store::open(top.path()).unwrap();
        assert!(user.result(&key()).unwrap().is_none());
        let (batch, result) = made(&user);
        let maker = Store::open(top.path()).unwrap();
        let (same, _) = made(&maker);
        maker.commit(vec![same], vec![], vec![]).unwrap();
        drop(maker);
        gc_around(top.path(), || {
            let results = vec![(key(), result)];
            user.commit(vec![batch], results, vec![]).unwrap();
        });
        assert_eq!(user.result(&key()).unwrap(), Some(result));
    }

    /// spec: store/gc R4, store/gc R1
    #[test]
    fn a_result_that_was_made_again_keeps_what_it_refers_to() {
        let top = tempfile::tempdir().unwrap();
        let user = Store::open(top.path()).unwrap();
        let (batch, result) = made(&user);
        let other = ActionResult {
            output: Object::empty(),
            ..result
        };
        user.commit(vec![], vec![(key(), other)], vec![]).unwrap();
        let maker = Store::open(top.path()).unwrap();
        let (same, _) = made(&maker);
        maker.commit(vec![same], vec![], vec![]).unwrap();
        drop(maker);
        gc_around(top.path(), || {
            let results = vec![(key(), result)];
            user.commit(vec![batch], results, vec![]).unwrap();
        });
        assert_eq!(user.result(&key()).unwrap(), Some(result));
        assert_eq!(user.missing(&[Reference::Result(key())]).unwrap(), []);
    }
}
