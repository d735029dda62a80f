//! When gc is due: a day after the last one, or when the file system fills up. The stamp of the last
//! one is a small record; when it cannot be read, gc is due.

use std::time::{Duration, SystemTime};

use super::{GcPolicy, GcReport};
use crate::encode::Encoder;
use crate::error::{StoreError, at};
use crate::layout::STAMP;
use crate::record::{self, Kind, RecordError};
use crate::store::{Inner, Store};

/// Between two gcs while there is room.
const EVERY: Duration = Duration::from_secs(24 * 60 * 60);
/// Between two gcs while there is too little.
const PRESSED: Duration = Duration::from_secs(10 * 60);

impl Store {
    /// Returns whether a gc is due: by one small file and one look at how full the file system is. A
    /// store that was never asked is not due: the day begins.
    pub fn is_gc_due(&self, policy: &GcPolicy, now: SystemTime) -> Result<bool, StoreError> {
        self.inner.is_gc_due(policy, now)
    }

    /// Runs gc if it is due; `None` when it is not, or when another gc runs.
    pub fn gc_if_due(
        &self,
        policy: &GcPolicy,
        now: SystemTime,
    ) -> Result<Option<GcReport>, StoreError> {
        self.inner.writable()?;
        if !self.inner.is_gc_due(policy, now)? {
            return Ok(None);
        }
        match self.gc(policy, now, false) {
            Err(StoreError::InUse) => Ok(None),
            done => done.map(Some),
        }
    }
}

impl Inner {
    fn is_gc_due(&self, policy: &GcPolicy, now: SystemTime) -> Result<bool, StoreError> {
        let Some(bytes) = self.file(STAMP)? else {
            if self.is_writable() {
                self.stamp(now)?;
            }
            return Ok(false);
        };
        let Ok(last) = decode(&bytes) else {
            return Ok(true);
        };
        // A stamp from the future says nothing.
        let Ok(since) = now.duration_since(last) else {
            return Ok(true);
        };
        if since >= EVERY {
            return Ok(true);
        }
        let space = self.disk.space().map_err(at("."))?;
        let wanted = space.total / 100 * u64::from(policy.min_free_percent.min(100));
        Ok(since >= PRESSED && space.free < wanted)
    }

    /// Notes that gc ran.
    pub(super) fn stamp(&self, now: SystemTime) -> Result<(), StoreError> {
        let since = now.duration_since(SystemTime::UNIX_EPOCH);
        let mut body = Encoder::new();
        body.u64(since.unwrap_or_default().as_secs());
        let temporary = self.write_record(&record::seal(Kind::Stamp, body))?;
        self.sync(vec![temporary.clone()])?;
        self.rename(&temporary, STAMP)
    }
}

/// Reads a stamp.
pub(crate) fn decode(bytes: &[u8]) -> Result<SystemTime, RecordError> {
    let mut body = record::unseal(Kind::Stamp, bytes)?;
    let seconds = body.u64()?;
    body.finish()?;
    let time = SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds));
    time.ok_or(RecordError::Misplaced)
}
