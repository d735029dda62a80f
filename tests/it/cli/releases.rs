//! `releases` and `status`.

use super::{deploy, shop, without_ids};
use crate::support::TestApp;

fn log(entries: &[(&str, &str, &str, &str)]) -> String {
    let releases: Vec<serde_json::Value> = entries
        .iter()
        .map(|(id, environment, version, timestamp)| {
            serde_json::json!({
                "id": id, "environment": environment, "version": version, "commit_sha": "",
                "timestamp": timestamp,
                "phases": { "build": "completed", "push": "completed", "migrate_pre": "completed",
                    "rollout": "failed", "migrate_post": "skipped", "finalize": "skipped" },
            })
        })
        .collect();
    serde_json::json!({ "releases": releases }).to_string()
}

/// spec: cli/releases R1
#[test]
fn a_list_needs_no_configuration_and_may_be_empty() {
    let app = TestApp::new();
    let output = app.run(&["releases", "list"]).succeed();
    assert_eq!(
        (output.stdout.as_str(), output.stderr.as_str()),
        ("No releases found\n", "")
    );
    let json = app.run(&["releases", "list", "--format", "json"]).succeed();
    assert_eq!(json.json(), serde_json::json!({ "releases": [] }));
    let unknown = app.run(&["releases", "list", "--env", "moon"]).succeed();
    assert_eq!(unknown.stdout, "No releases found\n");
}

