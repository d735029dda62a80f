//! `Helper`: a helper process as the executor sees it. Sends an order, collects what the command prints, and stops it
//! in time. Knows nothing of stores and outputs. A helper that had to be stopped is gone, with all that it started.
#![expect(
    clippy::disallowed_methods,
    reason = "effects: processes, the monotonic clock"
)]

use std::io;
use std::net::Shutdown;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::Child;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pipe::PipeFlags;
use rustix::process::{Pid, Signal};

use crate::evaluate::Cancel;
use crate::sandbox::log::{Log, Stream};
use crate::sandbox::order::{Order, Report, Setting};
use crate::sandbox::serve;
use crate::sandbox::wire::{receive, send, send_with_files};

/// How a run ended, and what it printed.
#[derive(Debug)]
pub(crate) struct Ran {
    /// How it ended.
    pub(crate) ending: Ending,
    /// What it printed.
    pub(crate) log: Log,
}

/// How a run ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Ending {
    /// The helper told.
    Reported(Report),
    /// The time was up, and all of it was killed.
    TimedOut,
    /// The evaluation was stopped, and all of it was killed.
    Cancelled,
    /// The helper ended without a word.
    Lost,
    /// The helper had ended before the order came.
    Gone,
}

/// How long the helper may take to kill what it started before it is killed itself.
const GRACE: Duration = Duration::from_secs(5);
/// How long a pipe that stays open after the helper may be silent, and how long it is read at all: only a process
/// that fled a run at level 0 holds one.
const QUIET: Duration = Duration::from_millis(200);
const DRAIN: Duration = Duration::from_secs(2);

/// A process that runs one order after another.
#[derive(Debug)]
pub(crate) struct Helper {
    socket: UnixStream,
    child: Child,
}

impl Helper {
    /// Starts `program` as a helper for `setting`. What is refused to it is told in answer to its first order.
    pub(crate) fn start(program: &Path, setting: &Setting) -> io::Result<Self> {
        let (mut socket, theirs) = UnixStream::pair()?;
        let mut command = serve::command(program.as_os_str(), theirs);
        let child = command.spawn()?;
        // The command keeps the other end open as long as it lives.
        drop(command);
        // One that is gone already is noticed at its first order.
        send(&mut socket, &setting.encode()).ok();
        Ok(Self { socket, child })
    }

    /// Runs `order` for at most `timeout`. The helper can be given another when it has reported on this one.
    pub(crate) fn run(
        &mut self,
        order: &Order,
        timeout: Duration,
        cancel: &Cancel,
    ) -> io::Result<Ran> {
        let ((stdout, theirs), (stderr, their_stderr)) = (pipe()?, pipe()?);
        let sent = send_with_files(
            &self.socket,
            &order.encode(),
            [theirs.as_fd(), their_stderr.as_fd()],
        );
        drop((theirs, their_stderr));
        if sent.is_err() {
            let (ending, log) = (Ending::Gone, Log::default());
            return Ok(Ran { ending, log });
        }
        let mut pump = Pump {
            pipes: [
                (Stream::Stdout, Some(stdout)),
                (Stream::Stderr, Some(stderr)),
            ],
            helper: self,
            log: Log::default(),
            report: None,
            start: Instant::now(),
        };
        let stopped = pump.pump(timeout, cancel)?;
        let ending = stopped
            .or(pump.report.map(Ending::Reported))
            .unwrap_or(Ending::Lost);
        Ok(Ran {
            ending,
            log: pump.log,
        })
    }

    /// Kills it and all that stayed in its session's first group. It is not reaped yet, so the number is still its own.
    pub(crate) fn kill(&mut self) {
        rustix::process::kill_process_group(Pid::from_child(&self.child), Signal::KILL).ok();
        self.child.kill().ok();
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.kill();
        // It fails only for a process that was reaped.
        self.child.wait().ok();
    }
}

fn pipe() -> io::Result<(OwnedFd, OwnedFd)> {
    Ok(rustix::pipe::pipe_with(PipeFlags::CLOEXEC)?)
}

struct Pump<'h> {
    pipes: [(Stream, Option<OwnedFd>); 2],
    helper: &'h mut Helper,
    log: Log,
    report: Option<Report>,
    start: Instant,
}

