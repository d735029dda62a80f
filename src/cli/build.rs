//! `stagecraft build`: runs what is missing; makes no release.

use super::apply::{Run, prepare};
use super::context::{Context, Format, Project};
use super::error::CliError;
use super::exit::Exit;
use super::housekeeping;
use super::interrupt::Interrupt;
use super::plan::{Selection, predicted, target};
use super::progress::Progress;
use super::report::{Replay, Report};
use super::workspace;
use crate::evaluate::{Cause, Evaluation, Scope};
use crate::plan::show::View;
use crate::plan::{Filter, Goal, Plan, Target};

/// Run the operations whose results are missing
///
/// With nothing named: every artifact of the environment. A build makes no release.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    selection: Selection,
    /// Build only the artifacts of these services
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    services: Vec<String>,
    /// Show this version in a dry run; it is in no key
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    #[command(flatten)]
    flags: Flags,
    /// Append these arguments to the one operation named; they enter its key
    #[arg(last = true, value_name = "ARGS")]
    arguments: Vec<String>,
}

/// The flags of every command that runs operations.
#[derive(Debug, clap::Args)]
pub(super) struct Flags {
    /// Run everything again; new results replace the recorded ones
    #[arg(long, visible_alias = "refresh")]
    pub(super) no_cache: bool,
    /// After a failure, go on with whatever does not depend on it
    #[arg(long)]
    pub(super) keep_going: bool,
    /// Show the captured output of these operations at the end
    #[arg(long, value_name = "WHOSE", value_enum, default_value = "errors")]
    pub(super) replay: Replay,
}

pub(super) fn run(context: &mut Context, args: &Args) -> Result<Exit, CliError> {
    let format = context.format()?;
    let project = context.project()?;
    let version = args.version.as_deref();
    let mut target = target(context, &project, &args.selection, version, Goal::Artifacts)?;
    target.services = Context::services(&project.config, &args.services)?;
    target.arguments = arguments(&target, &args.arguments)?;
    if context.is_dry_run() {
        return dry_run(context, &project, &target, args, format);
    }
    let ui = context.ui();
    let interrupt = Interrupt::watch()?;
    let store = context.store()?;
    let run = prepare(context, &project, &store, &interrupt, &args.flags)?;
    let (plan, evaluation) = evaluated(context, &run, &target)?;
    let left = workspace::leave(&run, &target.goal, &plan, &evaluation);
    let report = Report {
        plan: &plan,
        evaluation: &evaluation,
        release: None,
        manifest: None,
    };
    report.talk(ui, &store, args.flags.replay);
    run.say_level(&evaluation);
    housekeeping::tidy(&project, &store);
    let error = report.failure().map(|(phase, cause)| CliError::Phase {
        what: "build",
        message: format!("phase \"{phase}\" failed: {cause}"),
        exit: report.exit(),
    });
    let error = error.or(left.err());
    match format {
        Format::Text => ui.data(&format!("{}\n", report.summary()))?,
        Format::Json => ui.json(&report.json(error.as_ref()))?,
    }
    let ended = match &error {
        Some(error) => ui.complain(error),
        None => report.exit(),
    };
    Ok(interrupt.exit().unwrap_or(ended))
}

const PLANNING: &str = "build: plan generation failed";

/// Plans and evaluates. Where a source changed between the two, plans again once.
fn evaluated(
    context: &Context,
    run: &Run<'_>,
    target: &Target,
) -> Result<(Plan, Evaluation), CliError> {
    let mut again = true;
    loop {
        let (plan, warnings) = context
            .plan(run.project, target, Some(run.store), true)
            .map_err(|error| error.planning(PLANNING))?;
        for warning in warnings.iter().filter(|_| again) {
            context.ui().warn(&warning.to_string());
        }
        let mut progress = Progress::new(context.ui());
        let evaluation = run.evaluate(&plan, Scope::whole(&plan), None, &mut progress);
        drop(progress);
        if !(again && drifted(&evaluation)) {
            return Ok((plan, evaluation));
        }
        context
            .ui()
            .say("a source changed since it was planned; planning again");
        again = false;
    }
}

/// Returns whether an operation found a source with other bytes than planned.
pub(super) fn drifted(evaluation: &Evaluation) -> bool {
    evaluation.outcomes.values().any(|outcome| {
        outcome
            .failure
            .as_ref()
            .is_some_and(|failure| failure.cause == Cause::Drift)
    })
}

fn arguments(target: &Target, given: &[String]) -> Result<Vec<String>, CliError> {
    match &target.goal {
        Goal::Operations(names) if names.len() == 1 => Ok(given.to_vec()),
        _ if given.is_empty() => Ok(Vec::new()),
        _ => Err(CliError::Usage(
            "arguments after `--` need exactly one operation",
        )),
    }
}

fn dry_run(
    context: &Context,
    project: &Project,
    target: &Target,
    args: &Args,
    format: Format,
) -> Result<Exit, CliError> {
    let (plan, predictions) = predicted(context, project, target, args.flags.no_cache, PLANNING)?;
    let shown = (0..plan.len()).collect();
    let view = View {
        plan: &plan,
        predictions: &predictions,
        shown: &shown,
    };
    match format {
        Format::Json => context.ui().json(&view.json())?,
        Format::Text => {
            let title = match &target.environment {
                Some(environment) => {
                    format!("[DRY RUN] Build plan for environment \"{environment}\":\n")
                }
                None => "[DRY RUN] Build plan:\n".to_owned(),
            };
            let filter = Filter::default();
            context.ui().data(&format!(
                "{title}{}No operation was run.\n",
                view.text(&filter)
            ))?;
        }
    }
    Ok(Exit::Done)
}
