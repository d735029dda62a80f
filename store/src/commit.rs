//! Commit: the one way in. What is visible is durable, and what refers comes after what it refers to:
//! bytes, then names of objects, then results, then history; each step is synced before the next.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::sync::Arc;

use crate::action::{ActionKey, ActionResult, HistoryKey, encode_history};
use crate::batch::{Batch, Staged};
use crate::closure::{Reach, Want};
use crate::digest::Digest;
use crate::disk::Change;
use crate::error::{StoreError, at};
use crate::layout::{self, CAS, HISTORY, RESULTS};
use crate::root::Reference;
use crate::store::{Inner, Store};

impl Store {
    /// Makes the objects of `batches` and then `results` and `history` visible and durable, for all
    /// of them at the price of one. Everything a result refers to must be in the store or in the
    /// batches, else nothing is published but objects. On an error, what was visible before still is.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "a committed batch is used up, and removes its files when it is dropped"
    )]
    pub fn commit(
        &self,
        batches: Vec<Batch>,
        results: Vec<(ActionKey, ActionResult)>,
        history: Vec<(HistoryKey, Digest)>,
    ) -> Result<(), StoreError> {
        let inner = &*self.inner;
        let _gate = inner.enter()?;
        inner.writable()?;
        let mut objects = BTreeMap::new();
        for batch in &batches {
            if !Arc::ptr_eq(&batch.staging.inner, &self.inner) {
                return Err(StoreError::ForeignBatch);
            }
            for (digest, staged) in &*batch.staging.staged() {
                objects.entry(*digest).or_insert_with(|| staged.clone());
            }
        }
        // Before anything is visible: a process that is killed below leaves its lease.
        inner.rely_anew(results.iter().map(|(key, _)| Reference::Result(*key)));
        let mut unsynced = inner.place_objects(&objects)?;
        let mut reach = Reach::default();
        for (key, result) in &results {
            inner.check_result(key, result, &mut reach)?;
        }
        let loose = objects
            .keys()
            .filter(|digest| !reach.objects.contains(digest));
        inner.rely(loose.map(|digest| Reference::Blob(*digest)));
        inner.rely(history.iter().map(|(_, leaves)| Reference::Blob(*leaves)));
        for (_, leaves) in &history {
            if !inner.is_sound(leaves, None)? {
                return Err(StoreError::Absent { digest: *leaves });
            }
        }
        let mut records = Vec::new();
        for (key, result) in results {
            let temporary = inner.write_record(&result.encode(&key))?;
            records.push((temporary, RESULTS, key.0));
        }
        for (key, leaves) in history {
            let temporary = inner.write_record(&encode_history(&key, &leaves))?;
            records.push((temporary, HISTORY, *key.digest()));
        }
        unsynced.extend(records.iter().map(|(temporary, ..)| temporary.clone()));
        inner.sync(unsynced)?;
        inner.publish(records)
    }
}

impl Inner {
    /// Syncs the bytes of staged objects, then gives them their names. Returns the directories
    /// whose names are to be synced, also those of objects which another process has just placed.
    fn place_objects(&self, objects: &BTreeMap<Digest, Staged>) -> Result<Vec<String>, StoreError> {
        let files = objects.values().filter_map(|staged| staged.file.clone());
        self.sync(files.collect())?;
        let mut names = BTreeSet::new();
        for (digest, staged) in objects {
            let shard = layout::shard(CAS, digest);
            match &staged.file {
                Some(file) => self.place(file, digest, staged.size, &shard)?,
                None if self.is_sound(digest, Some(staged.size))? => {}
                None => return Err(StoreError::Absent { digest: *digest }),
            }
            names.insert(shard);
        }
        if !names.is_empty() {
            names.insert(CAS.to_owned());
        }
        Ok(names.into_iter().collect())
    }

    /// The first writer wins; only an object that is damaged is replaced.
    fn place(&self, from: &str, digest: &Digest, size: u64, shard: &str) -> Result<(), StoreError> {
        let to = layout::path(CAS, digest);
        let placed = match self.place_once(from, &to) {
            Err(error) if error.kind() == ErrorKind::NotFound => {
                self.ensure_dir(shard)?;
                self.place_once(from, &to)
            }
            placed => placed,
        };
        match placed {
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {
                if self.is_sound(digest, Some(size))? {
                    return Ok(());
                }
                self.rename(from, &to)
            }
            placed => placed.map_err(at(to)),
        }
    }

    fn place_once(&self, from: &str, to: &str) -> std::io::Result<()> {
        self.disk.change(Change::Place { from, to })
    }

    fn check_result(
        &self,
        key: &ActionKey,
        result: &ActionResult,
        reach: &mut Reach,
    ) -> Result<(), StoreError> {
        self.reach(Want::of_result(result), reach)?;
        if reach.missing.is_empty() {
            return Ok(());
        }
        Err(StoreError::Incomplete {
            key: *key,
            missing: reach.missing.iter().copied().collect(),
        })
    }

    /// Gives synced records their names, results first, and syncs those.
    fn publish(&self, records: Vec<(String, &'static str, Digest)>) -> Result<(), StoreError> {
        let mut names = BTreeSet::new();
        for (temporary, area, digest) in records {
            let shard = layout::shard(area, &digest);
            self.ensure_dir(&shard)?;
            self.rename(&temporary, &layout::path(area, &digest))?;
            names.insert(shard);
            names.insert(area.to_owned());
        }
        self.sync(names.into_iter().collect())
    }
}
