//! The coordinator, its worker threads and the committer (`spec/evaluate/evaluation.md`).
//! One thread owns schedule, outcomes and observer; workers resolve, look up and execute; what they made becomes
//! durable in groups while they go on, and only then wakes its dependents.

use std::collections::{BTreeMap, BTreeSet};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use stagecraft_store::Object;

use super::commit::{NotCommitted, Pending, commit, not_recorded};
use super::flight::Flights;
use super::perform::{Job, Performer, Report, Staged};
use super::schedule::Schedule;
use super::{
    Accept, Cause, Evaluation, Event, ExecutionContext, Executors, Failure, Observer, Outcome,
    Status,
};
use crate::plan::operation::OperationId;
use crate::plan::{Edge, Index, Plan};

/// How to evaluate.
#[derive(Debug, Clone)]
pub struct Options {
    /// How many operations run at once; at least 1.
    pub jobs: usize,
    /// After a failure, go on with whatever does not depend on it.
    pub keep_going: bool,
    /// Which recorded results count.
    pub accept: Accept,
}

/// Which operations of a plan to evaluate, and what is known of the others.
#[derive(Debug)]
pub struct Scope {
    /// The operations to evaluate.
    pub operations: BTreeSet<Index>,
    /// The outcomes of earlier evaluations of the same plan; what the scope depends on is here or in the scope.
    pub known: Evaluation,
}

impl Scope {
    /// Returns the scope of a whole plan.
    pub fn whole(plan: &Plan) -> Self {
        Self {
            operations: (0..plan.len()).collect(),
            known: Evaluation::default(),
        }
    }
}

/// A message to the coordinator.
pub(super) enum Message {
    /// A worker begins to execute an operation, for this reason.
    Started(Index, String),
    /// A worker is through with an operation and free again.
    Reported {
        worker: usize,
        index: Index,
        report: Box<Report>,
    },
    /// The committer is through with a group.
    Committed(Vec<(Index, Outcome)>, Result<(), NotCommitted>),
}

/// Brings about the operations of `scope`, each at most once, and tells `observer` as it goes.
/// Every failure is an outcome; the returned evaluation holds the known outcomes too.
pub fn evaluate(
    plan: &Plan,
    scope: Scope,
    executors: &Executors<'_>,
    context: ExecutionContext<'_>,
    options: &Options,
    observer: &mut dyn Observer,
) -> Evaluation {
    let performer = Performer {
        plan,
        executors,
        context,
        options,
        flights: Flights::default(),
    };
    let schedule = Schedule::new(plan, &scope.operations);
    let workers = options.jobs.clamp(1, scope.operations.len().max(1));
    observer.on(&Event::Began {
        total: scope.operations.len(),
    });
    thread::scope(|threads| {
        let (to_coordinator, inbox) = channel();
        let mut desks: Vec<Sender<Job>> = Vec::with_capacity(workers);
        for worker in 0..workers {
            let (desk, jobs) = channel();
            let (performer, answers) = (&performer, to_coordinator.clone());
            let started = thread::Builder::new()
                .name(format!("worker {worker}"))
                .spawn_scoped(threads, move || work(worker, performer, &jobs, &answers));
            if started.is_err() {
                break;
            }
            desks.push(desk);
        }
        let (to_committer, groups) = channel();
        let committer = thread::Builder::new()
            .name("committer".to_owned())
            .spawn_scoped(threads, move || commit(context, &groups, &to_coordinator));
        let stopping = (desks.is_empty() || committer.is_err()).then_some(Stop::NoThread);
        Coordinator {
            performer: &performer,
            schedule,
            evaluation: scope.known,
            observer,
            idle: (0..desks.len()).rev().collect(),
            desks,
            uncommitted: Vec::new(),
            committer: to_committer,
            committing: false,
            sharing: BTreeMap::new(),
            halted: false,
            stopping,
        }
        .run(&inbox)
    })
}

