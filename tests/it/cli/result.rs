//! The document of `build`, `deploy` and `rollback`.

use serde_json::{Value, json};

use super::{deploy, shop, without_ids};

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

/// spec: cli/result R1, cli/result R2
#[test]
fn it_has_the_promised_fields() {
    let app = shop();
    let document = app
        .run(&["build", "page", "--format", "json"])
        .succeed()
        .json();
    assert_eq!(
        keys(&document),
        ["plan", "release", "manifest", "operations", "summary"]
    );
    assert_eq!(
        (&document["release"], &document["manifest"]),
        (&Value::Null, &Value::Null)
    );
    let operation = &document["operations"][0];
    assert_eq!(
        keys(operation),
        [
            "id",
            "kind",
            "phase",
            "status",
            "op_hash",
            "action_key",
            "output",
            "reason"
        ]
    );
    assert_eq!(
        (&operation["id"], &operation["kind"]),
        (&"words".into(), &"run".into())
    );
    assert_eq!(operation["reason"], "never ran before");
    assert_eq!(
        document["summary"],
        json!({ "hit": 0, "ran": 2, "applied": 0, "converged": 0, "passed": 0, "failed": 0, "skipped": 0, "cancelled": 0 })
    );
}

/// spec: cli/result R3
#[test]
fn equal_runs_differ_in_the_release_only() {
    let app = shop();
    deploy(&app);
    let run = || {
        app.run(&["deploy", "--env", "local", "--format", "json"])
            .succeed()
    };
    let (first, second) = (run(), run());
    assert_ne!(first.stdout, second.stdout);
    assert_eq!(without_ids(&first.stdout), without_ids(&second.stdout));
}

/// spec: cli/result R4
#[test]
fn a_failed_run_has_one_too() {
    let app = shop();
    app.edit("stagecraft.yml", "tr a-z", "exit 5; tr a-z");
    let document = app
        .run(&["build", "page", "--format", "json"])
        .expect(3)
        .json();
    assert_eq!(document["operations"][1]["reason"], "exited with status 5");
    assert_eq!(
        document["error"],
        "build failed: phase \"build\" failed: page: exited with status 5"
    );
    let document = app
        .run(&["deploy", "--env", "local", "--format", "json"])
        .expect(3)
        .json();
    assert!(document["release"].is_string() && document["manifest"].is_null());
    let statuses: Vec<&str> = document["operations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|operation| operation["status"].as_str().unwrap())
        .collect();
    assert_eq!(statuses, ["hit", "failed", "skipped", "skipped"]);
    assert_eq!(
        document["error"],
        "deployment failed: phase \"build\" failed: page: exited with status 5"
    );
}

/// spec: cli/result R5
#[test]
fn a_run_that_never_began_has_one_without_operations() {
    let app = shop();
    for (arguments, code, error) in [
        (&["build", "--format", "json"][..], 1, "--env is required"),
        (
            &["deploy", "--env", "x", "--format", "json"],
            1,
            "invalid environment: x",
        ),
        (
            &["rollback", "--env", "local", "--format", "json"],
            1,
            "rollback target required; use --to-previous, --to-release, or --to-version",
        ),
    ] {
        let document = app.run(arguments).expect(code).json();
        assert_eq!(document["error"], error);
        assert_eq!(
            (&document["plan"], &document["operations"]),
            (&Value::Null, &json!([]))
        );
        assert_eq!(document["summary"]["ran"], 0);
    }
}

/// spec: cli/result R6
#[test]
fn the_whole_closure_is_listed_in_execution_order_also_when_all_hit() {
    let app = shop();
    app.run(&["build", "page"]).succeed();
    let document = app
        .run(&["build", "page", "--format", "json"])
        .succeed()
        .json();
    let ids: Vec<&str> = document["operations"]
        .as_array()
        .unwrap()
        .iter()
        .map(|operation| operation["id"].as_str().unwrap())
        .collect();
    assert_eq!(ids, ["words", "page"]);
    assert!(
        document["operations"][0]["output"]
            .as_str()
            .unwrap()
            .starts_with("b3:")
    );
}
