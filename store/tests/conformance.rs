//! The contract of `Disk`, kept by the real one and the simulated one alike.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::io::{ErrorKind, Read};
use std::time::{Duration, SystemTime};

use stagecraft_store::disk::{Change, Disk, HostDisk, Kind, Scope, WriteMode, object_time};
use stagecraft_store::sim::SimDisk;

fn on_each(check: impl Fn(&dyn Disk)) {
    let top = tempfile::tempdir().unwrap();
    check(&HostDisk::create(&top.path().join("disk")).unwrap());
    check(&SimDisk::new());
}

fn write(disk: &dyn Disk, path: &str, mut bytes: &[u8]) -> std::io::Result<u64> {
    disk.write(path, &mut bytes, WriteMode::Record)
}

fn read(disk: &dyn Disk, path: &str) -> std::io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    disk.open(path)?.read_to_end(&mut bytes)?;
    Ok(bytes)
}

fn kind<T>(result: std::io::Result<T>) -> ErrorKind {
    result.err().map_or(ErrorKind::Other, |error| error.kind())
}

/// spec: store/operations R6, store/operations R7
#[test]
fn names_are_taken_once() {
    on_each(|disk| {
        assert_eq!(write(disk, "a", b"one").unwrap(), 3);
        assert_eq!(kind(write(disk, "a", b"two")), ErrorKind::AlreadyExists);
        write(disk, "b", b"two").unwrap();
        let place = |from, to| disk.change(Change::Place { from, to });
        assert_eq!(kind(place("b", "a")), ErrorKind::AlreadyExists);
        assert_eq!(read(disk, "a").unwrap(), b"one");
        assert_eq!(read(disk, "b").unwrap(), b"two");
        place("b", "c").unwrap();
        assert_eq!(disk.stat("b").unwrap(), None);
        let (from, to) = ("c", "a");
        disk.change(Change::Rename { from, to }).unwrap();
        assert_eq!(read(disk, "a").unwrap(), b"two");
        assert_eq!(kind(place("gone", "d")), ErrorKind::NotFound);
        assert_eq!(kind(place("a", "none/a")), ErrorKind::NotFound);
    });
}

/// spec: store/format R10
#[test]
fn absent_is_said_in_one_way() {
    on_each(|disk| {
        assert_eq!(disk.stat("none").unwrap(), None);
        assert_eq!(disk.stat("none/below").unwrap(), None);
        assert_eq!(kind(disk.open("none")), ErrorKind::NotFound);
        assert_eq!(kind(disk.list("none")), ErrorKind::NotFound);
        assert_eq!(kind(write(disk, "none/a", b"")), ErrorKind::NotFound);
        for change in [
            Change::MakeDir("none/a"),
            Change::Remove("none"),
            Change::RemoveDir("none"),
            Change::RemoveTree("none"),
        ] {
            assert_eq!(kind(disk.change(change)), ErrorKind::NotFound, "{change:?}");
        }
        let none = ["none".to_owned()];
        assert_eq!(kind(disk.sync(Scope::Paths(&none))), ErrorKind::NotFound);
    });
}

/// spec: store/operations R5
#[test]
fn directories_are_made_listed_and_removed() {
    on_each(|disk| {
        disk.change(Change::MakeDir("d")).unwrap();
        assert_eq!(
            kind(disk.change(Change::MakeDir("d"))),
            ErrorKind::AlreadyExists
        );
        disk.change(Change::MakeDir("d/e")).unwrap();
        write(disk, "d/b", b"12").unwrap();
        write(disk, "d/a", b"1").unwrap();
        let listed: Vec<_> = disk
            .list("d")
            .unwrap()
            .into_iter()
            .map(|(name, stat)| (name, stat.kind))
            .collect();
        let expected = [
            ("a".to_owned(), Kind::File),
            ("b".to_owned(), Kind::File),
            ("e".to_owned(), Kind::Directory),
        ];
        assert_eq!(listed, expected);
        assert_eq!(kind(disk.open("d")), ErrorKind::InvalidInput);
        assert_eq!(
            kind(disk.change(Change::RemoveDir("d"))),
            ErrorKind::DirectoryNotEmpty
        );
        disk.change(Change::RemoveDir("d/e")).unwrap();
        let (from, to) = ("d", "moved");
        disk.change(Change::Rename { from, to }).unwrap();
        assert_eq!(read(disk, "moved/b").unwrap(), b"12");
        disk.change(Change::RemoveTree("moved")).unwrap();
        assert_eq!(disk.list("").unwrap(), []);
    });
}

/// spec: store/format R11, store/operations R11
#[test]
fn objects_keep_their_time_and_records_are_touched() {
    on_each(|disk| {
        let object = disk.write("o", &mut &b"x"[..], WriteMode::Object);
        assert_eq!(object.unwrap(), 1);
        disk.write("t", &mut &b"x"[..], WriteMode::Twin).unwrap();
        write(disk, "r", b"x").unwrap();
        let modified = |path| disk.stat(path).unwrap().unwrap().modified;
        assert_eq!(modified("o"), object_time());
        assert_eq!(modified("t"), object_time());
        assert!(modified("r") > SystemTime::UNIX_EPOCH + Duration::from_secs(100));
        let age = Duration::from_secs(60);
        let before = modified("r");
        disk.change(Change::Touch { path: "r", age }).unwrap();
        assert_eq!(modified("r"), before);
        disk.change(Change::Touch { path: "o", age }).unwrap();
        assert!(modified("o") > object_time());
    });
}

/// spec: store/operations R6
#[test]
fn syncing_takes_files_directories_and_everything() {
    on_each(|disk| {
        disk.change(Change::MakeDir("d")).unwrap();
        write(disk, "d/a", b"1").unwrap();
        let paths = ["d/a".to_owned(), "d".to_owned(), String::new()];
        disk.sync(Scope::Paths(&paths)).unwrap();
        disk.sync(Scope::Everything).unwrap();
        let space = disk.space().unwrap();
        assert!(space.free <= space.total && space.total > 0);
    });
}

/// spec: store/operations R15
#[test]
fn simulated_power_loss_spares_only_what_was_synced() {
    let disk = SimDisk::new();
    disk.change(Change::MakeDir("d")).unwrap();
    write(&disk, "d/a", b"synced").unwrap();
    let paths = ["d/a".to_owned(), "d".to_owned(), String::new()];
    disk.sync(Scope::Paths(&paths)).unwrap();
    write(&disk, "d/b", b"not synced").unwrap();
    let (from, to) = ("d/a", "d/c");
    disk.change(Change::Rename { from, to }).unwrap();
    let mut seen = std::collections::BTreeSet::new();
    for seed in 0..64 {
        let after = disk.crash(seed);
        for path in ["d/a", "d/c"] {
            if after.stat(path).unwrap().is_some() {
                assert_eq!(read(&after, path).unwrap(), b"synced");
            }
        }
        seen.insert(after.files());
        if let Ok(bytes) = read(&after, "d/b") {
            seen.insert(vec![String::from_utf8(bytes).unwrap()]);
        }
    }
    for expected in [
        vec!["d/a".to_owned()],
        vec!["d/c".to_owned()],
        vec!["not synced".to_owned()],
        vec![String::new()],
    ] {
        assert!(seen.contains(&expected), "{expected:?}");
    }
}
