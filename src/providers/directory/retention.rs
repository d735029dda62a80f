//! What stays on a target: the releases that are kept, and the trees they name.
//! Effects; links go before trees, and what `current` or a revert needs never goes.
#![expect(
    clippy::disallowed_methods,
    reason = "effects: removal of releases and trees"
)]

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use super::error::DirectoryError;
use super::target::{Pointer, Sharing, Target};
use crate::release::id::ReleaseId;

/// How many of an environment's last releases keep their links.
pub const KEPT: usize = 5;

/// What was removed from a target, sorted.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Pruned {
    /// The releases whose links went.
    pub releases: Vec<ReleaseId>,
    /// The names of the trees that went.
    pub trees: Vec<String>,
}

/// Removes every release but `keep`, the live one and the one that a revert goes back to; then every tree that no
/// release names, and what killed runs left. `path` is absolute or from the project root. A crash at any point leaves
/// a target that works, and the next call finishes.
pub fn prune(path: &str, project: &Path, keep: &[ReleaseId]) -> Result<Pruned, DirectoryError> {
    let target = Target::new(path, project);
    if !target.releases().is_dir() {
        return Ok(Pruned::default());
    }
    let _lock = target.lock(Sharing::Alone, None)?;
    target.clean()?;
    let mut kept: BTreeSet<ReleaseId> = keep.iter().cloned().collect();
    kept.extend(target.pointer(Pointer::Current)?);
    kept.extend(target.pointer(Pointer::Good)?);
    let mut pruned = Pruned::default();
    let mut named = BTreeSet::new();
    for name in target.names(&target.releases())? {
        let Ok(id) = name.parse::<ReleaseId>() else {
            continue;
        };
        if kept.contains(&id) {
            named.extend(trees_of(&target, &id)?);
        } else {
            target.discard(&target.release(&id))?;
            pruned.releases.push(id);
        }
    }
    // No release may come back after a power cut without its trees.
    target.sync(&target.releases())?;
    for name in target.names(&target.trees())? {
        if !named.contains(&name) {
            target.discard(&target.trees().join(&name))?;
            pruned.trees.push(name);
        }
    }
    Ok(pruned)
}

/// Returns the names of the trees that a release's links lead to.
fn trees_of(target: &Target, id: &ReleaseId) -> Result<Vec<String>, DirectoryError> {
    let directory = target.release(id);
    let names = target.names(&directory)?;
    let links = names
        .iter()
        .filter_map(|name| fs::read_link(directory.join(name)).ok());
    Ok(links
        .filter_map(|link| Some(link.to_str()?.strip_prefix("../../trees/")?.to_owned()))
        .collect())
}
