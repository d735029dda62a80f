//! Drafts and plans made by hand, for tests that need no configuration. Reads nothing.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use stagecraft::config::{CommandLine, OutputPattern, Resources};
use stagecraft::inputs::Base;
use stagecraft::name::ProjectPath;
use stagecraft::plan::operation::{Limits, OperationId, Phase, Run, Work};
use stagecraft::plan::{Draft, Plan, PlanError};
use stagecraft_store::{Digest, Node, Object};

/// Returns the id of a configured operation.
pub(crate) fn id(name: &str) -> OperationId {
    OperationId::operation(&name.parse().unwrap())
}

/// Returns a path from the project root.
pub(crate) fn path(text: &str) -> ProjectPath {
    text.parse().unwrap()
}

/// Returns a small recipe: `tool <name>` over one source, with one output.
pub(crate) fn run(name: &str) -> Run {
    Run {
        command: CommandLine::Argv(vec!["tool".to_owned(), name.to_owned()]),
        arguments: Vec::new(),
        workdir: ProjectPath::root(),
        selectors: vec![format!("src/{name}")],
        outputs: vec![OutputPattern {
            glob: "out".to_owned(),
            directory: false,
            optional: false,
        }],
        needs: Vec::new(),
        env: BTreeMap::new(),
        passed: Vec::new(),
        network: false,
        cache: true,
        limits: Limits {
            timeout: Duration::from_secs(3600),
            retries: 0,
            resources: Resources {
                cpu: 1,
                memory: None,
            },
            undeclared_writes_are_errors: false,
            export: false,
        },
        sources: Arc::new(vec![(
            path(&format!("src/{name}")),
            Node::File {
                object: Object::of(name.as_bytes()),
                executable: false,
            },
        )]),
        tools: Vec::new(),
        base: Arc::new(Base {
            identity: Digest::of(b"base"),
            description: "base 1".to_owned(),
            programs: Vec::new(),
        }),
        base_trusted: false,
        values: BTreeMap::new(),
        fingerprints: BTreeMap::new(),
        platform: "linux-x86_64".to_owned(),
    }
}

/// Returns the draft of a recipe that takes the outputs of `needs`, each at `deps/<need>`.
pub(crate) fn draft(name: &str, needs: &[&str], mut run: Run) -> Draft {
    run.needs = needs
        .iter()
        .map(|need| (id(need), path(&format!("deps/{need}"))))
        .collect();
    Draft {
        id: id(name),
        phase: Phase::Build,
        services: Vec::new(),
        hosts: Vec::new(),
        description: format!("run {name}"),
        takes: run.needs.iter().map(|(need, _)| need.clone()).collect(),
        work: Work::Run(Box::new(run)),
        after: Vec::new(),
    }
}

/// Returns a plan of small recipes: each name with what it needs.
pub(crate) fn graph(operations: &[(&str, &[&str])]) -> Plan {
    let drafts = operations
        .iter()
        .map(|(name, needs)| draft(name, needs, run(name)));
    assemble(drafts.collect()).unwrap()
}

/// Returns the plan of drafts.
pub(crate) fn assemble(drafts: Vec<Draft>) -> Result<Plan, PlanError> {
    Plan::assemble(
        "project".parse().unwrap(),
        None,
        "unknown".to_owned(),
        drafts,
    )
}