fn work(worker: usize, performer: &Performer<'_>, jobs: &Receiver<Job>, answers: &Sender<Message>) {
    while let Ok(job) = jobs.recv() {
        let index = job.index;
        let started = |reason: String| answers.send(Message::Started(index, reason)).is_ok();
        // Shared state is a map that is only added to, so a panic leaves nothing half done.
        let report = catch_unwind(AssertUnwindSafe(|| performer.perform(&job, &started)));
        let report = Box::new(report.unwrap_or_else(|_| Report::panicked()));
        if answers
            .send(Message::Reported {
                worker,
                index,
                report,
            })
            .is_err()
        {
            return;
        }
    }
}

/// Why no further operation is started.
#[derive(Debug, Clone)]
enum Stop {
    Cancelled,
    Failed(OperationId),
    NoThread,
}

struct Coordinator<'a, 'o> {
    performer: &'a Performer<'a>,
    schedule: Schedule,
    evaluation: Evaluation,
    observer: &'o mut dyn Observer,
    idle: Vec<usize>,
    desks: Vec<Sender<Job>>,
    uncommitted: Vec<Pending>,
    committer: Sender<Vec<Pending>>,
    committing: bool,
    /// Operations that share the run of another, by that one, until it has an outcome.
    sharing: BTreeMap<Index, Vec<(Index, Outcome, Option<Staged>)>>,
    /// An operation failed and is not to keep going: nothing is started while its log becomes durable.
    halted: bool,
    stopping: Option<Stop>,
}

impl Coordinator<'_, '_> {
    fn run(mut self, inbox: &Receiver<Message>) -> Evaluation {
        loop {
            self.start_ready();
            if self.schedule.is_done() {
                return self.evaluation;
            }
            let Ok(message) = inbox.recv() else {
                return self.evaluation;
            };
            self.take(message);
            while let Ok(message) = inbox.try_recv() {
                self.take(message);
            }
            self.send_group();
        }
    }

    fn start_ready(&mut self) {
        if self.stopping.is_none() && self.performer.context.cancel.is_cancelled() {
            self.stopping = Some(Stop::Cancelled);
        }
        if let Some(stop) = self.stopping.clone() {
            for index in self.schedule.abandon() {
                let outcome = unstarted(&stop);
                self.conclude(index, outcome);
            }
            return;
        }
        while !self.halted && !self.idle.is_empty() {
            let Some(index) = self.schedule.next() else {
                return;
            };
            let Some(worker) = self.idle.pop() else {
                return;
            };
            let outputs = self.outputs_below(index);
            // Its worker lives as long as its desk does.
            self.desks[worker].send(Job { index, outputs }).ok();
        }
    }

    /// The outputs that the operation takes: its dependencies succeeded, or it would not be ready.
    fn outputs_below(&self, index: Index) -> BTreeMap<OperationId, Object> {
        let plan = self.performer.plan;
        plan.dependencies(index)
            .into_iter()
            .filter(|(_, edge)| *edge == Edge::Output)
            .filter_map(|(need, _)| {
                let id = &plan.operation(need).id;
                let output = self.evaluation.outcomes.get(id)?.output?;
                Some((id.clone(), output))
            })
            .collect()
    }

    fn take(&mut self, message: Message) {
        match message {
            Message::Started(index, reason) => {
                let operation = self.performer.plan.operation(index);
                self.observer.on(&Event::Started {
                    operation,
                    reason: &reason,
                });
            }
            Message::Reported {
                worker,
                index,
                report,
            } => {
                self.idle.push(worker);
                self.halted |=
                    report.outcome.status == Status::Failed && !self.performer.options.keep_going;
                let Report {
                    outcome,
                    staged,
                    shares,
                } = *report;
                match shares {
                    Some(runner) => self.share(runner, index, outcome, staged),
                    None => self.keep(index, outcome, staged),
                }
            }
            Message::Committed(outcomes, committed) => {
                self.committing = false;
                for (index, outcome) in outcomes {
                    let outcome = match &committed {
                        Ok(()) => outcome,
                        Err(error) => not_recorded(outcome, error),
                    };
                    self.settle(index, outcome);
                }
            }
        }
    }

