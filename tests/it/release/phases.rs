//! `spec/release/phases.md`.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]
#![expect(clippy::disallowed_methods, reason = "effects: breaks state files")]

use std::fs;

use stagecraft::plan::operation::Phase;
use stagecraft::release::log::Release;
use stagecraft::release::status::PhaseStatus;
use stagecraft::release::{LogError, PhaseError, PhaseStep, ReleaseLog, RunOutcome, run_phases};
use stagecraft_store::Digest;

use super::{clock, deploy, new, temporary};

fn run(
    log: &ReleaseLog,
    step: &mut dyn FnMut(Phase) -> PhaseStep,
) -> (Release, Result<(), PhaseError>) {
    let made = log.create(&new("prod", "v1"), clock(0)).unwrap();
    let result = run_phases(log, &made.id, step, &|| clock(1));
    (log.get(made.id.as_str()).unwrap(), result)
}

fn words(release: &Release) -> Vec<&'static str> {
    release
        .phases
        .iter()
        .map(|(_, status)| status.as_str())
        .collect()
}

/// spec: release/phases R1, release/phases R3
#[test]
fn phases_run_in_order_and_each_status_is_durable_first() {
    let (_directory, log) = temporary();
    let mut seen = Vec::new();
    let mut step = |phase: Phase| {
        // A fresh manager, as another process would read it.
        let release = ReleaseLog::at(log.path()).current("prod").unwrap();
        assert_eq!(release.phases.running(), Some(phase));
        assert!(
            release
                .phases
                .iter()
                .all(|(other, status)| other >= phase || status == PhaseStatus::Completed)
        );
        seen.push(phase);
        PhaseStep::Completed
    };
    let (release, result) = run(&log, &mut step);
    result.unwrap();
    assert_eq!(seen, Phase::ALL);
    assert_eq!(words(&release), ["completed"; 6]);
    assert_eq!(release.overall(), PhaseStatus::Completed);
}

/// spec: release/phases R2
#[test]
fn transitions_outside_the_table_are_refused_and_change_nothing() {
    let (_directory, log) = temporary();
    let made = log.create(&new("prod", "v1"), clock(0)).unwrap();
    let update = |phase, status| log.update_phase(&made.id, phase, status, None);
    let error = update(Phase::Build, PhaseStatus::Completed).unwrap_err();
    assert_eq!(
        error.to_string(),
        "phase \"build\" of rel-20250102-030405678 cannot go from pending to completed"
    );
    update(Phase::Build, PhaseStatus::Running).unwrap();
    let error = update(Phase::Push, PhaseStatus::Running).unwrap_err();
    assert_eq!(
        error.to_string(),
        "phase \"push\" of rel-20250102-030405678 cannot start while \"build\" is running"
    );
    update(Phase::Build, PhaseStatus::Completed).unwrap();
    for status in [
        PhaseStatus::Pending,
        PhaseStatus::Running,
        PhaseStatus::Failed,
        PhaseStatus::Skipped,
    ] {
        assert!(matches!(
            update(Phase::Build, status),
            Err(LogError::Transition { .. })
        ));
    }
    assert!(matches!(
        update(Phase::Rollout, PhaseStatus::Running),
        Err(LogError::Order { .. })
    ));
    update(Phase::Push, PhaseStatus::Running).unwrap();
    update(Phase::Push, PhaseStatus::Failed).unwrap();
    assert!(matches!(
        update(Phase::MigratePre, PhaseStatus::Running),
        Err(LogError::Order { .. })
    ));
    let kept = log.get(made.id.as_str()).unwrap();
    assert_eq!(
        words(&kept),
        [
            "completed",
            "failed",
            "pending",
            "pending",
            "pending",
            "pending"
        ]
    );
}

/// spec: release/phases R4
#[test]
fn a_phase_without_work_is_skipped_with_its_reason() {
    let (_directory, log) = temporary();
    let mut step = |phase: Phase| match phase {
        Phase::Push => PhaseStep::Skipped("no registry".to_owned()),
        _ => PhaseStep::Completed,
    };
    let (release, result) = run(&log, &mut step);
    result.unwrap();
    assert_eq!(release.phases.of(Phase::Push), PhaseStatus::Skipped);
    assert_eq!(release.phase_reasons[&Phase::Push], "no registry");
    assert!(release.is_fully_deployed() && release.live);
}

