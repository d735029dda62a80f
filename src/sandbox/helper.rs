//! The helper process: this program started again, single-threaded, to confine one command and wait for it.
//! `outer` makes the namespaces and waits; `inner` is process 1 of them, mounts, and starts the command.
//! Reads no configuration and no environment; all it knows comes through the socket that is its standard input.
#![expect(
    clippy::disallowed_methods,
    reason = "effects: processes, namespaces, /proc"
)]

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Resource, Rlimit, Signal, WaitOptions, WaitStatus};

use crate::sandbox::confine::{self, Refusal};
use crate::sandbox::order::{Confinement, Order, Report, View, receive, send};

/// The first argument of a process that is a helper.
const MARK: &str = "__sandbox";
const INNER: &str = "inner";

/// Runs the helper when `arguments` (without the program's name) say that this process is one.
///
/// `main` calls it before anything else: the process must have one thread.
pub fn helper(arguments: &[OsString]) -> Option<ExitCode> {
    if arguments.first().map(OsString::as_os_str) != Some(OsStr::new(MARK)) {
        return None;
    }
    let inner = arguments.get(1).map(OsString::as_os_str) == Some(OsStr::new(INNER));
    Some(match serve(inner) {
        Ok(()) => ExitCode::SUCCESS,
        Err(_) => ExitCode::FAILURE,
    })
}

/// Returns the command that starts a helper with `socket` as its only link.
pub(crate) fn command(program: &OsStr, socket: UnixStream) -> Command {
    let mut command = Command::new(program);
    command
        .arg(MARK)
        .env_clear()
        .stdin(Stdio::from(std::os::fd::OwnedFd::from(socket)));
    command
}

fn serve(inner: bool) -> io::Result<()> {
    let mut socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    die_with_parent()?;
    let Some(message) = receive(&mut socket)? else {
        return Ok(());
    };
    let order = Order::decode(&message).map_err(io::Error::other)?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    let report = match (&order.confinement, inner) {
        (Confinement::Directory, _) => plain(&order, &socket),
        (Confinement::Namespaces(view), false) => outer(view, &message, &socket),
        (Confinement::Namespaces(view), true) => first(&order, view),
    };
    match report.unwrap_or_else(|refusal| Some(refusal.report())) {
        Some(report) => send(&mut socket, &report.encode()),
        None => Ok(()),
    }
}

fn die_with_parent() -> io::Result<()> {
    Ok(rustix::process::set_parent_process_death_signal(Some(
        Signal::KILL,
    ))?)
}

impl Refusal {
    fn report(self) -> Report {
        Report::Refused {
            step: self.step.to_owned(),
            errno: self.errno.raw_os_error(),
        }
    }
}

/// Level 0: starts the command and, once it has ended, kills whatever it left behind.
fn plain(order: &Order, socket: &UnixStream) -> Result<Option<Report>, Refusal> {
    // The executor's death is noticed on the socket, and then the descendants are killed too.
    Refusal::of(
        "PR_SET_PDEATHSIG",
        rustix::process::set_parent_process_death_signal(None),
    )?;
    Refusal::of("setsid", rustix::process::setsid())?;
    let myself = Some(rustix::process::getpid());
    Refusal::of(
        "PR_SET_CHILD_SUBREAPER",
        rustix::process::set_child_subreaper(myself),
    )?;
    let mut child = match start(order) {
        Ok(child) => child,
        Err(errno) => {
            return Ok(Some(Report::Unstartable {
                errno: errno.raw_os_error(),
            }));
        }
    };
    let pid = Pid::from_child(&child);
    let handle = rustix::process::pidfd_open(pid, PidfdFlags::empty());
    let handle = Refusal::of("pidfd_open", handle)?;
    if wait_for(handle.as_fd(), socket) == Woken::Told {
        // A process that has just ended needs no signal.
        child.kill().ok();
    }
    let status = loop {
        match rustix::process::waitpid(Some(pid), WaitOptions::empty()) {
            Ok(Some((_, status))) => break status,
            Ok(None) | Err(Errno::INTR) => {}
            Err(errno) => {
                return Err(Refusal {
                    step: "waitpid",
                    errno,
                });
            }
        }
    };
    sweep();
    Ok(report_of(status))
}

