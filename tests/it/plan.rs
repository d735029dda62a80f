//! Plans: order, errors, goals, filters, and that planning leaves no trace.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]
#![expect(
    clippy::disallowed_methods,
    reason = "effects: looks at what a run left"
)]

mod hashes;
mod reserved;
mod show;

use std::collections::BTreeMap;
use std::path::Path;
use std::time::SystemTime;

use serde_json::Value;
use stagecraft::plan::operation::{Class, Kind, Phase};
use stagecraft::plan::{Edge, Filter, FilterError, Plan, PlanError};

use crate::support::TestApp;
use crate::support::drafts::{assemble, draft, graph, id, run};

/// A project with a diamond of operations, two services and an environment; its programs are its own.
pub(crate) const SHOP: &str = "\
project:
  name: shop
operations:
  css: { description: bundle the stylesheets, script: \"cat *.css > site.css\", inputs: [\"*.css\"], outputs: [site.css] }
  lib: { script: \"cat lib.txt > lib.out\", inputs: [lib.txt], outputs: [lib.out] }
  app: { script: \"cat lib/lib.out app.txt > app.out\", inputs: [app.txt], needs: { lib: lib }, outputs: [app.out] }
  site: { script: \"cat a/app.out c/site.css > page\", needs: { app: a, css: c }, outputs: [page] }
  other: { script: \"echo other > other.out\", outputs: [other.out] }
services:
  web: { artifact: site, role: front }
  api: { artifact: app, role: back }
environments:
  local: { driver: directory, path: ./deploy, health: { exec: [/bin/true], interval: 10ms } }
";

/// Makes the project of [`SHOP`].
pub(crate) fn shop() -> TestApp {
    let app = TestApp::with_config(SHOP);
    for name in ["a.css", "b.css", "lib.txt", "app.txt"] {
        app.write(name, &format!("{name}\n"));
    }
    app
}

/// Runs a command that must succeed, whatever it says.
#[track_caller]
pub(crate) fn succeed(app: &TestApp, arguments: &[&str]) {
    let output = app.run(arguments);
    assert_eq!(output.status, 0, "{output}");
}

/// Returns one field of every entry of a plan.
pub(crate) fn column(document: &Value, field: &str) -> Vec<String> {
    let phases = document["phases"].as_array().unwrap();
    let texts = phases.iter().map(|entry| entry[field].as_str());
    texts
        .map(|text| text.unwrap_or("null").to_owned())
        .collect()
}

fn ids(plan: &Plan) -> Vec<&str> {
    plan.operations()
        .map(|operation| operation.id.as_str())
        .collect()
}

fn refused(operations: &[(&str, &[&str])]) -> PlanError {
    let drafts = operations
        .iter()
        .map(|(name, needs)| draft(name, needs, run(name)));
    assemble(drafts.collect()).unwrap_err()
}

/// spec: plan/operations R1
#[test]
fn words_of_kinds_classes_and_phases() {
    let kinds: Vec<(&str, &str)> = Kind::ALL
        .iter()
        .map(|kind| (kind.as_str(), kind.class().as_str()))
        .collect();
    assert_eq!(
        kinds,
        [
            ("run", "pure"),
            ("rollout", "verified"),
            ("health_check", "gate")
        ]
    );
    let phases: Vec<&str> = Phase::ALL.iter().map(|phase| phase.as_str()).collect();
    assert_eq!(
        phases.join(" "),
        "build push migrate_pre rollout migrate_post finalize"
    );
    assert!(Phase::ALL.is_sorted());
    assert_eq!(Phase::parse("migrate_pre"), Some(Phase::MigratePre));
    assert_eq!(Class::parse("once"), None);
}

/// spec: plan/operations R4
#[test]
fn order_is_topological_then_phase_then_id() {
    let ties: &[(&str, &[&str])] = &[("d", &["b"]), ("c", &[]), ("b", &[]), ("a", &["c"])];
    assert_eq!(ids(&graph(ties)), ["b", "c", "a", "d"]);
    let mut late = draft("a", &[], run("a"));
    late.phase = Phase::Rollout;
    let early = draft("z", &[], run("z"));
    assert_eq!(ids(&assemble(vec![late, early]).unwrap()), ["z", "a"]);
}

/// spec: plan/operations R4
#[test]
fn order_of_drafts_plays_no_part() {
    let names: Vec<String> = (0..7).map(|number| format!("n{number}")).collect();
    let needs = [
        vec![],
        vec![0],
        vec![0],
        vec![1, 2],
        vec![],
        vec![4],
        vec![3, 5],
    ];
    let drafts = |order: &[usize]| {
        let make = |at: &usize| {
            let needs: Vec<&str> = needs[*at]
                .iter()
                .map(|need| names[*need].as_str())
                .collect();
            draft(&names[*at], &needs, run(&names[*at]))
        };
        assemble(order.iter().map(make).collect()).unwrap()
    };
    let plain = drafts(&[0, 1, 2, 3, 4, 5, 6]);
    for order in [[6, 5, 4, 3, 2, 1, 0], [3, 6, 0, 5, 1, 4, 2]] {
        let other = drafts(&order);
        assert_eq!(ids(&other), ids(&plain));
        assert_eq!(other.hash(), plain.hash());
    }
}

/// spec: plan/operations R5
#[test]
fn an_edge_is_output_if_either_is() {
    let mut both = draft("b", &["a"], run("b"));
    both.after = vec![id("a")];
    let mut waits = draft("c", &[], run("c"));
    waits.after = vec![id("a"), id("a")];
    let plan = assemble(vec![draft("a", &[], run("a")), both, waits]).unwrap();
    assert_eq!(plan.dependencies(1), [(0, Edge::Output)]);
    assert_eq!(plan.dependencies(2), [(0, Edge::Order)]);
    assert_eq!(plan.dependents(0), [(1, Edge::Output), (2, Edge::Order)]);
    let alone = assemble(vec![draft("c", &[], run("c"))]).unwrap();
    assert_eq!(plan.operation(2).op_hash, alone.operation(0).op_hash);
}

/// spec: plan/operations R6
#[test]
fn a_circle_is_told_from_its_smallest_id() {
    let error = refused(&[("b", &["a"]), ("a", &["b"]), ("c", &["a"])]);
    assert_eq!(
        error.to_string(),
        "operations need each other in a circle: `a` -> `b` -> `a`"
    );
    let error = refused(&[("x", &["c"]), ("c", &["a"]), ("a", &["b"]), ("b", &["c"])]);
    assert_eq!(
        error.to_string(),
        "operations need each other in a circle: `a` -> `b` -> `c` -> `a`"
    );
    let error = refused(&[("a", &["a"])]);
    assert_eq!(
        error.to_string(),
        "operations need each other in a circle: `a` -> `a`"
    );
}

/// spec: plan/operations R6
#[test]
fn duplicates_and_unknown_needs_are_told() {
    let error = refused(&[("a", &[]), ("a", &[])]);
    assert_eq!(error.to_string(), "two operations are named `a`");
    let error = refused(&[("a", &["gone"])]);
    assert_eq!(
        error.to_string(),
        "`a` needs `gone`, which is not in the plan"
    );
}

/// spec: plan/operations R2
#[test]
fn a_goal_plans_what_it_reaches_and_reads_nothing_else() {
    let app = shop();
    app.remove("a.css");
    app.remove("b.css");
    app.remove("app.txt");
    let plan = |arguments: &[&str]| app.run(&[&["plan", "--format", "json"], arguments].concat());
    assert_eq!(column(&plan(&["lib"]).succeed().json(), "id"), ["lib"]);
    assert_eq!(
        column(&plan(&["other", "lib", "other"]).succeed().json(), "id"),
        ["lib", "other"]
    );
    let refused = plan(&["app"]);
    assert_ne!(refused.status, 0, "{refused}");
    app.write("app.txt", "");
    assert_eq!(
        column(&plan(&["app"]).succeed().json(), "id"),
        ["lib", "app"]
    );
    assert_eq!(
        column(&plan(&["--all"]).succeed().json(), "id"),
        ["css", "lib", "app", "other", "site"]
    );
    let unknown = plan(&["libb"]).expect(1);
    assert!(
        unknown.stderr.contains("unknown operation `libb`"),
        "{unknown}"
    );
}

/// spec: plan/operations R2, plan/operations R3
#[test]
fn a_deploy_places_each_service_and_joins_them() {
    let app = shop();
    let plan = app
        .run(&["plan", "--env", "local", "--format", "json"])
        .succeed()
        .json();
    let after = |id: &str| {
        let entries = plan["phases"].as_array().unwrap();
        let entry = entries.iter().find(|entry| entry["id"] == id).unwrap();
        entry["depends_on"].to_string()
    };
    assert_eq!(
        column(&plan, "id"),
        [
            "css",
            "lib",
            "app",
            "site",
            "rollout:api@local",
            "rollout:web@local",
            "deploy_local",
            "health_check_local"
        ]
    );
    assert_eq!(after("rollout:api@local"), r#"["app","site"]"#);
    assert_eq!(
        after("deploy_local"),
        r#"["app","rollout:api@local","rollout:web@local","site"]"#
    );
    assert!(after("health_check_local").contains("deploy_local"));
    assert_eq!(
        column(&plan, "class")[3..6],
        ["pure", "verified", "verified"]
    );
}

/// spec: plan/operations R7
#[test]
fn filters_keep_what_passes_all_of_them_and_what_it_needs() {
    let app = shop();
    let shown = |arguments: &[&str]| {
        let fixed = ["plan", "--env", "local", "--format", "json"];
        let output = app.run(&[&fixed, arguments].concat()).succeed();
        column(&output.json(), "id").join(" ")
    };
    let api = "css lib app site rollout:api@local";
    assert_eq!(shown(&["--services", "api", "--phases", "rollout:"]), api);
    assert_eq!(shown(&["--roles", "back", "--phases", "rollout:"]), api);
    assert_eq!(shown(&["--phases", "build"]), "css lib app site");
    assert_eq!(shown(&["--phases", "ap"]), "lib app");
    assert!(shown(&["--hosts", "local"]).ends_with("health_check_local"));
    let refused = app.run(&["plan", "--env", "local", "--services", "nobody"]);
    assert!(
        refused
            .expect(1)
            .stderr
            .contains(r#"service "nobody" not found in plan"#)
    );
}

/// spec: plan/operations R7
#[test]
fn a_filter_without_a_match_names_its_word() {
    let plan = graph(&[("a", &[]), ("b", &["a"])]);
    let with = |services: &[&str], phases: &[&str], hosts: &[&str]| {
        let words = |words: &[&str]| words.iter().map(ToString::to_string).collect();
        Filter {
            services: words(services),
            phases: words(phases),
            hosts: words(hosts),
        }
        .apply(&plan)
    };
    assert_eq!(with(&[], &["b"], &[]).unwrap().len(), 2);
    assert_eq!(
        with(&["x"], &[], &[]),
        Err(FilterError::Service("x".to_owned()))
    );
    assert_eq!(
        with(&[], &["push"], &[]),
        Err(FilterError::Phase("push".to_owned()))
    );
    assert_eq!(
        with(&[], &[], &["h"]),
        Err(FilterError::Host("h".to_owned()))
    );
}

/// spec: plan/operations R9
#[test]
fn arguments_enter_the_one_operation() {
    let app = shop();
    let keys = |arguments: &[&str]| {
        let fixed = ["build", "app", "--dry-run", "--format", "json", "--"];
        let plan = app.run(&[&fixed, arguments].concat()).succeed().json();
        column(&plan, "op_hash")
    };
    let (plain, given) = (keys(&[]), keys(&["-v"]));
    assert_eq!(plain[0], given[0]);
    assert_ne!(plain[1], given[1]);
    let refused = app.run(&["build", "--all", "--", "-v"]).expect(1);
    assert!(
        refused.stderr.contains("exactly one operation"),
        "{refused}"
    );
}

type Seen = BTreeMap<String, (SystemTime, u64)>;

fn everything_below(root: &Path) -> Seen {
    let entries = walkdir::WalkDir::new(root).into_iter().map(Result::unwrap);
    entries
        .map(|entry| {
            let seen = std::fs::symlink_metadata(entry.path()).unwrap();
            (
                entry.path().display().to_string(),
                (seen.modified().unwrap(), seen.len()),
            )
        })
        .collect()
}

/// spec: plan/operations R8
#[test]
fn a_plan_leaves_every_file_and_time_alone() {
    let app = shop();
    let root = app.store().parent().unwrap().to_path_buf();
    let commands: &[&[&str]] = &[
        &["plan", "--all"],
        &["plan", "--env", "local"],
        &["plan", "--all", "--format", "json"],
        &["build", "--all", "--dry-run"],
        &["graph", "--all"],
        &["why", "app"],
    ];
    let watch = || {
        for command in commands {
            let before = everything_below(&root);
            succeed(&app, command);
            assert_eq!(everything_below(&root), before, "{command:?}");
        }
    };
    watch();
    assert!(!app.store().exists());
    succeed(&app, &["build", "--all"]);
    watch();
    app.edit("lib.txt", "lib", "LIB");
    watch();
}

/// spec: plan/operations R8
#[test]
#[ignore = "needs strace"]
fn a_plan_starts_nothing_and_opens_nothing_to_write() {
    let app = shop();
    succeed(&app, &["build", "--all"]);
    app.edit("lib.txt", "lib", "LIB");
    let trace = app.store().with_file_name("trace");
    let store = app.store();
    let output = app.program(
        "strace",
        &[
            "-f",
            "-e",
            "trace=execve,fork,vfork,openat,creat,mkdir,rename,renameat2,unlink,unlinkat,socket,connect",
            "-o",
            trace.to_str().unwrap(),
            env!("CARGO_BIN_EXE_stagecraft"),
            "--store",
            store.to_str().unwrap(),
            "plan",
            "--all",
        ],
    );
    assert_eq!(output.succeed().stderr, "");
    let lines = std::fs::read_to_string(&trace).unwrap();
    assert_eq!(lines.matches("execve(").count(), 1, "{lines}");
    for call in [
        "O_WRONLY", "O_RDWR", "O_CREAT", "mkdir(", "rename", "unlink", "socket(", "connect(",
        "fork(",
    ] {
        assert!(!lines.contains(call), "{call}:\n{lines}");
    }
}
