//! `spec/release/lock.md`.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]
#![expect(
    clippy::disallowed_methods,
    reason = "effects: processes beside the lock"
)]

use std::ffi::OsStr;
use std::io::Read;
use std::process::{Child, Command, Stdio};

use stagecraft::name::EnvironmentName;
use stagecraft::release::{EnvironmentLock, Holder};
use tempfile::TempDir;

use super::clock;

fn holder(command: &str) -> Holder {
    Holder {
        who: "ada".to_owned(),
        process: 42,
        command: command.to_owned(),
        started: clock(0).into(),
    }
}

fn environment(name: &str) -> EnvironmentName {
    name.parse().unwrap()
}

/// spec: release/lock R2, release/lock R3
#[test]
fn the_second_is_told_who_holds_the_lock() {
    let directory = TempDir::new().unwrap();
    let state = directory.path().join(".stagecraft");
    let prod = environment("prod");
    let held = EnvironmentLock::take(&state, &prod, &holder("deploy")).unwrap();
    let error = EnvironmentLock::take(&state, &prod, &holder("rollback")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "environment `prod` is locked by `deploy` of ada, process 42, since 2025-01-02T03:04:05.678Z"
    );
    EnvironmentLock::take(&state, &environment("dev"), &holder("deploy")).unwrap();
    drop(held);
    assert!(state.join("locks/prod.lock").exists());
    EnvironmentLock::take(&state, &prod, &holder("rollback")).unwrap();
}

/// A process that is killed at the end of the test, however it ends.
struct Bystander(Child);

impl Bystander {
    fn start(argv: &[&OsStr]) -> Self {
        let mut command = Command::new(argv[0]);
        command
            .args(&argv[1..])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// spec: release/lock R1
#[test]
fn the_lock_ends_with_the_process_and_is_not_inherited() {
    let directory = TempDir::new().unwrap();
    let prod = environment("prod");
    let path = directory.path().join("locks/prod.lock");
    let take = || EnvironmentLock::take(directory.path(), &prod, &holder("deploy"));
    let held = take().unwrap();
    // A program started while the lock is held must not keep it.
    let _bystander = Bystander::start(&["sleep".as_ref(), "600".as_ref()]);
    drop(held);
    drop(take().unwrap());

    let script = "echo held; exec sleep 600";
    let argv = [
        "flock".as_ref(),
        "--no-fork".as_ref(),
        path.as_os_str(),
        "sh".as_ref(),
        "-c".as_ref(),
        script.as_ref(),
    ];
    let mut other = Bystander::start(&argv);
    let mut word = [0; 5];
    other
        .0
        .stdout
        .as_mut()
        .unwrap()
        .read_exact(&mut word)
        .unwrap();
    let error = take().unwrap_err();
    assert_eq!(
        error.to_string(),
        "environment `prod` is locked by another process"
    );
    drop(other);
    take().unwrap();
}
