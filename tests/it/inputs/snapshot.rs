//! What is remembered, when it is believed, and what the file survives.

use super::*;

/// spec: inputs/snapshot R2, inputs/snapshot R3
#[test]
fn an_edit_that_hides_behind_its_old_time_is_seen_every_time() {
    let project = Project::new(&["file"]).operation("op", &["file"]);
    let place = project.place("file");
    let mut snapshot = Snapshot::load(project.root()).recording();
    for round in 0..2000_u32 {
        let text = format!("{round:08}");
        let time = fs::metadata(&place).unwrap().modified().unwrap();
        fs::write(&place, &text).unwrap();
        set_time(&place, time);
        let inputs = project.gather_with(&mut snapshot).unwrap();
        assert_eq!(
            digest(&inputs, "file"),
            Digest::of(text.as_bytes()),
            "round {round}"
        );
        if round % 100 == 0 {
            snapshot.save().unwrap();
            snapshot = Snapshot::load(project.root()).recording();
        }
    }
}

/// Waits until the file system's clock has left the time of `path` clearly behind.
fn age(project: &Project, path: &str) {
    let changed = fs::metadata(project.place(path))
        .unwrap()
        .modified()
        .unwrap();
    let probe = project.place(".stagecraft/clock");
    fs::create_dir_all(probe.parent().unwrap()).unwrap();
    loop {
        fs::write(&probe, "x").unwrap();
        let now = fs::metadata(&probe).unwrap().modified().unwrap();
        if now
            .duration_since(changed)
            .is_ok_and(|age| age > Duration::from_millis(30))
        {
            return;
        }
    }
}

/// spec: inputs/snapshot R1, inputs/snapshot R4
#[test]
fn what_is_remembered_is_not_read_again() {
    let project = Project::new(&["a", "b"]).operation("op", &["**"]);
    age(&project, "b");
    let mut snapshot = Snapshot::load(project.root()).recording();
    let first = project.gather_with(&mut snapshot).unwrap();
    snapshot.save().unwrap();
    // Only a file that nobody opens can be unreadable: its owner's and root's rights are no obstacle to a swap of
    // the remembered digest, so the snapshot itself is made to lie.
    let file = project.place(".stagecraft/snapshot");
    let bytes = fs::read(&file).unwrap();
    let (honest, lie) = (Digest::of(b"a"), Digest::of(b"lie"));
    let position = bytes
        .windows(32)
        .position(|window| window == honest.as_bytes())
        .unwrap();
    let mut forged = bytes[..20].to_vec();
    let mut body = bytes[52..].to_vec();
    body[position - 52..position - 20].copy_from_slice(lie.as_bytes());
    forged.extend_from_slice(Digest::of(&body).as_bytes());
    forged.extend_from_slice(&body);
    fs::write(&file, forged).unwrap();
    let mut lying = Snapshot::load(project.root());
    assert_eq!(digest(&project.gather_with(&mut lying).unwrap(), "a"), lie);
    fs::write(&file, bytes).unwrap();
    let mut snapshot = Snapshot::load(project.root()).recording();
    assert_eq!(
        project.gather_with(&mut snapshot).unwrap().sources,
        first.sources
    );
}

/// spec: inputs/snapshot R5
#[test]
fn a_snapshot_that_does_not_record_writes_nothing() {
    let project = Project::new(&["a"]).operation("op", &["a"]);
    let mut snapshot = Snapshot::load(project.root());
    project.gather_with(&mut snapshot).unwrap();
    snapshot.save().unwrap();
    let mut none = Snapshot::none().recording();
    project.gather_with(&mut none).unwrap();
    none.save().unwrap();
    let names: Vec<_> = fs::read_dir(project.root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["a"]);
}

/// spec: inputs/snapshot R6
#[test]
fn the_file_is_replaced_only_when_something_was_learned() {
    use std::os::unix::fs::MetadataExt;
    let project = Project::new(&["a"]).operation("op", &["a"]);
    age(&project, "a");
    let file = project.place(".stagecraft/snapshot");
    let run = || {
        let mut snapshot = Snapshot::load(project.root()).recording();
        project.gather_with(&mut snapshot).unwrap();
        snapshot.save().unwrap();
        fs::metadata(&file).unwrap().ino()
    };
    // The base is remembered only once the machine's own package database is old enough; by the second run it is.
    run();
    let known = run();
    assert_eq!(run(), known);
    project.write("a", "other");
    age(&project, "a");
    assert_ne!(run(), known);
    let mut names: Vec<_> = fs::read_dir(project.place(".stagecraft"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["clock", "probe", "snapshot"]);
}

/// spec: inputs/snapshot R7
#[test]
fn a_damaged_or_newer_snapshot_is_an_empty_one() {
    let project = Project::new(&["a"]).operation("op", &["a"]);
    age(&project, "a");
    let mut snapshot = Snapshot::load(project.root()).recording();
    project.gather_with(&mut snapshot).unwrap();
    snapshot.save().unwrap();
    let file = project.place(".stagecraft/snapshot");
    let bytes = fs::read(&file).unwrap();
    let empty = format!("{:?}", Snapshot::load(&project.place("nowhere")));
    let load = |bytes: &[u8]| {
        fs::write(&file, bytes).unwrap();
        format!("{:?}", Snapshot::load(project.root()))
            .replace(project.root().to_str().unwrap(), "")
    };
    let empty = empty.replace(project.place("nowhere").to_str().unwrap(), "");
    assert_ne!(load(&bytes), empty);
    let step = (bytes.len() / 400).max(1);
    for length in (0..200.min(bytes.len())).chain((200..bytes.len()).step_by(step)) {
        assert_eq!(load(&bytes[..length]), empty, "cut to {length}");
    }
    for position in (0..200.min(bytes.len())).chain((200..bytes.len()).step_by(step)) {
        let mut damaged = bytes.clone();
        damaged[position] ^= 1;
        assert_eq!(load(&damaged), empty, "flipped at {position}");
    }
    assert_eq!(load(&[&bytes[..], b"x"].concat()), empty);
}
