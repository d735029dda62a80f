//! Opening, adding, finding, rooting, on the real disk.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "effects: tests of files")]

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use stagecraft_store::{
    ActionKey, ActionResult, Digest, HistoryKey, Object, Reference, Root, RootName, Store,
    StoreError, TreeBuilder,
};

fn place() -> (tempfile::TempDir, Store) {
    let top = tempfile::tempdir().unwrap();
    let store = Store::open(&top.path().join("store")).unwrap();
    (top, store)
}

fn file(store: &Store, area: &str, digest: &Digest) -> PathBuf {
    let hex = digest.hex();
    let layout = store.root_path().join("v1");
    layout.join(area).join(&hex[..2]).join(&hex[2..])
}

fn put(store: &Store, bytes: &[u8]) -> Object {
    let mut batch = store.batch();
    let object = batch.put(bytes).unwrap();
    store.commit(vec![batch], vec![], vec![]).unwrap();
    object
}

/// Commits a result whose output is `dir/file` with `bytes`.
fn record(store: &Store, key: &ActionKey, bytes: &[u8]) -> ActionResult {
    let mut batch = store.batch();
    let mut tree = TreeBuilder::new();
    let object = batch.put(bytes).unwrap();
    tree.file("dir/file", &object, false).unwrap();
    let tree = tree.build();
    batch.add_tree(&tree).unwrap();
    let result = ActionResult {
        op_hash: Digest::of(b"op"),
        output: tree.root,
        log: batch.put(b"log").unwrap(),
        leaves: batch.put(b"leaves").unwrap(),
        level: 2,
        milliseconds: 5,
    };
    store
        .commit(vec![batch], vec![(*key, result)], vec![])
        .unwrap();
    result
}

fn overwrite(path: &Path, bytes: &[u8]) {
    let mut permissions = fs::metadata(path).unwrap().permissions();
    #[expect(clippy::permissions_set_readonly_false, reason = "a file of this test")]
    permissions.set_readonly(false);
    fs::set_permissions(path, permissions).unwrap();
    fs::write(path, bytes).unwrap();
}

/// Alters the bytes and puts the time back, as a bad medium would.
fn rot(path: &Path, bytes: &[u8]) {
    overwrite(path, bytes);
    let time = SystemTime::UNIX_EPOCH + Duration::from_secs(1);
    fs::File::open(path).unwrap().set_modified(time).unwrap();
}

fn key() -> ActionKey {
    ActionKey(Digest::of(b"key"))
}

/// Everything below a directory with its times, to see that nothing changed.
fn snapshot(path: &Path) -> Vec<(PathBuf, i64, i64, u64)> {
    walkdir::WalkDir::new(path)
        .sort_by_file_name()
        .into_iter()
        .map(|entry| {
            let entry = entry.unwrap();
            let found = entry.metadata().unwrap();
            (
                entry.path().to_owned(),
                found.mtime(),
                found.ctime_nsec(),
                found.len(),
            )
        })
        .collect()
}

/// spec: store/operations R1, store/format R10
#[test]
fn open_makes_a_store_once() {
    let (_top, store) = place();
    let format = store.root_path().join("v1/FORMAT");
    assert_eq!(
        fs::read_to_string(&format).unwrap(),
        "stagecraft store 1\ndigest blake3\n"
    );
    let inode = fs::metadata(&format).unwrap().ino();
    assert!(store.root_path().is_absolute());
    let again = Store::open(store.root_path()).unwrap();
    assert_eq!(again.root_path(), store.root_path());
    assert_eq!(fs::metadata(&format).unwrap().ino(), inode);
}

/// spec: store/operations R1, store/format R10
#[test]
fn newer_and_damaged_formats_are_refused() {
    let (_top, store) = place();
    let root = store.root_path().to_owned();
    drop(store);
    let format = root.join("v1/FORMAT");
    fs::write(&format, "stagecraft store 2\ndigest blake3\nmore\n").unwrap();
    for error in [
        Store::open(&root).unwrap_err(),
        Store::open_existing(&root).unwrap_err(),
    ] {
        assert_eq!(
            error.to_string(),
            "store has the format `stagecraft store 2`, which is newer than this program"
        );
    }
    for text in ["", "stagecraft store 1\ndigest sha256\n", "x"] {
        fs::write(&format, text).unwrap();
        assert!(matches!(Store::open(&root), Err(StoreError::Format)));
    }
}

