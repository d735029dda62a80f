//! The table behind the snapshot: what is kept, what is dropped, what an answer rests on.

use std::os::unix::fs::PermissionsExt;

use super::*;

fn stamp(path: &Path) -> Stamp {
    Stamp::new(&rustix::fs::statat(CWD, path, AtFlags::SYMLINK_NOFOLLOW).unwrap())
}

/// A snapshot that believes every stamp.
pub(in crate::inputs) fn trusting(project: &Path) -> Snapshot {
    let mut snapshot = Snapshot::load(project).recording();
    snapshot.ask_time();
    snapshot.horizon = snapshot.horizon.map(|horizon| horizon.later(1000));
    snapshot
}

fn learn(snapshot: &mut Snapshot, project: &Path, path: &str) -> Stamp {
    let stamp = stamp(&project.join(path));
    snapshot.learn(path, stamp, Digest::of(path.as_bytes()));
    stamp
}

/// spec: inputs/snapshot R1, inputs/snapshot R7
#[test]
fn what_was_learned_comes_back_and_other_stamps_do_not() {
    let directory = tempfile::tempdir().unwrap();
    let project = directory.path();
    for name in ["b", "a"] {
        fs::write(project.join(name), name).unwrap();
    }
    let mut snapshot = trusting(project);
    let (b, a) = (
        learn(&mut snapshot, project, "b"),
        learn(&mut snapshot, project, "a"),
    );
    assert_eq!(
        snapshot.digest("a", &a),
        Some(Digest::of(b"a")),
        "before it is saved"
    );
    snapshot.save().unwrap();
    let snapshot = Snapshot::load(project);
    assert_eq!(snapshot.digest("a", &a), Some(Digest::of(b"a")));
    assert_eq!(snapshot.digest("b", &b), Some(Digest::of(b"b")));
    assert_eq!(snapshot.digest("a", &b), None, "another inode");
    fs::set_permissions(project.join("a"), PermissionsExt::from_mode(0o700)).unwrap();
    assert_eq!(
        snapshot.digest("a", &stamp(&project.join("a"))),
        None,
        "executable"
    );
    assert_eq!(snapshot.digest("c", &a), None);
    assert_eq!(
        format::decode(&format::encode(&snapshot.table)),
        Some(snapshot.table.clone())
    );
}

/// spec: inputs/snapshot R7
#[test]
fn another_version_and_another_order_are_refused() {
    let directory = tempfile::tempdir().unwrap();
    fs::write(directory.path().join("a"), "").unwrap();
    let known = (stamp(&directory.path().join("a")), Digest::of(b""));
    let file = |path: &str| (path.to_owned(), known.0, known.1);
    let good = Table {
        files: vec![file("a"), file("b")],
        ..Table::default()
    };
    let mut bytes = format::encode(&good);
    assert!(format::decode(&bytes).is_some());
    bytes[16] = 2;
    assert_eq!(format::decode(&bytes), None);
    for files in [vec![file("b"), file("a")], vec![file("a"), file("a")]] {
        assert_eq!(
            format::decode(&format::encode(&Table {
                files,
                ..Table::default()
            })),
            None
        );
    }
    for length in 0..format::encode(&good).len() {
        assert_eq!(
            format::decode(&format::encode(&good)[..length]),
            None,
            "cut to {length}"
        );
    }
}

/// spec: inputs/snapshot R8
#[test]
fn files_that_are_gone_do_not_pile_up() {
    let directory = tempfile::tempdir().unwrap();
    let project = directory.path();
    for name in ["kept", "gone"] {
        fs::write(project.join(name), name).unwrap();
    }
    let mut snapshot = trusting(project);
    learn(&mut snapshot, project, "kept");
    let gone = learn(&mut snapshot, project, "gone");
    snapshot.save().unwrap();
    fs::remove_file(project.join("gone")).unwrap();
    for number in 0..SPARE {
        snapshot.learn(&format!("absent {number}"), gone, Digest::of(b""));
    }
    snapshot.save().unwrap();
    let paths = |snapshot: &Snapshot| {
        snapshot
            .table
            .files
            .iter()
            .filter(|(path, ..)| !path.starts_with("absent"))
            .count()
    };
    assert_eq!(paths(&snapshot), 1, "kept alone");
    assert_eq!(snapshot.table.pruned, 1 + SPARE as u64);
    snapshot.learn("one more", gone, Digest::of(b""));
    snapshot.save().unwrap();
    assert_eq!(
        snapshot.table.files.len(),
        2 + SPARE,
        "not looked at again so soon"
    );
}

/// spec: inputs/snapshot R9
#[test]
fn an_answer_holds_as_long_as_its_question_and_its_witnesses() {
    let directory = tempfile::tempdir().unwrap();
    let project = directory.path();
    fs::write(project.join("a"), "").unwrap();
    let known = stamp(&project.join("a"));
    let fact = Fact {
        question: b"q".to_vec(),
        witnesses: vec![("/a".to_owned(), Some(known)), ("/absent".to_owned(), None)],
        answer: b"yes".to_vec(),
    };
    let mut snapshot = trusting(project);
    snapshot.conclude("tool x", fact.clone());
    snapshot.save().unwrap();
    let snapshot = Snapshot::load(project);
    let same = |path: &str| (path == "/a").then_some(known);
    assert_eq!(snapshot.answer("tool x", b"q", same), Some(&b"yes"[..]));
    assert_eq!(snapshot.answer("tool x", b"other", same), None);
    assert_eq!(snapshot.answer("tool y", b"q", same), None);
    assert_eq!(
        snapshot.answer("tool x", b"q", |_| None),
        None,
        "a witness went away"
    );
    assert_eq!(
        snapshot.answer("tool x", b"q", |_| Some(known)),
        None,
        "one appeared"
    );
    let mut doubting = Snapshot::load(project).recording();
    doubting.ask_time();
    fs::write(project.join("b"), "").unwrap();
    let fresh = Some(stamp(&project.join("b")));
    doubting.conclude(
        "tool z",
        Fact {
            witnesses: vec![("/b".to_owned(), fresh)],
            ..fact
        },
    );
    assert_eq!(
        doubting.answer("tool z", b"q", |_| fresh),
        None,
        "a witness changed just now"
    );
}
