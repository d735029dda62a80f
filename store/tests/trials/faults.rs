//! Full, closed and failing file systems.

use std::io::ErrorKind;
use std::path::Path;

use stagecraft_store::{Store, StoreError};

use super::volume::Volume;
use super::writer::{broken, command, commit, key};

/// Commits until it fails; returns how many were told, and the error.
fn fill(root: &Path) -> (u32, StoreError) {
    let store = match Store::open(root) {
        Ok(store) => store,
        Err(error) => return (0, error),
    };
    for number in 0..10_000 {
        if let Err(error) = commit(&store, number) {
            return (number, error);
        }
    }
    panic!("it never was full");
}

#[track_caller]
fn is_io(error: &StoreError, kinds: &[ErrorKind]) {
    let StoreError::Io { source, .. } = error else {
        panic!("{error}");
    };
    assert!(kinds.contains(&source.kind()), "{error}");
}

/// spec: store/trials R4
#[test]
#[ignore = "needs root and loop devices"]
fn a_full_disk_of_8_mib_loses_nothing() {
    let top = tempfile::tempdir().unwrap();
    let disk = top.path().join("disk");
    Volume::ext4_file(&disk, "8M");
    let volume = Volume::mount(
        &top.path().join("mount"),
        &["-o", "loop", disk.to_str().unwrap()],
    );
    let root = volume.path().join("store");
    std::fs::write(volume.path().join("ballast"), vec![1; 1 << 20]).unwrap();
    let (told, error) = fill(&root);
    assert!(told > 10, "{told}");
    is_io(&error, &[ErrorKind::StorageFull]);
    assert_eq!(broken(&root, told), Vec::<String>::new());
    // Reading needs no room.
    let reader = Store::open_existing(&root).unwrap().unwrap();
    assert!(reader.result(&key(0)).unwrap().is_some());
    drop(reader);
    std::fs::remove_file(volume.path().join("ballast")).unwrap();
    commit(&Store::open(&root).unwrap(), told).unwrap();
    assert_eq!(broken(&root, told + 1), Vec::<String>::new());
}

/// spec: store/trials R4
#[test]
#[ignore = "needs root and loop devices"]
fn a_disk_without_inodes_loses_nothing() {
    let top = tempfile::tempdir().unwrap();
    let volume = Volume::mount(
        &top.path().join("mount"),
        &["-t", "tmpfs", "-o", "size=64m,nr_inodes=400", "trial"],
    );
    let root = volume.path().join("store");
    let ballast = volume.path().join("ballast");
    std::fs::create_dir(&ballast).unwrap();
    for number in 0..50 {
        std::fs::write(ballast.join(number.to_string()), "").unwrap();
    }
    let (told, error) = fill(&root);
    assert!(told > 5, "{told}");
    is_io(&error, &[ErrorKind::StorageFull]);
    assert_eq!(broken(&root, told), Vec::<String>::new());
    std::fs::remove_dir_all(&ballast).unwrap();
    commit(&Store::open(&root).unwrap(), told).unwrap();
    assert_eq!(broken(&root, told + 1), Vec::<String>::new());
}

/// spec: store/trials R4
#[test]
#[ignore = "needs root and loop devices"]
fn a_disk_that_turns_read_only_loses_nothing() {
    let top = tempfile::tempdir().unwrap();
    let disk = top.path().join("disk");
    Volume::ext4_file(&disk, "32M");
    let volume = Volume::mount(
        &top.path().join("mount"),
        &["-o", "loop", disk.to_str().unwrap()],
    );
    let root = volume.path().join("store");
    commit(&Store::open(&root).unwrap(), 0).unwrap();
    // Nobody has a file open for writing by then: the system would refuse.
    volume.remount("ro");
    let refused = Store::open(&root).and_then(|store| commit(&store, 1));
    is_io(&refused.unwrap_err(), &[ErrorKind::ReadOnlyFilesystem]);
    let reader = Store::open_existing(&root).unwrap().unwrap();
    assert!(reader.result(&key(0)).unwrap().is_some());
    assert_eq!(reader.verify(false).unwrap().damage, []);
    drop(reader);
    volume.remount("rw");
    commit(&Store::open(&root).unwrap(), 1).unwrap();
    assert_eq!(broken(&root, 2), Vec::<String>::new());
}

/// The calls of a commit, each with the errors that a medium gives.
const CALLS: [(&str, &[&str]); 6] = [
    ("write", &["EIO", "ENOSPC"]),
    ("fsync,fdatasync", &["EIO", "ENOSPC"]),
    ("syncfs", &["EIO"]),
    ("rename,renameat,renameat2", &["EIO"]),
    ("mkdir,mkdirat", &["ENOSPC"]),
    ("openat", &["EIO"]),
];

/// Lets the n-th call fail for n = 1, 2, … until the writer no longer meets it; returns how often one failed.
fn fail_each(calls: &str, error: &str, root: &Path) -> u32 {
    let (mut failed, mut harmless) = (0, 0);
    for count in 1..400 {
        let place = root.join(format!("{}-{error}-{count}", calls.replace(',', "-")));
        std::fs::create_dir(&place).unwrap();
        let (store, told) = (place.join("store"), place.join("told"));
        let strace = [
            "strace",
            "-f",
            "-qq",
            "-o",
            "/dev/null",
            "-e",
            &format!("trace={calls}"),
            "-e",
            &format!("inject={calls}:error={error}:when={count}"),
        ]
        .map(str::to_owned);
        let errand = [
            "1",
            "synced",
            store.to_str().unwrap(),
            told.to_str().unwrap(),
        ];
        let output = command(&strace, &errand).output().unwrap();
        let said = std::fs::read_to_string(&told)
            .unwrap_or_default()
            .lines()
            .count();
        let said = u32::try_from(said).unwrap();
        assert_eq!(
            broken(&store, said),
            Vec::<String>::new(),
            "{calls} {error} {count}"
        );
        if output.status.success() && said == 1 {
            harmless += 1;
            // The harness itself makes calls before the writer does; a long run of harmless ones ends it.
            if harmless > 30 {
                return failed;
            }
            std::fs::remove_dir_all(&place).unwrap();
            continue;
        }
        (failed, harmless) = (failed + 1, 0);
        let again = command(&["env".to_owned()], &errand).output().unwrap();
        assert!(again.status.success(), "{calls} {error} {count}");
        assert_eq!(
            broken(&store, 1),
            Vec::<String>::new(),
            "{calls} {error} {count}"
        );
        std::fs::remove_dir_all(&place).unwrap();
    }
    failed
}

/// spec: store/trials R5
#[test]
#[ignore = "needs strace"]
fn every_failing_call_is_noticed_and_harms_nothing() {
    let top = tempfile::tempdir().unwrap();
    for (calls, errors) in CALLS {
        for error in errors {
            let failed = fail_each(calls, error, top.path());
            assert!(failed > 0, "{calls} {error}");
        }
    }
}
