//! `ReleaseLog`: the history of releases in `.stagecraft/releases.json` (`spec/release/log.md`).
//! Every read reads the file; every change reads, edits and replaces it under its lock. Keeps nothing in memory.

mod entry;
mod error;
mod file;
mod transfer;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use stagecraft_store::Digest;

pub use entry::{NewRelease, Release, Run, RunOutcome};
pub use error::{Damage, LogError};
pub use transfer::Adoption;

use crate::plan::operation::Phase;
use crate::release::document::Document;
use crate::release::id::ReleaseId;
use crate::release::status::{PhaseStatus, Phases};
use crate::release::timestamp::Timestamp;

/// The log at one path.
#[derive(Debug, Clone)]
pub struct ReleaseLog {
    path: PathBuf,
}

/// One transition of one phase.
#[derive(Debug, Clone, Copy)]
pub struct PhaseUpdate<'a> {
    /// The phase.
    pub phase: Phase,
    /// The status it gets.
    pub status: PhaseStatus,
    /// Why, if there is something to say.
    pub reason: Option<&'a str>,
}

/// How a phase that was running ends without success.
#[derive(Debug, Clone, Copy)]
pub struct PhaseEnd<'a> {
    /// The phase.
    pub phase: Phase,
    /// Why it failed.
    pub reason: &'a str,
    /// How the run ended with it.
    pub outcome: RunOutcome,
}

impl ReleaseLog {
    /// Returns the log at `path`, which need not exist.
    pub fn at(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }

    /// Returns where the log is: `explicit`, else `variable` (`STAGECRAFT_STATE_FILE`) unless empty, else
    /// `.stagecraft/releases.json` of the project.
    pub fn locate(explicit: Option<&Path>, variable: Option<OsString>, project: &Path) -> PathBuf {
        match (explicit, variable.filter(|value| !value.is_empty())) {
            (Some(path), _) => path.to_owned(),
            (None, Some(value)) => PathBuf::from(value),
            (None, None) => project.join(".stagecraft/releases.json"),
        }
    }

    /// Returns the file.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Adds a release with six pending phases. Its id and timestamp are `now`, or the first later millisecond that
    /// is greater than every other release's.
    pub fn create(&self, new: &NewRelease<'_>, now: SystemTime) -> Result<Release, LogError> {
        let environment = new.environment.trim();
        let version = new.version.trim();
        if environment.is_empty() {
            return Err(LogError::EmptyEnvironment);
        }
        if version.is_empty() {
            return Err(LogError::EmptyVersion);
        }
        self.change(|document| {
            let timestamp = next_instant(document.releases(), now.into())?;
            let newest = newest_of(document.releases(), environment);
            document.append(Release {
                id: ReleaseId::at(timestamp),
                environment: environment.to_owned(),
                version: version.to_owned(),
                commit_sha: new.commit_sha.trim().to_owned(),
                timestamp,
                phases: Phases::pending(),
                phase_reasons: std::collections::BTreeMap::new(),
                previous_id: newest.map(|release| release.id.clone()),
                manifest: None,
                run: Some(started(new, now.into())),
                live: false,
            });
            Ok(document.releases().len() - 1)
        })
    }

    /// Returns the release `id`.
    pub fn get(&self, id: &str) -> Result<Release, LogError> {
        let document = self.read()?;
        let index = find(&document, id)?;
        Ok(document.releases()[index].clone())
    }

    /// Returns the newest release of an environment, whatever its status.
    pub fn current(&self, environment: &str) -> Result<Release, LogError> {
        let document = self.read()?;
        newest_of(document.releases(), environment)
            .cloned()
            .ok_or_else(|| LogError::NoCurrent {
                environment: environment.to_owned(),
            })
    }

    /// Returns the release that is live in an environment: the one that `live` names, else the newest finalized.
    pub fn live(&self, environment: &str) -> Result<Option<Release>, LogError> {
        let document = self.read()?;
        Ok(document
            .live(environment)
            .map(|index| document.releases()[index].clone()))
    }

    /// Returns the newest fully deployed release before the live one.
    pub fn previous(&self, environment: &str) -> Result<Option<Release>, LogError> {
        let document = self.read()?;
        let Some(live) = document
            .live(environment)
            .map(|index| &document.releases()[index])
        else {
            return Ok(None);
        };
        let before = document.releases().iter().filter(|release| {
            release.environment == environment
                && release.is_fully_deployed()
                && release.age_order(live).is_lt()
        });
        Ok(before.max_by(|a, b| a.age_order(b)).cloned())
    }

