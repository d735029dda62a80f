//! Process 1 of new namespaces, made as a copy of this process: the only code of the sandbox that is not safe Rust
//! (`docs/decisions/0006-process-1-is-a-copy-of-the-helper.md`).
//! Refuses a process with more than one thread: a copy of it could wait for ever for a lock that no thread holds.
#![expect(
    unsafe_code,
    reason = "no safe interface makes a process in new namespaces without starting a program"
)]

use std::os::fd::{FromRawFd, OwnedFd};
use std::panic::{AssertUnwindSafe, catch_unwind};

use rustix::io::Errno;
use rustix::process::Pid;

/// Proof that this process has one thread. Whoever holds it starts none.
#[derive(Debug)]
pub(crate) struct Alone(());

impl Alone {
    /// Looks whether this process has one thread.
    pub(crate) fn prove() -> Result<Self, Errno> {
        // One link for `.`, one for the name, one for each thread.
        match rustix::fs::stat("/proc/self/task")?.st_nlink {
            3 => Ok(Self(())),
            _ => Err(Errno::DEADLK),
        }
    }
}

/// A child that is a copy of this process.
#[derive(Debug)]
pub(crate) struct Copied {
    /// Its number here.
    pub(crate) pid: Pid,
    /// Becomes readable when it has ended.
    pub(crate) handle: OwnedFd,
}

/// Starts a copy of this process, as process 1 of new pid and ipc namespaces, that runs `body` and exits with
/// what that returns; a panic is status 101.
pub(crate) fn first_process(_: &Alone, body: impl FnOnce() -> u8) -> Result<Copied, Errno> {
    let namespaces = libc::CLONE_NEWPID | libc::CLONE_NEWIPC;
    let flags = i64::from(namespaces | libc::CLONE_PIDFD | libc::SIGCHLD);
    let mut handle: libc::c_int = -1;
    // SAFETY: without CLONE_VM and a stack of its own the child has a copy of this memory and goes on here, as after
    // fork(2). This process is proven to have one thread, so no lock is held by a thread that the copy lacks. With CLONE_PIDFD the
    // kernel writes one int through the third argument, which outlives the call; the other arguments are ignored.
    let pid =
        unsafe { libc::syscall(libc::SYS_clone, flags, 0_i64, &raw mut handle, 0_i64, 0_i64) };
    if pid == 0 {
        // It must never return into what the copied process was about to do.
        let status = catch_unwind(AssertUnwindSafe(body)).unwrap_or(101);
        // SAFETY: `_exit` only ends the process; nothing that runs at a regular exit belongs to the copy.
        unsafe { libc::_exit(status.into()) }
    }
    let pid = i32::try_from(pid).ok().filter(|pid| *pid > 0);
    let Some(pid) = pid.and_then(Pid::from_raw) else {
        return Err(last_error());
    };
    // SAFETY: the call succeeded, so `handle` is a new descriptor that nothing else owns.
    let handle = unsafe { OwnedFd::from_raw_fd(handle) };
    Ok(Copied { pid, handle })
}

fn last_error() -> Errno {
    let number = std::io::Error::last_os_error().raw_os_error();
    Errno::from_raw_os_error(number.unwrap_or(libc::EINVAL))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_with_threads_is_not_copied() {
        std::thread::scope(|threads| {
            let (wait, go) = std::sync::mpsc::channel::<()>();
            threads.spawn(move || go.recv());
            assert_eq!(Alone::prove().err(), Some(Errno::DEADLK));
            drop(wait);
        });
    }
}
