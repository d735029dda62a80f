//! `Deadline` and `wait`: every wait of a provider ends with what it waits for, a cancellation or a deadline.
//! Effects: the clock and `poll`.
#![expect(clippy::disallowed_methods, reason = "effects: deadlines of waits")]

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;

use crate::evaluate::Cancel;

/// The instant after which waiting is over.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Deadline(Option<Instant>);

impl Deadline {
    /// Returns the one that never comes.
    pub(crate) fn never() -> Self {
        Self(None)
    }

    /// Returns the one `span` from here; a span too long for the clock is for ever.
    pub(crate) fn after(span: Duration) -> Self {
        Self(Instant::now().checked_add(span))
    }

    /// Returns the earlier of this one and the one `span` from here.
    pub(crate) fn within(self, span: Duration) -> Self {
        match (self.0, Instant::now().checked_add(span)) {
            (Some(end), Some(other)) => Self(Some(end.min(other))),
            (end, other) => Self(end.or(other)),
        }
    }

    /// Returns whether it has passed.
    pub(crate) fn has_passed(self) -> bool {
        self.0.is_some_and(|end| Instant::now() >= end)
    }

    /// Rounded up to the millisecond, so that a wait never ends just before its end.
    fn remaining(self) -> Option<Timespec> {
        let left = self.0?.saturating_duration_since(Instant::now()) + Duration::from_millis(1);
        Timespec::try_from(left).ok()
    }
}

/// Why a wait ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Woken {
    /// What it waited for is there.
    Ready,
    /// The work is to stop.
    Cancelled,
    /// The deadline passed.
    Late,
}

/// Waits until `source` shows one of its flags (or hangs up), `cancel` is cancelled, or `deadline` passes.
pub(crate) fn wait(
    source: Option<(BorrowedFd<'_>, PollFlags)>,
    cancel: Option<&Cancel>,
    deadline: Deadline,
) -> io::Result<Woken> {
    let mut polled = Vec::with_capacity(2);
    polled.extend(cancel.map(|cancel| PollFd::from_borrowed_fd(cancel.as_fd(), PollFlags::IN)));
    polled.extend(source.map(|(descriptor, flags)| PollFd::from_borrowed_fd(descriptor, flags)));
    loop {
        if cancel.is_some_and(Cancel::is_cancelled) {
            return Ok(Woken::Cancelled);
        }
        match poll(&mut polled, deadline.remaining().as_ref()) {
            Ok(_) => {}
            Err(Errno::INTR) => continue,
            Err(error) => return Err(error.into()),
        }
        if cancel.is_some_and(Cancel::is_cancelled) {
            return Ok(Woken::Cancelled);
        }
        if source.is_some() && polled.last().is_some_and(|last| !last.revents().is_empty()) {
            return Ok(Woken::Ready);
        }
        if deadline.has_passed() {
            return Ok(Woken::Late);
        }
    }
}
