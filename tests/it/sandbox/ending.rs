//! How a command ends, and that nothing of it goes on.

use std::fs;
use std::os::fd::AsFd;
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use stagecraft::evaluate::{Cause, Completion};
use stagecraft::sandbox::Stream;

use super::bench::{Bench, levels, stream_of};

/// spec: sandbox/running R1
#[test]
fn a_script_is_run_by_sh_and_stops_at_the_first_failure() {
    for level in levels() {
        let mut bench = Bench::script(level, "echo \"$0 $*\"; false; echo never");
        bench.run.arguments = vec!["one".to_owned(), "two words".to_owned()];
        let (failure, log) = bench.failed();
        assert_eq!(failure.cause, Cause::Exit(1));
        assert_eq!(failure.message, "exited with status 1");
        assert_eq!(log, "sh one two words\n", "level {level}");
        let (failure, _) = Bench::script(level, "echo $unset").failed();
        assert_eq!(failure.cause, Cause::Exit(2), "level {level}");
    }
}

/// spec: sandbox/running R2
#[test]
fn a_command_is_started_without_a_shell() {
    for level in levels() {
        let mut bench = Bench::argv(level, &["printf", "%s|", "$HOME", "*"]);
        bench.run.arguments = vec!["; id".to_owned()];
        assert_eq!(bench.produced().log, "$HOME|*|; id|", "level {level}");
    }
}

/// spec: sandbox/running R2
#[test]
fn a_program_with_a_slash_is_one_of_the_tree() {
    for level in levels() {
        let bench = Bench::argv(level, &["./run", "x"])
            .executable("w/run", "#!/bin/sh\necho \"$0 $1\"\n")
            .workdir("w");
        let log = bench.produced().log;
        assert!(log.ends_with("run x\n"), "{log}");
        let (failure, _) = Bench::argv(level, &["./absent"]).failed();
        assert_eq!(failure.cause, Cause::Machine);
        assert_eq!(
            failure.message,
            "`./absent` could not be started: no such file, or its interpreter is missing"
        );
        let (failure, _) = Bench::argv(level, &["./plain"])
            .source("plain", "x")
            .failed();
        assert_eq!(
            failure.message,
            "`./plain` could not be started: it is not executable"
        );
    }
}

/// spec: sandbox/running R3
#[test]
fn a_program_that_is_not_on_path_is_named() {
    for level in levels() {
        let (failure, _) = Bench::argv(level, &["frobnicate"]).failed();
        assert_eq!(
            failure.message,
            "`frobnicate` is not among the tools of this operation"
        );
        assert_eq!(failure.hint.as_deref(), Some("add `frobnicate` to tools"));
        let (failure, _) = Bench::script(level, "frobnicate --now").failed();
        assert_eq!(failure.cause, Cause::Exit(127));
        assert_eq!(failure.hint.as_deref(), Some("add `frobnicate` to tools"));
    }
}

/// spec: sandbox/running R4
#[test]
fn statuses_and_signals_are_told_apart() {
    for level in levels() {
        for status in [1, 7, 137, 255] {
            let (failure, _) = Bench::script(level, &format!("exit {status}")).failed();
            assert_eq!(failure.cause, Cause::Exit(status), "level {level}");
        }
        let (failure, _) = Bench::script(level, "kill -9 $$").failed();
        assert_eq!(failure.cause, Cause::Signal(9), "level {level}");
        assert_eq!(failure.message, "killed by signal 9");
    }
}

/// spec: evaluate/log R2
#[test]
fn both_streams_are_kept_apart_and_in_order() {
    for level in levels() {
        let bench = Bench::script(
            level,
            "echo one; echo two >&2; sleep 0.05; echo three; exit 3",
        );
        let Completion::Failed {
            log,
            level: reached,
            ..
        } = bench.execute()
        else {
            panic!("it succeeded")
        };
        assert_eq!(stream_of(&log, Stream::Stdout), "one\nthree\n");
        assert_eq!(stream_of(&log, Stream::Stderr), "two\n");
        assert_eq!(reached, Some(level));
    }
}

