//! `LogError`: what can go wrong with the log of releases.
//! Every message that older tools print is kept word for word.

use std::io;
use std::path::PathBuf;

use crate::plan::operation::Phase;
use crate::release::id::{ReleaseId, ReleaseIdError};
use crate::release::status::PhaseStatus;
use crate::release::timestamp::TimestampError;

/// Why an operation on the log did not happen; the file is then as it was before.
#[derive(Debug, thiserror::Error)]
pub enum LogError {
    /// A release needs an environment.
    #[error("environment must not be empty")]
    EmptyEnvironment,
    /// A release needs a version.
    #[error("version must not be empty")]
    EmptyVersion,
    /// No release has this id.
    #[error("release not found: \"{id}\"")]
    NotFound {
        /// The id as asked for.
        id: String,
    },
    /// The environment has no release.
    #[error("no current release found for environment \"{environment}\"")]
    NoCurrent {
        /// The environment.
        environment: String,
    },
    /// No phase has this name.
    #[error("unknown phase \"{phase}\"")]
    UnknownPhase {
        /// The name as given.
        phase: String,
    },
    /// The table of transitions does not have this one.
    #[error("phase \"{phase}\" of {id} cannot go from {from} to {to}")]
    Transition {
        /// The release.
        id: ReleaseId,
        /// The phase.
        phase: Phase,
        /// The status it has.
        from: PhaseStatus,
        /// The status it was to get.
        to: PhaseStatus,
    },
    /// A phase starts only after those before it are completed or skipped.
    #[error("phase \"{phase}\" of {id} cannot start while \"{other}\" is {status}")]
    Order {
        /// The release.
        id: ReleaseId,
        /// The phase that was to start.
        phase: Phase,
        /// The phase before it.
        other: Phase,
        /// The status of that one.
        status: PhaseStatus,
    },
    /// The file does not hold a log; nothing is ever reset.
    #[error("state file {path} is damaged: {damage}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        damage: Damage,
    },
    /// The file cannot be read.
    #[error("reading state file {path}: {source}")]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// The file cannot be replaced.
    #[error("writing state file {path}: {source}")]
    Write {
        /// The file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
    /// Another process kept the file's lock for too long.
    #[error("state file {path} stays locked by another process")]
    Locked {
        /// The lock file.
        path: PathBuf,
    },
    /// An entry of another log does not hold a release.
    #[error("entry of a release log is damaged: {damage}")]
    Entry {
        /// What does not fit.
        damage: Damage,
    },
    /// Another release has this id.
    #[error("release log has another release \"{id}\"")]
    Taken {
        /// The id.
        id: ReleaseId,
    },
    /// No id is left before the year 10000.
    #[error("no release id is left after \"{newest}\"")]
    Exhausted {
        /// The newest id of the file.
        newest: ReleaseId,
    },
}

impl LogError {
    /// Returns what a person can do about it.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Damaged { .. } => Some(
                "restore the file from a backup, or move it away to begin a new history; it was not changed",
            ),
            Self::Locked { .. } => {
                Some("another stagecraft may be stopped in the middle of a write")
            }
            Self::Entry { .. }
            | Self::Taken { .. }
            | Self::EmptyEnvironment
            | Self::EmptyVersion
            | Self::NotFound { .. }
            | Self::NoCurrent { .. }
            | Self::UnknownPhase { .. }
            | Self::Transition { .. }
            | Self::Order { .. }
            | Self::Read { .. }
            | Self::Write { .. }
            | Self::Exhausted { .. } => None,
        }
    }
}

/// What about a file is not a log of releases.
#[derive(Debug, thiserror::Error)]
pub enum Damage {
    /// It is not JSON, or only a part of it.
    #[error("{0}")]
    Json(serde_json::Error),
    /// A value is of another type than it must be.
    #[error("`{place}` must be {wanted}")]
    Shape {
        /// The path of the value.
        place: String,
        /// What it must be.
        wanted: &'static str,
    },
    /// An id is none.
    #[error("`{place}`: {source}")]
    Id {
        /// The path of the value.
        place: String,
        /// What is wrong.
        source: ReleaseIdError,
    },
    /// A timestamp is none.
    #[error("`{place}`: {source}")]
    Timestamp {
        /// The path of the value.
        place: String,
        /// What is wrong.
        source: TimestampError,
    },
    /// A word is not one of those allowed.
    #[error("`{place}` is `{word}`, which this version does not know")]
    Word {
        /// The path of the value.
        place: String,
        /// The word found.
        word: String,
    },
    /// `live` names a release that is not in the file, or is another environment's.
    #[error(
        "`live` says that {id} runs in `{environment}`, but the file has no such release of it"
    )]
    Live {
        /// The environment.
        environment: String,
        /// The release.
        id: ReleaseId,
    },
}
