//! Crashes and faults at every disk call of a workload, on a disk that forgets what was not synced.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::sync::Arc;

use stagecraft_store::sim::{Fault, SimDisk};
use stagecraft_store::{
    ActionKey, ActionResult, Digest, GcPolicy, HistoryKey, Object, Reference, Root, RootName,
    Store, StoreError, TreeBuilder,
};

fn key(number: u8) -> ActionKey {
    ActionKey(Digest::of(&[number]))
}

fn root_name() -> RootName {
    "release/shop/prod/rel-1".parse().unwrap()
}

/// What a workload was told is done.
#[derive(Debug, Default)]
struct Told {
    results: Vec<ActionKey>,
    rooted: bool,
}

/// Commits an action: a tree of a few files, a log, leaves.
fn build(store: &Store, number: u8) -> Result<ActionResult, StoreError> {
    let mut batch = store.batch();
    let mut tree = TreeBuilder::new();
    for file in 0..4_u8 {
        // One file is shared by all actions.
        let bytes = vec![number * u8::from(file > 0); 40 + usize::from(file)];
        let object = batch.put(&bytes)?;
        tree.file(&format!("d{}/f{file}", file % 2), &object, file == 1)
            .map_err(StoreError::from)?;
    }
    let tree = tree.build();
    batch.add_tree(&tree)?;
    let result = ActionResult {
        op_hash: Digest::of(b"op"),
        output: tree.root,
        log: batch.put(&[number, 1])?,
        leaves: batch.put(&[number, 2])?,
        level: 2,
        milliseconds: 7,
    };
    let history = vec![(HistoryKey::new("shop", "css"), result.leaves.digest)];
    store.commit(vec![batch], vec![(key(number), result)], history)?;
    Ok(result)
}

fn workload(disk: &SimDisk, told: &mut Told) -> Result<(), StoreError> {
    let store = Store::on(Arc::new(disk.clone()))?;
    for number in 1..=3 {
        if store.result(&key(number))?.is_none() {
            build(&store, number)?;
        }
        told.results.push(key(number));
    }
    let root = Root {
        references: vec![Reference::Result(key(1)), Reference::Result(key(2))],
        reason: "release".to_owned(),
    };
    store.set_root(&root_name(), &root)?;
    told.rooted = true;
    let policy = GcPolicy {
        max_size: 0,
        max_age: std::time::Duration::MAX,
        min_free_percent: 0,
        grace: std::time::Duration::ZERO,
    };
    // From here on the third result may go at any time.
    told.results.pop();
    drop(store);
    let store = Store::on(Arc::new(disk.clone()))?;
    store.gc(&policy, std::time::SystemTime::UNIX_EPOCH, false)?;
    Ok(())
}

/// Checks the promises on a disk; returns what is broken.
fn broken(disk: &SimDisk, told: &Told) -> Vec<String> {
    let mut broken = Vec::new();
    let store = match Store::on(Arc::new(disk.clone())) {
        Ok(store) => store,
        Err(error) => return vec![format!("does not open: {error}")],
    };
    for path in disk.files() {
        let Some(rest) = path.strip_prefix("cas/") else {
            continue;
        };
        let digest = Digest::from_hex(&rest.replace('/', "")).unwrap();
        if !matches!(store.read(&digest), Ok(Some(_))) {
            broken.push(format!("{path} is not what it is named"));
        }
    }
    for number in 1..=3 {
        match store.result(&key(number)) {
            Ok(Some(_)) => {
                let missing = store.missing(&[Reference::Result(key(number))]);
                if missing.ok() != Some(vec![]) {
                    broken.push(format!("result {number} is not closed"));
                }
            }
            Ok(None) if told.results.contains(&key(number)) => {
                broken.push(format!("result {number} is lost"));
            }
            Ok(None) => {}
            Err(error) => broken.push(format!("result {number}: {error}")),
        }
    }
    match store.roots() {
        Ok(roots) => {
            if told.rooted && roots.is_empty() {
                broken.push("root is lost".to_owned());
            }
            for (name, root) in roots {
                if store.missing(&root.references).ok() != Some(vec![]) {
                    broken.push(format!("root {name} is not closed"));
                }
            }
        }
        Err(error) => broken.push(format!("roots: {error}")),
    }
    match store.verify(false) {
        Ok(report) => broken.extend(report.damage.iter().map(|damage| format!("{damage:?}"))),
        Err(error) => broken.push(format!("verify: {error}")),
    }
    broken
}

/// How many calls the workload makes when nothing fails.
fn length() -> u64 {
    let disk = SimDisk::new();
    workload(&disk, &mut Told::default()).unwrap();
    disk.calls()
}

/// spec: store/operations R15, store/operations R6, store/operations R5, store/care R5
#[test]
fn power_may_go_at_any_call() {
    let length = length();
    assert!(length > 100, "{length}");
    for call in 1..=length {
        for seed in 0..3 {
            let disk = SimDisk::new();
            disk.fail_at(call, Fault::Crash);
            let mut told = Told::default();
            let outcome = workload(&disk, &mut told);
            let after = disk.crash(call * 31 + seed);
            assert_eq!(
                broken(&after, &told),
                Vec::<String>::new(),
                "call {call}, seed {seed}, {outcome:?}"
            );
            let mut again = Told::default();
            workload(&after, &mut again).unwrap();
            assert_eq!(broken(&after, &again), Vec::<String>::new(), "call {call}");
        }
    }
}

/// spec: store/operations R15
#[test]
fn the_crash_test_sees_a_store_that_does_not_sync() {
    let mut damaged = 0;
    for seed in 0..20 {
        let disk = SimDisk::new();
        disk.stop_syncing();
        let mut told = Told::default();
        workload(&disk, &mut told).unwrap();
        if !broken(&disk.crash(seed), &told).is_empty() {
            damaged += 1;
        }
    }
    assert!(damaged > 10, "{damaged}");
}

/// spec: store/operations R16
#[test]
fn any_call_may_fail() {
    let length = length();
    for call in 1..=length {
        let disk = SimDisk::new();
        disk.fail_at(call, Fault::Error(std::io::ErrorKind::StorageFull));
        let mut told = Told::default();
        let outcome = workload(&disk, &mut told);
        let found = broken(&disk, &told);
        assert_eq!(found, Vec::<String>::new(), "call {call}, {outcome:?}");
        let mut again = Told::default();
        workload(&disk, &mut again).unwrap();
        assert_eq!(broken(&disk, &again), Vec::<String>::new(), "call {call}");
    }
}

/// spec: store/operations R5, store/operations R1
#[test]
fn leftovers_go_with_the_next_open() {
    let disk = SimDisk::new();
    let calls = {
        let store = Store::on(Arc::new(disk.clone())).unwrap();
        let mut batch = store.batch();
        batch.put(b"staged").unwrap();
        disk.calls()
    };
    let disk = SimDisk::new();
    disk.fail_at(calls, Fault::Crash);
    let store = Store::on(Arc::new(disk.clone())).unwrap();
    let mut batch = store.batch();
    assert!(batch.put(b"staged").is_err() || batch.put(b"more").is_err());
    drop((batch, store));
    let mut after = disk.crash(0);
    for seed in 0..64 {
        after = disk.crash(seed);
        if after.files().iter().any(|path| path.starts_with("tmp/")) {
            break;
        }
    }
    assert!(after.files().iter().any(|path| path.starts_with("tmp/")));
    let store = Store::on(Arc::new(after.clone())).unwrap();
    assert!(!after.files().iter().any(|path| path.starts_with("tmp/")));
    assert!(!store.contains(&Object::of(b"staged").digest).unwrap());
}
