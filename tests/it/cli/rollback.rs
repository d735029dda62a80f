//! `rollback`: what it accepts, what it says, and that it builds nothing.

use super::{deploy, everything, shop, without_ids};
use crate::support::{Output, TestApp};

fn back(app: &TestApp, arguments: &[&str]) -> Output {
    let mut all = vec!["rollback", "--env", "local"];
    all.extend(arguments);
    app.run(&all)
}

/// Deploys one and two, and returns their ids.
fn twice() -> (TestApp, String, String) {
    let app = shop();
    let first = deploy(&app);
    app.write("src/words.txt", "two\n");
    let second = deploy(&app);
    (app, first, second)
}

#[track_caller]
fn refused(output: Output, text: &str) {
    let output = output.expect(1);
    let first = output.stderr.lines().next().unwrap_or_default();
    assert_eq!(first, format!("error: {text}"), "{output}");
}

/// spec: cli/rollback R1
#[test]
fn exactly_one_target_is_needed() {
    let app = shop();
    refused(
        back(&app, &[]),
        "rollback target required; use --to-previous, --to-release, or --to-version",
    );
    refused(
        back(&app, &["--to-previous", "--to-version", "v1"]),
        "only one rollback target flag may be specified",
    );
}

/// spec: cli/rollback R2
#[test]
fn targets_that_are_none_are_refused_in_fixed_words() {
    let app = shop();
    refused(
        back(&app, &["--to-previous"]),
        "no current release found for environment \"local\"",
    );
    let only = deploy(&app);
    refused(
        back(&app, &["--to-previous"]),
        "no previous release to rollback to",
    );
    refused(
        back(&app, &["--to-release", "rel-20200101-000000000"]),
        "rollback target not found: \"rel-20200101-000000000\"",
    );
    refused(
        back(&app, &["--to-version", "v9"]),
        "no release found with version \"v9\" in environment \"local\"",
    );
    refused(
        back(&app, &["--to-release", &only]),
        &format!("cannot rollback to current release \"{only}\""),
    );
    app.edit(
        "stagecraft.yml",
        "path: ./deploy }",
        "path: ./deploy }\n  other: { driver: directory, path: ./other }",
    );
    let other = app.run(&["rollback", "--env", "other", "--to-release", &only]);
    refused(
        other,
        &format!("release \"{only}\" belongs to environment \"local\", not \"other\""),
    );
}

/// spec: cli/rollback R2
#[test]
fn a_release_that_failed_is_no_target() {
    let app = shop();
    deploy(&app);
    app.edit("stagecraft.yml", "tr a-z", "exit 1; tr a-z");
    let failed = app
        .run(&["deploy", "--env", "local", "--format", "json"])
        .expect(3);
    let id = failed.json()["release"].as_str().unwrap().to_owned();
    refused(
        back(&app, &["--to-release", &id]),
        &format!(
            "rollback target \"{id}\" is not fully deployed (phases: [build push migrate_pre rollout migrate_post finalize])"
        ),
    );
}

/// spec: cli/rollback R3
#[test]
fn the_old_bytes_come_back_without_sources_and_without_a_build() {
    let (app, first, _) = twice();
    let config = app.read("stagecraft.yml");
    app.remove("src");
    app.edit("stagecraft.yml", "tr a-z A-Z", "exit 1; cat");
    let output = back(&app, &["--to-previous", "--format", "json"]).succeed();
    let document = output.json();
    assert_eq!(document["summary"]["ran"], 0);
    assert_eq!(document["summary"]["hit"], 2);
    assert_eq!(app.read("deploy/current/site/page.html"), "ONE\n");
    let shown = app.run(&["releases", "show", &first, "--format", "json"]);
    assert_eq!(document["manifest"], shown.succeed().json()["manifest"]);
    assert_ne!(config, app.read("stagecraft.yml"));
}

