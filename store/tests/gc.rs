//! gc beside those who use the store: leases, the trash, when it is due.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "effects: tests of files")]

use std::fs;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use stagecraft_store::{
    ActionKey, ActionResult, Digest, Fate, GcPolicy, Object, Reason, Reference, Root, Store,
    StoreError, TreeBuilder,
};

/// Keeps what is rooted or leased, and nothing else.
const NOTHING: GcPolicy = GcPolicy {
    max_size: 0,
    max_age: Duration::MAX,
    min_free_percent: 0,
    grace: Duration::ZERO,
};

const MINUTE: Duration = Duration::from_secs(60);

struct Place {
    top: tempfile::TempDir,
    now: SystemTime,
}

fn place() -> Place {
    Place {
        top: tempfile::tempdir().unwrap(),
        now: SystemTime::now(),
    }
}

fn key(name: &str) -> ActionKey {
    ActionKey(Digest::of(name.as_bytes()))
}

impl Place {
    fn open(&self) -> Store {
        Store::open(&self.root()).unwrap()
    }

    fn root(&self) -> PathBuf {
        self.top.path().join("store")
    }

    fn layout(&self) -> PathBuf {
        self.root().join("v1")
    }

    fn file(&self, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.layout().join("cas").join(&hex[..2]).join(&hex[2..])
    }

    fn leases(&self) -> Vec<PathBuf> {
        entries(&self.layout().join("leases"))
    }

    /// Removes all that nobody keeps.
    fn gc(&self) -> stagecraft_store::GcReport {
        self.open().gc(&NOTHING, self.now, false).unwrap()
    }
}

fn entries(directory: &Path) -> Vec<PathBuf> {
    let mut found: Vec<PathBuf> = fs::read_dir(directory)
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .collect();
    found.sort();
    found
}

fn put(store: &Store, bytes: &[u8]) -> Digest {
    let mut batch = store.batch();
    let object = batch.put(bytes).unwrap();
    store.commit(vec![batch], vec![], vec![]).unwrap();
    object.digest
}

fn record(store: &Store, name: &str, size: usize, milliseconds: u64) -> ActionResult {
    let mut batch = store.batch();
    let mut tree = TreeBuilder::new();
    let bytes: Vec<u8> = name.bytes().cycle().take(size).collect();
    let object = batch.put(&bytes).unwrap();
    tree.file("bin/tool", &object, true).unwrap();
    let tree = tree.build();
    batch.add_tree(&tree).unwrap();
    let result = ActionResult {
        op_hash: Digest::of(b"op"),
        output: tree.root,
        log: Object::empty(),
        leaves: Object::empty(),
        level: 2,
        milliseconds,
    };
    store
        .commit(vec![batch], vec![(key(name), result)], vec![])
        .unwrap();
    result
}

/// spec: store/gc R1, store/gc R2, store/gc R4
#[test]
fn what_an_open_store_relies_on_stays() {
    let place = place();
    let maker = place.open();
    for name in ["asked", "made", "forgotten"] {
        record(&maker, name, 1000, 1);
    }
    let [held, contained, missing, staged, loose] =
        ["held", "contained", "missing", "staged", "loose"]
            .map(|name| put(&maker, name.as_bytes()));
    let tree = record(&maker, "tree", 2000, 1).output.digest;
    drop(maker);
    assert_eq!(place.leases(), Vec::<PathBuf>::new());

    let user = place.open();
    assert!(user.result(&key("asked")).unwrap().is_some());
    let size = 4;
    let digest = held;
    assert!(user.holds(&Object { digest, size }).unwrap());
    assert!(user.contains(&contained).unwrap());
    assert_eq!(user.missing(&[Reference::Blob(missing)]).unwrap(), []);
    let mut batch = user.batch();
    assert_eq!(batch.put(b"staged").unwrap().digest, staged);
    let path = user.materialise(&tree).unwrap();
    record(&user, "made by it", 1000, 1);
    let own = put(&user, b"own");
    let root = Root {
        references: vec![Reference::Result(key("made"))],
        reason: "kept also when the root is gone".to_owned(),
    };
    let name = "pin/a".parse().unwrap();
    user.set_root(&name, &root).unwrap();
    user.remove_root(&name).unwrap();
    let lease = fs::read(&place.leases()[0]).unwrap();
    assert!(lease.starts_with(b"stagecraft lease 1\n"));
    assert_eq!((lease.len() - 19) % 37, 0);

    let report = place.gc();
    let mut gone = [key("forgotten"), key("tree")];
    gone.sort();
    assert_eq!(report.results, gone);
    assert_eq!(report.fates[&key("asked")], Fate::Leased);
    for digest in [held, contained, missing, staged, own] {
        assert!(place.file(&digest).exists());
    }
    assert!(!place.file(&loose).exists());
    assert_eq!(fs::read(path.join("bin/tool")).unwrap().len(), 2000);
    user.commit(vec![batch], vec![], vec![]).unwrap();
    for name in ["asked", "made", "made by it"] {
        let kept = [Reference::Result(key(name))];
        assert_eq!(user.missing(&kept).unwrap(), [], "{name}");
    }
    drop(user);
    assert_eq!(place.leases(), Vec::<PathBuf>::new());
    assert_eq!(place.gc().results.len(), 3);
    let reader = place.open();
    assert_eq!(reader.usage().unwrap().blobs.count, 0);
    assert!(reader.verify(false).unwrap().damage.is_empty());
}

