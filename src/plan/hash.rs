//! `OpHash` and `PlanHash`: what a recipe and a plan are, as digests.
//! Every hashed byte goes through `stagecraft_store::Encoder` (`spec/plan/hashes.md`).

use std::fmt;

use stagecraft_store::{Digest, Encoder, Node};

use crate::config::{CommandLine, HealthCheck, HealthConfig};
use crate::plan::operation::{Operation, Run, Switch, Work};

/// The digest of a recipe: kind, argv, variables, outputs, platform, selectors, dependencies by their `OpHash`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OpHash(pub Digest);

/// The digest of a plan: what was asked for and every leaf below it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PlanHash(pub Digest);

impl fmt::Display for OpHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

impl fmt::Display for PlanHash {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// The version of what an operation finds in the sandbox (`spec/sandbox/contract.md`); part of every recipe.
pub const SANDBOX_CONTRACT: u64 = 1;

const RECIPE: &str = "stagecraft 2026 recipe v1";

/// Returns the hash of `work`, given the hash of each operation it takes output from, in `needs` order.
pub(crate) fn recipe(work: &Work, needs: &[OpHash]) -> OpHash {
    let mut encoder = Encoder::new();
    encode_work(&mut encoder, work);
    encoder.list(needs, |encoder, hash| {
        encoder.digest(&hash.0);
    });
    OpHash(encoder.finish(RECIPE))
}

fn encode_work(encoder: &mut Encoder, work: &Work) {
    match work {
        Work::Run(run) => {
            encoder.text("run");
            encode_run(encoder, run);
        }
        Work::Recorded => {
            encoder.text("recorded");
        }
        Work::Place(place) => {
            encoder.text("directory place");
            encoder.text(&place.path);
            encoder.text(place.service.as_str());
        }
        Work::Switch(switch) => {
            encoder.text("directory switch");
            encode_switch(encoder, switch);
        }
        Work::Health(health) => {
            encoder.text("directory health");
            encode_health(encoder, &health.check);
            encode_switch(encoder, &health.switch);
        }
    }
}

/// The recipe of a command: no digest of a file, tool or passed value.
fn encode_run(encoder: &mut Encoder, run: &Run) {
    encoder.u64(SANDBOX_CONTRACT);
    encoder.text(&run.platform);
    encode_command(encoder, &run.command, &run.arguments);
    encoder.text(run.workdir.as_str());
    encoder.list(&run.selectors, |encoder, selector| {
        encoder.text(selector);
    });
    encoder.list(&run.outputs, |encoder, output| {
        encoder.text(&output.glob);
        encoder.bool(output.directory);
        encoder.bool(output.optional);
    });
    encoder.list(&run.needs, |encoder, (_, mount)| {
        encoder.text(mount.as_str());
    });
    encoder.list(&run.env, |encoder, (name, value)| {
        encoder.text(name);
        encoder.text(value);
    });
    encoder.list(&run.passed, |encoder, (name, secret)| {
        encoder.text(name);
        encoder.bool(*secret);
    });
    encoder.list(&run.tools, |encoder, tool| {
        encoder.text(&tool.name);
    });
    encoder.bool(run.network);
    encoder.bool(run.cache);
    encoder.bool(run.base_trusted);
}

fn encode_command(encoder: &mut Encoder, command: &CommandLine, arguments: &[String]) {
    match command {
        CommandLine::Argv(argv) => {
            encoder.text("argv");
            encoder.list(argv, |encoder, argument| {
                encoder.text(argument);
            });
        }
        CommandLine::Script(script) => {
            encoder.text("script");
            encoder.text(script);
        }
        CommandLine::Fetch => {
            encoder.text("fetch");
        }
    }
    encoder.list(arguments, |encoder, argument| {
        encoder.text(argument);
    });
}

fn encode_switch(encoder: &mut Encoder, switch: &Switch) {
    encoder.text(&switch.path);
    encoder.list(&switch.services, |encoder, (service, _)| {
        encoder.text(service.as_str());
    });
    encoder.option(switch.activate.as_ref(), |encoder, argv| {
        encoder.list(argv, |encoder, argument| {
            encoder.text(argument);
        });
    });
    encoder.option(switch.health.as_ref(), |encoder, health| {
        encode_health(encoder, health);
    });
}

/// Frames a health gate; also used in the keys of effects.
pub(crate) fn encode_health(encoder: &mut Encoder, health: &HealthConfig) {
    match &health.check {
        HealthCheck::Http(url) => {
            encoder.text("http");
            encoder.text(url);
        }
        HealthCheck::Tcp(address) => {
            encoder.text("tcp");
            encoder.text(address);
        }
        HealthCheck::Exec(argv) => {
            encoder.text("exec");
            encoder.list(argv, |encoder, argument| {
                encoder.text(argument);
            });
        }
    }
    encoder.u64(u64::try_from(health.interval.as_millis()).unwrap_or(u64::MAX));
    encoder.u32(health.samples);
    encoder.u64(u64::try_from(health.deadline.as_millis()).unwrap_or(u64::MAX));
}

const PLAN: &str = "stagecraft 2026 plan v1";

/// Returns the hash of a plan: every operation by id, with its recipe and the leaves that it names itself.
pub(super) fn plan<'o>(operations: impl Iterator<Item = &'o Operation>) -> PlanHash {
    let mut sorted: Vec<&Operation> = operations.collect();
    sorted.sort_unstable_by_key(|operation| &operation.id);
    let mut encoder = Encoder::new();
    encoder.list(sorted, |encoder, operation| {
        encoder.text(operation.id.as_str());
        encoder.digest(&operation.op_hash.0);
        match &operation.work {
            Work::Run(run) => {
                encoder.bool(true);
                encode_leaves(encoder, run);
            }
            Work::Recorded | Work::Place(_) | Work::Switch(_) | Work::Health(_) => {
                encoder.bool(false);
            }
        }
    });
    PlanHash(encoder.finish(PLAN))
}

fn encode_leaves(encoder: &mut Encoder, run: &Run) {
    encoder.list(run.sources.iter(), |encoder, (path, node)| {
        encoder.text(path.as_str());
        encode_source(encoder, node);
    });
    encoder.list(&run.tools, |encoder, tool| {
        encoder.digest(&tool.identity);
    });
    let base = (!run.base_trusted).then_some(&run.base.identity);
    encoder.option(base, |encoder, identity| {
        encoder.digest(identity);
    });
    encoder.list(&run.passed, |encoder, (name, secret)| {
        let value = if *secret {
            run.fingerprints.get(name)
        } else {
            run.values.get(name)
        };
        encoder.option(value, |encoder, value| {
            encoder.text(value);
        });
    });
}

fn encode_source(encoder: &mut Encoder, node: &Node) {
    match node {
        Node::File { object, executable } => {
            encoder.u8(0);
            encoder.object(object);
            encoder.bool(*executable);
        }
        Node::Symlink { target } => {
            encoder.u8(1);
            encoder.text(target);
        }
        Node::Directory { object } => {
            encoder.u8(2);
            encoder.object(object);
        }
    }
}
