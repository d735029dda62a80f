//! Evaluation with the real program: what hits, what runs, what a failure, a drift and an interruption leave.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod elsewhere;
mod explain;
mod interrupt;
mod library;
mod predict;

use std::fmt::Write as _;

use serde_json::Value;

use crate::support::{Output, TestApp};

/// Numbers without a pattern, the same in every run.
pub(crate) struct Numbers(pub(crate) u64);

impl Numbers {
    /// Returns a number below `bound`.
    pub(crate) fn below(&mut self, bound: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 % bound as u64).unwrap()
    }
}

/// Returns the operations with a status, in plan order.
pub(crate) fn with_status(document: &Value, status: &str) -> Vec<String> {
    let operations = document["operations"].as_array().unwrap().iter();
    let found = operations.filter(|operation| operation["status"] == status);
    found
        .map(|operation| operation["id"].as_str().unwrap().to_owned())
        .collect()
}

fn build(app: &TestApp, arguments: &[&str]) -> Output {
    app.run(&[&["build", "--format", "json"], arguments].concat())
}

/// `compile` leaves comments out, `link` takes what it made, `other` stands alone.
const STEPS: &str = r#"
project: { name: steps }
operations:
  compile: { script: "grep -v '^#' main.txt > main.o", inputs: [main.txt], outputs: [main.o] }
  link: { script: "cat in/main.o > program", needs: { compile: in }, outputs: [program] }
  other: { script: "cat other.txt > other.out", inputs: [other.txt], outputs: [other.out] }
"#;

fn steps() -> TestApp {
    let app = TestApp::with_config(STEPS);
    app.write("main.txt", "# a comment\nmain\n");
    app.write("other.txt", "other\n");
    app
}

/// spec: evaluate/evaluation R3
#[test]
fn a_second_build_runs_nothing() {
    let app = steps();
    let first = build(&app, &["--all"]).succeed().json();
    assert_eq!(with_status(&first, "ran"), ["compile", "link", "other"]);
    let second = build(&app, &["--all"]).succeed().json();
    assert_eq!(with_status(&second, "hit"), ["compile", "link", "other"]);
    for at in 0..3 {
        let of = |built: &Value, field: &str| built["operations"][at][field].to_string();
        for field in ["action_key", "output", "op_hash"] {
            assert_eq!(of(&second, field), of(&first, field));
        }
        assert_eq!(of(&second, "reason"), "null");
    }
}

/// spec: evaluate/evaluation R4
#[test]
fn a_comment_stops_at_the_compile() {
    let app = steps();
    let first = build(&app, &["--all"]).succeed().json();
    app.edit("main.txt", "a comment", "another comment");
    let second = build(&app, &["--all"]).succeed().json();
    assert_eq!(with_status(&second, "ran"), ["compile"]);
    assert_eq!(with_status(&second, "hit"), ["link", "other"]);
    assert_eq!(
        second["operations"][1]["output"],
        first["operations"][1]["output"]
    );
    app.edit("main.txt", "main", "other main");
    let third = build(&app, &["--all"]).succeed().json();
    assert_eq!(with_status(&third, "ran"), ["compile", "link"]);
}

/// spec: evaluate/evaluation R5
#[test]
fn an_operation_that_is_not_remembered_runs_every_time() {
    let app = steps();
    app.edit(
        "stagecraft.yml",
        "inputs: [other.txt],",
        "inputs: [other.txt], cache: false,",
    );
    app.edit(
        "stagecraft.yml",
        "inputs: [main.txt],",
        "inputs: [main.txt], cache: false,",
    );
    for _ in 0..2 {
        let built = build(&app, &["--all"]).succeed().json();
        let ran = with_status(&built, "ran");
        assert!(ran.contains(&"compile".to_owned()) && ran.contains(&"other".to_owned()));
    }
    let built = build(&app, &["--all"]).succeed().json();
    assert_eq!(with_status(&built, "hit"), ["link"]);
}

/// spec: evaluate/evaluation R5
#[test]
fn no_cache_replaces_what_was_recorded() {
    let app = TestApp::with_config(
        "project: { name: a }\noperations:\n  time: { script: \"cat /proc/sys/kernel/random/uuid > out\", outputs: [out] }\n",
    );
    let output = |arguments: &[&str]| {
        let built = build(&app, arguments).succeed().json();
        built["operations"][0]["output"]
            .as_str()
            .unwrap()
            .to_owned()
    };
    let first = output(&["time"]);
    assert_eq!(output(&["time"]), first);
    let second = output(&["time", "--no-cache"]);
    assert_ne!(second, first);
    assert_eq!(output(&["time"]), second);
}

