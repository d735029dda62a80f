//! How the outcomes of operations are made from what lookups and executors say.

use std::time::Instant;

use stagecraft_store::{ActionKey, ActionResult};

use super::{Cause, Completion, Failure, Outcome, Status};
use crate::action::Action;

impl Outcome {
    /// Returns an outcome that says nothing but its status and reason.
    pub fn without_output(status: Status, reason: Option<String>) -> Self {
        Self {
            status,
            key: None,
            output: None,
            log: None,
            reason,
            failure: None,
            warnings: Vec::new(),
            level: None,
            milliseconds: 0,
            drifted: false,
        }
    }
}

pub(super) fn hit(key: ActionKey, result: &ActionResult) -> Outcome {
    Outcome {
        key: Some(key),
        output: Some(result.output),
        log: Some(result.log.digest),
        level: Some(result.level),
        ..Outcome::without_output(Status::Hit, None)
    }
}

pub(super) fn effect(
    action: &Action<'_>,
    completion: Completion,
    success: Status,
    reason: Option<String>,
    begun: Instant,
) -> Outcome {
    let outcome = match completion {
        Completion::Done | Completion::Produced(_) => Outcome::without_output(success, reason),
        Completion::Failed { failure, .. } => failed(None, failure),
        Completion::Cancelled => interrupted(None),
    };
    Outcome {
        key: Some(action.key),
        milliseconds: elapsed(begun),
        ..outcome
    }
}

pub(super) fn interrupted(key: Option<ActionKey>) -> Outcome {
    let reason = Some("interrupted".to_owned());
    Outcome {
        key,
        ..Outcome::without_output(Status::Cancelled, reason)
    }
}

pub(super) fn failed(key: Option<ActionKey>, failure: Failure) -> Outcome {
    Outcome {
        key,
        failure: Some(failure),
        ..Outcome::without_output(Status::Failed, None)
    }
}

pub(super) fn machine(message: String) -> Failure {
    Failure {
        cause: Cause::Machine,
        message,
        hint: None,
    }
}

pub(super) fn elapsed(begun: Instant) -> u64 {
    u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX)
}
