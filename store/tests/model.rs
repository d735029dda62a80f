//! The gc protocol of `spec/store/gc.md` as a model, walked in all orders: two users and one gc. A
//! step is what one system call does; the gate is a lock as the real one is. The controls leave a rule
//! out and must fail.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

use std::collections::BTreeSet;
use std::panic::{AssertUnwindSafe, catch_unwind};

use loom::sync::{Arc, Mutex, MutexGuard, RwLock};
use loom::thread;

/// An object that nothing keeps when gc begins.
const OLD: u8 = 0;

/// Which rules hold.
#[derive(Clone, Copy)]
struct Rules {
    /// gc reads leases again inside the gate, before it moves anything (R4).
    read_again: bool,
    /// A lease outlives its owner while a gc runs (R3).
    outlive: bool,
    /// Who finds nothing looks in the trash (R5).
    take_back: bool,
}

const ALL: Rules = Rules {
    read_again: true,
    outlive: true,
    take_back: true,
};

/// What is on disk.
#[derive(Default)]
struct Disk {
    stored: BTreeSet<u8>,
    trash: BTreeSet<u8>,
    roots: BTreeSet<u8>,
    /// By user; what a killed or ended user leaves is here too.
    leases: [BTreeSet<u8>; 2],
    /// The flock of each lease.
    held: [bool; 2],
    /// The flock of the gc that runs.
    collecting: bool,
}

struct World {
    gate: RwLock<()>,
    disk: Mutex<Disk>,
    rules: Rules,
}

impl World {
    fn disk(&self) -> MutexGuard<'_, Disk> {
        self.disk.lock().unwrap()
    }

    /// One operation: names, then looks, then takes back.
    fn find(&self, user: usize) -> bool {
        let _inside = self.gate.read().unwrap();
        self.disk().leases[user].insert(OLD);
        if self.disk().stored.contains(&OLD) {
            return true;
        }
        let mut disk = self.disk();
        let found = self.rules.take_back && disk.trash.remove(&OLD);
        if found {
            disk.stored.insert(OLD);
        }
        found || disk.stored.contains(&OLD)
    }

    /// Relies on what an earlier operation found.
    fn use_it(&self) {
        let _inside = self.gate.read().unwrap();
        let kept = self.disk().stored.contains(&OLD);
        assert!(kept, "what a living user relies on was removed");
    }

    fn set_root(&self, user: usize) {
        let _inside = self.gate.read().unwrap();
        let mut disk = self.disk();
        disk.leases[user].insert(OLD);
        disk.roots.insert(OLD);
    }

    fn end(&self, user: usize) {
        let mut disk = self.disk();
        disk.held[user] = false;
        if !disk.collecting || !self.rules.outlive {
            disk.leases[user].clear();
        }
    }

    fn build(&self, user: usize, root: bool) -> bool {
        let found = self.find(user);
        if found {
            if root {
                self.set_root(user);
            } else {
                self.use_it();
            }
        }
        self.end(user);
        found
    }

    fn collect(&self) {
        self.disk().collecting = true;
        {
            let _alone = self.gate.write().unwrap();
            let mut disk = self.disk();
            for user in 0..2 {
                if !disk.held[user] {
                    disk.leases[user].clear();
                }
            }
        }
        let candidates = self.disk().stored.clone();
        let mut kept = self.disk().roots.clone();
        let leased = |kept: &mut BTreeSet<u8>| {
            for user in 0..2 {
                let lease = self.disk().leases[user].clone();
                kept.extend(lease);
            }
        };
        leased(&mut kept);
        {
            let _alone = self.gate.write().unwrap();
            if self.rules.read_again {
                leased(&mut kept);
            }
            let mut disk = self.disk();
            for object in candidates.difference(&kept) {
                if disk.stored.remove(object) {
                    disk.trash.insert(*object);
                }
            }
        }
        self.disk().collecting = false;
    }
}

/// Walks all orders of a user that roots what it finds, one that only uses it, and a gc; returns
/// whether every promise held in each. The trash is empty at the end, as when the grace is over.
fn holds(rules: Rules) -> bool {
    let mut model = loom::model::Builder::new();
    // The controls fail with two switches already; three are walked.
    model.preemption_bound = Some(3);
    catch_unwind(AssertUnwindSafe(|| {
        model.check(move || {
            let mut disk = Disk::default();
            disk.stored.insert(OLD);
            disk.held = [true; 2];
            let world = Arc::new(World {
                gate: RwLock::new(()),
                disk: Mutex::new(disk),
                rules,
            });
            let users: Vec<_> = [true, false]
                .into_iter()
                .enumerate()
                .map(|(user, root)| {
                    let world = Arc::clone(&world);
                    thread::spawn(move || world.build(user, root))
                })
                .collect();
            world.collect();
            let found: Vec<bool> = users.into_iter().map(|user| user.join().unwrap()).collect();
            let disk = world.disk();
            let lost = disk.roots.contains(&OLD) && !disk.stored.contains(&OLD);
            assert!(!lost, "a root lost what it names");
            assert!(
                found.iter().all(|found| *found) || !rules.take_back,
                "what was removed a moment ago could not be taken back"
            );
        });
    }))
    .is_ok()
}

/// spec: store/gc R4, store/gc R1
#[test]
fn no_order_of_users_and_gc_loses_anything() {
    assert!(holds(ALL));
}

/// spec: store/gc R4
#[test]
fn the_model_sees_leases_that_are_not_read_again() {
    assert!(!holds(Rules {
        read_again: false,
        ..ALL
    }));
}

/// spec: store/gc R3
#[test]
fn the_model_sees_leases_that_end_with_their_owner() {
    assert!(!holds(Rules {
        outlive: false,
        ..ALL
    }));
}

/// spec: store/gc R5
#[test]
fn without_taking_back_there_are_misses_but_no_losses() {
    assert!(holds(Rules {
        take_back: false,
        ..ALL
    }));
}