/// spec: store/gc R3
#[test]
fn a_lease_outlives_its_owner_until_a_gc_begins() {
    let place = place();
    drop(place.open());
    let trash = fs::File::open(place.layout().join("trash")).unwrap();
    let user = place.open();
    let digest = put(&user, b"made while a gc runs");
    trash.lock().unwrap();
    drop(user);
    assert_eq!(place.leases().len(), 1, "the gc that runs can read it");
    drop(trash);
    let report = place.gc();
    assert_eq!(report.blobs.count, 1);
    assert!(!place.file(&digest).exists());
    assert_eq!(place.leases(), Vec::<PathBuf>::new());
}

/// spec: store/gc R5
#[test]
fn a_removed_object_can_be_taken_back_for_a_while() {
    let place = place();
    let maker = place.open();
    let [read, held, sent, late] =
        ["read", "held", "sent", "late"].map(|name| put(&maker, name.as_bytes()));
    drop(maker);
    let policy = GcPolicy {
        grace: 10 * MINUTE,
        ..NOTHING
    };
    let gc = |now| place.open().gc(&policy, now, false).unwrap();
    assert_eq!(gc(place.now).blobs.count, 4);
    let second = place.now.duration_since(SystemTime::UNIX_EPOCH).unwrap();
    let aside = place.layout().join(format!("trash/{}", second.as_secs()));
    assert_eq!(entries(&aside).len(), 4);
    assert_eq!(gc(place.now + 9 * MINUTE).trash, 0);

    let reader = Store::open_existing(&place.root()).unwrap().unwrap();
    assert!(!reader.contains(&read).unwrap(), "a reader moves nothing");
    let user = place.open();
    assert_eq!(user.read(&read).unwrap().unwrap(), b"read");
    assert!(user.contains(&held).unwrap());
    assert!(user.read_to(&sent, &mut Vec::new()).unwrap().is_some());
    assert_eq!(entries(&aside).len(), 1);
    assert!(place.file(&read).exists());
    drop((user, reader));

    // What was taken back and is not needed goes again, with a grace of its own.
    let report = gc(place.now + 11 * MINUTE);
    assert_eq!(report.blobs.count, 3);
    assert!(!aside.exists());
    let user = place.open();
    assert!(!user.contains(&late).unwrap());
    assert!(user.contains(&held).unwrap());
    drop(user);
    // A clock that was wrong by years keeps nothing for years.
    fs::create_dir(place.layout().join("trash/99999999999")).unwrap();
    fs::write(place.layout().join("trash/99999999999/x"), "x").unwrap();
    gc(place.now + 12 * MINUTE);
    assert!(!place.layout().join("trash/99999999999").exists());
}

/// spec: store/gc R6, store/gc R9
#[test]
fn gc_excludes_gc_and_waits_for_nobody_who_is_idle() {
    let place = place();
    let store = place.open();
    put(&store, b"loose");
    let reader = Store::open_existing(&place.root()).unwrap().unwrap();
    let scratch = store.scratch().unwrap();
    let batch = store.batch();
    place.gc();
    let trash = fs::File::open(place.layout().join("trash")).unwrap();
    trash.lock().unwrap();
    let refused = store.gc(&NOTHING, place.now, false);
    assert!(matches!(refused, Err(StoreError::InUse)));
    assert!(
        store
            .gc_if_due(&NOTHING, place.now + 48 * 60 * MINUTE)
            .unwrap()
            .is_none()
    );
    assert!(store.gc(&NOTHING, place.now, true).is_ok());
    drop((reader, scratch, batch));
}

