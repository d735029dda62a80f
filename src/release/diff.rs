//! `Difference`: what differs between two releases' manifests, down to the files (`spec/release/diff.md`).
//! Reads directories from the store; refuses to guess where they are lost.

use std::collections::BTreeMap;
use std::fmt;

use serde_json::{Map, Value, json};
use stagecraft_store::{Digest, Directory, Node, Object, Store, StoreError};

use crate::name::ProjectPath;
use crate::plan::operation::OperationId;
use crate::release::manifest::{Manifest, ManifestOperation};

/// How a file or operation differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Change {
    /// Only the newer has it.
    Added,
    /// Only the older has it.
    Removed,
    /// Both have it, and not the same.
    Changed,
}

impl Change {
    /// Returns the word for it in JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Added => "added",
            Self::Removed => "removed",
            Self::Changed => "changed",
        }
    }

    fn sign(self) -> char {
        match self {
            Self::Added => '+',
            Self::Removed => '-',
            Self::Changed => '~',
        }
    }
}

/// What differs between an older and a newer release.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Difference {
    /// The files of the configuration, sorted.
    pub config: BTreeMap<ProjectPath, Change>,
    /// The operations, sorted.
    pub operations: BTreeMap<OperationId, OperationDifference>,
}

/// What differs about one operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationDifference {
    /// How it differs as a whole.
    pub change: Change,
    /// Its recipe is another.
    pub recipe: bool,
    /// Its key is another.
    pub key: bool,
    /// What it does to the target, or in which place of the plan, is another.
    pub work: bool,
    /// How the tree it made differs.
    pub output: OutputDifference,
}

/// How two output trees differ.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum OutputDifference {
    /// They do not.
    Equal,
    /// In these files, by path.
    Files(BTreeMap<String, Change>),
    /// They do, but the store has lost this directory of one of them.
    Lost(Digest),
}

impl Difference {
    /// Returns whether the two releases have the same content.
    pub fn is_empty(&self) -> bool {
        self.config.is_empty() && self.operations.is_empty()
    }

    /// Returns the difference as one JSON document.
    pub fn json(&self) -> Value {
        let changes = |changes: &mut dyn Iterator<Item = (String, Change)>| -> Value {
            changes
                .map(|(name, change)| (name, Value::from(change.as_str())))
                .collect()
        };
        let operations: Map<String, Value> = self
            .operations
            .iter()
            .map(|(id, operation)| {
                let files = match &operation.output {
                    OutputDifference::Equal => json!({}),
                    OutputDifference::Files(files) => {
                        changes(&mut files.iter().map(|(path, change)| (path.clone(), *change)))
                    }
                    OutputDifference::Lost(digest) => json!({ "lost": digest.to_string() }),
                };
                let document = json!({
                    "change": operation.change.as_str(),
                    "recipe": operation.recipe,
                    "key": operation.key,
                    "work": operation.work,
                    "files": files,
                });
                (id.to_string(), document)
            })
            .collect();
        let config = changes(
            &mut self
                .config
                .iter()
                .map(|(path, change)| (path.to_string(), *change)),
        );
        json!({ "config": config, "operations": operations })
    }

    /// Compares two manifests; reads only directories that differ.
    pub fn between(older: &Manifest, newer: &Manifest, store: &Store) -> Result<Self, StoreError> {
        let before: BTreeMap<_, _> = older
            .config
            .iter()
            .map(|file| (&file.path, file.blob))
            .collect();
        let after: BTreeMap<_, _> = newer
            .config
            .iter()
            .map(|file| (&file.path, file.blob))
            .collect();
        let config = pairs(&before, &after)
            .into_iter()
            .filter_map(|(path, before, after)| Some(((*path).clone(), change(before, after)?)));
        let mut difference = Self {
            config: config.collect(),
            operations: BTreeMap::new(),
        };
        let before: BTreeMap<_, _> = older
            .operations
            .iter()
            .map(|operation| (&operation.id, operation))
            .collect();
        let after: BTreeMap<_, _> = newer
            .operations
            .iter()
            .map(|operation| (&operation.id, operation))
            .collect();
        for (id, before, after) in pairs(&before, &after) {
            let Some(change) = change(before, after) else {
                continue;
            };
            let found = compare(change, before.copied(), after.copied(), store)?;
            difference.operations.insert((*id).clone(), found);
        }
        Ok(difference)
    }
}

/// Returns each key of either map with its two values, sorted.
fn pairs<'m, K: Ord, V>(
    before: &'m BTreeMap<K, V>,
    after: &'m BTreeMap<K, V>,
) -> Vec<(&'m K, Option<&'m V>, Option<&'m V>)> {
    let mut pairs: BTreeMap<&K, (Option<&V>, Option<&V>)> = BTreeMap::new();
    for (key, value) in before {
        pairs.entry(key).or_default().0 = Some(value);
    }
    for (key, value) in after {
        pairs.entry(key).or_default().1 = Some(value);
    }
    pairs
        .into_iter()
        .map(|(key, (before, after))| (key, before, after))
        .collect()
}