    /// Settles an operation at once, or once what it staged is durable.
    fn keep(&mut self, index: Index, outcome: Outcome, staged: Option<Staged>) {
        match staged {
            None => self.settle(index, outcome),
            Some(staged) => self.uncommitted.push(Pending {
                index,
                outcome,
                batch: staged.batch,
                result: staged.result,
                history: staged.history,
                claim: staged.claim,
            }),
        }
    }

    /// Gives an operation the outcome of the one that runs its key, as soon as that one has it.
    fn share(&mut self, runner: Index, index: Index, own: Outcome, staged: Option<Staged>) {
        let id = &self.performer.plan.operation(runner).id;
        let Some(shared) = self.evaluation.outcomes.get(id) else {
            let waiting = self.sharing.entry(runner).or_default();
            waiting.push((index, own, staged));
            return;
        };
        let outcome = Outcome {
            key: own.key,
            reason: own
                .reason
                .filter(|_| !matches!(shared.status, Status::Cancelled | Status::Hit))
                .or_else(|| shared.reason.clone()),
            ..shared.clone()
        };
        let recorded = outcome.status.is_success() && !outcome.drifted;
        self.keep(index, outcome, staged.filter(|_| recorded));
    }

    /// While one group becomes durable the next one gathers.
    fn send_group(&mut self) {
        if !self.committing && !self.uncommitted.is_empty() {
            let group = std::mem::take(&mut self.uncommitted);
            self.committing = self.committer.send(group).is_ok();
        }
    }

    fn settle(&mut self, index: Index, outcome: Outcome) {
        self.advance(index, outcome);
        for (sharer, own, staged) in self.sharing.remove(&index).unwrap_or_default() {
            self.share(index, sharer, own, staged);
        }
    }

    fn advance(&mut self, index: Index, outcome: Outcome) {
        if outcome.status.is_success() {
            self.conclude(index, outcome);
            self.schedule.succeed(index);
            return;
        }
        let id = self.performer.plan.operation(index).id.clone();
        let cancelled = outcome.status == Status::Cancelled;
        self.conclude(index, outcome);
        for skipped in self.schedule.fail(index) {
            let stop = if cancelled {
                Stop::Cancelled
            } else {
                Stop::Failed(id.clone())
            };
            let outcome = unreached(&stop);
            self.conclude(skipped, outcome);
        }
        if cancelled {
            self.stopping = Some(Stop::Cancelled);
        } else if !self.performer.options.keep_going && self.stopping.is_none() {
            self.stopping = Some(Stop::Failed(id));
        }
    }

    fn conclude(&mut self, index: Index, outcome: Outcome) {
        let operation = self.performer.plan.operation(index);
        self.observer.on(&Event::Finished {
            operation,
            outcome: &outcome,
        });
        self.evaluation
            .outcomes
            .insert(operation.id.clone(), outcome);
    }
}

fn unreached(stop: &Stop) -> Outcome {
    match stop {
        Stop::Cancelled => {
            Outcome::without_output(Status::Cancelled, Some("interrupted".to_owned()))
        }
        Stop::Failed(id) => {
            Outcome::without_output(Status::Skipped, Some(format!("needs `{id}`, which failed")))
        }
        Stop::NoThread => Outcome {
            failure: Some(Failure {
                cause: Cause::Machine,
                message: "no thread can be started".to_owned(),
                hint: Some("raise the limit on processes, or ask for fewer `--jobs`".to_owned()),
            }),
            ..Outcome::without_output(Status::Failed, None)
        },
    }
}

fn unstarted(stop: &Stop) -> Outcome {
    match stop {
        Stop::Cancelled | Stop::NoThread => unreached(stop),
        Stop::Failed(id) => Outcome::without_output(
            Status::Skipped,
            Some(format!("not started after `{id}` failed")),
        ),
    }
}

/// Returns an error and its sources as one line.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(next) = source {
        text = format!("{text}: {next}");
        source = next.source();
    }
    text
}
