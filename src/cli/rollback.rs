//! `stagecraft rollback`: evaluates the recorded plan of an older release; builds nothing.
#![expect(
    clippy::disallowed_methods,
    reason = "effects: the clock of release records"
)]

use std::time::SystemTime;

use stagecraft_store::Store;

use super::apply::prepare;
use super::build::Flags;
use super::context::{Context, Format};
use super::deploy::{actor, create, finish, lock, phases};
use super::error::CliError;
use super::exit::Exit;
use super::interrupt::Interrupt;
use super::phases::{Course, Errand, Journey};
use crate::evaluate::{Evaluation, Outcome, Status};
use crate::plan::operation::{Class, Operation, Work};
use crate::plan::show::{Cache, Prediction};
use crate::plan::{Edge, Plan};
use crate::release::log::{NewRelease, Release, ReleaseLog};
use crate::release::manifest::{Effect, Manifest, ManifestOperation, Sealed};
use crate::release::rollback::RollbackTarget;

/// Make an older release live again, with the same bytes
///
/// Nothing is built: the bytes come from the store. Databases are not rolled back.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Go back to the newest fully deployed release before the live one
    #[arg(long)]
    to_previous: bool,
    /// Go to this release
    #[arg(long, value_name = "ID")]
    to_release: Option<String>,
    /// Go to the newest release of this version
    #[arg(long, value_name = "VERSION")]
    to_version: Option<String>,
    /// Record why
    #[arg(long, value_name = "TEXT")]
    reason: Option<String>,
    #[command(flatten)]
    flags: Flags,
}

pub(super) fn run(context: &mut Context, args: &Args) -> Result<Exit, CliError> {
    let format = context.format()?;
    let project = context.project()?;
    let environment = context.environment(&project.config)?;
    let wanted = RollbackTarget::from_flags(
        args.to_previous,
        args.to_release.as_deref(),
        args.to_version.as_deref(),
    )?;
    let log = ReleaseLog::at(Context::state_path(&project.root));
    if context.is_dry_run() {
        let target = wanted.select(&log, environment.as_str())?;
        let store = context.existing_store()?;
        let store = store.ok_or_else(|| lost(&target, Vec::new()))?;
        let manifest = manifest(&store, &target)?;
        return dry_run(
            context,
            environment.as_str(),
            &target,
            &recorded(&manifest, &target)?,
            format,
        );
    }
    let interrupt = Interrupt::watch()?;
    let _lock = lock(context, &log, &environment, "rollback")?;
    log.settle(environment.as_str(), SystemTime::now())?;
    let target = wanted.select(&log, environment.as_str())?;
    let store = context.store()?;
    let manifest = manifest(&store, &target)?;
    let plan = recorded(&manifest, &target)?;
    let run = prepare(context, &project, &store, &interrupt, &args.flags)?;
    let new = NewRelease {
        environment: environment.as_str(),
        version: &target.version,
        commit_sha: &target.commit_sha,
        actor: &actor(context),
        reason: args.reason.as_deref(),
        rollback_of: Some(&target.id),
    };
    let release = create(&log, &new)?;
    let journey = Journey {
        run: &run,
        ui: context.ui(),
        log: &log,
        environment: &environment,
        release: &release,
        errand: Errand::Rollback,
    };
    let known = known(&manifest);
    let arrival = journey.go(
        plan,
        known,
        &mut Rollback {
            store: &store,
            target: &target,
        },
    );
    finish(context, &journey, &arrival, &args.flags, format)
}

fn lost(target: &Release, missing: Vec<String>) -> CliError {
    CliError::MissingBytes {
        release: target.id.to_string(),
        missing,
    }
}

/// Returns the sealed content of a release, once it is known that all its bytes are there.
fn manifest(store: &Store, target: &Release) -> Result<Manifest, CliError> {
    let Some(digest) = target.manifest else {
        return Err(lost(target, vec!["its manifest".to_owned()]));
    };
    let Some(manifest) = Manifest::load(store, &digest)? else {
        return Err(lost(target, vec![format!("manifest {digest}")]));
    };
    let missing = manifest.closure_missing(store)?;
    if missing.is_empty() {
        return Ok(manifest);
    }
    Err(lost(
        target,
        missing.iter().map(ToString::to_string).collect(),
    ))
}

