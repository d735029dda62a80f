//! `spec/release/log.md` R9 to R15: what the log says about the past.
#![expect(
    clippy::disallowed_methods,
    reason = "effects: reads and writes state files"
)]

use std::fs;

use serde_json::Value;
use stagecraft::plan::operation::Phase;
use stagecraft::release::status::PhaseStatus;
use stagecraft::release::{LogError, Release, ReleaseLog, RunOutcome};
use stagecraft_store::Digest;

use super::log::{original, read, write};
use super::{clock, deploy, new, temporary};

/// spec: release/log R9
#[test]
fn live_moves_with_finalize_only() {
    let (_directory, log) = temporary();
    let first = deploy(&log, "prod", "v1", None);
    let failed = deploy(&log, "prod", "v2", Some(Phase::Rollout));
    let other = deploy(&log, "dev", "v3", None);
    assert_eq!(log.live("prod").unwrap().unwrap().id, first.id);
    assert_eq!(log.live("dev").unwrap().unwrap().id, other.id);
    assert_eq!(log.current("prod").unwrap().id, failed.id);
    let marked: Vec<bool> = log
        .list_all()
        .unwrap()
        .iter()
        .map(|release| release.live)
        .collect();
    assert_eq!(marked, [true, false, true]);
    let value: Value = serde_json::from_str(&read(&log)).unwrap();
    assert_eq!(value["live"]["prod"], first.id.as_str());
}