fn change<T: PartialEq>(before: Option<T>, after: Option<T>) -> Option<Change> {
    match (before, after) {
        (None, None) => None,
        (None, Some(_)) => Some(Change::Added),
        (Some(_), None) => Some(Change::Removed),
        (Some(before), Some(after)) => (before != after).then_some(Change::Changed),
    }
}

fn compare(
    change: Change,
    before: Option<&ManifestOperation>,
    after: Option<&ManifestOperation>,
    store: &Store,
) -> Result<OperationDifference, StoreError> {
    let differs =
        |fact: &dyn Fn(&ManifestOperation, &ManifestOperation) -> bool| match (before, after) {
            (Some(before), Some(after)) => !fact(before, after),
            (None | Some(_), None) | (None, Some(_)) => false,
        };
    let output = |side: Option<&ManifestOperation>| side.and_then(|operation| operation.output);
    Ok(OperationDifference {
        change,
        recipe: differs(&|a, b| a.op_hash == b.op_hash),
        key: differs(&|a, b| a.action_key == b.action_key),
        work: differs(&|a, b| {
            (
                &a.effect,
                a.kind,
                a.phase,
                &a.services,
                &a.hosts,
                &a.dependencies,
                &a.description,
            ) == (
                &b.effect,
                b.kind,
                b.phase,
                &b.services,
                &b.hosts,
                &b.dependencies,
                &b.description,
            )
        }),
        output: outputs(output(before), output(after), store)?,
    })
}

fn outputs(
    before: Option<Object>,
    after: Option<Object>,
    store: &Store,
) -> Result<OutputDifference, StoreError> {
    if before == after {
        return Ok(OutputDifference::Equal);
    }
    let mut files = BTreeMap::new();
    match directories(before, after, "", store, &mut files)? {
        None => Ok(OutputDifference::Files(files)),
        Some(lost) => Ok(OutputDifference::Lost(lost)),
    }
}

/// Adds the differences of two directories to `files`; returns the digest of a directory that is lost.
fn directories(
    before: Option<Object>,
    after: Option<Object>,
    path: &str,
    store: &Store,
    files: &mut BTreeMap<String, Change>,
) -> Result<Option<Digest>, StoreError> {
    if before == after {
        return Ok(None);
    }
    let mut sides = [Directory::new(), Directory::new()];
    for (side, object) in sides.iter_mut().zip([before, after]) {
        let Some(object) = object else { continue };
        match store.directory(&object.digest)? {
            Some(directory) => *side = directory,
            None => return Ok(Some(object.digest)),
        }
    }
    let [before, after] = &sides;
    let before: BTreeMap<_, _> = before.iter().collect();
    let after: BTreeMap<_, _> = after.iter().collect();
    for (name, before, after) in pairs(&before, &after) {
        let Some(change) = change(before, after) else {
            continue;
        };
        let path = if path.is_empty() {
            name.as_str().to_owned()
        } else {
            format!("{path}/{}", name.as_str())
        };
        let (below_before, below_after) = (directory_of(before), directory_of(after));
        // A file that became a directory is removed, and the files below are added.
        let is_leaf =
            |node: Option<&&Node>, below: Option<Object>| node.is_some() && below.is_none();
        match (is_leaf(before, below_before), is_leaf(after, below_after)) {
            (true, true) => _ = files.insert(path.clone(), change),
            (true, false) => _ = files.insert(path.clone(), Change::Removed),
            (false, true) => _ = files.insert(path.clone(), Change::Added),
            (false, false) => {}
        }
        if let Some(lost) = directories(below_before, below_after, &path, store, files)? {
            return Ok(Some(lost));
        }
    }
    Ok(None)
}

fn directory_of(node: Option<&&Node>) -> Option<Object> {
    match node {
        Some(Node::Directory { object }) => Some(*object),
        Some(Node::File { .. } | Node::Symlink { .. }) | None => None,
    }
}

impl fmt::Display for Difference {
    /// One line for each file of the configuration, operation and output file; nothing when nothing differs.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (path, change) in &self.config {
            writeln!(f, "{} config {path}", change.sign())?;
        }
        for (id, operation) in &self.operations {
            writeln!(f, "{} {id}{}", operation.change.sign(), operation.facts())?;
            match &operation.output {
                OutputDifference::Equal => {}
                OutputDifference::Files(files) => {
                    for (path, change) in files {
                        writeln!(f, "    {} {path}", change.sign())?;
                    }
                }
                OutputDifference::Lost(digest) => writeln!(f, "    bytes lost: {digest}")?,
            }
        }
        Ok(())
    }
}

impl OperationDifference {
    fn facts(&self) -> String {
        let output = self.change == Change::Changed && self.output != OutputDifference::Equal;
        let facts = [
            (self.recipe, "recipe"),
            (self.key, "key"),
            (self.work, "work"),
            (output, "output"),
        ];
        let named: Vec<&str> = facts
            .into_iter()
            .filter(|(holds, _)| *holds)
            .map(|(_, name)| name)
            .collect();
        if named.is_empty() {
            String::new()
        } else {
            format!(": {}", named.join(", "))
        }
    }
}
