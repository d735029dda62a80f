//! `Document`: the log's JSON with everything in it, known or not, in its place.
//! Pure: bytes come in and go out; every value that is interpreted is checked on the way in.

use serde_json::{Map, Value, json};
use stagecraft_store::Digest;

use crate::plan::operation::Phase;
use crate::release::log::{Damage, Release, Run, RunOutcome};
use crate::release::status::{PhaseStatus, Phases};
use crate::release::timestamp::Timestamp;

mod read;

type Object = Map<String, Value>;

/// The field of a release that came from another log.
pub(crate) const IMPORTED: &str = "imported";

/// The whole file. `releases` mirrors the array of the same name, by index.
#[derive(Debug)]
pub(crate) struct Document {
    top: Object,
    releases: Vec<Release>,
}

impl Document {
    /// Returns the log of a file that does not exist.
    pub(crate) fn empty() -> Self {
        Self {
            top: Object::new(),
            releases: Vec::new(),
        }
    }

    /// Returns the log that `bytes` hold.
    pub(crate) fn parse(bytes: &[u8]) -> Result<Self, Damage> {
        let top = match serde_json::from_slice(bytes).map_err(Damage::Json)? {
            Value::Object(top) => top,
            Value::Null
            | Value::Bool(_)
            | Value::Number(_)
            | Value::String(_)
            | Value::Array(_) => {
                return Err(Damage::Shape {
                    place: "the file".to_owned(),
                    wanted: "an object",
                });
            }
        };
        let mut releases = read::releases(&top)?;
        read::check_live(&top, &releases)?;
        mark_live(&top, &mut releases);
        Ok(Self { top, releases })
    }

    /// Returns the bytes of the file: two spaces, no newline at the end.
    pub(crate) fn to_bytes(&self) -> Vec<u8> {
        serde_json::to_vec_pretty(&self.top).expect("invariant: JSON values always serialise")
    }

    /// Returns every release, in file order.
    pub(crate) fn releases(&self) -> &[Release] {
        &self.releases
    }

    /// Returns the index of the release `id`.
    pub(crate) fn find(&self, id: &str) -> Option<usize> {
        self.releases
            .iter()
            .position(|release| release.id.as_str() == id)
    }

    /// Returns the index of the release that is live in `environment`.
    pub(crate) fn live(&self, environment: &str) -> Option<usize> {
        live(&self.top, &self.releases, environment)
    }

    /// Adds `release` behind all others.
    pub(crate) fn append(&mut self, release: Release) {
        let value = written(&release);
        if let Value::Array(array) = slot(&mut self.top, "releases", Value::Array(Vec::new())) {
            array.push(value);
        }
        self.releases.push(release);
    }

    /// Returns the JSON of a release, with what is not known of it.
    pub(crate) fn value(&self, index: usize) -> &Value {
        &self.top["releases"][index]
    }

    /// Adds a release that was read from `entry`.
    pub(crate) fn append_value(&mut self, entry: Value, release: Release) {
        if let Value::Array(array) = slot(&mut self.top, "releases", Value::Array(Vec::new())) {
            array.push(entry);
        }
        self.releases.push(release);
        mark_live(&self.top, &mut self.releases);
    }

    /// Gives one phase a status, and a reason where there is one.
    pub(crate) fn set_phase(
        &mut self,
        index: usize,
        phase: Phase,
        status: PhaseStatus,
        reason: Option<&str>,
    ) {
        let entry = self.entry(index);
        child(entry, "phases", phases_value(Phases::pending()))
            .insert(phase.as_str().to_owned(), json!(status.as_str()));
        if let Some(reason) = reason {
            child(entry, "phase_reasons", json!({}))
                .insert(phase.as_str().to_owned(), json!(reason));
        }
        let release = &mut self.releases[index];
        release.phases.set(phase, status);
        if let Some(reason) = reason {
            release.phase_reasons.insert(phase, reason.to_owned());
        }
    }

    /// Records what a release consists of.
    pub(crate) fn set_manifest(&mut self, index: usize, manifest: Digest) {
        self.entry(index)
            .insert("manifest".to_owned(), json!(manifest.to_string()));
        self.releases[index].manifest = Some(manifest);
    }

