//! The laws that hashes and keys keep: what changes them, what does not, and that no two encodings meet.
#![expect(
    clippy::disallowed_methods,
    reason = "effects: sets the time of a file"
)]

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use proptest::prelude::*;
use stagecraft::config::{CommandLine, OutputPattern};
use stagecraft::inputs::Base;
use stagecraft::plan::operation::{Run, Work};
use stagecraft_store::{Digest, Node, Object};

use super::super::{column, shop};
use super::{full, key, tool};
use crate::support::TestApp;
use crate::support::drafts::{assemble, draft, graph, id, path, run};

/// spec: plan/hashes R11
#[test]
fn limits_descriptions_and_times_change_no_hash() {
    let app = shop();
    let look = |app: &TestApp| {
        let plan = app
            .run(&["plan", "--all", "--format", "json"])
            .succeed()
            .json();
        let keys = [column(&plan, "op_hash"), column(&plan, "action_key")];
        (keys, plan["plan"].to_string())
    };
    let before = look(&app);
    assert_eq!(before.0[1].iter().filter(|key| *key != "null").count(), 3);
    app.edit(
        "stagecraft.yml",
        "description: bundle the stylesheets",
        "description: other words, timeout: 5m, retries: 3, resources: { cpu: 2, memory: 1GiB }, export: true",
    );
    app.edit(
        "stagecraft.yml",
        "environments:",
        "sandbox: { undeclared_writes: error }\nenvironments:",
    );
    let past = std::time::SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000);
    let file = std::fs::File::options()
        .write(true)
        .open(app.path("lib.txt"))
        .unwrap();
    file.set_modified(past).unwrap();
    assert_eq!(look(&app), before);
    let elsewhere = shop();
    assert_eq!(look(&elsewhere), before);
    let versioned = app.run(&["plan", "--all", "--version", "7", "--format", "json"]);
    let versioned = versioned.succeed().json();
    assert_eq!(versioned["plan"].to_string(), before.1);
    app.edit("stagecraft.yml", "retries: 3", "cache: false");
    let after = look(&app);
    assert_eq!(after.0[1], before.0[1]);
    assert_ne!(after.0[0], before.0[0]);
}

/// spec: plan/hashes R13
#[test]
fn a_secret_is_known_by_its_fingerprint_alone() {
    let keyed = |value: &str, print: Option<&str>| {
        let mut run = full();
        run.values.insert("S".to_owned(), value.to_owned());
        run.fingerprints.clear();
        run.fingerprints
            .extend(print.map(|print| ("S".to_owned(), print.to_owned())));
        let plan = assemble(vec![draft("full", &[], run)]).unwrap();
        let key = key(&plan, "full", &[]).map_err(|error| error.to_string());
        (plan.operation(0).op_hash, plan.hash(), key)
    };
    assert_eq!(keyed("one", Some("print")), keyed("two", Some("print")));
    assert_ne!(keyed("one", Some("print")).2, keyed("one", Some("other")).2);
    assert_eq!(
        keyed("one", None).2.unwrap_err(),
        "the fingerprint of secret `S` is not known without a store"
    );
}

/// What of a recipe is in its `OpHash`, each part small enough to meet another's framing.
type Parts = (
    (bool, Vec<String>, Vec<String>),
    (String, Vec<String>, Vec<(String, bool, bool)>),
    (
        BTreeMap<String, String>,
        BTreeMap<String, bool>,
        Vec<String>,
    ),
    (bool, bool),
);

fn recipe(parts: &Parts) -> Run {
    let mut run = run("x");
    let ((script, command, arguments), (workdir, selectors, outputs), (env, passed, tools), flags) =
        parts.clone();
    run.command = if script {
        CommandLine::Script(command.concat())
    } else {
        CommandLine::Argv(command)
    };
    run.arguments = arguments;
    run.workdir = path(&workdir);
    run.selectors = selectors;
    run.outputs = outputs
        .into_iter()
        .map(|(glob, directory, optional)| OutputPattern {
            glob,
            directory,
            optional,
        })
        .collect();
    run.env = env;
    run.passed = passed.into_iter().collect();
    run.tools = tools.iter().map(|name| tool(name)).collect();
    (run.network, run.base_trusted) = flags;
    run
}

/// The parts, with a script as the one text that it is.
fn seen(parts: &Parts) -> Parts {
    let mut parts = parts.clone();
    if parts.0.0 {
        parts.0.1 = vec![parts.0.1.concat()];
    }
    parts
}

