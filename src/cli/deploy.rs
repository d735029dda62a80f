//! `stagecraft deploy`: a new release, through six phases, also when nothing changed.
#![expect(
    clippy::disallowed_methods,
    reason = "effects: the clock of release records"
)]

use std::time::SystemTime;

use super::apply::{Run, prepare};
use super::build::Flags;
use super::context::{Context, Format, Project};
use super::error::{CliError, PLANNING};
use super::exit::Exit;
use super::interrupt::Interrupt;
use super::phases::{Arrival, Course, Errand, Journey, nothing_to_do};
use super::plan::predicted;
use super::report::Report;
use super::workspace;
use crate::evaluate::Evaluation;
use crate::name::{EnvironmentName, ProjectPath};
use crate::plan::operation::Phase;
use crate::plan::show::{Prediction, View};
use crate::plan::{Goal, Plan, Target};
use crate::providers::git;
use crate::release::id::ReleaseId;
use crate::release::lock::{EnvironmentLock, Holder};
use crate::release::log::{NewRelease, ReleaseLog};
use crate::release::manifest::{Manifest, ManifestOperation, Sealed, seal};

/// Build what is missing and make it live
///
/// Every deploy is a new release, also when nothing changed.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Record this version [default: the commit, else unknown]
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
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
    let mut target = Target {
        environment: Some(environment.clone()),
        goal: Goal::Deploy,
        version: args.version.clone().unwrap_or_else(|| "unknown".to_owned()),
        services: None,
        arguments: Vec::new(),
    };
    if context.is_dry_run() {
        let (plan, predictions) =
            predicted(context, &project, &target, args.flags.no_cache, PLANNING)?;
        return dry_run(context, &environment, &plan, &predictions, format);
    }
    let commit = git::head(&project.root);
    if let (None, Some(commit)) = (&args.version, &commit) {
        target.version.clone_from(commit);
    }
    let interrupt = Interrupt::watch()?;
    let log = ReleaseLog::at(Context::state_path(&project.root));
    let _lock = lock(context, &log, &environment, "deploy")?;
    log.settle(environment.as_str(), SystemTime::now())?;
    let store = context.store()?;
    let run = prepare(context, &project, &store, &interrupt, &args.flags)?;
    let (plan, warnings) = context
        .plan(&project, &target, Some(&store), true)
        .map_err(|error| error.planning(PLANNING))?;
    for warning in &warnings {
        context.ui().warn(&warning.to_string());
    }
    let new = NewRelease {
        environment: environment.as_str(),
        version: &target.version,
        commit_sha: commit.as_deref().unwrap_or_default(),
        actor: &actor(context),
        reason: args.reason.as_deref(),
        rollback_of: None,
    };
    let release = create(&log, &new)?;
    let journey = Journey {
        run: &run,
        ui: context.ui(),
        log: &log,
        environment: &environment,
        release: &release,
        errand: Errand::Deploy,
    };
    let mut course = Deploy {
        context,
        project: &project,
        target: &target,
        run: &run,
        environment: &environment,
    };
    let arrival = journey.go(plan, Evaluation::default(), &mut course);
    leave(context, &run, &arrival);
    finish(context, &journey, &arrival, &args.flags, format)
}

/// The release is what was asked for; what it leaves in the checkout is a convenience.
fn leave(context: &Context, run: &Run<'_>, arrival: &Arrival) {
    let nothing = Goal::Operations(Vec::new());
    if let Err(error) = workspace::leave(run, &nothing, &arrival.plan, &arrival.evaluation) {
        context.ui().warn(&error.text());
    }
}

/// Adds a release to the log and returns its id.
pub(super) fn create(log: &ReleaseLog, new: &NewRelease<'_>) -> Result<ReleaseId, CliError> {
    let what = if new.rollback_of.is_some() {
        "rollback "
    } else {
        ""
    };
    match log.create(new, SystemTime::now()) {
        Ok(release) => Ok(release.id),
        Err(source) => Err(CliError::Creating { what, source }),
    }
}

/// Takes the environment's lock for this process.
pub(super) fn lock(
    context: &Context,
    log: &ReleaseLog,
    environment: &EnvironmentName,
    command: &str,
) -> Result<EnvironmentLock, CliError> {
    let holder = Holder {
        who: actor(context),
        process: std::process::id(),
        command: command.to_owned(),
        started: SystemTime::now().into(),
    };
    let state = log.path().parent().unwrap_or(log.path());
    Ok(EnvironmentLock::take(state, environment, &holder)?)
}

/// Returns who runs the program, for records.
pub(super) fn actor(context: &Context) -> String {
    let named = ["USER", "LOGNAME"]
        .iter()
        .find_map(|name| context.caller().get(*name));
    named.cloned().unwrap_or_else(|| "unknown".to_owned())
}