/// spec: sandbox/running R5
#[test]
fn standard_input_is_empty_and_there_is_no_terminal() {
    for level in levels() {
        let bench = Bench::script(
            level,
            "cat; if (: > /dev/tty) 2>/dev/null; then echo terminal; fi; echo end",
        );
        assert_eq!(bench.produced().log, "end\n", "level {level}");
    }
}

/// A descriptor that becomes readable when the last process of a run is gone: each holds one end of a pipe that
/// opening `fifo` gave it, and the test the other.
struct Tripwire {
    _directory: tempfile::TempDir,
    fifo: std::path::PathBuf,
    reader: fs::File,
}

impl Tripwire {
    fn new() -> Self {
        use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let fifo = directory.path().join("alive");
        let mode = rustix::fs::Mode::from_raw_mode(0o666);
        rustix::fs::mknodat(rustix::fs::CWD, &fifo, rustix::fs::FileType::Fifo, mode, 0).unwrap();
        let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).unwrap();
        let reader = fs::OpenOptions::new()
            .read(true)
            .custom_flags(nonblocking)
            .open(&fifo)
            .unwrap();
        Self {
            _directory: directory,
            fifo,
            reader,
        }
    }

    /// Lets an operation see the pipe, as a tool's file.
    fn shown_to(&self, mut bench: Bench) -> Bench {
        let mut tool = (*super::bench::tool("wire", &[])).clone();
        tool.files = vec![self.fifo.clone()];
        bench.run.tools.push(tool.into());
        bench
    }

    /// Whether something wrote to it, and whether no process holds it any more.
    fn state(&self) -> (bool, bool) {
        let mut polled = [PollFd::from_borrowed_fd(self.reader.as_fd(), PollFlags::IN)];
        let patience = Timespec {
            tv_sec: 10,
            tv_nsec: 0,
        };
        poll(&mut polled, Some(&patience)).unwrap();
        let events = polled[0].revents();
        (
            events.contains(PollFlags::IN),
            events.contains(PollFlags::HUP),
        )
    }
}

/// Starts a process that leaves session and group, is nobody's child, and would live for a minute; goes on when it is up.
fn daemon(fifo: &Path) -> String {
    format!(
        "(setsid sh -c 'echo up; : > up; exec sleep 60' > '{}' 2>&1 < /dev/null &)\nwhile ! test -e up; do sleep 0.01; done\n",
        fifo.display()
    )
}

/// spec: sandbox/running R6
#[test]
fn a_background_process_neither_delays_nor_outlives_the_command() {
    for level in levels() {
        let wire = Tripwire::new();
        let script = format!("{}sleep 60 &\necho end", daemon(&wire.fifo));
        let bench = wire.shown_to(Bench::script(level, &script).outputs(&["up"]));
        let start = Instant::now();
        assert_eq!(bench.produced().log, "end\n", "level {level}");
        assert!(start.elapsed() < Duration::from_secs(30), "level {level}");
        assert!(wire.state().1, "level {level}: a process is left");
    }
}

/// spec: sandbox/running R7
#[test]
fn a_timeout_kills_everything() {
    for level in levels() {
        let wire = Tripwire::new();
        let script = format!("echo before; {}sleep 60", daemon(&wire.fifo));
        let mut bench = wire.shown_to(Bench::script(level, &script));
        bench.run.limits.timeout = Duration::from_millis(4500);
        let start = Instant::now();
        let (failure, log) = bench.failed();
        assert!(start.elapsed() < Duration::from_secs(30), "level {level}");
        assert_eq!(failure.cause, Cause::Timeout);
        assert_eq!(failure.message, "took longer than 4s500ms (timeout)");
        assert_eq!(log, "before\n", "level {level}");
        assert_eq!(
            wire.state(),
            (true, true),
            "level {level}: started, and gone"
        );
    }
}

/// spec: sandbox/running R8
#[test]
fn a_cancellation_kills_everything() {
    for level in levels() {
        let wire = Tripwire::new();
        let bench = wire.shown_to(Bench::script(
            level,
            &format!("{}sleep 60", daemon(&wire.fifo)),
        ));
        std::thread::scope(|scope| {
            let running = scope.spawn(|| bench.execute());
            assert!(wire.state().0, "level {level}: it never started");
            bench.cancel.cancel();
            assert!(
                matches!(running.join().unwrap(), Completion::Cancelled),
                "level {level}"
            );
        });
        assert!(wire.state().1, "level {level}: a process is left");
    }
}

