//! Evaluation with executors that do as they are told: order, panics, drift, probes, scopes.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Mutex;

use stagecraft::action::{Action, Task};
use stagecraft::evaluate::{
    Accept, Cancel, Cause, Completion, Evaluation, Event, ExecutionContext, Executor, Executors,
    Failure, Observed, Observer, Options, Outcome, Produced, Scope, Status, evaluate,
};
use stagecraft::plan::operation::{Kind, Phase, Place, Work};
use stagecraft::plan::{Draft, Plan};
use stagecraft_store::{Store, TreeBuilder};
use tempfile::TempDir;

use crate::support::drafts::{assemble, draft, graph, id, run};

/// What the executor does with an operation.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Does {
    Succeed,
    Fail,
    Panic,
    Drift,
    Cancel,
    NoTree,
    Holds,
    ProbeFails,
}

/// Makes a tree of one file that holds the operation's id, or does what it is told.
struct Scripted {
    does: BTreeMap<&'static str, Does>,
    executed: Mutex<Vec<String>>,
    level: u8,
}

impl Scripted {
    fn of(&self, action: &Action<'_>) -> Does {
        let told = self.does.get(action.id.as_str());
        told.copied().unwrap_or(Does::Succeed)
    }
}

fn failure() -> Failure {
    Failure {
        cause: Cause::Exit(1),
        message: "command exited with 1".to_owned(),
        hint: None,
    }
}

impl Executor for Scripted {
    fn probe(&self, action: &Action<'_>, _: &ExecutionContext<'_>) -> Result<Observed, Failure> {
        match self.of(action) {
            Does::Holds => Ok(Observed::Holds),
            Does::ProbeFails => Err(failure()),
            _ => Ok(Observed::Differs("it is old".to_owned())),
        }
    }

    fn execute(&self, action: &Action<'_>, context: &ExecutionContext<'_>) -> Completion {
        self.executed.lock().unwrap().push(action.id.to_string());
        let drifted = match self.of(action) {
            Does::Fail => {
                return Completion::Failed {
                    failure: failure(),
                    log: b"log".to_vec(),
                    level: Some(0),
                };
            }
            Does::Panic => panic!("told to panic"),
            Does::Cancel => {
                context.cancel.cancel();
                return Completion::Cancelled;
            }
            Does::NoTree => return Completion::Done,
            Does::Drift => Some("src/x".to_owned()),
            Does::Succeed | Does::Holds | Does::ProbeFails => None,
        };
        let Task::Run(_) = &action.task else {
            return Completion::Done;
        };
        let mut batch = context.store.batch();
        let file = batch.put(action.id.as_str().as_bytes()).unwrap();
        let mut tree = TreeBuilder::new();
        tree.file("out", &file, false).unwrap();
        let tree = tree.build();
        batch.add_tree(&tree).unwrap();
        Completion::Produced(Produced {
            batch,
            output: tree.root,
            log: Vec::new(),
            level: self.level,
            warnings: Vec::new(),
            drifted,
        })
    }
}

#[derive(Default)]
struct Heard(Vec<String>);

impl Observer for Heard {
    fn on(&mut self, event: &Event<'_>) {
        self.0.push(match event {
            Event::Began { total } => format!("began {total}"),
            Event::Started { operation, .. } => format!("start {}", operation.id),
            Event::Finished { operation, outcome } => {
                format!("{} {}", outcome.status.as_str(), operation.id)
            }
        });
    }
}

struct Bench {
    _directory: TempDir,
    store: Store,
}

struct Ended {
    evaluation: Evaluation,
    executed: Vec<String>,
    heard: Vec<String>,
}

impl Ended {
    fn outcome(&self, name: &str) -> &Outcome {
        &self.evaluation.outcomes[&id(name)]
    }

    fn statuses(&self) -> String {
        let words = self.evaluation.outcomes.iter();
        let words = words.map(|(id, outcome)| format!("{id} {}", outcome.status.as_str()));
        words.collect::<Vec<_>>().join(", ")
    }
}

impl Bench {
    fn new() -> Self {
        let directory = TempDir::new().unwrap();
        let store = Store::open(directory.path()).unwrap();
        Self {
            _directory: directory,
            store,
        }
    }