const BROKEN: &str = r#"
project: { name: broken }
operations:
  a: { script: "cat switch; test -s switch; echo a > out", inputs: [switch], outputs: [out] }
  b: { script: "cat a/out > out", needs: { a: a }, outputs: [out] }
  c: { script: "cat b/out > out", needs: { b: b }, outputs: [out] }
  x: { script: "echo x > out", outputs: [out] }
  y: { script: "cat x/out > out", needs: { x: x }, outputs: [out] }
"#;

/// spec: evaluate/evaluation R6, evaluate/evaluation R9, evaluate/evaluation R15
#[test]
fn with_keep_going_a_failure_skips_only_its_descendants() {
    let app = TestApp::with_config(BROKEN);
    app.write("switch", "");
    let output = build(&app, &["--all", "--keep-going"]).expect(3);
    let built = output.json();
    assert_eq!(with_status(&built, "failed"), ["a"]);
    assert_eq!(with_status(&built, "skipped"), ["b", "c"]);
    assert_eq!(with_status(&built, "ran"), ["x", "y"]);
    assert_eq!(built["operations"][1]["reason"], "needs `a`, which failed");
    app.write("switch", "on");
    let built = build(&app, &["--all"]).succeed().json();
    assert_eq!(with_status(&built, "ran"), ["a", "b", "c"]);
    assert_eq!(with_status(&built, "hit"), ["x", "y"]);
}

/// spec: evaluate/evaluation R6, evaluate/evaluation R9
#[test]
fn without_keep_going_nothing_further_is_started() {
    let app = TestApp::with_config(BROKEN);
    app.write("switch", "");
    let built = build(&app, &["--all", "--jobs", "1"]).expect(3).json();
    assert_eq!(with_status(&built, "failed"), ["a"]);
    assert_eq!(with_status(&built, "skipped"), ["b", "c", "x", "y"]);
    assert_eq!(
        built["operations"][3]["reason"],
        "not started after `a` failed"
    );
    let again = build(&app, &["--all", "--jobs", "1"]).expect(3).json();
    assert_eq!(with_status(&again, "failed"), ["a"]);
}

/// Writes a project of `count` operations, each over its own source and up to three earlier ones.
pub(crate) fn random_project(app: &TestApp, count: usize, numbers: &mut Numbers) {
    let mut config = "project: { name: random }\noperations:\n".to_owned();
    for number in 0..count {
        let mut needs: Vec<usize> = Vec::new();
        if number > 0 {
            needs.extend((0..numbers.below(4)).map(|_| numbers.below(number)));
        }
        needs.sort_unstable();
        needs.dedup();
        let mounts: Vec<String> = needs
            .iter()
            .map(|need| format!("o{need}: n/{need}"))
            .collect();
        let mut inputs = String::new();
        for need in &needs {
            write!(inputs, ", n/{need}/out").unwrap();
        }
        writeln!(
            config,
            "  o{number}: {{ command: [sh, op.sh, s/{number}{}], inputs: [op.sh, s/{number}], needs: {{ {} }}, outputs: [out] }}",
            inputs,
            mounts.join(", ")
        )
        .unwrap();
        // Some sources are alike, so that some keys are.
        app.write(
            &format!("s/{number}"),
            &format!("#\n{}\n", numbers.below(20)),
        );
    }
    app.write(
        "op.sh",
        "grep -h -v '^#' \"$@\" | sort -u | tail -n 3 > out\n",
    );
    app.write("stagecraft.yml", &config);
}

