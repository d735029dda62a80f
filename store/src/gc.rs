//! Garbage collection: keeps what roots, leases and recent results reach, removes the rest, beside
//! those who use the store. The protocol and what can go wrong in it are in `spec/store/gc.md`.

pub(crate) mod due;
mod mark;
mod sweep;
pub(crate) mod trash;

use std::collections::BTreeMap;
use std::fmt;
use std::os::fd::OwnedFd;
use std::time::{Duration, SystemTime};

use crate::action::ActionKey;
use crate::error::{StoreError, at};
use crate::layout::TRASH;
use crate::lock;
use crate::root::RootName;
use crate::store::{Inner, Store};
use crate::usage::Amount;

use sweep::Sweep;

/// What gc leaves. Roots, living leases and what they reach always stay.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct GcPolicy {
    /// How many bytes of objects may stay.
    pub max_size: u64,
    /// How long a result stays without use.
    pub max_age: Duration,
    /// How much of the file system is to be free, in percent.
    pub min_free_percent: u8,
    /// How long removed objects can be taken back; their room is free only afterwards.
    pub grace: Duration,
}

impl GcPolicy {
    /// The grace where nobody says otherwise.
    pub const GRACE: Duration = Duration::from_secs(10 * 60);
}

/// Why a result stays or goes.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Fate {
    /// Stays: the root names it.
    Rooted(RootName),
    /// Stays: a process that runs relies on it.
    Leased,
    /// Stays: used lately, and there is room.
    Recent,
    /// Goes: not used for `max_age`.
    Old,
    /// Goes: its record cannot be read, or objects are absent.
    Broken,
    /// Goes: no room left by what was used later, is smaller, or takes longer to make again.
    NoRoom,
}

impl Fate {
    /// Returns whether the result stays.
    pub fn is_kept(&self) -> bool {
        matches!(self, Self::Rooted(_) | Self::Leased | Self::Recent)
    }
}

impl fmt::Display for Fate {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Rooted(name) => write!(f, "root {name} names it"),
            Self::Leased => f.write_str("a running process relies on it"),
            Self::Recent => f.write_str("used lately"),
            Self::Old => f.write_str("not used for longer than max_age"),
            Self::Broken => f.write_str("cannot be read, or has lost objects"),
            Self::NoRoom => f.write_str("does not fit max_size or min_free"),
        }
    }
}

/// What gc removed, or would remove.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct GcReport {
    /// Results that went, by their keys, sorted.
    pub results: Vec<ActionKey>,
    /// Why each result stays or goes.
    pub fates: BTreeMap<ActionKey, Fate>,
    /// Newest leaves of operations.
    pub history: Amount,
    /// Objects.
    pub blobs: Amount,
    /// Executable twins of objects.
    pub twins: Amount,
    /// Materialised trees.
    pub trees: u64,
    /// Files that were set aside before, and can be taken back no longer.
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
    /// Removes what `policy` does not keep, as of `now`. Others use the store meanwhile: they are kept
    /// waiting for milliseconds at a time, and what they rely on stays. Refused with `InUse` while
    /// another gc runs, or when an operation of another process does not end. `dry_run` takes no lock
    /// and changes nothing.
    pub fn gc(
        &self,
        policy: &GcPolicy,
        now: SystemTime,
        dry_run: bool,
    ) -> Result<GcReport, StoreError> {
        let inner = &*self.inner;
        if dry_run {
            return Ok(Sweep::plan(inner, policy, now)?.foreseen());
        }
        inner.writable()?;
        let _only = Only::take(inner)?;
        {
            let _alone = inner.gate.alone()?;
            inner.reap_leases()?;
        }
        let report = Sweep::plan(inner, policy, now)?.run(inner, policy, now)?;
        inner.stamp(now)?;
        Ok(report)
    }
}

/// The one gc that runs.
struct Only {
    _lock: Option<OwnedFd>,
}

impl Only {
    fn take(inner: &Inner) -> Result<Self, StoreError> {
        let Some(host) = inner.host_disk() else {
            return Ok(Self { _lock: None });
        };
        inner.ensure_dir(TRASH)?;
        let lock = host.handle(TRASH).map_err(at(TRASH))?;
        if !lock::exclude(&lock).map_err(|error| at(TRASH)(error.into()))? {
            return Err(StoreError::InUse);
        }
        Ok(Self { _lock: Some(lock) })
    }
}
