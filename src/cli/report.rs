//! The result of `build`, `deploy` and `rollback`: one JSON document, or text with the failures whole
//! (`spec/cli/result.md`).

use serde_json::{Value, json};
use stagecraft_store::{Digest, Store};

use super::error::CliError;
use super::exit::Exit;
use super::ui::Ui;
use crate::evaluate::{Cause, Evaluation, Outcome, Status};
use crate::plan::Plan;
use crate::plan::operation::{Operation, Phase};
use crate::sandbox::decode_log;

/// Whose captured output to show again after the run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Replay {
    /// Nobody's.
    None,
    /// Of operations that failed.
    Errors,
    /// Of operations that ran.
    New,
    /// Of every operation, hits included.
    Full,
}

/// A run to report: the plan, what became of it, and the release it made.
pub(super) struct Report<'r> {
    /// The plan.
    pub(super) plan: &'r Plan,
    /// What became of its operations; those that it does not name are skipped.
    pub(super) evaluation: &'r Evaluation,
    /// The release, for `deploy` and `rollback` that got that far.
    pub(super) release: Option<&'r str>,
    /// The manifest of a release that was sealed.
    pub(super) manifest: Option<Digest>,
}

const WORDS: [Status; 8] = [
    Status::Hit,
    Status::Ran,
    Status::Applied,
    Status::Converged,
    Status::Passed,
    Status::Failed,
    Status::Skipped,
    Status::Cancelled,
];

impl Report<'_> {
    fn entries(&self) -> impl Iterator<Item = (&Operation, Option<&Outcome>)> {
        self.plan
            .operations()
            .map(|operation| (operation, self.evaluation.outcomes.get(&operation.id)))
    }

    fn count(&self, status: Status) -> usize {
        self.entries()
            .filter(|(_, outcome)| status_of(*outcome) == status)
            .count()
    }

    /// Returns the document of `--format json`; `error` is what the program ends with.
    pub(super) fn json(&self, error: Option<&CliError>) -> Value {
        let operations: Vec<Value> = self
            .entries()
            .map(|(operation, outcome)| {
                json!({
                    "id": operation.id.as_str(),
                    "kind": operation.kind().as_str(),
                    "phase": operation.phase.as_str(),
                    "status": status_of(outcome).as_str(),
                    "op_hash": operation.op_hash.to_string(),
                    "action_key": outcome.and_then(|o| o.key).map(|key| key.to_string()),
                    "output": outcome.and_then(|o| o.output).map(|output| output.digest.to_string()),
                    "reason": outcome.and_then(reason),
                })
            })
            .collect();
        let summary: serde_json::Map<String, Value> = WORDS
            .iter()
            .map(|status| (status.as_str().to_owned(), self.count(*status).into()))
            .collect();
        let mut document = json!({
            "plan": self.plan.hash().to_string(),
            "release": self.release,
            "manifest": self.manifest.map(|digest| digest.to_string()),
            "operations": operations,
            "summary": summary,
        });
        if let Some(error) = error {
            document["error"] = error.text().into();
        }
        document
    }

    /// Returns whether nothing ran and no target was changed.
    pub(super) fn changed_nothing(&self) -> bool {
        self.evaluation.is_success()
            && self.count(Status::Ran) == 0
            && self.count(Status::Applied) == 0
    }

    /// Returns the summary as one line: `12 operations: 10 hit, 2 ran`.
    pub(super) fn summary(&self) -> String {
        let counts: Vec<String> = WORDS
            .iter()
            .map(|status| (self.count(*status), status.as_str()))
            .filter(|(count, _)| *count > 0)
            .map(|(count, word)| format!("{count} {word}"))
            .collect();
        let total = self.plan.len();
        let noun = if total == 1 {
            "operation"
        } else {
            "operations"
        };
        if counts.is_empty() {
            format!("{total} {noun}")
        } else {
            format!("{total} {noun}: {}", counts.join(", "))
        }
    }

    /// Writes warnings, logs and failures to stderr, in plan order whatever the order they came in.
    pub(super) fn talk(&self, ui: &Ui, store: &Store, replay: Replay) {
        for (operation, outcome) in self.entries() {
            let Some(outcome) = outcome else { continue };
            for warning in &outcome.warnings {
                ui.warn(&format!("{}: {warning}", operation.id));
            }
            if outcome.status != Status::Failed && shows(replay, outcome.status) {
                show_log(ui, store, operation, outcome);
            }
        }
        for (operation, outcome) in self.entries() {
            if let Some(outcome) = outcome.filter(|outcome| outcome.status == Status::Failed) {
                self.show_failure(ui, store, operation, outcome, replay);
            }
        }
    }

    fn show_failure(
        &self,
        ui: &Ui,
        store: &Store,
        operation: &Operation,
        outcome: &Outcome,
        replay: Replay,
    ) {
        if replay != Replay::None {
            show_log(ui, store, operation, outcome);
        }
        let Some(failure) = &outcome.failure else {
            return;
        };
        let id = ui.paint("1", operation.id.as_str());
        ui.say(&format!(
            "{} {id}: {}",
            ui.paint("31", "failed:"),
            failure.message
        ));
        if let Some(hint) = &failure.hint {
            ui.say(&format!("  {} {hint}", ui.paint("36", "hint:")));
        }
        let blocked: Vec<&str> = self
            .entries()
            .filter(|(_, other)| {
                let needs = format!("needs `{}`, which failed", operation.id);
                other.and_then(|other| other.reason.as_deref()) == Some(&needs)
            })
            .map(|(other, _)| other.id.as_str())
            .collect();
        if !blocked.is_empty() {
            ui.say(&format!(
                "  not reached because of it: {}",
                blocked.join(", ")
            ));
        }
    }

    /// Returns the phase and cause of the first failure in plan order.
    pub(super) fn failure(&self) -> Option<(Phase, String)> {
        self.entries().find_map(|(operation, outcome)| {
            let failure = outcome?.failure.as_ref()?;
            Some((
                operation.phase,
                format!("{}: {}", operation.id, failure.message),
            ))
        })
    }

    /// Returns how the run ended, from its first failure in plan order.
    pub(super) fn exit(&self) -> Exit {
        let failed = self.entries().find_map(|(operation, outcome)| {
            let failure = outcome?.failure.as_ref()?;
            Some((operation.phase, failure.cause))
        });
        match failed {
            None if self.count(Status::Cancelled) > 0 => Exit::Interrupted,
            None => Exit::Done,
            Some((_, Cause::Drift)) => Exit::Stale,
            Some((_, Cause::MissingBytes)) => Exit::Damaged,
            Some((_, Cause::NotReverted)) => Exit::NotReverted,
            Some((Phase::Build, _)) => Exit::Build,
            Some((_, _)) => Exit::Reverted,
        }
    }
}

