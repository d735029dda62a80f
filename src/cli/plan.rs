//! `stagecraft plan`: what a build or deploy would do, without doing any of it.

use std::collections::BTreeSet;

use super::context::{Context, Format, Project};
use super::error::{CliError, PLANNING};
use super::exit::Exit;
use super::workspace;
use crate::config::Config;
use crate::evaluate::Accept;
use crate::evaluate::predict::predict;
use crate::name::OperationName;
use crate::plan::show::{Prediction, View};
use crate::plan::{Filter, Goal, Plan, PlanError, Target};

/// Show what would run, and why
///
/// Starts no process, opens no connection and writes nothing.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    pub(super) selection: Selection,
    /// The version to plan for
    #[arg(long, value_name = "VERSION")]
    version: Option<String>,
    /// Show only these services and what they depend on
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    services: Vec<String>,
    /// Show only these phases, or operations whose ids start so
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    phases: Vec<String>,
    /// Show only these hosts
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    hosts: Vec<String>,
    /// Show only services of these roles
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    roles: Vec<String>,
}

/// Which operations a command is about.
#[derive(Debug, clap::Args)]
pub(super) struct Selection {
    /// Operations by name, with all they need
    #[arg(value_name = "OPERATION")]
    pub(super) operations: Vec<String>,
    /// Every operation
    #[arg(long, conflicts_with = "operations")]
    pub(super) all: bool,
}

impl Selection {
    /// Returns what is asked for by name, or `otherwise` when nothing is.
    pub(super) fn goal(&self, config: &Config, otherwise: Goal) -> Result<Goal, CliError> {
        if self.all {
            return Ok(Goal::All);
        }
        if self.operations.is_empty() {
            return Ok(otherwise);
        }
        let named: Result<Vec<OperationName>, PlanError> = self
            .operations
            .iter()
            .map(|name| operation(config, name))
            .collect();
        let mut named = named?;
        named.sort();
        named.dedup();
        Ok(Goal::Operations(named))
    }
}

/// Returns the operation of that name.
pub(super) fn operation(config: &Config, given: &str) -> Result<OperationName, PlanError> {
    let known = config.operations.keys().find(|name| name.as_str() == given);
    known.cloned().ok_or_else(|| PlanError::UnknownOperation {
        name: given.to_owned(),
        known: config.operations.keys().map(ToString::to_string).collect(),
    })
}

pub(super) fn run(context: &mut Context, args: &Args) -> Result<Exit, CliError> {
    let format = context.format()?;
    let project = context.project()?;
    let target = target(
        context,
        &project,
        &args.selection,
        args.version.as_deref(),
        Goal::Deploy,
    )?;
    let filter = Filter {
        services: services(&project.config, args)?,
        phases: args.phases.clone(),
        hosts: args.hosts.clone(),
    };
    let (plan, predictions) = predicted(context, &project, &target, false, PLANNING)?;
    let shown = filter.apply(&plan)?;
    let view = View {
        plan: &plan,
        predictions: &predictions,
        shown: &shown,
    };
    match format {
        Format::Text => context.ui().data(&view.text(&filter))?,
        Format::Json => context.ui().json(&view.json())?,
    }
    Ok(Exit::Done)
}

/// Returns the target of a command that may name operations; the environment is needed only where it does not.
pub(super) fn target(
    context: &Context,
    project: &Project,
    selection: &Selection,
    version: Option<&str>,
    otherwise: Goal,
) -> Result<Target, CliError> {
    let goal = selection.goal(&project.config, otherwise)?;
    let environment = match goal {
        Goal::Operations(_) | Goal::All => context.optional_environment(&project.config)?,
        Goal::Artifacts | Goal::Deploy => Some(context.environment(&project.config)?),
    };
    Ok(Target {
        environment,
        goal,
        version: version.unwrap_or("unknown").to_owned(),
        services: None,
        arguments: Vec::new(),
    })
}

/// Returns a plan and what the store says about it; writes nothing. An error says `what` was planned.
pub(super) fn predicted(
    context: &Context,
    project: &Project,
    target: &Target,
    refresh: bool,
    what: &'static str,
) -> Result<(Plan, Vec<Prediction>), CliError> {
    let store = context.existing_store()?;
    let (plan, warnings) = context
        .plan(project, target, store.as_ref(), false)
        .map_err(|error| error.planning(what))?;
    for warning in &warnings {
        context.ui().warn(&warning.to_string());
    }
    let minimum_level = workspace::accepted_level(&project.root, &project.config);
    let predictions = predict(
        &plan,
        store.as_ref(),
        Accept {
            minimum_level,
            refresh,
        },
    )?;
    Ok((plan, predictions))
}

/// `--services`, and the services of `--roles`.
fn services(config: &Config, args: &Args) -> Result<Vec<String>, CliError> {
    let mut names = args.services.clone();
    for role in &args.roles {
        let before = names.len();
        let of_role = config
            .services
            .iter()
            .filter(|(_, service)| service.role.as_ref() == Some(role));
        names.extend(of_role.map(|(name, _)| name.to_string()));
        if names.len() == before {
            let known: BTreeSet<String> = config
                .services
                .values()
                .filter_map(|service| service.role.clone())
                .collect();
            return Err(CliError::UnknownRole {
                given: role.clone(),
                known: known.into_iter().collect(),
            });
        }
    }
    names.sort();
    names.dedup();
    Ok(names)
}