/// spec: sandbox/running R9
#[test]
fn nothing_outlives_an_executor_that_is_killed() {
    if let Ok(fifo) = std::env::var("STAGECRAFT_TEST_KILLED_FIFO") {
        let level = std::env::var("STAGECRAFT_TEST_KILLED_LEVEL")
            .unwrap()
            .parse()
            .unwrap();
        let mut bench = Bench::script(level, &format!("{}sleep 60", daemon(Path::new(&fifo))));
        let mut tool = (*super::bench::tool("wire", &[])).clone();
        tool.files = vec![fifo.into()];
        bench.run.tools.push(tool.into());
        bench.execute();
        return;
    }
    for level in levels() {
        let wire = Tripwire::new();
        let mut executor = std::process::Command::new(std::env::current_exe().unwrap())
            .args([
                "--exact",
                "sandbox::ending::nothing_outlives_an_executor_that_is_killed",
            ])
            .env("STAGECRAFT_TEST_KILLED_FIFO", &wire.fifo)
            .env("STAGECRAFT_TEST_KILLED_LEVEL", level.to_string())
            .spawn()
            .unwrap();
        assert!(wire.state().0, "level {level}: it never started");
        executor.kill().unwrap();
        executor.wait().unwrap();
        let mut text = [0; 16];
        std::io::Read::read(&mut &wire.reader, &mut text).unwrap();
        assert!(wire.state().1, "level {level}: a process is left");
    }
}

/// spec: sandbox/running R10, evaluate/log R6
#[test]
fn a_failure_is_tried_again_from_a_fresh_tree() {
    let outside = tempfile::tempdir().unwrap();
    let attempts = outside.path().join("attempts");
    // Only a file outside the tree can count attempts, and only level 0 can write to one.
    let script = format!(
        "test ! -e stale; touch stale; echo x >> '{0}'; echo attempt $(wc -l < '{0}'); test $(wc -l < '{0}') -ge 3",
        attempts.display()
    );
    let mut bench = Bench::script(0, &script).outputs(&["stale"]);
    bench.run.limits.retries = 2;
    let made = bench.produced();
    assert_eq!(made.warnings, ["succeeded on attempt 3"]);
    assert_eq!(made.log, "attempt 3\n");
    fs::remove_file(&attempts).unwrap();
    bench.run.limits.retries = 1;
    let (failure, log) = bench.failed();
    assert_eq!(
        (failure.cause, log.as_str()),
        (Cause::Exit(1), "attempt 2\n")
    );
    // Trying again cannot help what is not the command's own failure.
    fs::remove_file(&attempts).unwrap();
    let mut bench =
        Bench::script(0, &format!("echo x >> '{}'", attempts.display())).outputs(&["none"]);
    bench.run.limits.retries = 5;
    assert_eq!(bench.failed().0.cause, Cause::MissingOutput);
    assert_eq!(fs::read_to_string(&attempts).unwrap(), "x\n");
}

/// spec: sandbox/running R11
#[test]
fn a_file_that_was_not_declared_is_named_when_its_absence_may_be_the_reason() {
    for level in levels() {
        let bench = Bench::script(level, "cat ../common/log.h")
            .undeclared("services/common/log.h", "")
            .source("services/api/main.c", "")
            .workdir("services/api");
        let (failure, _) = bench.failed();
        assert_eq!(
            failure.hint.as_deref(),
            Some(
                "`services/common/log.h` exists in the project but is not among the inputs of `subject`; add it to inputs"
            ),
            "level {level}"
        );
        let bench = Bench::script(level, "echo 'main.c:1: log.h: No such file'; exit 1")
            .undeclared("include/log.h", "")
            .source("main.c", "");
        assert!(
            bench
                .failed()
                .0
                .hint
                .unwrap()
                .starts_with("`include/log.h` exists"),
            "level {level}"
        );
        let bench =
            Bench::script(level, "echo 'main.c:1: syntax error'; exit 1").source("main.c", "");
        assert_eq!(bench.failed().0.hint, None, "level {level}");
    }
}
