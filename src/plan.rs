//! `Plan`: what is to be done, as a DAG of operations with a hash; a pure value.
//! Owns ordering, cycles and the trait `Rule`; how services become operations is `rules`' business.

pub mod analysis;
mod filter;
pub mod hash;
pub mod operation;
pub mod show;

use std::collections::BTreeMap;

use petgraph::Direction;
use petgraph::graph::{DiGraph, NodeIndex};
use petgraph::visit::EdgeRef;

pub use analysis::{Analysis, Draft, Rule};
pub use filter::{Filter, FilterError};
pub use hash::{OpHash, PlanHash};

use crate::config::{Config, Location};
use crate::inputs::Inputs;
use crate::name::{EnvironmentName, OperationName, ProjectName, ServiceName};
use operation::{Operation, OperationId};

/// What a plan is asked to reach.
#[derive(Debug, Clone)]
pub struct Target {
    /// The environment, where one matters.
    pub environment: Option<EnvironmentName>,
    /// What is wanted.
    pub goal: Goal,
    /// `--version`, or `unknown`; in no hash.
    pub version: String,
    /// `--services`: only these; all when absent.
    pub services: Option<Vec<ServiceName>>,
    /// Arguments after `--`, for the one operation of `Goal::Operations`.
    pub arguments: Vec<String>,
}

/// What is wanted of a project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Goal {
    /// These operations.
    Operations(Vec<OperationName>),
    /// Every operation.
    All,
    /// Every artifact of the environment.
    Artifacts,
    /// All phases of a release in the environment.
    Deploy,
}

/// Why there is no plan.
#[derive(Debug, thiserror::Error, PartialEq, Eq)]
pub enum PlanError {
    /// Two operations have one id.
    #[error("two operations are named `{id}`")]
    Duplicate {
        /// The id.
        id: OperationId,
    },
    /// An operation depends on one that is not there.
    #[error("`{operation}` needs `{missing}`, which is not in the plan")]
    Unknown {
        /// Who depends.
        operation: OperationId,
        /// On what.
        missing: OperationId,
    },
    /// Operations depend on each other in a circle.
    #[error("operations need each other in a circle: {}", path(.cycle))]
    Cycle {
        /// The circle, each needing the next; the first stands again at the end.
        cycle: Vec<OperationId>,
    },
    /// The configuration asks for something that cannot be built yet.
    #[error("{at}: {key} is not supported yet")]
    NotSupported {
        /// The key, as a path through the configuration.
        key: String,
        /// Where it stands.
        at: Location,
    },
    /// An operation was named that the configuration does not have.
    #[error("unknown operation `{name}`")]
    UnknownOperation {
        /// As given.
        name: String,
        /// Those there are, sorted.
        known: Vec<String>,
    },
    /// A service was named that the configuration does not have.
    #[error("unknown service in build plan: {name}")]
    UnknownService {
        /// As given.
        name: ServiceName,
        /// Those there are, sorted.
        known: Vec<ServiceName>,
    },
    /// An environment was named that the configuration does not have.
    #[error("invalid environment: {name}")]
    UnknownEnvironment {
        /// As given.
        name: String,
        /// Those there are, sorted.
        known: Vec<EnvironmentName>,
    },
}

fn path(ids: &[OperationId]) -> String {
    ids.iter()
        .map(|id| format!("`{id}`"))
        .collect::<Vec<_>>()
        .join(" -> ")
}

/// Why one node comes after another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Edge {
    /// It takes the other's output.
    Output,
    /// It only has to wait for the other.
    Order,
}

/// The position of an operation in a plan's order.
pub type Index = usize;

/// A DAG of operations in execution order.
#[derive(Debug, Clone)]
pub struct Plan {
    project: ProjectName,
    environment: Option<EnvironmentName>,
    version: String,
    /// Nodes are added in execution order, so a node's index is its position.
    graph: DiGraph<Operation, Edge>,
    by_id: BTreeMap<OperationId, Index>,
    hash: PlanHash,
}

/// Returns the plan that reaches `target`: the operations that `rules` make of it, in execution order.
/// `inputs` must hold the sources of every operation that [`analysis::wanted`] names.
pub fn plan(
    config: &Config,
    inputs: &Inputs,
    target: &Target,
    rules: &[&dyn Rule],
) -> Result<Plan, PlanError> {
    let mut analysis = Analysis::new(config, inputs, target);
    for rule in rules {
        rule.analyze(&mut analysis)?;
    }
    Plan::assemble(
        config.project.clone(),
        target.environment.clone(),
        target.version.clone(),
        analysis.into_drafts(),
    )
}

