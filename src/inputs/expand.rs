//! What the globs of `include` and `for` match, before there is a `Config`.
//! Names only: no file is read.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use super::InputError;
use super::glob::{Matchers, Pattern};
use super::sources::open;
use super::walk::{Entry, Kind, list};

/// What a glob of the configuration is to match.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Match {
    /// Regular files: `include`.
    Files,
    /// Directories: `for`.
    Directories,
}

/// Returns for each of `globs` the paths that it matches, sorted, from `project`; nothing at or below one of `excluded`.
pub fn expand(
    project: &Path,
    globs: &[String],
    what: Match,
    excluded: &[String],
) -> Result<BTreeMap<String, Vec<String>>, InputError> {
    let mut matchers = Matchers::default();
    let mut patterns = BTreeMap::new();
    for glob in globs {
        let pattern = matchers
            .pattern(glob.trim_end_matches('/'))
            .map_err(|source| InputError::Glob {
                glob: glob.clone(),
                source,
            })?;
        patterns.insert(glob.clone(), pattern);
    }
    let excluded: BTreeSet<String> = excluded
        .iter()
        .map(|path| path.trim_end_matches('/').to_owned())
        .collect();
    let directory = open(project)?;
    let listing = list(&directory, patterns.values(), &excluded)?;
    let mut expanded = BTreeMap::new();
    for (glob, pattern) in patterns {
        let kind = match what {
            Match::Files => Kind::File,
            Match::Directories => Kind::Directory,
        };
        let named = listing
            .find(pattern.prefix())
            .map(|index| &listing.entries[index]);
        let chosen: Vec<&Entry> = match &pattern {
            Pattern::Literal(_) => named
                .into_iter()
                .filter(|entry| entry.kind == kind)
                .collect(),
            Pattern::Tree { .. } | Pattern::Glob { .. } => {
                let below = listing.entries[listing.below(pattern.prefix())].iter();
                below
                    .filter(|entry| entry.kind == kind && pattern.matches(&entry.path))
                    .collect()
            }
        };
        let mut paths = Vec::new();
        for entry in chosen {
            if !entry.utf8 {
                return Err(InputError::Name {
                    path: entry.path.clone(),
                });
            }
            paths.push(entry.path.clone());
        }
        expanded.insert(glob, paths);
    }
    Ok(expanded)
}