/// Returns the plan that a manifest records.
fn recorded(manifest: &Manifest, target: &Release) -> Result<Plan, CliError> {
    let operations = manifest.operations.iter().map(recorded_operation).collect();
    Plan::recorded(
        manifest.project.clone(),
        manifest.environment.clone(),
        target.version.clone(),
        manifest.plan,
        operations,
    )
    .ok_or_else(|| lost(target, vec!["the order of its operations".to_owned()]))
}

fn recorded_operation(
    recorded: &ManifestOperation,
) -> (Operation, Vec<(crate::plan::operation::OperationId, Edge)>) {
    let takes = recorded
        .effect
        .as_ref()
        .map(|effect| effect.artifacts())
        .unwrap_or_default();
    let needs = recorded
        .dependencies
        .iter()
        .map(|id| {
            let edge = if takes.contains(&id) {
                Edge::Output
            } else {
                Edge::Order
            };
            (id.clone(), edge)
        })
        .collect();
    let operation = Operation {
        id: recorded.id.clone(),
        phase: recorded.phase,
        services: recorded.services.clone(),
        hosts: recorded.hosts.clone(),
        description: recorded.description.clone(),
        work: recorded
            .effect
            .as_ref()
            .map_or(Work::Recorded, Effect::work),
        op_hash: recorded.op_hash,
    };
    (operation, needs)
}

/// Returns the outcome of everything pure: it hit, with the recorded output.
fn known(manifest: &Manifest) -> Evaluation {
    let pure = manifest
        .operations
        .iter()
        .filter(|recorded| recorded.kind.class() == Class::Pure);
    let outcomes = pure
        .map(|recorded| {
            let outcome = Outcome {
                key: recorded.action_key,
                output: recorded.output,
                ..Outcome::without_output(Status::Hit, None)
            };
            (recorded.id.clone(), outcome)
        })
        .collect();
    Evaluation { outcomes }
}

struct Rollback<'r> {
    store: &'r Store,
    target: &'r Release,
}

impl Course for Rollback<'_> {
    fn plan_again(&mut self) -> Option<Result<Plan, CliError>> {
        None
    }

    /// The content is the target's, so its manifest is too.
    fn seal(&mut self, _plan: &Plan, _evaluation: &Evaluation) -> Result<Sealed, CliError> {
        let manifest = manifest(self.store, self.target)?;
        let bytes = manifest.encode();
        let references = manifest.references();
        Ok(Sealed {
            manifest: stagecraft_store::Object::of(&bytes),
            references,
        })
    }
}

fn dry_run(
    context: &Context,
    environment: &str,
    target: &Release,
    plan: &Plan,
    format: Format,
) -> Result<Exit, CliError> {
    let predictions: Vec<Prediction> = plan
        .operations()
        .map(|operation| {
            let cache = if operation.class() == Class::Pure {
                Cache::Hit
            } else {
                Cache::Effect
            };
            Prediction {
                cache,
                key: None,
                reason: None,
            }
        })
        .collect();
    if format == Format::Json {
        let shown = (0..plan.len()).collect();
        let view = crate::plan::show::View {
            plan,
            predictions: &predictions,
            shown: &shown,
        };
        context.ui().json(&view.json())?;
        return Ok(Exit::Done);
    }
    let commit = if target.commit_sha.is_empty() {
        "N/A"
    } else {
        &target.commit_sha
    };
    let out = format!(
        "[DRY RUN] Rollback plan for environment \"{environment}\":\nTarget release: {}\nVersion: {}\nCommit: {commit}\nPlan: {}\nValidation: fully deployed, every byte is in the store\n\nPhases:\n{}No release was created.\n",
        target.id,
        target.version,
        plan.hash(),
        phases(plan, &predictions),
    );
    context.ui().data(&out)?;
    Ok(Exit::Done)
}
