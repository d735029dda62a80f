//! A copy of the store's directory is a store, however and whenever it was taken.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "effects: tests of files")]

use std::fs;

use stagecraft_store::{
    ActionKey, ActionResult, Digest, Object, Parcel, Reference, Root, Store, TreeBuilder,
};

const KEY: ActionKey = ActionKey(Digest::from_bytes([7; 32]));

/// A tree and a result around it, rooted.
fn fill(store: &Store) -> Parcel {
    let mut batch = store.batch();
    let mut tree = TreeBuilder::new();
    for (path, bytes) in [("a/one", "one"), ("tool", "tool"), ("empty", "")] {
        let object = batch.put(bytes.as_bytes()).unwrap();
        tree.file(path, &object, path == "tool").unwrap();
    }
    let tree = tree.build();
    batch.add_tree(&tree).unwrap();
    let result = ActionResult {
        op_hash: Digest::of(b"op"),
        output: tree.root,
        log: batch.put(b"log").unwrap(),
        leaves: batch.put(b"leaves").unwrap(),
        level: 2,
        milliseconds: 3,
    };
    store
        .commit(vec![batch], vec![(KEY, result)], vec![])
        .unwrap();
    let root = Root {
        references: vec![Reference::Tree(tree.root.digest), Reference::Result(KEY)],
        reason: "release 1".to_owned(),
    };
    Parcel {
        roots: [("release/shop/prod/rel-1".parse().unwrap(), root)].into(),
        notes: [].into(),
    }
}

fn exported(store: &Store, parcel: &Parcel) -> Vec<u8> {
    let mut bytes = Vec::new();
    store.export_closure(parcel, &mut bytes).unwrap();
    bytes
}

fn copy(from: &std::path::Path, to: &std::path::Path, arguments: &[&str]) {
    let status = std::process::Command::new("cp")
        .args(arguments)
        .arg(from)
        .arg(to)
        .status();
    assert!(status.unwrap().success());
}

/// spec: store/stream R15
#[test]
fn a_copied_directory_is_a_store() {
    let top = tempfile::tempdir().unwrap();
    let store = Store::open(&top.path().join("store")).unwrap();
    let parcel = fill(&store);
    for (name, root) in &parcel.roots {
        store.set_root(name, root).unwrap();
    }
    let tree = store.result(&KEY).unwrap().unwrap().output.digest;
    store.materialise(&tree).unwrap();
    for (to, arguments) in [
        ("all", &["-a"][..]),
        ("timeless", &["-r", "--no-preserve=timestamps"]),
    ] {
        let to = top.path().join(to);
        copy(store.root_path(), &to, arguments);
        let copied = Store::open(&to).unwrap();
        assert_eq!(copied.result(&KEY).unwrap(), store.result(&KEY).unwrap());
        assert_eq!(
            copied
                .missing(&parcel.roots.values().next().unwrap().references)
                .unwrap(),
            []
        );
        let tree = copied.materialise(&tree).unwrap();
        assert_eq!(fs::read(tree.join("a/one")).unwrap(), b"one");
        assert_eq!(copied.verify(false).unwrap().damage, [], "{arguments:?}");
        assert!(exported(&copied, &parcel) == exported(&store, &parcel));
    }
}

/// spec: store/stream R15
#[test]
fn a_copy_taken_while_others_write_holds_what_was_whole() {
    let top = tempfile::tempdir().unwrap();
    let store = Store::open(&top.path().join("store")).unwrap();
    let done = std::sync::atomic::AtomicU8::new(0);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            for number in 0..60_u8 {
                let mut batch = store.batch();
                let mut tree = TreeBuilder::new();
                for file in 0..8_u8 {
                    let object = batch.put(&[number, file]).unwrap();
                    tree.file(&format!("f{file}"), &object, false).unwrap();
                }
                let tree = tree.build();
                batch.add_tree(&tree).unwrap();
                let result = ActionResult {
                    op_hash: Digest::of(b"op"),
                    output: tree.root,
                    log: Object::empty(),
                    leaves: Object::empty(),
                    level: 0,
                    milliseconds: 0,
                };
                let key = ActionKey(Digest::of(&[number]));
                store
                    .commit(vec![batch], vec![(key, result)], vec![])
                    .unwrap();
                done.store(number + 1, std::sync::atomic::Ordering::SeqCst);
            }
        });
        for turn in 0..6 {
            let told = done.load(std::sync::atomic::Ordering::SeqCst);
            let to = top.path().join(format!("copy-{turn}"));
            // What goes while it is copied makes `cp` say so; what is there by then is enough.
            let mut command = std::process::Command::new("cp");
            command
                .arg("-a")
                .arg(store.root_path())
                .arg(&to)
                .output()
                .unwrap();
            let copied = Store::open(&to).unwrap();
            for number in 0..told {
                let key = ActionKey(Digest::of(&[number]));
                assert!(copied.result(&key).unwrap().is_some(), "{number} of {told}");
            }
            let damage = copied.verify(true).unwrap().damage;
            assert!(damage.iter().all(|damage| damage.repaired), "{damage:?}");
            assert_eq!(copied.verify(false).unwrap().damage, []);
        }
    });
}
