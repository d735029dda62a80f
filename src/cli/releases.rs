//! `stagecraft releases`: what was deployed, when, and what it consisted of.

use serde_json::{Map, Value, json};
use stagecraft_store::Store;

use super::context::{Context, Format};
use super::error::CliError;
use super::exit::Exit;
use super::page::Page;
use crate::release::diff::Difference;
use crate::release::log::{Release, ReleaseLog, Run, RunOutcome};
use crate::release::manifest::Manifest;
use crate::release::status::PhaseStatus;

/// List, show and compare releases
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, clap::Subcommand)]
enum Command {
    /// List releases, newest first; of one environment with --env
    List {},
    /// Show one release: phases, plan, configuration, every operation's key and output
    Show {
        /// The id of the release
        id: String,
    },
    /// Show what differs between two releases
    Diff {
        /// The older release
        a: String,
        /// The newer release
        b: String,
    },
}

pub(super) fn run(context: &mut Context, args: &Args) -> Result<Exit, CliError> {
    let format = context.format()?;
    let log = ReleaseLog::at(Context::state_path(&context.state_root()?));
    match &args.command {
        Command::List {} => list(context, &log, format),
        Command::Show { id } => show(context, &log, id, format),
        Command::Diff { a, b } => diff(context, &log, (a, b), format),
    }
}

fn list(context: &Context, log: &ReleaseLog, format: Format) -> Result<Exit, CliError> {
    let releases = match context.environment_flag() {
        Some(environment) => log.list(environment)?,
        None => log.list_all()?,
    };
    let store = context.existing_store()?;
    let statuses: Result<Vec<String>, CliError> = releases
        .iter()
        .map(|release| status(release, store.as_ref()))
        .collect();
    let statuses = statuses?;
    if format == Format::Json {
        let mut entries: Vec<(&Release, Value)> = releases
            .iter()
            .zip(&statuses)
            .map(|(release, status)| (release, entry(release, status)))
            .collect();
        entries.sort_by(|a, b| b.0.id.cmp(&a.0.id));
        let releases: Vec<Value> = entries.into_iter().map(|(_, entry)| entry).collect();
        context.ui().json(&json!({ "releases": releases }))?;
        return Ok(Exit::Done);
    }
    if releases.is_empty() {
        context.ui().data("No releases found\n")?;
        return Ok(Exit::Done);
    }
    let by_environment = context.environment_flag().is_none();
    context
        .ui()
        .data(&table(&releases, &statuses, by_environment))?;
    Ok(Exit::Done)
}

fn table(releases: &[Release], statuses: &[String], by_environment: bool) -> String {
    let mut rows = vec![
        [
            "RELEASE ID",
            "ENVIRONMENT",
            "VERSION",
            "TIMESTAMP",
            "STATUS",
        ]
        .map(str::to_owned),
    ];
    rows.extend(releases.iter().zip(statuses).map(|(release, status)| {
        let live = if release.live { " (live)" } else { "" };
        [
            release.id.to_string(),
            release.environment.clone(),
            release.version.clone(),
            release.timestamp.date_and_time(),
            format!("{status}{live}"),
        ]
    }));
    let width = |column: usize| {
        rows.iter()
            .map(|row| row[column].chars().count())
            .max()
            .unwrap_or(0)
    };
    let widths: Vec<usize> = (0..5).map(width).collect();
    let mut out = Page::default();
    for row in &rows {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .enumerate()
            .filter(|(column, _)| by_environment || *column != 1)
            .map(|(_, (cell, width))| format!("{cell:<width$}"))
            .collect();
        out.line(format_args!("{}", cells.join("  ").trim_end()));
    }
    out.into_text()
}

const LOST: &str = "bytes lost";

/// The overall status; `bytes lost` where a rollback to it is no longer possible for want of bytes.
fn status(release: &Release, store: Option<&Store>) -> Result<String, CliError> {
    let overall = release.overall();
    if overall == PhaseStatus::Completed
        && let Some(digest) = release.manifest
    {
        let manifest = match store {
            Some(store) => Manifest::load(store, &digest).ok().flatten(),
            None => None,
        };
        let whole = match (store, &manifest) {
            (Some(store), Some(manifest)) => manifest.closure_missing(store)?.is_empty(),
            _ => false,
        };
        if !whole {
            return Ok(LOST.to_owned());
        }
    }
    Ok(overall.as_str().to_owned())
}

fn entry(release: &Release, status: &str) -> Value {
    let phases: Map<String, Value> = release
        .phases
        .iter()
        .map(|(phase, status)| (phase.as_str().to_owned(), status.as_str().into()))
        .collect();
    json!({
        "id": release.id.as_str(),
        "environment": release.environment,
        "version": release.version,
        "commit_sha": release.commit_sha,
        "timestamp": release.timestamp.to_string(),
        "status": status,
        "live": release.live,
        "previous_id": release.previous_id.as_ref().map(ToString::to_string),
        "manifest": release.manifest.map(|manifest| manifest.to_string()),
        "phases": phases,
    })
}

fn manifest_of(context: &Context, release: &Release) -> Result<Option<Manifest>, CliError> {
    let Some(digest) = release.manifest else {
        return Ok(None);
    };
    let Some(store) = context.existing_store()? else {
        return Ok(None);
    };
    Ok(Manifest::load(&store, &digest)?)
}

