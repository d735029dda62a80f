//! Refuses what the configuration asks for and no executor can do yet (`spec/plan/reserved.md`).

use crate::config::{Driver, Location, ServiceSource};
use crate::name::OperationName;
use crate::plan::analysis::wanted;
use crate::plan::{Analysis, Goal, PlanError, Rule};

/// The keys of the top level that building for an environment would need.
const BUILD: &[&str] = &["backend", "frontend"];
/// The keys that a deploy would need besides.
const DEPLOY: &[&str] = &["databases", "migrations"];

pub(super) struct Reserved;

impl Rule for Reserved {
    fn analyze(&self, analysis: &mut Analysis<'_>) -> Result<(), PlanError> {
        for name in wanted(analysis.config, analysis.target)? {
            operation(analysis, &name)?;
        }
        match &analysis.target.goal {
            Goal::Operations(_) | Goal::All => Ok(()),
            Goal::Artifacts => {
                services(analysis, &["image"])?;
                sections(analysis, BUILD)
            }
            Goal::Deploy => {
                environment(analysis)?;
                services(analysis, &["image", "rollout"])?;
                sections(analysis, BUILD)?;
                sections(analysis, DEPLOY)
            }
        }
    }
}

fn refuse(key: String, at: &Location) -> PlanError {
    PlanError::NotSupported {
        key,
        at: at.clone(),
    }
}

fn operation(analysis: &Analysis<'_>, name: &OperationName) -> Result<(), PlanError> {
    let reserved = analysis
        .config
        .operations
        .get(name)
        .map(|operation| &operation.reserved);
    match reserved.and_then(|reserved| reserved.iter().next()) {
        Some((key, at)) => Err(refuse(format!("operations.{name}.{key}"), at)),
        None => Ok(()),
    }
}

fn environment(analysis: &Analysis<'_>) -> Result<(), PlanError> {
    let Some((name, environment)) = analysis.deploys_to() else {
        return Ok(());
    };
    if let Driver::Other(driver) = &environment.driver {
        let at = environment
            .reserved
            .get("driver")
            .unwrap_or(&environment.at);
        return Err(refuse(format!("environments.{name}.driver {driver}"), at));
    }
    match environment.reserved.iter().next() {
        Some((key, at)) => Err(refuse(format!("environments.{name}.{key}"), at)),
        None => Ok(()),
    }
}

/// Refuses the chosen services that have one of `keys`, or nothing to place.
fn services(analysis: &Analysis<'_>, keys: &[&str]) -> Result<(), PlanError> {
    let chosen = analysis.target.services.as_ref();
    for (name, service) in &analysis.config.services {
        if !chosen.is_none_or(|chosen| chosen.contains(name)) {
            continue;
        }
        for key in keys {
            let key = format!("services.{name}.{key}");
            if let Some(at) = analysis.config.reserved.get(&key) {
                return Err(refuse(key, at));
            }
        }
        if service.source == ServiceSource::Container {
            let key = format!("services.{name} without artifact");
            return Err(refuse(key, &service.at));
        }
    }
    Ok(())
}

fn sections(analysis: &Analysis<'_>, keys: &[&str]) -> Result<(), PlanError> {
    for key in keys {
        if let Some(at) = analysis.config.reserved.get(*key) {
            return Err(refuse((*key).to_owned(), at));
        }
    }
    Ok(())
}