impl Pump<'_> {
    /// Reads until the helper is gone and the pipes are empty; tells why it had to be stopped, if it had to.
    fn pump(&mut self, timeout: Duration, cancel: &Cancel) -> io::Result<Option<Ending>> {
        // A time beyond what the clock can hold never comes.
        let deadline = self.start.checked_add(timeout);
        let stopped = loop {
            let woken = self.wait(deadline, Some(cancel), true)?;
            if woken.helper {
                break None;
            }
            if woken.cancelled {
                break Some(Ending::Cancelled);
            }
            if woken.late {
                break Some(Ending::TimedOut);
            }
        };
        if stopped.is_some() {
            // Fails only when the helper is gone.
            self.helper.socket.shutdown(Shutdown::Write).ok();
            let deadline = Instant::now().checked_add(GRACE);
            loop {
                let woken = self.wait(deadline, None, true)?;
                if woken.helper || woken.late {
                    break;
                }
            }
        }
        if self.report.is_none() || stopped.is_some() {
            self.helper.kill();
        }
        self.drain()?;
        Ok(stopped)
    }

    fn drain(&mut self) -> io::Result<()> {
        let end = Instant::now() + DRAIN;
        while self.pipes.iter().any(|(_, pipe)| pipe.is_some()) && Instant::now() < end {
            if self
                .wait(Instant::now().checked_add(QUIET), None, false)?
                .late
            {
                break;
            }
        }
        Ok(())
    }

    /// Waits for one event and takes in what is there.
    fn wait(
        &mut self,
        deadline: Option<Instant>,
        cancel: Option<&Cancel>,
        helper: bool,
    ) -> io::Result<Woken> {
        let left = deadline.map(|deadline| {
            let left = deadline.saturating_duration_since(Instant::now());
            let seconds = left.as_secs().try_into().unwrap_or(i64::MAX);
            Timespec {
                tv_sec: seconds,
                tv_nsec: left.subsec_nanos().into(),
            }
        });
        let mut polled = Vec::with_capacity(4);
        let mut sources = Vec::with_capacity(4);
        for (index, (_, pipe)) in self.pipes.iter().enumerate() {
            if let Some(pipe) = pipe {
                polled.push(PollFd::new(pipe, PollFlags::IN));
                sources.push(Source::Pipe(index));
            }
        }
        if helper {
            polled.push(PollFd::new(&self.helper.socket, PollFlags::IN));
            sources.push(Source::Helper);
        }
        if let Some(cancel) = cancel {
            polled.push(PollFd::from_borrowed_fd(cancel.as_fd(), PollFlags::IN));
            sources.push(Source::Cancel);
        }
        let count = match poll(&mut polled, left.as_ref()) {
            Ok(count) => count,
            Err(rustix::io::Errno::INTR) => return Ok(Woken::default()),
            Err(errno) => return Err(errno.into()),
        };
        let ready: Vec<Source> = polled
            .iter()
            .zip(sources)
            .filter(|(descriptor, _)| !descriptor.revents().is_empty())
            .map(|(_, source)| source)
            .collect();
        let mut woken = Woken {
            late: count == 0,
            ..Woken::default()
        };
        for source in ready {
            match source {
                Source::Pipe(index) => self.read(index),
                Source::Cancel => woken.cancelled = true,
                Source::Helper => {
                    woken.helper = true;
                    let message = receive(&mut self.helper.socket).ok().flatten();
                    self.report = message.and_then(|message| Report::decode(&message).ok());
                }
            }
        }
        Ok(woken)
    }

    fn read(&mut self, index: usize) {
        let mut buffer = [0; 8 << 10];
        let (stream, slot) = &mut self.pipes[index];
        let Some(pipe) = slot else { return };
        match rustix::io::read(&*pipe, &mut buffer[..]) {
            Err(rustix::io::Errno::INTR) => {}
            Ok(0) | Err(_) => *slot = None,
            Ok(count) => {
                let microseconds = self.start.elapsed().as_micros();
                let microseconds = u64::try_from(microseconds).unwrap_or(u64::MAX);
                self.log.push(*stream, microseconds, &buffer[..count]);
            }
        }
    }
}

/// What an event came from.
#[derive(Debug, Clone, Copy)]
enum Source {
    Pipe(usize),
    Helper,
    Cancel,
}

#[derive(Debug, Clone, Copy, Default)]
struct Woken {
    /// The helper told, or is gone.
    helper: bool,
    /// The evaluation is to stop.
    cancelled: bool,
    /// Nothing happened in time.
    late: bool,
}