/// spec: release/log R9
#[test]
fn without_an_entry_the_newest_finalized_release_is_live() {
    let (_directory, log) = temporary();
    let entries = [
        original(
            "rel-20240101-000000000",
            "prod",
            "2024-01-01T00:00:00Z",
            "completed",
        ),
        original(
            "rel-20240103-000000000",
            "prod",
            "2024-01-03T00:00:00Z",
            "completed",
        ),
        original(
            "rel-20240102-000000000",
            "prod",
            "2024-01-02T00:00:00Z",
            "completed",
        ),
        original(
            "rel-20240104-000000000",
            "prod",
            "2024-01-04T00:00:00Z",
            "failed",
        ),
    ];
    write(&log, &format!(r#"{{"releases": [{}]}}"#, entries.join(",")));
    assert_eq!(
        log.live("prod").unwrap().unwrap().id.as_str(),
        "rel-20240103-000000000"
    );
    write(
        &log,
        &format!(
            r#"{{"live": {{"prod": "rel-20240101-000000000"}}, "releases": [{}]}}"#,
            entries.join(",")
        ),
    );
    assert_eq!(
        log.live("prod").unwrap().unwrap().id.as_str(),
        "rel-20240101-000000000"
    );
}

/// spec: release/log R10
#[test]
fn previous_skips_failed_releases_and_other_environments() {
    let (_directory, log) = temporary();
    assert_eq!(log.previous("prod").unwrap(), None);
    let first = deploy(&log, "prod", "v1", None);
    assert_eq!(log.previous("prod").unwrap(), None);
    deploy(&log, "prod", "v2", Some(Phase::Build));
    deploy(&log, "dev", "v3", None);
    deploy(&log, "prod", "v4", None);
    deploy(&log, "prod", "v5", Some(Phase::Push));
    assert_eq!(log.previous("prod").unwrap().unwrap().id, first.id);
}

/// spec: release/log R11
#[test]
fn lists_are_sorted_whatever_the_file_order() {
    let (_directory, log) = temporary();
    let entries = [
        original(
            "rel-20240102-000000000",
            "prod",
            "2024-01-02T00:00:00Z",
            "completed",
        ),
        original(
            "rel-20240104-000000000",
            "prod",
            "2024-01-04T00:00:00Z",
            "completed",
        ),
        original(
            "rel-20240101-000000000",
            "dev",
            "2024-01-01T00:00:00Z",
            "completed",
        ),
        original(
            "rel-20240103-000000002",
            "prod",
            "2024-01-03T00:00:00Z",
            "completed",
        ),
        original(
            "rel-20240103-000000001",
            "prod",
            "2024-01-03T00:00:00Z",
            "completed",
        ),
    ];
    write(&log, &format!(r#"{{"releases": [{}]}}"#, entries.join(",")));
    let days = |releases: Vec<Release>| -> Vec<String> {
        releases
            .iter()
            .map(|release| release.id.as_str()[11..].to_owned())
            .collect()
    };
    assert_eq!(
        days(log.list("prod").unwrap()),
        ["4-000000000", "3-000000002", "3-000000001", "2-000000000"]
    );
    assert_eq!(
        days(log.list_all().unwrap()),
        [
            "1-000000000",
            "4-000000000",
            "3-000000001",
            "3-000000002",
            "2-000000000"
        ]
    );
    assert!(log.list("nowhere").unwrap().is_empty());
}

/// spec: release/log R12
#[test]
fn what_is_not_there_is_named() {
    let (_directory, log) = temporary();
    assert_eq!(
        log.current("prod").unwrap_err().to_string(),
        "no current release found for environment \"prod\""
    );
    assert_eq!(
        log.get("rel-x").unwrap_err().to_string(),
        "release not found: \"rel-x\""
    );
    assert_eq!(
        ReleaseLog::phase("smoke").unwrap_err().to_string(),
        "unknown phase \"smoke\""
    );
    assert_eq!(ReleaseLog::phase("migrate_pre").unwrap(), Phase::MigratePre);
}

/// spec: release/log R13
#[test]
fn a_returned_release_is_a_copy() {
    let (_directory, log) = temporary();
    let mut made = log.create(&new("prod", "v1"), clock(0)).unwrap();
    made.version = "changed".to_owned();
    made.phase_reasons
        .insert(Phase::Build, "changed".to_owned());
    let kept = log.get(made.id.as_str()).unwrap();
    assert_eq!((kept.version.as_str(), kept.phase_reasons.len()), ("v1", 0));
}

/// spec: release/log R14
#[test]
fn settling_ends_what_a_dead_run_left() {
    let (_directory, log) = temporary();
    let killed = log.create(&new("prod", "v1"), clock(0)).unwrap();
    log.update_phase(&killed.id, Phase::Build, PhaseStatus::Running, None)
        .unwrap();
    log.update_phase(&killed.id, Phase::Build, PhaseStatus::Completed, None)
        .unwrap();
    log.update_phase(&killed.id, Phase::Push, PhaseStatus::Running, None)
        .unwrap();
    let unstarted = log.create(&new("prod", "v2"), clock(1)).unwrap();
    let other = log.create(&new("dev", "v3"), clock(2)).unwrap();
    let temporary = log.path().with_file_name(".releases-4294967295-0.tmp");
    fs::write(&temporary, "{").unwrap();

    assert_eq!(
        log.settle("prod", clock(9)).unwrap(),
        [killed.id.clone(), unstarted.id.clone()]
    );

    let killed = log.get(killed.id.as_str()).unwrap();
    let statuses: Vec<&str> = killed
        .phases
        .iter()
        .map(|(_, status)| status.as_str())
        .collect();
    assert_eq!(
        statuses,
        [
            "completed",
            "failed",
            "skipped",
            "skipped",
            "skipped",
            "skipped"
        ]
    );
    assert_eq!(
        killed.phase_reasons[&Phase::Push],
        "the run that owned it ended without a result"
    );
    assert_eq!(
        killed.phase_reasons[&Phase::Rollout],
        "phase \"push\" failed"
    );
    let run = killed.run.unwrap();
    assert_eq!(
        (run.outcome, run.ended),
        (Some(RunOutcome::Abandoned), Some(clock(9).into()))
    );
    let unstarted = log.get(unstarted.id.as_str()).unwrap();
    assert!(
        unstarted
            .phases
            .iter()
            .all(|(_, status)| status == PhaseStatus::Skipped)
    );
    assert_eq!(log.get(other.id.as_str()).unwrap(), other);
    assert!(!temporary.exists());
    let before = fs::metadata(log.path()).unwrap().modified().unwrap();
    assert!(log.settle("prod", clock(10)).unwrap().is_empty());
    assert_eq!(
        fs::metadata(log.path()).unwrap().modified().unwrap(),
        before
    );
}

/// spec: release/log R14
#[test]
fn settling_leaves_pending_releases_of_other_tools_alone() {
    let (_directory, log) = temporary();
    let pending = r#"{"id": "rel-20240101-000000000", "environment": "prod", "version": "v1",
        "timestamp": "2024-01-01T00:00:00Z", "phases": {"build": "completed", "push": "pending"}}"#;
    write(&log, &format!(r#"{{"releases": [{pending}]}}"#));
    let before = read(&log);
    assert!(log.settle("prod", clock(0)).unwrap().is_empty());
    assert_eq!(read(&log), before);
}

/// spec: release/log R15
#[test]
fn finalizing_records_everything_at_once() {
    let (_directory, log) = temporary();
    let made = log.create(&new("prod", "v1"), clock(0)).unwrap();
    assert!(matches!(
        log.finalize(&made.id, None, clock(1)),
        Err(LogError::Transition { .. })
    ));
    for phase in &Phase::ALL[..5] {
        log.update_phase(&made.id, *phase, PhaseStatus::Skipped, Some("no work"))
            .unwrap();
    }
    log.update_phase(&made.id, Phase::Finalize, PhaseStatus::Running, None)
        .unwrap();
    let manifest = Digest::of(b"content");
    let sealed = log.finalize(&made.id, Some(manifest), clock(7)).unwrap();
    assert!(sealed.live && sealed.is_fully_deployed());
    assert_eq!(sealed.manifest, Some(manifest));
    let run = sealed.run.unwrap();
    assert_eq!(
        (run.outcome, run.ended),
        (Some(RunOutcome::Completed), Some(clock(7).into()))
    );
}
