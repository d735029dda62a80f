//! Entries of the log on their way to another machine: out as compact JSON, in as they came, with a mark.
//! An imported release has run nowhere here, so nothing but a rollback makes it live.

use serde_json::{Value, json};

use super::{LogError, Release, ReleaseLog, file, find};
use crate::release::document::{Document, IMPORTED};

/// What became of an entry of another log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Adoption {
    /// It was added.
    Added,
    /// It was there already.
    Known,
}

impl ReleaseLog {
    /// Returns the entry of a release as another log takes it, every field with it.
    pub fn entry(&self, id: &str) -> Result<Vec<u8>, LogError> {
        let document = self.read()?;
        let index = find(&document, id)?;
        Ok(unmarked(document.value(index)).to_string().into_bytes())
    }

    /// Returns the release that the bytes of an entry describe; adds nothing.
    pub fn parse_entry(bytes: &[u8]) -> Result<Release, LogError> {
        let (_, release) = Self::parsed(bytes)?;
        Ok(release)
    }

    /// Adds an entry of another log, marked as imported. The same entry twice is no change; another
    /// one of that id is refused.
    pub fn adopt(&self, bytes: &[u8]) -> Result<Adoption, LogError> {
        let (mut entry, release) = Self::parsed(bytes)?;
        let _lock = file::lock(&self.path)?;
        let mut document = self.read()?;
        if let Some(index) = document.find(release.id.as_str()) {
            return if unmarked(document.value(index)) == entry {
                Ok(Adoption::Known)
            } else {
                Err(LogError::Taken { id: release.id })
            };
        }
        if let Value::Object(fields) = &mut entry {
            fields.insert(IMPORTED.to_owned(), json!(true));
        }
        document.append_value(entry, release);
        file::replace(&self.path, &document.to_bytes())?;
        Ok(Adoption::Added)
    }

    /// Reads an entry the way a log with nothing else is read.
    fn parsed(bytes: &[u8]) -> Result<(Value, Release), LogError> {
        let damaged = |damage| LogError::Entry { damage };
        let entry: Value =
            serde_json::from_slice(bytes).map_err(|error| damaged(super::Damage::Json(error)))?;
        let alone = json!({ "releases": [entry] });
        let alone = serde_json::to_vec(&alone).expect("invariant: JSON values always serialise");
        let document = Document::parse(&alone).map_err(damaged)?;
        let mut release = document.releases()[0].clone();
        release.live = false;
        Ok((unmarked(document.value(0)), release))
    }
}

fn unmarked(entry: &Value) -> Value {
    let mut entry = entry.clone();
    if let Value::Object(fields) = &mut entry {
        fields.shift_remove(IMPORTED);
    }
    entry
}