/// spec: cli/rollback R4
#[test]
fn a_rollback_is_a_new_release_of_the_old_version() {
    let app = shop();
    app.run(&["deploy", "--env", "local", "--version", "v1"])
        .succeed();
    app.write("src/words.txt", "two\n");
    app.run(&["deploy", "--env", "local", "--version", "v2"])
        .succeed();
    let output = back(&app, &["--to-version", "v1", "--reason", "v2 is slow"]).succeed();
    insta::assert_snapshot!(without_ids(&output.stdout), @r"
    Rollback complete. New release: [release]
    4 operations: 2 hit, 1 applied, 1 converged
    ");
    let list = app
        .run(&["releases", "list", "--format", "json"])
        .succeed()
        .json();
    let newest = &list["releases"][0];
    assert_eq!(
        (&newest["version"], &newest["live"]),
        (&"v1".into(), &true.into())
    );
    assert_eq!(newest["previous_id"], list["releases"][1]["id"]);
    let id = newest["id"].as_str().unwrap();
    let shown = app.run(&["releases", "show", id]).succeed();
    let oldest = list["releases"][2]["id"].as_str().unwrap();
    assert!(
        shown.stdout.contains(&format!("  rollback of: {oldest}\n")),
        "{shown}"
    );
    assert!(shown.stdout.contains("  reason: v2 is slow\n"), "{shown}");
}

/// spec: cli/rollback R5
#[test]
fn a_dry_run_shows_target_and_phases_and_touches_nothing() {
    let (app, _, _) = twice();
    let before = (everything(&app.path("")), everything(&app.store()));
    let output = back(&app, &["--to-previous", "--dry-run"]).succeed();
    assert!(before == (everything(&app.path("")), everything(&app.store())));
    insta::assert_snapshot!(without_ids(&output.stdout), @r#"
    [DRY RUN] Rollback plan for environment "local":
    Target release: [release]
    Version: unknown
    Commit: N/A
    Plan: b3:f62053f23eedbb49b71e5a3efd1b1874e2227b80070d91bd8cce109116aa4614
    Validation: fully deployed, every byte is in the store

    Phases:
      1. build
         - words: hit
         - page: hit
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

/// spec: cli/rollback R6
#[test]
fn missing_bytes_end_it_before_a_release_is_made() {
    let (app, first, _) = twice();
    let releases = app.read(".stagecraft/releases.json");
    std::fs::remove_dir_all(app.store()).unwrap();
    for arguments in [&["--to-previous"][..], &["--to-previous", "--dry-run"]] {
        let output = back(&app, arguments).expect(13);
        assert!(
            output
                .stderr
                .starts_with(&format!("error: bytes of release {first} are missing: ")),
            "{output}"
        );
        assert!(output.stderr.contains("\nhint: "), "{output}");
    }
    assert_eq!(app.read(".stagecraft/releases.json"), releases);
    assert_eq!(app.read("deploy/current/site/page.html"), "TWO\n");
}

/// spec: cli/rollback R7
#[test]
fn a_failed_rollback_says_so_and_leaves_what_was_live() {
    let app = shop();
    app.edit(
        "stagecraft.yml",
        "path: ./deploy }",
        "path: ./deploy, health: { exec: [./gate] } }",
    );
    app.write_program("gate", "#!/bin/sh\ntest ! -e sick\n");
    deploy(&app);
    app.write("src/words.txt", "two\n");
    deploy(&app);
    app.write("sick", "");
    let output = back(&app, &["--to-previous"]).expect(7);
    assert!(
        output
            .stderr
            .contains("error: rollback deployment failed: phase \""),
        "{output}"
    );
    assert_eq!(app.read("deploy/current/site/page.html"), "TWO\n");
}

/// spec: cli/rollback R8
#[test]
fn back_and_back_again_goes_to_and_fro() {
    let (app, _, _) = twice();
    back(&app, &["--to-previous"]).succeed();
    assert_eq!(app.read("deploy/current/site/page.html"), "ONE\n");
    back(&app, &["--to-previous"]).succeed();
    assert_eq!(app.read("deploy/current/site/page.html"), "TWO\n");
}
