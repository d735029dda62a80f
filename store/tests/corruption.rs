//! Every kind of file of a store, flipped, cut, removed and swapped: verify names it, repair forgets
//! what is bad and keeps what is good, nothing damaged is ever given out, and the next use heals.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "effects: tests of files")]

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::os::unix::fs::{FileTypeExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use stagecraft_store::{
    ActionKey, ActionResult, DamageKind, Digest, ExportMode, GcPolicy, HistoryKey, Reference, Root,
    Store, StoreError, TreeBuilder,
};

const NAMES: [&str; 2] = ["one", "two"];

struct Place {
    top: tempfile::TempDir,
}

fn key(name: &str) -> ActionKey {
    ActionKey(Digest::of(name.as_bytes()))
}

fn content(name: &str) -> Vec<u8> {
    format!("content of {name}").into_bytes()
}

fn place() -> Place {
    let place = Place {
        top: tempfile::tempdir().unwrap(),
    };
    place.fill();
    place
}

impl Place {
    fn root(&self) -> PathBuf {
        self.top.path().join("store")
    }

    fn layout(&self) -> PathBuf {
        self.root().join("v1")
    }

    fn file(&self, area: &str, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        self.layout().join(area).join(&hex[..2]).join(&hex[2..])
    }

    /// Does what is not done yet: two actions, each with history, root and materialised tree, and the
    /// note of a gc. This is also the next use that heals.
    fn fill(&self) {
        let store = Store::open(&self.root()).unwrap();
        for name in NAMES {
            if store.result(&key(name)).unwrap().is_none() {
                let mut batch = store.batch();
                let mut tree = TreeBuilder::new();
                let object = batch.put(&content(name)).unwrap();
                tree.file("bin/tool", &object, true).unwrap();
                tree.file("plain", &object, false).unwrap();
                let tree = tree.build();
                batch.add_tree(&tree).unwrap();
                let result = ActionResult {
                    op_hash: Digest::of(b"op"),
                    output: tree.root,
                    log: batch.put(format!("log of {name}").as_bytes()).unwrap(),
                    leaves: batch.put(format!("leaves of {name}").as_bytes()).unwrap(),
                    level: 2,
                    milliseconds: 1,
                };
                let history = vec![(HistoryKey::new("shop", name), result.leaves.digest)];
                store
                    .commit(vec![batch], vec![(key(name), result)], history)
                    .unwrap();
            }
            let result = store.result(&key(name)).unwrap().unwrap();
            store.materialise(&result.output.digest).unwrap();
            let root = Root {
                references: vec![Reference::Result(key(name))],
                reason: "test".to_owned(),
            };
            let pin = format!("pin/{name}").parse().unwrap();
            store.set_root(&pin, &root).unwrap();
        }
        drop(store);
        let keep = GcPolicy {
            max_size: u64::MAX,
            max_age: Duration::MAX,
            min_free_percent: 0,
            grace: Duration::ZERO,
        };
        let store = Store::open(&self.root()).unwrap();
        store.gc(&keep, SystemTime::now(), false).unwrap();
    }

    /// A lease that somebody dead left, beside everything else.
    fn leave_a_lease(&self) {
        let store = Store::open(&self.root()).unwrap();
        store.contains(&Digest::of(&content("one"))).unwrap();
        let lease = fs::read_dir(self.layout().join("leases")).unwrap().next();
        let bytes = fs::read(lease.unwrap().unwrap().path()).unwrap();
        drop(store);
        fs::write(self.layout().join("leases/boot.1.1"), bytes).unwrap();
    }

    /// All files by path, with their bytes; what is linked into a tree appears as the object too.
    fn files(&self) -> BTreeMap<String, Vec<u8>> {
        let mut files = BTreeMap::new();
        for entry in walkdir::WalkDir::new(self.layout()) {
            let entry = entry.unwrap();
            assert!(!entry.file_type().is_fifo());
            if entry.file_type().is_file() {
                let path = entry.path().strip_prefix(self.layout()).unwrap();
                let bytes = fs::read(entry.path()).unwrap();
                files.insert(path.to_str().unwrap().to_owned(), bytes);
            }
        }
        files
    }

    /// Replaces the bytes of a file as a bad medium would: mode and time stay.
    fn rot(&self, path: &str, bytes: &[u8]) {
        let path = self.layout().join(path);
        let before = fs::metadata(&path).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(&path, bytes).unwrap();
        fs::set_permissions(&path, before.permissions()).unwrap();
        let file = fs::File::open(&path).unwrap();
        file.set_modified(before.modified().unwrap()).unwrap();
    }

    /// Opens, or says that the format is damaged.
    fn open(&self) -> Option<Store> {
        match Store::open(&self.root()) {
            Err(StoreError::Format | StoreError::Newer { .. }) => None,
            opened => Some(opened.unwrap()),
        }
    }

    /// Returns what verify names; the format mark when the store does not open.
    fn damage(&self) -> Vec<String> {
        let Some(store) = self.open() else {
            return vec!["FORMAT".to_owned()];
        };
        let damage = store.verify(false).unwrap().damage;
        damage.into_iter().map(|damage| damage.path).collect()
    }

    /// What may be given out: the right bytes, nothing, or an error; never others.
    fn gives_out_no_lie(&self, what: &str) {
        let Some(store) = self.open() else {
            return;
        };
        for name in NAMES {
            let digest = Digest::of(&content(name));
            if let Ok(Some(bytes)) = store.read(&digest) {
                assert_eq!(bytes, content(name), "{what}");
            }
            let Ok(Some(result)) = store.result(&key(name)) else {
                continue;
            };
            let target = self.top.path().join("exported");
            let tree = &result.output.digest;
            if store.export(tree, &target, ExportMode::Copy).is_ok() {
                let bytes = fs::read(target.join("bin/tool")).unwrap();
                assert_eq!(bytes, content(name), "{what}");
                fs::remove_dir_all(&target).unwrap();
            }
        }
    }

    /// Repairs and uses: everything is there again.
    fn heals(&self, what: &str) {
        if let Some(store) = self.open() {
            let report = store.verify(true).unwrap();
            assert!(report.is_sound(), "{what}: {:?}", report.damage);
            assert_eq!(store.verify(false).unwrap().damage, [], "{what}");
        }
        self.fill();
        let store = Store::open(&self.root()).unwrap();
        assert_eq!(store.verify(false).unwrap().damage, [], "{what}");
        for name in NAMES {
            assert!(store.result(&key(name)).unwrap().is_some(), "{what}");
        }
    }
}

/// One file of each kind; of objects, which differ in what refers to them, every other one.
fn sample(files: &BTreeMap<String, Vec<u8>>) -> Vec<(&String, &Vec<u8>)> {
    let mut seen = std::collections::BTreeSet::new();
    let mut objects = 0;
    let chosen = files.iter().filter(|(path, _)| {
        let area = path.split('/').next().unwrap();
        objects += usize::from(area == "cas");
        seen.insert(area.to_owned()) || (area == "cas" && objects % 2 == 0)
    });
    chosen.collect()
}

/// Files in which a change is damage, and where verify reports it.
fn checked(path: &str) -> bool {
    !path.starts_with("trees/") && path != "lock"
}

/// spec: store/care R9, store/care R6
#[test]
fn every_flipped_byte_of_every_file_is_named() {
    let place = place();
    place.leave_a_lease();
    let files = place.files();
    let kinds: std::collections::BTreeSet<&str> = files
        .keys()
        .map(|path| path.split('/').next().unwrap())
        .collect();
    let all = [
        "FORMAT", "cas", "casx", "gc", "history", "leases", "lock", "results", "roots", "trees",
    ];
    assert_eq!(kinds.into_iter().collect::<Vec<_>>(), all);
    for (path, bytes) in files.iter().filter(|(path, _)| checked(path)) {
        for at in 0..bytes.len() {
            let mut flipped = bytes.clone();
            flipped[at] ^= 1 << (at % 8);
            place.rot(path, &flipped);
            assert!(place.damage().contains(path), "{path} at {at}");
        }
        place.rot(path, bytes);
    }
    assert_eq!(place.damage(), Vec::<String>::new());
}

/// spec: store/care R9, store/care R6
#[test]
fn every_cut_and_every_appended_byte_is_named() {
    let place = place();
    place.leave_a_lease();
    for (path, bytes) in place.files().iter().filter(|(path, _)| checked(path)) {
        for length in 0..bytes.len() {
            // A lease is a list that ends anywhere between two entries.
            if path.starts_with("leases/") && length >= 19 && (length - 19) % 37 == 0 {
                continue;
            }
            place.rot(path, &bytes[..length]);
            assert!(place.damage().contains(path), "{path} of length {length}");
        }
        place.rot(path, &[bytes.as_slice(), b"x"].concat());
        assert!(place.damage().contains(path), "{path} with a byte more");
        place.rot(path, bytes);
    }
    let lock = place.layout().join("lock");
    fs::write(lock, "x").unwrap();
    assert_eq!(place.damage(), ["lock"]);
    place.heals("lock");
}

/// spec: store/care R9, store/care R10, store/operations R10
#[test]
fn what_was_swapped_is_named_and_heals() {
    let files = place().files();
    let area = |path: &str| path.split('/').next().unwrap().to_owned();
    for (path, bytes) in sample(&files) {
        if !checked(path) {
            continue;
        }
        for (other, others) in &files {
            if area(path) != area(other) || path == other || bytes == others {
                continue;
            }
            let place = place();
            place.rot(path, others);
            let what = format!("{path} with the bytes of {other}");
            assert!(place.damage().contains(path), "{what}");
            place.gives_out_no_lie(&what);
            place.heals(&what);
            // One partner of each file is enough to see that names are checked.
            break;
        }
    }
}

/// spec: store/care R10, store/operations R9, store/operations R10
#[test]
fn whatever_is_damaged_repair_forgets_and_the_next_use_makes() {
    let files = place().files();
    for (path, bytes) in sample(&files) {
        if path == "FORMAT" {
            continue;
        }
        for damage in ["flipped", "emptied", "cut"] {
            let place = place();
            let rotten = match damage {
                "flipped" => bytes.iter().map(|byte| byte ^ 0x10).collect(),
                "emptied" => Vec::new(),
                _ => bytes[..bytes.len() / 2].to_vec(),
            };
            place.rot(path, &rotten);
            let what = format!("{path} {damage}");
            place.gives_out_no_lie(&what);
            // Without a repair the next use heals what it needs, too.
            if path.starts_with("results/") || path.starts_with("history/") {
                let store = Store::open(&place.root()).unwrap();
                assert!(store.verify(false).unwrap().records > 0, "{what}");
            }
            place.heals(&what);
        }
    }
}

/// spec: store/care R9, store/care R10, store/operations R9
#[test]
fn what_was_removed_is_missed_by_what_refers_to_it() {
    let files = place().files();
    for (path, _) in sample(&files) {
        let place = place();
        fs::remove_file(place.layout().join(path)).unwrap_or_else(|_| {
            let above = place.layout().join(path);
            let above = above.parent().unwrap();
            fs::set_permissions(above, fs::Permissions::from_mode(0o755)).unwrap();
            fs::remove_file(place.layout().join(path)).unwrap();
        });
        // Twins, roots, history and the note of a gc are absent without a trace: nothing is damaged.
        let silent = [
            "casx/", "roots/", "history/", "results/", "gc", "lock", "FORMAT",
        ];
        if !silent.iter().any(|start| path.starts_with(start)) {
            assert_ne!(place.damage(), Vec::<String>::new(), "{path}");
        }
        place.gives_out_no_lie(path);
        place.heals(path);
    }
}

/// spec: store/care R6
#[test]
fn a_damaged_format_is_mended_by_whoever_has_the_store_open() {
    let place = place();
    let store = Store::open(&place.root()).unwrap();
    fs::write(place.layout().join("FORMAT"), "stagecraft store 1\ndigest").unwrap();
    assert!(matches!(
        Store::open(&place.root()),
        Err(StoreError::Format)
    ));
    let report = store.verify(true).unwrap();
    assert_eq!(report.damage[0].kind, DamageKind::Format);
    place.heals("FORMAT");
}

/// spec: store/care R6
#[test]
fn a_damaged_lease_stays_with_whoever_holds_it() {
    let place = place();
    let user = Store::open(&place.root()).unwrap();
    user.contains(&Digest::of(b"x")).unwrap();
    let lease = fs::read_dir(place.layout().join("leases")).unwrap().next();
    let lease = lease.unwrap().unwrap().path();
    fs::write(&lease, "torn").unwrap();
    let other = Store::open(&place.root()).unwrap();
    let report = other.verify(true).unwrap();
    assert!(!report.is_sound() && lease.exists());
    drop(user);
    assert!(other.verify(true).unwrap().is_sound());
}

/// spec: store/care R6
#[test]
fn names_that_no_store_has_are_strays() {
    let place = place();
    let layout = place.layout();
    fs::write(layout.join("unknown"), "").unwrap();
    fs::create_dir(layout.join("index")).unwrap();
    fs::create_dir_all(layout.join("claims")).unwrap();
    fs::write(layout.join("claims/short"), "").unwrap();
    fs::create_dir(layout.join("leases/directory")).unwrap();
    let strays = ["claims/short", "index", "leases/directory", "unknown"];
    assert_eq!(place.damage(), strays);
    place.heals("strays");
}

/// spec: store/format R11, store/operations R10
#[test]
fn an_edited_output_is_detected_set_aside_and_named() {
    let place = place();
    let store = Store::open(&place.root()).unwrap();
    let result = store.result(&key("one")).unwrap().unwrap();
    let tree = store.materialise(&result.output.digest).unwrap();
    let file = tree.join("plain");
    append(&file, b" and more");
    let digest = Digest::of(&content("one"));
    let object = place.file("cas", &digest);
    assert_eq!(fs::read(&object).unwrap(), fs::read(&file).unwrap());

    // One look tells: no hit, no export, and the object is out of the way under its own name.
    assert!(store.result(&key("one")).unwrap().is_none());
    assert!(!object.exists());
    let aside = place.layout().join(format!("trash/cas-{}", digest.hex()));
    assert!(fs::read(&aside).unwrap().ends_with(b" and more"));
    let named = store.verify(false).unwrap().damage;
    let path = format!("trees/{}", result.output.digest.hex());
    assert!(named.iter().any(|damage| damage.path == path), "{named:?}");
    let why = store.why(&digest).unwrap();
    assert!(
        why.iter()
            .any(|reason| reason.to_string().contains("trash/cas-"))
    );
    drop(store);
    place.heals("edited");
    assert_eq!(fs::read(tree.join("plain")).unwrap(), content("one"));
    assert_eq!(fs::read(&object).unwrap(), content("one"));
}

fn append(path: &Path, bytes: &[u8]) {
    fs::set_permissions(path, fs::Permissions::from_mode(0o644)).unwrap();
    let mut file = fs::OpenOptions::new().append(true).open(path).unwrap();
    file.write_all(bytes).unwrap();
    drop(file);
    fs::set_permissions(path, fs::Permissions::from_mode(0o444)).unwrap();
}
