//! What a worker does with one operation: resolve it, look its key up, execute it, stage what it made.
#![expect(
    clippy::disallowed_methods,
    reason = "effects: how long an operation takes"
)]

use std::collections::BTreeMap;
use std::time::Instant;

use stagecraft_store::{
    ActionKey, ActionResult, Batch, Claim, Digest, HistoryKey, Object, StoreError,
};

use super::claim::{Claimed, claim};
use super::flight::{Flight, Flights};
use super::lookup::{Lookup, look_up, own_miss};
use super::outcome::{effect, elapsed, failed, hit, interrupted, machine};
use super::run::{Options, chain};
use super::{
    Completion, ExecutionContext, Executor, Executors, Failure, Observed, Outcome, Produced, Status,
};
use crate::action::{Action, Leaves, resolve};
use crate::plan::operation::{Class, Operation, OperationId, Run, Work};
use crate::plan::{Index, Plan};

/// One operation to perform, with the outputs it takes.
pub(super) struct Job {
    pub(super) index: Index,
    pub(super) outputs: BTreeMap<OperationId, Object>,
}

/// How an operation ended, and what must become durable before it counts.
pub(super) struct Report {
    pub(super) outcome: Outcome,
    pub(super) staged: Option<Staged>,
    /// The operation that runs the same key: the outcome is that one's, but for `key` and `reason`, and what is
    /// staged counts only if that one succeeds.
    pub(super) shares: Option<Index>,
}

/// Objects and records on their way into the store.
pub(super) struct Staged {
    pub(super) batch: Batch,
    pub(super) result: Option<(ActionKey, ActionResult)>,
    pub(super) history: Option<(HistoryKey, Digest)>,
    /// Keeps other processes from running the key until the result is durable.
    pub(super) claim: Option<Claim>,
}

/// What is to be done about a pure operation.
enum Answer {
    Known(Box<ActionResult>),
    Cancelled,
    Run {
        reason: String,
        leaves: Leaves,
        claim: Option<Claim>,
    },
    Shared {
        runner: Index,
        reason: String,
        leaves: Leaves,
    },
}

impl From<Lookup> for Answer {
    fn from(found: Lookup) -> Self {
        match found {
            Lookup::Hit(result) => Self::Known(result),
            Lookup::Miss { reason, leaves, .. } => Self::Run {
                reason,
                leaves,
                claim: None,
            },
        }
    }
}

impl Report {
    fn of(outcome: Outcome) -> Self {
        Self {
            outcome,
            staged: None,
            shares: None,
        }
    }

    /// Returns the report of an operation whose worker panicked.
    pub(super) fn panicked() -> Self {
        Self::of(failed(
            None,
            machine("a fault of Stagecraft itself: its worker panicked".to_owned()),
        ))
    }
}

/// What all workers share.
pub(super) struct Performer<'a> {
    pub(super) plan: &'a Plan,
    pub(super) executors: &'a Executors<'a>,
    pub(super) context: ExecutionContext<'a>,
    pub(super) options: &'a Options,
    pub(super) flights: Flights,
}

