//! Driver `directory`: releases as links below a path of this machine (`spec/deploy/directory.md`).
//! Serves the kind `rollout`; needs no daemon and no root, and never links into the store.

mod error;
mod record;
mod retention;
pub(in crate::providers) mod switch;
mod target;
mod tree;

use std::fs::File;
use std::path::Path;

use stagecraft_store::Store;

pub use error::DirectoryError;
pub use retention::{KEPT, Pruned, prune};

use crate::action::{Action, PlaceTask, Task};
use crate::evaluate::{Cause, Completion, ExecutionContext, Executor, Failure, Observed};
use crate::release::id::ReleaseId;
use target::{Pointer, Sharing, Target};

/// Places trees and switches releases.
#[derive(Debug, Clone, Copy, Default)]
pub struct DirectoryDriver;

impl Executor for DirectoryDriver {
    fn probe(
        &self,
        action: &Action<'_>,
        context: &ExecutionContext<'_>,
    ) -> Result<Observed, Failure> {
        let observed = match &action.task {
            Task::Place(task) => observe_place(task, context),
            Task::Switch(task) => switch::observe(task, context),
            Task::Run(_) | Task::Health(_) => return Err(misplaced()),
        };
        observed.map_err(|error| error.failure())
    }

    fn converge(&self, action: &Action<'_>, context: &ExecutionContext<'_>) -> Completion {
        match &action.task {
            Task::Place(_) => Completion::Done,
            Task::Switch(task) => done(switch::advance(task, context)),
            Task::Run(_) | Task::Health(_) => failed(misplaced()),
        }
    }

    fn execute(&self, action: &Action<'_>, context: &ExecutionContext<'_>) -> Completion {
        match &action.task {
            Task::Place(task) => done(place(task, context)),
            Task::Switch(task) => match switch::switch(task, context) {
                Ok(completion) => completion,
                Err(error) => done(Err(error)),
            },
            Task::Run(_) | Task::Health(_) => failed(misplaced()),
        }
    }
}

/// Returns the release that is live on the target at `path`, absolute or from the project root.
pub fn live(path: &str, project: &Path) -> Result<Option<ReleaseId>, DirectoryError> {
    Target::new(path, project).pointer(Pointer::Current)
}

/// Returns in which respect the target at `path` differs from what was last deployed to it: its record, links and
/// trees, by stat against the store. `None` where all is as made, or nothing is live.
pub fn drift(path: &str, project: &Path, store: &Store) -> Result<Option<String>, DirectoryError> {
    switch::drift(&Target::new(path, project), store)
}

/// Opens, empty, the file on the target that takes what a health command prints.
pub(in crate::providers) fn hook_output(
    path: &str,
    project: &Path,
) -> Result<File, DirectoryError> {
    Target::new(path, project).hook_output("health.log", true)
}

fn observe_place(
    task: &PlaceTask<'_>,
    context: &ExecutionContext<'_>,
) -> Result<Observed, DirectoryError> {
    let target = Target::new(task.path, context.project);
    Ok(
        match tree::difference(&target, context.store, &task.tree.digest)? {
            None => Observed::Holds,
            Some(difference) => Observed::Differs(difference),
        },
    )
}

fn place(task: &PlaceTask<'_>, context: &ExecutionContext<'_>) -> Result<(), DirectoryError> {
    let target = Target::new(task.path, context.project);
    target.prepare()?;
    let _lock = target.lock(Sharing::Trees, Some(context.cancel))?;
    // Another service with the same tree may have been faster.
    if tree::difference(&target, context.store, &task.tree.digest)?.is_some() {
        tree::materialise(&target, context.store, &task.tree)?;
    }
    Ok(())
}

fn done(result: Result<(), DirectoryError>) -> Completion {
    match result {
        Ok(()) => Completion::Done,
        Err(DirectoryError::Cancelled { .. }) => Completion::Cancelled,
        Err(error) => failed(error.failure()),
    }
}

fn failed(failure: Failure) -> Completion {
    Completion::Failed {
        failure,
        log: Vec::new(),
        level: None,
    }
}

/// The table of executors sent an action to the wrong one.
fn misplaced() -> Failure {
    Failure {
        cause: Cause::Machine,
        message: "driver `directory` cannot do this".to_owned(),
        hint: None,
    }
}
