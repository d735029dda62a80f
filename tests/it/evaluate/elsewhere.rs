//! A key that another process runs: the claim stands for that process.

use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::thread;
use std::time::Duration;

use stagecraft::action::Action;
use stagecraft::evaluate::{
    Accept, Cancel, Completion, Event, ExecutionContext, Executor, Executors, Failure, Observed,
    Observer, Options, Outcome, Produced, Scope, Status, evaluate,
};
use stagecraft::plan::Plan;
use stagecraft::plan::operation::Kind;
use stagecraft_store::{ActionKey, ActionResult, Batch, Digest, Object, Store, TreeBuilder};

use crate::support::drafts::{graph, id};

#[derive(Default)]
struct Counted(AtomicUsize);

fn tree(batch: &mut Batch) -> Object {
    let mut tree = TreeBuilder::new();
    let file = batch.put(b"made").unwrap();
    tree.file("out", &file, false).unwrap();
    let tree = tree.build();
    batch.add_tree(&tree).unwrap();
    tree.root
}

impl Executor for Counted {
    fn probe(&self, _: &Action<'_>, _: &ExecutionContext<'_>) -> Result<Observed, Failure> {
        Ok(Observed::Holds)
    }

    fn execute(&self, _: &Action<'_>, context: &ExecutionContext<'_>) -> Completion {
        self.0.fetch_add(1, Ordering::Relaxed);
        let mut batch = context.store.batch();
        let output = tree(&mut batch);
        Completion::Produced(Produced {
            batch,
            output,
            log: Vec::new(),
            level: 0,
            warnings: Vec::new(),
            drifted: None,
        })
    }
}

/// Passes on which operations begin to run.
struct Begun(Sender<String>);

impl Observer for Begun {
    fn on(&mut self, event: &Event<'_>) {
        if let Event::Began { .. } | Event::Started { .. } = event {
            let what = if matches!(event, Event::Began { .. }) {
                "began"
            } else {
                "started"
            };
            self.0.send(what.to_owned()).ok();
        }
    }
}

/// Evaluates a plan of one operation `a`; says how it ended, and how often it was executed.
fn ended(plan: &Plan, store: &Store, cancel: &Cancel, begun: Sender<String>) -> (Outcome, usize) {
    let executor = Counted::default();
    let context = ExecutionContext {
        store,
        project: Path::new("/nonexistent"),
        cancel,
        release: None,
    };
    let options = Options {
        jobs: 2,
        keep_going: true,
        accept: Accept {
            minimum_level: 0,
            refresh: false,
        },
    };
    let executors = Executors::new(&[(Kind::Run, &executor)]);
    let scope = Scope::whole(plan);
    let mut observer = Begun(begun);
    let mut evaluation = evaluate(plan, scope, &executors, context, &options, &mut observer);
    let outcome = evaluation.outcomes.remove(&id("a")).unwrap();
    (outcome, executor.0.into_inner())
}

/// Evaluates while another store has claimed the key of `a`; `meanwhile` decides what that one does before it gives
/// the claim up.
fn beside(meanwhile: impl FnOnce(&Store, ActionKey, &Cancel)) -> (Outcome, usize) {
    let plan = graph(&[("a", &[])]);
    let other = tempfile::tempdir().unwrap();
    let alone = Store::open(other.path()).unwrap();
    let (begun, _heard) = channel();
    let (first, executed) = ended(&plan, &alone, &Cancel::new().unwrap(), begun);
    assert_eq!((first.status, executed), (Status::Ran, 1));
    let key = first.key.unwrap();

    let directory = tempfile::tempdir().unwrap();
    let elsewhere = Store::open(directory.path()).unwrap();
    let store = Store::open(directory.path()).unwrap();
    let cancel = Cancel::new().unwrap();
    let claim = elsewhere.try_claim(&key).unwrap().unwrap();
    let (begun, heard) = channel();
    thread::scope(|threads| {
        let evaluation = threads.spawn(|| ended(&plan, &store, &cancel, begun));
        assert_eq!(heard.recv().unwrap(), "began");
        let quiet = heard.recv_timeout(Duration::from_millis(200));
        assert!(quiet.is_err(), "it ran what another process runs");
        meanwhile(&elsewhere, key, &cancel);
        drop(claim);
        evaluation.join().unwrap()
    })
}

/// spec: evaluate/evaluation R16
#[test]
fn the_result_of_another_process_is_taken() {
    let (outcome, executed) = beside(|store, key, _| {
        let mut batch = store.batch();
        let result = ActionResult {
            op_hash: Digest::of(b"op"),
            output: tree(&mut batch),
            log: Object::empty(),
            leaves: Object::empty(),
            level: 0,
            milliseconds: 1,
        };
        let results = vec![(key, result)];
        store.commit(vec![batch], results, vec![]).unwrap();
    });
    assert_eq!((outcome.status, executed), (Status::Hit, 0));
    assert!(outcome.output.is_some() && outcome.reason.is_none());
}

/// spec: evaluate/evaluation R16
#[test]
fn what_another_process_does_not_finish_is_run() {
    let (outcome, executed) = beside(|_, _, _| ());
    assert_eq!((outcome.status, executed), (Status::Ran, 1));
}

/// spec: evaluate/evaluation R16, evaluate/evaluation R7
#[test]
fn waiting_for_another_process_can_be_cancelled() {
    let (outcome, executed) = beside(|_, _, cancel| cancel.cancel());
    assert_eq!((outcome.status, executed), (Status::Cancelled, 0));
}
