//! `Analysis`: where rules put the operations they make of a configuration, and the order of what came together.
//! Owns the closure of what was asked for, cycles, and ties.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet, BinaryHeap};

use super::hash;
use super::operation::{Operation, OperationId, Phase, Work};
use super::{Goal, OpHash, PlanError, Target};
use crate::config::{Config, EnvironmentConfig, OperationConfig, ServiceConfig, ServiceSource};
use crate::inputs::Inputs;
use crate::name::{EnvironmentName, HostName, OperationName, ServiceName};

/// Makes operations of one part of a configuration.
///
/// A rule reads no file and changes nothing but `analysis`; it adds the same drafts in the same order for the
/// same configuration, inputs and target.
pub trait Rule: Sync {
    /// Adds what this rule knows to make of the configuration and the target of `analysis`.
    fn analyze(&self, analysis: &mut Analysis<'_>) -> Result<(), PlanError>;
}

/// An operation before it has a place and a hash.
#[derive(Debug, Clone)]
pub struct Draft {
    /// Its id.
    pub id: OperationId,
    /// Its phase.
    pub phase: Phase,
    /// The services it touches.
    pub services: Vec<ServiceName>,
    /// The hosts it acts on.
    pub hosts: Vec<HostName>,
    /// For people.
    pub description: String,
    /// What it does.
    pub work: Work,
    /// Whose outputs it takes, in the order that its hash counts them.
    pub takes: Vec<OperationId>,
    /// What it only waits for.
    pub after: Vec<OperationId>,
}

impl Draft {
    /// Returns the operation, given the hash of each that it takes output from.
    pub(super) fn into_operation(self, needs: &[OpHash]) -> Operation {
        let op_hash = hash::recipe(&self.work, needs);
        Operation {
            id: self.id,
            phase: self.phase,
            services: self.services,
            hosts: self.hosts,
            description: self.description,
            work: self.work,
            op_hash,
        }
    }
}

/// A configuration under analysis, and the drafts so far.
#[derive(Debug)]
pub struct Analysis<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The digests below it.
    pub inputs: &'a Inputs,
    /// What is wanted.
    pub target: &'a Target,
    drafts: Vec<Draft>,
}

impl<'a> Analysis<'a> {
    /// Returns an analysis without drafts.
    pub(super) fn new(config: &'a Config, inputs: &'a Inputs, target: &'a Target) -> Self {
        Self {
            config,
            inputs,
            target,
            drafts: Vec::new(),
        }
    }

    /// Adds an operation.
    pub fn add(&mut self, draft: Draft) {
        self.drafts.push(draft);
    }

    /// Returns the drafts of `phase` so far that nothing else in the phase takes or waits for.
    pub fn last_of(&self, phase: Phase) -> Vec<OperationId> {
        let inside = self.drafts.iter().filter(|draft| draft.phase == phase);
        let needed: BTreeSet<&OperationId> = inside
            .clone()
            .flat_map(|draft| draft.takes.iter().chain(&draft.after))
            .collect();
        inside
            .map(|draft| &draft.id)
            .filter(|id| !needed.contains(id))
            .cloned()
            .collect()
    }

    /// Returns the environment of the target, when releases are made of it.
    pub fn deploys_to(&self) -> Option<(&'a EnvironmentName, &'a EnvironmentConfig)> {
        let name = self
            .target
            .environment
            .as_ref()
            .filter(|_| self.target.goal == Goal::Deploy)?;
        Some((name, self.config.environments.get(name)?))
    }

    pub(super) fn into_drafts(self) -> Vec<Draft> {
        self.drafts
    }
}

/// Returns the services of `target` that are artifacts, with their operations, sorted.
pub fn artifacts<'c>(
    config: &'c Config,
    target: &Target,
) -> Vec<(&'c ServiceName, &'c ServiceConfig, &'c OperationName)> {
    let wanted = |name: &ServiceName| {
        target
            .services
            .as_ref()
            .is_none_or(|some| some.contains(name))
    };
    config
        .services
        .iter()
        .filter(|(name, _)| wanted(name))
        .filter_map(|(name, service)| match &service.source {
            ServiceSource::Artifact(operation) => Some((name, service, &operation.value)),
            ServiceSource::Container => None,
        })
        .collect()
}

