//! `spec/release/rollback.md`: every fixed message.

use stagecraft::plan::operation::Phase;
use stagecraft::release::{ReleaseLog, RollbackTarget};

use super::{clock, deploy, new, temporary};

fn refusal(log: &ReleaseLog, target: &RollbackTarget) -> String {
    target.select(log, "prod").unwrap_err().to_string()
}

fn to(id: &str) -> RollbackTarget {
    RollbackTarget::Release(id.to_owned())
}

/// spec: release/rollback R1
#[test]
fn exactly_one_target_is_given() {
    let message = |previous, release, version| {
        RollbackTarget::from_flags(previous, release, version)
            .unwrap_err()
            .to_string()
    };
    assert_eq!(
        message(false, None, None),
        "rollback target required; use --to-previous, --to-release, or --to-version"
    );
    for (previous, release, version) in [
        (true, Some("r"), None),
        (true, None, Some("v")),
        (false, Some("r"), Some("v")),
        (true, Some("r"), Some("v")),
    ] {
        assert_eq!(
            message(previous, release, version),
            "only one rollback target flag may be specified"
        );
    }
    assert_eq!(
        RollbackTarget::from_flags(true, None, None).unwrap(),
        RollbackTarget::Previous
    );
}

/// spec: release/rollback R2
#[test]
fn previous_goes_back_and_forth() {
    let (_directory, log) = temporary();
    assert_eq!(
        refusal(&log, &RollbackTarget::Previous),
        "no current release found for environment \"prod\""
    );
    let first = deploy(&log, "prod", "v1", None);
    assert_eq!(
        refusal(&log, &RollbackTarget::Previous),
        "no previous release to rollback to"
    );
    let mut live = deploy(&log, "prod", "v2", None);
    let mut before = first;
    for _ in 0..4 {
        let target = RollbackTarget::Previous.select(&log, "prod").unwrap();
        assert_eq!(target.id, before.id);
        before = live;
        live = deploy(&log, "prod", &target.version, None);
    }
    deploy(&log, "prod", "v9", Some(Phase::Rollout));
    assert_eq!(
        RollbackTarget::Previous.select(&log, "prod").unwrap().id,
        before.id
    );
}

/// spec: release/rollback R3
#[test]
fn a_release_must_be_known_and_of_the_environment() {
    let (_directory, log) = temporary();
    let other = deploy(&log, "dev", "v1", None);
    deploy(&log, "prod", "v1", None);
    assert_eq!(
        refusal(&log, &to("rel-20200101-000000000")),
        "rollback target not found: \"rel-20200101-000000000\""
    );
    assert_eq!(
        refusal(&log, &to(other.id.as_str())),
        format!(
            "release \"{}\" belongs to environment \"dev\", not \"prod\"",
            other.id
        )
    );
}

/// spec: release/rollback R4
#[test]
fn a_version_means_its_newest_release() {
    let (_directory, log) = temporary();
    deploy(&log, "prod", "v1", None);
    let newest = deploy(&log, "prod", "v1", None);
    deploy(&log, "dev", "v1", None);
    deploy(&log, "prod", "v2", None);
    let version = |text: &str| RollbackTarget::Version(text.to_owned());
    assert_eq!(version("v1").select(&log, "prod").unwrap().id, newest.id);
    assert_eq!(
        refusal(&log, &version("v3")),
        "no release found with version \"v3\" in environment \"prod\""
    );
}

/// spec: release/rollback R5
#[test]
fn the_live_release_is_refused() {
    let (_directory, log) = temporary();
    deploy(&log, "prod", "v1", None);
    let live = deploy(&log, "prod", "v1", None);
    let message = format!("cannot rollback to current release \"{}\"", live.id);
    assert_eq!(refusal(&log, &to(live.id.as_str())), message);
    assert_eq!(
        refusal(&log, &RollbackTarget::Version("v1".to_owned())),
        message
    );
}

/// spec: release/rollback R6
#[test]
fn a_release_that_did_not_get_through_is_refused() {
    let (_directory, log) = temporary();
    let failed = deploy(&log, "prod", "v1", Some(Phase::Rollout));
    let pending = log.create(&new("prod", "v2"), clock(0)).unwrap();
    assert_eq!(
        refusal(&log, &to(failed.id.as_str())),
        format!(
            "rollback target \"{}\" is not fully deployed (phases: [rollout migrate_post finalize])",
            failed.id
        )
    );
    assert_eq!(
        refusal(&log, &to(pending.id.as_str())),
        format!(
            "rollback target \"{}\" is not fully deployed (phases: [build push migrate_pre rollout migrate_post finalize])",
            pending.id
        )
    );
}