    /// Returns the releases of an environment, newest first.
    pub fn list(&self, environment: &str) -> Result<Vec<Release>, LogError> {
        let mut releases = self.read()?.releases().to_vec();
        releases.retain(|release| release.environment == environment);
        releases.sort_by(|a, b| b.age_order(a));
        Ok(releases)
    }

    /// Returns all releases: by environment, in each newest first.
    pub fn list_all(&self) -> Result<Vec<Release>, LogError> {
        let mut releases = self.read()?.releases().to_vec();
        releases.sort_by(|a, b| {
            let newest_first = b.timestamp.cmp(&a.timestamp);
            a.environment
                .cmp(&b.environment)
                .then(newest_first)
                .then_with(|| a.id.cmp(&b.id))
        });
        Ok(releases)
    }

    /// Returns the phase that `text` names.
    pub fn phase(text: &str) -> Result<Phase, LogError> {
        Phase::parse(text).ok_or_else(|| LogError::UnknownPhase {
            phase: text.to_owned(),
        })
    }

    /// Gives a phase a status that the table of transitions allows, with a reason where there is one.
    /// Completing `finalize` makes the release live in the same write.
    pub fn update_phase(
        &self,
        id: &ReleaseId,
        phase: Phase,
        status: PhaseStatus,
        reason: Option<&str>,
    ) -> Result<Release, LogError> {
        self.update_phases(
            id,
            &[PhaseUpdate {
                phase,
                status,
                reason,
            }],
        )
    }

    /// Does several updates, in order, in one write; all of them or none.
    pub fn update_phases(
        &self,
        id: &ReleaseId,
        updates: &[PhaseUpdate<'_>],
    ) -> Result<Release, LogError> {
        self.change(|document| {
            let index = find(document, id.as_str())?;
            for update in updates {
                step(document, index, update)?;
            }
            Ok(index)
        })
    }

    /// Records what a release consists of.
    pub fn set_manifest(&self, id: &ReleaseId, manifest: Digest) -> Result<Release, LogError> {
        self.change(|document| {
            let index = find(document, id.as_str())?;
            document.set_manifest(index, manifest);
            Ok(index)
        })
    }

    /// Completes `finalize`, moves `live`, records manifest and end of the run, in one write.
    pub fn finalize(
        &self,
        id: &ReleaseId,
        manifest: Option<Digest>,
        now: SystemTime,
    ) -> Result<Release, LogError> {
        self.change(|document| {
            let index = find(document, id.as_str())?;
            step(
                document,
                index,
                &PhaseUpdate {
                    phase: Phase::Finalize,
                    status: PhaseStatus::Completed,
                    reason: None,
                },
            )?;
            if let Some(manifest) = manifest {
                document.set_manifest(index, manifest);
            }
            document.end_run(index, RunOutcome::Completed, now.into());
            Ok(index)
        })
    }

    /// Fails a running phase, skips those after it and records the end of the run, in one write.
    pub fn fail(
        &self,
        id: &ReleaseId,
        end: &PhaseEnd<'_>,
        now: SystemTime,
    ) -> Result<Release, LogError> {
        self.change(|document| {
            let index = find(document, id.as_str())?;
            step(
                document,
                index,
                &PhaseUpdate {
                    phase: end.phase,
                    status: PhaseStatus::Failed,
                    reason: Some(end.reason),
                },
            )?;
            skip_pending(document, index, &format!("phase \"{}\" failed", end.phase));
            document.end_run(index, end.outcome, now.into());
            Ok(index)
        })
    }

    /// Ends what dead runs of an environment left: running phases fail, later ones are skipped. Returns the releases
    /// concerned, in file order. Only the holder of the environment's lock may call it.
    pub fn settle(&self, environment: &str, now: SystemTime) -> Result<Vec<ReleaseId>, LogError> {
        if !self
            .read()?
            .releases()
            .iter()
            .any(|release| is_left(release, environment))
        {
            return Ok(Vec::new());
        }
        let _lock = file::lock(&self.path)?;
        file::sweep(&self.path);
        let mut document = self.read()?;
        let mut settled = Vec::new();
        for index in 0..document.releases().len() {
            let release = &document.releases()[index];
            if !is_left(release, environment) {
                continue;
            }
            settled.push(release.id.clone());
            match release.phases.running() {
                Some(phase) => {
                    document.set_phase(index, phase, PhaseStatus::Failed, Some(ABANDONED));
                    skip_pending(&mut document, index, &format!("phase \"{phase}\" failed"));
                }
                None => skip_pending(&mut document, index, ABANDONED),
            }
            document.end_run(index, RunOutcome::Abandoned, now.into());
        }
        file::replace(&self.path, &document.to_bytes())?;
        Ok(settled)
    }

    fn read(&self) -> Result<Document, LogError> {
        match file::read(&self.path)? {
            None => Ok(Document::empty()),
            Some(bytes) => Document::parse(&bytes).map_err(|damage| LogError::Damaged {
                path: self.path.clone(),
                damage,
            }),
        }
    }

    /// Edits the file under its lock and returns the release at the index that `edit` returns.
    fn change(
        &self,
        edit: impl FnOnce(&mut Document) -> Result<usize, LogError>,
    ) -> Result<Release, LogError> {
        let _lock = file::lock(&self.path)?;
        let mut document = self.read()?;
        let index = edit(&mut document)?;
        file::replace(&self.path, &document.to_bytes())?;
        Ok(document.releases()[index].clone())
    }
}

const ABANDONED: &str = "the run that owned it ended without a result";

fn find(document: &Document, id: &str) -> Result<usize, LogError> {
    document
        .find(id)
        .ok_or_else(|| LogError::NotFound { id: id.to_owned() })
}

fn newest_of<'r>(releases: &'r [Release], environment: &str) -> Option<&'r Release> {
    releases
        .iter()
        .filter(|release| release.environment == environment)
        .max_by(|a, b| a.age_order(b))
}