/// Returns the operations that `target` reaches: those asked for and all below them. These are what
/// `inputs::gather` must digest before there can be a plan.
pub fn wanted(config: &Config, target: &Target) -> Result<BTreeSet<OperationName>, PlanError> {
    if let Some(name) = &target.environment
        && !config.environments.contains_key(name)
    {
        let known = config.environments.keys().cloned().collect();
        return Err(PlanError::UnknownEnvironment {
            name: name.to_string(),
            known,
        });
    }
    for name in target.services.iter().flatten() {
        if !config.services.contains_key(name) {
            let known = config.services.keys().cloned().collect();
            return Err(PlanError::UnknownService {
                name: name.clone(),
                known,
            });
        }
    }
    let asked: Vec<&OperationName> = match &target.goal {
        Goal::Operations(names) => names.iter().collect(),
        Goal::All => config.operations.keys().collect(),
        Goal::Artifacts | Goal::Deploy => artifacts(config, target)
            .into_iter()
            .map(|(_, _, operation)| operation)
            .collect(),
    };
    let mut reached = BTreeSet::new();
    let mut open = asked;
    while let Some(name) = open.pop() {
        let operation = known_operation(config, name)?;
        if reached.insert(name.clone()) {
            open.extend(operation.needs.iter().map(|need| &need.operation));
        }
    }
    Ok(reached)
}

fn known_operation<'c>(
    config: &'c Config,
    name: &OperationName,
) -> Result<&'c OperationConfig, PlanError> {
    config
        .operations
        .get(name)
        .ok_or_else(|| PlanError::UnknownOperation {
            name: name.to_string(),
            known: config.operations.keys().map(ToString::to_string).collect(),
        })
}

/// Returns the positions of `drafts` in execution order: each after all it depends on; among those that could
/// come next, the earlier phase first, then the smaller id.
pub(super) fn order(drafts: &[Draft]) -> Result<Vec<usize>, PlanError> {
    let mut positions = BTreeMap::new();
    for (position, draft) in drafts.iter().enumerate() {
        if positions.insert(&draft.id, position).is_some() {
            return Err(PlanError::Duplicate {
                id: draft.id.clone(),
            });
        }
    }
    let mut needs: Vec<Vec<usize>> = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let mut own = Vec::with_capacity(draft.takes.len() + draft.after.len());
        for id in draft.takes.iter().chain(&draft.after) {
            let position = positions.get(id).ok_or_else(|| PlanError::Unknown {
                operation: draft.id.clone(),
                missing: id.clone(),
            })?;
            own.push(*position);
        }
        own.sort_unstable();
        own.dedup();
        needs.push(own);
    }
    let order = topological(drafts, &needs);
    if order.len() == drafts.len() {
        Ok(order)
    } else {
        Err(cycle(drafts, &needs, &order))
    }
}

fn topological(drafts: &[Draft], needs: &[Vec<usize>]) -> Vec<usize> {
    let mut waiting: Vec<usize> = needs.iter().map(Vec::len).collect();
    let mut dependents: Vec<Vec<usize>> = vec![Vec::new(); drafts.len()];
    for (position, own) in needs.iter().enumerate() {
        for need in own {
            dependents[*need].push(position);
        }
    }
    let rank = |position: usize| Reverse((drafts[position].phase, &drafts[position].id, position));
    let mut ready: BinaryHeap<_> = (0..drafts.len())
        .filter(|position| waiting[*position] == 0)
        .map(rank)
        .collect();
    let mut order = Vec::with_capacity(drafts.len());
    while let Some(Reverse((_, _, position))) = ready.pop() {
        order.push(position);
        for dependent in &dependents[position] {
            waiting[*dependent] -= 1;
            if waiting[*dependent] == 0 {
                ready.push(rank(*dependent));
            }
        }
    }
    order
}

/// The circle that is entered by always following the smallest unordered dependency, told from its smallest id.
fn cycle(drafts: &[Draft], needs: &[Vec<usize>], ordered: &[usize]) -> PlanError {
    let ordered: BTreeSet<usize> = ordered.iter().copied().collect();
    let smallest = |positions: &mut dyn Iterator<Item = usize>| {
        positions
            .filter(|p| !ordered.contains(p))
            .min_by_key(|p| &drafts[*p].id)
    };
    let mut trail: Vec<usize> = Vec::new();
    let mut next = smallest(&mut (0..drafts.len()));
    while let Some(position) = next {
        if let Some(start) = trail.iter().position(|seen| *seen == position) {
            trail.drain(..start);
            break;
        }
        trail.push(position);
        next = smallest(&mut needs[position].iter().copied());
    }
    let first = trail
        .iter()
        .enumerate()
        .min_by_key(|(_, p)| &drafts[**p].id)
        .map_or(0, |(at, _)| at);
    trail.rotate_left(first);
    let mut cycle: Vec<OperationId> = trail.iter().map(|p| drafts[*p].id.clone()).collect();
    cycle.extend(cycle.first().cloned());
    PlanError::Cycle { cycle }
}
