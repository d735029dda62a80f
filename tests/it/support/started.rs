//! `Started`: the program while it runs, watched by what it says on stderr.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, ChildStderr, Stdio};

use rustix::process::{Pid, Signal, kill_process};

use super::{Output, TestApp};

/// A program that was started and not yet waited for; killed when dropped.
pub(crate) struct Started {
    child: Child,
    stderr: BufReader<ChildStderr>,
    said: String,
}

impl TestApp {
    /// Starts `stagecraft -C <project> --store <store> <arguments>` and does not wait for it.
    pub(crate) fn start(&self, arguments: &[&str]) -> Started {
        let mut command = self.command(Path::new(env!("CARGO_BIN_EXE_stagecraft")));
        command.arg("-C").arg(self.path("")).arg("--store");
        command.arg(self.store()).args(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let stderr = BufReader::new(child.stderr.take().unwrap());
        Started {
            child,
            stderr,
            said: String::new(),
        }
    }
}

impl Started {
    /// Reads stderr up to the next line that begins so; panics where there is none.
    #[track_caller]
    pub(crate) fn until(&mut self, beginning: &str) {
        loop {
            let line = self.line();
            assert!(line.is_some(), "no {beginning:?} in:\n{}", self.said);
            if line.is_some_and(|line| line.starts_with(beginning)) {
                return;
            }
        }
    }

    /// Reads one line of stderr; none at its end.
    pub(crate) fn line(&mut self) -> Option<String> {
        let mut line = String::new();
        self.stderr.read_line(&mut line).unwrap();
        self.said.push_str(&line);
        (!line.is_empty()).then_some(line)
    }

    /// Returns once a program of that name runs below it.
    #[track_caller]
    pub(crate) fn until_runs(&mut self, program: &str) {
        let runs = |process: &u32| {
            std::fs::read_to_string(format!("/proc/{process}/comm"))
                .is_ok_and(|name| name.trim_end() == program)
        };
        while !self.descendants().iter().any(runs) {
            let ended = self.child.try_wait().unwrap();
            assert_eq!(ended, None, "it ended before `{program}` ran");
            std::thread::yield_now();
        }
    }

    /// Sends it a signal.
    pub(crate) fn signal(&self, signal: Signal) {
        let process = Pid::from_child(&self.child);
        kill_process(process, signal).unwrap();
    }

    /// Returns every process below it.
    pub(crate) fn descendants(&self) -> Vec<u32> {
        let mut found = Vec::new();
        let mut open = vec![self.child.id()];
        while let Some(process) = open.pop() {
            let below: Vec<u32> = children(process);
            found.extend(&below);
            open.extend(below);
        }
        found
    }

    /// Waits for its end.
    pub(crate) fn finish(mut self) -> Output {
        self.stderr.read_to_string(&mut self.said).unwrap();
        let mut stdout = String::new();
        let mut out = self.child.stdout.take().unwrap();
        out.read_to_string(&mut stdout).unwrap();
        let status = self.child.wait().unwrap();
        let signal = std::os::unix::process::ExitStatusExt::signal(&status);
        Output {
            status: status.code().unwrap_or_else(|| 128 + signal.unwrap_or(0)),
            stdout,
            stderr: std::mem::take(&mut self.said),
        }
    }
}

impl Drop for Started {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

fn children(process: u32) -> Vec<u32> {
    let Ok(tasks) = std::fs::read_dir(format!("/proc/{process}/task")) else {
        return Vec::new();
    };
    let texts = tasks
        .filter_map(Result::ok)
        .filter_map(|task| std::fs::read_to_string(task.path().join("children")).ok());
    texts
        .flat_map(|text| {
            let numbers = text.split_whitespace().map(|word| word.parse().unwrap());
            numbers.collect::<Vec<u32>>()
        })
        .collect()
}

/// Returns whether a process runs; one that waits to be reaped does not.
pub(crate) fn is_alive(process: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{process}/stat")).is_ok_and(|text| {
        let state = text.rsplit_once(')').map(|(_, rest)| rest.trim_start());
        !state.is_some_and(|state| state.starts_with(['Z', 'X']))
    })
}
