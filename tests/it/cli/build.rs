//! `build`: what runs, what is said, what is left.

use std::collections::BTreeSet;

use super::{everything, shop, without_level};
use crate::support::{Output, TestApp};

fn with_status(output: &Output, status: &str) -> BTreeSet<String> {
    let document = output.json();
    let operations = document["operations"].as_array().unwrap().clone();
    operations
        .iter()
        .filter(|operation| operation["status"] == status)
        .map(|operation| operation["id"].as_str().unwrap().to_owned())
        .collect()
}

fn names<const N: usize>(names: [&str; N]) -> BTreeSet<String> {
    names.map(str::to_owned).into()
}

/// Two services of two operations, and a third operation of its own.
fn pair() -> TestApp {
    TestApp::with_config(
        "project: { name: pair }
operations:
  left: { script: echo left > left, outputs: [left] }
  right: { script: echo right > right, outputs: [right] }
  other: { script: 'true' }
services:
  l: { artifact: left }
  r: { artifact: right }
environments:
  local: { driver: directory, path: ./deploy }
",
    )
}

/// spec: cli/build R1
#[test]
fn only_what_is_missing_runs() {
    let app = shop();
    let build = || app.run(&["build", "page", "--format", "json"]).succeed();
    assert_eq!(with_status(&build(), "ran"), names(["words", "page"]));
    assert_eq!(with_status(&build(), "hit"), names(["words", "page"]));
    app.write("src/words.txt", "two\n");
    assert_eq!(with_status(&build(), "ran"), names(["words", "page"]));
    app.edit("stagecraft.yml", "tr a-z A-Z", "tr a-z  A-Z");
    assert_eq!(with_status(&build(), "ran"), names(["page"]));
}

/// spec: cli/build R1
#[test]
fn a_run_says_why_it_ran_and_a_hit_says_nothing() {
    let app = shop();
    let first = app.run(&["build", "words"]).succeed();
    assert_eq!(first.stdout, "1 operation: 1 ran\n");
    assert!(
        first
            .stderr
            .starts_with("start words: never ran before\nran words ("),
        "{first}"
    );
    let second = app.run(&["build", "words"]).succeed();
    assert_eq!(second.stdout, "1 operation: 1 hit\n");
    assert_eq!(second.stderr, "");
    app.write("src/words.txt", "two\n");
    let third = app.run(&["build", "words"]).succeed();
    assert!(
        third
            .stderr
            .starts_with("start words: `src/words.txt` changed\n"),
        "{third}"
    );
}

/// spec: cli/build R2
#[test]
fn operations_all_or_the_artifacts_of_an_environment_are_built() {
    let app = pair();
    let ran = |arguments: &[&str]| {
        let mut all = vec!["build", "--no-cache", "--format", "json"];
        all.extend(arguments);
        with_status(&app.run(&all).succeed(), "ran")
    };
    assert_eq!(ran(&["other"]), names(["other"]));
    assert_eq!(ran(&["left", "other"]), names(["left", "other"]));
    assert_eq!(ran(&["--all"]), names(["left", "right", "other"]));
    assert_eq!(ran(&["--env", "local"]), names(["left", "right"]));
    let output = app.run(&["build"]).expect(1);
    assert_eq!(
        output.stderr,
        "error: --env is required\nhint: environments: local\n"
    );
    app.run(&["build", "left", "--all"]).expect(1);
}

/// spec: cli/build R3
#[test]
fn services_choose_artifacts() {
    let app = pair();
    let output = app.run(&[
        "build",
        "--env",
        "local",
        "--services",
        "r",
        "--format",
        "json",
    ]);
    assert_eq!(with_status(&output.succeed(), "ran"), names(["right"]));
    let both = app.run(&[
        "build",
        "--env",
        "local",
        "--services",
        "r,l",
        "--format",
        "json",
    ]);
    assert_eq!(with_status(&both.succeed(), "hit"), names(["right"]));
    let output = app
        .run(&["build", "--env", "local", "--services", "l,x"])
        .expect(1);
    assert_eq!(
        output.stderr,
        "error: unknown service in build plan: x\nhint: services: l, r\n"
    );
}

/// spec: cli/build R4
#[test]
fn a_build_is_not_a_release() {
    let app = shop();
    app.run(&["build", "--env", "local"]).succeed();
    assert!(!app.exists(".stagecraft/releases.json") && !app.exists("deploy"));
    let list = app.run(&["releases", "list"]).succeed();
    assert_eq!(list.stdout, "No releases found\n");
}

/// spec: cli/build R5
#[test]
fn arguments_enter_the_key_of_the_one_operation() {
    let app = TestApp::with_config(
        "project: { name: say }\noperations:\n  say: { command: [sh, -c, 'echo \"$@\" > said', sh], outputs: [said] }\n  other: { script: 'true' }\n",
    );
    app.run(&["build", "say", "--", "a", "--all"]).succeed();
    assert_eq!(app.read(".stagecraft/out/say/said"), "a --all\n");
    let again = app.run(&["build", "say", "--", "a", "--all"]).succeed();
    assert_eq!(again.stdout, "1 operation: 1 hit\n");
    app.run(&["build", "say", "--", "b"]).succeed();
    assert_eq!(app.read(".stagecraft/out/say/said"), "b\n");
    let output = app.run(&["build", "--all", "--", "a"]).expect(1);
    assert_eq!(
        output.stderr,
        "error: arguments after `--` need exactly one operation\n"
    );
    app.run(&["build", "say", "other", "--", "a"]).expect(1);
}

