//! `stagecraft status`: what is live in each environment, against what its target shows.

use serde_json::{Value, json};

use super::context::{Context, Format, Project};
use super::error::CliError;
use super::exit::Exit;
use crate::config::Driver;
use crate::name::EnvironmentName;
use crate::providers::directory;
use crate::release::log::{Release, ReleaseLog};
use crate::release::status::PhaseStatus;

/// Show what is live, and whether the target agrees
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// Exit with 11 when a target is not what was recorded
    #[arg(long)]
    drift: bool,
}

/// One environment as recorded and as found.
struct Line {
    environment: EnvironmentName,
    live: Option<Release>,
    /// The newest release, where it is not the live one.
    latest: Option<Release>,
    target: Target,
}

/// What the target of an environment shows.
enum Target {
    /// It serves the live release, or nothing where nothing is live.
    Agrees,
    /// It serves this instead.
    Differs(Option<String>),
    /// Its driver cannot be asked.
    Unknown(String),
}

pub(super) fn run(context: &mut Context, args: &Args) -> Result<Exit, CliError> {
    let format = context.format()?;
    let project = context.project()?;
    let log = ReleaseLog::at(Context::state_path(&project.root));
    let asked = context.optional_environment(&project.config)?;
    let mut lines = Vec::new();
    for name in project.config.environments.keys() {
        if asked.as_ref().is_none_or(|asked| asked == name) {
            lines.push(line(&project, &log, name)?);
        }
    }
    match format {
        Format::Json => {
            let entries: Vec<Value> = lines.iter().map(entry).collect();
            context.ui().json(&json!({ "environments": entries }))?;
        }
        Format::Text if lines.is_empty() => context.ui().data("No environments\n")?,
        Format::Text => context
            .ui()
            .data(&lines.iter().map(text).collect::<String>())?,
    }
    let drifted = lines
        .iter()
        .any(|line| matches!(line.target, Target::Differs(_)));
    Ok(if args.drift && drifted {
        Exit::Stale
    } else {
        Exit::Done
    })
}

fn line(project: &Project, log: &ReleaseLog, name: &EnvironmentName) -> Result<Line, CliError> {
    let live = log.live(name.as_str())?;
    let newest = log.list(name.as_str())?.into_iter().next();
    let latest = newest.filter(|newest| live.as_ref().is_none_or(|live| live.id != newest.id));
    let target = match &project.config.environments[name].driver {
        Driver::Other(driver) => Target::Unknown(driver.clone()),
        Driver::Directory(driver) => {
            let found = directory::live(&driver.path, &project.root)?.map(|id| id.to_string());
            let wanted = live.as_ref().map(|release| release.id.to_string());
            if found == wanted {
                Target::Agrees
            } else {
                Target::Differs(found)
            }
        }
    };
    Ok(Line {
        environment: name.clone(),
        live,
        latest,
        target,
    })
}

fn text(line: &Line) -> String {
    let serving = match &line.live {
        Some(release) => format!("{} (version {})", release.id, release.version),
        None => "nothing deployed".to_owned(),
    };
    let target = match &line.target {
        Target::Agrees => String::new(),
        Target::Differs(Some(found)) => format!("; the target serves {found}"),
        Target::Differs(None) => "; the target serves nothing".to_owned(),
        Target::Unknown(driver) => format!("; driver {driver} is not supported yet"),
    };
    let latest = match &line.latest {
        Some(release) if release.overall() == PhaseStatus::Failed => {
            format!("; the latest, {}, failed", release.id)
        }
        Some(release) => format!("; the latest, {}, is {}", release.id, release.overall()),
        None => String::new(),
    };
    format!("{}: {serving}{target}{latest}\n", line.environment)
}

fn entry(line: &Line) -> Value {
    let (agrees, serves) = match &line.target {
        Target::Agrees => (
            Value::Bool(true),
            line.live.as_ref().map(|release| release.id.to_string()),
        ),
        Target::Differs(found) => (Value::Bool(false), found.clone()),
        Target::Unknown(_) => (Value::Null, None),
    };
    json!({
        "environment": line.environment.as_str(),
        "release": line.live.as_ref().map(|release| release.id.to_string()),
        "version": line.live.as_ref().map(|release| release.version.clone()),
        "manifest": line.live.as_ref().and_then(|release| release.manifest).map(|digest| digest.to_string()),
        "latest": line.latest.as_ref().map(|release| json!({
            "release": release.id.to_string(),
            "status": release.overall().as_str(),
        })),
        "target": serves,
        "agrees": agrees,
    })
}