    fn evaluate(&self, plan: &Plan, does: &[(&'static str, Does)]) -> Ended {
        self.with(plan, does, &options(1, true), Scope::whole(plan), 0)
    }

    fn with(
        &self,
        plan: &Plan,
        does: &[(&'static str, Does)],
        options: &Options,
        scope: Scope,
        level: u8,
    ) -> Ended {
        let executor = Scripted {
            does: does.iter().copied().collect(),
            executed: Mutex::default(),
            level,
        };
        let cancel = Cancel::new().unwrap();
        let context = ExecutionContext {
            store: &self.store,
            project: Path::new("/nonexistent"),
            cancel: &cancel,
            release: None,
        };
        let executors = Executors::new(&[(Kind::Run, &executor), (Kind::Rollout, &executor)]);
        let mut heard = Heard::default();
        let evaluation = evaluate(plan, scope, &executors, context, options, &mut heard);
        Ended {
            evaluation,
            executed: executor.executed.into_inner().unwrap(),
            heard: heard.0,
        }
    }
}

fn options(jobs: usize, keep_going: bool) -> Options {
    Options {
        jobs,
        keep_going,
        accept: Accept {
            minimum_level: 0,
            refresh: false,
        },
    }
}

/// spec: evaluate/evaluation R2
#[test]
fn the_longest_path_comes_first() {
    let plan = graph(&[
        ("a", &[]),
        ("b", &[]),
        ("c", &["b"]),
        ("d", &["c"]),
        ("e", &[]),
    ]);
    let ended = Bench::new().evaluate(&plan, &[]);
    // What comes after the first one may overtake, while that one becomes durable.
    assert_eq!(ended.executed[0], "b");
    let at = |line: &str| ended.heard.iter().position(|heard| heard == line).unwrap();
    assert!(at("ran b") < at("start c") && at("ran c") < at("start d"));
}

/// spec: evaluate/evaluation R1, evaluate/evaluation R6
#[test]
fn each_operation_has_one_outcome() {
    let plan = graph(&[
        ("a", &[]),
        ("b", &["a"]),
        ("c", &["b"]),
        ("x", &[]),
        ("y", &["x", "a"]),
    ]);
    let bench = Bench::new();
    let ended = bench.evaluate(&plan, &[("b", Does::Fail)]);
    assert_eq!(ended.statuses(), "a ran, b failed, c skipped, x ran, y ran");
    assert_eq!(ended.outcome("b").failure, Some(failure()));
    let finished = ended.heard.iter().filter(|line| !line.starts_with("start"));
    assert_eq!(finished.count(), 1 + 5);
    let log = ended.outcome("b").log.unwrap();
    assert_eq!(bench.store.read(&log).unwrap().unwrap(), b"log");
}

/// spec: evaluate/evaluation R1
#[test]
fn what_is_outside_the_scope_counts_as_known() {
    let plan = graph(&[("a", &[]), ("b", &["a"]), ("c", &["b"])]);
    let bench = Bench::new();
    let part = |operations: &[usize], known: Evaluation| {
        let operations: BTreeSet<usize> = operations.iter().copied().collect();
        bench.with(
            &plan,
            &[],
            &options(4, false),
            Scope { operations, known },
            0,
        )
    };
    let first = part(&[0], Evaluation::default());
    assert_eq!(first.statuses(), "a ran");
    let rest = part(&[1, 2], first.evaluation);
    assert_eq!(rest.statuses(), "a ran, b ran, c ran");
    assert_eq!(rest.executed, ["b", "c"]);
    assert_eq!(part(&[], Evaluation::default()).heard, ["began 0"]);
}

/// spec: evaluate/evaluation R13
#[test]
fn a_panic_is_a_failure_and_not_a_hang() {
    let plan = graph(&[("a", &[]), ("b", &["a"]), ("c", &[]), ("d", &["c"])]);
    for jobs in [1, 4] {
        let bench = Bench::new();
        let scope = Scope::whole(&plan);
        let ended = bench.with(&plan, &[("a", Does::Panic)], &options(jobs, true), scope, 0);
        assert_eq!(ended.statuses(), "a failed, b skipped, c ran, d ran");
        let failure = ended.outcome("a").failure.clone().unwrap();
        assert_eq!(failure.cause, Cause::Machine);
        assert!(failure.message.starts_with("a fault of Stagecraft itself"));
    }
}

/// spec: evaluate/evaluation R13
#[test]
fn what_cannot_be_done_here_is_a_failure() {
    let plan = graph(&[("a", &[])]);
    let bench = Bench::new();
    let cancel = Cancel::new().unwrap();
    let context = ExecutionContext {
        store: &bench.store,
        project: Path::new("/nonexistent"),
        cancel: &cancel,
        release: None,
    };
    let none = Executors::new(&[]);
    let (scope, mut heard) = (Scope::whole(&plan), Heard::default());
    let ended = evaluate(&plan, scope, &none, context, &options(2, false), &mut heard);
    let failure = ended.outcomes[&id("a")].failure.clone().unwrap();
    assert_eq!(failure.message, "nothing here can do a `run`");
    assert!(!ended.is_success());
    let ended = bench.evaluate(&plan, &[("a", Does::NoTree)]);
    let failure = ended.outcome("a").failure.clone().unwrap();
    assert_eq!(failure.message, "the executor made no output tree");
}

/// spec: evaluate/evaluation R7
#[test]
fn a_cancellation_starts_nothing_further_and_records_nothing() {
    let plan = graph(&[("a", &[]), ("b", &["a"]), ("c", &["b"]), ("x", &["a"])]);
    let bench = Bench::new();
    let ended = bench.evaluate(&plan, &[("b", Does::Cancel)]);
    assert_eq!(
        ended.statuses(),
        "a ran, b cancelled, c cancelled, x cancelled"
    );
    let ended = bench.evaluate(&plan, &[]);
    assert_eq!(ended.statuses(), "a hit, b ran, c ran, x ran");
}

/// spec: evaluate/evaluation R10
#[test]
fn a_drifted_run_is_used_and_not_recorded() {
    let plan = graph(&[("a", &[]), ("b", &["a"])]);
    let bench = Bench::new();
    let ended = bench.evaluate(&plan, &[("a", Does::Drift)]);
    assert_eq!(ended.statuses(), "a ran, b ran");
    assert!(ended.outcome("a").drifted && ended.outcome("a").warnings[0].contains("`src/x`"));
    let again = bench.evaluate(&plan, &[]);
    assert_eq!(again.statuses(), "a ran, b hit");
    assert_eq!(
        again.outcome("a").reason.as_deref(),
        Some("never ran before")
    );
}

/// spec: evaluate/evaluation R3
#[test]
fn a_result_below_the_level_runs_again_and_is_replaced() {
    let plan = graph(&[("a", &[])]);
    let bench = Bench::new();
    let at = |made: u8, accepted: u8| {
        let mut options = options(1, true);
        options.accept.minimum_level = accepted;
        let ended = bench.with(&plan, &[], &options, Scope::whole(&plan), made);
        let outcome = ended.outcome("a");
        (outcome.status, outcome.reason.clone())
    };
    assert_eq!(at(1, 0).0, Status::Ran);
    assert_eq!(at(1, 1), (Status::Hit, None));
    let reason = Some("its result was made at sandbox level 1, below 2".to_owned());
    assert_eq!(at(2, 2), (Status::Ran, reason));
    assert_eq!(at(0, 2), (Status::Hit, None));
}

/// A place of the output of `a`, and one more operation after it.
fn placed() -> Plan {
    let place = Draft {
        id: id("place"),
        phase: Phase::Rollout,
        services: Vec::new(),
        hosts: Vec::new(),
        description: String::new(),
        work: Work::Place(Place {
            path: "deploy".to_owned(),
            service: "web".parse().unwrap(),
            artifact: id("a"),
        }),
        takes: vec![id("a")],
        after: Vec::new(),
    };
    let mut after = draft("z", &[], run("z"));
    after.after = vec![id("place")];
    assemble(vec![draft("a", &[], run("a")), place, after]).unwrap()
}

/// spec: evaluate/evaluation R11
#[test]
fn a_verified_operation_is_probed_first() {
    let (plan, bench) = (placed(), Bench::new());
    let ended = bench.evaluate(&plan, &[]);
    assert_eq!(ended.statuses(), "a ran, place applied, z ran");
    assert_eq!(ended.outcome("place").reason.as_deref(), Some("it is old"));
    let ended = bench.evaluate(&plan, &[("place", Does::Holds)]);
    assert_eq!(ended.statuses(), "a hit, place converged, z hit");
    assert_eq!(ended.executed, [""; 0]);
    let ended = bench.evaluate(&plan, &[("place", Does::ProbeFails)]);
    assert_eq!(ended.statuses(), "a hit, place failed, z skipped");
}

/// Two operations of one key, and one that needs the second.
fn twins() -> Plan {
    let drafts = vec![
        draft("a", &[], run("same")),
        draft("b", &[], run("same")),
        draft("c", &["b"], run("c")),
    ];
    assemble(drafts).unwrap()
}

/// spec: evaluate/evaluation R12
#[test]
fn one_key_is_run_once_and_shared() {
    for jobs in [1, 8] {
        let bench = Bench::new();
        let shared = |does: &[(&'static str, Does)]| {
            bench.with(
                &twins(),
                does,
                &options(jobs, true),
                Scope::whole(&twins()),
                0,
            )
        };
        let failed = shared(&[("a", Does::Fail), ("b", Does::Fail)]);
        assert_eq!(failed.statuses(), "a failed, b failed, c skipped");
        assert_eq!(failed.executed.len(), 1);
        let ended = shared(&[]);
        assert_eq!(ended.statuses(), "a ran, b ran, c ran");
        assert_eq!(ended.executed.len(), 2);
        assert_eq!(ended.outcome("a").output, ended.outcome("b").output);
        assert_eq!(shared(&[]).statuses(), "a hit, b hit, c hit");
    }
}

/// spec: evaluate/evaluation R12, evaluate/explain R4
#[test]
fn operations_that_share_a_run_keep_their_own_history() {
    let bench = Bench::new();
    let plan = graph(&[("a", &[])]);
    assert_eq!(bench.evaluate(&plan, &[]).statuses(), "a ran");
    for jobs in [1, 8] {
        let mut options = options(jobs, true);
        options.accept.refresh = true;
        let ended = bench.with(&twins(), &[], &options, Scope::whole(&twins()), 0);
        let forced = Some("asked to run again (`--no-cache`)");
        assert_eq!(ended.outcome("b").reason.as_deref(), forced);
    }
    let mut changed = run("same");
    changed.env.insert("X".to_owned(), "1".to_owned());
    let plan = assemble(vec![draft("b", &[], changed)]).unwrap();
    let ended = bench.evaluate(&plan, &[]);
    assert_eq!(
        ended.outcome("b").reason.as_deref(),
        Some("variable `X` is new")
    );
}
