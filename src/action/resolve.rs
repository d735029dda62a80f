//! Operation and digests in, sealed action out: the REAPI messages whose digest is the `ActionKey`
//! (`spec/plan/hashes.md`).

use std::collections::BTreeMap;

use stagecraft_store::{ActionKey, Digest, Encoder, Message, Node, Object, TreeBuilder, TreeError};

use super::{Action, HealthTask, PlaceTask, RunTask, SwitchTask, Task};
use crate::name::ProjectPath;
use crate::plan::hash::{SANDBOX_CONTRACT, encode_health};
use crate::plan::operation::{Health, Operation, OperationId, Place, Run, Switch, Work};

/// Why an operation has no key.
#[derive(Debug, thiserror::Error)]
pub enum ResolveError {
    /// A dependency has no output yet, so what this one would see is not known.
    #[error("waits for the output of `{0}`")]
    Unresolved(OperationId),
    /// A secret has no fingerprint, because the store that holds the key to make it does not exist yet.
    #[error("the fingerprint of secret `{0}` is not known without a store")]
    Secret(String),
    /// It belongs to a recorded plan, where only its output is known.
    #[error("its recipe was not recorded, only its output")]
    Recorded,
    /// Sources and mounts do not fit into one tree.
    #[error("inputs do not fit together")]
    Tree(#[from] TreeError),
}

/// Returns the action of `operation`, given the output of every operation it takes from.
pub fn resolve<'p>(
    operation: &'p Operation,
    outputs: &BTreeMap<OperationId, Object>,
) -> Result<Action<'p>, ResolveError> {
    let output = |id: &OperationId| {
        outputs
            .get(id)
            .copied()
            .ok_or_else(|| ResolveError::Unresolved(id.clone()))
    };
    let (key, task) = match &operation.work {
        Work::Run(run) => {
            let task = run_task(run, &output)?;
            (run_key(&task)?, Task::Run(task))
        }
        Work::Recorded => return Err(ResolveError::Recorded),
        Work::Place(place) => {
            let task = place_task(place, &output)?;
            (
                effect_key(|encoder| encode_place(encoder, &task)),
                Task::Place(task),
            )
        }
        Work::Switch(switch) => {
            let task = switch_task(switch, &output)?;
            (
                effect_key(|encoder| encode_switch(encoder, &task)),
                Task::Switch(task),
            )
        }
        Work::Health(health) => {
            let task = health_task(health, &output)?;
            let key = effect_key(|encoder| {
                encoder.text("health");
                encode_health(encoder, task.check);
                encode_switch(encoder, &task.switch);
            });
            (key, Task::Health(task))
        }
    };
    Ok(Action {
        id: &operation.id,
        key,
        task,
    })
}

type Output<'o> = &'o dyn Fn(&OperationId) -> Result<Object, ResolveError>;

fn run_task<'p>(run: &'p Run, output: Output<'_>) -> Result<RunTask<'p>, ResolveError> {
    let mut mounts: Vec<(ProjectPath, Object)> = Vec::with_capacity(run.needs.len());
    for (id, mount) in &run.needs {
        mounts.push((run.workdir.join(mount), output(id)?));
    }
    mounts.sort();
    let mut tree = TreeBuilder::new();
    for (path, node) in run.sources.iter() {
        match node {
            Node::File { object, executable } => tree.file(path.as_str(), object, *executable)?,
            Node::Symlink { target } => tree.symlink(path.as_str(), target)?,
            Node::Directory { object } => tree.graft(path.as_str(), *object)?,
        }
    }
    for (path, object) in &mounts {
        tree.graft(path.as_str(), *object)?;
    }
    Ok(RunTask {
        run,
        mounts,
        input_root: tree.root(),
    })
}

fn place_task<'p>(place: &'p Place, output: Output<'_>) -> Result<PlaceTask<'p>, ResolveError> {
    let tree = output(&place.artifact)?;
    Ok(PlaceTask {
        path: &place.path,
        service: &place.service,
        tree,
    })
}

fn switch_task<'p>(switch: &'p Switch, output: Output<'_>) -> Result<SwitchTask<'p>, ResolveError> {
    let mut services = BTreeMap::new();
    for (service, artifact) in &switch.services {
        services.insert(service, output(artifact)?);
    }
    Ok(SwitchTask {
        path: &switch.path,
        services,
        activate: switch.activate.as_deref(),
        health: switch.health.as_ref(),
    })
}

