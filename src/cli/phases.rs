//! The way of a release through its six phases, shared by `deploy` and `rollback`: evaluates the nodes of each
//! phase, seals, roots, and only then lets `live` move (`spec/release/phases.md`).
#![expect(
    clippy::disallowed_methods,
    reason = "effects: the clock of release records"
)]

use std::collections::BTreeSet;
use std::time::SystemTime;

use stagecraft_store::{Digest, Reference, Root, RootName};

use super::apply::Run;
use super::build::drifted;
use super::error::CliError;
use super::exit::Exit;
use super::progress::Progress;
use super::report::Report;
use super::ui::Ui;
use crate::evaluate::{Evaluation, Scope, Status};
use crate::name::EnvironmentName;
use crate::plan::operation::{Phase, Work};
use crate::plan::{Index, Plan};
use crate::providers::directory;
use crate::release::id::ReleaseId;
use crate::release::log::{Release, ReleaseLog};
use crate::release::manifest::Sealed;
use crate::release::phase::{PhaseError, PhaseStep, run_phases};

/// A release on its way.
pub(super) struct Journey<'j> {
    pub(super) run: &'j Run<'j>,
    pub(super) ui: &'j Ui,
    pub(super) log: &'j ReleaseLog,
    pub(super) environment: &'j EnvironmentName,
    pub(super) release: &'j ReleaseId,
    pub(super) errand: Errand,
}

/// What a release is made for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Errand {
    /// To bring what the sources say.
    Deploy,
    /// To bring back what an older release brought.
    Rollback,
}

impl Errand {
    fn noun(self) -> &'static str {
        match self {
            Self::Deploy => "deployment",
            Self::Rollback => "rollback deployment",
        }
    }

    /// Returns the line that says that `release` is live.
    pub(super) fn done(self, release: &ReleaseId) -> String {
        match self {
            Self::Deploy => format!("Release {release} is live"),
            Self::Rollback => format!("Rollback complete. New release: {release}"),
        }
    }
}

/// What differs between deploy and rollback.
pub(super) trait Course {
    /// Plans again after a source changed; `None` where the plan was recorded and cannot drift.
    fn plan_again(&mut self) -> Option<Result<Plan, CliError>>;

    /// Makes the content of the release durable in the store.
    fn seal(&mut self, plan: &Plan, evaluation: &Evaluation) -> Result<Sealed, CliError>;
}

/// Where a release got to.
pub(super) struct Arrival {
    pub(super) plan: Plan,
    pub(super) evaluation: Evaluation,
    pub(super) manifest: Option<Digest>,
    pub(super) error: Option<CliError>,
}