/// spec: release/phases R5, release/phases R8
#[test]
fn a_failure_skips_what_follows_and_keeps_what_was() {
    for (index, failing) in Phase::ALL.iter().enumerate() {
        let (_directory, log) = temporary();
        let good = deploy(&log, "prod", "v0", None);
        let mut step = |phase| {
            assert!(phase <= *failing, "{phase} ran behind the failure");
            if phase == *failing {
                PhaseStep::Failed("it broke".to_owned())
            } else {
                PhaseStep::Completed
            }
        };
        let (release, result) = run(&log, &mut step);
        assert_eq!(
            result.unwrap_err().to_string(),
            format!("phase \"{failing}\" failed: it broke")
        );
        let mut expected = vec!["completed"; index];
        expected.push("failed");
        expected.resize(6, "skipped");
        assert_eq!(words(&release), expected);
        assert_eq!(release.overall(), PhaseStatus::Failed);
        assert_eq!(release.phase_reasons[failing], "it broke");
        if *failing != Phase::Finalize {
            assert_eq!(
                release.phase_reasons[&Phase::Finalize],
                format!("phase \"{failing}\" failed")
            );
        }
        assert_eq!(release.run.unwrap().outcome, Some(RunOutcome::Failed));
        assert_eq!(log.live("prod").unwrap().unwrap().id, good.id);
    }
}

/// spec: release/phases R6
#[test]
fn an_interruption_is_recorded() {
    let (_directory, log) = temporary();
    let mut step = |phase| {
        if phase == Phase::Rollout {
            PhaseStep::Interrupted
        } else {
            PhaseStep::Completed
        }
    };
    let (release, result) = run(&log, &mut step);
    assert_eq!(
        result.unwrap_err().to_string(),
        "phase \"rollout\" was interrupted"
    );
    assert_eq!(
        words(&release),
        [
            "completed",
            "completed",
            "completed",
            "failed",
            "skipped",
            "skipped"
        ]
    );
    assert_eq!(release.phase_reasons[&Phase::Rollout], "interrupted");
    let run = release.run.unwrap();
    assert_eq!(
        (run.outcome, run.ended),
        (Some(RunOutcome::Interrupted), Some(clock(1).into()))
    );
}

/// spec: release/phases R7
#[test]
fn a_status_that_cannot_be_written_stops_the_run() {
    for (broken_at, wanted) in [(Phase::Build, "completed"), (Phase::Finalize, "completed")] {
        let (_directory, log) = temporary();
        let made = log.create(&new("prod", "v1"), clock(0)).unwrap();
        let mut calls = Vec::new();
        let mut step = |phase| {
            calls.push(phase);
            if phase == broken_at {
                fs::write(log.path(), "torn").unwrap();
            }
            PhaseStep::Completed
        };
        let error = run_phases(&log, &made.id, &mut step, &|| clock(1)).unwrap_err();
        assert!(
            error.to_string().starts_with(&format!(
                "updating phase \"{broken_at}\" to {wanted}: state file "
            )),
            "{error}"
        );
        assert_eq!(calls.last(), Some(&broken_at));
    }
    let (_directory, log) = temporary();
    let made = log.create(&new("prod", "v1"), clock(0)).unwrap();
    fs::write(log.path(), "torn").unwrap();
    let mut step = |_| -> PhaseStep { unreachable!("nothing runs after a failed write") };
    let error = run_phases(&log, &made.id, &mut step, &|| clock(1)).unwrap_err();
    assert!(
        error
            .to_string()
            .starts_with("updating phase \"build\" to running: state file "),
        "{error}"
    );
}

/// spec: release/phases R7
#[test]
fn a_failure_that_cannot_be_recorded_is_still_the_failure() {
    let (_directory, log) = temporary();
    let made = log.create(&new("prod", "v1"), clock(0)).unwrap();
    let mut step = |_| {
        fs::write(log.path(), "torn").unwrap();
        PhaseStep::Failed("it broke".to_owned())
    };
    let error = run_phases(&log, &made.id, &mut step, &|| clock(1)).unwrap_err();
    assert_eq!(error.to_string(), "phase \"build\" failed: it broke");
}

/// spec: release/phases R8
#[test]
fn a_sealed_release_names_its_manifest() {
    let (_directory, log) = temporary();
    let manifest = Digest::of(b"content");
    let mut step = |phase| {
        if phase == Phase::Finalize {
            PhaseStep::Sealed(manifest)
        } else {
            PhaseStep::Completed
        }
    };
    let (release, result) = run(&log, &mut step);
    result.unwrap();
    assert_eq!((release.manifest, release.live), (Some(manifest), true));
    assert_eq!(release.run.unwrap().outcome, Some(RunOutcome::Completed));
}
