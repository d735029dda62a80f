//! `evaluate`: brings a plan about, running only what its keys do not answer.
//! Owns the trait `Executor`; starts no process itself and knows no provider.

pub mod cancel;
mod claim;
mod commit;
pub mod event;
pub mod explain;
mod flight;
pub mod lookup;
mod outcome;
mod perform;
pub mod predict;
mod run;
mod schedule;

use std::collections::BTreeMap;
use std::path::Path;

use stagecraft_store::{ActionKey, Batch, Digest, Object, Store};

pub use cancel::Cancel;
pub use event::{Event, Observer};
pub use lookup::Accept;
pub use run::{Options, Scope, evaluate};

use crate::action::Action;
use crate::plan::operation::{Kind, OperationId};

/// How one operation of an evaluation ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Status {
    /// Its key was in the store.
    Hit,
    /// It ran and succeeded.
    Ran,
    /// The target was changed to what was wanted.
    Applied,
    /// The target was as wanted already.
    Converged,
    /// A gate held.
    Passed,
    /// It ran and failed, or could not be started.
    Failed,
    /// Something it depends on did not succeed.
    Skipped,
    /// The run was interrupted before or while it ran.
    Cancelled,
}

impl Status {
    /// Returns the word for it in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Ran => "ran",
            Self::Applied => "applied",
            Self::Converged => "converged",
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
            Self::Cancelled => "cancelled",
        }
    }

    /// Returns whether operations that depend on it may go on.
    pub fn is_success(self) -> bool {
        match self {
            Self::Hit | Self::Ran | Self::Applied | Self::Converged | Self::Passed => true,
            Self::Failed | Self::Skipped | Self::Cancelled => false,
        }
    }
}

/// What became of one operation.
#[derive(Debug, Clone)]
pub struct Outcome {
    /// How it ended.
    pub status: Status,
    /// Its key; absent while something it depends on has no output.
    pub key: Option<ActionKey>,
    /// The tree it made, for pure operations that succeeded.
    pub output: Option<Object>,
    /// Its captured output, framed (`spec/evaluate/log.md`).
    pub log: Option<Digest>,
    /// Why it ran, failed or was skipped, in one line.
    pub reason: Option<String>,
    /// Why it failed.
    pub failure: Option<Failure>,
    /// What it warned about, in order.
    pub warnings: Vec<String>,
    /// The sandbox level it reached, where it ran in one.
    pub level: Option<u8>,
    /// How long it took, in ms; 0 for a hit.
    pub milliseconds: u64,
    /// A source changed while it ran: the result was used and not recorded.
    pub drifted: bool,
}

/// What became of every operation that was asked for, by id.
#[derive(Debug, Default)]
pub struct Evaluation {
    /// The outcomes.
    pub outcomes: BTreeMap<OperationId, Outcome>,
}

impl Evaluation {
    /// Returns whether every operation succeeded.
    pub fn is_success(&self) -> bool {
        self.outcomes
            .values()
            .all(|outcome| outcome.status.is_success())
    }
}

/// Why an operation failed; decides the exit code together with its phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// The sort of failure.
    pub cause: Cause,
    /// What happened, as a lower-case fragment; may span lines.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

/// The sorts of failure that callers tell apart.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cause {
    /// The command exited with this status.
    Exit(i32),
    /// The command was killed by this signal.
    Signal(i32),
    /// Its `timeout` passed.
    Timeout,
    /// It succeeded, but a declared output is missing.
    MissingOutput,
    /// It wrote what it did not declare, and `undeclared_writes` is `error`.
    UndeclaredWrite,
    /// A source no longer has the planned bytes (exit 11).
    Drift,
    /// The sandbox that the configuration requires is not to be had.
    Sandbox,
    /// The target was changed and then set back (exit 7).
    Reverted,
    /// The target was changed and could not be set back (exit 8).
    NotReverted,
    /// Bytes that the operation needs are missing or damaged (exit 13).
    MissingBytes,
    /// The machine refused: disk, permissions, a program that cannot be started.
    Machine,
}

/// What a probe saw.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Observed {
    /// The target is as wanted; nothing needs to change.
    Holds,
    /// It is not, for this reason.
    Differs(String),
}

/// How an execution ended. Failing is a normal outcome with evidence.
#[derive(Debug)]
pub enum Completion {
    /// A pure operation made a tree.
    Produced(Produced),
    /// A verified operation changed its target, or a gate held.
    Done,
    /// It failed; `log` holds what it printed.
    Failed {
        /// Why.
        failure: Failure,
        /// What it printed, framed; empty when it printed nothing.
        log: Vec<u8>,
        /// The sandbox level, where it ran in one.
        level: Option<u8>,
    },
    /// The cancellation stopped it; whatever it did is not to be recorded.
    Cancelled,
}

/// The evidence of a successful pure operation.
#[derive(Debug)]
pub struct Produced {
    /// The staged output objects, not yet visible.
    pub batch: Batch,
    /// The output tree, in `batch`.
    pub output: Object,
    /// What it printed, framed (`spec/evaluate/log.md`).
    pub log: Vec<u8>,
    /// The sandbox level it reached.
    pub level: u8,
    /// What it warned about, in order.
    pub warnings: Vec<String>,
    /// A source changed while it ran: the result is shown and not recorded.
    pub drifted: Option<String>,
}

/// What an executor may use while it runs.
#[derive(Clone, Copy)]
pub struct ExecutionContext<'a> {
    /// Where bytes live.
    pub store: &'a Store,
    /// The project's root.
    pub project: &'a Path,
    /// Tells when to stop.
    pub cancel: &'a Cancel,
    /// The release being made, for executors that name it on the target; none in a build.
    pub release: Option<&'a str>,
}

/// Brings about the operations of some kinds.
///
/// `probe` changes nothing and is asked for verified operations only; `execute` returns when every
/// effect is done and every process it started is gone. Both may be called from several threads.
pub trait Executor: Sync {
    /// Returns whether the target already is what `action` wants.
    fn probe(
        &self,
        action: &Action<'_>,
        context: &ExecutionContext<'_>,
    ) -> Result<Observed, Failure>;

    /// Takes note of `action` on a target that already is as wanted; changes nothing that serves.
    fn converge(&self, _action: &Action<'_>, _context: &ExecutionContext<'_>) -> Completion {
        Completion::Done
    }

    /// Brings `action` about.
    fn execute(&self, action: &Action<'_>, context: &ExecutionContext<'_>) -> Completion;
}

/// Which executor serves which kind.
pub struct Executors<'a> {
    by_kind: BTreeMap<Kind, &'a dyn Executor>,
}

impl<'a> Executors<'a> {
    /// Returns the table; a kind without an entry fails when one of its operations is reached.
    pub fn new(entries: &[(Kind, &'a dyn Executor)]) -> Self {
        Self {
            by_kind: entries.iter().copied().collect(),
        }
    }

    /// Returns the executor of `kind`.
    pub fn of(&self, kind: Kind) -> Option<&'a dyn Executor> {
        self.by_kind.get(&kind).copied()
    }
}