impl Performer<'_> {
    /// Performs one operation; `started` is told why, just before anything is executed.
    pub(super) fn perform(&self, job: &Job, started: &dyn Fn(String) -> bool) -> Report {
        if self.context.cancel.is_cancelled() {
            return Report::of(interrupted(None));
        }
        let operation = self.plan.operation(job.index);
        let action = match resolve(operation, &job.outputs) {
            Ok(action) => action,
            Err(error) => return Report::of(failed(None, machine(chain(&error)))),
        };
        let Some(executor) = self.executors.of(operation.kind()) else {
            let message = format!("nothing here can do a `{}`", operation.kind());
            return Report::of(failed(Some(action.key), machine(message)));
        };
        match operation.class() {
            Class::Pure => self.pure(job.index, &action, executor, started),
            Class::Verified => Report::of(self.verified(&action, executor, started)),
            Class::Gate => {
                started("evaluated every time".to_owned());
                let begun = Instant::now();
                let completion = executor.execute(&action, &self.context);
                Report::of(effect(&action, completion, Status::Passed, None, begun))
            }
        }
    }

    fn pure(
        &self,
        index: Index,
        action: &Action<'_>,
        executor: &dyn Executor,
        started: &dyn Fn(String) -> bool,
    ) -> Report {
        let operation = self.plan.operation(index);
        let Work::Run(run) = &operation.work else {
            return Report::of(failed(
                Some(action.key),
                machine("not a pure operation".to_owned()),
            ));
        };
        let (reason, leaves, claim) = match self.answer(action, run, index) {
            Ok(Answer::Run {
                reason,
                leaves,
                claim,
            }) => (reason, leaves, claim),
            Ok(Answer::Cancelled) => return Report::of(interrupted(Some(action.key))),
            Ok(Answer::Known(result)) => return Report::of(hit(action.key, &result)),
            Ok(Answer::Shared {
                runner,
                reason,
                leaves,
            }) => return self.share(action, runner, reason, &leaves),
            Err(error) => return Report::of(failed(Some(action.key), machine(chain(&error)))),
        };
        started(reason.clone());
        let begun = Instant::now();
        let completion = executor.execute(action, &self.context);
        let milliseconds = elapsed(begun);
        let base = Outcome {
            key: Some(action.key),
            reason: Some(reason),
            milliseconds,
            ..Outcome::without_output(Status::Ran, None)
        };
        let mut report = self.completed(operation, action, run, completion, &leaves, base);
        if let Some(staged) = &mut report.staged {
            staged.claim = claim.filter(|_| staged.result.is_some());
        }
        report
    }

    /// Stages what an execution left.
    fn completed(
        &self,
        operation: &Operation,
        action: &Action<'_>,
        run: &Run,
        completion: Completion,
        leaves: &Leaves,
        base: Outcome,
    ) -> Report {
        let staged = match completion {
            Completion::Produced(produced) => self.stage(
                operation,
                action,
                run.is_remembered(),
                produced,
                leaves,
                base,
            ),
            Completion::Failed {
                failure,
                log,
                level,
            } => self.stage_failure(base, failure, &log, level),
            Completion::Cancelled => Ok(Report::of(interrupted(Some(action.key)))),
            Completion::Done => Ok(Report::of(failed(
                Some(action.key),
                machine("the executor made no output tree".to_owned()),
            ))),
        };
        staged.unwrap_or_else(|error| Report::of(failed(Some(action.key), machine(chain(&error)))))
    }

    /// Looks the key up, in the store and among what this evaluation runs.
    fn answer(&self, action: &Action<'_>, run: &Run, index: Index) -> Result<Answer, StoreError> {
        let (store, project) = (self.context.store, self.plan.project());
        let found = look_up(Some(store), project, action, run, self.options.accept)?;
        if !run.is_remembered() {
            return Ok(found.into());
        }
        let flight = match &found {
            Lookup::Hit(_) => self.flights.find(&action.key),
            Lookup::Miss { reason, common, .. } => self.flights.join(
                action.key,
                Flight {
                    runner: index,
                    common: common.then(|| reason.clone()),
                },
            ),
        };
        let Some(flight) = flight else {
            return self.claimed(action, found);
        };
        let (reason, leaves) = match found {
            Lookup::Hit(_) => own_miss(store, project, action)?,
            Lookup::Miss { reason, leaves, .. } => (reason, leaves),
        };
        Ok(Answer::Shared {
            runner: flight.runner,
            reason: flight.common.unwrap_or(reason),
            leaves,
        })
    }

    /// Claims the key of a miss, unless it is asked to run whatever others do.
    fn claimed(&self, action: &Action<'_>, found: Lookup) -> Result<Answer, StoreError> {
        let Lookup::Miss { reason, leaves, .. } = found else {
            return Ok(found.into());
        };
        let accept = self.options.accept;
        let claimed = if accept.refresh {
            Claimed::Ours(None)
        } else {
            claim(&self.context, &action.key, accept)?
        };
        Ok(match claimed {
            Claimed::Ours(claim) => Answer::Run {
                reason,
                leaves,
                claim,
            },
            Claimed::Known(result) => Answer::Known(result),
            Claimed::Cancelled => Answer::Cancelled,
        })
    }

    /// Reports that another operation runs the key; this one's own last run is recorded all the same.
    fn share(&self, action: &Action<'_>, runner: Index, reason: String, leaves: &Leaves) -> Report {
        let mut batch = self.context.store.batch();
        match batch.put(&leaves.encode()) {
            Ok(leaves) => Report {
                outcome: Outcome {
                    key: Some(action.key),
                    ..Outcome::without_output(Status::Ran, Some(reason))
                },
                staged: Some(Staged {
                    batch,
                    result: None,
                    history: Some((self.history(action.id), leaves.digest)),
                    claim: None,
                }),
                shares: Some(runner),
            },
            Err(error) => Report::of(failed(Some(action.key), machine(chain(&error)))),
        }
    }

    fn history(&self, id: &OperationId) -> HistoryKey {
        HistoryKey::new(self.plan.project().as_str(), id.as_str())
    }

    /// Stages a success. A drifted or `cache: false` run leaves its objects for its dependents, and no result.
    fn stage(
        &self,
        operation: &Operation,
        action: &Action<'_>,
        remembered: bool,
        produced: Produced,
        leaves: &Leaves,
        base: Outcome,
    ) -> Result<Report, StoreError> {
        let Produced {
            mut batch,
            output,
            log,
            level,
            mut warnings,
            drifted,
        } = produced;
        let log = batch.put(&log)?;
        let leaves = batch.put(&leaves.encode())?;
        let whole = drifted.is_none();
        warnings.extend(drifted.map(|path| {
            format!("`{path}` changed while it ran: the result is used once and not remembered")
        }));
        let record = whole && remembered;
        let milliseconds = base.milliseconds;
        let op_hash = operation.op_hash.0;
        let result = ActionResult {
            op_hash,
            output,
            log,
            leaves,
            level,
            milliseconds,
        };
        Ok(Report {
            outcome: Outcome {
                output: Some(output),
                log: Some(log.digest),
                warnings,
                level: Some(level),
                drifted: !whole,
                ..base
            },
            staged: Some(Staged {
                batch,
                result: record.then_some((action.key, result)),
                history: record.then(|| (self.history(&operation.id), leaves.digest)),
                claim: None,
            }),
            shares: None,
        })
    }

    /// Stages the log of a failure, so that it can be shown again.
    fn stage_failure(
        &self,
        base: Outcome,
        failure: Failure,
        log: &[u8],
        level: Option<u8>,
    ) -> Result<Report, StoreError> {
        let mut batch = self.context.store.batch();
        let log = batch.put(log)?;
        let status = Status::Failed;
        Ok(Report {
            outcome: Outcome {
                status,
                failure: Some(failure),
                log: Some(log.digest),
                level,
                ..base
            },
            staged: Some(Staged {
                batch,
                result: None,
                history: None,
                claim: None,
            }),
            shares: None,
        })
    }

    fn verified(
        &self,
        action: &Action<'_>,
        executor: &dyn Executor,
        started: &dyn Fn(String) -> bool,
    ) -> Outcome {
        let begun = Instant::now();
        match executor.probe(action, &self.context) {
            Ok(Observed::Holds) => {
                let completion = executor.converge(action, &self.context);
                effect(action, completion, Status::Converged, None, begun)
            }
            Ok(Observed::Differs(reason)) => {
                started(reason.clone());
                let completion = executor.execute(action, &self.context);
                effect(action, completion, Status::Applied, Some(reason), begun)
            }
            Err(failure) => failed(Some(action.key), failure),
        }
    }
}
