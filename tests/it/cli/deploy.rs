//! `deploy`: the behaviours that are promised for every deploy, by number, and what it says.

use serde_json::Value;

use super::{deploy, everything, shop, without_ids, without_level};
use crate::support::{Output, TestApp};

const PHASES: [&str; 6] = [
    "build",
    "push",
    "migrate_pre",
    "rollout",
    "migrate_post",
    "finalize",
];

fn run(app: &TestApp, arguments: &[&str]) -> Output {
    let mut all = vec!["deploy", "--env", "local"];
    all.extend(arguments);
    app.run(&all)
}

/// The state as a process that knows nothing else reads it.
fn state(app: &TestApp) -> Value {
    serde_json::from_str(&app.read(".stagecraft/releases.json")).unwrap()
}

fn statuses(release: &Value) -> Vec<(&'static str, String)> {
    let status = |phase: &str| release["phases"][phase].as_str().unwrap().to_owned();
    PHASES.map(|phase| (phase, status(phase))).into()
}

fn newest(app: &TestApp) -> Value {
    state(app)["releases"]
        .as_array()
        .unwrap()
        .last()
        .unwrap()
        .clone()
}

/// A shop whose `activate` and gate write down that they were there.
fn watched() -> TestApp {
    let app = shop();
    app.edit(
        "stagecraft.yml",
        "path: ./deploy }",
        "path: ./deploy, activate: [./activate], health: { exec: [./gate] } }",
    );
    app.write_program("activate", "#!/bin/sh\necho activate >> trace\n");
    app.write_program("gate", "#!/bin/sh\necho gate >> trace\ntest ! -e sick\n");
    app
}

/// spec: cli/deploy R1
#[test]
fn deploy_behaviour_01_phase_order() {
    let app = watched();
    app.edit("stagecraft.yml", "tr a-z", "echo page; tr a-z");
    let output = run(&app, &["--format", "json"]).succeed();
    let operations = output.json()["operations"].as_array().unwrap().clone();
    let phases: Vec<&str> = operations
        .iter()
        .map(|operation| operation["phase"].as_str().unwrap())
        .collect();
    assert_eq!(phases, ["build", "build", "rollout", "rollout", "rollout"]);
    assert_eq!(app.read("trace"), "activate\ngate\n");
    let reached: Vec<&str> = output
        .stderr
        .lines()
        .filter_map(|line| line.strip_prefix("start ")?.split(": ").next())
        .collect();
    let names: Vec<&str> = operations
        .iter()
        .map(|operation| operation["id"].as_str().unwrap())
        .collect();
    assert_eq!(reached, names, "execution followed the plan");
}

/// spec: cli/deploy R2
#[test]
fn deploy_behaviour_02_dry_run_shows_phases_and_runs_none() {
    let app = watched();
    let output = run(&app, &["--dry-run"]).succeed();
    assert!(!app.exists("trace"));
    for (number, phase) in PHASES.iter().enumerate() {
        let line = format!("\n  {}. {phase}", number + 1);
        assert!(output.stdout.contains(&line), "{output}");
    }
}

/// spec: cli/deploy R3
#[test]
fn deploy_behaviour_03_build_failure_stops_the_rest() {
    let app = watched();
    app.edit("stagecraft.yml", "tr a-z", "exit 9; tr a-z");
    let output = run(&app, &[]).expect(3);
    assert!(
        output.stderr.ends_with(
            "error: deployment failed: phase \"build\" failed: page: exited with status 9\n"
        ),
        "{output}"
    );
    assert!(!app.exists("trace") && !app.exists("deploy/current"));
    let release = newest(&app);
    assert_eq!(release["phases"]["build"], "failed");
    for phase in &PHASES[1..] {
        assert_eq!(release["phases"][phase], "skipped");
    }
}

/// spec: cli/deploy R4
#[test]
fn deploy_behaviour_05_rollout_failure_never_finalizes() {
    let app = watched();
    let first = deploy(&app);
    app.write("src/words.txt", "two\n");
    app.write("sick", "");
    let output = run(&app, &[]).expect(7);
    assert!(
        output.stderr.contains("error: deployment failed: phase \""),
        "{output}"
    );
    let release = newest(&app);
    assert_eq!(release["phases"]["build"], "completed");
    assert_ne!(release["phases"]["finalize"], "completed");
    assert_eq!(state(&app)["live"]["local"], first.as_str());
    assert_eq!(app.read("deploy/current/site/page.html"), "ONE\n");
}

