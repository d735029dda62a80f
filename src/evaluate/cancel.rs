//! `Cancel`: the one way to tell running work to stop.
//! A flag that can be asked, and a descriptor that can be waited for beside others.

use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::sync::atomic::{AtomicBool, Ordering};

use rustix::event::{EventfdFlags, eventfd};

/// Shared by everything that can be stopped; once cancelled it stays so.
#[derive(Debug)]
pub struct Cancel {
    flag: AtomicBool,
    wake: OwnedFd,
}

impl Cancel {
    /// Returns one that is not cancelled.
    pub fn new() -> std::io::Result<Self> {
        let wake = eventfd(0, EventfdFlags::CLOEXEC | EventfdFlags::NONBLOCK)?;
        Ok(Self {
            flag: AtomicBool::new(false),
            wake,
        })
    }

    /// Tells all work to stop.
    pub fn cancel(&self) {
        self.flag.store(true, Ordering::SeqCst);
        // The counter is never read, so the descriptor stays readable; a full counter is readable too.
        rustix::io::write(&self.wake, &1_u64.to_ne_bytes()).ok();
    }

    /// Returns whether work should stop.
    pub fn is_cancelled(&self) -> bool {
        self.flag.load(Ordering::SeqCst)
    }
}

impl AsFd for Cancel {
    /// Returns a descriptor that polls as readable once cancelled, for ever.
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}
