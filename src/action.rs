//! `Action`: an operation whose inputs are all digests, and its `ActionKey`.
//! Pure: the same operation with the same digests gives the same key on any machine.

use std::collections::BTreeMap;
use std::path::PathBuf;

use stagecraft_store::{ActionKey, Object};

use crate::config::HealthConfig;
use crate::name::{ProjectPath, ServiceName};
use crate::plan::operation::{OperationId, Run};

pub mod leaves;
mod resolve;

pub use leaves::{Leaf, LeafKind, Leaves};
pub use resolve::{ResolveError, resolve};

/// One operation, ready to be looked up or executed.
#[derive(Debug, Clone)]
pub struct Action<'p> {
    /// The operation's id.
    pub id: &'p OperationId,
    /// What decides a hit.
    pub key: ActionKey,
    /// What is to be done.
    pub task: Task<'p>,
}

/// What an action does, every dependency replaced by its output.
#[derive(Debug, Clone)]
pub enum Task<'p> {
    /// A command in the sandbox.
    Run(RunTask<'p>),
    /// Driver `directory`: `tree` below `<path>/trees/`.
    Place(PlaceTask<'p>),
    /// Driver `directory`: links, `current`, `activate`.
    Switch(SwitchTask<'p>),
    /// The health gate.
    Health(HealthTask<'p>),
}

/// A command in the sandbox.
#[derive(Debug, Clone)]
pub struct RunTask<'p> {
    /// The recipe, its sources, tools and variables.
    pub run: &'p Run,
    /// The output trees it finds, by path from the project root, sorted.
    pub mounts: Vec<(ProjectPath, Object)>,
    /// The tree of all it finds: sources and mounts.
    pub input_root: Object,
}

/// The tree of one service.
#[derive(Debug, Clone)]
pub struct PlaceTask<'p> {
    /// `path` as configured: absolute, or from the project root.
    pub path: &'p str,
    /// The service.
    pub service: &'p ServiceName,
    /// Its tree.
    pub tree: Object,
}

/// All services of a release.
#[derive(Debug, Clone)]
pub struct SwitchTask<'p> {
    /// `path` as configured: absolute, or from the project root.
    pub path: &'p str,
    /// Service -> tree.
    pub services: BTreeMap<&'p ServiceName, Object>,
    /// Run in the project root after a switch.
    pub activate: Option<&'p [String]>,
    /// The gate that follows.
    pub health: Option<&'p HealthConfig>,
}

/// The health gate of an environment, and the switch it guards.
#[derive(Debug, Clone)]
pub struct HealthTask<'p> {
    /// What must hold.
    pub check: &'p HealthConfig,
    /// What goes back when it does not.
    pub switch: SwitchTask<'p>,
}

impl SwitchTask<'_> {
    /// Returns the target directory for a project.
    pub fn directory(&self, project: &std::path::Path) -> PathBuf {
        project.join(self.path)
    }
}

impl Action<'_> {
    /// Returns what went into the key, for `why`; computed on demand, since a hit needs none of it.
    pub fn leaves(&self) -> Leaves {
        leaves::of(&self.task)
    }
}
