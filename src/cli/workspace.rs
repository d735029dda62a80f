//! What runs leave in a checkout's `.stagecraft/`: links to outputs, exports, the sandbox level, and why
//! operations ran last (`spec/cli/workspace.md`).
#![expect(
    clippy::disallowed_methods,
    reason = "effects: files below .stagecraft and exported outputs"
)]

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use stagecraft_store::{Digest, Directory, Node, Object, Reference, Root, RootName, Store};

use super::apply::Run;
use super::error::CliError;
use crate::config::Config;
use crate::evaluate::{Evaluation, Status};
use crate::name::OperationName;
use crate::plan::operation::{OperationId, Run as Recipe, Work};
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
    let done = |id: &OperationId| {
        let outcome = evaluation.outcomes.get(id)?;
        outcome.output.filter(|_| outcome.status.is_success())
    };
    for operation in plan.operations() {
        let Work::Run(recipe) = &operation.work else {
            continue;
        };
        let Some(output) = done(&operation.id) else {
            continue;
        };
        if recipe.limits.export {
            export(run.store, root, recipe, output)?;
        }
    }
    for id in asked(run.project, goal) {
        if let Some(output) = done(&id) {
            link(run.store, root, &id, output.digest)?;
        }
    }
    Ok(())
}

fn asked(project: &super::context::Project, goal: &Goal) -> Vec<OperationId> {
    let all = |names: &mut dyn Iterator<Item = &OperationName>| {
        names.map(OperationId::operation).collect()
    };
    match goal {
        Goal::Operations(names) => all(&mut names.iter()),
        Goal::All | Goal::Artifacts | Goal::Deploy => all(&mut project.config.operations.keys()),
    }
}

/// Points `.stagecraft/out/<operation>` at the materialised output tree, and roots the tree.
fn link(store: &Store, project: &Path, id: &OperationId, tree: Digest) -> Result<(), CliError> {
    let path = project.join(DIRECTORY).join("out").join(id.as_str());
    let target = store.materialise(&tree)?;
    if std::fs::read_link(&path).is_ok_and(|current| current == target) {
        return Ok(());
    }
    let directory = path.parent().unwrap_or(project);
    std::fs::create_dir_all(directory).map_err(failed(directory, "cannot be made"))?;
    let name = root_name(project, id);
    let reason = format!(".stagecraft/out/{id}");
    store.set_root(
        &name,
        &Root {
            references: vec![Reference::Tree(tree)],
            reason,
        },
    )?;
    let temporary = temporary_beside(&path);
    std::os::unix::fs::symlink(&target, &temporary)
        .map_err(failed(&temporary, "cannot be made"))?;
    std::fs::rename(&temporary, &path).map_err(failed(&path, "cannot be replaced"))
}

/// The root of one link: the checkout by the digest of its path, the operation by the digest of its id, since both
/// may hold what a root's name may not.
fn root_name(project: &Path, id: &OperationId) -> RootName {
    let checkout = Digest::of(project.as_os_str().as_encoded_bytes()).hex();
    let operation = Digest::of(id.as_str().as_bytes()).hex();
    format!("worktree/{}/{}", &checkout[..16], &operation[..16])
        .parse()
        .expect("hexadecimal words make a root name")
}

fn temporary_beside(path: &Path) -> PathBuf {
    let mut name = path.file_name().unwrap_or_default().to_os_string();
    name.push(format!(".tmp{}", std::process::id()));
    path.with_file_name(name)
}

/// Copies an output into the source tree, below the workdir: writable files with fresh times. Files that already
/// hold the same bytes are left alone, so that nothing that watches them wakes.
fn export(store: &Store, project: &Path, recipe: &Recipe, output: Object) -> Result<(), CliError> {
    let Some(directory) = store.directory(&output.digest)? else {
        return Ok(());
    };
    let base = project.join(recipe.workdir.as_str());
    export_directory(store, &base, &directory)
}

fn export_directory(store: &Store, base: &Path, directory: &Directory) -> Result<(), CliError> {
    std::fs::create_dir_all(base).map_err(failed(base, "cannot be made"))?;
    for (name, node) in directory.iter() {
        let path = base.join(name.as_str());
        match node {
            Node::Directory { object } => {
                if let Some(below) = store.directory(&object.digest)? {
                    export_directory(store, &path, &below)?;
                }
            }
            Node::Symlink { target } => {
                if std::fs::read_link(&path)
                    .is_ok_and(|current| current.as_os_str() == target.as_str())
                {
                    continue;
                }
                let temporary = temporary_beside(&path);
                std::os::unix::fs::symlink(target, &temporary)
                    .map_err(failed(&temporary, "cannot be made"))?;
                std::fs::rename(&temporary, &path).map_err(failed(&path, "cannot be replaced"))?;
            }
            Node::File { object, executable } => export_file(store, &path, *object, *executable)?,
        }
    }
    Ok(())
}

fn export_file(
    store: &Store,
    path: &Path,
    object: Object,
    executable: bool,
) -> Result<(), CliError> {
    use std::os::unix::fs::PermissionsExt;
    let is_same = |bytes: &[u8], mode: u32| {
        Digest::of(bytes) == object.digest && (mode & 0o100 != 0) == executable
    };
    let current = std::fs::symlink_metadata(path)
        .ok()
        .filter(std::fs::Metadata::is_file);
    if let Some(metadata) = current
        && std::fs::read(path).is_ok_and(|bytes| is_same(&bytes, metadata.permissions().mode()))
    {
        return Ok(());
    }
    let temporary = temporary_beside(path);
    let mut file =
        std::fs::File::create(&temporary).map_err(failed(&temporary, "cannot be made"))?;
    store.read_to(&object.digest, &mut file)?;
    let mode = if executable { 0o755 } else { 0o644 };
    let permissions = std::fs::Permissions::from_mode(mode);
    std::fs::set_permissions(&temporary, permissions)
        .map_err(failed(&temporary, "cannot be made executable"))?;
    std::fs::rename(&temporary, path).map_err(failed(path, "cannot be replaced"))
}
