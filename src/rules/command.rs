//! Configured operations: a command in the sandbox, one node each.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::config::OperationConfig;
use crate::name::OperationName;
use crate::plan::analysis::wanted;
use crate::plan::operation::{Limits, OperationId, Phase, Run, Work};
use crate::plan::{Analysis, Draft, Goal, PlanError, Rule};

pub(super) struct Command;

impl Rule for Command {
    fn analyze(&self, analysis: &mut Analysis<'_>) -> Result<(), PlanError> {
        let config = analysis.config;
        for name in wanted(config, analysis.target)? {
            let Some(operation) = config.operations.get(&name) else {
                continue;
            };
            let run = run(analysis, &name, operation);
            let takes = run.needs.iter().map(|(id, _)| id.clone()).collect();
            analysis.add(Draft {
                id: OperationId::operation(&name),
                phase: Phase::Build,
                services: Vec::new(),
                hosts: Vec::new(),
                description: describe(&name, operation),
                work: Work::Run(Box::new(run)),
                takes,
                after: Vec::new(),
            });
        }
        Ok(())
    }
}

fn describe(name: &OperationName, operation: &OperationConfig) -> String {
    operation
        .description
        .clone()
        .unwrap_or_else(|| format!("run {name}"))
}

fn run(analysis: &Analysis<'_>, name: &OperationName, operation: &OperationConfig) -> Run {
    let inputs = analysis.inputs;
    Run {
        command: operation.command.clone(),
        arguments: arguments(analysis, name),
        workdir: operation.workdir.clone(),
        selectors: operation
            .inputs
            .iter()
            .map(|input| {
                let sign = if input.value.excludes { "!" } else { "" };
                format!("{sign}{}", input.value.glob)
            })
            .collect(),
        outputs: operation
            .outputs
            .iter()
            .map(|output| output.value.clone())
            .collect(),
        needs: operation
            .needs
            .iter()
            .map(|need| (OperationId::operation(&need.operation), need.mount.clone()))
            .collect(),
        env: operation.env.clone(),
        passed: operation
            .pass_env
            .iter()
            .map(|passed| (passed.name.clone(), passed.secret))
            .collect(),
        network: operation.network,
        cache: operation.cache,
        limits: limits(analysis, operation),
        sources: inputs.sources.get(name).cloned().unwrap_or_default(),
        tools: operation
            .tools
            .iter()
            .filter_map(|tool| inputs.tools.get(&tool.value).map(Arc::clone))
            .collect(),
        base: Arc::clone(&inputs.base),
        base_trusted: analysis.config.sandbox.base_trusted,
        values: passed(operation, &inputs.passed),
        fingerprints: passed(operation, &inputs.fingerprints),
        platform: inputs.platform.clone(),
    }
}

fn limits(analysis: &Analysis<'_>, operation: &OperationConfig) -> Limits {
    Limits {
        timeout: operation.timeout,
        retries: operation.retries,
        resources: operation.resources.clone(),
        undeclared_writes_are_errors: analysis.config.sandbox.undeclared_writes_are_errors,
        export: operation.export,
    }
}

/// Returns what `known` has for the variables that the operation asks for.
fn passed(
    operation: &OperationConfig,
    known: &BTreeMap<String, String>,
) -> BTreeMap<String, String> {
    let asked = operation.pass_env.iter().map(|passed| &passed.name);
    asked
        .filter_map(|name| known.get_key_value(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}

fn arguments(analysis: &Analysis<'_>, name: &OperationName) -> Vec<String> {
    match &analysis.target.goal {
        Goal::Operations(names) if names.as_slice() == std::slice::from_ref(name) => {
            analysis.target.arguments.clone()
        }
        Goal::Operations(_) | Goal::All | Goal::Artifacts | Goal::Deploy => Vec::new(),
    }
}
