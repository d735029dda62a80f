//! The committer: makes what operations staged durable, group by group, off the coordinator's thread.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::mpsc::{Receiver, Sender};

use stagecraft_store::{ActionKey, ActionResult, Batch, Claim, Digest, HistoryKey, StoreError};

use super::run::{Message, chain};
use super::{Cause, ExecutionContext, Failure, Outcome, Status};
use crate::plan::Index;

/// What has to be durable before its operation counts.
pub(super) struct Pending {
    pub(super) index: Index,
    pub(super) outcome: Outcome,
    pub(super) batch: Batch,
    pub(super) result: Option<(ActionKey, ActionResult)>,
    pub(super) history: Option<(HistoryKey, Digest)>,
    pub(super) claim: Option<Claim>,
}

/// Why a group is not durable.
#[derive(Debug, thiserror::Error)]
pub(super) enum NotCommitted {
    #[error(transparent)]
    Refused(#[from] StoreError),
    #[error("a fault of Stagecraft itself: the committer panicked")]
    Panicked,
}

/// Commits groups until there is nobody left to send one.
pub(super) fn commit(
    context: ExecutionContext<'_>,
    groups: &Receiver<Vec<Pending>>,
    answers: &Sender<Message>,
) {
    while let Ok(group) = groups.recv() {
        let (mut batches, mut results, mut history) = (Vec::new(), Vec::new(), Vec::new());
        let mut outcomes = Vec::with_capacity(group.len());
        // Held until the results are there for whoever waits.
        let mut claims = Vec::new();
        for pending in group {
            batches.push(pending.batch);
            results.extend(pending.result);
            history.extend(pending.history);
            claims.extend(pending.claim);
            outcomes.push((pending.index, pending.outcome));
        }
        let commit = || context.store.commit(batches, results, history);
        let committed = match catch_unwind(AssertUnwindSafe(commit)) {
            Ok(committed) => committed.map_err(NotCommitted::from),
            Err(_) => Err(NotCommitted::Panicked),
        };
        drop(claims);
        if answers
            .send(Message::Committed(outcomes, committed))
            .is_err()
        {
            return;
        }
    }
}

/// Returns the outcome of an operation whose group is not durable: a success fails, a failure loses its log.
pub(super) fn not_recorded(outcome: Outcome, error: &NotCommitted) -> Outcome {
    if outcome.failure.is_some() {
        return Outcome {
            log: None,
            ..outcome
        };
    }
    Outcome {
        status: Status::Failed,
        output: None,
        log: None,
        failure: Some(Failure {
            cause: Cause::Machine,
            message: format!("its result could not be stored: {}", chain(error)),
            hint: Some(
                "check the free space and the permissions of the store, then run again".to_owned(),
            ),
        }),
        ..outcome
    }
}
