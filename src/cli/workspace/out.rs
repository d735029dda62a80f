//! `.stagecraft/out`: one link to a tree of links in the store, in which each operation's name leads to its output
//! tree. The tree of links is content like any other: equal outputs make an equal tree, and nothing is rewritten.
#![expect(
    clippy::disallowed_methods,
    reason = "effects: the link .stagecraft/out"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use stagecraft_store::{
    BuiltTree, Digest, Node, Reference, Root, RootName, Store, StoreError, TreeBuilder,
};

use super::{DIRECTORY, failed, temporary_beside};
use crate::cli::error::CliError;
use crate::plan::operation::OperationId;

/// The outputs that have a link, by the operation's id. No id is a path prefix of another.
type Outputs = BTreeMap<String, Digest>;

/// Makes `.stagecraft/out/<operation>` lead to `made`, for each of them, and roots what it leads to. Other links stay,
/// unless `known` does not have them.
pub(super) fn link(
    store: &Store,
    project: &Path,
    made: &[(OperationId, Digest)],
    known: Option<&BTreeSet<OperationId>>,
) -> Result<(), CliError> {
    let out = project.join(DIRECTORY).join("out");
    let is_all = known.is_some_and(|known| known.len() == made.len());
    let mut outputs = if is_all {
        Outputs::new()
    } else {
        linked(store, &out)?
    };
    if let Some(known) = known {
        let known: BTreeSet<&str> = known.iter().map(OperationId::as_str).collect();
        outputs.retain(|id, _| known.contains(id.as_str()));
    }
    for (id, tree) in made {
        make_way(&mut outputs, id.as_str());
        outputs.insert(id.as_str().to_owned(), *tree);
    }
    if outputs.is_empty() {
        return remove(store, project, &out);
    }
    let links = tree_of_links(&outputs).map_err(StoreError::from)?;
    let present = store.materialised()?;
    let is_whole = outputs.values().all(|tree| present.contains(tree));
    if is_whole && present.contains(&links.root.digest) {
        let is_current = is_link_to(&out, store, &links.root.digest)
            && is_rooted(store, project, &links.root.digest)?;
        if is_current {
            return Ok(());
        }
    }
    keep(store, project, &links, &outputs)?;
    for tree in outputs.values().filter(|tree| !present.contains(tree)) {
        store.materialise(tree)?;
    }
    let target = store.materialise(&links.root.digest)?;
    point(&out, &target)
}

/// Returns what the links lead to; nothing where there are none, or none that we made.
fn linked(store: &Store, out: &Path) -> Result<Outputs, CliError> {
    let tree = std::fs::read_link(out)
        .ok()
        .and_then(|target| named_by(&target));
    let mut outputs = Outputs::new();
    let mut open: Vec<(String, Digest)> =
        tree.map(|tree| (String::new(), tree)).into_iter().collect();
    while let Some((above, tree)) = open.pop() {
        let Some(directory) = store.directory(&tree)? else {
            continue;
        };
        for (name, node) in directory.iter() {
            let id = format!("{above}{name}");
            match node {
                Node::Symlink { target } => {
                    outputs.extend(named_by(Path::new(target)).map(|tree| (id, tree)));
                }
                Node::Directory { object } => open.push((format!("{id}/"), object.digest)),
                Node::File { .. } => {}
            }
        }
    }
    Ok(outputs)
}

/// Returns the tree that a path into the store's materialised trees ends with.
fn named_by(target: &Path) -> Option<Digest> {
    Digest::from_hex(target.file_name()?.to_str()?).ok()
}

/// Removes what cannot stand beside `id`. Names change: `a` may have become `a/b`, or the other way round.
fn make_way(outputs: &mut Outputs, id: &str) {
    for (end, _) in id.match_indices('/') {
        outputs.remove(&id[..end]);
    }
    // `0` is the character behind `/`.
    let below: Vec<String> = outputs
        .range(format!("{id}/")..format!("{id}0"))
        .map(|(below, _)| below.clone())
        .collect();
    for below in below {
        outputs.remove(&below);
    }
}

/// Links are relative: materialised trees lie beside each other.
fn tree_of_links(outputs: &Outputs) -> Result<BuiltTree, stagecraft_store::TreeError> {
    let mut tree = TreeBuilder::new();
    for (id, output) in outputs {
        let mut target = "../".repeat(id.matches('/').count() + 1);
        target.push_str(&output.hex());
        tree.symlink(id, &target)?;
    }
    Ok(tree.build())
}

/// Puts the tree of links into the store, and roots it with all that it leads to.
fn keep(
    store: &Store,
    project: &Path,
    links: &BuiltTree,
    outputs: &Outputs,
) -> Result<(), CliError> {
    let mut batch = store.batch();
    batch.add_tree(links)?;
    store.commit(vec![batch], Vec::new(), Vec::new())?;
    let mut references = vec![Reference::Tree(links.root.digest)];
    references.extend(outputs.values().copied().map(Reference::Tree));
    let reason = ".stagecraft/out".to_owned();
    store.set_root(&root_name(project), &Root { references, reason })?;
    Ok(())
}

fn is_rooted(store: &Store, project: &Path, links: &Digest) -> Result<bool, CliError> {
    let root = store.root(&root_name(project))?;
    Ok(root.is_some_and(|root| root.references.contains(&Reference::Tree(*links))))
}

fn is_link_to(out: &Path, store: &Store, tree: &Digest) -> bool {
    std::fs::read_link(out).is_ok_and(|target| {
        target.starts_with(store.root_path()) && named_by(&target) == Some(*tree)
    })
}

/// Points `out` at `target` in one step; a directory in its place goes, without a link in it being followed.
fn point(out: &Path, target: &Path) -> Result<(), CliError> {
    let parent = out.parent().unwrap_or(out);
    std::fs::create_dir_all(parent).map_err(failed(parent, "cannot be made"))?;
    if std::fs::symlink_metadata(out).is_ok_and(|metadata| metadata.is_dir()) {
        std::fs::remove_dir_all(out).map_err(failed(out, "cannot be removed"))?;
    }
    let temporary = temporary_beside(out);
    std::os::unix::fs::symlink(target, &temporary).map_err(failed(&temporary, "cannot be made"))?;
    std::fs::rename(&temporary, out).map_err(failed(out, "cannot be replaced"))
}

fn remove(store: &Store, project: &Path, out: &Path) -> Result<(), CliError> {
    if std::fs::symlink_metadata(out).is_ok_and(|metadata| metadata.is_symlink()) {
        store.remove_root(&root_name(project))?;
        std::fs::remove_file(out).map_err(failed(out, "cannot be removed"))?;
    }
    Ok(())
}

/// The root of the links of one checkout, by the digest of its path, which may hold what a root's name may not.
fn root_name(project: &Path) -> RootName {
    let checkout = Digest::of(project.as_os_str().as_encoded_bytes()).hex();
    format!("worktree/{}/out", &checkout[..16])
        .parse()
        .expect("hexadecimal words make a root name")
}