fn parts() -> impl Strategy<Value = Parts> {
    let word =
        || proptest::sample::select(vec!["", "a", "b", "ab", "run", "\0"]).prop_map(str::to_owned);
    let words = move || prop::collection::vec(word(), 0..3);
    let output = (
        proptest::sample::select(vec!["a", "b"]).prop_map(str::to_owned),
        any::<bool>(),
        any::<bool>(),
    );
    (
        (any::<bool>(), words(), words()),
        (
            proptest::sample::select(vec!["", "a", "a/b"]).prop_map(str::to_owned),
            words(),
            prop::collection::vec(output, 0..3),
        ),
        (
            prop::collection::btree_map(word(), word(), 0..2),
            prop::collection::btree_map(word(), any::<bool>(), 0..2),
            words(),
        ),
        any::<(bool, bool)>(),
    )
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(2000) })]

    /// spec: plan/hashes R12
    #[test]
    fn different_recipes_have_different_hashes(one in parts(), two in parts(), field in 0..4_u8) {
        // All but one part is the same: near misses are where framings fail.
        let mut near = one.clone();
        match field {
            0 => near.0 = two.0.clone(),
            1 => near.1 = two.1.clone(),
            2 => near.2 = two.2.clone(),
            _ => near.3 = two.3,
        }
        for other in [&two, &near] {
            let plan = |parts: &Parts| assemble(vec![draft("x", &[], recipe(parts))]).unwrap();
            let (a, b) = (plan(&one), plan(other));
            let same = seen(&one) == seen(other);
            prop_assert_eq!(a.operation(0).op_hash == b.operation(0).op_hash, same);
            let action = |parts: &Parts| {
                let mut parts = parts.clone();
                // Selectors and who passes what show in no key unless they change what is found.
                parts.1.1.clear();
                parts.2.1.clear();
                parts.2.2.sort();
                parts.1.2.sort();
                let argv = recipe(&parts).argv();
                (argv, parts.1, parts.2, parts.3)
            };
            let same = action(&one) == action(other);
            let keys = [key(&a, "x", &[]).unwrap(), key(&b, "x", &[]).unwrap()];
            prop_assert_eq!(keys[0] == keys[1], same);
        }
    }
}

/// spec: plan/hashes R12
#[test]
fn every_leaf_changes_the_key() {
    let keyed = |change: &dyn Fn(&mut Run)| {
        let mut run = full();
        change(&mut run);
        let plan = assemble(vec![draft("full", &[], run)]).unwrap();
        key(&plan, "full", &[]).unwrap()
    };
    let source = |node: Node| {
        move |run: &mut Run| run.sources = Arc::new(vec![(path("src/a"), node.clone())])
    };
    let file = |bytes: &[u8], executable| Node::File {
        object: Object::of(bytes),
        executable,
    };
    let target = |target: &str| Node::Symlink {
        target: target.to_owned(),
    };
    let mut other_tool = (*tool("cc")).clone();
    other_tool.identity = Digest::of(b"another cc");
    let other_tool = Arc::new(other_tool);
    let base = Arc::new(Base {
        identity: Digest::of(b"another base"),
        ..Base::default()
    });
    let keys = [
        keyed(&|_| {}),
        keyed(&source(file(b"a", false))),
        keyed(&source(file(b"a", true))),
        keyed(&source(file(b"b", false))),
        keyed(&source(target("a"))),
        keyed(&source(target("b"))),
        keyed(&|run| run.tools = vec![Arc::clone(&other_tool)]),
        keyed(&|run| run.base = Arc::clone(&base)),
        keyed(&|run| run.base_trusted = true),
        keyed(&|run| run.platform = "linux-aarch64".to_owned()),
        keyed(&|run| run.values.clear()),
        keyed(&|run| {
            run.values.insert("U".to_owned(), String::new());
        }),
    ];
    let mut unique = keys.to_vec();
    unique.sort();
    unique.dedup();
    assert_eq!(unique.len(), keys.len());
}

/// spec: plan/hashes R11
#[test]
fn a_needed_operation_counts_by_its_hash_and_not_by_its_name() {
    let named = |name: &str| {
        let mut drafts = vec![draft(name, &[], run("same")), draft("x", &[name], run("x"))];
        if let Work::Run(run) = &mut drafts[1].work {
            run.needs[0].1 = path("mount");
        }
        let plan = assemble(drafts).unwrap();
        plan.operation(plan.find(&id("x")).unwrap()).op_hash
    };
    assert_eq!(named("a"), named("b"));
    assert_ne!(graph(&[("a", &[])]).hash(), graph(&[("b", &[])]).hash());
}
