//! Many processes build, root, collect and are killed in one store. Processes are this test program,
//! started again. `STAGECRAFT_RACE_SECONDS` and `STAGECRAFT_RACE_SEED` say how long and which; ten
//! seconds by default, and the seed is in the message of a failure.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(
    clippy::disallowed_methods,
    reason = "effects: processes, and how long they run"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant, SystemTime};

use stagecraft_store::{
    ActionKey, ActionResult, Digest, GcPolicy, HistoryKey, Reference, Root, RootName, Store,
    TreeBuilder,
};

/// What a child does: `build`, `gc` or `hold`.
const ROLE: &str = "STAGECRAFT_RACE_ROLE";
const STORE: &str = "STAGECRAFT_RACE_STORE";
const SEED: &str = "STAGECRAFT_RACE_SEED";
/// How many different actions there are.
const ACTIONS: u64 = 24;
const BUILDERS: usize = 30;

/// Splitmix64.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: u64) -> u64 {
        self.next() % limit
    }
}

fn key(action: u64) -> ActionKey {
    ActionKey(Digest::of(&action.to_le_bytes()))
}

/// What action `action` makes; files are shared between actions.
fn make(store: &Store, action: u64) -> (stagecraft_store::Batch, ActionResult) {
    let mut batch = store.batch();
    let mut tree = TreeBuilder::new();
    for file in 0..6 {
        let bytes = format!("{}", (action + file) % ACTIONS).repeat(200);
        let object = batch.put(bytes.as_bytes()).unwrap();
        let path = format!("d{}/f{file}", file % 2);
        tree.file(&path, &object, file == 0).unwrap();
    }
    let tree = tree.build();
    batch.add_tree(&tree).unwrap();
    let result = ActionResult {
        op_hash: Digest::of(b"op"),
        output: tree.root,
        log: batch.put(format!("log {action}").as_bytes()).unwrap(),
        leaves: batch.put(format!("leaves {action}").as_bytes()).unwrap(),
        level: 2,
        milliseconds: 10,
    };
    (batch, result)
}

/// Asks for actions, runs those that have no result, uses what it was told is there.
fn build(root: &Path, random: &mut Random) {
    let store = Store::open(root).unwrap();
    for _ in 0..4 {
        let action = random.below(ACTIONS);
        let key = key(action);
        if store.result(&key).unwrap().is_none() {
            let claim = store.claim(&key, &mut || true).unwrap().unwrap();
            if store.result(&key).unwrap().is_none() {
                let (batch, result) = make(&store, action);
                let history = HistoryKey::new("race", &action.to_string());
                let history = vec![(history, result.leaves.digest)];
                store
                    .commit(vec![batch], vec![(key, result)], history)
                    .unwrap();
            }
            drop(claim);
        }
        // It was there, so it is: a gc that ran meanwhile saw the lease.
        let result = store.result(&key).unwrap().unwrap();
        let missing = store.missing(&[Reference::Result(key)]).unwrap();
        assert_eq!(missing, [], "{action}");
        match random.below(4) {
            0 => {
                let made = store.materialise(&result.output.digest).unwrap();
                assert_eq!(fs::read_dir(made.join("d1")).unwrap().count(), 3);
            }
            1 => {
                let name: RootName = format!("pin/{}", random.below(3)).parse().unwrap();
                let references = vec![Reference::Result(key)];
                let reason = "race".to_owned();
                store.set_root(&name, &Root { references, reason }).unwrap();
            }
            _ => {}
        }
    }
}

fn policy(random: &mut Random) -> GcPolicy {
    GcPolicy {
        max_size: random.below(40_000),
        max_age: Duration::MAX,
        min_free_percent: 0,
        grace: Duration::from_secs(random.below(2) * 600),
    }
}

fn collect(root: &Path, random: &mut Random) {
    let store = Store::open(root).unwrap();
    match store.gc(&policy(random), SystemTime::now(), false) {
        Ok(_) | Err(stagecraft_store::StoreError::InUse) => {}
        Err(error) => panic!("{error}"),
    }
}

/// Claims an action, says so, and waits to be killed.
fn hold(root: &Path) {
    let store = Store::open(root).unwrap();
    let claim = store.try_claim(&key(0)).unwrap();
    fs::write(root.join("held"), claim.is_some().to_string()).unwrap();
    std::io::stdin().read_to_end(&mut Vec::new()).unwrap();
}

/// Not a test of its own: what a child runs.
#[test]
fn child() {
    let Ok(role) = std::env::var(ROLE) else {
        return;
    };
    let root = PathBuf::from(std::env::var_os(STORE).unwrap());
    let mut random = Random(std::env::var(SEED).unwrap().parse().unwrap());
    match role.as_str() {
        "build" => build(&root, &mut random),
        "gc" => collect(&root, &mut random),
        _ => hold(&root),
    }
}

fn start(role: &str, root: &Path, seed: u64) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "child", "--nocapture", "--quiet"])
        .env(ROLE, role)
        .env(STORE, root)
        .env(SEED, seed.to_string())
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

fn number(name: &str, default: u64) -> u64 {
    std::env::var(name).map_or(default, |text| text.parse().unwrap())
}

