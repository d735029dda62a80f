//! The bytes of a manifest (`spec/release/manifest.md`), and back.
//! Strict: what decodes is encoded again to the same bytes.

use std::collections::BTreeMap;
use std::time::Duration;

use stagecraft_store::{ActionKey, DecodeError, Decoder, Encoder};

use super::{ConfigFile, Effect, Manifest, ManifestError, ManifestOperation};
use crate::config::{HealthCheck, HealthConfig};
use crate::plan::hash::{OpHash, PlanHash};
use crate::plan::operation::{Health, Kind, OperationId, Phase, Place, Switch};

const MAGIC: &str = "stagecraft manifest";
const VERSION: u8 = 1;

pub(super) fn encode(manifest: &Manifest) -> Vec<u8> {
    let mut encoder = Encoder::new();
    encoder.text(MAGIC);
    encoder.u8(VERSION);
    encoder.text(manifest.project.as_str());
    encoder.text(manifest.environment.as_str());
    encoder.digest(&manifest.plan.0);
    encoder.list(&manifest.config, |encoder, file| {
        encoder.text(file.path.as_str());
        encoder.object(&file.blob);
    });
    encoder.list(&manifest.operations, operation);
    encoder.into_bytes()
}

fn operation(encoder: &mut Encoder, operation: &ManifestOperation) {
    encoder.text(operation.id.as_str());
    encoder.text(operation.kind.as_str());
    encoder.text(operation.phase.as_str());
    encoder.list(&operation.services, |encoder, service| {
        encoder.text(service.as_str());
    });
    encoder.list(&operation.hosts, |encoder, host| {
        encoder.text(host.as_str());
    });
    encoder.text(&operation.description);
    encoder.digest(&operation.op_hash.0);
    encoder.option(operation.action_key, |encoder, key| {
        encoder.digest(&key.0);
    });
    encoder.option(operation.output, |encoder, output| {
        encoder.object(&output);
    });
    encoder.option(operation.effect.as_ref(), effect);
    encoder.list(&operation.dependencies, |encoder, dependency| {
        encoder.text(dependency.as_str());
    });
}

fn effect(encoder: &mut Encoder, effect: &Effect) {
    match effect {
        Effect::Place(place) => {
            encoder.text("place");
            encoder.text(&place.path);
            encoder.text(place.service.as_str());
            encoder.text(place.artifact.as_str());
        }
        Effect::Switch(switch) => {
            encoder.text("switch");
            encode_switch(encoder, switch);
        }
        Effect::Health(health) => {
            encoder.text("health");
            encode_health(encoder, &health.check);
            encode_switch(encoder, &health.switch);
        }
    }
}

fn encode_switch(encoder: &mut Encoder, switch: &Switch) {
    encoder.text(&switch.path);
    encoder.list(&switch.services, |encoder, (service, artifact)| {
        encoder.text(service.as_str());
        encoder.text(artifact.as_str());
    });
    encoder.option(switch.activate.as_ref(), |encoder, argv| {
        encode_argv(encoder, argv);
    });
    encoder.option(switch.health.as_ref(), encode_health);
}

fn encode_argv(encoder: &mut Encoder, argv: &[String]) {
    encoder.list(argv, |encoder, argument| {
        encoder.text(argument);
    });
}

fn encode_health(encoder: &mut Encoder, health: &HealthConfig) {
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
            encode_argv(encoder, argv);
        }
    }
    encode_duration(encoder, health.interval);
    encoder.u32(health.samples);
    encode_duration(encoder, health.deadline);
}

fn encode_duration(encoder: &mut Encoder, duration: Duration) {
    encoder.u64(duration.as_secs());
    encoder.u32(duration.subsec_nanos());
}

pub(super) fn decode(bytes: &[u8]) -> Result<Manifest, ManifestError> {
    let mut decoder = Decoder::new(bytes);
    let magic = decoder.text()?;
    if magic != MAGIC {
        return Err(ManifestError::Word {
            word: magic.to_owned(),
        });
    }
    let version = decoder.u8()?;
    if version != VERSION {
        return Err(ManifestError::Version { version });
    }
    let manifest = Manifest {
        project: decoder.text()?.parse()?,
        environment: decoder.text()?.parse()?,
        plan: PlanHash(decoder.digest()?),
        config: each(&mut decoder, |decoder| {
            Ok(ConfigFile {
                path: decoder.text()?.parse()?,
                blob: decoder.object()?,
            })
        })?,
        operations: each(&mut decoder, decode_operation)?,
    };
    decoder.finish()?;
    // Sorted and unique lists, and durations below a second's nanoseconds, follow from this one comparison.
    if encode(&manifest) == bytes {
        Ok(manifest)
    } else {
        Err(ManifestError::NotCanonical)
    }
}

