//! A deploy killed exactly at its n-th rename, link or sync: the store stays clean, and the same command ends it.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use crate::cli::shop;
use crate::support::{Output, TestApp};

/// The calls that make things visible, and those that make them durable.
const CALLS: [&str; 2] = ["rename,renameat,renameat2,linkat", "fsync,fdatasync,syncfs"];
const MOST: u32 = 60;

/// Deploys under strace, which kills at the `count`-th of `calls` in any one thread.
fn deploy_killed_at(app: &TestApp, calls: &str, count: u32) -> Output {
    let trace = format!("trace={calls}");
    let inject = format!("inject={calls}:signal=KILL:when={count}");
    let (project, store) = (app.path(""), app.store());
    app.program(
        "strace",
        &[
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            &trace,
            "-e",
            &inject,
            env!("CARGO_BIN_EXE_stagecraft"),
            "-C",
            project.to_str().unwrap(),
            "--store",
            store.to_str().unwrap(),
            "deploy",
            "--env",
            "local",
        ],
    )
}

/// Returns how many kills it took until a deploy got through.
fn storm(calls: &str) -> u32 {
    for count in 1..MOST {
        let app = shop();
        let killed = deploy_killed_at(&app, calls, count);
        if app.store().join("v1/FORMAT").exists() {
            app.run(&["store", "verify"]).succeed();
        }
        if killed.status == 0 {
            return count - 1;
        }
        assert_eq!(killed.status, 137, "{calls} {count}: {killed}");
        app.run(&["deploy", "--env", "local"]).succeed();
        assert_eq!(app.read("deploy/current/site/page.html"), "ONE\n");
        app.run(&["store", "verify"]).succeed();
    }
    panic!("{calls}: still killed after {MOST}");
}

/// spec: store/trials R7
#[test]
#[ignore = "needs strace"]
fn a_deploy_killed_at_any_rename_or_sync_is_ended_by_the_next() {
    for calls in CALLS {
        let kills = storm(calls);
        assert!(kills > 5, "{calls}: {kills}");
    }
}
