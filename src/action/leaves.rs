//! `Leaves`: what went into an `ActionKey`, one line each, kept so that a miss can be explained.
//! An object in the store; never part of a key itself.

use stagecraft_store::{DecodeError, Decoder, Digest, Encoder, Node, Object};

use super::{RunTask, SwitchTask, Task};
use crate::name::ProjectPath;
use crate::plan::hash::SANDBOX_CONTRACT;
use crate::plan::operation::OperationId;

/// The sorts of leaf, in the order in which a difference is reported.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LeafKind {
    /// The command line or script.
    Command,
    /// Another part of the recipe: workdir, outputs, network, platform, sandbox contract.
    Recipe,
    /// A variable: its own or a passed one.
    Variable,
    /// A tool's identity.
    Tool,
    /// The identity of the base utilities.
    Base,
    /// A source file or symlink.
    Source,
    /// The output of a dependency.
    Dependency,
    /// A part of the state that an effect wants on its target.
    Target,
}

impl LeafKind {
    const ALL: [Self; 8] = [
        Self::Command,
        Self::Recipe,
        Self::Variable,
        Self::Tool,
        Self::Base,
        Self::Source,
        Self::Dependency,
        Self::Target,
    ];

    fn code(self) -> u8 {
        match self {
            Self::Command => 0,
            Self::Recipe => 1,
            Self::Variable => 2,
            Self::Tool => 3,
            Self::Base => 4,
            Self::Source => 5,
            Self::Dependency => 6,
            Self::Target => 7,
        }
    }

    /// Returns the word for it in `why --format json`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Command => "command",
            Self::Recipe => "recipe",
            Self::Variable => "variable",
            Self::Tool => "tool",
            Self::Base => "base",
            Self::Source => "source",
            Self::Dependency => "dependency",
            Self::Target => "target",
        }
    }
}

/// One thing that went into a key: its sort, its name, and its value as text.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Leaf {
    /// The sort.
    pub kind: LeafKind,
    /// Which one: a path, a variable, a tool, an operation.
    pub name: String,
    /// Its value: a digest, or short text; never a secret's value.
    pub value: String,
}

/// All leaves of one action, sorted by kind and name, each once.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Leaves(Vec<Leaf>);

const VERSION: u8 = 1;

impl Leaves {
    /// Returns the leaves in order.
    pub fn new(mut leaves: Vec<Leaf>) -> Self {
        leaves.sort();
        leaves.dedup();
        Self(leaves)
    }

    /// Returns them, sorted.
    pub fn as_slice(&self) -> &[Leaf] {
        &self.0
    }

    /// Returns the bytes kept in the store (`spec/evaluate/explain.md`).
    pub fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new();
        encoder.u8(VERSION);
        encoder.list(&self.0, |encoder, leaf| {
            encoder.u8(leaf.kind.code());
            encoder.text(&leaf.name);
            encoder.text(&leaf.value);
        });
        encoder.into_bytes()
    }

    /// Returns the leaves that `bytes` hold; `None` where another version wrote them.
    pub fn decode(bytes: &[u8]) -> Result<Option<Self>, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        if decoder.u8()? != VERSION {
            return Ok(None);
        }
        let leaves = decoder.list(|decoder| {
            let code = decoder.u8()?;
            let kind = LeafKind::ALL.into_iter().find(|kind| kind.code() == code);
            let (name, value) = (decoder.text()?.to_owned(), decoder.text()?.to_owned());
            Ok(kind.map(|kind| Leaf { kind, name, value }))
        })?;
        decoder.finish()?;
        Ok(leaves
            .into_iter()
            .collect::<Option<Vec<_>>>()
            .map(Self::new))
    }
}

/// Returns the leaves of a task.
pub(super) fn of(task: &Task<'_>) -> Leaves {
    match task {
        Task::Run(task) => of_run(task),
        Task::Place(place) => Leaves::new(vec![target(
            place.service.as_str(),
            place.tree.digest.to_string(),
        )]),
        Task::Switch(switch) => of_switch(switch),
        Task::Health(health) => of_switch(&health.switch),
    }
}

