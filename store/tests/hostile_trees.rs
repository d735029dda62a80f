//! Trees of every unkind shape: taken and given back as they were, or refused by a message with the path.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "effects: tests of files")]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use rustix::fs::{CWD, FileType, Mode, RenameFlags, XattrFlags, mkfifoat, mknodat, renameat_with};
use stagecraft_store::{Digest, ExportMode, ImportRules, Store, StoreError};

/// What becomes of a tree.
enum Fate {
    /// It comes back equal, with this many files and symlinks.
    Taken(u64),
    /// The end of the message.
    Refused(&'static str),
}

use Fate::{Refused, Taken};

type Fixture = (&'static str, fn(&Path), Fate);

fn file(top: &Path, name: &str) {
    fs::write(top.join(name), name).unwrap();
}

fn mode(top: &Path, name: &str, bits: u32) {
    fs::set_permissions(top.join(name), fs::Permissions::from_mode(bits)).unwrap();
}

fn deep(top: &Path, depth: usize) {
    let deepest = top.join(vec!["d"; depth].join("/"));
    fs::create_dir_all(&deepest).unwrap();
    file(&deepest, "f");
}

fn bytes(top: &Path, name: &str, length: usize) {
    fs::write(top.join(name), vec![7; length]).unwrap();
}

fn device(top: &Path, kind: FileType) {
    // Only root may; for others a fifo stands in, so that the message is still about its kind.
    if mknodat(
        CWD,
        top.join("node"),
        kind,
        Mode::RUSR,
        rustix::fs::makedev(1, 3),
    )
    .is_err()
    {
        mkfifoat(CWD, top.join("node"), Mode::RUSR).unwrap();
    }
}

fn age(top: &Path, name: &str, seconds: i64) {
    let time = rustix::fs::Timespec {
        tv_sec: seconds,
        tv_nsec: 0,
    };
    let times = rustix::fs::Timestamps {
        last_access: time,
        last_modification: time,
    };
    rustix::fs::utimensat(CWD, top.join(name), &times, rustix::fs::AtFlags::empty()).unwrap();
}

const NAMES: &[Fixture] = &[
    ("newline", |top| file(top, "a\nb"), Taken(1)),
    ("tab and bell", |top| file(top, "a\tb\u{7}"), Taken(1)),
    ("dash", |top| file(top, "-rf"), Taken(1)),
    ("quotes", |top| file(top, "'\"`$(x)"), Taken(1)),
    ("backslash", |top| file(top, "a\\b"), Taken(1)),
    ("blanks", |top| file(top, "  "), Taken(1)),
    ("three dots", |top| file(top, "..."), Taken(1)),
    ("glob", |top| file(top, "*?[a]"), Taken(1)),
    ("longest", |top| file(top, &"n".repeat(255)), Taken(1)),
    (
        "wide",
        |top| file(top, "\u{1f9ea}\u{200d}\u{1f52c}"),
        Taken(1),
    ),
    (
        "right to left",
        |top| file(top, "\u{202e}txt.exe"),
        Taken(1),
    ),
    ("drive", |top| file(top, "C:con.aux"), Taken(1)),
    (
        "of an export",
        |top| file(top, ".stagecraft-export-1-0"),
        Taken(1),
    ),
    (
        "of a restore",
        |top| file(top, ".stagecraft-restore-0"),
        Taken(1),
    ),
    ("of a removal", |top| file(top, ".removed-1"), Taken(1)),
    (
        "case",
        |top| {
            file(top, "Name");
            file(top, "name");
        },
        Taken(2),
    ),
    (
        "normal forms",
        |top| {
            file(top, "\u{e9}");
            file(top, "e\u{301}");
        },
        Taken(2),
    ),
    (
        "not text",
        |top| fs::write(top.join(OsStr::from_bytes(b"\xff\xfe")), "").unwrap(),
        Refused("`\u{fffd}\u{fffd}` has a name or target that is not UTF-8"),
    ),
    (
        "surrogate",
        |top| fs::write(top.join(OsStr::from_bytes(b"\xed\xa0\x80")), "").unwrap(),
        Refused("has a name or target that is not UTF-8"),
    ),
    (
        "overlong",
        |top| fs::write(top.join(OsStr::from_bytes(b"\xc0\xaf")), "").unwrap(),
        Refused("has a name or target that is not UTF-8"),
    ),
];

const LINKS: &[Fixture] = &[
    (
        "absolute",
        |top| symlink("/etc/passwd", top.join("l")).unwrap(),
        Taken(1),
    ),
    (
        "up and out",
        |top| symlink("../../../../etc", top.join("l")).unwrap(),
        Taken(1),
    ),
    (
        "to itself",
        |top| symlink("l", top.join("l")).unwrap(),
        Taken(1),
    ),
    (
        "to each other",
        |top| {
            symlink("b", top.join("a")).unwrap();
            symlink("a", top.join("b")).unwrap();
        },
        Taken(2),
    ),
    (
        "dangling",
        |top| symlink("nowhere", top.join("l")).unwrap(),
        Taken(1),
    ),
    (
        "to its parent",
        |top| symlink(".", top.join("l")).unwrap(),
        Taken(1),
    ),
    (
        "to a directory",
        |top| {
            fs::create_dir(top.join("d")).unwrap();
            file(top, "d/f");
            symlink("d", top.join("l")).unwrap();
        },
        Taken(2),
    ),
    (
        "chain",
        |top| {
            for n in 0..60 {
                symlink(format!("l{}", n + 1), top.join(format!("l{n}"))).unwrap();
            }
        },
        Taken(60),
    ),
    (
        "to a process",
        |top| symlink("/proc/self/root", top.join("l")).unwrap(),
        Taken(1),
    ),
    (
        "longest target",
        |top| symlink("t".repeat(4095), top.join("l")).unwrap(),
        Taken(1),
    ),
    (
        "target with a newline",
        |top| symlink("a\nb", top.join("l")).unwrap(),
        Taken(1),
    ),
    (
        "target that is no text",
        |top| symlink(OsStr::from_bytes(b"\xff"), top.join("l")).unwrap(),
        Refused("`l` has a name or target that is not UTF-8"),
    ),
];

const SIZES: &[Fixture] = &[
    ("nothing", |_| {}, Taken(0)),
    (
        "empty file",
        |top| fs::write(top.join("f"), "").unwrap(),
        Taken(1),
    ),
    (
        "empty directories",
        |top| fs::create_dir_all(top.join("a/b/c")).unwrap(),
        Taken(0),
    ),
    ("deepest", |top| deep(top, 255), Taken(1)),
    (
        "too deep",
        |top| deep(top, 257),
        Refused("nested deeper than 256 directories"),
    ),
    (
        "below a mebibyte",
        |top| bytes(top, "f", (1 << 20) - 1),
        Taken(1),
    ),
    ("a mebibyte", |top| bytes(top, "f", 1 << 20), Taken(1)),
    ("above four", |top| bytes(top, "f", (4 << 20) + 1), Taken(1)),
    (
        "hole",
        |top| {
            fs::File::create(top.join("f"))
                .unwrap()
                .set_len(16 << 20)
                .unwrap();
        },
        Taken(1),
    ),
    (
        "many names",
        |top| {
            for n in 0..2_000 {
                file(top, &format!("{n}"));
            }
        },
        Taken(2_000),
    ),
    (
        "many equal files",
        |top| {
            for n in 0..300 {
                fs::write(top.join(format!("{n}")), "same").unwrap();
            }
        },
        Taken(300),
    ),
    (
        "a tree in itself many times",
        |top| {
            for n in 0..40 {
                fs::create_dir(top.join(format!("{n}"))).unwrap();
                fs::write(top.join(format!("{n}/f")), "x").unwrap();
            }
        },
        Taken(40),
    ),
    (
        "hard links",
        |top| {
            file(top, "a");
            fs::hard_link(top.join("a"), top.join("b")).unwrap();
        },
        Taken(2),
    ),
];

const KINDS: &[Fixture] = &[
    (
        "setuid",
        |top| {
            file(top, "f");
            mode(top, "f", 0o4755);
        },
        Taken(1),
    ),
    (
        "setgid",
        |top| {
            fs::create_dir(top.join("d")).unwrap();
            mode(top, "d", 0o2775);
        },
        Taken(0),
    ),
    (
        "sticky",
        |top| {
            fs::create_dir(top.join("d")).unwrap();
            mode(top, "d", 0o1777);
        },
        Taken(0),
    ),
    (
        "open to all",
        |top| {
            file(top, "f");
            mode(top, "f", 0o666);
        },
        Taken(1),
    ),
    (
        "run by others only",
        |top| {
            file(top, "f");
            mode(top, "f", 0o655);
        },
        Taken(1),
    ),
    (
        "attribute",
        |top| {
            file(top, "f");
            rustix::fs::setxattr(top.join("f"), "user.evil", b"x", XattrFlags::empty()).ok();
        },
        Taken(1),
    ),
    (
        "before the epoch",
        |top| {
            file(top, "f");
            age(top, "f", -1_000_000);
        },
        Taken(1),
    ),
    (
        "far future",
        |top| {
            file(top, "f");
            age(top, "f", 9_000_000_000);
        },
        Taken(1),
    ),
    (
        "time of an object",
        |top| {
            file(top, "f");
            age(top, "f", 1);
        },
        Taken(1),
    ),
    (
        "fifo",
        |top| mkfifoat(CWD, top.join("p"), Mode::RUSR).unwrap(),
        Refused("`p` is a fifo, which cannot be stored"),
    ),
    (
        "fifo below",
        |top| {
            fs::create_dir(top.join("d")).unwrap();
            mkfifoat(CWD, top.join("d/p"), Mode::RUSR).unwrap();
        },
        Refused("`d/p` is a fifo, which cannot be stored"),
    ),
    (
        "socket",
        |top| drop(UnixListener::bind(top.join("s")).unwrap()),
        Refused("`s` is a socket, which cannot be stored"),
    ),
    (
        "character device",
        |top| device(top, FileType::CharacterDevice),
        Refused(", which cannot be stored"),
    ),
    (
        "block device",
        |top| device(top, FileType::BlockDevice),
        Refused(", which cannot be stored"),
    ),
];

fn import(store: &Store, from: &Path) -> Result<Digest, StoreError> {
    let mut batch = store.batch();
    let tree = batch.import(from, &ImportRules::default())?;
    store.commit(vec![batch], vec![], vec![])?;
    Ok(tree.digest)
}

fn meets(store: &Store, top: &Path, (name, make, fate): &Fixture) {
    let place = top.join(name);
    let source = place.join("source");
    fs::create_dir_all(&source).unwrap();
    make(&source);
    let imported = import(store, &source);
    match (fate, imported) {
        (Refused(end), Err(error)) => {
            let said = error
                .to_string()
                .replace(&format!("{}/", source.display()), "");
            assert!(said.ends_with(end), "{name}: {said}");
        }
        (Taken(count), Ok(tree)) => {
            let out = place.join("out");
            let exported = store.export(&tree, &out, ExportMode::Copy).unwrap();
            assert_eq!(exported.files, *count, "{name}");
            assert_eq!(import(store, &out).unwrap(), tree, "{name}");
            // Nothing but the two appeared.
            assert_eq!(fs::read_dir(&place).unwrap().count(), 2, "{name}");
            let kept = store.restore(&tree, &out, ExportMode::Copy).unwrap();
            assert_eq!(
                (kept.kept, kept.written, kept.removed),
                (*count, 0, 0),
                "{name}"
            );
        }
        (_, imported) => panic!("{name}: {imported:?}"),
    }
}

/// spec: store/trials R8, store/trees R1, store/trees R2
#[test]
fn every_shape_is_taken_as_it_is_or_refused_by_name() {
    let top = tempfile::tempdir().unwrap();
    let store = Store::open(&top.path().join("store")).unwrap();
    let mut met = 0;
    for fixture in [NAMES, LINKS, SIZES, KINDS].into_iter().flatten() {
        meets(&store, top.path(), fixture);
        met += 1;
    }
    assert!(met >= 55, "{met}");
    assert_eq!(store.verify(false).unwrap().damage, []);
}

/// Ends a thread also when the test fails, so that a failure is not a hang.
struct Stop<'a>(&'a std::sync::atomic::AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

/// spec: store/trials R8, store/trees R2
#[test]
fn a_file_swapped_for_a_fifo_hangs_nobody() {
    let top = tempfile::tempdir().unwrap();
    let store = Store::open(&top.path().join("store")).unwrap();
    let source = top.path().join("source");
    fs::create_dir(&source).unwrap();
    let (file, fifo) = (source.join("f"), top.path().join("fifo"));
    fs::write(&file, "bytes").unwrap();
    mkfifoat(CWD, &fifo, Mode::RUSR | Mode::WUSR).unwrap();
    let wanted = import(&store, &source).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    let (mut taken, mut refused) = (0, 0);
    std::thread::scope(|scope| {
        let _stop = Stop(&stop);
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                renameat_with(CWD, &file, CWD, &fifo, RenameFlags::EXCHANGE).unwrap();
            }
        });
        for _ in 0..2_000 {
            match import(&store, &source) {
                Ok(tree) => {
                    assert_eq!(tree, wanted);
                    taken += 1;
                }
                Err(StoreError::Unsupported { .. } | StoreError::NotA { .. }) => refused += 1,
                Err(error) => panic!("{error}"),
            }
        }
    });
    assert!(taken > 0 && refused > 0, "{taken} {refused}");
}

/// spec: store/trials R8, store/trees R17
#[test]
fn names_that_others_take_for_one_are_named() {
    let top = tempfile::tempdir().unwrap();
    let store = Store::open(&top.path().join("store")).unwrap();
    let source = top.path().join("source");
    fs::create_dir(&source).unwrap();
    for name in [
        "README",
        "readme",
        "Readme",
        "\u{e9}",
        "e\u{301}",
        "E\u{301}",
        "stra\u{df}e",
        "STRASSE",
        "a",
        "b",
        "\u{aa}",
    ] {
        file(&source, name);
    }
    let tree = import(&store, &source).unwrap();
    let directory = store.directory(&tree).unwrap().unwrap();
    let groups: Vec<Vec<&str>> = directory
        .collisions()
        .into_iter()
        .map(|group| {
            group
                .into_iter()
                .map(stagecraft_store::EntryName::as_str)
                .collect()
        })
        .collect();
    assert_eq!(
        groups,
        [
            vec!["E\u{301}", "e\u{301}", "\u{e9}"],
            vec!["README", "Readme", "readme"],
            vec!["STRASSE", "stra\u{df}e"],
        ]
    );
}
