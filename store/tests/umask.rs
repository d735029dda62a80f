//! What depends on the umask and what does not. A binary of its own with one test: the umask
//! belongs to the process.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "effects: tests of files")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};

use rustix::fs::Mode;
use rustix::process::umask;
use rustix::thread::set_thread_uid;
use stagecraft_store::{ActionKey, ActionResult, Digest, ExportMode, ImportRules, Object, Store};

fn fill(store: &Store, source: &std::path::Path) -> Object {
    let mut batch = store.batch();
    let tree = batch.import(source, &ImportRules::default()).unwrap();
    let result = ActionResult {
        op_hash: Digest::of(b"op"),
        output: tree,
        log: Object::empty(),
        leaves: Object::empty(),
        level: 0,
        milliseconds: 0,
    };
    let results = vec![(ActionKey(Digest::of(b"key")), result)];
    store.commit(vec![batch], results, vec![]).unwrap();
    tree
}

fn modes(path: &std::path::Path) -> Vec<u32> {
    walkdir::WalkDir::new(path)
        .sort_by_file_name()
        .into_iter()
        .map(|entry| entry.unwrap().metadata().unwrap().mode() & 0o7777)
        .collect()
}

/// spec: store/operations R17, store/trees R1, store/trees R6
#[test]
fn umask_changes_no_object_and_shares_a_store() {
    let top = tempfile::tempdir().unwrap();
    let open = fs::Permissions::from_mode(0o777);
    fs::set_permissions(top.path(), open).unwrap();
    let source = top.path().join("source");
    fs::create_dir(&source).unwrap();
    fs::write(source.join("plain"), "plain").unwrap();
    fs::write(source.join("tool"), "tool").unwrap();
    fs::set_permissions(source.join("tool"), fs::Permissions::from_mode(0o4711)).unwrap();
    let mut seen = Vec::new();
    for bits in [0o077, 0o022, 0o000] {
        umask(Mode::from_raw_mode(bits));
        let store = Store::open(&top.path().join(format!("store-{bits:o}"))).unwrap();
        let tree = fill(&store, &source);
        let out = top.path().join(format!("out-{bits:o}"));
        store.export(&tree.digest, &out, ExportMode::Copy).unwrap();
        assert_eq!(modes(&out), [0o755, 0o644, 0o755]);
        let unpacked = store.materialise(&tree.digest).unwrap();
        assert_eq!(modes(&unpacked), [0o555, 0o444, 0o555]);
        seen.push(tree);
        let layout = store.root_path().join("v1");
        let mode = |path: &str| fs::metadata(layout.join(path)).unwrap().mode() & 0o777;
        assert_eq!(mode("cas"), 0o777 & !bits);
        assert_eq!(mode("lock"), 0o666 & !bits);
    }
    assert!(seen.iter().all(|tree| *tree == seen[0]), "{seen:?}");

    // With the rights to become another user, be one and share the last store, made under umask 000.
    let root = top.path().join("store-0");
    let old = std::time::SystemTime::now() - std::time::Duration::from_secs(1 << 20);
    let hex = Digest::of(b"key").hex();
    let record = root.join("v1/results").join(&hex[..2]).join(&hex[2..]);
    fs::File::open(&record).unwrap().set_modified(old).unwrap();
    let other = std::thread::spawn(move || {
        if set_thread_uid(rustix::fs::Uid::from_raw(65_533)).is_err() {
            return;
        }
        let store = Store::open(&root).unwrap();
        let key = ActionKey(Digest::of(b"key"));
        assert!(store.result(&key).unwrap().is_some());
        let mut batch = store.batch();
        let mine = batch.put(b"mine").unwrap();
        let theirs = batch.put(b"plain").unwrap();
        store.commit(vec![batch], vec![], vec![]).unwrap();
        assert!(store.holds(&mine).unwrap() && store.holds(&theirs).unwrap());
        drop(store.scratch().unwrap());
        assert!(store.verify(false).unwrap().is_sound());
    });
    other.join().unwrap();
}
