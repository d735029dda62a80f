//! Locks between processes: `flock` on files that are never removed. A lock goes with its process,
//! so none is left behind; every wait ends.

use std::os::fd::AsFd;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// Between two tries.
const PAUSE: Duration = Duration::from_millis(20);
/// How long a user waits for a gc to end.
const SHARED_TRIES: u32 = 15_000;
/// How long gc waits for users to go.
const EXCLUSIVE_TRIES: u32 = 150;

/// Joins the users; false when a gc did not end in five minutes.
pub(crate) fn share(file: impl AsFd) -> Result<bool, Errno> {
    wait(file, FlockOperation::NonBlockingLockShared, SHARED_TRIES)
}

/// Waits until nobody else uses the store; false, and no lock at all, when some still do after
/// three seconds.
pub(crate) fn exclude(file: impl AsFd) -> Result<bool, Errno> {
    wait(
        file,
        FlockOperation::NonBlockingLockExclusive,
        EXCLUSIVE_TRIES,
    )
}

/// Takes the lock if it is free now.
pub(crate) fn try_exclude(file: impl AsFd) -> Result<bool, Errno> {
    wait(file, FlockOperation::NonBlockingLockExclusive, 1)
}

fn wait(file: impl AsFd, operation: FlockOperation, tries: u32) -> Result<bool, Errno> {
    for attempt in 0..tries {
        if attempt > 0 {
            std::thread::sleep(PAUSE);
        }
        match flock(file.as_fd(), operation) {
            Ok(()) => return Ok(true),
            Err(Errno::AGAIN | Errno::INTR) => {}
            Err(error) => return Err(error),
        }
    }
    Ok(false)
}
