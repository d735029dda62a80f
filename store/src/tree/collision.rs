//! Names that some file systems cannot tell apart: equal but for case, or for the way Unicode spells
//! them. Here they are different names; whoever takes the tree elsewhere may lose one of them.

use std::collections::BTreeMap;

use unicode_normalization::UnicodeNormalization;

use super::{Directory, EntryName};

impl Directory {
    /// Returns the groups of names, sorted, that a file system without case or with one normal form
    /// would take for one.
    pub fn collisions(&self) -> Vec<Vec<&EntryName>> {
        groups(self.iter().map(|(name, _)| name), |name| name.as_str())
    }
}

/// Returns what collides among `names`.
pub(crate) fn groups<T>(names: impl Iterator<Item = T>, text: impl Fn(&T) -> &str) -> Vec<Vec<T>> {
    let mut groups: BTreeMap<String, Vec<T>> = BTreeMap::new();
    for name in names {
        let folded = folded(text(&name));
        groups.entry(folded).or_default().push(name);
    }
    groups
        .into_values()
        .filter(|group| group.len() > 1)
        .collect()
}

/// Compatible decomposition would also join what looks alike; file systems do not.
fn folded(name: &str) -> String {
    if name.is_ascii() {
        return name.to_ascii_lowercase();
    }
    let lower: String = name.nfd().flat_map(char::to_lowercase).collect();
    // Upper case first: `ß` and `ſ` have partners that lower case alone does not find.
    let upper: String = lower.chars().flat_map(char::to_uppercase).collect();
    upper.nfd().flat_map(char::to_lowercase).collect()
}