fn health_task<'p>(health: &'p Health, output: Output<'_>) -> Result<HealthTask<'p>, ResolveError> {
    Ok(HealthTask {
        check: &health.check,
        switch: switch_task(&health.switch, output)?,
    })
}

/// The REAPI Action: command, input root, platform; never a timeout.
fn run_key(task: &RunTask<'_>) -> Result<ActionKey, ResolveError> {
    let platform = platform(task.run);
    let command = Object::of(&command(task.run, platform.clone())?.into_bytes());
    let mut action = Message::new();
    action.object(1, &command).object(2, &task.input_root);
    action.message(10, platform);
    Ok(ActionKey(Digest::of(&action.into_bytes())))
}

fn command(run: &Run, platform: Message) -> Result<Message, ResolveError> {
    let mut command = Message::new();
    for argument in run.argv() {
        command.text_item(1, &argument);
    }
    for (name, value) in variables(run)? {
        command.nested(2, |pair| {
            pair.text(1, name).text(2, value);
        });
    }
    command.message(5, platform);
    command.text(6, run.workdir.as_str());
    let mut paths: Vec<&str> = run
        .outputs
        .iter()
        .map(|output| output.glob.as_str())
        .collect();
    paths.sort_unstable();
    for path in paths {
        command.text_item(7, path);
    }
    Ok(command)
}

/// What the process finds in its environment beside the fixed part, a secret by its fingerprint; sorted.
fn variables(run: &Run) -> Result<BTreeMap<&str, &str>, ResolveError> {
    let mut variables: BTreeMap<&str, &str> = run
        .env
        .iter()
        .map(|(name, value)| (name.as_str(), value.as_str()))
        .collect();
    for (name, secret) in &run.passed {
        let Some(value) = run.values.get(name) else {
            continue;
        };
        let value = if *secret {
            run.fingerprints
                .get(name)
                .ok_or_else(|| ResolveError::Secret(name.clone()))?
        } else {
            value
        };
        variables.insert(name, value);
    }
    Ok(variables)
}

/// Everything about the machine that the command may notice, as sorted properties.
fn platform(run: &Run) -> Message {
    let mut properties = vec![
        (
            "stagecraft-sandbox".to_owned(),
            SANDBOX_CONTRACT.to_string(),
        ),
        ("stagecraft-platform".to_owned(), run.platform.clone()),
    ];
    if !run.base_trusted {
        properties.push(("stagecraft-base".to_owned(), run.base.identity.hex()));
    }
    if run.network {
        properties.push(("stagecraft-network".to_owned(), "host".to_owned()));
    }
    for tool in &run.tools {
        let name = format!("stagecraft-tool:{}", tool.name);
        properties.push((name, tool.identity.hex()));
    }
    for output in &run.outputs {
        let kind = if output.directory {
            "directory"
        } else {
            "path"
        };
        let presence = if output.optional {
            "optional"
        } else {
            "required"
        };
        let name = format!("stagecraft-output:{}", output.glob);
        properties.push((name, format!("{kind} {presence}")));
    }
    properties.sort_unstable();
    let mut message = Message::new();
    for (name, value) in &properties {
        message.nested(1, |pair| {
            pair.text(1, name).text(2, value);
        });
    }
    message
}

const EFFECT: &str = "stagecraft 2026 effect v1";

fn effect_key(encode: impl FnOnce(&mut Encoder)) -> ActionKey {
    let mut encoder = Encoder::new();
    encode(&mut encoder);
    ActionKey(encoder.finish(EFFECT))
}

fn encode_place(encoder: &mut Encoder, place: &PlaceTask<'_>) {
    encoder
        .text("place")
        .text(place.path)
        .text(place.service.as_str())
        .object(&place.tree);
}

fn encode_switch(encoder: &mut Encoder, switch: &SwitchTask<'_>) {
    encoder.text("switch").text(switch.path);
    encoder.list(&switch.services, |encoder, (service, tree)| {
        encoder.text(service.as_str()).object(tree);
    });
    encoder.option(switch.activate, |encoder, argv| {
        encoder.list(argv, |encoder, argument| {
            encoder.text(argument);
        });
    });
    encoder.option(switch.health, |encoder, health| {
        encode_health(encoder, health);
    });
}