/// Panics when a child that was not killed did not succeed.
fn check(role: &str, seed: u64, child: &mut Child) {
    let status = child.wait().unwrap();
    let mut said = String::new();
    let stderr = child.stderr.as_mut().unwrap();
    stderr.read_to_string(&mut said).unwrap();
    assert!(status.success(), "{role}, seed {seed}: {said}");
}

/// spec: store/operations R18, store/gc R3, store/gc R4
#[test]
fn killed_processes_and_gc_leave_one_whole_set_of_results() {
    let seconds = number("STAGECRAFT_RACE_SECONDS", 10);
    let seed = number(SEED, 1);
    let mut random = Random(seed);
    let top = tempfile::tempdir().unwrap();
    let root = top.path().join("store");
    let mut running: BTreeMap<usize, (&str, u64, Child)> = BTreeMap::new();
    let end = Instant::now() + Duration::from_secs(seconds);
    let mut next = seed << 32;
    while Instant::now() < end {
        for place in 0..BUILDERS + 2 {
            let over = match running.get_mut(&place) {
                None => true,
                Some((_, _, child)) => child.try_wait().unwrap().is_some(),
            };
            if !over {
                continue;
            }
            if let Some((role, seed, mut child)) = running.remove(&place) {
                check(role, seed, &mut child);
            }
            next += 1;
            let role = if place < BUILDERS { "build" } else { "gc" };
            running.insert(place, (role, next, start(role, &root, next)));
        }
        let place = usize::try_from(random.below(BUILDERS as u64 + 2)).unwrap();
        if random.below(3) == 0
            && let Some((_, _, mut child)) = running.remove(&place)
        {
            child.kill().unwrap();
            child.wait().unwrap();
        }
        std::thread::sleep(Duration::from_millis(random.below(10)));
    }
    for (role, seed, mut child) in running.into_values() {
        check(role, seed, &mut child);
    }
    whole(&root, seed);
}

/// What has to be true when everybody is gone.
fn whole(root: &Path, seed: u64) {
    let store = Store::open(root).unwrap();
    let report = store.verify(false).unwrap();
    assert_eq!(report.damage, [], "seed {seed}");
    let apart = tempfile::tempdir().unwrap();
    let expected = Store::open(apart.path()).unwrap();
    for action in 0..ACTIONS {
        let (batch, result) = make(&expected, action);
        drop(batch);
        if let Some(found) = store.result(&key(action)).unwrap() {
            assert_eq!(found, result, "seed {seed}");
        }
    }
    for (name, root) in store.roots().unwrap() {
        let missing = store.missing(&root.references).unwrap();
        assert_eq!(missing, [], "seed {seed}, {name}");
    }
    drop(store);
    let keep = GcPolicy {
        max_size: u64::MAX,
        max_age: Duration::MAX,
        min_free_percent: 0,
        grace: Duration::ZERO,
    };
    let store = Store::open(root).unwrap();
    store.gc(&keep, SystemTime::now(), false).unwrap();
    drop(store);
    for left in ["leases", "claims", "tmp", "trash"] {
        let entries = fs::read_dir(root.join("v1").join(left));
        let entries = entries.map_or(0, Iterator::count);
        assert_eq!(entries, 0, "seed {seed}: something is left in {left}");
    }
}

/// spec: store/operations R18
#[test]
fn whoever_waits_for_the_dead_takes_over_at_once() {
    let top = tempfile::tempdir().unwrap();
    let root = top.path().join("store");
    let store = Store::open(&root).unwrap();
    let mut child = start("hold", &root, 0);
    child.stdin.as_mut().unwrap().flush().unwrap();
    let deadline = Instant::now() + Duration::from_secs(60);
    while !fs::read(root.join("held")).is_ok_and(|held| held == b"true") {
        assert!(Instant::now() < deadline, "the child claims nothing");
        std::thread::yield_now();
    }
    assert!(store.try_claim(&key(0)).unwrap().is_none());
    assert!(store.try_claim(&key(1)).unwrap().is_some(), "another key");
    let mut tries = 0;
    let given_up = store.claim(&key(0), &mut || {
        tries += 1;
        tries < 3
    });
    assert!(given_up.unwrap().is_none());
    child.kill().unwrap();
    child.wait().unwrap();
    let killed = Instant::now();
    let claim = store.claim(&key(0), &mut || true).unwrap();
    assert!(claim.is_some() && killed.elapsed() < Duration::from_secs(1));
    drop(claim);
    let left = fs::read_dir(root.join("v1/claims")).unwrap().count();
    assert_eq!(left, 0);
}

/// spec: store/operations R18
#[test]
fn a_claim_belongs_to_one_at_a_time() {
    let top = tempfile::tempdir().unwrap();
    let root = top.path().join("store");
    let inside = std::sync::atomic::AtomicU32::new(0);
    std::thread::scope(|threads| {
        for _ in 0..8 {
            threads.spawn(|| {
                let store = Store::open(&root).unwrap();
                for _ in 0..50 {
                    let claim = store.claim(&key(0), &mut || true).unwrap();
                    let before = inside.fetch_add(1, std::sync::atomic::Ordering::SeqCst);
                    assert_eq!(before, 0);
                    std::thread::yield_now();
                    inside.fetch_sub(1, std::sync::atomic::Ordering::SeqCst);
                    drop(claim);
                }
            });
        }
    });
    let reader = Store::open_existing(&root).unwrap().unwrap();
    assert!(reader.try_claim(&key(0)).is_err());
}
