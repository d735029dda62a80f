//! A large store: opened with very many objects, its closure check, gc. Defends: open at most 5 ms with 1,000,000
//! objects, whatever else is in the store; a hit looks at each file once.
#![expect(clippy::disallowed_methods, reason = "effects: writes files, clock")]
#![expect(clippy::unwrap_used, reason = "a bench fails by a panic")]
#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

#[path = "harness.rs"]
mod harness;
#[path = "seeded.rs"]
mod seeded;

use std::path::Path;
use std::time::{Duration, Instant, SystemTime};

use harness::Contender;
use rayon::prelude::*;
use seeded::Seeded;
use stagecraft_store::{ActionKey, ActionResult, Digest, GcPolicy, ImportRules, Object, Store};

/// Puts files that look like objects where objects are: nobody reads them here.
fn populate(root: &Path, count: usize) {
    drop(Store::open(root).unwrap());
    let cas = root.join("v1/cas");
    (0..256_usize).into_par_iter().for_each(|shard| {
        let directory = cas.join(format!("{shard:02x}"));
        std::fs::create_dir_all(&directory).unwrap();
        let first = directory.join(format!("{:062x}", 0));
        std::fs::write(&first, "x").unwrap();
        for number in 1..count / 256 {
            // Links are made five times as fast as files, and a name is a name.
            let to = directory.join(format!("{number:062x}"));
            if std::fs::hard_link(&first, &to).is_err() {
                std::fs::write(&to, "x").unwrap();
            }
        }
    });
}

fn opened(count: usize) {
    let directory = harness::scratch();
    let (large, small) = (
        directory.path().join("large"),
        directory.path().join("small"),
    );
    populate(&large, count);
    drop(Store::open(&small).unwrap());
    harness::compare(
        &format!("open with {count} objects"),
        vec![
            Contender::new("open", None, || drop(Store::open(&large).unwrap())),
            Contender::new("open an empty one", None, || {
                drop(Store::open(&small).unwrap());
            }),
        ],
    );
}

fn looked_at(count: usize) {
    let directory = harness::scratch();
    let source = directory.path().join("source");
    let mut seeded = Seeded::new(4);
    for number in 0..count {
        let below = source.join((number / 100).to_string());
        std::fs::create_dir_all(&below).unwrap();
        std::fs::write(below.join(number.to_string()), seeded.bytes(256)).unwrap();
    }
    let store = Store::open(&directory.path().join("store")).unwrap();
    let mut batch = store.batch();
    let output = batch.import(&source, &ImportRules::default()).unwrap();
    let key = ActionKey(Digest::of(b"key"));
    let empty = Object::empty();
    let result = ActionResult {
        op_hash: key.0,
        output,
        log: empty,
        leaves: empty,
        level: 0,
        milliseconds: 0,
    };
    store
        .commit(vec![batch], vec![(key, result)], Vec::new())
        .unwrap();
    harness::compare(
        &format!("closure of a result, {count} files"),
        vec![
            Contender::new("result", None, || {
                assert!(store.result(&key).unwrap().is_some());
            }),
            Contender::new("stat of the source", None, || {
                (0..count).into_par_iter().for_each(|number| {
                    let path = source
                        .join((number / 100).to_string())
                        .join(number.to_string());
                    std::fs::symlink_metadata(path).unwrap();
                });
            }),
        ],
    );
}

/// gc empties a store, so it is measured once.
fn collected(count: usize) {
    let directory = harness::scratch();
    let root = directory.path().join("store");
    populate(&root, count);
    let store = Store::open(&root).unwrap();
    let policy = GcPolicy {
        max_size: 0,
        max_age: Duration::ZERO,
        min_free_percent: 0,
        grace: GcPolicy::GRACE,
    };
    let begun = Instant::now();
    let report = store.gc(&policy, SystemTime::now(), false).unwrap();
    println!(
        "gc of {} objects: {:.2?}",
        report.blobs.count,
        begun.elapsed()
    );
}

fn main() {
    for count in harness::sizes(&[1_000_000]) {
        opened(count.max(256));
    }
    for count in harness::sizes(&[20_000]) {
        looked_at(count);
    }
    for count in harness::sizes(&[100_000]) {
        collected(count.max(512));
    }
}
