//! The same sources give the same plan, the same manifest and no work, wherever, whoever and however.

use std::fs;
use std::process::Command;

use serde_json::Value;

use super::{bytes_below, deploy, town, with_status};
use crate::support::TestApp;

#[track_caller]
fn did_nothing(document: &Value) {
    assert_eq!(document["summary"]["ran"], 0, "{document:#}");
    assert_eq!(document["summary"]["applied"], 0, "{document:#}");
}

#[track_caller]
fn same_content(a: &Value, b: &Value) {
    assert_eq!(a["plan"], b["plan"]);
    assert_eq!(a["manifest"], b["manifest"]);
    assert_ne!(a["release"], b["release"]);
}

/// spec: house/acceptance R1
#[test]
fn a_second_deploy_runs_and_applies_nothing() {
    let app = town();
    let first = deploy(&app);
    assert_eq!(first["summary"]["ran"], 4);
    let second = deploy(&app);
    did_nothing(&second);
    same_content(&first, &second);
    let said = app.run(&["deploy", "--env", "local"]).succeed();
    assert!(said.stdout.contains("; nothing changed\n"), "{said}");
}

/// Gives every file another time, and its directory entries other times than before.
fn touch_everything(app: &TestApp) {
    app.program(
        "find",
        &[
            ".",
            "-name",
            "deploy",
            "-prune",
            "-o",
            "-exec",
            "touch",
            "-d",
            "2031-02-03",
            "{}",
            "+",
        ],
    )
    .succeed();
}

/// spec: house/acceptance R2
#[test]
fn times_clones_masks_and_jobs_change_nothing() {
    let app = town();
    let first = deploy(&app);
    touch_everything(&app);
    let touched = deploy(&app);
    did_nothing(&touched);
    same_content(&first, &touched);
    for (mask, jobs) in [("077", "1"), ("000", "8")] {
        let mut clone = town();
        clone.share_store(&app);
        let script = format!("umask {mask}; cp -R src again; rm -r src; mv again src; exec \"$@\"");
        let run = clone.prepared(&[
            "deploy", "--env", "local", "--jobs", jobs, "--format", "json",
        ]);
        let output = clone.finish(through(&clone, &["sh", "-c", &script, "sh"], &run));
        assert_eq!(output.status, 0, "{output}");
        let document = output.json();
        assert_eq!(document["summary"]["ran"], 0, "{document:#}");
        same_content(&first, &document);
        assert_eq!(
            bytes_below(&app.path("deploy/current")),
            bytes_below(&clone.path("deploy/current"))
        );
    }
}

/// The command that runs `command` through a wrapper.
fn through(app: &TestApp, wrapper: &[&str], command: &Command) -> Command {
    let mut whole = app.wrapper(wrapper);
    whole.arg(command.get_program()).args(command.get_args());
    whole
}

/// spec: house/acceptance R3
#[test]
fn another_user_with_the_same_store_runs_nothing() {
    let app = town();
    let is_root = app.program("id", &["-u"]).succeed().stdout == "0\n";
    if !is_root {
        return;
    }
    // The store is made open to all, as one would for a store that users share.
    let build = app.prepared(&["deploy", "--env", "local", "--format", "json"]);
    let made = app.finish(through(
        &app,
        &["sh", "-c", "umask 000; exec \"$@\"", "sh"],
        &build,
    ));
    assert_eq!(made.status, 0, "{made}");
    let mut clone = town();
    clone.share_store(&app);
    for app in [&app, &clone] {
        app.program("chmod", &["a+rx", "../.."])
            .status
            .eq(&0)
            .then_some(())
            .unwrap();
        app.program("chmod", &["a+rx", ".."]).succeed();
    }
    clone
        .program("chown", &["-R", "65534:65534", "..", "../home"])
        .succeed();
    // The program of this build may lie where the other user cannot go.
    let program = clone.path("../program");
    fs::copy(env!("CARGO_BIN_EXE_stagecraft"), &program).unwrap();
    let script = format!("umask 000; shift; exec {} \"$@\"", program.display());
    let other = [
        "setpriv",
        "--reuid",
        "65534",
        "--regid",
        "65534",
        "--clear-groups",
        "sh",
        "-c",
        &script,
        "sh",
    ];
    let run = clone.prepared(&["deploy", "--env", "local", "--format", "json"]);
    let output = clone.finish(through(&clone, &other, &run));
    assert_eq!(output.status, 0, "{output}");
    let document = output.json();
    assert_eq!(document["summary"]["ran"], 0, "{document:#}");
    same_content(&made.json(), &document);
}

/// spec: house/acceptance R4
#[test]
fn a_change_that_gives_the_same_output_stops_there() {
    let app = town();
    deploy(&app);
    app.write("src/streets.txt", "High Street\nMill Lane\n");
    let document = deploy(&app);
    assert_eq!(with_status(&document, "ran"), ["streets".to_owned()].into());
    assert_eq!(document["summary"]["applied"], 0);
}

/// spec: house/acceptance R5
#[test]
fn a_changed_file_reruns_its_operation_and_its_dependents_and_why_names_it() {
    let app = town();
    deploy(&app);
    app.write("src/houses.txt", "12\n7\n9\n");
    let why = app.run(&["why", "index"]).succeed();
    assert!(
        why.stdout.contains("houses: `src/houses.txt` changed"),
        "{why}"
    );
    let document = deploy(&app);
    assert_eq!(
        with_status(&document, "ran"),
        ["houses", "index", "map"].map(str::to_owned).into()
    );
    assert_eq!(with_status(&document, "hit"), ["streets".to_owned()].into());
    let why = app.run(&["why", "houses"]).succeed();
    assert!(
        why.stdout
            .ends_with("why it ran last: `src/houses.txt` changed\n"),
        "{why}"
    );
}

/// spec: house/acceptance R6
#[test]
fn the_way_back_after_the_sources_are_gone_gives_the_same_bytes() {
    let app = town();
    deploy(&app);
    let before = bytes_below(&app.path("deploy/current"));
    assert!(before.len() > 9, "{before:?}");
    app.write("src/houses.txt", "1\n");
    deploy(&app);
    assert_ne!(before, bytes_below(&app.path("deploy/current")));
    app.remove("src");
    // The trees of the target are not what the bytes come from.
    app.program("sh", &["-c", "chmod -R u+w deploy; for tree in deploy/trees/*; do [ \"$tree\" -ef deploy/current/map ] || [ \"$tree\" -ef deploy/current/index ] || rm -r \"$tree\"; done"])
        .succeed();
    let document = app
        .run(&[
            "rollback",
            "--env",
            "local",
            "--to-previous",
            "--format",
            "json",
        ])
        .succeed()
        .json();
    assert_eq!(document["summary"]["ran"], 0);
    assert_eq!(before, bytes_below(&app.path("deploy/current")));
}
