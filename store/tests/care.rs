//! gc, verify and usage.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "effects: tests of files")]

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use stagecraft_store::{
    ActionKey, ActionResult, Damage, DamageKind, Digest, Fate, GcPolicy, HistoryKey, Object,
    Reference, Root, RootName, Store, StoreError, TreeBuilder,
};

const DAY: Duration = Duration::from_secs(24 * 60 * 60);

const KEEP_ALL: GcPolicy = GcPolicy {
    max_size: u64::MAX,
    max_age: Duration::MAX,
    min_free_percent: 0,
    grace: Duration::ZERO,
};

struct Place {
    _top: tempfile::TempDir,
    store: Store,
    now: SystemTime,
}

fn place() -> Place {
    let top = tempfile::tempdir().unwrap();
    let store = Store::open(&top.path().join("store")).unwrap();
    Place {
        _top: top,
        store,
        now: SystemTime::now(),
    }
}

fn key(name: &str) -> ActionKey {
    ActionKey(Digest::of(name.as_bytes()))
}

fn content(name: &str) -> Vec<u8> {
    name.as_bytes().repeat(1000)
}

impl Place {
    fn layout(&self) -> PathBuf {
        self.store.root_path().join("v1")
    }

    fn file(&self, area: &str, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.layout().join(area).join(&hex[..2]).join(&hex[2..])
    }

    /// Records an action last used some days ago, with its history.
    fn record(&self, name: &str, days: u32) -> ActionResult {
        let mut batch = self.store.batch();
        let mut tree = TreeBuilder::new();
        let object = batch.put(&content(name)).unwrap();
        tree.file("bin/tool", &object, true).unwrap();
        let tree = tree.build();
        batch.add_tree(&tree).unwrap();
        let result = ActionResult {
            op_hash: Digest::of(b"op"),
            output: tree.root,
            log: Object::empty(),
            leaves: batch.put(format!("leaves of {name}").as_bytes()).unwrap(),
            level: 2,
            milliseconds: 1,
        };
        let history = HistoryKey::new("shop", name);
        self.store
            .commit(
                vec![batch],
                vec![(key(name), result)],
                vec![(history, result.leaves.digest)],
            )
            .unwrap();
        self.age("results", &key(name).0, days);
        self.age("history", history.digest(), days);
        result
    }

    /// Opens the store anew, as a process does that relies on nothing yet.
    fn reopen(&mut self) {
        self.store = Store::open(self.store.root_path()).unwrap();
    }

    fn age(&self, area: &str, digest: &Digest, days: u32) {
        let file = fs::File::open(self.file(area, digest)).unwrap();
        file.set_modified(self.now - DAY * days).unwrap();
    }

    fn root(&self, name: &str, references: Vec<Reference>) {
        let reason = "test".to_owned();
        let root = Root { references, reason };
        self.store
            .set_root(&name.parse::<RootName>().unwrap(), &root)
            .unwrap();
    }

    fn has(&self, name: &str) -> bool {
        self.store.result(&key(name)).unwrap().is_some()
    }

    fn damage(&self) -> Vec<(String, DamageKind)> {
        let report = self.store.verify(false).unwrap();
        let plain = |damage: Damage| (damage.path, damage.kind);
        report.damage.into_iter().map(plain).collect()
    }

