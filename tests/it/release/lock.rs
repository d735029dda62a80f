//! `spec/release/lock.md`.

use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Stdio};

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

/// Starts a process that takes the same lock and then waits to be killed.
#[expect(
    clippy::disallowed_methods,
    reason = "effects: a process that holds a lock"
)]
fn holding(path: &Path) -> Child {
    let child = std::process::Command::new("flock")
        .args([
            "--no-fork".as_ref(),
            path.as_os_str(),
            "sh".as_ref(),
            "-c".as_ref(),
            "echo held; exec sleep 600".as_ref(),
        ])
        .stdout(Stdio::piped())
        .spawn();
    child.unwrap()
}

/// spec: release/lock R1
#[test]
fn the_lock_ends_with_the_process_and_is_not_inherited() {
    let directory = TempDir::new().unwrap();
    let prod = environment("prod");
    let path = directory.path().join("locks/prod.lock");
    let held = EnvironmentLock::take(directory.path(), &prod, &holder("deploy")).unwrap();
    // A program started while the lock is held must not keep it.
    #[expect(
        clippy::disallowed_methods,
        reason = "effects: a process beside the lock"
    )]
    let mut bystander = std::process::Command::new("sleep")
        .arg("600")
        .spawn()
        .unwrap();
    drop(held);
    drop(EnvironmentLock::take(directory.path(), &prod, &holder("deploy")).unwrap());

    let mut other = holding(&path);
    let mut word = [0; 5];
    std::io::Read::read_exact(other.stdout.as_mut().unwrap(), &mut word).unwrap();
    let error = EnvironmentLock::take(directory.path(), &prod, &holder("deploy")).unwrap_err();
    assert_eq!(
        error.to_string(),
        "environment `prod` is locked by another process"
    );
    other.kill().unwrap();
    assert_eq!(other.wait().unwrap().signal(), Some(9));
    EnvironmentLock::take(directory.path(), &prod, &holder("deploy")).unwrap();
    bystander.kill().unwrap();
    bystander.wait().unwrap();
}