/// Kills and reaps every child, those included that become children while it goes on.
fn sweep() {
    let list = format!(
        "/proc/self/task/{}/children",
        rustix::thread::gettid().as_raw_nonzero()
    );
    while let Ok(children) = std::fs::read_to_string(&list) {
        let pids = children
            .split_whitespace()
            .filter_map(|pid| Pid::from_raw(pid.parse().ok()?));
        let pids: Vec<Pid> = pids.collect();
        if pids.is_empty() {
            return;
        }
        for pid in pids {
            // Both fail only for a process that is gone.
            rustix::process::kill_process(pid, Signal::KILL).ok();
            rustix::process::waitpid(Some(pid), WaitOptions::empty()).ok();
        }
    }
}

/// Level 2, outside: makes the namespaces, starts process 1 in them, and passes its report on.
fn outer(view: &View, message: &[u8], socket: &UnixStream) -> Result<Option<Report>, Refusal> {
    Refusal::of("setsid", rustix::process::setsid())?;
    confine::unshare(view.network)?;
    // Changing credentials clears it.
    Refusal::of(
        "PR_SET_PDEATHSIG",
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL)),
    )?;
    confine::keep_capabilities()?;
    let (mut link, theirs) = Refusal::from_io("socketpair", UnixStream::pair())?;
    let mut inside = command(OsStr::new("/proc/self/exe"), theirs);
    let mut inside = Refusal::from_io("exec of the helper", inside.arg(INNER).spawn())?;
    Refusal::from_io("order to the helper", send(&mut link, message))?;
    if wait_for(link.as_fd(), socket) == Woken::Told {
        inside.kill().ok();
    }
    let report = receive(&mut link).ok().flatten();
    // Process 1 can be reaped only when every process of its namespace is gone.
    Refusal::from_io("wait", inside.wait())?;
    Ok(report.and_then(|report| Report::decode(&report).ok()))
}

#[derive(Debug, PartialEq, Eq)]
enum Woken {
    /// What was waited for is there.
    Ready,
    /// The executor closed its end: everything is to stop.
    Told,
}

fn wait_for(event: BorrowedFd<'_>, socket: &UnixStream) -> Woken {
    loop {
        let mut polled = [
            PollFd::from_borrowed_fd(event, PollFlags::IN),
            PollFd::new(socket, PollFlags::IN),
        ];
        // `EINTR` is the only failure, and means to look again.
        if poll(&mut polled, None).is_err() {
            continue;
        }
        if !polled[0].revents().is_empty() {
            return Woken::Ready;
        }
        if !polled[1].revents().is_empty() {
            return Woken::Told;
        }
    }
}

/// Level 2, inside: process 1. Mounts, gives up every capability, starts the command and reaps until it ends.
fn first(order: &Order, view: &View) -> Result<Option<Report>, Refusal> {
    Refusal::of("setsid", rustix::process::setsid())?;
    confine::enter(view)?;
    confine::give_up_capabilities()?;
    Refusal::of(
        "PR_SET_PDEATHSIG",
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL)),
    )?;
    let child = match start(order) {
        Ok(child) => child,
        Err(errno) => {
            return Ok(Some(Report::Unstartable {
                errno: errno.raw_os_error(),
            }));
        }
    };
    let wanted = Pid::from_child(&child);
    loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == wanted => return Ok(report_of(status)),
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => {
                return Err(Refusal {
                    step: "wait",
                    errno,
                });
            }
        }
    }
}

fn report_of(status: WaitStatus) -> Option<Report> {
    let exited = status.exit_status().map(Report::Exited);
    exited.or_else(|| status.terminating_signal().map(Report::Signaled))
}

/// Starts the command. A text file that is still open for writing in a process that another thread of the
/// executor is just starting is tried again: that process is about to close it.
fn start(order: &Order) -> Result<Child, Errno> {
    // A limit that was lower already cannot be raised, which is fine.
    rustix::process::setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    )
    .ok();
    let mut command = Command::new(&order.program);
    command
        .arg0(&order.name)
        .args(&order.arguments)
        .current_dir(&order.directory);
    command
        .env_clear()
        .envs(order.environment.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null());
    for _ in 0..100 {
        match command.spawn() {
            Err(error) if error.kind() == io::ErrorKind::ExecutableFileBusy => {
                std::thread::sleep(Duration::from_millis(2));
            }
            other => return other.map_err(|error| errno_of(&error)),
        }
    }
    Err(Errno::TXTBSY)
}

fn errno_of(error: &io::Error) -> Errno {
    Errno::from_io_error(error).unwrap_or(Errno::INVAL)
}