fn status_of(outcome: Option<&Outcome>) -> Status {
    outcome.map_or(Status::Skipped, |outcome| outcome.status)
}

fn reason(outcome: &Outcome) -> Option<String> {
    match &outcome.failure {
        Some(failure) => Some(failure.message.clone()),
        None => outcome.reason.clone(),
    }
}

fn shows(replay: Replay, status: Status) -> bool {
    match replay {
        Replay::None | Replay::Errors => false,
        Replay::New => status == Status::Ran,
        Replay::Full => matches!(status, Status::Ran | Status::Hit),
    }
}

/// A log that is lost or damaged is no reason to hide how the run ended.
fn show_log(ui: &Ui, store: &Store, operation: &Operation, outcome: &Outcome) {
    let Some(digest) = outcome.log else {
        return;
    };
    let bytes = store.read(&digest).ok().flatten();
    let Some(Ok(frames)) = bytes.map(|bytes| decode_log(&bytes)) else {
        ui.warn(&format!("{}: its log cannot be read", operation.id));
        return;
    };
    let text: Vec<u8> = frames.into_iter().flat_map(|frame| frame.bytes).collect();
    if !text.is_empty() {
        ui.say(&ui.paint("2", &format!("--- output of {} ---", operation.id)));
        ui.say(String::from_utf8_lossy(&text).trim_end_matches('\n'));
        ui.say(&ui.paint("2", "---"));
    }
}

/// Returns the document of a run that ended before there was a plan.
pub(super) fn without_plan(error: &CliError) -> Value {
    let summary: serde_json::Map<String, Value> = WORDS
        .iter()
        .map(|status| (status.as_str().to_owned(), 0.into()))
        .collect();
    json!({
        "plan": null,
        "release": null,
        "manifest": null,
        "operations": [],
        "summary": summary,
        "error": error.text(),
    })
}
