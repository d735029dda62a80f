//! A plan as text, JSON, DOT and Mermaid. Pure: the same plan and predictions give the same bytes.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use serde_json::{Map, Value, json};
use stagecraft_store::ActionKey;

use super::operation::{Operation, Work};
use super::{Filter, Index, Plan};

/// What the store says about one operation before anything runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Prediction {
    /// Whether it will run.
    pub cache: Cache,
    /// Its key, where everything below it is known.
    pub key: Option<ActionKey>,
    /// Why it misses or is unresolved, in one line.
    pub reason: Option<String>,
}

/// Whether an operation will run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Cache {
    /// Its result is in the store.
    Hit,
    /// It has none, so it runs.
    Miss,
    /// Something below it misses: it may go either way.
    Unresolved,
    /// It acts on a target, which a plan does not look at.
    Effect,
}

impl Cache {
    /// Returns the word for it in output.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Hit => "hit",
            Self::Miss => "miss",
            Self::Unresolved => "unresolved",
            Self::Effect => "effect",
        }
    }
}

/// A plan with the predictions for its operations, in plan order, and the positions to show.
#[derive(Debug, Clone, Copy)]
pub struct View<'v> {
    /// The plan.
    pub plan: &'v Plan,
    /// One for each operation.
    pub predictions: &'v [Prediction],
    /// The positions to show.
    pub shown: &'v BTreeSet<Index>,
}

impl View<'_> {
    /// Returns the plan as text (`spec/cli/plan.md`).
    pub fn text(&self, filter: &Filter) -> String {
        let mut out = String::new();
        let list = |names: &[String]| {
            if names.is_empty() {
                "(all)".to_owned()
            } else {
                names.join(", ")
            }
        };
        if let Some(environment) = self.plan.environment() {
            line(&mut out, &format!("Environment: {environment}"));
        }
        line(&mut out, &format!("Version: {}", self.plan.version()));
        line(&mut out, &format!("Services: {}", list(&filter.services)));
        line(&mut out, &format!("Hosts: {}", list(&filter.hosts)));
        line(&mut out, &format!("Plan: {}", self.plan.hash()));
        line(&mut out, "\nPhases:");
        for (number, index) in self.shown.iter().enumerate() {
            if number > 0 {
                out.push('\n');
            }
            self.entry(&mut out, number + 1, *index);
        }
        out
    }

    fn entry(&self, out: &mut String, number: usize, index: Index) {
        let operation = self.plan.operation(index);
        let prediction = &self.predictions[index];
        line(out, &format!("  {number}. {}", operation.id));
        let field = |out: &mut String, name: &str, value: &str| {
            line(out, &format!("     - {name}: {value}"));
        };
        field(out, "phase", operation.phase.as_str());
        field(out, "kind", operation.kind().as_str());
        field(out, "services", &brackets(&operation.services));
        field(out, "hosts", &brackets(&operation.hosts));
        field(out, "description", &operation.description);
        field(out, "depends_on", &brackets(&self.dependencies(index)));
        for (name, value) in metadata(operation) {
            field(out, name, &value);
        }
        let cache = prediction.cache.as_str();
        match &prediction.reason {
            Some(reason) => field(out, "cache", &format!("{cache} ({reason})")),
            None => field(out, "cache", cache),
        }
    }

    fn dependencies(&self, index: Index) -> Vec<&str> {
        let mut ids: Vec<&str> = self
            .plan
            .dependencies(index)
            .into_iter()
            .map(|(need, _)| self.plan.operation(need).id.as_str())
            .collect();
        ids.sort_unstable();
        ids
    }

    /// Returns the plan as one JSON document.
    pub fn json(&self) -> Value {
        let phases: Vec<Value> = self
            .shown
            .iter()
            .map(|index| self.json_entry(*index))
            .collect();
        json!({
            "env": self.plan.environment().map(ToString::to_string),
            "version": self.plan.version(),
            "plan": self.plan.hash().to_string(),
            "phases": phases,
        })
    }

    fn json_entry(&self, index: Index) -> Value {
        let operation = self.plan.operation(index);
        let prediction = &self.predictions[index];
        let names = |names: Vec<&str>| Value::from(names);
        let mut entry = Map::new();
        entry.insert("id".into(), operation.id.as_str().into());
        entry.insert("kind".into(), operation.kind().as_str().into());
        entry.insert(
            "services".into(),
            names(operation.services.iter().map(AsRef::as_ref).collect()),
        );
        entry.insert(
            "hosts".into(),
            names(operation.hosts.iter().map(AsRef::as_ref).collect()),
        );
        entry.insert("description".into(), operation.description.as_str().into());
        entry.insert("depends_on".into(), names(self.dependencies(index)));
        let metadata: Map<String, Value> = metadata(operation)
            .into_iter()
            .map(|(name, value)| (name.to_owned(), value.into()))
            .collect();
        if !metadata.is_empty() {
            entry.insert("metadata".into(), metadata.into());
        }
        entry.insert("phase".into(), operation.phase.as_str().into());
        entry.insert("class".into(), operation.class().as_str().into());
        entry.insert("op_hash".into(), operation.op_hash.to_string().into());
        entry.insert(
            "action_key".into(),
            prediction.key.map(|key| key.to_string()).into(),
        );
        entry.insert("cache".into(), prediction.cache.as_str().into());
        entry.insert("reason".into(), prediction.reason.clone().into());
        entry.into()
    }

    /// Returns the graph in DOT, dependencies pointing at what depends on them.
    pub fn dot(&self) -> String {
        let mut out = String::from(
            "digraph stagecraft {\n  rankdir=LR;\n  node [shape=box, style=filled];\n",
        );
        for index in self.shown {
            let operation = self.plan.operation(*index);
            let cache = self.predictions[*index].cache;
            let colour = match cache {
                Cache::Hit => "palegreen",
                Cache::Miss => "lightsalmon",
                Cache::Unresolved => "khaki",
                Cache::Effect => "lightblue",
            };
            let id = quoted(operation.id.as_str());
            let label = quoted(&format!("{}\n{}", operation.id, cache.as_str()));
            line(
                &mut out,
                &format!("  {id} [label={label}, fillcolor={colour}];"),
            );
        }
        for (from, to) in self.edges() {
            line(&mut out, &format!("  {} -> {};", quoted(from), quoted(to)));
        }
        out.push_str("}\n");
        out
    }

    /// Returns the graph in Mermaid.
    pub fn mermaid(&self) -> String {
        let mut out = String::from("flowchart LR\n");
        for index in self.shown {
            let id = self
                .plan
                .operation(*index)
                .id
                .as_str()
                .replace('"', "#quot;");
            line(
                &mut out,
                &format!(
                    "  n{index}[\"{id}: {}\"]",
                    self.predictions[*index].cache.as_str()
                ),
            );
        }
        for index in self.shown {
            for (need, _) in self.shown_dependencies(*index) {
                line(&mut out, &format!("  n{need} --> n{index}"));
            }
        }
        out
    }

    fn shown_dependencies(&self, index: Index) -> impl Iterator<Item = (Index, super::Edge)> {
        self.plan
            .dependencies(index)
            .into_iter()
            .filter(|(need, _)| self.shown.contains(need))
    }

    fn edges(&self) -> impl Iterator<Item = (&str, &str)> {
        self.shown.iter().flat_map(move |index| {
            let to = self.plan.operation(*index).id.as_str();
            self.shown_dependencies(*index)
                .map(move |(need, _)| (self.plan.operation(need).id.as_str(), to))
        })
    }
}

