//! `.stagecraft/out`: one link for each operation to its output tree in the store, which the link roots.
//! Never follows a link of an earlier build: what stands in the way of a name is removed, not entered.
#![expect(
    clippy::disallowed_methods,
    reason = "effects: links below .stagecraft/out"
)]

use std::io;
use std::path::{Path, PathBuf};

use stagecraft_store::{Digest, Reference, Root, RootName, Store};

use super::{DIRECTORY, failed, temporary_beside};
use crate::cli::error::CliError;
use crate::plan::operation::OperationId;

/// Points `.stagecraft/out/<operation>` at the materialised output tree, and roots the tree.
pub(super) fn link(
    store: &Store,
    project: &Path,
    id: &OperationId,
    tree: Digest,
) -> Result<(), CliError> {
    let out = directory(project);
    let path = out.join(id.as_str());
    let target = store.materialise(&tree)?;
    let current = parent_is_real(&out, &path) && is_link_to(&path, &target);
    if current {
        return Ok(());
    }
    let parent = make_way(&out, &path)?;
    let reason = format!(".stagecraft/out/{id}");
    let references = vec![Reference::Tree(tree)];
    store.set_root(
        &root_name(project, id.as_str()),
        &Root { references, reason },
    )?;
    let temporary = temporary_beside(&path);
    std::os::unix::fs::symlink(&target, &temporary)
        .map_err(failed(&temporary, "cannot be made"))?;
    std::fs::rename(&temporary, &path).map_err(failed(&parent, "does not take a new link"))
}

/// Removes the links, and their roots, of operations that are not among `known`.
pub(super) fn prune(store: &Store, project: &Path, known: &[OperationId]) -> Result<(), CliError> {
    let out = directory(project);
    let kept = |path: &Path| {
        let id = path.strip_prefix(&out).ok().and_then(Path::to_str);
        known.iter().any(|known| Some(known.as_str()) == id)
    };
    for path in links_below(&out)? {
        if kept(&path) {
            continue;
        }
        if let Some(id) = path.strip_prefix(&out).ok().and_then(Path::to_str) {
            store.remove_root(&root_name(project, id))?;
        }
        std::fs::remove_file(&path).map_err(failed(&path, "cannot be removed"))?;
        // The directory stays where it still holds something.
        let above = path.ancestors().skip(1).take_while(|above| *above != out);
        for directory in above {
            if std::fs::remove_dir(directory).is_err() {
                break;
            }
        }
    }
    Ok(())
}

fn directory(project: &Path) -> PathBuf {
    project.join(DIRECTORY).join("out")
}

fn is_link_to(path: &Path, target: &Path) -> bool {
    std::fs::read_link(path).is_ok_and(|current| current == target)
}

fn is_real_directory(path: &Path) -> bool {
    std::fs::symlink_metadata(path).is_ok_and(|metadata| metadata.is_dir())
}

/// The directories between `out` and `path`, `out` itself left out, outermost first.
fn between<'p>(out: &Path, path: &'p Path) -> Vec<&'p Path> {
    let mut found: Vec<&Path> = path
        .ancestors()
        .skip(1)
        .take_while(|above| *above != out)
        .collect();
    found.reverse();
    found
}

fn parent_is_real(out: &Path, path: &Path) -> bool {
    between(out, path).into_iter().all(is_real_directory)
}

/// Makes the directories above `path`, none of them through a link, and leaves no directory at `path` itself.
/// Names change: `a` may have become `a/b`, or the other way round.
fn make_way(out: &Path, path: &Path) -> Result<PathBuf, CliError> {
    for above in between(out, path) {
        if !is_real_directory(above) && above.symlink_metadata().is_ok() {
            std::fs::remove_file(above).map_err(failed(above, "cannot be removed"))?;
        }
    }
    if is_real_directory(path) {
        std::fs::remove_dir_all(path).map_err(failed(path, "cannot be removed"))?;
    }
    let parent = path.parent().unwrap_or(out);
    std::fs::create_dir_all(parent).map_err(failed(parent, "cannot be made"))?;
    Ok(parent.to_path_buf())
}

fn links_below(directory: &Path) -> Result<Vec<PathBuf>, CliError> {
    let entries = match std::fs::read_dir(directory) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(source) => return Err(failed(directory, "cannot be listed")(source)),
    };
    let mut found = Vec::new();
    for entry in entries {
        let path = entry.map_err(failed(directory, "cannot be listed"))?.path();
        if is_real_directory(&path) {
            found.extend(links_below(&path)?);
        } else {
            found.push(path);
        }
    }
    Ok(found)
}

/// The root of one link: the checkout by the digest of its path, the operation by the digest of its id, since both
/// may hold what a root's name may not.
fn root_name(project: &Path, id: &str) -> RootName {
    let checkout = Digest::of(project.as_os_str().as_encoded_bytes()).hex();
    let operation = Digest::of(id.as_bytes()).hex();
    format!("worktree/{}/{}", &checkout[..16], &operation[..16])
        .parse()
        .expect("hexadecimal words make a root name")
}
