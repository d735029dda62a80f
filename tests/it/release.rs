//! The log of releases, the phase runner, the lock and the rollback target, each over real files.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod history;
mod lock;
mod log;
mod manifest;
mod phases;
mod rollback;

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use stagecraft::plan::operation::Phase;
use stagecraft::release::log::Release;
use stagecraft::release::{NewRelease, PhaseStep, ReleaseLog, run_phases};
use tempfile::TempDir;

/// 2025-01-02T03:04:05.678Z and that many milliseconds.
fn clock(milliseconds: u64) -> SystemTime {
    UNIX_EPOCH + Duration::from_millis(1_735_787_045_678 + milliseconds)
}

fn temporary() -> (TempDir, ReleaseLog) {
    let directory = TempDir::new().unwrap();
    let log = ReleaseLog::at(directory.path().join(".stagecraft/releases.json"));
    (directory, log)
}

fn new<'a>(environment: &'a str, version: &'a str) -> NewRelease<'a> {
    NewRelease {
        environment,
        version,
        commit_sha: "c0ffee",
        actor: "ada",
        reason: None,
        rollback_of: None,
    }
}

/// Makes a release and takes it through its phases; those before `failing` have work.
fn deploy(log: &ReleaseLog, environment: &str, version: &str, failing: Option<Phase>) -> Release {
    let made = log.create(&new(environment, version), clock(0)).unwrap();
    let mut step = |phase| {
        if Some(phase) == failing {
            PhaseStep::Failed("it broke".to_owned())
        } else {
            PhaseStep::Completed
        }
    };
    run_phases(log, &made.id, &mut step, &|| clock(1)).ok();
    log.get(made.id.as_str()).unwrap()
}