/// Reads a list whose items may fail for other reasons than framing.
fn each<T>(
    decoder: &mut Decoder<'_>,
    mut read: impl FnMut(&mut Decoder<'_>) -> Result<T, ManifestError>,
) -> Result<Vec<T>, ManifestError> {
    let mut failure = None;
    let items = decoder.list(|decoder| match read(decoder) {
        Ok(item) => Ok(Some(item)),
        Err(ManifestError::Framing(error)) => Err(error),
        Err(error) => {
            failure.get_or_insert(error);
            Ok(None)
        }
    });
    match failure {
        Some(error) => Err(error),
        None => Ok(items?.into_iter().flatten().collect()),
    }
}

fn decode_operation(decoder: &mut Decoder<'_>) -> Result<ManifestOperation, ManifestError> {
    Ok(ManifestOperation {
        id: id(decoder)?,
        kind: word(decoder, Kind::parse)?,
        phase: word(decoder, Phase::parse)?,
        services: each(decoder, |decoder| Ok(decoder.text()?.parse()?))?,
        hosts: each(decoder, |decoder| Ok(decoder.text()?.parse()?))?,
        description: decoder.text()?.to_owned(),
        op_hash: OpHash(decoder.digest()?),
        action_key: maybe(decoder, |decoder| Ok(ActionKey(decoder.digest()?)))?,
        output: maybe(decoder, |decoder| Ok(decoder.object()?))?,
        effect: maybe(decoder, decode_effect)?,
        dependencies: each(decoder, |decoder| Ok(id(decoder)?))?,
    })
}

fn maybe<T>(
    decoder: &mut Decoder<'_>,
    read: impl FnOnce(&mut Decoder<'_>) -> Result<T, ManifestError>,
) -> Result<Option<T>, ManifestError> {
    if decoder.bool()? {
        read(decoder).map(Some)
    } else {
        Ok(None)
    }
}

fn word<T>(
    decoder: &mut Decoder<'_>,
    parse: impl Fn(&str) -> Option<T>,
) -> Result<T, ManifestError> {
    let text = decoder.text()?;
    parse(text).ok_or_else(|| ManifestError::Word {
        word: text.to_owned(),
    })
}

fn id(decoder: &mut Decoder<'_>) -> Result<OperationId, DecodeError> {
    Ok(OperationId::recorded(decoder.text()?.to_owned()))
}

fn decode_effect(decoder: &mut Decoder<'_>) -> Result<Effect, ManifestError> {
    match decoder.text()? {
        "place" => Ok(Effect::Place(Place {
            path: decoder.text()?.to_owned(),
            service: decoder.text()?.parse()?,
            artifact: id(decoder)?,
        })),
        "switch" => Ok(Effect::Switch(decode_switch(decoder)?)),
        "health" => Ok(Effect::Health(Health {
            check: decode_health(decoder)?,
            switch: decode_switch(decoder)?,
        })),
        other => Err(ManifestError::Word {
            word: other.to_owned(),
        }),
    }
}

fn decode_switch(decoder: &mut Decoder<'_>) -> Result<Switch, ManifestError> {
    let path = decoder.text()?.to_owned();
    let services = each(decoder, |decoder| {
        Ok((decoder.text()?.parse()?, id(decoder)?))
    })?;
    Ok(Switch {
        path,
        services: services.into_iter().collect::<BTreeMap<_, _>>(),
        activate: maybe(decoder, |decoder| Ok(decode_argv(decoder)?))?,
        health: maybe(decoder, decode_health)?,
    })
}

fn decode_argv(decoder: &mut Decoder<'_>) -> Result<Vec<String>, DecodeError> {
    decoder.list(|decoder| decoder.text().map(ToOwned::to_owned))
}

fn decode_health(decoder: &mut Decoder<'_>) -> Result<HealthConfig, ManifestError> {
    let check = match decoder.text()? {
        "http" => HealthCheck::Http(decoder.text()?.to_owned()),
        "tcp" => HealthCheck::Tcp(decoder.text()?.to_owned()),
        "exec" => HealthCheck::Exec(decode_argv(decoder)?),
        other => {
            return Err(ManifestError::Word {
                word: other.to_owned(),
            });
        }
    };
    Ok(HealthConfig {
        check,
        interval: decode_duration(decoder)?,
        samples: decoder.u32()?,
        deadline: decode_duration(decoder)?,
    })
}

fn decode_duration(decoder: &mut Decoder<'_>) -> Result<Duration, ManifestError> {
    let (seconds, nanoseconds) = (decoder.u64()?, decoder.u32()?);
    if nanoseconds >= 1_000_000_000 {
        return Err(ManifestError::NotCanonical);
    }
    Ok(Duration::new(seconds, nanoseconds))
}
