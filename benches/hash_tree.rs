//! Hashing. One file of 256 MiB through the store's `Hasher`: defends at least 0.9x the speed of b3sum on as many
//! threads (1.11x its time); without b3sum, of one call over the bytes in memory. And a tree of 20,000 files of 2.5 KiB
//! that the store has already, imported again, against reading and hashing the same files on two threads.
#![expect(clippy::disallowed_methods, reason = "effects: writes and reads files")]
#![expect(clippy::unwrap_used, reason = "a bench fails by a panic")]

#[path = "harness.rs"]
mod harness;
#[path = "programs.rs"]
mod programs;
#[path = "seeded.rs"]
mod seeded;

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use harness::Contender;
use seeded::Seeded;
use stagecraft_store::{Digest, Hasher, ImportRules, Store};

const PIECE: usize = 4 << 20;
const TARGET: f64 = 1.0 / 0.9;

fn main() {
    let directory = harness::scratch();
    large_file(
        directory.path(),
        if harness::is_measuring() {
            256 << 20
        } else {
            1 << 20
        },
    );
    for count in harness::sizes(&[20_000]) {
        tree(directory.path(), count);
    }
}

fn large_file(directory: &Path, size: usize) {
    let path = directory.join("large");
    let bytes = Seeded::new(1).bytes(size);
    std::fs::write(&path, &bytes).unwrap();
    let ours = Contender::new("Hasher", None, || {
        let (mut file, mut hasher, mut piece) =
            (File::open(&path).unwrap(), Hasher::new(), vec![0; PIECE]);
        loop {
            let got = file.read(&mut piece).unwrap();
            if got == 0 {
                break;
            }
            hasher.update(&piece[..got]);
        }
        std::hint::black_box(hasher.finish());
    });
    let peer = if programs::is_installed("b3sum") {
        Contender::new("b3sum", Some(TARGET), || {
            programs::run(directory, "b3sum", &["large"]);
        })
    } else {
        programs::note("b3sum is not installed: compared with one call over the bytes in memory");
        Contender::new("bytes in memory", None, || {
            std::hint::black_box(Digest::of(&bytes));
        })
    };
    harness::compare(
        &format!("hash one file of {} MiB", size >> 20),
        vec![ours, peer],
    );
}

fn tree(directory: &Path, count: usize) {
    let root = directory.join("tree");
    let mut random = Seeded::new(2);
    let files: Vec<PathBuf> = (0..count)
        .map(|n| root.join(format!("{:03}/{n}", n % 200)))
        .collect();
    for path in &files {
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, random.bytes(2560)).unwrap();
    }
    let store = Store::open(&directory.join("store")).unwrap();
    let mut batch = store.batch();
    batch.import(&root, &ImportRules::default()).unwrap();
    store.commit(vec![batch], Vec::new(), Vec::new()).unwrap();
    let import = || {
        store
            .batch()
            .import(&root, &ImportRules::default())
            .unwrap();
    };
    harness::compare(
        &format!("import a known tree of {count} files"),
        vec![
            Contender::new("import", None, import),
            Contender::new("read + hash, 2 threads", None, || read_all(&files)),
        ],
    );
}

fn read_all(files: &[PathBuf]) {
    let (left, right) = files.split_at(files.len() / 2);
    let hash = |files: &[PathBuf]| {
        for path in files {
            std::hint::black_box(Digest::of(&std::fs::read(path).unwrap()));
        }
    };
    std::thread::scope(|scope| {
        scope.spawn(|| hash(left));
        hash(right);
    });
}
