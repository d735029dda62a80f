//! Why an operation runs: the first difference between what its key is made of and what the last run's was.
//! Pure over two sets of leaves (`spec/evaluate/explain.md`).

use std::collections::BTreeMap;

use stagecraft_store::{HistoryKey, Store, StoreError};

use crate::action::{Leaf, LeafKind, Leaves};

/// How one leaf differs from the last run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Difference {
    /// The sort of leaf.
    pub kind: LeafKind,
    /// Which one.
    pub name: String,
    /// Its value in the last run; absent when it is new.
    pub before: Option<String>,
    /// Its value now; absent when it is gone.
    pub after: Option<String>,
}

impl Difference {
    /// Returns the difference as one short line.
    pub fn describe(&self) -> String {
        let subject = self.subject();
        match (&self.before, &self.after) {
            (None, _) => format!("{subject} is new"),
            (_, None) => format!("{subject} is gone"),
            (Some(before), Some(after)) => match self.kind {
                LeafKind::Tool | LeafKind::Base => {
                    let (before, after) = (without_digest(before), without_digest(after));
                    if before == after {
                        format!("{subject} changed ({after})")
                    } else {
                        format!("{subject} changed from {before} to {after}")
                    }
                }
                LeafKind::Source if only_mode(before, after) => {
                    format!("{subject} changed its executable bit")
                }
                LeafKind::Command
                | LeafKind::Recipe
                | LeafKind::Variable
                | LeafKind::Source
                | LeafKind::Dependency
                | LeafKind::Target => format!("{subject} changed"),
            },
        }
    }

    fn subject(&self) -> String {
        match self.kind {
            LeafKind::Command => "the command".to_owned(),
            LeafKind::Recipe => format!("its {}", self.name),
            LeafKind::Variable => format!("variable `{}`", self.name),
            LeafKind::Tool => format!("tool `{}`", self.name),
            LeafKind::Base => "the base system".to_owned(),
            LeafKind::Source | LeafKind::Target => format!("`{}`", self.name),
            LeafKind::Dependency => {
                let id = self.name.split(" at ").next().unwrap_or(&self.name);
                format!("the output of `{id}`")
            }
        }
    }
}

fn without_digest(value: &str) -> &str {
    value
        .rsplit_once(' ')
        .map_or(value, |(description, _)| description)
}

fn only_mode(before: &str, after: &str) -> bool {
    before.trim_end_matches(" executable") == after.trim_end_matches(" executable")
}

/// Returns every difference, sources and dependencies first: people look for the file they edited.
pub fn differences(before: &Leaves, after: &Leaves) -> Vec<Difference> {
    let index = |leaves: &Leaves| -> BTreeMap<(LeafKind, String), String> {
        let key = |leaf: &Leaf| ((leaf.kind, leaf.name.clone()), leaf.value.clone());
        leaves.as_slice().iter().map(key).collect()
    };
    let (before, after) = (index(before), index(after));
    let mut found: Vec<Difference> = before
        .keys()
        .chain(after.keys().filter(|key| !before.contains_key(*key)))
        .filter(|key| before.get(*key) != after.get(*key))
        .map(|key| Difference {
            kind: key.0,
            name: key.1.clone(),
            before: before.get(key).cloned(),
            after: after.get(key).cloned(),
        })
        .collect();
    found.sort_by(|a, b| (rank(a.kind), &a.name).cmp(&(rank(b.kind), &b.name)));
    found
}

fn rank(kind: LeafKind) -> u8 {
    match kind {
        LeafKind::Source => 0,
        LeafKind::Dependency => 1,
        LeafKind::Command => 2,
        LeafKind::Variable => 3,
        LeafKind::Recipe => 4,
        LeafKind::Tool => 5,
        LeafKind::Base => 6,
        LeafKind::Target => 7,
    }
}

/// What the last run says about an operation that misses.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Explanation {
    /// No run of it is known.
    NeverRan,
    /// Nothing differs, yet there is no usable result: it was collected, damaged, or made at a weaker level.
    ResultGone,
    /// These leaves differ; at least one.
    Differs(Vec<Difference>),
}

impl Explanation {
    /// Returns the explanation as one line: the first difference and how many more there are.
    pub fn reason(&self) -> String {
        match self {
            Self::NeverRan => "never ran before".to_owned(),
            Self::ResultGone => "its result is no longer in the store".to_owned(),
            Self::Differs(differences) => match differences.as_slice() {
                [] => "its result is no longer in the store".to_owned(),
                [only] => only.describe(),
                [first, rest @ ..] => format!("{} (and {} more)", first.describe(), rest.len()),
            },
        }
    }
}

/// Returns why `leaves` miss, compared with the last recorded run under `key`. History that cannot be read counts as none.
pub fn explain(
    store: &Store,
    key: &HistoryKey,
    leaves: &Leaves,
) -> Result<Explanation, StoreError> {
    let Some(digest) = store.latest(key)? else {
        return Ok(Explanation::NeverRan);
    };
    let Some(bytes) = store.read(&digest)? else {
        return Ok(Explanation::NeverRan);
    };
    let Ok(Some(before)) = Leaves::decode(&bytes) else {
        return Ok(Explanation::NeverRan);
    };
    let found = differences(&before, leaves);
    Ok(if found.is_empty() {
        Explanation::ResultGone
    } else {
        Explanation::Differs(found)
    })
}
