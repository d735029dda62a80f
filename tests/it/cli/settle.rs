//! What a killed deploy left is settled by the next one.

use super::interrupt::{Running, stuck, unstick};
use rustix::process::Signal;

/// spec: cli/interrupt R5
#[test]
fn a_release_left_running_is_failed_by_the_next_deploy() {
    let app = stuck();
    let running = Running::at(&app, &["deploy", "--env", "local"], "start page");
    let (exit, _) = running.signal(Signal::KILL);
    assert_eq!(exit, 137);
    let list = || {
        app.run(&["releases", "list", "--format", "json"])
            .succeed()
            .json()
    };
    assert_eq!(list()["releases"][0]["status"], "running");
    let id = list()["releases"][0]["id"].as_str().unwrap().to_owned();
    let status = app.run(&["status"]).succeed();
    assert_eq!(
        status.stdout,
        format!("local: nothing deployed; the latest, {id}, is running\n")
    );
    unstick(&app);
    app.run(&["deploy", "--env", "local"]).succeed();
    let releases = list();
    assert_eq!(releases["releases"][0]["status"], "completed");
    assert_eq!(releases["releases"][1]["status"], "failed");
    assert_eq!(releases["releases"][1]["phases"]["build"], "failed");
    assert_eq!(releases["releases"][1]["phases"]["finalize"], "skipped");
    let shown = app.run(&["releases", "show", &id]).succeed();
    assert!(
        shown
            .stdout
            .contains("  build: failed (the run that owned it ended without a result)\n"),
        "{shown}"
    );
    assert!(shown.stdout.contains("  outcome: abandoned\n"), "{shown}");
}

/// spec: cli/interrupt R5
#[test]
fn a_dry_run_settles_nothing() {
    let app = stuck();
    let running = Running::at(&app, &["deploy", "--env", "local"], "start page");
    running.signal(Signal::KILL);
    let before = app.read(".stagecraft/releases.json");
    app.run(&["deploy", "--env", "local", "--dry-run"])
        .succeed();
    assert_eq!(app.read(".stagecraft/releases.json"), before);
}