/// Shows how a release ended.
pub(super) fn finish(
    context: &Context,
    journey: &Journey<'_>,
    arrival: &Arrival,
    flags: &Flags,
    format: Format,
) -> Result<Exit, CliError> {
    let report = Report {
        plan: &arrival.plan,
        evaluation: &arrival.evaluation,
        release: Some(journey.release.as_str()),
        manifest: arrival.manifest,
    };
    report.talk(context.ui(), journey.run.store, flags.replay);
    journey.run.say_level(&arrival.evaluation);
    match format {
        Format::Json => context.ui().json(&report.json(arrival.error.as_ref()))?,
        Format::Text => {
            let done = journey.errand.done(journey.release);
            let first = match &arrival.error {
                None if report.changed_nothing() => format!("{done}; nothing changed"),
                None => done,
                Some(_) => format!("Release {} failed", journey.release),
            };
            context
                .ui()
                .data(&format!("{first}\n{}\n", report.summary()))?;
        }
    }
    Ok(match &arrival.error {
        Some(error) => context.ui().complain(error),
        None => Exit::Done,
    })
}

struct Deploy<'d> {
    context: &'d Context,
    project: &'d Project,
    target: &'d Target,
    run: &'d Run<'d>,
    environment: &'d EnvironmentName,
}

impl Course for Deploy<'_> {
    fn plan_again(&mut self) -> Option<Result<Plan, CliError>> {
        let planned = self
            .context
            .plan(self.project, self.target, Some(self.run.store), true);
        let planned = planned.map_err(|error| error.planning(PLANNING));
        Some(planned.map(|(plan, _)| plan))
    }

    fn seal(&mut self, plan: &Plan, evaluation: &Evaluation) -> Result<Sealed, CliError> {
        let operations = plan
            .operations()
            .enumerate()
            .filter_map(|(index, operation)| {
                let outcome = evaluation.outcomes.get(&operation.id)?;
                let needs = plan.dependencies(index);
                let needs = needs
                    .iter()
                    .map(|(need, _)| plan.operation(*need).id.clone())
                    .collect();
                Some(ManifestOperation::of(operation, outcome, needs))
            })
            .collect();
        let manifest = Manifest {
            project: plan.project().clone(),
            environment: self.environment.clone(),
            plan: plan.hash(),
            config: Vec::new(),
            operations,
        };
        let files: Vec<(ProjectPath, Vec<u8>)> = self
            .project
            .texts
            .iter()
            .filter_map(|(path, text)| Some((path.parse().ok()?, text.clone())))
            .collect();
        Ok(seal(self.run.store, manifest, &files)?)
    }
}

fn dry_run(
    context: &Context,
    environment: &EnvironmentName,
    plan: &Plan,
    predictions: &[Prediction],
    format: Format,
) -> Result<Exit, CliError> {
    if format == Format::Json {
        let shown = (0..plan.len()).collect();
        context.ui().json(
            &View {
                plan,
                predictions,
                shown: &shown,
            }
            .json(),
        )?;
        return Ok(Exit::Done);
    }
    let mut out = format!(
        "[DRY RUN] Deploy plan for environment \"{environment}\":\nVersion: {}\nPlan: {}\n\nPhases:\n",
        plan.version(),
        plan.hash()
    );
    out.push_str(&phases(plan, predictions));
    out.push_str("No release was created.\n");
    context.ui().data(&out)?;
    Ok(Exit::Done)
}

/// Returns the six phases with their operations and what is predicted for each.
pub(super) fn phases(plan: &Plan, predictions: &[Prediction]) -> String {
    let mut out = String::new();
    for (number, phase) in Phase::ALL.iter().enumerate() {
        let mut lines: Vec<String> = plan
            .operations()
            .zip(predictions)
            .filter(|(operation, _)| operation.phase == *phase)
            .map(|(operation, prediction)| {
                let reason = prediction
                    .reason
                    .as_ref()
                    .map(|reason| format!(" ({reason})"));
                let cache = prediction.cache.as_str();
                format!(
                    "     - {}: {cache}{}\n",
                    operation.id,
                    reason.unwrap_or_default()
                )
            })
            .collect();
        let title = match (lines.is_empty(), phase) {
            (true, Phase::Finalize) => {
                lines.push("     - seal the release and make it live\n".to_owned());
                format!("  {}. {phase}\n", number + 1)
            }
            (true, _) => format!(
                "  {}. {phase}: skipped ({})\n",
                number + 1,
                nothing_to_do(*phase)
            ),
            (false, _) => format!("  {}. {phase}\n", number + 1),
        };
        out.push_str(&title);
        out.extend(lines);
    }
    out
}
