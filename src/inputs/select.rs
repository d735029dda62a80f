//! Which entries of a `Listing` an operation's patterns choose, and what is wrong with the patterns.
//! Pure. Every distinct pattern is matched once, however many operations name it.

use std::collections::{BTreeMap, BTreeSet};

use rayon::prelude::*;

use super::InputError;
use super::glob::{Matchers, NEVER, Pattern, below};
use super::walk::{Entry, Kind, Listing};
use crate::config::{Diagnostic, InputPattern, Spanned};

/// Patterns in file order, each with whether it excludes; what operations with equal inputs share.
pub(super) type Key<'a> = Vec<(&'a str, bool)>;

/// Returns the key of an operation's `inputs`.
pub(super) fn key(inputs: &[Spanned<InputPattern>]) -> Key<'_> {
    inputs
        .iter()
        .map(|input| (input.value.glob.as_str(), input.value.excludes))
        .collect()
}

/// The distinct patterns of all operations.
#[derive(Debug, Default)]
pub(super) struct Patterns<'a> {
    including: BTreeMap<&'a str, Pattern>,
    excluding: BTreeMap<&'a str, Pattern>,
}

/// What each including pattern matches.
pub(super) struct Matches<'a> {
    patterns: &'a Patterns<'a>,
    listing: &'a Listing,
    found: BTreeMap<&'a str, Vec<u32>>,
}

impl<'a> Patterns<'a> {
    /// Builds every pattern of `inputs` once.
    pub(super) fn new(inputs: impl Iterator<Item = &'a InputPattern>) -> Result<Self, InputError> {
        let (mut matchers, mut patterns) = (Matchers::default(), Self::default());
        for input in inputs {
            let side = if input.excludes {
                &mut patterns.excluding
            } else {
                &mut patterns.including
            };
            if !side.contains_key(input.glob.as_str()) {
                let pattern = matchers
                    .pattern(&input.glob)
                    .map_err(|source| InputError::Glob {
                        glob: input.glob.clone(),
                        source,
                    })?;
                side.insert(&input.glob, pattern);
            }
        }
        Ok(patterns)
    }

    /// Returns the patterns that have to be listed.
    pub(super) fn including(&self) -> impl Iterator<Item = &Pattern> {
        self.including.values()
    }

    /// Matches every including pattern against `listing`.
    pub(super) fn matches(&'a self, listing: &'a Listing) -> Matches<'a> {
        let including: Vec<_> = self.including.iter().collect();
        let found = including
            .par_iter()
            .map(|(text, pattern)| (**text, find(pattern, listing)));
        Matches {
            patterns: self,
            listing,
            found: found.collect(),
        }
    }
}

fn find(pattern: &Pattern, listing: &Listing) -> Vec<u32> {
    let mut found = Vec::new();
    let mut add = |index: usize| {
        found.push(u32::try_from(index).expect("invariant: a project holds fewer than 2^32 names"));
    };
    // Equal paths stand side by side: a directory and the note that it cannot be read.
    if let Some(index) = listing.find(pattern.prefix()) {
        // A file is alone at its path, and nothing lies below it.
        if listing.entries[index].kind == Kind::File {
            if chooses(pattern, &listing.entries[index]) {
                add(index);
            }
            return found;
        }
        for index in [index.checked_sub(1), Some(index), Some(index + 1)]
            .into_iter()
            .flatten()
        {
            let entry = listing
                .entries
                .get(index)
                .filter(|entry| entry.path == pattern.prefix());
            if entry.is_some_and(|entry| chooses(pattern, entry)) {
                add(index);
            }
        }
    }
    for index in listing.below(pattern.prefix()) {
        if chooses(pattern, &listing.entries[index]) {
            add(index);
        }
    }
    found
}

/// Returns whether `pattern` chooses the entry: no directory, and one that cannot be read if anything in it might match.
fn chooses(pattern: &Pattern, entry: &Entry) -> bool {
    match entry.kind {
        Kind::Directory => false,
        Kind::Unreadable(_) => {
            let rest = below(&entry.path, pattern.prefix());
            rest.is_some_and(|rest| {
                rest.split('/').filter(|part| !part.is_empty()).count() < pattern.depth()
            })
        }
        Kind::File | Kind::Symlink | Kind::Special(_) => pattern.matches(&entry.path),
    }
}

