//! The phase runner that deploy and rollback share (`spec/release/phases.md`).
//! Owns the order of phases and what is written around each; what a phase does is the caller's.

use std::time::SystemTime;

use stagecraft_store::Digest;

use crate::plan::operation::Phase;
use crate::release::id::ReleaseId;
use crate::release::log::{LogError, PhaseEnd, PhaseUpdate, ReleaseLog, RunOutcome};
use crate::release::status::PhaseStatus;

/// How the work of one phase ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum PhaseStep {
    /// All of it is done.
    Completed,
    /// All of it is done, and the release consists of this manifest.
    Sealed(Digest),
    /// There was none, for this reason.
    Skipped(String),
    /// It failed, for this cause.
    Failed(String),
    /// It was told to stop.
    Interrupted,
}

/// Why a release did not get through its phases.
#[derive(Debug, thiserror::Error)]
pub enum PhaseError {
    /// A phase failed.
    #[error("phase \"{phase}\" failed: {cause}")]
    Failed {
        /// The phase.
        phase: Phase,
        /// Its cause, as the step gave it.
        cause: String,
    },
    /// A phase was told to stop.
    #[error("phase \"{phase}\" was interrupted")]
    Interrupted {
        /// The phase.
        phase: Phase,
    },
    /// The log could not be written; nothing ran after that.
    #[error("updating phase \"{phase}\" to {status}: {source}")]
    Persist {
        /// The phase.
        phase: Phase,
        /// The status it was to get.
        status: PhaseStatus,
        /// The log's answer.
        source: LogError,
    },
}

/// Takes the release `id` through its six phases in order, asking `step` for each.
///
/// Each status is durable before what follows it. On failure or interruption the phase is recorded as failed and the
/// later ones as skipped, also when the process was told to stop. `finalize` completes, moves `live` and records
/// manifest and end of the run in one write.
pub fn run_phases(
    log: &ReleaseLog,
    id: &ReleaseId,
    step: &mut dyn FnMut(Phase) -> PhaseStep,
    now: &dyn Fn() -> SystemTime,
) -> Result<(), PhaseError> {
    let [first, ..] = Phase::ALL else {
        return Ok(());
    };
    persist(
        *first,
        PhaseStatus::Running,
        log.update_phase(id, *first, PhaseStatus::Running, None),
    )?;
    for phase in Phase::ALL.iter().copied() {
        match step(phase) {
            PhaseStep::Completed => proceed(log, id, phase, None, None, now)?,
            PhaseStep::Sealed(manifest) => proceed(log, id, phase, None, Some(manifest), now)?,
            PhaseStep::Skipped(reason) => proceed(log, id, phase, Some(&reason), None, now)?,
            PhaseStep::Failed(cause) => {
                let reason = &cause;
                end(
                    log,
                    id,
                    &PhaseEnd {
                        phase,
                        reason,
                        outcome: RunOutcome::Failed,
                    },
                    now,
                );
                return Err(PhaseError::Failed { phase, cause });
            }
            PhaseStep::Interrupted => {
                end(
                    log,
                    id,
                    &PhaseEnd {
                        phase,
                        reason: "interrupted",
                        outcome: RunOutcome::Interrupted,
                    },
                    now,
                );
                return Err(PhaseError::Interrupted { phase });
            }
        }
    }
    Ok(())
}

/// Ends `phase` well and starts the next, in one write: no reader ever finds a living run between two phases, and a
/// deploy syncs half as often.
fn proceed(
    log: &ReleaseLog,
    id: &ReleaseId,
    phase: Phase,
    skipped: Option<&str>,
    manifest: Option<Digest>,
    now: &dyn Fn() -> SystemTime,
) -> Result<(), PhaseError> {
    let status = if skipped.is_some() {
        PhaseStatus::Skipped
    } else {
        PhaseStatus::Completed
    };
    if (phase, status) == (Phase::Finalize, PhaseStatus::Completed) {
        return persist(phase, status, log.finalize(id, manifest, now()));
    }
    if let Some(manifest) = manifest {
        persist(phase, status, log.set_manifest(id, manifest))?;
    }
    let next = Phase::ALL.iter().copied().find(|next| *next > phase);
    let mut updates = vec![PhaseUpdate {
        phase,
        status,
        reason: skipped,
    }];
    updates.extend(next.map(|phase| PhaseUpdate {
        phase,
        status: PhaseStatus::Running,
        reason: None,
    }));
    persist(phase, status, log.update_phases(id, &updates))
}

fn persist<T>(
    phase: Phase,
    status: PhaseStatus,
    written: Result<T, LogError>,
) -> Result<(), PhaseError> {
    written.map(drop).map_err(|source| PhaseError::Persist {
        phase,
        status,
        source,
    })
}

/// The cause of the failure is what the caller must hear, so a log that cannot take it is only reported.
fn end(log: &ReleaseLog, id: &ReleaseId, end: &PhaseEnd<'_>, now: &dyn Fn() -> SystemTime) {
    if let Err(error) = log.fail(id, end, now()) {
        tracing::error!(release = %id, phase = %end.phase, %error, "the failure of a phase was not recorded");
    }
}