/// spec: store/operations R2
#[test]
fn reading_only_makes_and_changes_nothing() {
    let top = tempfile::tempdir().unwrap();
    let root = top.path().join("store");
    assert!(Store::open_existing(&root).unwrap().is_none());
    assert!(!root.exists());

    let store = Store::open(&root).unwrap();
    let result = record(&store, &key(), b"bytes");
    let old = SystemTime::now() - Duration::from_secs(3 * 24 * 60 * 60);
    let path = file(&store, "results", &key().0);
    fs::File::open(&path).unwrap().set_modified(old).unwrap();
    drop(store);
    let before = snapshot(&root);
    let store = Store::open_existing(&root).unwrap().unwrap();
    assert_eq!(store.result(&key()).unwrap(), Some(result));
    assert!(store.read(&result.log.digest).unwrap().is_some());
    store.usage().unwrap();
    store.verify(false).unwrap();
    let name: RootName = "pin/a".parse().unwrap();
    let root_value = Root {
        references: vec![],
        reason: String::new(),
    };
    let mut batch = store.batch();
    for refused in [
        batch.put(b"x").map(|_| ()),
        store.commit(vec![], vec![], vec![]),
        store.set_root(&name, &root_value),
        store.remove_root(&name).map(|_| ()),
        store.scratch().map(|_| ()),
        store.materialise(&result.output.digest).map(|_| ()),
        store.verify(true).map(|_| ()),
    ] {
        assert!(matches!(refused, Err(StoreError::ReadOnly)), "{refused:?}");
    }
    drop((batch, store));
    assert_eq!(snapshot(&root), before);
}

/// spec: store/operations R3
#[test]
fn users_do_not_exclude_each_other() {
    let (_top, store) = place();
    let other = Store::open(store.root_path()).unwrap();
    let reader = Store::open_existing(store.root_path()).unwrap().unwrap();
    let object = put(&other, b"shared");
    for store in [&store, &other, &reader] {
        assert_eq!(store.read(&object.digest).unwrap().unwrap(), b"shared");
    }
}

/// spec: store/operations R4
#[test]
fn batches_are_invisible_and_leave_nothing() {
    let (_top, store) = place();
    let mut batch = store.batch();
    let object = batch.put(b"staged").unwrap();
    assert!(batch.contains(&object.digest));
    assert!(!store.contains(&object.digest).unwrap());
    assert_eq!(store.read(&object.digest).unwrap(), None);
    drop(batch);
    assert_eq!(store.usage().unwrap().tmp.count, 0);

    let (_other_top, other) = place();
    let refused = other.commit(vec![store.batch()], vec![], vec![]);
    assert!(matches!(refused, Err(StoreError::ForeignBatch)));
}

/// spec: store/operations R4
#[test]
fn streams_and_buffers_give_one_object() {
    let (_top, store) = place();
    for size in [0, 1, (1 << 20) - 1, 1 << 20, (9 << 20) + 7] {
        let bytes: Vec<u8> = (0..size).map(|at: u32| at.to_le_bytes()[1]).collect();
        let mut batch = store.batch();
        let streamed = batch.put_reader(&mut bytes.as_slice()).unwrap();
        assert_eq!(streamed, Object::of(&bytes));
        assert_eq!(batch.put(&bytes).unwrap(), streamed);
        store.commit(vec![batch], vec![], vec![]).unwrap();
        assert_eq!(store.read(&streamed.digest).unwrap().unwrap(), bytes);
        assert!(store.holds(&streamed).unwrap());
        let mut second = store.batch();
        assert_eq!(second.put_reader(&mut bytes.as_slice()).unwrap(), streamed);
        assert_eq!(store.usage().unwrap().tmp.count, 0);
    }
}

/// spec: store/format R11
#[test]
fn objects_are_plain_read_only_files_with_a_fixed_time() {
    let (_top, store) = place();
    let object = put(&store, b"hello");
    let path = file(&store, "cas", &object.digest);
    let found = fs::metadata(&path).unwrap();
    assert_eq!(found.mode() & 0o7777, 0o444);
    assert_eq!((found.mtime(), found.mtime_nsec()), (1, 0));
    assert_eq!(fs::read(&path).unwrap(), b"hello");

    let empty = put(&store, b"");
    assert_eq!(empty, Object::empty());
    assert!(!file(&store, "cas", &empty.digest).exists());
    assert!(store.contains(&empty.digest).unwrap());
    assert_eq!(store.read(&empty.digest).unwrap().unwrap(), b"");
    assert!(store.directory(&empty.digest).unwrap().unwrap().is_empty());
}