/// spec: evaluate/evaluation R12
#[test]
fn what_is_printed_does_not_depend_on_jobs() {
    let app = TestApp::new();
    random_project(&app, 200, &mut Numbers(7));
    let other = TestApp::new();
    random_project(&other, 200, &mut Numbers(7));
    let same = |changed: &str| {
        let printed =
            |app: &TestApp, jobs: &str| build(app, &["--all", "--jobs", jobs]).succeed().stdout;
        let one = printed(&app, "1");
        assert_eq!(printed(&other, "8"), one, "{changed}");
        serde_json::from_str(&one).unwrap()
    };
    assert_eq!(with_status(&same("first"), "ran").len(), 200);
    for app in [&app, &other] {
        app.write("s/0", "#\nanother\n");
        app.write("s/3", "# a comment\n19\n");
    }
    let again = same("edited");
    let ran = with_status(&again, "ran").len();
    assert!(ran > 1 && ran < 200, "{ran}");
    assert_eq!(with_status(&same("nothing"), "hit").len(), 200);
}

/// spec: evaluate/evaluation R12
#[test]
fn operations_with_one_key_share_one_run() {
    let one = "script: \"cat /proc/sys/kernel/random/uuid > out\", outputs: [out]";
    let app = TestApp::with_config(&format!(
        "project: {{ name: a }}\noperations:\n  t1: {{ {one} }}\n  t2: {{ {one} }}\n  t3: {{ {one} }}\n"
    ));
    for jobs in ["1", "3"] {
        let built = build(&app, &["--all", "--no-cache", "--jobs", jobs])
            .succeed()
            .json();
        assert_eq!(with_status(&built, "ran"), ["t1", "t2", "t3"]);
        let outputs: Vec<&Value> = built["operations"]
            .as_array()
            .unwrap()
            .iter()
            .map(|operation| &operation["output"])
            .collect();
        assert!(outputs.iter().all(|output| *output == outputs[0]));
    }
}

/// spec: evaluate/evaluation R10, evaluate/evaluation R15
#[test]
fn a_source_that_changes_before_its_operation_is_planned_again_once() {
    let app = TestApp::with_config(
        "project: { name: a }\noperations:\n  slow: { script: \"sleep 3; echo > out\", outputs: [out], cache: false }\n  late: { script: \"cat text > out\", inputs: [text], needs: [slow], outputs: [out] }\n",
    );
    app.write("text", "one\n");
    let mut once = app.start(&["build", "--all"]);
    once.until("start slow");
    app.write("text", "two two\n");
    let output = once.finish().succeed();
    assert!(output.stderr.contains("planning again"), "{output}");
    app.write("text", "three\n");
    let mut twice = app.start(&["build", "--all"]);
    twice.until("start slow");
    app.write("text", "four four\n");
    twice.until("start slow");
    app.write("text", "five five five\n");
    let output = twice.finish().expect(11);
    assert!(output.stderr.contains("text"), "{output}");
}

/// spec: evaluate/evaluation R10
#[test]
fn a_source_that_changes_during_its_operation_is_used_once_and_not_recorded() {
    let app = TestApp::with_config(
        "project: { name: a }\noperations:\n  slow: { script: \"sleep 3; cat text > out\", inputs: [text], outputs: [out] }\n",
    );
    app.write("text", "one\n");
    let mut run = app.start(&["build", "slow"]);
    run.until_runs("sleep");
    app.write("text", "two two\n");
    let output = run.finish().succeed();
    assert!(output.stderr.contains("changed while it ran"), "{output}");
    app.write("text", "one\n");
    let plan = app
        .run(&["plan", "slow", "--format", "json"])
        .succeed()
        .json();
    assert_eq!(plan["phases"][0]["cache"], "miss");
}

/// spec: evaluate/evaluation R3
#[test]
fn a_result_below_the_accepted_level_does_not_count() {
    let app = steps();
    let levelled = |level: &str| {
        let config = format!("{STEPS}sandbox: {{ level: {level} }}\n");
        app.write("stagecraft.yml", &config);
        build(&app, &["--all"]).succeed().json()
    };
    assert_eq!(with_status(&levelled("0"), "ran").len(), 3);
    assert_eq!(with_status(&levelled("0"), "hit").len(), 3);
    let higher = levelled("auto");
    let reason = higher["operations"][0]["reason"]
        .as_str()
        .unwrap_or_default();
    if reason.is_empty() {
        // This machine reaches no higher level.
        assert_eq!(with_status(&higher, "hit").len(), 3);
        return;
    }
    assert_eq!(reason, "its result was made at sandbox level 0, below 2");
    assert_eq!(with_status(&higher, "ran").len(), 3);
    assert_eq!(with_status(&levelled("0"), "hit").len(), 3);
}