/// spec: cli/build R6
#[test]
fn no_cache_runs_everything_again() {
    let app = shop();
    app.run(&["build", "page"]).succeed();
    for flag in ["--no-cache", "--refresh"] {
        let output = app.run(&["build", "page", flag]).succeed();
        assert_eq!(output.stdout, "2 operations: 2 ran\n");
    }
}

/// spec: cli/build R7
#[test]
fn a_failure_stops_what_is_not_needed_for_it_unless_told_to_keep_going() {
    let app = TestApp::with_config(
        "project: { name: f }\noperations:\n  a-bad: { script: exit 4 }\n  b-after: { script: 'true', needs: [a-bad] }\n  c-other: { script: 'true' }\n",
    );
    let stopped = app.run(&["build", "--all", "--jobs", "1", "--format", "json"]);
    let stopped = stopped.expect(3);
    assert_eq!(with_status(&stopped, "failed"), names(["a-bad"]));
    assert!(with_status(&stopped, "skipped").contains("b-after"));
    let going = app
        .run(&[
            "build",
            "--all",
            "--jobs",
            "1",
            "--keep-going",
            "--format",
            "json",
        ])
        .expect(3);
    assert_eq!(with_status(&going, "skipped"), names(["b-after"]));
    assert!(!with_status(&going, "failed").contains("c-other"));
}

/// spec: cli/build R8
#[test]
fn a_failure_is_shown_whole() {
    let app = shop();
    app.edit(
        "stagecraft.yml",
        "tr a-z A-Z < in/out/words > page.html",
        "echo broken; exit 3",
    );
    let output = app.run(&["build", "page", "--jobs", "1"]).expect(3);
    assert_eq!(output.stdout, "2 operations: 1 ran, 1 failed\n");
    insta::with_settings!({filters => crate::support::FILTERS.to_vec()}, {
        insta::assert_snapshot!(without_level(&output.stderr), @r#"
        start words: never ran before
        ran words ([time])
        start page: never ran before
        failed page ([time])
        --- output of page ---
        broken
        ---
        failed: page: exited with status 3
        error: build failed: phase "build" failed: page: exited with status 3
        "#);
    });
}

/// spec: cli/build R8
#[test]
fn what_is_not_reached_is_named_with_the_failure() {
    let app = shop();
    app.edit(
        "stagecraft.yml",
        "cat src/words.txt",
        "false; cat src/words.txt",
    );
    let output = app.run(&["build", "page"]).expect(3);
    assert!(
        output
            .stderr
            .contains("  not reached because of it: page\n"),
        "{output}"
    );
}

/// spec: cli/build R9
#[test]
fn a_dry_run_shows_the_operations_and_touches_nothing() {
    let app = shop();
    let before = everything(&app.path(""));
    let output = app.run(&["build", "--env", "local", "--dry-run"]).succeed();
    assert!(before == everything(&app.path("")) && !app.store().exists());
    let mut lines = output.stdout.lines();
    assert_eq!(
        lines.next(),
        Some("[DRY RUN] Build plan for environment \"local\":")
    );
    assert_eq!(lines.next_back(), Some("No operation was run."));
    assert!(output.stdout.contains("  1. words\n") && output.stdout.contains("  2. page\n"));
    app.run(&["build", "page"]).succeed();
    app.write("src/words.txt", "two\n");
    let before = (everything(&app.path("")), everything(&app.store()));
    let output = app.run(&["build", "page", "--dry-run", "--format", "json"]);
    assert_eq!(output.succeed().json()["phases"][0]["cache"], "miss");
    assert!(before == (everything(&app.path("")), everything(&app.store())));
}

/// spec: cli/build R10
#[test]
fn replay_shows_whose_output_is_asked_for() {
    let app = TestApp::with_config(
        "project: { name: f }\noperations:\n  talk: { script: echo said-something }\n",
    );
    let shown = |whose: &str| {
        let output = app.run(&["build", "talk", "--replay", whose]).succeed();
        output
            .stderr
            .contains("--- output of talk ---\nsaid-something\n---\n")
    };
    assert!(shown("new"));
    assert!(!shown("new"), "a hit is not new");
    assert!(shown("full"));
    assert!(!shown("errors") && !shown("none"));
}

/// spec: cli/build R11
#[test]
fn what_has_no_build_plan_says_so() {
    let app = shop();
    app.remove("src/words.txt");
    let output = app.run(&["build", "page"]).expect(2);
    assert!(
        output
            .stderr
            .starts_with("error: build: plan generation failed: "),
        "{output}"
    );
    let output = app.run(&["build", "--env", "prod"]).expect(1);
    assert_eq!(
        output.stderr,
        "error: invalid environment: prod\nhint: environments: local\n"
    );
}

/// spec: cli/build R12
#[test]
fn one_job_and_eight_jobs_print_the_same() {
    let document = |jobs: &str| {
        let app = pair();
        let output = app.run(&["build", "--all", "--format", "json", "--jobs", jobs]);
        output.succeed().stdout
    };
    assert_eq!(document("1"), document("8"));
}