    /// Makes a release the live one of its environment.
    pub(crate) fn set_live(&mut self, index: usize) {
        let release = &self.releases[index];
        let (environment, id) = (release.environment.clone(), release.id.to_string());
        child(&mut self.top, "live", json!({})).insert(environment, Value::String(id));
        mark_live(&self.top, &mut self.releases);
    }

    /// Records how the run of a release ended; releases without a run record get none.
    pub(crate) fn end_run(&mut self, index: usize, outcome: RunOutcome, ended: Timestamp) {
        let Some(run) = &mut self.releases[index].run else {
            return;
        };
        run.ended = Some(ended);
        run.outcome = Some(outcome);
        let record = child(self.entry(index), "run", json!({}));
        record.insert("ended".to_owned(), json!(ended.to_string()));
        record.insert("outcome".to_owned(), json!(outcome.as_str()));
    }

    fn entry(&mut self, index: usize) -> &mut Object {
        self.top
            .get_mut("releases")
            .and_then(|releases| releases.get_mut(index))
            .and_then(Value::as_object_mut)
            .expect("invariant: `releases` mirrors the array by index")
    }
}

/// Returns the value at `key`; a missing or null one becomes `default`, in its place.
fn slot<'v>(object: &'v mut Object, key: &str, default: Value) -> &'v mut Value {
    let value = object.entry(key).or_insert(Value::Null);
    if value.is_null() {
        *value = default;
    }
    value
}

fn child<'v>(object: &'v mut Object, key: &str, default: Value) -> &'v mut Object {
    slot(object, key, default)
        .as_object_mut()
        .expect("invariant: read as an object or null before")
}

fn live(top: &Object, releases: &[Release], environment: &str) -> Option<usize> {
    if let Some(id) = top
        .get("live")
        .and_then(|live| live.get(environment))
        .and_then(Value::as_str)
    {
        return releases
            .iter()
            .position(|release| release.id.as_str() == id);
    }
    let finalized_here = |(index, release): &(usize, &Release)| {
        release.environment == environment
            && release.phases.of(Phase::Finalize) == PhaseStatus::Completed
            && top["releases"][*index].get(IMPORTED) != Some(&Value::Bool(true))
    };
    let newest = releases
        .iter()
        .enumerate()
        .filter(finalized_here)
        .max_by(|(_, a), (_, b)| a.age_order(b))?;
    Some(newest.0)
}

fn mark_live(top: &Object, releases: &mut [Release]) {
    let environments: std::collections::BTreeSet<String> = releases
        .iter()
        .map(|release| release.environment.clone())
        .collect();
    let lives: Vec<usize> = environments
        .iter()
        .filter_map(|environment| live(top, releases, environment))
        .collect();
    for (index, release) in releases.iter_mut().enumerate() {
        release.live = lives.contains(&index);
    }
}

/// On disk the phases stand in alphabetical order.
fn phases_value(phases: Phases) -> Value {
    let mut names: Vec<(&str, PhaseStatus)> = phases
        .iter()
        .map(|(phase, status)| (phase.as_str(), status))
        .collect();
    names.sort_unstable();
    Value::Object(
        names
            .into_iter()
            .map(|(name, status)| (name.to_owned(), json!(status.as_str())))
            .collect(),
    )
}

fn written(release: &Release) -> Value {
    let mut entry = Object::new();
    entry.insert("id".to_owned(), json!(release.id.as_str()));
    entry.insert("environment".to_owned(), json!(release.environment));
    entry.insert("version".to_owned(), json!(release.version));
    entry.insert("commit_sha".to_owned(), json!(release.commit_sha));
    entry.insert("timestamp".to_owned(), json!(release.timestamp.to_string()));
    entry.insert("phases".to_owned(), phases_value(release.phases));
    if let Some(previous) = &release.previous_id {
        entry.insert("previous_id".to_owned(), json!(previous.as_str()));
    }
    if let Some(run) = &release.run {
        entry.insert("run".to_owned(), run_value(run));
    }
    Value::Object(entry)
}

fn run_value(run: &Run) -> Value {
    json!({
        "actor": run.actor,
        "reason": run.reason,
        "started": run.started.map(|started| started.to_string()),
        "ended": run.ended.map(|ended| ended.to_string()),
        "outcome": run.outcome.map(RunOutcome::as_str),
        "rollback_of": run.rollback_of.as_ref().map(ToString::to_string),
    })
}
