//! Which operations of a plan to show: by service, phase, host or role, with all they depend on.

use std::collections::BTreeSet;

use super::operation::Phase;
use super::{Index, Plan};

/// What to keep; an empty list keeps everything of its sort.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Filter {
    /// Service names.
    pub services: Vec<String>,
    /// Phase names, or ids of operations, or prefixes of ids.
    pub phases: Vec<String>,
    /// Host names.
    pub hosts: Vec<String>,
}

/// A filter that names nothing in the plan.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FilterError {
    /// No operation touches the service.
    #[error("applying filters: service {0:?} not found in plan")]
    Service(String),
    /// No operation is in the phase or has an id that starts so.
    #[error("applying filters: phase {0:?} not found in plan")]
    Phase(String),
    /// No operation acts on the host.
    #[error("applying filters: host {0:?} not found in plan")]
    Host(String),
}

impl Filter {
    /// Returns the positions that pass every list, and all they depend on.
    pub fn apply(&self, plan: &Plan) -> Result<BTreeSet<Index>, FilterError> {
        let mut kept: BTreeSet<Index> = (0..plan.len()).collect();
        narrow(
            plan,
            &mut kept,
            &self.services,
            FilterError::Service,
            |at, name| {
                plan.operation(at)
                    .services
                    .iter()
                    .any(|service| service.as_str() == name)
            },
        )?;
        narrow(
            plan,
            &mut kept,
            &self.phases,
            FilterError::Phase,
            |at, name| {
                let operation = plan.operation(at);
                Phase::parse(name) == Some(operation.phase)
                    || operation.id.as_str().starts_with(name)
            },
        )?;
        narrow(
            plan,
            &mut kept,
            &self.hosts,
            FilterError::Host,
            |at, name| {
                plan.operation(at)
                    .hosts
                    .iter()
                    .any(|host| host.as_str() == name)
            },
        )?;
        Ok(with_dependencies(plan, kept))
    }
}

/// Keeps what one of `names` matches; no names keep everything.
fn narrow(
    plan: &Plan,
    kept: &mut BTreeSet<Index>,
    names: &[String],
    unknown: impl Fn(String) -> FilterError,
    matches: impl Fn(Index, &str) -> bool,
) -> Result<(), FilterError> {
    if names.is_empty() {
        return Ok(());
    }
    for name in names {
        if !(0..plan.len()).any(|at| matches(at, name)) {
            return Err(unknown(name.clone()));
        }
    }
    kept.retain(|at| names.iter().any(|name| matches(*at, name)));
    Ok(())
}

fn with_dependencies(plan: &Plan, mut kept: BTreeSet<Index>) -> BTreeSet<Index> {
    let mut open: Vec<Index> = kept.iter().copied().collect();
    while let Some(at) = open.pop() {
        for (need, _) in plan.dependencies(at) {
            if kept.insert(need) {
                open.push(need);
            }
        }
    }
    kept
}
