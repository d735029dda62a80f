//! Reasons: what people read, and the leaves that are kept.

use std::collections::BTreeMap;
use std::sync::Arc;

use stagecraft::action::{Leaf, LeafKind, Leaves, resolve};
use stagecraft::evaluate::explain::{Explanation, differences, explain};
use stagecraft::inputs::Tool;
use stagecraft_store::{Digest, HistoryKey, Node, Object, Store};

use super::{build, steps, with_status};
use crate::support::TestApp;
use crate::support::drafts::{assemble, draft, id, path, run};

fn leaf(kind: LeafKind, name: &str, value: &str) -> Leaf {
    Leaf {
        kind,
        name: name.to_owned(),
        value: value.to_owned(),
    }
}

/// spec: evaluate/explain R1, evaluate/explain R3
#[test]
fn leaves_of_a_run() {
    let mut all = run("all");
    all.env.insert("E".to_owned(), "value".to_owned());
    all.passed = vec![("S".to_owned(), true), ("U".to_owned(), false)];
    all.values.insert("S".to_owned(), "in clear".to_owned());
    all.fingerprints.insert("S".to_owned(), "print".to_owned());
    all.tools = vec![Arc::new(Tool {
        name: "cc".to_owned(),
        identity: Digest::of(b"cc"),
        description: "gcc 12".to_owned(),
        programs: Vec::new(),
        files: Vec::new(),
    })];
    let file = |executable| Node::File {
        object: Object::of(b"a"),
        executable,
    };
    let link = Node::Symlink {
        target: "a".to_owned(),
    };
    all.sources = Arc::new(vec![
        (path("src/a"), file(false)),
        (path("src/b"), file(true)),
        (path("src/c"), link),
    ]);
    let plan = assemble(vec![
        draft("dep", &[], run("dep")),
        draft("all", &["dep"], all),
    ])
    .unwrap();
    let outputs = BTreeMap::from([(id("dep"), Object::empty())]);
    let action = resolve(plan.operation(1), &outputs).unwrap();
    let leaves = action.leaves();
    let lines: Vec<String> = leaves
        .as_slice()
        .iter()
        .map(|leaf| format!("{}|{}|{}", leaf.kind.as_str(), leaf.name, leaf.value))
        .collect();
    let (a, empty) = (Digest::of(b"a"), Object::empty().digest);
    let (cc, base) = (Digest::of(b"cc"), Digest::of(b"base"));
    let expected = format!(
        "\
command||\"tool\" \"all\"
recipe|network|false
recipe|output out|false false
recipe|platform|linux-x86_64
recipe|sandbox contract|1
recipe|workdir|
variable|E|value
variable|S|print
tool|cc|gcc 12 {cc}
base||base 1 {base}
source|src/a|{a}
source|src/b|{a} executable
source|src/c|-> a
dependency|dep at deps/dep|{empty}"
    );
    assert_eq!(lines.join("\n"), expected);
}

/// spec: evaluate/explain R2
#[test]
fn leaves_are_kept_sorted_and_read_strictly() {
    let one = leaf(LeafKind::Source, "s", "v");
    let two = leaf(LeafKind::Command, "", "c");
    let leaves = Leaves::new(vec![one.clone(), two, one]);
    let bytes = leaves.encode();
    let mut expected = vec![1];
    expected.extend(2_u64.to_le_bytes());
    for (code, name, value) in [(0_u8, "", "c"), (5, "s", "v")] {
        expected.push(code);
        for text in [name, value] {
            expected.extend((text.len() as u64).to_le_bytes());
            expected.extend(text.as_bytes());
        }
    }
    assert_eq!(bytes, expected);
    assert_eq!(Leaves::decode(&bytes), Ok(Some(leaves)));
    for cut in 0..bytes.len() {
        assert!(Leaves::decode(&bytes[..cut]).is_err(), "{cut}");
    }
    let changed = |at: usize, byte: u8| {
        let mut bytes = bytes.clone();
        bytes[at] = byte;
        Leaves::decode(&bytes)
    };
    assert_eq!(changed(0, 2), Ok(None));
    assert_eq!(changed(9, 8), Ok(None));
    let longer = [&bytes[..], &[0]].concat();
    assert!(Leaves::decode(&longer).is_err());
}

/// spec: evaluate/explain R5, evaluate/explain R6
#[test]
fn differences_in_the_order_in_which_people_look() {
    let before = Leaves::new(vec![
        leaf(LeafKind::Base, "", "base 1 b3:a"),
        leaf(LeafKind::Tool, "cc", "gcc 12 b3:a"),
        leaf(LeafKind::Tool, "ld", "ld 2 b3:a"),
        leaf(LeafKind::Recipe, "workdir", ""),
        leaf(LeafKind::Variable, "X", "1"),
        leaf(LeafKind::Command, "", "one"),
        leaf(LeafKind::Dependency, "dep at in", "b3:a"),
        leaf(LeafKind::Source, "mode", "b3:a"),
        leaf(LeafKind::Source, "gone", "b3:a"),
        leaf(LeafKind::Source, "same", "b3:a"),
        leaf(LeafKind::Source, "changed", "b3:a"),
    ]);
    let after = Leaves::new(vec![
        leaf(LeafKind::Base, "", "base 2 b3:b"),
        leaf(LeafKind::Tool, "cc", "gcc 13 b3:b"),
        leaf(LeafKind::Tool, "ld", "ld 2 b3:b"),
        leaf(LeafKind::Recipe, "workdir", "a"),
        leaf(LeafKind::Variable, "X", "2"),
        leaf(LeafKind::Command, "", "two"),
        leaf(LeafKind::Dependency, "dep at in", "b3:b"),
        leaf(LeafKind::Source, "mode", "b3:a executable"),
        leaf(LeafKind::Source, "new", "b3:a"),
        leaf(LeafKind::Source, "same", "b3:a"),
        leaf(LeafKind::Source, "changed", "b3:b"),
    ]);
    let told: Vec<String> = differences(&before, &after)
        .iter()
        .map(stagecraft::evaluate::explain::Difference::describe)
        .collect();
    assert_eq!(
        told.join("\n"),
        "\
`changed` changed
`gone` is gone
`mode` changed its executable bit
`new` is new
the output of `dep` changed
the command changed
variable `X` changed
its workdir changed
tool `cc` changed from gcc 12 to gcc 13
tool `ld` changed (ld 2)
the base system changed from base 1 to base 2"
    );
}