/// spec: cli/releases R2
#[test]
fn the_list_is_a_table_that_fits_its_cells() {
    let mut app = TestApp::new();
    app.write(
        ".stagecraft/releases.json",
        &log(&[
            (
                "rel-20240102-030405678",
                "prod",
                "a-version-longer-than-fifteen",
                "2024-01-02T03:04:05.678Z",
            ),
            ("rel-20240102-030406", "prod", "v2", "2024-01-02T03:04:06Z"),
            (
                "rel-20240103-000000000",
                "dev",
                "v3",
                "2024-01-03T00:00:00Z",
            ),
        ]),
    );
    insta::assert_snapshot!(app.run(&["releases", "list"]).succeed().stdout, @r"
    RELEASE ID              ENVIRONMENT  VERSION                        TIMESTAMP            STATUS
    rel-20240103-000000000  dev          v3                             2024-01-03 00:00:00  failed
    rel-20240102-030406     prod         v2                             2024-01-02 03:04:06  failed
    rel-20240102-030405678  prod         a-version-longer-than-fifteen  2024-01-02 03:04:05  failed
    ");
    insta::assert_snapshot!(app.run(&["releases", "list", "--env", "dev"]).succeed().stdout, @r"
    RELEASE ID              VERSION  TIMESTAMP            STATUS
    rel-20240103-000000000  v3       2024-01-03 00:00:00  failed
    ");
    app.set("STAGECRAFT_ENV", "dev");
    let all = app.run(&["releases", "list"]).succeed();
    assert!(
        all.stdout.contains("prod"),
        "the variable does not filter: {all}"
    );
}

/// spec: cli/releases R3
#[test]
fn the_document_lists_newest_first() {
    let app = shop();
    let ids = [deploy(&app), deploy(&app)];
    let document = app
        .run(&["releases", "list", "--format", "json"])
        .succeed()
        .json();
    let found = document["releases"].as_array().unwrap();
    assert_eq!(
        (&found[0]["id"], &found[1]["id"]),
        (&ids[1].as_str().into(), &ids[0].as_str().into())
    );
    let keys: Vec<&str> = found[0]
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect();
    assert_eq!(
        keys,
        [
            "id",
            "environment",
            "version",
            "commit_sha",
            "timestamp",
            "status",
            "live",
            "previous_id",
            "manifest",
            "phases"
        ]
    );
    assert_eq!(
        (&found[0]["live"], &found[1]["live"]),
        (&true.into(), &false.into())
    );
    assert_eq!(found[0]["status"], "completed");
}

/// spec: cli/releases R4
#[test]
fn show_names_phases_plan_configuration_and_every_operation() {
    let mut app = shop();
    app.set("USER", "ada");
    let id = deploy(&app);
    let output = app.run(&["releases", "show", &id]).succeed();
    insta::with_settings!({filters => vec![
        (r"rel-\d{8}-\d{9}", "[release]"),
        (r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d", "[timestamp]"),
        // The base system is the machine's, and enters the keys.
        (r"(key    |output |Manifest: )b3:[0-9a-f]{64}", "${1}[digest]"),
    ]}, {
        insta::assert_snapshot!(output.stdout, @r"
        Release ID: [release]
        Environment: local
        Version: unknown
        Commit SHA: N/A
        Timestamp: [timestamp]
        Previous Release: N/A

        Phases:
          build: completed
          push: skipped (nothing to push)
          migrate_pre: skipped (no migrations)
          rollout: completed
          migrate_post: skipped (no migrations)
          finalize: completed

        Run:
          actor: ada
          outcome: completed

        Manifest: [digest]
        Plan: b3:f62053f23eedbb49b71e5a3efd1b1874e2227b80070d91bd8cce109116aa4614

        Configuration:
          stagecraft.yml b3:53ca88de768e85717709e28aefa4e730b3d869567d386152167f52140f7bfa85

        Operations:
          words (run)
             key    [digest]
             output [digest]
          page (run)
             key    [digest]
             output [digest]
          rollout:site@local (rollout)
             key    [digest]
          deploy_local (rollout)
             key    [digest]
        ");
    });
}

/// spec: cli/releases R4
#[test]
fn show_tells_where_a_release_failed_and_why() {
    let app = shop();
    app.edit("stagecraft.yml", "tr a-z", "exit 1; tr a-z");
    let failed = app
        .run(&["deploy", "--env", "local", "--format", "json"])
        .expect(3);
    let id = failed.json()["release"].as_str().unwrap().to_owned();
    let output = app.run(&["releases", "show", &id]).succeed();
    assert!(
        output.stdout.contains("  build: failed (page: exited with status 1)\n  push: skipped (phase \"build\" failed)\n"),
        "{output}"
    );
    assert!(output.stdout.contains("  outcome: failed\n"), "{output}");
    let json = app
        .run(&["releases", "show", &id, "--format", "json"])
        .succeed()
        .json();
    assert_eq!(
        (&json["status"], &json["content"]),
        (&"failed".into(), &serde_json::Value::Null)
    );
}

/// spec: cli/releases R5
#[test]
fn a_release_that_is_not_there_is_an_error() {
    let output = shop().run(&["releases", "show", "rel-x"]).expect(1);
    assert_eq!(output.stderr, "error: release not found: \"rel-x\"\n");
    let output = shop()
        .run(&["releases", "diff", "rel-x", "rel-y"])
        .expect(1);
    assert_eq!(output.stderr, "error: release not found: \"rel-x\"\n");
}

/// spec: cli/releases R6
#[test]
fn a_release_whose_bytes_are_gone_is_listed_so() {
    let app = shop();
    let id = deploy(&app);
    std::fs::remove_dir_all(app.store()).unwrap();
    let list = app.run(&["releases", "list"]).succeed();
    assert!(list.stdout.ends_with("bytes lost (live)\n"), "{list}");
    let shown = app.run(&["releases", "show", &id]).succeed();
    assert!(
        shown
            .stdout
            .ends_with("\nBytes lost: a rollback to this release is not possible\n"),
        "{shown}"
    );
}

/// spec: cli/releases R7
#[test]
fn diff_names_what_differs_or_says_that_nothing_does() {
    let app = shop();
    let (a, b) = (deploy(&app), deploy(&app));
    let same = app.run(&["releases", "diff", &a, &b]).succeed();
    assert_eq!(same.stdout, "No differences\n");
    app.write("src/words.txt", "two\n");
    let c = deploy(&app);
    let output = app.run(&["releases", "diff", &b, &c]).succeed();
    assert!(output.stdout.contains("page.html"), "{output}");
    app.run(&["releases", "diff", &b, &c, "--format", "json"])
        .succeed()
        .json();
}

/// spec: cli/releases R8
#[test]
fn status_tells_each_environment_against_its_target() {
    let app = shop();
    app.edit(
        "stagecraft.yml",
        "path: ./deploy }",
        "path: ./deploy }\n  other: { driver: directory, path: ./other }",
    );
    let first = deploy(&app);
    let output = app.run(&["status"]).succeed();
    assert_eq!(
        output.stdout,
        format!("local: {first} (version unknown)\nother: nothing deployed\n")
    );
    let one = app.run(&["status", "--env", "other"]).succeed();
    assert_eq!(one.stdout, "other: nothing deployed\n");
    app.edit("stagecraft.yml", "tr a-z", "exit 1; tr a-z");
    app.run(&["deploy", "--env", "local"]).expect(3);
    let output = app.run(&["status", "--env", "local"]).succeed();
    assert_eq!(
        without_ids(&output.stdout),
        "local: [release] (version unknown); the latest, [release], failed\n"
    );
    let json = app
        .run(&["status", "--env", "local", "--format", "json"])
        .succeed()
        .json();
    let line = &json["environments"][0];
    assert_eq!(
        (&line["release"], &line["agrees"]),
        (&first.as_str().into(), &true.into())
    );
    assert_eq!(line["latest"]["status"], "failed");
}

/// spec: cli/releases R9
#[test]
fn a_target_that_serves_something_else_is_drift() {
    let app = shop();
    let first = deploy(&app);
    let second = deploy(&app);
    app.run(&["status", "--drift"]).succeed();
    app.remove("deploy/current");
    std::os::unix::fs::symlink(format!("releases/{first}"), app.path("deploy/current")).unwrap();
    let output = app.run(&["status"]).succeed();
    assert_eq!(
        output.stdout,
        format!("local: {second} (version unknown); the target serves {first}\n")
    );
    app.run(&["status", "--drift"]).expect(11);
    app.remove("deploy/current");
    let output = app.run(&["status", "--drift"]).expect(11);
    assert!(
        output.stdout.ends_with("; the target serves nothing\n"),
        "{output}"
    );
}
