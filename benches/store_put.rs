//! Durable ingest: 10,000 new blobs of 4 KiB put into the store and committed. Defends: at most 1.5x writing the same
//! files and one `syncfs`.
#![expect(clippy::disallowed_methods, reason = "effects: writes files")]
#![expect(clippy::unwrap_used, reason = "a bench fails by a panic")]

#[path = "harness.rs"]
mod harness;
#[path = "seeded.rs"]
mod seeded;

use std::fs::File;

use harness::Contender;
use seeded::Seeded;
use stagecraft_store::Store;

const SIZE: usize = 4096;
const TARGET: f64 = 1.5;

fn main() {
    for count in harness::sizes(&[10_000]) {
        let directory = harness::scratch();
        let store = Store::open(&directory.path().join("store")).unwrap();
        let (mut ours, mut theirs) = (Seeded::new(1), Seeded::new(2));
        let mut round = 0;
        let put = || {
            let mut batch = store.batch();
            for _ in 0..count {
                batch.put(&ours.bytes(SIZE)).unwrap();
            }
            store.commit(vec![batch], Vec::new(), Vec::new()).unwrap();
        };
        let write = || {
            round += 1;
            let target = directory.path().join(format!("plain-{round}"));
            std::fs::create_dir(&target).unwrap();
            for n in 0..count {
                std::fs::write(target.join(n.to_string()), theirs.bytes(SIZE)).unwrap();
            }
            rustix::fs::syncfs(File::open(&target).unwrap()).unwrap();
        };
        harness::compare(
            &format!("durable ingest, {count} blobs of 4 KiB"),
            vec![
                Contender::new("store put + commit", None, put),
                Contender::new("write all + syncfs", Some(TARGET), write),
            ],
        );
    }
}