fn started(new: &NewRelease<'_>, now: Timestamp) -> Run {
    Run {
        actor: new.actor.to_owned(),
        reason: new.reason.map(ToOwned::to_owned),
        started: Some(now),
        ended: None,
        outcome: None,
        rollback_of: new.rollback_of.cloned(),
    }
}

/// The first millisecond from `now` on that lies after every id and timestamp of the file.
fn next_instant(releases: &[Release], now: Timestamp) -> Result<Timestamp, LogError> {
    let instants = |release: &Release| release.id.instant().into_iter().chain([release.timestamp]);
    let Some(newest) = releases
        .iter()
        .flat_map(instants)
        .map(Timestamp::milliseconds)
        .max()
    else {
        return Ok(now);
    };
    Timestamp::from_milliseconds(now.milliseconds().max(newest + 1)).ok_or_else(|| {
        LogError::Exhausted {
            newest: releases
                .iter()
                .map(|release| &release.id)
                .max()
                .cloned()
                .unwrap_or_else(|| ReleaseId::at(now)),
        }
    })
}

/// The one function that moves a phase by the table.
fn step(document: &mut Document, index: usize, update: &PhaseUpdate<'_>) -> Result<(), LogError> {
    let PhaseUpdate {
        phase,
        status,
        reason,
    } = *update;
    let release = &document.releases()[index];
    let from = release.phases.of(phase);
    if !from.may_become(status) {
        return Err(LogError::Transition {
            id: release.id.clone(),
            phase,
            from,
            to: status,
        });
    }
    let before = release
        .phases
        .iter()
        .find(|(other, held)| *other < phase && !held.lets_pass());
    if let (PhaseStatus::Running, Some((other, held))) = (status, before) {
        return Err(LogError::Order {
            id: release.id.clone(),
            phase,
            other,
            status: held,
        });
    }
    document.set_phase(index, phase, status, reason);
    if phase == Phase::Finalize && status == PhaseStatus::Completed {
        document.set_live(index);
    }
    Ok(())
}

fn skip_pending(document: &mut Document, index: usize, reason: &str) {
    for phase in Phase::ALL {
        if document.releases()[index].phases.of(*phase) == PhaseStatus::Pending {
            document.set_phase(index, *phase, PhaseStatus::Skipped, Some(reason));
        }
    }
}

/// A release whose run can only be dead: a phase still runs, or our own run record has no end.
fn is_left(release: &Release, environment: &str) -> bool {
    let unended = release
        .run
        .as_ref()
        .is_some_and(|run| run.outcome.is_none());
    release.environment == environment
        && (release.phases.running().is_some()
            || (unended && release.overall() != PhaseStatus::Completed))
}