/// spec: store/gc R6
#[test]
fn an_operation_that_does_not_end_keeps_gc_away() {
    let place = place();
    put(&place.open(), b"loose");
    let lock = fs::File::open(place.layout().join("lock")).unwrap();
    lock.lock_shared().unwrap();
    let refused = place.open().gc(&NOTHING, place.now, false);
    assert!(matches!(refused, Err(StoreError::InUse)));
    assert!(place.open().usage().is_ok(), "users pass");
    drop(lock);
    assert_eq!(place.gc().blobs.count, 1);
}

/// spec: store/gc R7
#[test]
fn a_lease_that_was_tampered_with_is_made_anew() {
    let place = place();
    let maker = place.open();
    let [first, second, third] =
        ["first", "second", "third"].map(|name| put(&maker, name.as_bytes()));
    drop(maker);
    let user = place.open();
    assert!(user.contains(&first).unwrap());
    fs::remove_file(&place.leases()[0]).unwrap();
    assert!(user.contains(&second).unwrap());
    let made = place.leases();
    assert_eq!(place.gc().blobs.count, 1);
    assert!(place.file(&first).exists() && place.file(&second).exists());

    let bytes = fs::read(&made[0]).unwrap();
    for (cut, name) in [(bytes.len() - 1, "torn"), (5, "headless")] {
        fs::write(&made[0], &bytes[..cut]).unwrap();
        let refused = place.open().gc(&NOTHING, place.now, false);
        assert!(
            matches!(refused, Err(StoreError::DamagedLease { .. })),
            "{name}"
        );
    }
    for at in (0..bytes.len()).step_by(9) {
        let mut flipped = bytes.clone();
        flipped[at] ^= 1;
        fs::write(&made[0], &flipped).unwrap();
        let refused = place.open().gc(&NOTHING, place.now, false);
        assert!(
            matches!(refused, Err(StoreError::DamagedLease { .. })),
            "{at}"
        );
    }
    fs::write(&made[0], &bytes[..bytes.len() - 37]).unwrap();
    put(&user, b"another");
    assert!(!user.contains(&third).unwrap());
    assert_eq!(place.gc().blobs.count, 0);
    assert!(place.file(&first).exists() && place.file(&second).exists());
}

/// spec: store/gc R8
#[test]
fn without_a_lease_the_store_keeps_gc_away() {
    let place = place();
    let user = place.open();
    fs::remove_dir(place.layout().join("leases")).unwrap();
    let digest = put(&user, b"kept");
    let refused = place.open().gc(&NOTHING, place.now, false);
    assert!(matches!(refused, Err(StoreError::InUse)));
    assert!(matches!(
        user.gc(&NOTHING, place.now, false),
        Err(StoreError::InUse)
    ));
    assert_eq!(user.read(&digest).unwrap().unwrap(), b"kept");
    drop(user);
    assert_eq!(place.gc().blobs.count, 1);
}

/// spec: store/gc R10, store/gc R11
#[test]
fn the_dear_stay_and_each_fate_is_told() {
    let place = place();
    let store = place.open();
    record(&store, "large and cheap", 8000, 1);
    record(&store, "small and cheap", 1000, 1);
    record(&store, "large and dear", 8000, 60_000);
    record(&store, "old", 10, 1);
    record(&store, "broken", 10, 1);
    record(&store, "rooted", 10, 1);
    fs::remove_file(place.file(&Digest::of(b"brokenbrok"))).unwrap();
    let hex = key("old").0.hex();
    let old = place
        .layout()
        .join("results")
        .join(&hex[..2])
        .join(&hex[2..]);
    let month = place.now - 60 * 24 * 31 * MINUTE;
    fs::File::open(old).unwrap().set_modified(month).unwrap();
    let pin = Root {
        references: vec![Reference::Result(key("rooted"))],
        reason: String::new(),
    };
    let name: stagecraft_store::RootName = "pin/a".parse().unwrap();
    store.set_root(&name, &pin).unwrap();
    drop(store);
    let user = place.open();
    let policy = GcPolicy {
        max_size: 30_000,
        max_age: 60 * 24 * 30 * MINUTE,
        ..NOTHING
    };
    let told = |policy: &GcPolicy| user.gc(policy, place.now, true).unwrap();
    let all = told(&policy);
    assert_eq!(all.fates[&key("old")], Fate::Old);
    assert_eq!(all.fates[&key("broken")], Fate::Broken);
    assert_eq!(all.fates[&key("rooted")], Fate::Rooted(name));
    assert!(
        ["large and cheap", "small and cheap", "large and dear"]
            .iter()
            .all(|name| all.fates[&key(name)] == Fate::Recent)
    );
    let less = told(&GcPolicy {
        max_size: all.kept.bytes - 1,
        ..policy
    });
    assert_eq!(less.fates[&key("large and cheap")], Fate::NoRoom);
    assert_eq!(less.fates[&key("large and dear")], Fate::Recent);
    assert_eq!(less.fates.len(), 6);
    let kept = less.fates.values().filter(|fate| fate.is_kept()).count();
    assert_eq!(kept, 3);
}

