//! Stores of every layout that was released, kept as fixtures: they open, and the newest is what is
//! written today. Beside them a reader that knows the page on the format and nothing else.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "effects: tests of files")]

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use stagecraft_store::{
    ActionKey, ActionResult, Digest, ExportMode, HistoryKey, Parcel, Reference, Root, RootName,
    Store, TreeBuilder, VerifyReport,
};

const KEY: ActionKey = ActionKey(Digest::from_bytes([1; 32]));

fn fixtures() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures")
}

fn copy(from: &Path, to: &Path) {
    for entry in walkdir::WalkDir::new(from) {
        let entry = entry.unwrap();
        let target = to.join(entry.path().strip_prefix(from).unwrap());
        if entry.file_type().is_dir() {
            fs::create_dir_all(&target).unwrap();
        } else {
            fs::copy(entry.path(), &target).unwrap();
        }
    }
}

/// The digest of every file below a directory that is neither a lock nor of a process.
fn files(top: &Path) -> BTreeMap<String, Digest> {
    walkdir::WalkDir::new(top)
        .into_iter()
        .map(|entry| entry.unwrap())
        .filter(|entry| entry.file_type().is_file() && entry.file_name() != "lock")
        .map(|entry| {
            let name = entry.path().strip_prefix(top).unwrap().to_str().unwrap();
            (
                name.to_owned(),
                Digest::of(&fs::read(entry.path()).unwrap()),
            )
        })
        .filter(|(name, _)| !name.starts_with("leases/") && !name.starts_with("tmp/"))
        .collect()
}

/// Writes one of everything, always the same; returns what its root keeps.
fn write(store: &Store) -> Parcel {
    let mut batch = store.batch();
    let mut tree = TreeBuilder::new();
    for (path, bytes) in [
        ("bin/tool", "#!/bin/sh\necho tool\n"),
        ("share/empty", ""),
        ("share/text", "a text\n"),
        ("share/gr\u{fc}n \u{1f33f}", "a name beyond ASCII\n"),
    ] {
        let object = batch.put(bytes.as_bytes()).unwrap();
        tree.file(path, &object, path == "bin/tool").unwrap();
    }
    // Longer than one chunk of the hash, and than two.
    let long = batch.put(&[b'x'; 5_000]).unwrap();
    tree.file("share/long", &long, false).unwrap();
    tree.symlink("link", "share/text").unwrap();
    tree.directory("hollow").unwrap();
    let tree = tree.build();
    batch.add_tree(&tree).unwrap();
    let result = ActionResult {
        op_hash: Digest::of(b"operation"),
        output: tree.root,
        log: batch.put(b"it said\n").unwrap(),
        leaves: batch.put(b"leaves").unwrap(),
        level: 2,
        milliseconds: 1234,
    };
    let manifest = batch.put(b"manifest").unwrap();
    let history = vec![(HistoryKey::new("shop", "css"), result.leaves.digest)];
    store
        .commit(vec![batch], vec![(KEY, result)], history)
        .unwrap();
    let root = Root {
        references: vec![
            Reference::Blob(manifest.digest),
            Reference::Tree(tree.root.digest),
            Reference::Result(KEY),
        ],
        reason: "release 1".to_owned(),
    };
    let name: RootName = "release/shop/prod/rel-1".parse().unwrap();
    store.set_root(&name, &root).unwrap();
    Parcel {
        roots: [(name, root)].into(),
        notes: [].into(),
    }
}

/// spec: store/trials R1
#[test]
fn todays_store_is_the_newest_fixture() {
    let top = tempfile::tempdir().unwrap();
    let store = Store::open(top.path()).unwrap();
    let parcel = write(&store);
    let written = files(&top.path().join("v1"));
    let mut stream = Vec::new();
    store.export_closure(&parcel, &mut stream).unwrap();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        copy(&top.path().join("v1"), &fixtures().join("store-1/v1"));
        fs::write(fixtures().join("export-1"), &stream).unwrap();
    }
    assert_eq!(written, files(&fixtures().join("store-1/v1")));
    assert!(stream == fs::read(fixtures().join("export-1")).unwrap());
}

/// spec: store/trials R1
#[test]
fn stores_of_every_layout_open() {
    let mut opened = 0;
    for fixture in fs::read_dir(fixtures()).unwrap() {
        let fixture = fixture.unwrap();
        let top = tempfile::tempdir().unwrap();
        let root = top.path().join("store");
        if fixture.file_type().unwrap().is_dir() {
            copy(&fixture.path(), &root);
        } else {
            let store = Store::open(&root).unwrap();
            let mut stream = fs::File::open(fixture.path()).unwrap();
            store.import_closure(&mut stream).unwrap().accept().unwrap();
        }
        let store = Store::open(&root).unwrap();
        let result = store.result(&KEY).unwrap().unwrap();
        let roots = store.roots().unwrap();
        assert_eq!(roots.len(), 1);
        assert_eq!(store.missing(&roots[0].1.references).unwrap(), []);
        let target = top.path().join("out");
        store
            .export(&result.output.digest, &target, ExportMode::Copy)
            .unwrap();
        assert_eq!(fs::read(target.join("share/text")).unwrap(), b"a text\n");
        assert_eq!(store.verify(false).unwrap().damage, []);
        opened += 1;
    }
    assert_eq!(opened, 2);
}