impl Matches<'_> {
    /// Returns what `key` chooses, sorted: a pattern adds what it matches or takes it away, in file order.
    pub(super) fn choose(&self, key: &Key<'_>) -> Vec<u32> {
        let mut chosen: Vec<u32> = Vec::new();
        for (text, excludes) in key {
            if *excludes {
                let pattern = &self.patterns.excluding[text];
                chosen.retain(|index| !takes_away(pattern, &self.listing.entries[*index as usize]));
            } else if chosen.is_empty() {
                chosen.clone_from(&self.found[text]);
            } else {
                chosen.extend(&self.found[text]);
                chosen.sort_unstable();
                chosen.dedup();
            }
        }
        chosen
    }

    /// Returns the last including pattern of `inputs` that chooses the entry at `index`.
    pub(super) fn site<'i>(
        &self,
        inputs: &'i [Spanned<InputPattern>],
        index: u32,
    ) -> Option<&'i Spanned<InputPattern>> {
        inputs
            .iter()
            .rev()
            .filter(|input| !input.value.excludes)
            .find(|input| {
                self.found[input.value.glob.as_str()]
                    .binary_search(&index)
                    .is_ok()
            })
    }

    /// Returns what is wrong with those of `inputs` that match nothing: a fault for a literal, a warning for a glob.
    pub(super) fn judge<'i>(
        &self,
        inputs: &'i [Spanned<InputPattern>],
        excluded: &BTreeSet<String>,
    ) -> Verdict<'i> {
        let mut verdict = Verdict::default();
        for input in inputs.iter().filter(|input| !input.value.excludes) {
            let glob = input.value.glob.as_str();
            if !self.found[glob].is_empty() {
                continue;
            }
            let fault = |message| Diagnostic {
                at: input.at.clone(),
                message,
                hint: None,
            };
            if !input.value.is_literal() {
                verdict
                    .warnings
                    .push(fault(format!("`{glob}` matches nothing")));
            } else if self.listing.find(glob).is_some() {
                verdict
                    .warnings
                    .push(fault(format!("directory `{glob}` holds no file")));
            } else if let Some(reason) = self.barred(glob, excluded) {
                verdict
                    .faults
                    .push(fault(format!("`{glob}` is never an input: {reason}")));
            } else {
                verdict
                    .missing
                    .push((fault(format!("`{glob}` does not exist")), glob));
            }
        }
        verdict
    }

    /// Returns why nothing at `path` can match, though something may be there.
    fn barred(&self, path: &str, excluded: &BTreeSet<String>) -> Option<String> {
        if let Some(part) = path.split('/').find(|part| NEVER.contains(part)) {
            return Some(format!("`{part}` is left out everywhere"));
        }
        if let Some(target) = excluded.iter().find(|target| below(path, target).is_some()) {
            return Some(format!("an environment deploys to `{target}`"));
        }
        let above = path.match_indices('/').map(|(slash, _)| &path[..slash]);
        above
            .filter_map(|path| self.listing.find(path))
            .map(|index| &self.listing.entries[index])
            .find_map(|entry| {
                (entry.kind == Kind::Symlink)
                    .then(|| format!("`{}` is a symlink, and none is followed", entry.path))
            })
    }
}

/// What is wrong with an operation's patterns.
#[derive(Debug, Default)]
pub(super) struct Verdict<'i> {
    /// Literals that nothing has the name of.
    pub(super) missing: Vec<(Diagnostic, &'i str)>,
    /// Literals that cannot match.
    pub(super) faults: Vec<Diagnostic>,
    /// Patterns that match nothing today.
    pub(super) warnings: Vec<Diagnostic>,
}

fn takes_away(pattern: &Pattern, entry: &Entry) -> bool {
    match entry.kind {
        // Whatever it holds would be excluded.
        Kind::Unreadable(_) => {
            pattern.excludes(&entry.path) || pattern.excludes(&format!("{}/_", entry.path))
        }
        Kind::File | Kind::Symlink | Kind::Directory | Kind::Special(_) => {
            pattern.excludes(&entry.path)
        }
    }
}
