//! `Release`, `Run`, `NewRelease`: one entry of the log as a value.
//! Copies: changing one changes no file.

use std::cmp::Ordering;
use std::collections::BTreeMap;

use stagecraft_store::Digest;

use crate::plan::operation::Phase;
use crate::release::id::ReleaseId;
use crate::release::status::{PhaseStatus, Phases};
use crate::release::timestamp::Timestamp;

/// One release, as the log says at the moment of the read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Release {
    /// Its id.
    pub id: ReleaseId,
    /// The environment that it was made for.
    pub environment: String,
    /// Its version, as given or found.
    pub version: String,
    /// The commit it was made from; empty when unknown.
    pub commit_sha: String,
    /// When it was made.
    pub timestamp: Timestamp,
    /// How far each phase is.
    pub phases: Phases,
    /// Why a phase was skipped or failed.
    pub phase_reasons: BTreeMap<Phase, String>,
    /// The newest release of the environment when this one was made.
    pub previous_id: Option<ReleaseId>,
    /// The digest of the sealed content, once finalized.
    pub manifest: Option<Digest>,
    /// Who made it and how that ended; absent in releases of older tools.
    pub run: Option<Run>,
    /// Whether it is the live release of its environment.
    pub live: bool,
}

impl Release {
    /// Returns the status of the whole release.
    pub fn overall(&self) -> PhaseStatus {
        self.phases.overall()
    }

    /// Returns whether a rollback may go to it.
    pub fn is_fully_deployed(&self) -> bool {
        self.phases.incomplete().is_empty()
    }

    /// Older before newer: by timestamp, then by id.
    pub(crate) fn age_order(&self, other: &Self) -> Ordering {
        self.timestamp
            .cmp(&other.timestamp)
            .then_with(|| self.id.cmp(&other.id))
    }
}

/// Who made a release, why, and how it ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Run {
    /// Who started it.
    pub actor: String,
    /// Why, if said.
    pub reason: Option<String>,
    /// When it started.
    pub started: Option<Timestamp>,
    /// When it ended; absent while it goes on.
    pub ended: Option<Timestamp>,
    /// How it ended; absent while it goes on.
    pub outcome: Option<RunOutcome>,
    /// The release whose content this one brought back.
    pub rollback_of: Option<ReleaseId>,
}

/// How the run that made a release ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunOutcome {
    /// The release was finalized.
    Completed,
    /// A phase failed.
    Failed,
    /// It was asked to stop.
    Interrupted,
    /// It ended without a word; found by a later run.
    Abandoned,
}

impl RunOutcome {
    const ALL: [Self; 4] = [
        Self::Completed,
        Self::Failed,
        Self::Interrupted,
        Self::Abandoned,
    ];

    /// Returns the word for it in the log.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Completed => "completed",
            Self::Failed => "failed",
            Self::Interrupted => "interrupted",
            Self::Abandoned => "abandoned",
        }
    }

    /// Returns the outcome that `text` is the word for.
    pub fn parse(text: &str) -> Option<Self> {
        Self::ALL
            .into_iter()
            .find(|outcome| outcome.as_str() == text)
    }
}

/// What a new release is made from; surrounding blanks of the first three do not count.
#[derive(Debug, Clone, Copy, Default)]
pub struct NewRelease<'a> {
    /// The environment; not empty.
    pub environment: &'a str,
    /// The version; not empty.
    pub version: &'a str,
    /// The commit; may be empty.
    pub commit_sha: &'a str,
    /// Who makes it.
    pub actor: &'a str,
    /// Why, if said.
    pub reason: Option<&'a str>,
    /// The release whose content it brings back.
    pub rollback_of: Option<&'a ReleaseId>,
}
