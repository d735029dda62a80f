//! `Record`: what a release on a target was made with, kept in its directory as `.stagecraft`.
//! Pure; two records are equal when a switch from one to the other would change nothing.

use serde_json::{Map, Value, json};
use stagecraft_store::Digest;

use crate::action::SwitchTask;
use crate::config::{HealthCheck, HealthConfig};

/// The file of the record; no service can have this name.
pub(super) const FILE: &str = ".stagecraft";

const VERSION: u64 = 1;

/// What a release was made with.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record(Map<String, Value>);

impl Record {
    /// Returns the record of the release that `task` makes.
    pub(super) fn of(task: &SwitchTask<'_>) -> Self {
        let services: Map<String, Value> = task
            .services
            .iter()
            .map(|(service, tree)| (service.to_string(), json!(tree.digest.to_string())))
            .collect();
        let mut fields = Map::new();
        fields.insert("version".to_owned(), json!(VERSION));
        fields.insert("services".to_owned(), Value::Object(services));
        fields.insert("activate".to_owned(), json!(task.activate));
        fields.insert("health".to_owned(), task.health.map_or(Value::Null, health));
        Self(fields)
    }

    /// Returns the record that `bytes` hold, or `None` where they hold none of this version.
    pub(super) fn parse(bytes: &[u8]) -> Option<Self> {
        let Value::Object(fields) = serde_json::from_slice(bytes).ok()? else {
            return None;
        };
        (fields.get("version").and_then(Value::as_u64) == Some(VERSION)).then_some(Self(fields))
    }

    /// Returns the bytes of the file.
    pub(super) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(&self.0).expect("invariant: JSON values always serialise")
    }

    /// Returns the names of the services.
    pub(super) fn services(&self) -> Vec<&str> {
        let services = self.0.get("services").and_then(Value::as_object);
        services
            .map(|services| services.keys().map(String::as_str).collect())
            .unwrap_or_default()
    }

    /// Returns each service with the digest of its tree, as far as they are digests.
    pub(super) fn trees(&self) -> Vec<(&str, Digest)> {
        let services = self.0.get("services").and_then(Value::as_object);
        let trees = services.into_iter().flatten();
        trees
            .filter_map(|(service, tree)| Some((service.as_str(), tree.as_str()?.parse().ok()?)))
            .collect()
    }

    /// Returns the command that tells what serves about a switch to this release.
    pub(super) fn activate(&self) -> Option<Vec<String>> {
        let argv = self.0.get("activate")?.as_array()?;
        argv.iter()
            .map(|argument| argument.as_str().map(str::to_owned))
            .collect()
    }

    /// Returns in which respect a release made with `wanted` would be another.
    pub(super) fn difference(&self, wanted: &Self) -> Option<String> {
        let differs = |key: &str| self.0.get(key) != wanted.0.get(key);
        if !differs("services") && !differs("activate") && !differs("health") {
            return None;
        }
        let trees = |record: &Self, service: &str| {
            record
                .0
                .get("services")
                .and_then(|all| all.get(service))
                .cloned()
        };
        let mut names = self.services();
        names.extend(wanted.services());
        names.sort_unstable();
        names.dedup();
        let changed: Vec<&str> = names
            .into_iter()
            .filter(|service| trees(self, service) != trees(wanted, service))
            .collect();
        Some(match changed.first() {
            Some(service) => format!("service `{service}` has another tree"),
            None if differs("activate") => "`activate` is another".to_owned(),
            None => "`health` is another".to_owned(),
        })
    }
}

fn health(config: &HealthConfig) -> Value {
    let (kind, value) = match &config.check {
        HealthCheck::Http(url) => ("http", json!(url)),
        HealthCheck::Tcp(address) => ("tcp", json!(address)),
        HealthCheck::Exec(argv) => ("exec", json!(argv)),
    };
    json!({
        kind: value,
        "interval_ms": milliseconds(config.interval),
        "samples": config.samples,
        "deadline_ms": milliseconds(config.deadline),
    })
}

fn milliseconds(duration: std::time::Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