    fn relative(&self, path: &Path) -> String {
        let path = path.strip_prefix(self.layout()).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

/// Alters a byte and puts the time back, as a bad medium would.
fn rot(path: &Path) {
    let mut bytes = fs::read(path).unwrap();
    bytes[0] ^= 1;
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(path, bytes).unwrap();
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    fs::File::open(path).unwrap().set_modified(time).unwrap();
}

/// spec: store/care R1, store/care R2, store/care R4, store/care R5
#[test]
fn roots_and_the_young_stay() {
    let mut place = place();
    let young = place.record("young", 1);
    let old = place.record("old", 40);
    let pinned = place.record("pinned", 40);
    let tree_only = place.record("tree", 40);
    let mut batch = place.store.batch();
    let loose = batch.put(b"nobody needs it").unwrap();
    let blob = batch.put(b"pinned blob").unwrap();
    place.store.commit(vec![batch], vec![], vec![]).unwrap();
    place.root(
        "pin/a",
        vec![
            Reference::Result(key("pinned")),
            Reference::Blob(blob.digest),
        ],
    );
    place.root("pin/b", vec![Reference::Tree(tree_only.output.digest)]);
    for result in [young, old, pinned, tree_only] {
        place.store.materialise(&result.output.digest).unwrap();
    }
    let policy = GcPolicy {
        max_age: DAY * 30,
        ..KEEP_ALL
    };
    place.reopen();
    let foreseen = place.store.gc(&policy, place.now, true).unwrap();
    assert!(place.has("old"));
    // Asking for it was a use, and it is relied on.
    place.age("results", &key("old").0, 40);
    let relied = place.store.gc(&policy, place.now, true).unwrap();
    assert_eq!(relied.fates[&key("old")], Fate::Leased);
    place.reopen();
    let report = place.store.gc(&policy, place.now, false).unwrap();
    assert_eq!(report, foreseen);
    let mut gone = vec![key("old"), key("tree")];
    gone.sort();
    assert_eq!(report.results, gone);
    assert_eq!(report.trees, 1);
    // Of `old` all: two directories, the file and its twin, leaves; of `tree` its leaves; the loose blob.
    assert_eq!((report.blobs.count, report.twins.count), (6, 1));
    assert_eq!(report.history.count, 2);
    assert!(report.freed() > 6000 && report.incomplete_roots.is_empty());
    assert!(place.has("young") && place.has("pinned"));
    assert!(!place.has("old") && !place.has("tree"));
    let tree = [Reference::Tree(tree_only.output.digest)];
    assert_eq!(place.store.missing(&tree).unwrap(), []);
    assert!(place.store.contains(&blob.digest).unwrap());
    assert!(!place.store.contains(&loose.digest).unwrap());
    let latest = |name| place.store.latest(&HistoryKey::new("shop", name)).unwrap();
    assert_eq!(latest("young"), Some(young.leaves.digest));
    assert_eq!(latest("pinned"), Some(pinned.leaves.digest));
    assert_eq!((latest("old"), latest("tree")), (None, None));
    assert!(!place.file("cas", &loose.digest).parent().unwrap().exists());
    assert_eq!(place.damage(), []);
    place.reopen();
    let again = place.store.gc(&policy, place.now, false).unwrap();
    assert_eq!((again.freed(), again.results), (0, vec![]));
    assert_eq!(again.kept, report.kept);
}

/// spec: store/care R3
#[test]
fn the_last_used_stay_as_far_as_they_fit() {
    let mut place = place();
    for (name, days) in [("one", 1), ("two", 2), ("three", 3), ("four", 4)] {
        place.record(name, days);
    }
    place.reopen();
    let all = place
        .store
        .gc(&KEEP_ALL, place.now, true)
        .unwrap()
        .kept
        .bytes;
    let policy = |max_size| GcPolicy {
        max_size,
        ..KEEP_ALL
    };
    let going =
        |place: &Place, policy: &GcPolicy| place.store.gc(policy, place.now, true).unwrap().results;
    assert_eq!(going(&place, &policy(all)), []);
    assert_eq!(going(&place, &policy(all - 1)), [key("four")]);
    let mut oldest = vec![key("three"), key("four"), key("two")];
    oldest.sort();
    assert_eq!(going(&place, &policy(all - 10_000)), oldest);
    place.root("pin/four", vec![Reference::Result(key("four"))]);
    assert_eq!(going(&place, &policy(all - 1)), [key("three")]);
    assert_eq!(going(&place, &policy(0)).len(), 3);
    let full = GcPolicy {
        min_free_percent: 100,
        ..KEEP_ALL
    };
    assert_eq!(going(&place, &full).len(), 3);
    place.reopen();
    let report = place.store.gc(&policy(0), place.now, false).unwrap();
    assert_eq!(report.results.len(), 3);
    assert!(place.has("four") && !place.has("one"));
}

/// spec: store/care R2, store/care R5
#[test]
fn what_is_broken_or_left_over_goes() {
    let mut place = place();
    let result = place.record("broken", 0);
    place.record("torn", 0);
    place.reopen();
    let scratch = place.store.scratch().unwrap().path().to_owned();
    fs::remove_file(place.file("cas", &Object::of(&content("broken")).digest)).unwrap();
    fs::write(place.file("results", &key("torn").0), "torn").unwrap();
    fs::create_dir_all(place.layout().join("trash/old")).unwrap();
    fs::write(place.layout().join("trash/file"), "x").unwrap();
    fs::create_dir_all(place.layout().join("tmp/dead.1.1/x")).unwrap();
    let report = place.store.gc(&KEEP_ALL, place.now, false).unwrap();
    let mut gone = vec![key("broken"), key("torn")];
    gone.sort();
    assert_eq!(report.results, gone);
    assert_eq!(report.trash, 2);
    assert!(!place.layout().join("tmp/dead.1.1").exists());
    assert!(scratch.parent().unwrap().exists(), "our own stays");
    // Leaves are kept by the history of a recent run.
    assert!(place.store.contains(&result.leaves.digest).unwrap());
    assert_eq!(place.damage(), []);
}

/// spec: store/care R7
#[test]
fn a_dry_run_changes_nothing() {
    let mut place = place();
    place.record("a", 9);
    place.reopen();
    let before = place.store.usage().unwrap();
    let policy = GcPolicy {
        max_size: 0,
        max_age: Duration::ZERO,
        min_free_percent: 100,
        grace: Duration::ZERO,
    };
    let report = place.store.gc(&policy, place.now, true).unwrap();
    assert_eq!(report.results, [key("a")]);
    assert_eq!(place.store.usage().unwrap(), before);
    let root = place.store.root_path().to_owned();
    drop(place.store);
    let reader = Store::open_existing(&root).unwrap().unwrap();
    assert_eq!(reader.gc(&policy, place.now, true).unwrap(), report);
    assert!(matches!(
        reader.gc(&policy, place.now, false),
        Err(StoreError::ReadOnly)
    ));
}

/// spec: store/care R8, store/care R1
#[test]
fn gc_does_not_guess_what_a_damaged_root_kept() {
    let place = place();
    place.record("a", 9);
    place.root("pin/a", vec![Reference::Result(key("a"))]);
    let before = place.store.usage().unwrap();
    let path = place.layout().join("roots/pin/a.root");
    let bytes = fs::read(&path).unwrap();
    fs::write(&path, &bytes[..bytes.len() - 1]).unwrap();
    let policy = GcPolicy {
        max_size: 0,
        ..KEEP_ALL
    };
    let refused = place.store.gc(&policy, place.now, false);
    assert!(matches!(refused, Err(StoreError::DamagedRoot { .. })));
    fs::write(&path, &bytes).unwrap();
    assert_eq!(place.store.usage().unwrap(), before);
    fs::remove_file(place.file("cas", &Object::of(&content("a")).digest)).unwrap();
    let report = place.store.gc(&policy, place.now, false).unwrap();
    assert_eq!(report.incomplete_roots, ["pin/a".parse().unwrap()]);
    assert_eq!(report.results, []);
}

/// spec: store/care R9, store/care R10
#[test]
fn verify_finds_and_mends_every_kind_of_damage() {
    let place = place();
    let result = place.record("a", 0);
    let other = place.record("b", 0);
    place.record("c", 0);
    place.record("d", 0);
    place.root("pin/a", vec![Reference::Result(key("a"))]);
    place.root("pin/b", vec![Reference::Result(key("b"))]);
    place.root("pin/c", vec![]);
    place.store.materialise(&result.output.digest).unwrap();
    let made = place.store.materialise(&other.output.digest).unwrap();
    assert_eq!(place.damage(), []);

    let blob = place.file("cas", &Object::of(&content("a")).digest);
    rot(&blob);
    let twin = place.file("casx", &Object::of(&content("b")).digest);
    rot(&twin);
    let record = place.file("results", &key("c").0);
    fs::write(&record, "torn").unwrap();
    let history = place.file("history", HistoryKey::new("shop", "c").digest());
    fs::write(&history, "torn").unwrap();
    let leaves = Digest::of(b"leaves of d");
    fs::remove_file(place.file("cas", &leaves)).unwrap();
    let root = place.layout().join("roots/pin/c.root");
    fs::write(&root, "torn").unwrap();
    for stray in [
        "cas/ab/short",
        "results/long-shard",
        "roots/stray",
        "trees/stray",
    ] {
        let path = place.layout().join(stray);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "").unwrap();
    }
    fs::create_dir_all(place.layout().join("tmp/dead.1.1/x")).unwrap();
    fs::write(place.layout().join("trash/x"), "").unwrap();

    let path = |area, digest: &Digest| place.relative(&place.file(area, digest));
    let tree = |digest: &Digest| format!("trees/{}", digest.hex());
    let mut expected = vec![
        (place.relative(&blob), DamageKind::Blob),
        (place.relative(&twin), DamageKind::Twin),
        (path("results", &key("a").0), DamageKind::IncompleteResult),
        (place.relative(&record), DamageKind::Result),
        (place.relative(&history), DamageKind::History),
        (path("results", &key("d").0), DamageKind::IncompleteResult),
        (
            path("history", HistoryKey::new("shop", "d").digest()),
            DamageKind::IncompleteHistory,
        ),
        ("roots/pin/a.root".to_owned(), DamageKind::IncompleteRoot),
        ("roots/pin/c.root".to_owned(), DamageKind::Root),
        (tree(&result.output.digest), DamageKind::Tree),
        (tree(&other.output.digest), DamageKind::Tree),
        ("cas/ab/short".to_owned(), DamageKind::Stray),
        ("results/long-shard".to_owned(), DamageKind::Stray),
        ("roots/stray".to_owned(), DamageKind::Stray),
        ("trees/stray".to_owned(), DamageKind::Stray),
    ];
    expected.sort();
    assert_eq!(place.damage(), expected);
    assert_eq!(place.damage(), expected, "looking changes nothing");

    let report = place.store.verify(true).unwrap();
    assert_eq!(report.damage.len(), expected.len());
    assert!(report.is_sound());
    assert_eq!(place.damage(), []);
    assert!(place.has("b") && !place.has("a") && !place.has("c") && !place.has("d"));
    let roots = place.store.roots().unwrap();
    assert_eq!(roots.len(), 1, "{roots:?}");
    place.store.materialise(&other.output.digest).unwrap();
    assert_eq!(fs::read(made.join("bin/tool")).unwrap(), content("b"));
    place.record("a", 0);
    assert!(place.has("a"));
}

/// spec: store/care R9, store/care R6
#[test]
fn every_flipped_byte_is_found() {
    let place = place();
    let result = place.record("a", 0);
    place.root("pin/a", vec![Reference::Tree(result.output.digest)]);
    let files: Vec<PathBuf> = walkdir::WalkDir::new(place.layout())
        .into_iter()
        .map(|entry| entry.unwrap().into_path())
        .filter(|path| path.is_file() && !path.ends_with("lock"))
        .collect();
    assert!(files.len() >= 6, "{files:?}");
    for path in files {
        let bytes = fs::read(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        for at in (0..bytes.len()).step_by(bytes.len() / 16 + 1) {
            let mut flipped = bytes.clone();
            flipped[at] ^= 0x40;
            fs::write(&path, &flipped).unwrap();
            let found = place.damage();
            let name = place.relative(&path);
            assert!(found.iter().any(|(path, _)| *path == name), "{name} {at}");
        }
        fs::write(&path, &bytes).unwrap();
    }
    assert_eq!(place.damage(), []);
}

/// spec: store/care R11
#[test]
fn usage_counts_by_kind() {
    let place = place();
    let result = place.record("a", 0);
    place.root("pin/a", vec![]);
    place.store.materialise(&result.output.digest).unwrap();
    fs::write(place.layout().join("trash/x"), "1234").unwrap();
    let scratch = place.store.scratch().unwrap();
    fs::write(scratch.path().join("x"), "12").unwrap();
    let usage = place.store.usage().unwrap();
    // Two directories, the file, leaves.
    assert_eq!(usage.blobs.count, 4);
    assert_eq!((usage.twins.count, usage.twins.bytes), (1, 1000));
    assert!(usage.blobs.bytes > 1000);
    let counts = [usage.results, usage.history, usage.roots, usage.trees];
    assert!(counts.iter().all(|amount| amount.count == 1));
    assert_eq!((usage.trash.count, usage.trash.bytes), (1, 4));
    assert_eq!((usage.tmp.count, usage.tmp.bytes), (1, 2));
}