/// spec: evaluate/explain R2, evaluate/explain R7
#[test]
fn history_that_is_not_understood_counts_as_none() {
    let directory = tempfile::TempDir::new().unwrap();
    let store = Store::open(directory.path()).unwrap();
    let key = HistoryKey::new("project", "operation");
    let leaves = Leaves::new(vec![leaf(LeafKind::Source, "a", "b3:a")]);
    let told = |bytes: &[u8], leaves: &Leaves| {
        let mut batch = store.batch();
        let object = batch.put(bytes).unwrap();
        store
            .commit(vec![batch], Vec::new(), vec![(key, object.digest)])
            .unwrap();
        explain(&store, &key, leaves).unwrap()
    };
    assert_eq!(
        explain(&store, &key, &leaves).unwrap(),
        Explanation::NeverRan
    );
    assert_eq!(told(&[9], &leaves), Explanation::NeverRan);
    assert_eq!(told(b"", &leaves), Explanation::NeverRan);
    assert_eq!(told(&leaves.encode(), &leaves), Explanation::ResultGone);
    let other = Leaves::new(vec![
        leaf(LeafKind::Source, "a", "b3:b"),
        leaf(LeafKind::Source, "b", "b3:b"),
    ]);
    let reason = told(&leaves.encode(), &other).reason();
    assert_eq!(reason, "`a` changed (and 1 more)");
    assert_eq!(
        Explanation::ResultGone.reason(),
        "its result is no longer in the store"
    );
}

fn reasons(app: &TestApp) -> Vec<String> {
    let plan = app
        .run(&["plan", "--all", "--format", "json"])
        .succeed()
        .json();
    super::super::plan::column(&plan, "reason")
}

/// spec: evaluate/explain R7, evaluate/explain R8
#[test]
fn plan_build_and_why_say_the_same() {
    let app = steps();
    let told = |expected: &str| {
        assert_eq!(reasons(&app)[0], expected);
        let why = app.run(&["why", "compile"]).succeed();
        assert!(
            why.stdout
                .starts_with(&format!("compile would run: {expected}\n")),
            "{why}"
        );
        let built = build(&app, &["--all"]).succeed().json();
        assert_eq!(built["operations"][0]["reason"], expected);
    };
    told("never ran before");
    app.edit("main.txt", "main", "secret main");
    told("`main.txt` changed");
    app.edit(
        "stagecraft.yml",
        "outputs: [main.o]",
        "outputs: [main.o], env: { TOKEN: hush }",
    );
    told("variable `TOKEN` is new");
    app.edit("stagecraft.yml", "hush", "quiet");
    told("variable `TOKEN` changed");
    let forced = build(&app, &["compile", "--no-cache"]).succeed().json();
    assert_eq!(
        forced["operations"][0]["reason"],
        "asked to run again (`--no-cache`)"
    );
    app.edit(
        "stagecraft.yml",
        "outputs: [main.o]",
        "outputs: [main.o], cache: false",
    );
    told("never remembered (`cache: false`)");
}

/// spec: evaluate/explain R4
#[test]
fn history_is_of_the_last_run_that_was_recorded() {
    let app = steps();
    let built = build(&app, &["compile"]).succeed();
    app.edit(
        "stagecraft.yml",
        "grep -v '^#' main.txt",
        "grep -v nothing-at-all none",
    );
    let failed = build(&app, &["compile"]);
    assert_eq!(failed.status, 3, "{failed}");
    assert_eq!(reasons(&app)[0], "the command changed");
    app.edit(
        "stagecraft.yml",
        "grep -v nothing-at-all none",
        "grep -v '^#' main.txt",
    );
    app.edit("main.txt", "comment", "remark");
    let again = build(&app, &["compile"]).succeed();
    app.edit("main.txt", "remark", "comment");
    let hit = build(&app, &["compile"]).succeed().json();
    assert_eq!(with_status(&hit, "hit"), ["compile"]);
    assert_ne!(built.stdout, again.stdout);
    app.edit("main.txt", "comment", "third");
    let why = app
        .run(&["why", "compile", "--format", "json"])
        .succeed()
        .json();
    let remark = Digest::of(b"# a remark\nmain\n").to_string();
    assert_eq!(why["differences"][0]["before"], remark.as_str());
}
