//! Locks between processes: `flock` on files that are never removed while they are held. A lock
//! goes with its process, so none is left behind; every wait ends.

use std::os::fd::AsFd;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

/// The longest pause between two tries; the first ones are shorter.
const PAUSE: Duration = Duration::from_millis(20);
/// How long a user waits for a batch of gc to end.
const SHARED: Duration = Duration::from_secs(300);
/// How long gc keeps users waiting while it waits for those who are inside.
const EXCLUSIVE: Duration = Duration::from_secs(1);

/// Joins the users; false when somebody kept the lock for five minutes.
pub(crate) fn share(file: impl AsFd) -> Result<bool, Errno> {
    wait(file, FlockOperation::NonBlockingLockShared, SHARED)
}

/// Waits until nobody else holds the lock; false, and no lock at all, when some still do after
/// a second.
pub(crate) fn exclude(file: impl AsFd) -> Result<bool, Errno> {
    wait(file, FlockOperation::NonBlockingLockExclusive, EXCLUSIVE)
}

/// Takes the lock if it is free now.
pub(crate) fn try_exclude(file: impl AsFd) -> Result<bool, Errno> {
    wait(
        file,
        FlockOperation::NonBlockingLockExclusive,
        Duration::ZERO,
    )
}

/// Joins the users if nobody excludes them now.
pub(crate) fn try_share(file: impl AsFd) -> Result<bool, Errno> {
    wait(file, FlockOperation::NonBlockingLockShared, Duration::ZERO)
}

/// Gives the lock up.
pub(crate) fn release(file: impl AsFd) -> Result<(), Errno> {
    flock(file, FlockOperation::Unlock)
}

fn wait(file: impl AsFd, operation: FlockOperation, limit: Duration) -> Result<bool, Errno> {
    let mut waited = Duration::ZERO;
    let mut pause = Duration::from_millis(1);
    loop {
        match flock(file.as_fd(), operation) {
            Ok(()) => return Ok(true),
            Err(Errno::AGAIN | Errno::INTR) if waited < limit => {}
            Err(Errno::AGAIN | Errno::INTR) => return Ok(false),
            Err(error) => return Err(error),
        }
        std::thread::sleep(pause);
        waited += pause;
        pause = (pause * 2).min(PAUSE);
    }
}
