//! Claims: who runs an action, so that what two processes need runs once. A claim is a flock on a file
//! of the action's own; it goes with its process, so whoever waits takes over at once.

use std::io;
use std::os::fd::OwnedFd;
use std::sync::Arc;
use std::time::Duration;

use rustix::fs::fstat;

use crate::action::ActionKey;
use crate::digest::Digest;
use crate::disk::{Change, HostDisk};
use crate::error::{StoreError, at};
use crate::layout::CLAIMS;
use crate::lock;
use crate::store::{Inner, Store};

/// How soon whoever waits sees that a claim is free.
const PAUSE: Duration = Duration::from_millis(20);

/// The right to run an action; nobody else has it while this lives.
#[derive(Debug)]
pub struct Claim {
    inner: Arc<Inner>,
    path: String,
    /// Absent on a disk that is not of this machine: nobody else uses that.
    lock: Option<OwnedFd>,
}

impl Store {
    /// Claims an action; `None` when somebody has it. Look for the result again once it is claimed:
    /// whoever had it before may have left one.
    pub fn try_claim(&self, key: &ActionKey) -> Result<Option<Claim>, StoreError> {
        let inner = &self.inner;
        inner.writable()?;
        let path = format!("{CLAIMS}/{}", key.0.hex());
        let lock = match inner.host_disk() {
            None => None,
            Some(host) => {
                inner.ensure_dir(CLAIMS)?;
                let Some(lock) = hold(host, &path).map_err(at(&path))? else {
                    return Ok(None);
                };
                Some(lock)
            }
        };
        Ok(Some(Claim {
            inner: Arc::clone(inner),
            path,
            lock,
        }))
    }

    /// Claims an action, waiting for whoever has it; `None` once `goes_on` says no, which is asked
    /// between two tries. A claim whose owner died is free at once.
    pub fn claim(
        &self,
        key: &ActionKey,
        goes_on: &mut dyn FnMut() -> bool,
    ) -> Result<Option<Claim>, StoreError> {
        loop {
            if let Some(claim) = self.try_claim(key)? {
                return Ok(Some(claim));
            }
            if !goes_on() {
                return Ok(None);
            }
            std::thread::sleep(PAUSE);
        }
    }
}

/// Locks the file; `None` when somebody else does. Who had it removes it while it is still locked, so
/// a lock counts only on the file that bears the name afterwards.
fn hold(host: &HostDisk, path: &str) -> io::Result<Option<OwnedFd>> {
    loop {
        let file = host.handle_or_new(path)?;
        if !lock::try_exclude(&file)? {
            return Ok(None);
        }
        let ours = fstat(&file)?;
        match host.handle(path).map(|named| fstat(&named)) {
            Ok(Ok(named)) if (named.st_dev, named.st_ino) == (ours.st_dev, ours.st_ino) => {
                return Ok(Some(file));
            }
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
    }
}

impl Inner {
    /// Removes the claims of processes that were killed.
    pub(crate) fn reap_claims(&self) -> Result<(), StoreError> {
        let Some(host) = self.host_disk() else {
            return Ok(());
        };
        for (name, _) in self.list(CLAIMS)? {
            let path = format!("{CLAIMS}/{name}");
            if Digest::from_hex(&name).is_ok()
                && let Ok(file) = host.handle(&path)
                && lock::try_exclude(&file).unwrap_or(false)
            {
                self.discard(Change::Remove(&path), &path)?;
            }
        }
        Ok(())
    }
}

impl Drop for Claim {
    fn drop(&mut self) {
        if self.lock.is_some()
            && let Err(error) = self.inner.disk.change(Change::Remove(&self.path))
        {
            tracing::debug!(path = self.path, %error, "file of a claim stays");
        }
    }
}