/// spec: store/trials R2
#[test]
fn a_newer_store_is_refused_by_name_and_left_alone() {
    let top = tempfile::tempdir().unwrap();
    copy(&fixtures().join("store-1"), top.path());
    fs::write(
        top.path().join("v1/FORMAT"),
        "stagecraft store 2\ndigest blake4\n",
    )
    .unwrap();
    let before = files(top.path());
    for error in [
        Store::open(top.path()).unwrap_err(),
        Store::open_existing(top.path()).unwrap_err(),
    ] {
        assert_eq!(
            error.to_string(),
            "store has the format `stagecraft store 2`, which is newer than this program"
        );
    }
    assert_eq!(files(top.path()), before);
}

/// What `verify` finds, in the words of the reader.
fn told(report: &VerifyReport) -> String {
    let mut lines = vec![
        format!("objects {}", report.objects),
        format!("bytes {}", report.bytes),
        format!("records {}", report.records),
        format!("trees {}", report.trees),
    ];
    lines.extend(
        report
            .damage
            .iter()
            .map(|damage| format!("damaged {}", damage.path)),
    );
    lines.join("\n") + "\n"
}

fn read_by_the_page(store: &Path) -> String {
    let reader = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/reader.py");
    let output = Command::new("python3")
        .arg(reader)
        .arg(store)
        .output()
        .unwrap();
    assert!(
        output.status.success(),
        "{}",
        String::from_utf8_lossy(&output.stderr)
    );
    String::from_utf8(output.stdout).unwrap()
}

/// Alters a file, with its mode and time as they were.
fn alter(path: &Path, change: impl Fn(&mut Vec<u8>)) {
    let before = fs::metadata(path).unwrap();
    fs::set_permissions(path, fs::Permissions::from_mode(0o600)).unwrap();
    let mut bytes = fs::read(path).unwrap();
    change(&mut bytes);
    fs::write(path, bytes).unwrap();
    let file = fs::File::options().write(true).open(path).unwrap();
    file.set_modified(before.modified().unwrap()).unwrap();
    fs::set_permissions(path, before.permissions()).unwrap();
}

/// spec: store/trials R3
#[test]
#[ignore = "needs python3"]
fn a_reader_that_knows_only_the_page_agrees_with_verify() {
    let top = tempfile::tempdir().unwrap();
    let store = Store::open(top.path()).unwrap();
    let parcel = write(&store);
    let output = store.result(&KEY).unwrap().unwrap().output.digest;
    store.materialise(&output).unwrap();
    let clean = store.verify(false).unwrap();
    assert_eq!((clean.records, clean.trees, clean.damage.len()), (3, 1, 0));
    assert_eq!(read_by_the_page(top.path()), told(&clean));
    store
        .remove_root(parcel.roots.keys().next().unwrap())
        .unwrap();
    fs::remove_dir_all(top.path().join("v1/trees")).unwrap();
    fs::create_dir(top.path().join("v1/trees")).unwrap();
    for (name, root) in &parcel.roots {
        store.set_root(name, root).unwrap();
    }
    drop(store);
    // One file after the other is flipped, cut, emptied: both say the same of each.
    let mut tried = 0;
    for name in files(&top.path().join("v1")).into_keys() {
        if name == "FORMAT" {
            continue;
        }
        let damaged = tempfile::tempdir().unwrap();
        let status = Command::new("cp")
            .arg("-a")
            .arg(top.path().join("v1"))
            .arg(damaged.path())
            .status();
        assert!(status.unwrap().success());
        let path = damaged.path().join("v1").join(&name);
        alter(&path, |bytes| match tried % 3 {
            0 => bytes[0] ^= 1,
            1 => bytes.truncate(bytes.len() - 1),
            _ => bytes.clear(),
        });
        let store = Store::open_existing(damaged.path()).unwrap().unwrap();
        let found = store.verify(false).unwrap();
        assert!(
            found.damage.iter().any(|damage| damage.path == name),
            "{name}"
        );
        assert_eq!(read_by_the_page(damaged.path()), told(&found), "{name}");
        tried += 1;
    }
    assert!(tried > 10, "{tried}");
}