impl Plan {
    /// Returns the plan of `drafts`: checks ids and dependencies, orders, hashes.
    pub fn assemble(
        project: ProjectName,
        environment: Option<EnvironmentName>,
        version: String,
        drafts: Vec<Draft>,
    ) -> Result<Self, PlanError> {
        let order = analysis::order(&drafts)?;
        let mut graph: DiGraph<Operation, Edge> =
            DiGraph::with_capacity(drafts.len(), drafts.len() * 2);
        let mut by_id = BTreeMap::new();
        let mut drafts: Vec<Option<Draft>> = drafts.into_iter().map(Some).collect();
        let in_order = order.into_iter().filter_map(|at| drafts[at].take());
        for draft in in_order {
            let position = |id: &OperationId| -> Index { by_id[id] };
            let outputs: Vec<Index> = draft.takes.iter().map(position).collect();
            let waits: Vec<Index> = draft.after.iter().map(position).collect();
            let needs: Vec<OpHash> = outputs
                .iter()
                .map(|index| graph[NodeIndex::new(*index)].op_hash)
                .collect();
            let id = draft.id.clone();
            let node = graph.add_node(draft.into_operation(&needs));
            for index in &outputs {
                graph.update_edge(NodeIndex::new(*index), node, Edge::Output);
            }
            for index in waits.iter().filter(|index| !outputs.contains(index)) {
                graph.update_edge(NodeIndex::new(*index), node, Edge::Order);
            }
            by_id.insert(id, node.index());
        }
        let hash = hash::plan(graph.node_weights());
        Ok(Self {
            project,
            environment,
            version,
            graph,
            by_id,
            hash,
        })
    }

    /// Returns a plan as it was recorded: operations in execution order, each with the ids it takes output from and
    /// those it only waits for, and the hash it had. `None` where an id is not that of an earlier operation.
    pub fn recorded(
        project: ProjectName,
        environment: EnvironmentName,
        version: String,
        hash: PlanHash,
        operations: Vec<(Operation, Vec<(OperationId, Edge)>)>,
    ) -> Option<Self> {
        let mut graph = DiGraph::with_capacity(operations.len(), operations.len() * 2);
        let mut by_id = BTreeMap::new();
        for (operation, needs) in operations {
            let needs: Option<Vec<(Index, Edge)>> = needs
                .iter()
                .map(|(id, edge)| Some((*by_id.get(id)?, *edge)))
                .collect();
            let id = operation.id.clone();
            let node = graph.add_node(operation);
            for (need, edge) in needs? {
                graph.update_edge(NodeIndex::new(need), node, edge);
            }
            by_id.insert(id, node.index());
        }
        Some(Self {
            project,
            environment: Some(environment),
            version,
            graph,
            by_id,
            hash,
        })
    }

    /// Returns the project's name.
    pub fn project(&self) -> &ProjectName {
        &self.project
    }

    /// Returns the environment it is for, where one matters.
    pub fn environment(&self) -> Option<&EnvironmentName> {
        self.environment.as_ref()
    }

    /// Returns the version it was asked for; in no hash.
    pub fn version(&self) -> &str {
        &self.version
    }

    /// Returns the digest of what was asked for and of every leaf below it.
    pub fn hash(&self) -> PlanHash {
        self.hash
    }

    /// Returns how many operations there are.
    pub fn len(&self) -> usize {
        self.graph.node_count()
    }

    /// Returns whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the operations in execution order: each after all it depends on, ties by phase, then id.
    pub fn operations(&self) -> impl Iterator<Item = &Operation> {
        self.graph.node_weights()
    }

    /// Returns the operation at a position of that order.
    pub fn operation(&self, index: Index) -> &Operation {
        &self.graph[NodeIndex::new(index)]
    }

    /// Returns the position of an operation.
    pub fn find(&self, id: &OperationId) -> Option<Index> {
        self.by_id.get(id).copied()
    }

    /// Returns what the operation at `index` depends on, in execution order.
    pub fn dependencies(&self, index: Index) -> Vec<(Index, Edge)> {
        self.neighbours(index, Direction::Incoming)
    }

    /// Returns what depends on the operation at `index`, in execution order.
    pub fn dependents(&self, index: Index) -> Vec<(Index, Edge)> {
        self.neighbours(index, Direction::Outgoing)
    }

    fn neighbours(&self, index: Index, direction: Direction) -> Vec<(Index, Edge)> {
        let node = NodeIndex::new(index);
        let mut found: Vec<(Index, Edge)> = self
            .graph
            .edges_directed(node, direction)
            .map(|edge| {
                let other = if direction == Direction::Incoming {
                    edge.source()
                } else {
                    edge.target()
                };
                (other.index(), *edge.weight())
            })
            .collect();
        found.sort_unstable();
        found
    }
}
