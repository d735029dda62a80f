//! What a run left in its tree, judged against what was declared: the outputs, and the writes nobody declared.
//! Pure: works on listings alone.

use std::collections::BTreeSet;

use globset::{GlobBuilder, GlobMatcher};

use crate::config::OutputPattern;
use crate::name::ProjectPath;
use crate::sandbox::tree::{Entry, Listing, Sort};

/// The outputs of a run and what else it did to its tree.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Collected {
    /// The paths that make up the output tree, from the working directory; none lies below another.
    pub(crate) outputs: Vec<String>,
    /// What was written, changed or removed without being declared, in order of path.
    pub(crate) undeclared: Vec<Undeclared>,
}

/// One thing done to the tree that no output declares.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Undeclared {
    /// The path from the project root; a slash follows a directory that is new with all its content.
    pub(crate) path: String,
    /// What was done.
    pub(crate) deed: Deed,
}

/// What was done to a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Deed {
    /// It was not there before.
    Wrote,
    /// It was there, with other bytes.
    Changed,
    /// It was there.
    Removed,
}

/// A declared output that is not there.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Missing {
    /// The output as declared.
    pub(crate) output: String,
    /// Files that were written and resemble it, the most alike first; at most five.
    pub(crate) similar: Vec<String>,
    /// Whether it is a path, rather than a glob.
    pub(crate) literal: bool,
    /// Whether a file stands where a directory was declared.
    pub(crate) file: bool,
}

/// Sorts what is in a tree after a run. `changed` is asked about files that carry traces of a write, and tells
/// whether their bytes differ from what was staged.
pub(crate) fn collect(
    declared: &[OutputPattern],
    workdir: &ProjectPath,
    staged: &Listing,
    left: &Listing,
    changed: &mut dyn FnMut(&str) -> bool,
) -> Result<Collected, Missing> {
    let mut outputs = BTreeSet::new();
    for pattern in declared {
        let found = expand(pattern, workdir, left);
        if found.is_empty() && !pattern.optional {
            return Err(missing(pattern, workdir, staged, left));
        }
        outputs.extend(found);
    }
    let tops: Vec<String> = outputs
        .iter()
        .filter(|path| !has_ancestor(path, &outputs))
        .map(|path| (*path).to_owned())
        .collect();
    let undeclared = undeclared(&tops, workdir, staged, left, changed);
    Ok(Collected {
        outputs: tops,
        undeclared,
    })
}

/// Returns the path from the working directory, for entries below it.
fn below<'p>(path: &'p str, workdir: &ProjectPath) -> Option<&'p str> {
    if workdir.is_root() {
        return Some(path);
    }
    path.strip_prefix(workdir.as_str())?.strip_prefix('/')
}

fn has_ancestor(path: &str, paths: &BTreeSet<&str>) -> bool {
    ancestors(path).any(|above| paths.contains(above))
}

/// The directories above a path, the nearest first.
fn ancestors(path: &str) -> impl Iterator<Item = &str> {
    std::iter::successors(path.rsplit_once('/').map(|(above, _)| above), |above| {
        above.rsplit_once('/').map(|(above, _)| above)
    })
}

fn is_literal(pattern: &OutputPattern) -> bool {
    !pattern.glob.contains(['*', '?', '[', '{'])
}

fn fits(pattern: &OutputPattern, entry: &Entry) -> bool {
    !pattern.directory || entry.sort == Sort::Directory
}

fn expand<'l>(pattern: &OutputPattern, workdir: &ProjectPath, left: &'l Listing) -> Vec<&'l str> {
    let entries = left
        .entries
        .iter()
        .filter(|(_, entry)| fits(pattern, entry));
    let relative = entries.filter_map(|(path, _)| below(path, workdir));
    match matcher(pattern) {
        None => relative.filter(|path| *path == pattern.glob).collect(),
        Some(matcher) => relative.filter(|path| matcher.is_match(path)).collect(),
    }
}