impl Journey<'_> {
    /// Takes the release through its phases; `known` holds outcomes that need no evaluation.
    pub(super) fn go(&self, plan: Plan, known: Evaluation, course: &mut dyn Course) -> Arrival {
        let mut arrival = Arrival {
            plan,
            evaluation: known,
            manifest: None,
            error: None,
        };
        let step = &mut |phase| match self.step(phase, &mut arrival, course) {
            Ok(step) => step,
            Err(error) => {
                let cause = error.text();
                arrival.error = Some(error);
                PhaseStep::Failed(cause)
            }
        };
        let ended = run_phases(self.log, self.release, step, &SystemTime::now);
        if let Err(error) = ended {
            let exit = self.exit(&arrival, &error);
            arrival.error = Some(CliError::Phase {
                what: self.errand.noun(),
                message: error.to_string(),
                exit,
            });
        } else if let Err(error) = self.tidy(&arrival.plan) {
            self.ui.warn(&format!(
                "older releases were not tidied up: {}",
                error.text()
            ));
        }
        arrival
    }

    fn exit(&self, arrival: &Arrival, error: &PhaseError) -> Exit {
        let report = Report {
            plan: &arrival.plan,
            evaluation: &arrival.evaluation,
            release: None,
            manifest: None,
        };
        match error {
            PhaseError::Interrupted { .. } => {
                self.run.interrupt.exit().unwrap_or(Exit::Interrupted)
            }
            PhaseError::Persist { .. } => Exit::Damaged,
            PhaseError::Failed { .. } => match (&arrival.error, report.exit()) {
                (Some(cause), _) => cause.exit(),
                // No operation failed, so the phase did because a source changed under one.
                (None, Exit::Done) => Exit::Stale,
                (None, exit) => exit,
            },
        }
    }

    fn step(
        &self,
        phase: Phase,
        arrival: &mut Arrival,
        course: &mut dyn Course,
    ) -> Result<PhaseStep, CliError> {
        if self.run.interrupt.cancel().is_cancelled() {
            return Ok(PhaseStep::Interrupted);
        }
        if phase == Phase::Finalize {
            return self.finalize(arrival, course).map(PhaseStep::Sealed);
        }
        let nodes = nodes(&arrival.plan, phase);
        if nodes.is_empty() {
            return Ok(PhaseStep::Skipped(nothing_to_do(phase).to_owned()));
        }
        self.evaluate(&nodes, arrival);
        if phase == Phase::Build
            && drifted(&arrival.evaluation)
            && let Some(again) = course.plan_again()
        {
            self.ui
                .say("a source changed since it was planned; planning again");
            arrival.plan = again?;
            arrival.evaluation = Evaluation::default();
            self.evaluate(&self::nodes(&arrival.plan, phase), arrival);
        }
        Ok(ended(phase, arrival))
    }

    fn evaluate(&self, nodes: &BTreeSet<Index>, arrival: &mut Arrival) {
        let known = std::mem::take(&mut arrival.evaluation);
        // What is known already (the builds of a recorded plan) is not evaluated again.
        let operations = nodes
            .iter()
            .copied()
            .filter(|index| {
                !known
                    .outcomes
                    .contains_key(&arrival.plan.operation(*index).id)
            })
            .collect();
        let mut progress = Progress::new(self.ui);
        let scope = Scope { operations, known };
        let release = Some(self.release.as_str());
        arrival.evaluation = self
            .run
            .evaluate(&arrival.plan, scope, release, &mut progress);
    }

    /// Seals, roots, and tidies up what older releases held; `live` moves after it.
    fn finalize(&self, arrival: &mut Arrival, course: &mut dyn Course) -> Result<Digest, CliError> {
        let sealed = course.seal(&arrival.plan, &arrival.evaluation)?;
        let digest = sealed.manifest.digest;
        let mut references = sealed.references;
        references.push(Reference::Blob(digest));
        references.sort();
        references.dedup();
        let reason = format!("release {} of {}", self.release, self.environment);
        self.run.store.set_root(
            &self.root(self.release.as_str()),
            &Root { references, reason },
        )?;
        arrival.manifest = Some(digest);
        Ok(digest)
    }

    fn root(&self, release: &str) -> RootName {
        format!(
            "release/{}/{}/{release}",
            self.run.project.config.project, self.environment
        )
        .parse()
        .expect("validated names make a root name")
    }

    /// Keeps the newest fully deployed releases; roots and links of older ones go. Roots of releases that this log
    /// does not know belong to another checkout of the project and stay.
    fn tidy(&self, plan: &Plan) -> Result<(), CliError> {
        let (kept, old): (Vec<Release>, Vec<Release>) = {
            let mut good = 0;
            self.log
                .list(self.environment.as_str())?
                .into_iter()
                .partition(|release| {
                    good += usize::from(release.is_fully_deployed());
                    release.is_fully_deployed() && good <= directory::KEPT
                })
        };
        for release in old {
            self.run
                .store
                .remove_root(&self.root(release.id.as_str()))?;
        }
        let kept: Vec<ReleaseId> = kept.into_iter().map(|release| release.id).collect();
        for path in targets(plan) {
            directory::prune(path, &self.run.project.root, &kept)?;
        }
        Ok(())
    }
}

/// The target directories that a plan switches.
fn targets(plan: &Plan) -> BTreeSet<&str> {
    plan.operations()
        .filter_map(|operation| match &operation.work {
            Work::Switch(switch) => Some(switch.path.as_str()),
            Work::Run(_) | Work::Recorded | Work::Place(_) | Work::Health(_) => None,
        })
        .collect()
}

fn nodes(plan: &Plan, phase: Phase) -> BTreeSet<Index> {
    (0..plan.len())
        .filter(|index| plan.operation(*index).phase == phase)
        .collect()
}

/// Why a phase without operations is skipped.
pub(super) fn nothing_to_do(phase: Phase) -> &'static str {
    match phase {
        Phase::Build => "nothing to build",
        Phase::Push => "nothing to push",
        Phase::MigratePre | Phase::MigratePost => "no migrations",
        Phase::Rollout => "no services",
        Phase::Finalize => "nothing to finalize",
    }
}

fn ended(phase: Phase, arrival: &Arrival) -> PhaseStep {
    let outcomes = || {
        arrival
            .plan
            .operations()
            .filter(move |operation| operation.phase == phase)
            .filter_map(|operation| {
                Some((operation, arrival.evaluation.outcomes.get(&operation.id)?))
            })
    };
    let failure = outcomes().find_map(|(operation, outcome)| {
        let failure = outcome.failure.as_ref()?;
        Some(format!("{}: {}", operation.id, failure.message))
    });
    if let Some(cause) = failure {
        return PhaseStep::Failed(cause);
    }
    if outcomes().any(|(_, outcome)| outcome.status == Status::Cancelled) {
        return PhaseStep::Interrupted;
    }
    match outcomes().find(|(_, outcome)| outcome.drifted) {
        Some((operation, _)) => {
            PhaseStep::Failed(format!("{}: a source changed while it ran", operation.id))
        }
        None => PhaseStep::Completed,
    }
}