fn line(out: &mut String, text: &str) {
    // Writing to a String cannot fail.
    writeln!(out, "{text}").ok();
}

fn brackets<T: AsRef<str>>(names: &[T]) -> String {
    format!(
        "[{}]",
        names
            .iter()
            .map(AsRef::as_ref)
            .collect::<Vec<_>>()
            .join(", ")
    )
}

fn quoted(text: &str) -> String {
    format!(
        "\"{}\"",
        text.replace('\\', "\\\\")
            .replace('"', "\\\"")
            .replace('\n', "\\n")
    )
}

/// What a reader of the plan should know about an operation beside its hashes.
fn metadata(operation: &Operation) -> Vec<(&'static str, String)> {
    let mut found = Vec::new();
    match &operation.work {
        Work::Run(run) => {
            if run.network {
                found.push((
                    "network",
                    "true: its output may differ between equal runs".to_owned(),
                ));
            }
            if !run.cache {
                found.push(("remembered", "false: it runs every time".to_owned()));
            }
            if !run.tools.is_empty() {
                let tools: Vec<&str> = run.tools.iter().map(|tool| tool.name.as_str()).collect();
                found.push(("tools", tools.join(" ")));
            }
        }
        Work::Place(place) => found.push(("path", place.path.clone())),
        Work::Switch(switch) => found.push(("path", switch.path.clone())),
        Work::Recorded | Work::Health(_) => {}
    }
    found
}