/// Returns what a glob matches; none for a path, and for a glob that cannot be read, which then is a path too.
fn matcher(pattern: &OutputPattern) -> Option<GlobMatcher> {
    if is_literal(pattern) {
        return None;
    }
    let glob = GlobBuilder::new(&pattern.glob)
        .literal_separator(true)
        .build()
        .ok()?;
    Some(glob.compile_matcher())
}

fn missing(
    pattern: &OutputPattern,
    workdir: &ProjectPath,
    staged: &Listing,
    left: &Listing,
) -> Missing {
    let name = |path: &str| path.rsplit('/').next().map(str::to_owned);
    let extension =
        |path: &str| name(path).and_then(|name| Some(name.rsplit_once('.')?.1.to_owned()));
    let wanted = pattern.glob.as_str();
    let mut written: Vec<(u32, &str)> = left
        .entries
        .iter()
        .filter(|(path, entry)| {
            entry.sort != Sort::Directory && staged.entries.get(*path) != Some(entry)
        })
        .filter_map(|(path, _)| below(path, workdir))
        .map(|path| {
            let same_name = u32::from(name(path) == name(wanted)) * 4;
            let same_extension =
                u32::from(extension(path).is_some() && extension(path) == extension(wanted)) * 2;
            let same_directory = u32::from(ancestors(path).next() == ancestors(wanted).next());
            (same_name + same_extension + same_directory, path)
        })
        .collect();
    written.sort_by(|a, b| b.0.cmp(&a.0).then(a.1.cmp(b.1)));
    Missing {
        output: format!("{wanted}{}", if pattern.directory { "/" } else { "" }),
        similar: written
            .into_iter()
            .take(5)
            .map(|(_, path)| path.to_owned())
            .collect(),
        literal: is_literal(pattern),
        file: left
            .entries
            .contains_key(workdir_path(workdir, wanted).as_str()),
    }
}

fn workdir_path(workdir: &ProjectPath, path: &str) -> String {
    if workdir.is_root() {
        path.to_owned()
    } else {
        format!("{workdir}/{path}")
    }
}

fn undeclared(
    outputs: &[String],
    workdir: &ProjectPath,
    staged: &Listing,
    left: &Listing,
    changed: &mut dyn FnMut(&str) -> bool,
) -> Vec<Undeclared> {
    let outputs: BTreeSet<String> = outputs
        .iter()
        .map(|path| workdir_path(workdir, path))
        .collect();
    let declared =
        |path: &str| outputs.contains(path) || ancestors(path).any(|above| outputs.contains(above));
    let mut found = BTreeSet::new();
    for (path, entry) in &left.entries {
        if declared(path) {
            continue;
        }
        match staged.entries.get(path) {
            // Directories are implied by what is in them, except where one took the place of a file.
            Some(before) if entry.sort == Sort::Directory && before.sort != Sort::Directory => {
                found.insert(Undeclared {
                    path: path.clone(),
                    deed: Deed::Changed,
                });
            }
            _ if entry.sort == Sort::Directory => {}
            None => {
                let path = new_top(path, staged, &outputs);
                found.insert(Undeclared {
                    path,
                    deed: Deed::Wrote,
                });
            }
            Some(before) if before == entry => {}
            Some(_) if changed(path) => {
                found.insert(Undeclared {
                    path: path.clone(),
                    deed: Deed::Changed,
                });
            }
            Some(_) => {}
        }
    }
    let gone = staged.entries.iter().filter(|(path, entry)| {
        entry.sort != Sort::Directory && !declared(path) && !left.entries.contains_key(*path)
    });
    found.extend(gone.map(|(path, _)| Undeclared {
        path: path.clone(),
        deed: Deed::Removed,
    }));
    found.into_iter().collect()
}

/// Returns the highest directory above a new file that is new too and holds no output, else the file itself.
fn new_top(path: &str, staged: &Listing, outputs: &BTreeSet<String>) -> String {
    let is_new = |above: &&str| {
        let inside = format!("{above}/");
        !staged.entries.contains_key(*above)
            && !outputs.iter().any(|output| output.starts_with(&inside))
    };
    ancestors(path)
        .take_while(is_new)
        .last()
        .map_or_else(|| path.to_owned(), |top| format!("{top}/"))
}