/// spec: store/operations R7
#[test]
fn the_first_writer_wins_and_the_file_stays() {
    let (_top, store) = place();
    let bytes = [b"same".as_slice(); 8];
    let batches: Vec<_> = bytes
        .iter()
        .map(|bytes| {
            let mut batch = store.batch();
            batch.put(bytes).unwrap();
            batch
        })
        .collect();
    let object = put(&store, b"same");
    let path = file(&store, "cas", &object.digest);
    let inode = fs::metadata(&path).unwrap().ino();
    std::thread::scope(|scope| {
        for batch in batches {
            scope.spawn(|| store.commit(vec![batch], vec![], vec![]).unwrap());
        }
    });
    assert_eq!(fs::metadata(&path).unwrap().ino(), inode);
}

/// spec: store/operations R7, store/format R11
#[test]
fn an_altered_object_is_replaced_by_the_next_writer() {
    let (_top, store) = place();
    let object = put(&store, b"right");
    let path = file(&store, "cas", &object.digest);
    for wrong in [b"wrong".as_slice(), b"", b"longer than it was"] {
        overwrite(&path, wrong);
        assert_eq!(put(&store, b"right"), object);
        assert_eq!(fs::read(&path).unwrap(), b"right");
        assert!(store.holds(&object).unwrap());
    }
    overwrite(&path, b"wrong");
    assert!(!store.holds(&object).unwrap());
}

/// spec: store/format R11
#[test]
fn a_store_copied_without_times_still_works() {
    let (_top, store) = place();
    let result = record(&store, &key(), b"bytes");
    let path = file(&store, "cas", &result.log.digest);
    fs::File::open(&path)
        .unwrap()
        .set_modified(SystemTime::now())
        .unwrap();
    assert_eq!(store.result(&key()).unwrap(), Some(result));
    assert_eq!(put(&store, b"log"), result.log);
}

/// spec: store/operations R8
#[test]
fn incomplete_results_are_not_published() {
    let (_top, store) = place();
    let absent = Object::of(b"absent");
    let result = ActionResult {
        op_hash: Digest::of(b"op"),
        output: Object::empty(),
        log: absent,
        leaves: Object::empty(),
        level: 0,
        milliseconds: 0,
    };
    let refused = store.commit(vec![], vec![(key(), result)], vec![]);
    match refused {
        Err(StoreError::Incomplete {
            key: named,
            missing,
        }) => {
            assert_eq!(named, key());
            assert_eq!(missing, [absent.digest]);
        }
        other => panic!("{other:?}"),
    }
    let history = vec![(HistoryKey::new("shop", "css"), absent.digest)];
    let refused = store.commit(vec![], vec![], history);
    assert!(matches!(refused, Err(StoreError::Absent { .. })));
    let usage = store.usage().unwrap();
    assert_eq!((usage.results.count, usage.history.count), (0, 0));
    let mut batch = store.batch();
    batch.put(b"absent").unwrap();
    store
        .commit(vec![batch], vec![(key(), result)], vec![])
        .unwrap();
    assert_eq!(store.result(&key()).unwrap(), Some(result));
}

/// spec: store/operations R9
#[test]
fn a_result_counts_only_with_its_closure() {
    let (_top, store) = place();
    let result = record(&store, &key(), b"bytes");
    let tree = store.directory(&result.output.digest).unwrap().unwrap();
    let Some(stagecraft_store::Node::Directory { object: below }) = tree.get("dir") else {
        panic!("{tree:?}");
    };
    let content = Object::of(b"bytes");
    for object in [result.log, result.leaves, result.output, *below, content] {
        assert_eq!(store.result(&key()).unwrap(), Some(result));
        let path = file(&store, "cas", &object.digest);
        let away = path.with_extension("away");
        fs::rename(&path, &away).unwrap();
        assert_eq!(store.result(&key()).unwrap(), None, "{object:?}");
        fs::write(&path, b"").unwrap();
        assert_eq!(store.result(&key()).unwrap(), None, "{object:?}");
        fs::rename(&away, &path).unwrap();
    }
    let path = file(&store, "results", &key().0);
    let bytes = fs::read(&path).unwrap();
    for length in [0, 1, bytes.len() - 1] {
        fs::write(&path, &bytes[..length]).unwrap();
        assert_eq!(store.result(&key()).unwrap(), None);
    }
    let other = ActionKey(Digest::of(b"other"));
    let misplaced = file(&store, "results", &other.0);
    fs::create_dir_all(misplaced.parent().unwrap()).unwrap();
    fs::write(&misplaced, &bytes).unwrap();
    assert_eq!(store.result(&other).unwrap(), None);
}

