//! `HookCommand`: a command of the project, run on this machine outside the sandbox: `activate`, `health.exec`.
//! Effects: a process group, ended as a whole; its output goes to a file, so that what it leaves running can go on.
#![expect(
    clippy::disallowed_methods,
    reason = "effects: processes outside the sandbox"
)]

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::AsFd;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use rustix::event::PollFlags;
use rustix::process::{Pid, PidfdFlags, Signal, kill_process_group, pidfd_open};

use crate::evaluate::Cancel;
use crate::providers::wait::{Deadline, Woken, wait};

/// How long a command may take to clean up after it was told to stop.
const GRACE: Duration = Duration::from_secs(5);
/// How much of the end of its output is shown.
const TAIL: u64 = 4096;
const TAIL_LINES: usize = 10;

/// What is run, and where its output goes.
#[derive(Debug)]
pub(crate) struct HookCommand<'a> {
    /// Program and arguments; a program with a slash is found from the project root.
    pub(crate) argv: &'a [String],
    /// The project root: its working directory.
    pub(crate) project: &'a Path,
    /// The release, as `STAGECRAFT_RELEASE`.
    pub(crate) release: &'a str,
    /// Where its output is appended.
    pub(crate) output: &'a File,
}

/// How it ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Ended {
    /// By itself.
    Exited(ExitStatus),
    /// It was stopped: the work was cancelled.
    Cancelled,
    /// It was stopped: the deadline passed.
    Late,
}

impl Ended {
    /// Returns how it ended, as words to go behind the command; `None` for success.
    pub(crate) fn complaint(self) -> Option<String> {
        match self {
            Self::Exited(status) if status.success() => None,
            Self::Exited(status) => Some(match (status.code(), status.signal()) {
                (Some(code), _) => format!("exited with status {code}"),
                (None, Some(signal)) => format!("was killed by signal {signal}"),
                (None, None) => "ended without a status".to_owned(),
            }),
            Self::Cancelled => Some("was interrupted".to_owned()),
            Self::Late => Some("was stopped at its deadline".to_owned()),
        }
    }
}

impl HookCommand<'_> {
    /// Runs it to its end. Processes that it leaves behind after ending by itself are left alone.
    pub(crate) fn run(&self, cancel: Option<&Cancel>, deadline: Deadline) -> io::Result<Ended> {
        let (program, arguments) = self
            .argv
            .split_first()
            .ok_or_else(|| io::Error::new(io::ErrorKind::InvalidInput, "empty command"))?;
        let program = if program.contains('/') {
            self.project.join(program)
        } else {
            PathBuf::from(program)
        };
        let mut child = Command::new(program)
            .args(arguments)
            .current_dir(self.project)
            .env("STAGECRAFT_RELEASE", self.release)
            .stdin(Stdio::null())
            .stdout(self.output.try_clone()?)
            .stderr(self.output.try_clone()?)
            .process_group(0)
            .spawn()?;
        let group = Pid::from_child(&child);
        match supervise(group, cancel, deadline) {
            Ok(Woken::Ready) => Ok(Ended::Exited(child.wait()?)),
            Ok(woken) => {
                stop(&mut child, group)?;
                Ok(if woken == Woken::Cancelled {
                    Ended::Cancelled
                } else {
                    Ended::Late
                })
            }
            Err(error) => {
                stop(&mut child, group)?;
                Err(error)
            }
        }
    }
}

fn supervise(process: Pid, cancel: Option<&Cancel>, deadline: Deadline) -> io::Result<Woken> {
    let descriptor = pidfd_open(process, PidfdFlags::empty())?;
    wait(Some((descriptor.as_fd(), PollFlags::IN)), cancel, deadline)
}

/// Ends the whole group: asks first, then kills.
fn stop(child: &mut Child, group: Pid) -> io::Result<()> {
    kill_process_group(group, Signal::TERM).ok();
    let descriptor = pidfd_open(group, PidfdFlags::empty())?;
    wait(
        Some((descriptor.as_fd(), PollFlags::IN)),
        None,
        Deadline::after(GRACE),
    )?;
    // The leader is not reaped yet, so its number still names this group.
    kill_process_group(group, Signal::KILL).ok();
    child.wait()?;
    Ok(())
}

/// Returns the last lines that `output` holds behind `start`.
pub(crate) fn tail(mut output: &File, start: u64) -> io::Result<String> {
    let end = output.seek(SeekFrom::End(0))?;
    let from = start.max(end.saturating_sub(TAIL));
    output.seek(SeekFrom::Start(from))?;
    let mut bytes = Vec::new();
    output.take(TAIL).read_to_end(&mut bytes)?;
    let text = String::from_utf8_lossy(&bytes);
    let lines: Vec<&str> = text
        .lines()
        .map(str::trim_end)
        .filter(|line| !line.is_empty())
        .collect();
    Ok(lines[lines.len().saturating_sub(TAIL_LINES)..].join("\n"))
}
