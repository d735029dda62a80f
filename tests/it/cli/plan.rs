//! `plan` and `graph`: what they say, and that they leave no trace.

use super::{deploy, everything, shop};
use crate::support::TestApp;

/// spec: cli/plan R1
#[test]
fn plan_and_graph_write_nothing() {
    let app = shop();
    deploy(&app);
    app.write("src/words.txt", "two\n");
    let before = (everything(&app.path("")), everything(&app.store()));
    for arguments in [
        &["plan", "--env", "local"][..],
        &["plan", "--all", "--format", "json"],
        &["graph", "--all"],
        &["why", "page"],
    ] {
        app.run(arguments).succeed();
    }
    assert!(before == (everything(&app.path("")), everything(&app.store())));
}

/// spec: cli/plan R1
#[test]
fn plan_makes_neither_store_nor_state() {
    let app = shop();
    app.run(&["plan", "--env", "local"]).succeed();
    assert!(!app.store().exists() && !app.exists(".stagecraft"));
}

/// spec: cli/plan R1
#[test]
fn plan_asks_no_program() {
    let mut app = shop();
    app.write_program("bin/git", "#!/bin/sh\ntouch \"$HOME/asked\"\n");
    let path = format!("{}:/usr/bin:/bin", app.path("bin").display());
    app.set("PATH", &path);
    app.run(&["plan", "--env", "local"]).succeed();
    assert!(!app.exists("../home/asked"));
    app.run(&["deploy", "--env", "local"]).succeed();
    assert!(app.exists("../home/asked"), "deploy asks for the commit");
}