/// spec: store/operations R10
#[test]
fn rotten_bytes_never_leave_the_store() {
    let (_top, store) = place();
    let object = put(&store, b"right");
    let path = file(&store, "cas", &object.digest);
    rot(&path, b"wrong");
    assert!(store.contains(&object.digest).unwrap());
    let mut sink = Vec::new();
    let reader = Store::open_existing(store.root_path()).unwrap().unwrap();
    let read = reader.read_to(&object.digest, &mut sink);
    assert!(matches!(read, Err(StoreError::Corrupt { .. })));
    assert!(path.exists(), "a reader sets nothing aside");
    let read = store.read(&object.digest);
    assert!(matches!(read, Err(StoreError::Corrupt { digest }) if digest == object.digest));
    assert!(!path.exists());
    assert_eq!(store.usage().unwrap().trash.count, 1);
    assert_eq!(store.read(&object.digest).unwrap(), None);
    put(&store, b"right");
    assert_eq!(store.read(&object.digest).unwrap().unwrap(), b"right");
}

/// spec: store/operations R11
#[test]
fn a_hit_is_noted_once_a_day() {
    let (_top, store) = place();
    let result = record(&store, &key(), b"bytes");
    let path = file(&store, "results", &key().0);
    let set = |hours: u64| {
        let time = SystemTime::now() - Duration::from_secs(hours * 60 * 60);
        fs::File::open(&path).unwrap().set_modified(time).unwrap();
        fs::metadata(&path).unwrap().mtime()
    };
    let recent = set(23);
    assert_eq!(store.result(&key()).unwrap(), Some(result));
    assert_eq!(fs::metadata(&path).unwrap().mtime(), recent);
    let old = set(25);
    assert_eq!(store.result(&key()).unwrap(), Some(result));
    assert!(fs::metadata(&path).unwrap().mtime() > old + 3600);
}

/// spec: store/operations R12, store/format R16
#[test]
fn the_latest_leaves_are_found() {
    let (_top, store) = place();
    let name = HistoryKey::new("shop", "css");
    assert_eq!(store.latest(&name).unwrap(), None);
    for text in [b"one", b"two"] {
        let mut batch = store.batch();
        let leaves = batch.put(text).unwrap().digest;
        store
            .commit(vec![batch], vec![], vec![(name, leaves)])
            .unwrap();
        assert_eq!(store.latest(&name).unwrap(), Some(leaves));
    }
    assert_eq!(store.latest(&HistoryKey::new("shop", "js")).unwrap(), None);
    let path = file(&store, "history", name.digest());
    let mut expected = b"stagecraft history 1\n".to_vec();
    expected.extend_from_slice(name.digest().as_bytes());
    expected.extend_from_slice(Digest::of(b"two").as_bytes());
    let checksum = Digest::of(&expected);
    expected.extend_from_slice(checksum.as_bytes());
    assert_eq!(fs::read(&path).unwrap(), expected);
    fs::write(&path, &expected[1..]).unwrap();
    assert_eq!(store.latest(&name).unwrap(), None);
}

/// spec: store/operations R13
#[test]
fn missing_names_everything_that_is_not_there() {
    let (_top, store) = place();
    let result = record(&store, &key(), b"bytes");
    let content = Digest::of(b"bytes");
    let gone = Digest::of(b"gone");
    let other = ActionKey(Digest::of(b"other"));
    let all = [Reference::Result(key()), Reference::Blob(content)];
    assert_eq!(store.missing(&all).unwrap(), []);
    fs::remove_file(file(&store, "cas", &content)).unwrap();
    let mut expected = vec![content, gone, other.0];
    expected.sort();
    let references = [
        Reference::Result(key()),
        Reference::Result(other),
        Reference::Blob(gone),
        Reference::Tree(gone),
    ];
    assert_eq!(store.missing(&references).unwrap(), expected);
    let tree = [Reference::Tree(result.output.digest)];
    assert_eq!(store.missing(&tree).unwrap(), [content]);
}

