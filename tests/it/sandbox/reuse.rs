//! Operations that run one after another in one sandbox share a helper and nothing else.

use rustix::event::{PollFd, PollFlags, poll};
use rustix::process::{Pid, PidfdFlags, Signal};
use stagecraft::evaluate::{Cause, Completion};

use super::bench::{Bench, find, levels, machine_level, tool};

/// The helper that ran the operation, which at level 0 is the command's parent.
fn helper_of(bench: &Bench, sandbox: &stagecraft::sandbox::Sandbox) -> Pid {
    Pid::from_raw(bench.produced_with(sandbox).log.trim().parse().unwrap()).unwrap()
}

/// spec: sandbox/running R12
#[test]
fn a_helper_serves_one_operation_after_another_whatever_thread_asks() {
    let bench = Bench::script(0, "echo $PPID");
    let sandbox = bench.sandbox();
    let first = std::thread::scope(|threads| {
        let worker = threads.spawn(|| helper_of(&bench, &sandbox));
        worker.join().unwrap()
    });
    assert_eq!(helper_of(&bench, &sandbox), first);
    let other = bench.sandbox();
    assert_ne!(helper_of(&bench, &other), first);
}

/// spec: sandbox/running R12
#[test]
fn a_helper_that_was_ended_while_it_waited_is_replaced() {
    let bench = Bench::script(0, "echo $PPID");
    let sandbox = bench.sandbox();
    let first = helper_of(&bench, &sandbox);
    let handle = rustix::process::pidfd_open(first, PidfdFlags::empty()).unwrap();
    rustix::process::pidfd_send_signal(&handle, Signal::KILL).unwrap();
    poll(&mut [PollFd::new(&handle, PollFlags::IN)], None).unwrap();
    assert_ne!(helper_of(&bench, &sandbox), first);
}

/// spec: sandbox/running R12
#[test]
fn a_helper_ends_with_its_sandbox() {
    let bench = Bench::script(0, "echo $PPID");
    let sandbox = bench.sandbox();
    let helper = helper_of(&bench, &sandbox);
    let handle = rustix::process::pidfd_open(helper, PidfdFlags::empty()).unwrap();
    drop(sandbox);
    poll(&mut [PollFd::new(&handle, PollFlags::IN)], None).unwrap();
}

/// spec: sandbox/running R12
#[test]
fn an_operation_that_was_stopped_or_failed_to_start_spoils_nothing_for_the_next() {
    for level in levels() {
        let mut bench = Bench::script(level, "sleep 60");
        bench.run.limits.timeout = std::time::Duration::from_millis(300);
        let sandbox = bench.sandbox();
        let Completion::Failed { failure, .. } = bench.execute_with(&sandbox) else {
            panic!("it ended by itself")
        };
        assert_eq!(failure.cause, Cause::Timeout, "level {level}");
        bench.run.limits.timeout = std::time::Duration::from_mins(1);
        for script in ["exit 3", "kill -9 $$"] {
            bench.rewrite(script);
            assert!(
                matches!(bench.execute_with(&sandbox), Completion::Failed { .. }),
                "level {level}"
            );
        }
        bench.rewrite("echo end");
        assert_eq!(bench.produced_with(&sandbox).log, "end\n", "level {level}");
    }
}

/// spec: sandbox/contract R6
#[test]
fn the_directory_of_path_is_made_again_when_a_command_meddled_with_it() {
    let mut bench = Bench::script(
        0,
        "chmod u+w \"$PATH\"; ln -sf cat \"$PATH/sed\"; sed < /dev/null",
    );
    let sandbox = bench.sandbox();
    bench.produced_with(&sandbox);
    bench.rewrite("readlink \"$PATH/sed\"; echo \"$PATH\"");
    let log = bench.produced_with(&sandbox).log;
    assert!(log.starts_with('/') && log.contains("/sed\n"), "{log}");
    assert_eq!(bench.produced_with(&sandbox).log, log);
}

/// An operation at level 2 and the one that follows it in the same sandbox.
fn one_after_another(first: &str, second: &str, tools: &[&str]) -> Option<String> {
    if machine_level() < 2 || tools.iter().any(|name| find(name).is_none()) {
        return None;
    }
    let mut bench = Bench::script(2, first);
    bench.run.tools = tools.iter().map(|name| tool(name, &[name])).collect();
    let sandbox = bench.sandbox();
    bench.produced_with(&sandbox);
    bench.rewrite(second);
    Some(bench.produced_with(&sandbox).log)
}

/// spec: sandbox/level-2 R9
#[test]
fn nothing_is_left_in_a_scratch_directory() {
    let left = one_after_another(
        "echo x > /tmp/x; echo x > /dev/shm/x; echo x > /tmp/home/x; echo x > x; (setsid sleep 60 &)",
        "ls -A /tmp /tmp/home /dev/shm /build; ls /proc | sed -n '/^[0-9]*$/p' | wc -l",
        &[],
    );
    if let Some(left) = left {
        let (listed, processes) = left.trim_end().rsplit_once('\n').unwrap();
        assert_eq!(listed, "/build:\n\n/dev/shm:\n\n/tmp:\nhome\n\n/tmp/home:");
        assert!(processes.parse::<u32>().unwrap() <= 6, "{processes}");
    }
}

/// spec: sandbox/level-2 R9
#[test]
fn no_shared_memory_is_left() {
    let left = one_after_another(
        "ipcmk -M 4096 > /dev/null; ipcs -m",
        "ipcs -m",
        &["ipcmk", "ipcs"],
    );
    if let Some(left) = left {
        assert!(!left.contains("4096"), "{left}");
    }
}

/// spec: sandbox/level-2 R9
#[test]
fn no_packet_is_left_in_the_counters() {
    let counters = "sed -n 's/^ *lo: *//p' /proc/net/dev";
    let left = one_after_another(
        &format!("bash -c ': > /dev/tcp/127.0.0.1/9' 2> /dev/null || :; {counters}"),
        &format!("{counters}; bash -c ': > /dev/tcp/127.0.0.1/9' 2>&1 || :"),
        &["bash"],
    );
    if let Some(left) = left {
        let (counted, said) = left.split_once('\n').unwrap();
        assert!(
            counted.split_whitespace().all(|number| number == "0"),
            "{left}"
        );
        assert!(said.contains("refused"), "its loopback is up: {left}");
    }
}

/// spec: sandbox/level-2 R10
#[test]
fn what_the_helper_keeps_cannot_be_had() {
    let tools = ["unshare", "mount", "umount"];
    if machine_level() < 2 || tools.iter().any(|name| find(name).is_none()) {
        return;
    }
    let mut bench = Bench::script(
        2,
        "sed 's/ - .*//' /proc/self/mountinfo | sed -n '/ .build/p' | wc -l\n\
         unshare -Urmpf --mount-proc true 2> /dev/null && echo mounted /proc\n\
         unshare -Urm sh -c 'umount -l /build || umount -l /proc || umount -l /proc/sys' 2> /dev/null && echo unmounted\n\
         echo end",
    );
    bench.run.tools = tools.iter().map(|name| tool(name, &[name])).collect();
    assert_eq!(bench.produced().log, "1\nend\n");
}
