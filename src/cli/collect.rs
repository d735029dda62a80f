//! `stagecraft store gc` and `store why`: what stays in the store, what goes, and for what reason.
#![expect(
    clippy::disallowed_methods,
    reason = "effects: the clock that ages results"
)]

use std::time::SystemTime;

use serde_json::{Value, json};
use stagecraft_store::{Digest, GcPolicy, GcReport};

use super::context::{Context, Format};
use super::error::CliError;
use super::exit::Exit;
use super::page::Page;
use super::store::{existing, size};
use crate::config::StoreConfig;

/// The three numbers of a configuration, with the usual grace.
pub(super) fn policy_of(config: &StoreConfig) -> GcPolicy {
    GcPolicy {
        max_size: config.max_size,
        max_age: config.max_age,
        min_free_percent: config.min_free_percent,
        grace: GcPolicy::GRACE,
    }
}

/// The policy of the project one stands in, or the default.
fn policy(context: &Context) -> Result<GcPolicy, CliError> {
    match context.project() {
        Ok(project) => Ok(policy_of(&project.config.store)),
        Err(CliError::ConfigNotFound(_)) => Ok(policy_of(&StoreConfig::default())),
        Err(error) => Err(error),
    }
}

/// Runs gc if it is due, at the lowest priority; nobody listens.
pub(super) fn quietly(context: &Context) -> Result<Exit, CliError> {
    if let Err(error) = rustix::process::nice(19) {
        tracing::debug!(%error, "gc runs as fast as all others");
    }
    existing(context)?;
    context
        .store()?
        .gc_if_due(&policy(context)?, SystemTime::now())?;
    Ok(Exit::Done)
}

pub(super) fn gc(context: &Context, format: Format) -> Result<Exit, CliError> {
    existing(context)?;
    let policy = policy(context)?;
    let dry_run = context.is_dry_run();
    let store = if dry_run {
        existing(context)?
    } else {
        context.store()?
    };
    let report = store.gc(&policy, SystemTime::now(), dry_run)?;
    for root in &report.incomplete_roots {
        context
            .ui()
            .warn(&format!("root {root} names bytes that are missing"));
    }
    match format {
        Format::Json => context.ui().json(&json!({
            "dry_run": dry_run,
            "results": report.results.len(),
            "objects": report.blobs.count,
            "trees": report.trees,
            "bytes": report.freed(),
            "kept_objects": report.kept.count,
            "kept_bytes": report.kept.bytes,
            "fates": fates(&report),
        }))?,
        Format::Text => context.ui().data(&text(&report, dry_run))?,
    }
    Ok(Exit::Done)
}

fn fates(report: &GcReport) -> Vec<Value> {
    let fates = report.fates.iter();
    fates
        .map(|(key, fate)| {
            json!({
                "result": key.to_string(),
                "stays": fate.is_kept(),
                "reason": fate.to_string(),
            })
        })
        .collect()
}

fn text(report: &GcReport, dry_run: bool) -> String {
    let verb = if dry_run { "would remove" } else { "removed" };
    let mut out = Page::default();
    out.line(format_args!(
        "{verb} {} results, {} objects, {} trees: {}",
        report.results.len(),
        report.blobs.count,
        report.trees,
        size(report.freed()),
    ));
    out.line(format_args!(
        "kept {} objects: {}",
        report.kept.count,
        size(report.kept.bytes)
    ));
    for (key, fate) in report.fates.iter().filter(|_| dry_run) {
        let word = if fate.is_kept() { "stays" } else { "goes" };
        out.line(format_args!("{word} {key}: {fate}"));
    }
    out.into_text()
}

pub(super) fn why(context: &Context, given: &str, format: Format) -> Result<Exit, CliError> {
    let store = existing(context)?;
    let unknown = || CliError::Unknown {
        sort: "object",
        given: given.to_owned(),
        known: Vec::new(),
    };
    let digest: Digest = given.parse().map_err(|_| unknown())?;
    let reasons = store.why(&digest)?;
    if reasons.is_empty() {
        return Err(unknown());
    }
    let reasons: Vec<String> = reasons.iter().map(ToString::to_string).collect();
    match format {
        Format::Json => context
            .ui()
            .json(&json!({ "digest": digest.to_string(), "reasons": reasons }))?,
        Format::Text => {
            let mut out = Page::default();
            for reason in &reasons {
                out.line(format_args!("{reason}"));
            }
            context.ui().data(&out.into_text())?;
        }
    }
    Ok(Exit::Done)
}