fn leaf(kind: LeafKind, name: &str, value: String) -> Leaf {
    Leaf {
        kind,
        name: name.to_owned(),
        value,
    }
}

fn target(name: &str, value: String) -> Leaf {
    leaf(LeafKind::Target, name, value)
}

fn of_switch(switch: &SwitchTask<'_>) -> Leaves {
    let mut leaves: Vec<Leaf> = switch
        .services
        .iter()
        .map(|(service, tree)| target(service.as_str(), tree.digest.to_string()))
        .collect();
    leaves.push(target(
        "activate",
        switch.activate.map(quote).unwrap_or_default(),
    ));
    Leaves::new(leaves)
}

fn of_run(task: &RunTask<'_>) -> Leaves {
    let run = task.run;
    let mut leaves = vec![
        leaf(LeafKind::Command, "", quote(&run.argv())),
        leaf(LeafKind::Recipe, "workdir", run.workdir.to_string()),
        leaf(LeafKind::Recipe, "network", run.network.to_string()),
        leaf(LeafKind::Recipe, "platform", run.platform.clone()),
        leaf(
            LeafKind::Recipe,
            "sandbox contract",
            SANDBOX_CONTRACT.to_string(),
        ),
    ];
    for output in &run.outputs {
        let name = format!("output {}", output.glob);
        let (directory, optional) = (output.directory, output.optional);
        leaves.push(leaf(
            LeafKind::Recipe,
            &name,
            format!("{directory} {optional}"),
        ));
    }
    for (name, value) in &run.env {
        leaves.push(leaf(LeafKind::Variable, name, value.clone()));
    }
    for (name, secret) in &run.passed {
        let value = if *secret {
            run.fingerprints.get(name)
        } else {
            run.values.get(name)
        };
        leaves.extend(value.map(|value| leaf(LeafKind::Variable, name, value.clone())));
    }
    for tool in &run.tools {
        leaves.push(leaf(
            LeafKind::Tool,
            &tool.name,
            identity(&tool.description, &tool.identity),
        ));
    }
    if !run.base_trusted {
        leaves.push(leaf(
            LeafKind::Base,
            "",
            identity(&run.base.description, &run.base.identity),
        ));
    }
    for (path, node) in run.sources.iter() {
        leaves.push(leaf(LeafKind::Source, path.as_str(), source(node)));
    }
    for ((id, mount), (_, object)) in needs_in_mount_order(task) {
        let name = format!("{id} at {mount}");
        leaves.push(leaf(LeafKind::Dependency, &name, object.digest.to_string()));
    }
    Leaves::new(leaves)
}

type Needed<'t> = (&'t (OperationId, ProjectPath), &'t (ProjectPath, Object));

/// `mounts` is sorted by full path; `needs` by path below the same workdir, which is the same order.
fn needs_in_mount_order<'t>(task: &'t RunTask<'_>) -> impl Iterator<Item = Needed<'t>> {
    let mut needs: Vec<_> = task.run.needs.iter().collect();
    needs.sort_by(|a, b| a.1.cmp(&b.1));
    needs.into_iter().zip(&task.mounts)
}

fn identity(description: &str, identity: &Digest) -> String {
    format!("{description} {identity}")
}

fn source(node: &Node) -> String {
    match node {
        Node::File {
            object,
            executable: true,
        } => format!("{} executable", object.digest),
        Node::File { object, .. } | Node::Directory { object } => object.digest.to_string(),
        Node::Symlink { target } => format!("-> {target}"),
    }
}

/// Arguments as one line that tells them apart.
fn quote(arguments: &[String]) -> String {
    arguments
        .iter()
        .map(|argument| format!("{argument:?}"))
        .collect::<Vec<_>>()
        .join(" ")
}
