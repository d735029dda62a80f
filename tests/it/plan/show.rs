//! Plans as people, programs and graph tools see them.

use std::collections::BTreeSet;

use serde_json::Value;
use stagecraft::plan::show::{Cache, Prediction, View};
use stagecraft::plan::{Filter, Plan};

use super::{shop, succeed};
use crate::support::TestApp;
use crate::support::drafts::{assemble, draft, graph, run};

fn prediction(cache: Cache, reason: Option<&str>) -> Prediction {
    Prediction {
        cache,
        key: None,
        reason: reason.map(str::to_owned),
    }
}

fn shown<T>(plan: &Plan, caches: &[Cache], hide: &[usize], show: impl Fn(View<'_>) -> T) -> T {
    let predictions: Vec<Prediction> = caches
        .iter()
        .map(|cache| prediction(*cache, None))
        .collect();
    let shown: BTreeSet<usize> = (0..plan.len()).filter(|at| !hide.contains(at)).collect();
    show(View {
        plan,
        predictions: &predictions,
        shown: &shown,
    })
}

/// spec: plan/show R5, plan/show R6
#[test]
fn dot_and_mermaid() {
    let plan = graph(&[("a", &[]), ("b", &["a"]), ("c", &["a", "b"]), ("d", &["c"])]);
    let caches = [Cache::Hit, Cache::Miss, Cache::Unresolved, Cache::Effect];
    let dot = shown(&plan, &caches, &[], |view| view.dot());
    assert_eq!(
        dot,
        r#"digraph stagecraft {
  rankdir=LR;
  node [shape=box, style=filled];
  "a" [label="a\nhit", fillcolor=palegreen];
  "b" [label="b\nmiss", fillcolor=lightsalmon];
  "c" [label="c\nunresolved", fillcolor=khaki];
  "d" [label="d\neffect", fillcolor=lightblue];
  "a" -> "b";
  "a" -> "c";
  "b" -> "c";
  "c" -> "d";
}
"#
    );
    let part = shown(&plan, &caches, &[1], |view| view.mermaid());
    assert_eq!(
        part,
        r#"flowchart LR
  n0["a: hit"]
  n2["c: unresolved"]
  n3["d: effect"]
  n0 --> n2
  n2 --> n3
"#
    );
}

/// spec: plan/show R3, plan/show R4
#[test]
fn text_of_a_plan() {
    let mut odd = run("odd");
    odd.network = true;
    odd.cache = false;
    let plan = assemble(vec![draft("a", &[], run("a")), draft("odd", &["a"], odd)]).unwrap();
    let predictions = [
        prediction(Cache::Miss, Some("never ran before")),
        prediction(Cache::Unresolved, Some("`a` runs first")),
    ];
    let view = View {
        plan: &plan,
        predictions: &predictions,
        shown: &BTreeSet::from([0, 1]),
    };
    let filter = Filter {
        services: vec!["x".to_owned(), "y".to_owned()],
        ..Filter::default()
    };
    let expected = format!(
        "\
Version: unknown
Services: x, y
Hosts: (all)
Plan: {}

Phases:
  1. a
     - phase: build
     - kind: run
     - services: []
     - hosts: []
     - description: run a
     - depends_on: []
     - cache: miss (never ran before)

  2. odd
     - phase: build
     - kind: run
     - services: []
     - hosts: []
     - description: run odd
     - depends_on: [a]
     - network: true: its output may differ between equal runs
     - remembered: false: it runs every time
     - cache: unresolved (`a` runs first)
",
        plan.hash()
    );
    assert_eq!(view.text(&filter), expected);
}

fn keys(value: &Value) -> Vec<&str> {
    value
        .as_object()
        .unwrap()
        .keys()
        .map(String::as_str)
        .collect()
}

/// spec: plan/show R2
#[test]
fn json_keeps_the_keys_of_the_original() {
    let app = shop();
    let plan = app
        .run(&["plan", "--env", "local", "--format", "json"])
        .succeed()
        .json();
    assert_eq!(keys(&plan), ["env", "version", "plan", "phases"]);
    assert_eq!(plan["env"], "local");
    let original = [
        "id",
        "kind",
        "services",
        "hosts",
        "description",
        "depends_on",
    ];
    let ours = ["phase", "class", "op_hash", "action_key", "cache", "reason"];
    let entry = |id: &str| {
        let mut entries = plan["phases"].as_array().unwrap().iter();
        entries.find(|entry| entry["id"] == id).unwrap()
    };
    assert_eq!(keys(entry("css")), [&original[..], &ours].concat());
    let with_metadata = [&original[..], &["metadata"], &ours].concat();
    assert_eq!(keys(entry("rollout:web@local")), with_metadata);
    assert_eq!(entry("rollout:web@local")["metadata"]["path"], "deploy");
    assert_eq!(entry("site")["depends_on"].to_string(), r#"["app","css"]"#);
    assert!(entry("site")["action_key"].is_null() && entry("css")["reason"].is_string());
}

fn cached(app: &TestApp) -> Vec<(String, String)> {
    let plan = app
        .run(&["plan", "--env", "local", "--format", "json"])
        .succeed()
        .json();
    let (ids, caches) = (super::column(&plan, "id"), super::column(&plan, "cache"));
    ids.into_iter().zip(caches).collect()
}

/// spec: plan/show R1
#[test]
fn words_of_the_cache() {
    let app = shop();
    let of = |word: &str| -> Vec<String> {
        let cached = cached(&app).into_iter();
        cached
            .filter(|(_, cache)| cache == word)
            .map(|(id, _)| id)
            .collect()
    };
    assert_eq!(of("miss"), ["css", "lib"]);
    assert_eq!(of("unresolved"), ["app", "site"]);
    assert_eq!(of("effect").len(), 4);
    succeed(&app, &["build", "--all"]);
    assert_eq!(of("hit"), ["css", "lib", "app", "site"]);
    app.edit("app.txt", "app", "APP");
    assert_eq!(of("hit"), ["css", "lib"]);
    assert_eq!(of("miss"), ["app"]);
    assert_eq!(of("unresolved"), ["site"]);
}
