//! `ReleaseId`: the name of one release, made from an instant.
//! Accepts the 19-character form without milliseconds of older files; a value can be used as a file name.

use std::fmt;
use std::str::FromStr;

use crate::release::timestamp::{Timestamp, digits};

/// A text is not a release id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a release id; one looks like rel-20250102-030405678")]
pub struct ReleaseIdError {
    /// The text as found.
    pub text: String,
}

/// `rel-YYYYMMDD-HHMMSSmmm`; the order of texts is the order of time.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ReleaseId(String);

impl ReleaseId {
    /// Returns the id of a release made at `instant`.
    pub fn at(instant: Timestamp) -> Self {
        let [year, month, day, hour, minute, second, milliseconds] = instant.fields();
        Self(format!(
            "rel-{year:04}{month:02}{day:02}-{hour:02}{minute:02}{second:02}{milliseconds:03}"
        ))
    }

    /// Returns the instant it was made from, read as UTC; without milliseconds, the last one of its second.
    pub fn instant(&self) -> Option<Timestamp> {
        instant(&self.0)
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for ReleaseId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for ReleaseId {
    type Err = ReleaseIdError;

    fn from_str(text: &str) -> Result<Self, ReleaseIdError> {
        match instant(text) {
            Some(_) => Ok(Self(text.to_owned())),
            None => Err(ReleaseIdError {
                text: text.to_owned(),
            }),
        }
    }
}

fn instant(text: &str) -> Option<Timestamp> {
    let (date, time) = text.strip_prefix("rel-")?.split_once('-')?;
    digits(date, 8)?;
    // A release made later in the same second must have a greater id.
    let milliseconds = match time.len() {
        9 => digits(time.get(6..)?, 3)?,
        6 => 999,
        _ => return None,
    };
    let clock = time.get(..6)?;
    digits(clock, 6)?;
    let (year, month, day) = (date.get(..4)?, date.get(4..6)?, date.get(6..)?);
    let (hour, minute, second) = (clock.get(..2)?, clock.get(2..4)?, clock.get(4..)?);
    format!("{year}-{month}-{day}T{hour}:{minute}:{second}.{milliseconds:03}Z")
        .parse()
        .ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec: release/log R6
    #[test]
    fn an_id_names_its_instant_in_utc() {
        let instant: Timestamp = "2025-01-02T03:04:05.678Z".parse().unwrap();
        let id = ReleaseId::at(instant);
        assert_eq!(id.as_str(), "rel-20250102-030405678");
        assert_eq!(id.instant(), Some(instant));
        assert_eq!("rel-20250102-030405678".parse(), Ok(id));
    }

    /// spec: release/log R8
    #[test]
    fn the_short_form_of_older_files_is_accepted() {
        let short: ReleaseId = "rel-20250102-030405".parse().unwrap();
        assert_eq!(
            short.instant().unwrap().to_string(),
            "2025-01-02T03:04:05.999Z"
        );
        let next =
            Timestamp::from_milliseconds(short.instant().unwrap().milliseconds() + 1).unwrap();
        assert!(ReleaseId::at(next) > short);
    }

    #[test]
    fn other_texts_are_refused() {
        for bad in [
            "",
            "rel-",
            "rel-20250102",
            "rel-20251302-030405678",
            "rel-20250102-0304056",
            "rel-20250102-03040567é",
            "rel-20250102-250405678",
            "../rel-20250102-030405678",
            "rel-20250102-030405678/",
            "REL-20250102-030405678",
        ] {
            assert!(bad.parse::<ReleaseId>().is_err(), "{bad}");
        }
    }
}