/// spec: cli/deploy R5
#[test]
fn deploy_behaviour_06_state_after_success() {
    let app = shop();
    let id = deploy(&app);
    let release = newest(&app);
    assert_eq!(release["id"], id.as_str());
    let expected = [
        "completed",
        "skipped",
        "skipped",
        "completed",
        "skipped",
        "completed",
    ];
    let found: Vec<String> = statuses(&release)
        .into_iter()
        .map(|(_, status)| status)
        .collect();
    assert_eq!(found, expected);
    assert_eq!(state(&app)["live"]["local"], id.as_str());
    assert!(release["manifest"].as_str().unwrap().starts_with("b3:"));
    let second = deploy(&app);
    assert_ne!(id, second);
    assert_eq!(newest(&app)["previous_id"], id.as_str());
    assert_eq!(
        state(&app)["releases"][0],
        release,
        "older releases stay as they are"
    );
}

/// spec: cli/deploy R2
#[test]
fn deploy_behaviour_07_no_state_on_dry_run() {
    let app = shop();
    let before = everything(&app.path(""));
    run(&app, &["--dry-run"]).succeed();
    assert!(before == everything(&app.path("")) && !app.store().exists());
    deploy(&app);
    app.write("src/words.txt", "two\n");
    let before = (everything(&app.path("")), everything(&app.store()));
    run(&app, &["--dry-run"]).succeed();
    assert!(before == (everything(&app.path("")), everything(&app.store())));
}

/// spec: cli/deploy R6
#[test]
fn deploy_behaviour_08_invalid_environment_fails_first() {
    let app = shop();
    let before = everything(&app.path(""));
    let output = app.run(&["deploy", "--env", "moon"]).expect(1);
    assert_eq!(
        output.stderr,
        "error: invalid environment: moon\nhint: environments: local\n"
    );
    let output = app.run(&["deploy"]).expect(1);
    assert_eq!(
        output.stderr,
        "error: --env is required\nhint: environments: local\n"
    );
    assert!(before == everything(&app.path("")) && !app.store().exists());
}

/// spec: cli/deploy R7
#[test]
#[ignore = "needs git"]
fn deploy_behaviour_09_version_is_given_or_the_commit_or_unknown() {
    let app = shop();
    deploy(&app);
    assert_eq!(
        (&newest(&app)["version"], &newest(&app)["commit_sha"]),
        (&"unknown".into(), &"".into())
    );
    let git = |arguments: &[&str]| {
        let mut all = vec!["-c", "user.name=a", "-c", "user.email=a@example.com"];
        all.extend(arguments);
        app.program("git", &all).succeed().stdout
    };
    git(&["init", "-q"]);
    git(&["commit", "-q", "--allow-empty", "-m", "x"]);
    let head = git(&["rev-parse", "HEAD"]).trim().to_owned();
    deploy(&app);
    assert_eq!(newest(&app)["version"], head.as_str());
    run(&app, &["--version", "v7"]).succeed();
    assert_eq!(newest(&app)["version"], "v7");
    assert_eq!(newest(&app)["commit_sha"], head.as_str());
}

/// spec: cli/deploy R8
#[test]
fn deploy_behaviour_10_migrate_phases_are_present_and_say_why_they_are_skipped() {
    let app = shop();
    let id = deploy(&app);
    for phase in ["migrate_pre", "migrate_post"] {
        assert_eq!(newest(&app)["phases"][phase], "skipped");
        assert_eq!(newest(&app)["phase_reasons"][phase], "no migrations");
    }
    let shown = app.run(&["releases", "show", &id]).succeed();
    assert!(
        shown
            .stdout
            .contains("  migrate_pre: skipped (no migrations)\n"),
        "{shown}"
    );
}

/// spec: cli/deploy R9
#[test]
fn deploy_behaviour_11_the_driver_is_called_with_what_was_built() {
    let app = watched();
    app.write_program(
        "activate",
        "#!/bin/sh\ncat deploy/current/site/page.html > seen\n",
    );
    run(&app, &[]).succeed();
    assert_eq!(app.read("seen"), "ONE\n");
}

