//! `spec/release/log.md` R1 to R8: the file.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]
#![expect(
    clippy::disallowed_methods,
    reason = "effects: reads and writes state files"
)]

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::thread;

use serde_json::Value;
use stagecraft::plan::operation::Phase;
use stagecraft::release::status::PhaseStatus;
use stagecraft::release::{LogError, ReleaseLog};
use stagecraft_store::Digest;

use super::{clock, new, temporary};

pub(super) fn write(log: &ReleaseLog, text: &str) {
    fs::create_dir_all(log.path().parent().unwrap()).unwrap();
    fs::write(log.path(), text).unwrap();
}

pub(super) fn read(log: &ReleaseLog) -> String {
    fs::read_to_string(log.path()).unwrap()
}

/// An entry as the original tool wrote it.
pub(super) fn original(id: &str, environment: &str, timestamp: &str, finalize: &str) -> String {
    format!(
        r#"{{"id": "{id}", "environment": "{environment}", "version": "v1", "commit_sha": "", "timestamp": "{timestamp}",
        "phases": {{"build": "completed", "finalize": "{finalize}", "migrate_post": "completed",
        "migrate_pre": "completed", "push": "completed", "rollout": "completed"}}}}"#
    )
}

/// spec: release/log R1
#[test]
fn a_missing_file_is_an_empty_history_and_stays_missing() {
    let (directory, log) = temporary();
    assert!(log.list_all().unwrap().is_empty());
    assert!(log.live("prod").unwrap().is_none());
    assert!(log.settle("prod", clock(0)).unwrap().is_empty());
    assert!(fs::read_dir(directory.path()).unwrap().next().is_none());
}

/// spec: release/log R2, release/log R7
#[test]
fn the_file_has_the_original_shape() {
    let (_directory, log) = temporary();
    log.create(&new(" prod ", " v1 "), clock(0)).unwrap();
    let parent = log.path().parent().unwrap();
    assert_eq!(
        fs::metadata(parent).unwrap().permissions().mode() & 0o777,
        0o750
    );
    let expected = r#"{
  "releases": [
    {
      "id": "rel-20250102-030405678",
      "environment": "prod",
      "version": "v1",
      "commit_sha": "c0ffee",
      "timestamp": "2025-01-02T03:04:05.678Z",
      "phases": {
        "build": "pending",
        "finalize": "pending",
        "migrate_post": "pending",
        "migrate_pre": "pending",
        "push": "pending",
        "rollout": "pending"
      },
      "run": {
        "actor": "ada",
        "reason": null,
        "started": "2025-01-02T03:04:05.678Z",
        "ended": null,
        "outcome": null,
        "rollback_of": null
      }
    }
  ]
}"#;
    assert_eq!(read(&log), expected);
    let names: BTreeSet<OsString> = fs::read_dir(parent)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(
        names,
        ["releases.json", "releases.lock"]
            .map(OsString::from)
            .into()
    );
}

/// spec: release/log R2
#[test]
fn a_write_that_fails_leaves_the_old_file_and_no_temporary_one() {
    let (_directory, log) = temporary();
    log.create(&new("prod", "v1"), clock(0)).unwrap();
    // A directory in the file's place can be read by nobody and replaced by no rename.
    let other = ReleaseLog::at(log.path().with_file_name("taken.json"));
    fs::create_dir(other.path()).unwrap();
    assert!(matches!(
        other.create(&new("prod", "v1"), clock(0)),
        Err(LogError::Read { .. })
    ));
    let left = fs::read_dir(log.path().parent().unwrap()).unwrap();
    assert!(
        left.flatten()
            .all(|entry| !entry.file_name().to_string_lossy().ends_with(".tmp"))
    );
    assert_eq!(log.list_all().unwrap().len(), 1);
}

/// spec: release/log R3
#[test]
fn two_managers_see_each_others_changes() {
    let (_directory, first) = temporary();
    let second = ReleaseLog::at(first.path());
    for round in 0..25 {
        let (writer, reader) = if round % 2 == 0 {
            (&first, &second)
        } else {
            (&second, &first)
        };
        let made = writer
            .create(&new("prod", &format!("v{round}")), clock(0))
            .unwrap();
        assert_eq!(reader.get(made.id.as_str()).unwrap(), made);
        reader
            .update_phase(&made.id, Phase::Build, PhaseStatus::Running, None)
            .unwrap();
        writer
            .update_phase(&made.id, Phase::Build, PhaseStatus::Completed, None)
            .unwrap();
        assert_eq!(
            reader
                .get(made.id.as_str())
                .unwrap()
                .phases
                .of(Phase::Build),
            PhaseStatus::Completed
        );
    }
    assert_eq!(ReleaseLog::at(first.path()).list("prod").unwrap().len(), 25);
}

