//! Trash: objects that gc removed, below the second of their removal. Whoever looks for one within
//! the grace takes it back by one rename; afterwards it is deleted.

use std::sync::{Mutex, PoisonError};
use std::time::{Duration, SystemTime};

use crate::digest::Digest;
use crate::disk::{Change, Kind};
use crate::error::{StoreError, at};
use crate::layout::{self, CAS, TRASH};
use crate::store::Inner;

/// The directories of removed objects as they were listed when `trash/` had that time: saves most of
/// the listing. A stale list costs a look for an object, never an object.
#[derive(Debug, Default)]
pub(crate) struct Stamps(Mutex<Option<(SystemTime, Vec<String>)>>);

/// Returns the second in which the objects in a directory of `trash/` were removed.
fn stamp(name: &str) -> Option<SystemTime> {
    let seconds: u64 = name.parse().ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

/// Returns the directory for objects that are removed at `now`.
pub(super) fn directory(now: SystemTime) -> String {
    let since = now.duration_since(SystemTime::UNIX_EPOCH);
    format!("{TRASH}/{}", since.unwrap_or_default().as_secs())
}

/// Returns whether what was removed at `removed` may be deleted: the grace is over, or the clock was
/// set back so far that its end cannot be told.
fn is_over(removed: SystemTime, now: SystemTime, grace: Duration) -> bool {
    match now.duration_since(removed) {
        Ok(since) => since >= grace,
        Err(ahead) => ahead.duration() > grace,
    }
}

impl Inner {
    /// Takes a removed object back; returns whether it is in its place again.
    pub(crate) fn recall(&self, digest: &Digest) -> Result<bool, StoreError> {
        if !self.is_writable() {
            return Ok(false);
        }
        let to = layout::path(CAS, digest);
        for directory in self.stamps()? {
            let from = format!("{directory}/{}", digest.hex());
            if self.disk.stat(&from).map_err(at(&from))?.is_none() {
                continue;
            }
            self.ensure_dir(&layout::shard(CAS, digest))?;
            match self.disk.change(Change::Place {
                from: &from,
                to: &to,
            }) {
                Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => return Ok(true),
                placed => return placed.map(|()| true).map_err(at(&to)),
            }
        }
        Ok(false)
    }

    /// Returns the directories of removed objects.
    pub(crate) fn stamps(&self) -> Result<Vec<String>, StoreError> {
        let Some(stat) = self.disk.stat(TRASH).map_err(at(TRASH))? else {
            return Ok(Vec::new());
        };
        let mut cached = self.stamps.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((modified, stamps)) = &*cached
            && *modified == stat.modified
            && self.host.is_some()
        {
            return Ok(stamps.clone());
        }
        let listed = self.list(TRASH)?;
        let stamps: Vec<String> = listed
            .iter()
            .filter(|(name, stat)| stat.kind == Kind::Directory && stamp(name).is_some())
            .map(|(name, _)| format!("{TRASH}/{name}"))
            .collect();
        *cached = Some((stat.modified, stamps.clone()));
        Ok(stamps)
    }

    /// Returns what of `trash/` is to be deleted: what was set aside, and objects whose grace is over.
    pub(super) fn expired(
        &self,
        now: SystemTime,
        grace: Duration,
    ) -> Result<Vec<(String, Kind)>, StoreError> {
        let mut expired = Vec::new();
        for (name, stat) in self.list(TRASH)? {
            let path = format!("{TRASH}/{name}");
            match stamp(&name) {
                Some(removed) if stat.kind == Kind::Directory => {
                    if is_over(removed, now, grace) {
                        let files = self.list(&path)?.into_iter();
                        expired.extend(
                            files.map(|(name, stat)| (format!("{path}/{name}"), stat.kind)),
                        );
                    }
                }
                Some(_) | None => expired.push((path, stat.kind)),
            }
        }
        Ok(expired)
    }

    /// Deletes what is over. Somebody may take an object back at the same time: one of the two gets it.
    pub(super) fn empty_trash(&self, now: SystemTime, grace: Duration) -> Result<u64, StoreError> {
        let expired = self.expired(now, grace)?;
        for (path, kind) in &expired {
            let change = if *kind == Kind::Directory {
                Change::RemoveTree(path)
            } else {
                Change::Remove(path)
            };
            self.discard(change, path)?;
        }
        for directory in self.stamps()? {
            if self.list(&directory)?.is_empty() {
                self.discard(Change::RemoveDir(&directory), &directory)?;
            }
        }
        Ok(expired.len() as u64)
    }
}
