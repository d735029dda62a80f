//! The gate between users and gc. Every operation of the store is inside it, together with all other
//! operations; a batch of gc is inside alone. Operations are short, and so are batches: what a user
//! relies on between two operations is named by its lease, not kept by the gate.

use std::os::fd::OwnedFd;
use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::Duration;

use rustix::io::Errno;

use crate::error::{StoreError, at};
use crate::layout::LOCK;
use crate::lock;

/// How often gc tries to get in; between two tries users pass.
const TRIES: u32 = 3;
/// How long users pass between two tries.
const LET_PASS: Duration = Duration::from_millis(200);

/// Threads of this process pass by `inside`, processes by flocks on `files`.
#[derive(Debug)]
pub(crate) struct Gate {
    inside: RwLock<()>,
    /// How many operations of this store are inside; they share one flock.
    users: Mutex<u64>,
    files: Option<Files>,
}

/// What processes lock.
#[derive(Debug)]
pub(crate) struct Files {
    /// Held shared by users inside, exclusively by a batch of gc.
    pub(crate) lock: OwnedFd,
    /// Passed by users on their way in, held by a gc that waits, so that it gets its turn. A store
    /// that is only read may have none.
    pub(crate) turn: Option<OwnedFd>,
}

/// An operation that is inside.
#[derive(Debug)]
pub(crate) struct Entered<'a> {
    gate: &'a Gate,
    _inside: RwLockReadGuard<'a, ()>,
}

/// A batch of gc that is inside alone.
#[derive(Debug)]
pub(crate) struct Alone<'a> {
    gate: &'a Gate,
    _inside: RwLockWriteGuard<'a, ()>,
}

impl Gate {
    pub(crate) fn new(files: Option<Files>) -> Self {
        Self {
            inside: RwLock::new(()),
            users: Mutex::new(0),
            files,
        }
    }

    /// Goes inside; waits while a batch of gc is. A thread that is inside must not enter again.
    pub(crate) fn enter(&self) -> Result<Entered<'_>, StoreError> {
        let inside = self.inside.read().unwrap_or_else(PoisonError::into_inner);
        let mut users = self.users();
        if *users == 0
            && let Some(files) = &self.files
        {
            files.join()?;
        }
        *users += 1;
        Ok(Entered {
            gate: self,
            _inside: inside,
        })
    }

    /// Stays inside for the life of the store; only for whoever is inside.
    pub(crate) fn stay(&self) {
        *self.users() += 1;
    }

    /// Goes inside alone; `InUse` when operations of others do not end.
    pub(crate) fn alone(&self) -> Result<Alone<'_>, StoreError> {
        for attempt in 0..TRIES {
            if attempt > 0 {
                std::thread::sleep(LET_PASS);
            }
            let inside = self.inside.write().unwrap_or_else(PoisonError::into_inner);
            if *self.users() > 0 {
                return Err(StoreError::InUse);
            }
            let alone = match &self.files {
                None => true,
                Some(files) => files.exclude()?,
            };
            if alone {
                return Ok(Alone {
                    gate: self,
                    _inside: inside,
                });
            }
        }
        Err(StoreError::InUse)
    }

    fn users(&self) -> MutexGuard<'_, u64> {
        self.users.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn leave(&self) {
        if let Some(files) = &self.files
            && let Err(error) = lock::release(&files.lock)
        {
            tracing::warn!(%error, "lock of the store is not given up");
        }
    }
}

impl Files {
    fn join(&self) -> Result<(), StoreError> {
        let failed = |error: Errno| at(LOCK)(error.into());
        if let Some(turn) = &self.turn
            && !lock::share(turn).map_err(failed)?
        {
            return Err(StoreError::InUse);
        }
        let joined = lock::share(&self.lock).map_err(failed);
        if let Some(turn) = &self.turn {
            lock::release(turn).map_err(failed)?;
        }
        if joined? {
            Ok(())
        } else {
            Err(StoreError::InUse)
        }
    }

    /// Waits for those inside, and lets nobody in meanwhile; false when they did not leave.
    fn exclude(&self) -> Result<bool, StoreError> {
        let failed = |error: Errno| at(LOCK)(error.into());
        if let Some(turn) = &self.turn
            && !lock::exclude(turn).map_err(failed)?
        {
            return Ok(false);
        }
        let alone = lock::exclude(&self.lock).map_err(failed);
        if let Some(turn) = &self.turn {
            lock::release(turn).map_err(failed)?;
        }
        alone
    }
}

impl Drop for Entered<'_> {
    fn drop(&mut self) {
        let mut users = self.gate.users();
        *users -= 1;
        if *users == 0 {
            self.gate.leave();
        }
    }
}

impl Drop for Alone<'_> {
    fn drop(&mut self) {
        self.gate.leave();
    }
}
