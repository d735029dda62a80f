//! Refuses what the configuration asks for and no executor can do yet (`spec/plan/reserved.md`).

use crate::config::{Driver, Location, ServiceSource};
use crate::name::OperationName;
use crate::plan::analysis::wanted;
use crate::plan::{Analysis, Goal, PlanError, Rule};

/// The keys of the top level that building for an environment would need.
const BUILD: &[&str] = &["backend"];
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
                services(analysis)?;
                sections(analysis, BUILD)
            }
            Goal::Deploy => {
                environment(analysis)?;
                services(analysis)?;
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

fn services(analysis: &Analysis<'_>) -> Result<(), PlanError> {
    let chosen = analysis.target.services.as_ref();
    for (name, service) in &analysis.config.services {
        let is_chosen = chosen.is_none_or(|chosen| chosen.contains(name));
        if is_chosen && service.source == ServiceSource::Container {
            return Err(refuse(
                format!("services.{name} without artifact"),
                &service.at,
            ));
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