/// spec: cli/deploy R10
#[test]
fn deploy_behaviour_12_golden_dry_run() {
    let output = run(&shop(), &["--dry-run", "--version", "v1"]).succeed();
    assert_eq!(output.stderr, "");
    insta::assert_snapshot!(output.stdout, @r#"
    [DRY RUN] Deploy plan for environment "local":
    Version: v1
    Plan: b3:f62053f23eedbb49b71e5a3efd1b1874e2227b80070d91bd8cce109116aa4614

    Phases:
      1. build
         - words: miss (never ran before)
         - page: unresolved (`words` runs first)
      2. push: skipped (nothing to push)
      3. migrate_pre: skipped (no migrations)
      4. rollout
         - rollout:site@local: effect
         - deploy_local: effect
      5. migrate_post: skipped (no migrations)
      6. finalize
         - seal the release and make it live
    No release was created.
    "#);
}

/// spec: cli/deploy R10
#[test]
fn deploy_behaviour_12_golden_success() {
    let app = shop();
    let output = run(&app, &["--jobs", "1"]).succeed();
    insta::assert_snapshot!(without_ids(&output.stdout), @r"
    Release [release] is live
    4 operations: 2 ran, 2 applied
    ");
    insta::with_settings!({filters => crate::support::FILTERS.to_vec()}, {
        insta::assert_snapshot!(without_level(&output.stderr), @r"
        start words: never ran before
        ran words ([time])
        start page: never ran before
        ran page ([time])
        start rollout:site@local: its tree is not there
        applied rollout:site@local ([time])
        start deploy_local: nothing is live
        applied deploy_local ([time])
        ");
    });
}

/// spec: cli/deploy R10
#[test]
fn deploy_behaviour_12_golden_early_failure() {
    let app = shop();
    app.edit(
        "stagecraft.yml",
        "cat src/words.txt",
        "echo no words >&2; exit 1; cat src/words.txt",
    );
    let output = run(&app, &["--jobs", "1"]).expect(3);
    insta::assert_snapshot!(without_ids(&output.stdout), @r"
    Release [release] failed
    4 operations: 1 failed, 3 skipped
    ");
    insta::with_settings!({filters => crate::support::FILTERS.to_vec()}, {
        insta::assert_snapshot!(without_level(&output.stderr), @r#"
        start words: never ran before
        failed words ([time])
        --- output of words ---
        no words
        ---
        failed: words: exited with status 1
          not reached because of it: page
        error: deployment failed: phase "build" failed: words: exited with status 1
        "#);
    });
}

/// spec: cli/deploy R11
#[test]
fn a_second_deploy_says_that_nothing_changed() {
    let app = shop();
    deploy(&app);
    let output = run(&app, &[]).succeed();
    insta::assert_snapshot!(without_ids(&output.stdout), @r"
    Release [release] is live; nothing changed
    4 operations: 2 hit, 2 converged
    ");
    app.write("src/words.txt", "two\n");
    assert!(!run(&app, &[]).succeed().stdout.contains("nothing changed"));
}

/// spec: cli/deploy R12
#[test]
fn a_plan_that_fails_leaves_no_release() {
    let app = shop();
    app.remove("src/words.txt");
    let output = run(&app, &[]).expect(2);
    assert!(
        output
            .stderr
            .starts_with("error: generating deployment plan: "),
        "{output}"
    );
    assert!(!app.exists(".stagecraft/releases.json"));
}

/// spec: cli/deploy R12
#[test]
fn a_log_that_cannot_be_written_ends_the_deploy() {
    let app = shop();
    app.write(".stagecraft/releases.json", "{ \"releases\": [");
    let output = run(&app, &[]).expect(13);
    assert!(output.stderr.contains("is damaged"), "{output}");
    assert!(
        output
            .stderr
            .contains("hint: restore the file from a backup"),
        "{output}"
    );
    assert_eq!(app.read(".stagecraft/releases.json"), "{ \"releases\": [");
}

/// spec: cli/deploy R13
#[test]
fn who_and_why_are_recorded() {
    let mut app = shop();
    app.set("USER", "ada");
    run(&app, &["--reason", "the words were old"]).succeed();
    let run = &newest(&app)["run"];
    assert_eq!(
        (&run["actor"], &run["reason"]),
        (&"ada".into(), &"the words were old".into())
    );
}

/// The ids of the releases that have a root in the store.
fn rooted(app: &TestApp) -> Vec<String> {
    let output = app.run(&["store", "roots", "--format", "json"]).succeed();
    let roots = output.json()["roots"].as_array().unwrap().clone();
    roots
        .iter()
        .filter_map(|root| root["name"].as_str()?.strip_prefix("release/shop/local/"))
        .map(str::to_owned)
        .collect()
}

/// spec: cli/deploy R14
#[test]
fn five_releases_keep_their_bytes_and_those_of_other_checkouts_stay() {
    let mut other = shop();
    let app = shop();
    other.share_store(&app);
    run(&other, &[]).succeed();
    for _ in 0..7 {
        run(&app, &[]).succeed();
    }
    let releases = state(&app)["releases"].as_array().unwrap().clone();
    let newest = releases[2..]
        .iter()
        .map(|release| release["id"].as_str().unwrap());
    let mut wanted: Vec<String> = newest.map(str::to_owned).collect();
    for id in &wanted {
        assert!(app.exists(&format!("deploy/releases/{id}")), "{id}");
    }
    assert!(!app.exists(&format!(
        "deploy/releases/{}",
        releases[1]["id"].as_str().unwrap()
    )));
    wanted.insert(
        0,
        state(&other)["releases"][0]["id"]
            .as_str()
            .unwrap()
            .to_owned(),
    );
    assert_eq!(rooted(&app), wanted);
}
