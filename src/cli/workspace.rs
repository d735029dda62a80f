//! What runs leave in a checkout's `.stagecraft/`: links to outputs, exports, the sandbox level, and why
//! operations ran last (`spec/cli/workspace.md`).
#![expect(
    clippy::disallowed_methods,
    reason = "effects: files below .stagecraft and exported outputs"
)]

mod export;
mod out;

use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::path::{Path, PathBuf};

use stagecraft_store::Digest;

use super::apply::Run;
use super::context::Project;
use super::error::CliError;
use crate::config::Config;
use crate::evaluate::{Evaluation, Status};
use crate::name::OperationName;
use crate::plan::operation::{OperationId, Work};
use crate::plan::{Goal, Plan};

const DIRECTORY: &str = ".stagecraft";

fn failed(path: &Path, what: &'static str) -> impl FnOnce(io::Error) -> CliError {
    let path = path.to_path_buf();
    move |source| CliError::File { path, what, source }
}

/// Replaces a small file in one step.
fn replace(path: &Path, text: &str) -> Result<(), CliError> {
    let directory = path.parent().unwrap_or(Path::new("."));
    std::fs::create_dir_all(directory).map_err(failed(directory, "cannot be made"))?;
    let temporary = path.with_extension(format!("tmp{}", std::process::id()));
    std::fs::write(&temporary, text).map_err(failed(&temporary, "cannot be written"))?;
    std::fs::rename(&temporary, path).map_err(failed(path, "cannot be replaced"))
}

/// Keeps the level that the sandbox of this machine reached, for plans, which start no process to find out.
pub(super) fn remember_level(project: &Path, level: u8) -> Result<(), CliError> {
    let path = project.join(DIRECTORY).join("level");
    if remembered_level(project) == Some(level) {
        return Ok(());
    }
    replace(&path, &format!("{level}\n"))
}

fn remembered_level(project: &Path) -> Option<u8> {
    std::fs::read_to_string(project.join(DIRECTORY).join("level"))
        .ok()?
        .trim()
        .parse()
        .ok()
}

/// Returns the lowest level whose results count, as far as it is known without trying.
pub(super) fn accepted_level(project: &Path, config: &Config) -> u8 {
    config
        .sandbox
        .require
        .max(remembered_level(project).unwrap_or(0))
}

/// Why each operation ran when it ran last, by id.
pub(super) fn reasons(project: &Path) -> BTreeMap<String, String> {
    let path = project.join(DIRECTORY).join("reasons.json");
    let text = std::fs::read_to_string(path).unwrap_or_default();
    // Only a convenience: whatever cannot be read counts as not known.
    serde_json::from_str(&text).unwrap_or_default()
}

fn remember_reasons(project: &Path, evaluation: &Evaluation) -> Result<(), CliError> {
    let ran: Vec<(String, String)> = evaluation
        .outcomes
        .iter()
        .filter(|(_, outcome)| matches!(outcome.status, Status::Ran | Status::Failed))
        .filter_map(|(id, outcome)| Some((id.to_string(), outcome.reason.clone()?)))
        .collect();
    if ran.is_empty() {
        return Ok(());
    }
    let mut all = reasons(project);
    all.extend(ran);
    let text = serde_json::to_string_pretty(&all).unwrap_or_default();
    replace(&project.join(DIRECTORY).join("reasons.json"), &text)
}

/// Leaves what a build leaves: `.stagecraft/out/<operation>` for what was asked for, exports, and reasons.
pub(super) fn leave(
    run: &Run<'_>,
    goal: &Goal,
    plan: &Plan,
    evaluation: &Evaluation,
) -> Result<(), CliError> {
    let root = &run.project.root;
    remember_reasons(root, evaluation)?;
    // What a changing source gave is used once and kept nowhere.
    let done = |id: &OperationId| {
        let outcome = evaluation.outcomes.get(id)?;
        let whole = outcome.status.is_success() && !outcome.drifted;
        outcome.output.filter(|_| whole)
    };
    for operation in plan.operations() {
        let Work::Run(recipe) = &operation.work else {
            continue;
        };
        let Some(output) = done(&operation.id) else {
            continue;
        };
        if recipe.limits.export {
            export::export(run.store, root, recipe, output)?;
        }
    }
    let asked = asked(run.project, goal);
    let made: Vec<(OperationId, Digest)> = asked
        .iter()
        .filter_map(|id| Some((id.clone(), done(id)?.digest)))
        .collect();
    let known = (*goal == Goal::All).then_some(&asked);
    out::link(run.store, root, &made, known)
}

fn asked(project: &Project, goal: &Goal) -> BTreeSet<OperationId> {
    let all = |names: &mut dyn Iterator<Item = &OperationName>| {
        names.map(OperationId::operation).collect()
    };
    match goal {
        Goal::Operations(names) => all(&mut names.iter()),
        Goal::All | Goal::Artifacts | Goal::Deploy => all(&mut project.config.operations.keys()),
    }
}

fn temporary_beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".tmp{}", std::process::id()));
    path.with_file_name(name)
}
