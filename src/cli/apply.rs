//! What `build`, `deploy` and `rollback` share: the executors, and one way to evaluate with them.
#![expect(
    clippy::disallowed_methods,
    reason = "effects: the path of this program, which is also the sandbox helper"
)]

use stagecraft_store::Store;

use super::build::Flags;
use super::context::{Context, Project};
use super::error::CliError;
use super::interrupt::Interrupt;
use super::ui::Ui;
use super::workspace;
use crate::evaluate::{
    Accept, Evaluation, ExecutionContext, Executors, Observer, Options, Scope, Status, evaluate,
};
use crate::plan::Plan;
use crate::plan::operation::Kind;
use crate::providers::directory::DirectoryDriver;
use crate::providers::health::HealthGate;
use crate::sandbox::Sandbox;

/// Everything an evaluation needs but the plan.
pub(super) struct Run<'r> {
    pub(super) project: &'r Project,
    pub(super) store: &'r Store,
    pub(super) interrupt: &'r Interrupt,
    sandbox: Sandbox,
    options: Options,
    ui: Ui,
}

/// Makes the executors of a project ready.
pub(super) fn prepare<'r>(
    context: &Context,
    project: &'r Project,
    store: &'r Store,
    interrupt: &'r Interrupt,
    flags: &Flags,
) -> Result<Run<'r>, CliError> {
    let helper = std::env::current_exe().map_err(CliError::WorkingDirectory)?;
    let config = &project.config.sandbox;
    let sandbox = Sandbox::new(&project.root, &helper, config.level, config.require)?;
    let minimum_level = config.require.max(sandbox.level());
    workspace::remember_level(&project.root, sandbox.level())?;
    let options = Options {
        jobs: context.jobs()?,
        keep_going: flags.keep_going,
        accept: Accept {
            minimum_level,
            refresh: flags.no_cache,
        },
    };
    Ok(Run {
        project,
        store,
        interrupt,
        sandbox,
        options,
        ui: context.ui().clone(),
    })
}

impl Run<'_> {
    /// Evaluates the operations of `scope`; `release` is what a driver names on its target.
    pub(super) fn evaluate(
        &self,
        plan: &Plan,
        scope: Scope,
        release: Option<&str>,
        observer: &mut dyn Observer,
    ) -> Evaluation {
        let executors = Executors::new(&[
            (Kind::Run, &self.sandbox),
            (Kind::Rollout, &DirectoryDriver),
            (Kind::HealthCheck, &HealthGate),
        ]);
        let context = ExecutionContext {
            store: self.store,
            project: &self.project.root,
            cancel: self.interrupt.cancel(),
            release,
        };
        evaluate(plan, scope, &executors, context, &self.options, observer)
    }

    /// Says once which sandbox level what ran reached, and how to raise it.
    pub(super) fn say_level(&self, evaluation: &Evaluation) {
        let ran = evaluation
            .outcomes
            .values()
            .filter(|outcome| matches!(outcome.status, Status::Ran | Status::Failed))
            .filter_map(|outcome| outcome.level)
            .min();
        let Some(level) = ran else { return };
        self.ui.say(&format!("sandbox level {level}"));
        if let Some(hint) = self.sandbox.raise_hint() {
            self.ui
                .say(&format!("  {} {hint}", self.ui.paint("36", "hint:")));
        }
    }
}
