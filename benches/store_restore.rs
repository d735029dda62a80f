//! Restore: a tree of files of 2.5 KiB, 100 to a directory, out of the store by link and by copy. Defends: links at most
//! 1.5x linking the same files on all cores, copies at most 1.3x copying them.
#![expect(clippy::disallowed_methods, reason = "effects: writes files")]
#![expect(clippy::unwrap_used, reason = "a bench fails by a panic")]

#[path = "harness.rs"]
mod harness;
#[path = "seeded.rs"]
mod seeded;

use std::path::{Path, PathBuf};

use harness::Contender;
use rayon::prelude::*;
use seeded::Seeded;
use stagecraft_store::{Digest, ExportMode, ImportRules, Store};

const SIZE: usize = 2560;
const PER_DIRECTORY: usize = 100;

/// A fresh name for each round, and the removal of the last one outside of what is measured.
struct Targets {
    top: PathBuf,
    count: u32,
}

impl Targets {
    fn next(&mut self, what: &str) -> PathBuf {
        self.count += 1;
        self.top.join(format!("{what}-{}", self.count))
    }
}

fn source(top: &Path, count: usize) -> PathBuf {
    let source = top.join("source");
    let mut seeded = Seeded::new(3);
    for number in 0..count {
        let directory = source.join((number / PER_DIRECTORY).to_string());
        std::fs::create_dir_all(&directory).unwrap();
        std::fs::write(directory.join(number.to_string()), seeded.bytes(SIZE)).unwrap();
    }
    source
}

/// The least that any restore does: make the directories, then each file, on all cores.
fn floor(source: &Path, target: &Path, make: impl Fn(&Path, &Path) + Sync) {
    std::fs::create_dir(target).unwrap();
    let directories: Vec<_> = std::fs::read_dir(source)
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    directories.par_iter().for_each(|directory| {
        let (from, to) = (source.join(directory), target.join(directory));
        std::fs::create_dir(&to).unwrap();
        for entry in std::fs::read_dir(&from).unwrap() {
            let name = entry.unwrap().file_name();
            make(&from.join(&name), &to.join(&name));
        }
    });
}

fn import(store: &Store, source: &Path) -> Digest {
    let mut batch = store.batch();
    let tree = batch.import(source, &ImportRules::default()).unwrap();
    store.commit(vec![batch], Vec::new(), Vec::new()).unwrap();
    tree.digest
}

fn main() {
    for count in harness::sizes(&[10_000, 100_000]) {
        let directory = harness::scratch();
        let source = source(directory.path(), count);
        let store = Store::open(&directory.path().join("store")).unwrap();
        let tree = import(&store, &source);
        let targets = std::cell::RefCell::new(Targets {
            top: directory.path().to_owned(),
            count: 0,
        });
        let export = |mode| {
            let target = targets.borrow_mut().next("ours");
            store.export(&tree, &target, mode).unwrap();
        };
        harness::compare(
            &format!("restore by link, {count} files"),
            vec![
                Contender::new("export, links", None, || export(ExportMode::Link)),
                Contender::new("link", Some(1.5), || {
                    let target = targets.borrow_mut().next("links");
                    floor(&source, &target, |from, to| {
                        std::fs::hard_link(from, to).unwrap();
                    });
                }),
            ],
        );
        if count > 20_000 {
            continue;
        }
        harness::compare(
            &format!("restore by copy, {count} files"),
            vec![
                Contender::new("export, copies", None, || export(ExportMode::Copy)),
                Contender::new("read and write", Some(1.3), || {
                    let target = targets.borrow_mut().next("copies");
                    floor(&source, &target, |from, to| {
                        std::fs::write(to, std::fs::read(from).unwrap()).unwrap();
                    });
                }),
            ],
        );
        let owned = directory.path().join("owned");
        store.restore(&tree, &owned, ExportMode::Link).unwrap();
        harness::compare(
            &format!("restore over an equal directory, {count} files"),
            vec![
                Contender::new("restore, nothing to do", None, || {
                    store.restore(&tree, &owned, ExportMode::Link).unwrap();
                }),
                Contender::new("link", None, || {
                    let target = targets.borrow_mut().next("again");
                    floor(&source, &target, |from, to| {
                        std::fs::hard_link(from, to).unwrap();
                    });
                }),
            ],
        );
    }
}
