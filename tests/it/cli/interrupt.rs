//! Signals: what is asked to stop stops, says so with its exit code, and leaves nothing half done.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use super::{deploy, shop};
use crate::support::TestApp;

/// A run of the program that goes on; it dies with the test.
pub(super) struct Running {
    child: Option<Child>,
    stderr: BufReader<std::process::ChildStderr>,
}

impl Running {
    /// Starts the program and returns once it has said a line that begins with `line`.
    pub(super) fn at(app: &TestApp, arguments: &[&str], line: &str) -> Self {
        let mut command = app.prepared(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = Some(command.spawn().unwrap());
        let stderr = child.as_mut().and_then(|child| child.stderr.take());
        let mut running = Self {
            child,
            stderr: BufReader::new(stderr.unwrap()),
        };
        let mut said = String::new();
        loop {
            let mut next = String::new();
            let read = running.stderr.read_line(&mut next).unwrap();
            assert_ne!(read, 0, "it never said {line:?}:\n{said}");
            if next.starts_with(line) {
                return running;
            }
            said.push_str(&next);
        }
    }

    pub(super) fn process(&self) -> u32 {
        self.child.as_ref().unwrap().id()
    }

    /// Sends a signal and returns the exit code (128 + n where it died of one) and stdout.
    pub(super) fn signal(mut self, signal: Signal) -> (i32, String) {
        let process = Pid::from_child(self.child.as_ref().unwrap());
        kill_process(process, signal).unwrap();
        let (mut stdout, mut rest) = (String::new(), String::new());
        let mut child = self.child.take().unwrap();
        child
            .stdout
            .take()
            .unwrap()
            .read_to_string(&mut stdout)
            .unwrap();
        self.stderr.read_to_string(&mut rest).unwrap();
        let status = child.wait().unwrap();
        let died = std::os::unix::process::ExitStatusExt::signal(&status);
        (
            status.code().unwrap_or_else(|| 128 + died.unwrap_or(0)),
            stdout,
        )
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().and_then(|()| child.wait()).ok();
        }
    }
}

/// A shop whose page is never ready.
pub(super) fn stuck() -> TestApp {
    let app = shop();
    app.edit("stagecraft.yml", "tr a-z", "sleep 1000; tr a-z");
    app
}

/// Lets the page of a stuck shop be made.
pub(super) fn unstick(app: &TestApp) {
    app.edit("stagecraft.yml", "sleep 1000; ", "");
}

fn newest(app: &TestApp) -> Value {
    let list = app
        .run(&["releases", "list", "--format", "json"])
        .succeed()
        .json();
    list["releases"][0].clone()
}

/// spec: cli/exit-codes R10
#[test]
fn an_interrupted_build_exits_130_or_143_and_records_nothing_unfinished() {
    let app = stuck();
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let running = Running::at(&app, &["build", "page", "--format", "json"], "start page");
        let (exit, stdout) = running.signal(signal);
        assert_eq!(exit, code);
        let document: Value = serde_json::from_str(&stdout).unwrap();
        assert_eq!(document["operations"][1]["status"], "cancelled");
    }
    let plan = app
        .run(&["plan", "page", "--format", "json"])
        .succeed()
        .json();
    assert_eq!(
        plan["phases"][0]["cache"], "hit",
        "what was finished counts"
    );
    assert_eq!(plan["phases"][1]["cache"], "miss");
    app.run(&["store", "verify"]).succeed();
}

/// spec: cli/interrupt R1, cli/interrupt R2
#[test]
fn an_interrupted_deploy_fails_its_phase_skips_the_rest_and_frees_the_lock() {
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        let app = stuck();
        let running = Running::at(&app, &["deploy", "--env", "local"], "start page");
        let (exit, _) = running.signal(signal);
        assert_eq!(exit, code);
        let release = newest(&app);
        assert_eq!(release["phases"]["build"], "failed");
        for phase in ["push", "migrate_pre", "rollout", "migrate_post", "finalize"] {
            assert_eq!(release["phases"][phase], "skipped");
        }
        let id = release["id"].as_str().unwrap();
        let shown = app.run(&["releases", "show", id]).succeed();
        assert!(shown.stdout.contains("  outcome: interrupted\n"), "{shown}");
        unstick(&app);
        app.run(&["deploy", "--env", "local"]).succeed();
    }
}

/// spec: cli/interrupt R3
#[test]
fn an_interrupted_rollout_leaves_the_old_release_live() {
    let app = shop();
    app.edit(
        "stagecraft.yml",
        "path: ./deploy }",
        "path: ./deploy, activate: [./activate] }",
    );
    app.write_program("activate", "#!/bin/sh\n");
    let first = deploy(&app);
    app.write("src/words.txt", "two\n");
    app.write_program(
        "activate",
        "#!/bin/sh\ngrep -q ONE deploy/current/site/page.html || exec sleep 1000\n",
    );
    let running = Running::at(&app, &["deploy", "--env", "local"], "start deploy_local");
    let (exit, _) = running.signal(Signal::INT);
    assert_eq!(exit, 130);
    assert_eq!(app.read("deploy/current/site/page.html"), "ONE\n");
    let status = app.run(&["status", "--drift"]).succeed();
    assert!(
        status.stdout.starts_with(&format!("local: {first} ")),
        "{status}"
    );
}

/// spec: cli/interrupt R4, cli/exit-codes R11
#[test]
fn a_second_deploy_meanwhile_is_refused_and_names_the_first() {
    let mut app = stuck();
    app.set("USER", "ada");
    let running = Running::at(&app, &["deploy", "--env", "local"], "start page");
    for arguments in [
        &["deploy", "--env", "local"][..],
        &["rollback", "--env", "local", "--to-previous"],
    ] {
        let output = app.run(arguments).expect(9);
        let holder = format!(
            "error: environment `local` is locked by `deploy` of ada, process {}, since 2",
            running.process()
        );
        assert!(output.stderr.starts_with(&holder), "{output}");
        assert!(
            output.stderr.contains("\nhint: wait for it to end"),
            "{output}"
        );
    }
    app.run(&["deploy", "--env", "local", "--dry-run"])
        .succeed();
    app.run(&["releases", "list"]).succeed();
    let (exit, _) = running.signal(Signal::INT);
    assert_eq!(exit, 130);
    assert_eq!(newest(&app)["phases"]["build"], "failed");
}