fn show(context: &Context, log: &ReleaseLog, id: &str, format: Format) -> Result<Exit, CliError> {
    let release = log.get(id)?;
    let manifest = manifest_of(context, &release)?;
    let status = status(&release, context.existing_store()?.as_ref())?;
    if format == Format::Json {
        let mut document = entry(&release, &status);
        document["run"] = release.run.as_ref().map_or(Value::Null, run_json);
        document["content"] = manifest.as_ref().map_or(Value::Null, content);
        context.ui().json(&document)?;
        return Ok(Exit::Done);
    }
    let mut out = text(&release, manifest.as_ref());
    if status == LOST {
        out.line(format_args!(
            "\nBytes lost: a rollback to this release is not possible"
        ));
    }
    context.ui().data(&out.into_text())?;
    Ok(Exit::Done)
}

fn run_json(run: &Run) -> Value {
    json!({
        "actor": run.actor,
        "reason": run.reason,
        "started": run.started.map(|at| at.to_string()),
        "ended": run.ended.map(|at| at.to_string()),
        "outcome": run.outcome.map(RunOutcome::as_str),
        "rollback_of": run.rollback_of.as_ref().map(ToString::to_string),
    })
}

fn content(manifest: &Manifest) -> Value {
    let operations: Vec<Value> = manifest
        .operations
        .iter()
        .map(|operation| {
            json!({
                "id": operation.id.as_str(),
                "kind": operation.kind.as_str(),
                "phase": operation.phase.as_str(),
                "op_hash": operation.op_hash.to_string(),
                "action_key": operation.action_key.map(|key| key.to_string()),
                "output": operation.output.map(|output| output.digest.to_string()),
            })
        })
        .collect();
    let config: Map<String, Value> = manifest
        .config
        .iter()
        .map(|file| (file.path.to_string(), file.blob.digest.to_string().into()))
        .collect();
    json!({ "plan": manifest.plan.to_string(), "config": config, "operations": operations })
}

fn text(release: &Release, manifest: Option<&Manifest>) -> Page {
    let or_none = |text: &str| {
        if text.is_empty() {
            "N/A".to_owned()
        } else {
            text.to_owned()
        }
    };
    let previous = release
        .previous_id
        .as_ref()
        .map(ToString::to_string)
        .unwrap_or_default();
    let mut out = Page::default();
    out.line(format_args!(
        "Release ID: {}\nEnvironment: {}\nVersion: {}\nCommit SHA: {}\nTimestamp: {}\nPrevious Release: {}",
        release.id,
        release.environment,
        release.version,
        or_none(&release.commit_sha),
        release.timestamp.date_and_time(),
        or_none(&previous),
    ));
    out.line(format_args!("\nPhases:"));
    for (phase, status) in release.phases.iter() {
        let reason = release
            .phase_reasons
            .get(&phase)
            .map(|reason| format!(" ({reason})"));
        out.line(format_args!(
            "  {phase}: {}{}",
            status.as_str(),
            reason.unwrap_or_default()
        ));
    }
    run_lines(release, &mut out);
    let Some(manifest) = manifest else { return out };
    out.line(format_args!(
        "\nManifest: {}\nPlan: {}",
        manifest.digest(),
        manifest.plan
    ));
    out.line(format_args!("\nConfiguration:"));
    for file in &manifest.config {
        out.line(format_args!("  {} {}", file.path, file.blob.digest));
    }
    out.line(format_args!("\nOperations:"));
    for operation in &manifest.operations {
        out.line(format_args!("  {} ({})", operation.id, operation.kind));
        if let Some(key) = operation.action_key {
            out.line(format_args!("     key    {key}"));
        }
        if let Some(output) = operation.output {
            out.line(format_args!("     output {}", output.digest));
        }
    }
    out
}

/// Who started the run of a release, why, and how it ended.
fn run_lines(release: &Release, out: &mut Page) {
    let Some(run) = &release.run else { return };
    out.line(format_args!("\nRun:\n  actor: {}", run.actor));
    let rows = [
        ("reason", run.reason.clone()),
        (
            "rollback of",
            run.rollback_of.as_ref().map(ToString::to_string),
        ),
        (
            "outcome",
            run.outcome.map(|outcome| outcome.as_str().to_owned()),
        ),
    ];
    for (name, value) in rows {
        if let Some(value) = value {
            out.line(format_args!("  {name}: {value}"));
        }
    }
}

fn diff(
    context: &Context,
    log: &ReleaseLog,
    (a, b): (&str, &str),
    format: Format,
) -> Result<Exit, CliError> {
    let sealed = |id: &str| {
        let release = log.get(id)?;
        manifest_of(context, &release)?.ok_or_else(|| CliError::MissingBytes {
            release: id.to_owned(),
            missing: vec!["its manifest".to_owned()],
        })
    };
    let (older, newer) = (sealed(a)?, sealed(b)?);
    let store = context
        .existing_store()?
        .ok_or(CliError::StoreAbsent(context.store_path()?))?;
    let difference = Difference::between(&older, &newer, &store)?;
    match format {
        Format::Json => context.ui().json(&difference.json())?,
        Format::Text if difference.is_empty() => context.ui().data("No differences\n")?,
        Format::Text => context.ui().data(&difference.to_string())?,
    }
    Ok(Exit::Done)
}
