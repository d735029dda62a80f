//! The writer: commits action after action and says so only when the store has said so. A process of
//! its own, so that it can be failed, killed, and cut off.

use std::fs::OpenOptions;
use std::io::Write;
use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use stagecraft_store::disk::{Change, Scope, Space, Stat, WriteMode};
use stagecraft_store::{
    ActionKey, ActionResult, Digest, Disk, HostDisk, Reference, Root, RootName, Store, StoreError,
    TreeBuilder,
};

/// What the writer is to do: `<count> <synced|unsynced> <store> <acknowledgements>`.
const ERRAND: &str = "STAGECRAFT_TRIAL";

pub(crate) fn key(number: u32) -> ActionKey {
    ActionKey(Digest::of(&number.to_le_bytes()))
}

pub(crate) fn root_name(number: u32) -> RootName {
    format!("pin/{number}").parse().unwrap()
}

/// Commits one action of a few files, and a root for every fourth, as far as they are not there.
pub(crate) fn commit(store: &Store, number: u32) -> Result<(), StoreError> {
    if store.result(&key(number))?.is_none() {
        build(store, number)?;
    }
    if number.is_multiple_of(4) && store.root(&root_name(number))?.is_none() {
        let root = Root {
            references: vec![Reference::Result(key(number))],
            reason: "trial".to_owned(),
        };
        store.set_root(&root_name(number), &root)?;
    }
    Ok(())
}

fn build(store: &Store, number: u32) -> Result<(), StoreError> {
    let mut batch = store.batch();
    let mut tree = TreeBuilder::new();
    for file in 0..6_u32 {
        // One file is shared by all, one is of several blocks.
        let length = if file == 1 { 20_000 } else { 200 };
        let owner = if file == 0 { 0 } else { number };
        let bytes: Vec<u8> = (0..length / 8)
            .flat_map(|at: u32| [owner.to_le_bytes(), (at ^ file).to_le_bytes()].concat())
            .collect();
        let object = batch.put(&bytes)?;
        tree.file(&format!("d{}/f{file}", file % 2), &object, file == 2)?;
    }
    let tree = tree.build();
    batch.add_tree(&tree)?;
    let result = ActionResult {
        op_hash: Digest::of(b"op"),
        output: tree.root,
        log: batch.put(&number.to_le_bytes())?,
        leaves: batch.put(b"leaves")?,
        level: 2,
        milliseconds: 0,
    };
    store.commit(vec![batch], vec![(key(number), result)], vec![])
}

/// Looks at all that was told to be done, and at everything else; returns what is broken.
pub(crate) fn broken(store: &Path, told: u32) -> Vec<String> {
    let store = match Store::open(store) {
        Ok(store) => store,
        Err(error) => return vec![format!("does not open: {error}")],
    };
    let mut broken = Vec::new();
    for number in 0..told {
        match store.result(&key(number)) {
            Ok(Some(_)) => {}
            found => broken.push(format!("result {number} of {told}: {found:?}")),
        }
        if number.is_multiple_of(4) && !matches!(store.root(&root_name(number)), Ok(Some(_))) {
            broken.push(format!("root {number} of {told}"));
        }
    }
    match store.verify(false) {
        Ok(report) => broken.extend(report.damage.iter().map(|damage| format!("{damage:?}"))),
        Err(error) => broken.push(format!("verify: {error}")),
    }
    broken
}

/// Returns the command of a writer; several arguments before it make another program run it.
pub(crate) fn command(before: &[String], errand: &[&str]) -> Command {
    let this = std::env::current_exe().unwrap();
    let mut words: Vec<String> = before.to_vec();
    words.push(this.to_str().unwrap().to_owned());
    let mut command = Command::new(&words[0]);
    command
        .args(&words[1..])
        .args(["--ignored", "--exact", "--test-threads=1", "--nocapture"])
        .arg("trials::writer::errand")
        .env(ERRAND, errand.join(" "))
        .env("RUST_BACKTRACE", "0");
    command
}

/// The real disk, but for syncing: the control that must lose what it was told is safe.
struct Unsynced(HostDisk);

impl Disk for Unsynced {
    fn write(
        &self,
        path: &str,
        source: &mut dyn std::io::Read,
        mode: WriteMode,
    ) -> std::io::Result<u64> {
        self.0.write(path, source, mode)
    }

    fn open(&self, path: &str) -> std::io::Result<Box<dyn std::io::Read + Send>> {
        self.0.open(path)
    }

    fn stat(&self, path: &str) -> std::io::Result<Option<Stat>> {
        self.0.stat(path)
    }

    fn list(&self, path: &str) -> std::io::Result<Vec<(String, Stat)>> {
        self.0.list(path)
    }

    fn change(&self, change: Change<'_>) -> std::io::Result<()> {
        self.0.change(change)
    }

    fn sync(&self, _scope: Scope<'_>) -> std::io::Result<()> {
        Ok(())
    }

    fn space(&self) -> std::io::Result<Space> {
        self.0.space()
    }
}

fn open(root: &Path, synced: bool) -> Result<Store, StoreError> {
    if synced {
        return Store::open(root);
    }
    let layout = root.join("v1");
    Store::on(Arc::new(Unsynced(HostDisk::create(&layout).unwrap())))
}

/// Not a test: the writer, when a trial starts this binary again. Nothing without the variable.
#[test]
#[ignore = "runs as a process of the trials"]
fn errand() {
    let Some(errand) = std::env::var_os(ERRAND) else {
        return;
    };
    let errand = errand.into_string().unwrap();
    let words: Vec<&str> = errand.split(' ').collect();
    let [count, synced, root, told] = words[..] else {
        panic!("{errand}");
    };
    let mut told = OpenOptions::new()
        .append(true)
        .create(true)
        .open(told)
        .unwrap();
    let done = (|| {
        let store = open(Path::new(root), synced == "synced")?;
        for number in 0..count.parse().unwrap() {
            commit(&store, number)?;
            writeln!(told, "{number}").unwrap();
        }
        Ok::<(), StoreError>(())
    })();
    if let Err(error) = done {
        panic!("{error}");
    }
}