/// spec: release/log R3, release/log R6
#[test]
fn eight_threads_lose_no_release_and_share_no_id() {
    let (_directory, log) = temporary();
    thread::scope(|scope| {
        for thread in 0..8 {
            let log = log.clone();
            scope.spawn(move || {
                for round in 0..10 {
                    log.create(&new("prod", &format!("v{thread}.{round}")), clock(0))
                        .unwrap();
                }
            });
        }
    });
    let releases = log.list("prod").unwrap();
    let ids: BTreeSet<_> = releases.iter().map(|release| release.id.clone()).collect();
    let versions: BTreeSet<_> = releases
        .iter()
        .map(|release| release.version.clone())
        .collect();
    assert_eq!((releases.len(), ids.len(), versions.len()), (80, 80, 80));
}

/// spec: release/log R4
#[test]
fn unknown_fields_keep_their_place_at_every_level() {
    let (_directory, log) = temporary();
    write(
        &log,
        r#"{"zeta": {"b": 1, "a": [null, 1.50]}, "live": {"other": null}, "releases": [{"new": true,
        "id": "rel-20240101-000000000", "environment": "prod", "version": "v1", "timestamp": "2024-01-01T00:00:00Z",
        "phases": {"smoke": "green", "build": "pending"}, "run": {"host": "ci", "actor": "bob"}, "z": "ü"}], "alpha": 0}"#,
    );
    let id = log.list_all().unwrap()[0].id.clone();
    for phase in Phase::ALL {
        log.update_phase(&id, *phase, PhaseStatus::Running, None)
            .unwrap();
        if *phase == Phase::Finalize {
            log.finalize(&id, Some(Digest::of(b"m")), clock(0)).unwrap();
        } else {
            log.update_phase(&id, *phase, PhaseStatus::Completed, None)
                .unwrap();
        }
    }
    log.create(&new("prod", "v2"), clock(0)).unwrap();
    let value: Value = serde_json::from_str(&read(&log)).unwrap();
    let keys = |value: &Value| {
        value
            .as_object()
            .unwrap()
            .keys()
            .cloned()
            .collect::<Vec<_>>()
    };
    assert_eq!(keys(&value), ["zeta", "live", "releases", "alpha"]);
    assert_eq!(value["zeta"].to_string(), r#"{"b":1,"a":[null,1.5]}"#);
    let entry = &value["releases"][0];
    let wanted = [
        "new",
        "id",
        "environment",
        "version",
        "timestamp",
        "phases",
        "run",
        "z",
        "manifest",
    ];
    assert_eq!(keys(entry), wanted);
    assert_eq!(keys(&entry["phases"])[..2], ["smoke", "build"]);
    assert_eq!(keys(&entry["run"]), ["host", "actor", "ended", "outcome"]);
    assert_eq!(value["live"]["prod"], "rel-20240101-000000000");
}

