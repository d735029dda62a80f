//! Reading releases out of the log's JSON: tolerant of what is absent or null, strict about what is there.
//! Pure; every complaint names the place in the file.

use std::collections::BTreeMap;

use serde_json::{Map, Value};

use crate::plan::operation::Phase;
use crate::release::id::ReleaseId;
use crate::release::log::{Damage, Release, Run, RunOutcome};
use crate::release::status::{PhaseStatus, Phases};
use crate::release::timestamp::Timestamp;

type Object = Map<String, Value>;

/// Returns every release of the file, in file order, none marked live.
pub(super) fn releases(top: &Object) -> Result<Vec<Release>, Damage> {
    let array = match top.get("releases") {
        None | Some(Value::Null) => return Ok(Vec::new()),
        Some(Value::Array(array)) => array,
        Some(_) => return Err(shape("releases", "an array")),
    };
    array
        .iter()
        .enumerate()
        .map(|(index, value)| {
            let place = format!("releases[{index}]");
            release(
                value
                    .as_object()
                    .ok_or_else(|| shape(&place, "an object"))?,
                &place,
            )
        })
        .collect()
}

/// Checks that each entry of `live` names a release of that environment.
pub(super) fn check_live(top: &Object, releases: &[Release]) -> Result<(), Damage> {
    let Some(live) = object(top, "live", "live")? else {
        return Ok(());
    };
    for environment in live.keys() {
        let place = format!("live.{environment}");
        let Some(id) = optional_id(live, environment, &place)? else {
            continue;
        };
        if !releases
            .iter()
            .any(|release| release.id == id && release.environment == *environment)
        {
            return Err(Damage::Live {
                environment: environment.clone(),
                id,
            });
        }
    }
    Ok(())
}

fn release(entry: &Object, place: &str) -> Result<Release, Damage> {
    let at = |key: &str| format!("{place}.{key}");
    let id = optional_id(entry, "id", &at("id"))?.ok_or_else(|| shape(&at("id"), "a text"))?;
    let timestamp = optional_timestamp(entry, "timestamp", &at("timestamp"))?
        .ok_or_else(|| shape(&at("timestamp"), "a text"))?;
    Ok(Release {
        id,
        environment: text(entry, "environment", &at("environment"))?
            .ok_or_else(|| shape(&at("environment"), "a text"))?,
        version: text(entry, "version", &at("version"))?.unwrap_or_default(),
        commit_sha: text(entry, "commit_sha", &at("commit_sha"))?.unwrap_or_default(),
        timestamp,
        phases: phases(entry, &at("phases"))?,
        phase_reasons: reasons(entry, &at("phase_reasons"))?,
        previous_id: optional_id(entry, "previous_id", &at("previous_id"))?,
        manifest: manifest(entry, &at("manifest"))?,
        run: run(entry, &at("run"))?,
        live: false,
    })
}

fn phases(entry: &Object, place: &str) -> Result<Phases, Damage> {
    let mut phases = Phases::pending();
    let Some(map) = object(entry, "phases", place)? else {
        return Ok(phases);
    };
    for phase in Phase::ALL {
        let place = format!("{place}.{phase}");
        let Some(word) = text(map, phase.as_str(), &place)? else {
            continue;
        };
        match PhaseStatus::parse(&word) {
            Some(status) => phases.set(*phase, status),
            None => return Err(Damage::Word { place, word }),
        }
    }
    Ok(phases)
}

fn reasons(entry: &Object, place: &str) -> Result<BTreeMap<Phase, String>, Damage> {
    let mut reasons = BTreeMap::new();
    let Some(map) = object(entry, "phase_reasons", place)? else {
        return Ok(reasons);
    };
    for phase in Phase::ALL {
        if let Some(reason) = text(map, phase.as_str(), &format!("{place}.{phase}"))? {
            reasons.insert(*phase, reason);
        }
    }
    Ok(reasons)
}

fn manifest(entry: &Object, place: &str) -> Result<Option<stagecraft_store::Digest>, Damage> {
    let Some(word) = text(entry, "manifest", place)? else {
        return Ok(None);
    };
    match word.parse() {
        Ok(digest) => Ok(Some(digest)),
        Err(_) => Err(Damage::Word {
            place: place.to_owned(),
            word,
        }),
    }
}

fn run(entry: &Object, place: &str) -> Result<Option<Run>, Damage> {
    let Some(map) = object(entry, "run", place)? else {
        return Ok(None);
    };
    let at = |key: &str| format!("{place}.{key}");
    let outcome = match text(map, "outcome", &at("outcome"))? {
        None => None,
        Some(word) => match RunOutcome::parse(&word) {
            Some(outcome) => Some(outcome),
            None => {
                return Err(Damage::Word {
                    place: at("outcome"),
                    word,
                });
            }
        },
    };
    Ok(Some(Run {
        actor: text(map, "actor", &at("actor"))?.unwrap_or_default(),
        reason: text(map, "reason", &at("reason"))?,
        started: optional_timestamp(map, "started", &at("started"))?,
        ended: optional_timestamp(map, "ended", &at("ended"))?,
        outcome,
        rollback_of: optional_id(map, "rollback_of", &at("rollback_of"))?,
    }))
}

fn shape(place: &str, wanted: &'static str) -> Damage {
    Damage::Shape {
        place: place.to_owned(),
        wanted,
    }
}

fn object<'v>(entry: &'v Object, key: &str, place: &str) -> Result<Option<&'v Object>, Damage> {
    match entry.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::Object(map)) => Ok(Some(map)),
        Some(_) => Err(shape(place, "an object")),
    }
}

fn text(entry: &Object, key: &str, place: &str) -> Result<Option<String>, Damage> {
    match entry.get(key) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) => Ok(Some(text.clone())),
        Some(_) => Err(shape(place, "a text")),
    }
}

/// An empty text counts as absent: older writers wrote it for "none".
fn optional_id(entry: &Object, key: &str, place: &str) -> Result<Option<ReleaseId>, Damage> {
    match text(entry, key, place)?.as_deref() {
        None | Some("") => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|source| Damage::Id {
            place: place.to_owned(),
            source,
        }),
    }
}

fn optional_timestamp(entry: &Object, key: &str, place: &str) -> Result<Option<Timestamp>, Damage> {
    match text(entry, key, place)? {
        None => Ok(None),
        Some(text) => text.parse().map(Some).map_err(|source| Damage::Timestamp {
            place: place.to_owned(),
            source,
        }),
    }
}