/// spec: store/gc R12
#[test]
fn gc_is_due_once_a_day_or_when_room_is_short() {
    let place = place();
    let store = place.open();
    let hour = 60 * MINUTE;
    let short = GcPolicy {
        min_free_percent: 100,
        ..NOTHING
    };
    let stamp = place.layout().join("gc");
    let reader = Store::open_existing(&place.root()).unwrap().unwrap();
    assert!(!reader.is_gc_due(&NOTHING, place.now).unwrap() && !stamp.exists());
    let yesterday = place.now - 24 * hour;
    assert!(!store.is_gc_due(&NOTHING, yesterday).unwrap() && stamp.exists());
    assert!(store.gc_if_due(&NOTHING, place.now).unwrap().is_some());
    for (policy, since, due) in [
        (NOTHING, MINUTE, false),
        (NOTHING, 23 * hour, false),
        (NOTHING, 25 * hour, true),
        (short, MINUTE, false),
        (short, 11 * MINUTE, true),
    ] {
        let found = store.is_gc_due(&policy, place.now + since).unwrap();
        assert_eq!(found, due, "{since:?}");
    }
    assert!(store.is_gc_due(&NOTHING, place.now - hour).unwrap());
    assert!(
        store
            .gc_if_due(&NOTHING, place.now + hour)
            .unwrap()
            .is_none()
    );
    fs::write(&stamp, "torn").unwrap();
    assert!(store.is_gc_due(&NOTHING, place.now).unwrap());
}

/// spec: store/gc R13
#[test]
fn why_names_everything_that_keeps_a_digest() {
    let place = place();
    let store = place.open();
    let tool = record(&store, "tool", 100, 1);
    let file: Vec<u8> = "tool".bytes().cycle().take(100).collect();
    let file = Digest::of(&file);
    let loose = put(&store, b"loose");
    store.materialise(&tool.output.digest).unwrap();
    let root = Root {
        references: vec![Reference::Tree(tool.output.digest)],
        reason: String::new(),
    };
    let name: stagecraft_store::RootName = "pin/a".parse().unwrap();
    store.set_root(&name, &root).unwrap();
    let owner = place.leases()[0].clone();
    let owner = owner.file_name().unwrap().to_str().unwrap().to_owned();
    let reader = Store::open_existing(&place.root()).unwrap().unwrap();
    let why = |digest: &Digest| reader.why(digest).unwrap();
    let (root, lease) = (Reason::Root(name), Reason::Lease(owner));
    let result = Reason::Result(key("tool"));
    let all = [root.clone(), lease.clone(), result.clone()];
    assert_eq!(why(&file), all);
    let unpacked = [root, lease.clone(), result.clone(), Reason::Unpacked];
    assert_eq!(why(&tool.output.digest), unpacked);
    assert_eq!(why(&key("tool").0), [lease.clone(), result]);
    assert_eq!(why(&loose), [lease]);
    assert_eq!(why(&Digest::of(b"nothing")), []);
    drop(store);
    assert_eq!(why(&loose), [Reason::Unused]);
    let policy = GcPolicy {
        grace: MINUTE,
        ..NOTHING
    };
    place.open().gc(&policy, place.now, false).unwrap();
    let trash = why(&loose);
    assert!(matches!(&trash[..], [Reason::Trash(path)] if path.starts_with("trash/")));
}