/// spec: release/log R5
#[test]
fn damage_is_refused_with_path_place_and_hint_and_never_reset() {
    let (_directory, log) = temporary();
    let entry = |rest: &str| {
        format!(
            r#"{{"releases": [{{"id": "rel-20240101-000000000", "environment": "prod", "timestamp": "2024-01-01T00:00:00Z"{rest}}}]}}"#
        )
    };
    for (text, says) in [
        ("", "EOF while parsing"),
        ("{\"releases\": [{\"id\":", "EOF while parsing"),
        ("[]", "`the file` must be an object"),
        (r#"{"releases": {}}"#, "`releases` must be an array"),
        (r#"{"releases": [1]}"#, "`releases[0]` must be an object"),
        (r#"{"releases": [{}]}"#, "`releases[0].id` must be a text"),
        (
            r#"{"releases": [{"id": "x"}]}"#,
            "`releases[0].id`: `x` is not a release id",
        ),
        (
            &entry(r#", "phases": {"build": "done"}"#),
            "`releases[0].phases.build` is `done`",
        ),
        (
            &entry(r#", "phases": []"#),
            "`releases[0].phases` must be an object",
        ),
        (
            &entry(r#", "manifest": "b3:0""#),
            "`releases[0].manifest` is `b3:0`",
        ),
        (
            &entry(r#", "run": {"outcome": "odd"}"#),
            "`releases[0].run.outcome` is `odd`",
        ),
        (
            &entry(r#", "run": {"started": "noon"}"#),
            "`releases[0].run.started`: `noon` is not an RFC 3339 timestamp",
        ),
        (
            &entry("}], \"live\": {\"prod\": \"rel-20240101-000000001\"}, \"x\": [{"),
            "`live` says that rel-20240101-000000001 runs in `prod`",
        ),
        (
            &entry("}], \"live\": 1, \"x\": [{"),
            "`live` must be an object",
        ),
    ] {
        write(&log, text);
        for error in [
            log.list_all().unwrap_err(),
            log.create(&new("prod", "v1"), clock(0)).unwrap_err(),
            log.settle("prod", clock(0)).unwrap_err(),
        ] {
            let message = error.to_string();
            assert!(
                message.starts_with(&format!("state file {} is damaged: ", log.path().display())),
                "{message}"
            );
            assert!(message.contains(says), "{message} should say {says}");
            assert!(error.hint().unwrap().contains("backup"));
        }
        assert_eq!(read(&log), text);
    }
}

/// spec: release/log R6
#[test]
fn ids_grow_though_the_clock_stands_still_or_goes_back() {
    let (_directory, log) = temporary();
    let ids: Vec<String> = [0, 0, 5, 3, 60_000]
        .into_iter()
        .map(|offset| log.create(&new("prod", "v1"), clock(offset)).unwrap())
        .map(|release| {
            assert_eq!(release.id.instant(), Some(release.timestamp));
            release.id.to_string()
        })
        .collect();
    let expected = [
        "rel-20250102-030405678",
        "rel-20250102-030405679",
        "rel-20250102-030405683",
        "rel-20250102-030405684",
        "rel-20250102-030505678",
    ];
    assert_eq!(ids, expected);
}

/// spec: release/log R6
#[test]
fn a_new_release_is_newer_than_timestamps_from_the_future() {
    let (_directory, log) = temporary();
    let entry = original(
        "rel-20250102-000000000",
        "prod",
        "2025-01-02T03:04:06+00:00",
        "failed",
    );
    write(&log, &format!(r#"{{"releases": [{entry}]}}"#));
    let made = log.create(&new("prod", "v2"), clock(0)).unwrap();
    assert_eq!(made.id.as_str(), "rel-20250102-030406001");
    assert_eq!(log.current("prod").unwrap(), made);
}

/// spec: release/log R7
#[test]
fn a_release_needs_environment_and_version() {
    let (directory, log) = temporary();
    let message = |error: LogError| error.to_string();
    assert_eq!(
        message(log.create(&new(" ", "v1"), clock(0)).unwrap_err()),
        "environment must not be empty"
    );
    assert_eq!(
        message(log.create(&new("prod", "\t"), clock(0)).unwrap_err()),
        "version must not be empty"
    );
    assert!(fs::read_dir(directory.path()).unwrap().next().is_none());
}

/// spec: release/log R7
#[test]
fn previous_id_is_the_newest_of_the_same_environment() {
    let (_directory, log) = temporary();
    let first = log.create(&new("prod", "v1"), clock(0)).unwrap();
    let other = log.create(&new("dev", "v1"), clock(1)).unwrap();
    let second = log.create(&new("prod", "v2"), clock(2)).unwrap();
    assert_eq!((first.previous_id, other.previous_id), (None, None));
    assert_eq!(second.previous_id, Some(first.id));
}

/// spec: release/log R8
#[test]
fn files_of_the_original_are_read() {
    let (_directory, log) = temporary();
    write(
        &log,
        r#"{"releases": [
        {"id": "rel-20240101-120000", "environment": "prod", "version": "v1", "commit_sha": "a",
         "timestamp": "2024-01-01T13:00:00.123456789+01:00", "phases": null},
        {"id": "rel-20240101-120001000", "environment": "prod", "version": "v2",
         "timestamp": "2024-01-01T12:00:01Z", "previous_id": "rel-20240101-120000"}]}"#,
    );
    let releases = log.list("prod").unwrap();
    let versions: Vec<&str> = releases
        .iter()
        .map(|release| release.version.as_str())
        .collect();
    assert_eq!(versions, ["v2", "v1"]);
    let old = &releases[1];
    assert_eq!(old.timestamp.to_string(), "2024-01-01T12:00:00.123Z");
    assert_eq!(
        (old.overall(), &old.run, old.live),
        (PhaseStatus::Pending, &None, false)
    );
    log.update_phase(&old.id, Phase::Build, PhaseStatus::Running, None)
        .unwrap();
    assert_eq!(
        log.get("rel-20240101-120000").unwrap().phases.running(),
        Some(Phase::Build)
    );
    write(&log, r#"{"releases": null}"#);
    assert!(log.list_all().unwrap().is_empty());
    log.create(&new("prod", "v1"), clock(0)).unwrap();
}

/// spec: release/log R1
#[test]
fn the_path_is_explicit_or_the_variables_or_the_projects() {
    let project = Path::new("/p");
    let located = |explicit: Option<&str>, variable: Option<&str>| {
        let path = ReleaseLog::locate(
            explicit.map(Path::new),
            variable.map(OsString::from),
            project,
        );
        path.to_str().unwrap().to_owned()
    };
    assert_eq!(located(Some("/x"), Some("/v")), "/x");
    assert_eq!(located(None, Some("/v")), "/v");
    assert_eq!(located(None, Some("")), "/p/.stagecraft/releases.json");
    assert_eq!(located(None, None), "/p/.stagecraft/releases.json");
}
