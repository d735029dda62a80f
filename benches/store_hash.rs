//! Hashing: what `put` and `verify` make of large files. Defends: `put` of a file at least 0.9x the speed of BLAKE3 over
//! the same bytes on all cores plus writing them; `verify` against hashing the files.
#![expect(clippy::disallowed_methods, reason = "effects: writes files")]
#![expect(clippy::unwrap_used, reason = "a bench fails by a panic")]

#[path = "harness.rs"]
mod harness;
#[path = "seeded.rs"]
mod seeded;

use std::fs::File;
use std::io::Read;
use std::path::PathBuf;

use harness::Contender;
use rayon::prelude::*;
use seeded::Seeded;
use stagecraft_store::Store;

const MEBIBYTE: usize = 1 << 20;

/// Files of 8 MiB.
fn files(top: &std::path::Path, mebibytes: usize) -> Vec<PathBuf> {
    let mut seeded = Seeded::new(5);
    (0..mebibytes.div_ceil(8))
        .map(|number| {
            let path = top.join(number.to_string());
            std::fs::write(&path, seeded.bytes(8 * MEBIBYTE)).unwrap();
            path
        })
        .collect()
}

fn hash(path: &PathBuf) -> blake3::Hash {
    let mut hasher = blake3::Hasher::new();
    let mut file = File::open(path).unwrap();
    let mut buffer = vec![0; 128 << 10];
    loop {
        match file.read(&mut buffer).unwrap() {
            0 => return hasher.finalize(),
            count => hasher.update(&buffer[..count]),
        };
    }
}

fn main() {
    for mebibytes in harness::sizes(&[2048]) {
        let directory = harness::scratch();
        let files = files(directory.path(), mebibytes);
        let store = Store::open(&directory.path().join("store")).unwrap();
        let mut batch = store.batch();
        for path in &files {
            batch.put_reader(&mut File::open(path).unwrap()).unwrap();
        }
        store.commit(vec![batch], Vec::new(), Vec::new()).unwrap();
        harness::compare(
            &format!("verify, {mebibytes} MiB"),
            vec![
                Contender::new("verify", None, || {
                    assert!(store.verify(false).unwrap().damage.is_empty());
                }),
                Contender::new("BLAKE3 of the files", Some(1.2), || {
                    files.par_iter().for_each(|path| {
                        hash(path);
                    });
                }),
            ],
        );
        let some = &files[..files.len().min(32)];
        let plain = directory.path().join("plain");
        harness::compare(
            &format!("put without commit, {} MiB", some.len() * 8),
            vec![
                Contender::new("put_reader", None, || {
                    // Another store each time: bytes that are there are not written.
                    let fresh = tempfile::tempdir_in(directory.path()).unwrap();
                    let store = Store::open(fresh.path()).unwrap();
                    let mut batch = store.batch();
                    for path in some {
                        batch.put_reader(&mut File::open(path).unwrap()).unwrap();
                    }
                }),
                Contender::new("BLAKE3 on all cores and write", Some(1.11), || {
                    for path in some {
                        let bytes = std::fs::read(path).unwrap();
                        let mut hasher = blake3::Hasher::new();
                        hasher.update_rayon(&bytes);
                        hasher.finalize();
                        std::fs::write(&plain, &bytes).unwrap();
                    }
                }),
            ],
        );
    }
}
