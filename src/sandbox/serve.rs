//! The helper process: this program started again, single-threaded, to confine one command after another.
//! What the commands may share is made once (`Setting`); at level 2 each then gets a process 1 of its own, which
//! mounts, gives up every capability, starts the command and ends all it left.
//! Reads no configuration and no environment; all it knows comes through the socket that is its standard input.
#![expect(clippy::disallowed_methods, reason = "effects: processes, /proc")]

use std::ffi::{OsStr, OsString};
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::os::unix::process::CommandExt;
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::Duration;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use rustix::process::{Pid, PidfdFlags, Resource, Rlimit, Signal, WaitOptions, WaitStatus};

use crate::sandbox::confine::{self, Refusal};
use crate::sandbox::fork::{self, Alone};
use crate::sandbox::network::Network;
use crate::sandbox::order::{Order, Report, Setting, View};
use crate::sandbox::root::Root;
use crate::sandbox::wire::{receive, receive_with_files, send};

/// The first argument of a process that is a helper.
const MARK: &str = "__sandbox";

/// Runs the helper when `arguments` (without the program's name) say that this process is one.
///
/// `main` calls it before anything else: the process must have one thread.
pub fn helper(arguments: &[OsString]) -> Option<ExitCode> {
    if arguments.first().map(OsString::as_os_str) != Some(OsStr::new(MARK)) {
        return None;
    }
    Some(match serve() {
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
        .stdin(Stdio::from(OwnedFd::from(socket)))
        .stdout(Stdio::null())
        .stderr(Stdio::null());
    command
}

/// The two streams of a command.
type Streams = [OwnedFd; 2];

/// Serves orders until the executor closes its end. That end is all that tells of the executor's death: a signal at the
/// death of a parent comes when the thread ends that started this process, and another may use it then.
fn serve() -> io::Result<()> {
    let mut socket = UnixStream::from(io::stdin().as_fd().try_clone_to_owned()?);
    let Some(message) = receive(&mut socket)? else {
        return Ok(());
    };
    let setting = Setting::decode(&message).map_err(io::Error::other)?;
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
    no_core_files();
    let mut prepared = Place::prepare(&setting);
    while let Some((message, streams)) = receive_with_files(&socket)? {
        let order = Order::decode(&message).map_err(io::Error::other)?;
        let served = match &mut prepared {
            Ok(place) => place.serve(&order, streams, &socket),
            Err(refusal) => Err(*refusal),
        };
        match served.unwrap_or_else(|refusal| Served::Report(refusal.report())) {
            Served::Report(report) => send(&mut socket, &report.encode())?,
            Served::Told => {}
            // The executor learns it from the end of this process.
            Served::Lost => return Ok(()),
        }
    }
    Ok(())
}

fn no_core_files() {
    // A limit that was lower already cannot be raised, which is fine.
    rustix::process::setrlimit(
        Resource::Core,
        Rlimit {
            current: Some(0),
            maximum: Some(0),
        },
    )
    .ok();
}

impl Refusal {
    fn report(self) -> Report {
        Report::Refused {
            step: self.step.to_owned(),
            errno: self.errno.raw_os_error(),
        }
    }
}

/// What has become of an order.
enum Served {
    /// To be reported.
    Report(Report),
    /// Reported already.
    Told,
    /// Ended from outside, or stopped by the executor; nobody waits for a report.
    Lost,
}

/// Where commands are run, made ready once.
enum Place {
    Directory,
    Namespaces {
        root: Root,
        network: Network,
        alone: Alone,
        /// Becomes readable when this process has ended.
        myself: OwnedFd,
        /// Each process 1 that has reported and may still be about to end.
        leaving: Vec<Pid>,
    },
}

impl Place {
    fn prepare(setting: &Setting) -> Result<Self, Refusal> {
        Refusal::of("setsid", rustix::process::setsid())?;
        match setting {
            Setting::Directory => {
                let myself = Some(rustix::process::getpid());
                Refusal::of(
                    "PR_SET_CHILD_SUBREAPER",
                    rustix::process::set_child_subreaper(myself),
                )?;
                Ok(Self::Directory)
            }
            Setting::Namespaces(view) => Self::namespaces(view),
        }
    }

    fn namespaces(view: &View) -> Result<Self, Refusal> {
        let alone = Refusal::of("stat of /proc/self/task", Alone::prove())?;
        let myself = rustix::process::pidfd_open(rustix::process::getpid(), PidfdFlags::empty());
        let myself = Refusal::of("pidfd_open", myself)?;
        confine::unshare(view.network)?;
        let network = Network::watch(view.network)?;
        let root = Root::enter(view)?;
        confine::bound_capabilities()?;
        Ok(Self::Namespaces {
            root,
            network,
            alone,
            myself,
            leaving: Vec::new(),
        })
    }

    fn serve(
        &mut self,
        order: &Order,
        streams: Streams,
        socket: &UnixStream,
    ) -> Result<Served, Refusal> {
        match self {
            Self::Directory => plain(order, streams, socket),
            Self::Namespaces {
                root,
                network,
                alone,
                myself,
                leaving,
            } => {
                // What cannot be waited for is gone.
                leaving.retain(|pid| !is_reaped(*pid));
                network.renew()?;
                let (root, myself) = (&*root, &*myself);
                // The closure goes with the call here too, and with it this copy of the streams.
                let first =
                    fork::first_process(alone, move || first(order, streams, socket, root, myself));
                let first = Refusal::of("clone of the pid and ipc namespaces", first)?;
                match wait_for(&first.handle, socket) {
                    Woken::Ready => {}
                    Woken::Ordered => {
                        leaving.push(first.pid);
                        return Ok(Served::Told);
                    }
                    // Process 1 that has just ended needs no signal.
                    Woken::Told => {
                        rustix::process::kill_process(first.pid, Signal::KILL).ok();
                    }
                }
                // It can be reaped only when every process of its namespace is gone.
                let status = reap(first.pid)?;
                Ok(match status.exit_status() {
                    Some(0) => Served::Told,
                    _ => Served::Lost,
                })
            }
        }
    }
}

fn is_reaped(pid: Pid) -> bool {
    !matches!(
        rustix::process::waitpid(Some(pid), WaitOptions::NOHANG),
        Ok(None)
    )
}

/// Level 0: starts the command and, once it has ended, kills whatever it left behind.
fn plain(order: &Order, streams: Streams, socket: &UnixStream) -> Result<Served, Refusal> {
    let mut child = match start(order, streams) {
        Ok(child) => child,
        Err(errno) => return Ok(Served::Report(unstartable(errno))),
    };
    let pid = Pid::from_child(&child);
    let handle = rustix::process::pidfd_open(pid, PidfdFlags::empty());
    let handle = Refusal::of("pidfd_open", handle)?;
    if wait_for(&handle, socket) == Woken::Told {
        // A process that has just ended needs no signal.
        child.kill().ok();
    }
    let status = reap(pid)?;
    sweep();
    Ok(report_of(status).map_or(Served::Lost, Served::Report))
}

fn reap(pid: Pid) -> Result<WaitStatus, Refusal> {
    loop {
        match rustix::process::waitpid(Some(pid), WaitOptions::empty()) {
            Ok(Some((_, status))) => return Ok(status),
            Ok(None) | Err(Errno::INTR) => {}
            Err(errno) => {
                return Err(Refusal {
                    step: "waitpid",
                    errno,
                });
            }
        }
    }
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

#[derive(Debug, PartialEq, Eq)]
enum Woken {
    /// What was waited for has ended.
    Ready,
    /// The next order is there, so the report on this one was received.
    Ordered,
    /// The executor closed its end: everything is to stop.
    Told,
}

fn wait_for(process: &OwnedFd, socket: &UnixStream) -> Woken {
    loop {
        let mut polled = [
            PollFd::new(process, PollFlags::IN),
            PollFd::new(socket, PollFlags::IN | PollFlags::RDHUP),
        ];
        // `EINTR` is the only failure, and means to look again.
        if poll(&mut polled, None).is_err() {
            continue;
        }
        if !polled[0].revents().is_empty() {
            return Woken::Ready;
        }
        let told = polled[1].revents();
        if told == PollFlags::IN {
            return Woken::Ordered;
        }
        if !told.is_empty() {
            return Woken::Told;
        }
    }
}

/// Level 2, inside: all that process 1 does. Returns its exit status: 0 once the executor was told.
fn first(
    order: &Order,
    streams: Streams,
    mut socket: &UnixStream,
    root: &Root,
    helper: &OwnedFd,
) -> u8 {
    let report = match enclosed(order, streams, root, helper) {
        Ok(None) => return 1,
        Ok(Some(report)) => report,
        Err(refusal) => refusal.report(),
    };
    u8::from(send(&mut socket, &report.encode()).is_err())
}

fn enclosed(
    order: &Order,
    streams: Streams,
    root: &Root,
    helper: &OwnedFd,
) -> Result<Option<Report>, Refusal> {
    Refusal::of("setsid", rustix::process::setsid())?;
    root.complete(order.tree.as_deref())?;
    confine::give_up_capabilities()?;
    Refusal::of(
        "PR_SET_PDEATHSIG",
        rustix::process::set_parent_process_death_signal(Some(Signal::KILL)),
    )?;
    if has_ended(helper) {
        return Ok(None);
    }
    let child = match start(order, streams) {
        Ok(child) => child,
        Err(errno) => return Ok(Some(unstartable(errno))),
    };
    let wanted = Pid::from_child(&child);
    let status = loop {
        match rustix::process::wait(WaitOptions::empty()) {
            Ok(Some((pid, status))) if pid == wanted => break status,
            Ok(_) | Err(Errno::INTR) => {}
            Err(errno) => {
                return Err(Refusal {
                    step: "wait",
                    errno,
                });
            }
        }
    };
    end_all();
    Ok(report_of(status))
}

/// Kills and reaps every process of the namespace but process 1, which calls it. What one starts meanwhile is killed
/// with it.
fn end_all() {
    // To the kernel, the group of process 1 is everyone. It fails when there is nobody.
    while rustix::process::kill_process_group(Pid::INIT, Signal::KILL).is_ok() {
        while rustix::process::wait(WaitOptions::empty()).is_ok() {}
    }
}

fn has_ended(process: &OwnedFd) -> bool {
    let now = Timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    let mut polled = [PollFd::new(process, PollFlags::IN)];
    poll(&mut polled, Some(&now)).is_ok_and(|count| count > 0)
}

fn unstartable(errno: Errno) -> Report {
    Report::Unstartable {
        errno: errno.raw_os_error(),
    }
}

fn report_of(status: WaitStatus) -> Option<Report> {
    let exited = status.exit_status().map(Report::Exited);
    exited.or_else(|| status.terminating_signal().map(Report::Signaled))
}

/// Starts the command. A text file that is still open for writing in a process that another thread of the
/// executor is just starting is tried again: that process is about to close it.
fn start(order: &Order, [stdout, stderr]: Streams) -> Result<Child, Errno> {
    let mut command = Command::new(&order.program);
    command
        .arg0(&order.name)
        .args(&order.arguments)
        .current_dir(&order.directory);
    command
        .env_clear()
        .envs(order.environment.iter().map(|(name, value)| (name, value)));
    command.stdin(Stdio::null()).stdout(stdout).stderr(stderr);
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
