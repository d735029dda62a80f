//! Driver `directory`: one node for the tree of each service, and the join that switches them all.

use std::collections::BTreeMap;

use crate::config::{DirectoryDriver, Driver};
use crate::name::{EnvironmentName, HostName};
use crate::plan::analysis::artifacts;
use crate::plan::operation::{OperationId, Phase, Place, Switch, Work};
use crate::plan::{Analysis, Draft, PlanError, Rule};

pub(super) struct Directory;

impl Rule for Directory {
    fn analyze(&self, analysis: &mut Analysis<'_>) -> Result<(), PlanError> {
        let Some((name, environment)) = analysis.deploys_to() else {
            return Ok(());
        };
        let Driver::Directory(driver) = &environment.driver else {
            return Ok(());
        };
        let built = analysis.last_of(Phase::Build);
        let switch = switch(analysis, driver);
        for (service, artifact) in &switch.services {
            analysis.add(Draft {
                id: OperationId::rollout(service, &HostName::local()),
                phase: Phase::Rollout,
                services: vec![service.clone()],
                hosts: vec![HostName::local()],
                description: format!("place the tree of {service}"),
                work: Work::Place(Place {
                    path: driver.path.clone(),
                    service: service.clone(),
                    artifact: artifact.clone(),
                }),
                takes: vec![artifact.clone()],
                after: built.clone(),
            });
        }
        analysis.add(join(name, switch));
        Ok(())
    }
}

/// Returns the switch of an environment: every artifact service and its operation.
pub(super) fn switch(analysis: &Analysis<'_>, driver: &DirectoryDriver) -> Switch {
    let services: BTreeMap<_, _> = artifacts(analysis.config, analysis.target)
        .into_iter()
        .map(|(service, _, operation)| (service.clone(), OperationId::operation(operation)))
        .collect();
    Switch {
        path: driver.path.clone(),
        services,
        activate: driver.activate.clone(),
        health: driver.health.clone(),
    }
}

fn join(name: &EnvironmentName, switch: Switch) -> Draft {
    let after = switch
        .services
        .keys()
        .map(|service| OperationId::rollout(service, &HostName::local()))
        .collect();
    Draft {
        id: OperationId::deploy(name),
        phase: Phase::Rollout,
        services: switch.services.keys().cloned().collect(),
        hosts: vec![HostName::local()],
        description: format!("switch environment {name} to the new release"),
        takes: switch.services.values().cloned().collect(),
        work: Work::Switch(switch),
        after,
    }
}