/// spec: store/operations R14, store/format R14, store/format R17
#[test]
fn roots_are_kept_by_name() {
    let (_top, store) = place();
    let name = |text: &str| text.parse::<RootName>().unwrap();
    let blob = Reference::Blob(Digest::of(b"b"));
    let tree = Reference::Tree(Digest::of(b"t"));
    let root = Root {
        references: vec![tree, blob, tree],
        reason: "why".to_owned(),
    };
    let sorted = Root {
        references: vec![blob, tree],
        reason: "why".to_owned(),
    };
    for text in ["release/shop/prod/rel-1", "pin/a", "pin/a/b", "pin"] {
        store.set_root(&name(text), &root).unwrap();
    }
    let names: Vec<String> = store
        .roots()
        .unwrap()
        .into_iter()
        .inspect(|(_, found)| assert_eq!(*found, sorted))
        .map(|(name, _)| name.to_string())
        .collect();
    assert_eq!(
        names,
        ["pin", "pin/a", "pin/a/b", "release/shop/prod/rel-1"]
    );
    assert!(store.remove_root(&name("pin/a")).unwrap());
    assert!(!store.remove_root(&name("pin/a")).unwrap());
    assert_eq!(store.root(&name("pin/a")).unwrap(), None);
    assert_eq!(store.root(&name("pin/a/b")).unwrap(), Some(sorted));

    let path = store.root_path().join("v1/roots/pin/a/b.root");
    let mut expected = b"stagecraft root 1\n".to_vec();
    expected.extend_from_slice(&7_u64.to_le_bytes());
    expected.extend_from_slice(b"pin/a/b");
    expected.extend_from_slice(&2_u64.to_le_bytes());
    for (kind, bytes) in [(0, b"b"), (1, b"t")] {
        expected.push(kind);
        expected.extend_from_slice(Digest::of(bytes).as_bytes());
    }
    expected.extend_from_slice(&3_u64.to_le_bytes());
    expected.extend_from_slice(b"why");
    let checksum = Digest::of(&expected);
    expected.extend_from_slice(checksum.as_bytes());
    assert_eq!(fs::read(&path).unwrap(), expected);

    fs::copy(&path, store.root_path().join("v1/roots/pin/c.root")).unwrap();
    assert_eq!(
        store.roots().unwrap_err().to_string(),
        "root `pin/c` is damaged: record of another name"
    );
}

/// spec: store/operations R5, store/format R18
#[test]
fn temporary_directories_of_the_dead_go_and_of_the_living_stay() {
    let (_top, store) = place();
    let tmp = store.root_path().join("v1/tmp");
    let scratch = store.scratch().unwrap();
    let other = Store::open(store.root_path()).unwrap();
    let second = other.scratch().unwrap();
    let boot = fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap();
    let own = scratch.path().parent().unwrap().file_name().unwrap();
    let prefix = format!("{}.{}.", boot.trim(), std::process::id());
    assert!(own.to_str().unwrap().starts_with(&prefix), "{own:?}");
    assert_ne!(scratch.path().parent(), second.path().parent());

    let other_boot = "00000000-0000-4000-8000-000000000000.1.1";
    let other_start = format!("{prefix}1");
    for dead in [other_boot, &other_start, "garbage"] {
        fs::create_dir_all(tmp.join(dead).join("x/y")).unwrap();
    }
    // Not known to be alive, but its lock is held, as by a process of another container.
    let held = tmp.join("00000000-0000-4000-8000-000000000000.1.2");
    fs::create_dir(&held).unwrap();
    let lock = fs::File::open(&held).unwrap();
    lock.try_lock().unwrap();
    drop(Store::open(store.root_path()).unwrap());
    let left: Vec<_> = fs::read_dir(&tmp).unwrap().collect();
    assert_eq!(left.len(), 3, "{left:?}");
    assert!(scratch.path().exists() && second.path().exists() && held.exists());
}
