//! The health gate of an environment: the last node of its rollout, evaluated every time.

use super::directory;
use crate::config::Driver;
use crate::name::HostName;
use crate::plan::operation::{Health, OperationId, Phase, Work};
use crate::plan::{Analysis, Draft, PlanError, Rule};

pub(super) struct HealthGate;

impl Rule for HealthGate {
    fn analyze(&self, analysis: &mut Analysis<'_>) -> Result<(), PlanError> {
        let Some((name, environment)) = analysis.deploys_to() else {
            return Ok(());
        };
        let Driver::Directory(driver) = &environment.driver else {
            return Ok(());
        };
        let Some(check) = driver.health.clone() else {
            return Ok(());
        };
        let switch = directory::switch(analysis, driver);
        analysis.add(Draft {
            id: OperationId::health_check(name),
            phase: Phase::Rollout,
            services: switch.services.keys().cloned().collect(),
            hosts: vec![HostName::local()],
            description: format!("health of environment {name}"),
            takes: switch.services.values().cloned().collect(),
            work: Work::Health(Health { check, switch }),
            after: vec![OperationId::deploy(name)],
        });
        Ok(())
    }
}