/// spec: cli/plan R2, cli/plan R4
#[test]
fn the_text_shows_each_operation_in_execution_order() {
    let output = shop().run(&["plan", "--env", "local"]).succeed();
    assert_eq!(output.stderr, "");
    insta::assert_snapshot!(output.stdout, @r"
    Environment: local
    Version: unknown
    Services: (all)
    Hosts: (all)
    Plan: b3:f62053f23eedbb49b71e5a3efd1b1874e2227b80070d91bd8cce109116aa4614

    Phases:
      1. words
         - phase: build
         - kind: run
         - services: []
         - hosts: []
         - description: take the words
         - depends_on: []
         - cache: miss (never ran before)

      2. page
         - phase: build
         - kind: run
         - services: []
         - hosts: []
         - description: run page
         - depends_on: [words]
         - cache: unresolved (`words` runs first)

      3. rollout:site@local
         - phase: rollout
         - kind: rollout
         - services: [site]
         - hosts: [local]
         - description: place the tree of site
         - depends_on: [page]
         - path: deploy
         - cache: effect

      4. deploy_local
         - phase: rollout
         - kind: rollout
         - services: [site]
         - hosts: [local]
         - description: switch environment local to the new release
         - depends_on: [page, rollout:site@local]
         - path: deploy
         - cache: effect
    ");
}

/// spec: cli/plan R3
#[test]
fn the_document_keeps_its_shape() {
    let app = shop();
    let document = app
        .run(&["plan", "--env", "local", "--format", "json"])
        .succeed()
        .json();
    assert_eq!(document["env"], "local");
    assert_eq!(document["version"], "unknown");
    let keys = |value: &serde_json::Value| -> Vec<String> {
        value.as_object().unwrap().keys().cloned().collect()
    };
    let first = &document["phases"][0];
    assert_eq!(
        keys(first),
        [
            "id",
            "kind",
            "services",
            "hosts",
            "description",
            "depends_on",
            "phase",
            "class",
            "op_hash",
            "action_key",
            "cache",
            "reason"
        ]
    );
    assert_eq!(first["cache"], "miss");
    assert!(first["action_key"].as_str().unwrap().starts_with("b3:"));
    let second = &document["phases"][1];
    assert_eq!(second["cache"], "unresolved");
    assert!(second["action_key"].is_null());
    let last = &document["phases"][3];
    assert_eq!(
        (&last["class"], &last["cache"]),
        (&"verified".into(), &"effect".into())
    );
    assert_eq!(last["metadata"]["path"], "deploy");
}

/// spec: cli/plan R4
#[test]
fn what_a_plan_calls_a_hit_hits() {
    let app = shop();
    app.run(&["build", "--all"]).succeed();
    let plan = app.run(&["plan", "--all", "--format", "json"]).succeed();
    for entry in plan.json()["phases"].as_array().unwrap() {
        assert_eq!(entry["cache"], "hit");
    }
    let build = app.run(&["build", "--all", "--format", "json"]).succeed();
    assert_eq!(build.json()["summary"]["hit"], 2);
    assert_eq!(build.json()["plan"], plan.json()["plan"]);
}

/// spec: cli/plan R5
#[test]
fn an_environment_is_needed_unless_operations_are_named() {
    let app = shop();
    let output = app.run(&["plan"]).expect(1);
    assert_eq!(
        output.stderr,
        "error: --env is required\nhint: environments: local\n"
    );
    app.run(&["plan", "--all"]).succeed();
    app.run(&["plan", "page"]).succeed();
}

/// spec: cli/plan R6
#[test]
fn the_version_is_given_or_unknown() {
    let app = shop();
    app.write(".git/HEAD", "0123456789012345678901234567890123456789\n");
    let version = |arguments: &[&str]| {
        let output = app.run(arguments).succeed();
        output.stdout.lines().nth(1).unwrap().to_owned()
    };
    assert_eq!(version(&["plan", "--env", "local"]), "Version: unknown");
    assert_eq!(
        version(&["plan", "--env", "local", "--version", "v1"]),
        "Version: v1"
    );
}

/// spec: cli/plan R7
#[test]
fn filters_keep_what_is_needed() {
    let app = shop();
    let ids = |arguments: &[&str]| -> Vec<String> {
        let mut all = vec!["plan", "--env", "local", "--format", "json"];
        all.extend(arguments);
        let document = app.run(&all).succeed().json();
        let entries = document["phases"].as_array().unwrap();
        entries
            .iter()
            .map(|entry| entry["id"].as_str().unwrap().to_owned())
            .collect()
    };
    assert_eq!(ids(&["--phases", "build"]), ["words", "page"]);
    assert_eq!(ids(&["--phases", "wor"]), ["words"]);
    let whole = ["words", "page", "rollout:site@local", "deploy_local"];
    assert_eq!(ids(&["--services", "site"]), whole);
    assert_eq!(ids(&["--hosts", "local"]), whole);
}

/// spec: cli/plan R7
#[test]
fn filters_that_name_nothing_are_errors() {
    let app = shop();
    for (flag, text) in [
        ("--services", "service"),
        ("--phases", "phase"),
        ("--hosts", "host"),
        ("--roles", "role"),
    ] {
        let output = app.run(&["plan", "--env", "local", flag, "nope"]).expect(1);
        let first = format!("error: applying filters: {text} \"nope\" not found in plan\n");
        assert!(output.stderr.starts_with(&first), "{output}");
        assert_eq!(output.stdout, "");
    }
}

/// spec: cli/plan R8
#[test]
fn a_graph_is_dot_mermaid_or_json() {
    let app = shop();
    insta::assert_snapshot!(app.run(&["graph", "page"]).succeed().stdout, @r#"
    digraph stagecraft {
      rankdir=LR;
      node [shape=box, style=filled];
      "words" [label="words\nmiss", fillcolor=lightsalmon];
      "page" [label="page\nunresolved", fillcolor=khaki];
      "words" -> "page";
    }
    "#);
    let mermaid = app.run(&["graph", "page", "--format", "mermaid"]).succeed();
    insta::assert_snapshot!(mermaid.stdout, @r#"
    flowchart LR
      n0["words: miss"]
      n1["page: unresolved"]
      n0 --> n1
    "#);
    let json = app.run(&["graph", "page", "--format", "json"]).succeed();
    assert_eq!(json.json()["phases"][0]["id"], "words");
    let output = app.run(&["graph", "page", "--format", "svg"]).expect(1);
    assert_eq!(
        output.stderr,
        "error: invalid format: svg (must be 'dot', 'mermaid' or 'json')\n"
    );
}

/// spec: cli/plan R9
#[test]
fn what_has_no_plan_says_what_was_planned() {
    let app = shop();
    app.remove("src/words.txt");
    let output = app.run(&["plan", "--env", "local"]).expect(2);
    assert!(
        output
            .stderr
            .starts_with("error: generating deployment plan: "),
        "{output}"
    );
    assert!(output.stderr.contains("src/words.txt"), "{output}");
}

/// spec: cli/plan R9
#[test]
fn an_unknown_operation_is_answered_with_the_nearest() {
    let output = shop().run(&["plan", "wrods"]).expect(1);
    assert_eq!(
        output.stderr,
        "error: unknown operation `wrods`\nhint: did you mean `words`?\n"
    );
}

/// spec: cli/plan R9
#[test]
fn what_is_not_supported_yet_is_refused_by_name() {
    let app = TestApp::with_config(
        "project: { name: shop }\noperations:\n  icons: { fetch: { url: \"https://example.com/a.tar.gz\", sha256: \"0000000000000000000000000000000000000000000000000000000000000000\" } }\n",
    );
    let output = app.run(&["plan", "--all"]).expect(1);
    assert!(output.stderr.contains("is not supported yet"), "{output}");
}
