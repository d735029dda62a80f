//! `kill -9` at many moments: the same command then completes, the store is clean, and `current` was always whole.

use std::process::{Child, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use super::{bytes_below, deploy, town};
use crate::support::TestApp;

const SEED: u64 = 0x5747_4743;
const KILLS: u32 = 28;

/// A generator of its own, so that a seed says everything.
struct Dice(u64);

impl Dice {
    fn below(&mut self, limit: u128) -> u64 {
        self.0 = self
            .0
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        u64::try_from(u128::from(self.0 >> 33) % limit.max(1)).unwrap()
    }
}

fn start(app: &TestApp, arguments: &[&str]) -> Child {
    let mut command = app.prepared(arguments);
    command.stdout(Stdio::null()).stderr(Stdio::null());
    command.spawn().unwrap()
}

/// Kills the run after `delay`, unless it was faster. Returns whether it was killed.
fn kill_after(mut child: Child, delay: Duration) -> bool {
    thread::sleep(delay);
    child.kill().unwrap();
    let status = child.wait().unwrap();
    status.code().is_none()
}

/// How long the command takes when nobody kills it.
fn duration(app: &TestApp, arguments: &[&str]) -> Duration {
    let begun = Instant::now();
    app.run(arguments).succeed();
    begun.elapsed()
}

/// Ends the watch also when the test fails.
struct Stop<'s>(&'s AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, Ordering::SeqCst);
    }
}

/// Looks at `current` until told to stop; returns how often it was whole, and what else it met.
fn watch(app: &TestApp, stop: &AtomicBool) -> (u32, Vec<String>) {
    let (mut whole, mut faults) = (0, Vec::new());
    while !stop.load(Ordering::SeqCst) {
        // The link is read once: what it names stays whole while and after it is switched.
        let Ok(target) = std::fs::read_link(app.path("deploy/current")) else {
            continue;
        };
        let release = app.path("deploy").join(&target);
        let sheets = (1..=8).map(|i| format!("map/map/sheet-{i}.txt"));
        let wanted = ["index/index.txt".to_owned(), "map/map/all.txt".to_owned()]
            .into_iter()
            .chain(sheets);
        let missing: Vec<String> = wanted
            .filter(|file| !release.join(file).is_file())
            .collect();
        // A release may be pruned after five more; then `current` has moved on.
        let still = std::fs::read_link(app.path("deploy/current")).ok() == Some(target.clone());
        if missing.is_empty() {
            whole += 1;
        } else if still {
            faults.push(format!("{} lacks {missing:?}", target.display()));
        }
        thread::sleep(Duration::from_millis(1));
    }
    (whole, faults)
}

/// A run that ended before its kill was faster than the measured one: the next kills come earlier.
fn narrowed(within: Duration, was_killed: bool) -> Duration {
    if was_killed {
        within
    } else {
        (within * 3 / 4).max(Duration::from_millis(2))
    }
}

/// spec: house/acceptance R9
#[test]
fn a_killed_build_completes_when_run_again() {
    let app = town();
    let mut within = duration(&app, &["build", "--all"]);
    println!("seed {SEED:#x}");
    let mut dice = Dice(SEED);
    let (mut killed, mut round) = (0, 0);
    while killed < KILLS / 2 {
        round += 1;
        assert!(
            round < 200,
            "only {killed} runs were killed before their end"
        );
        app.write("src/streets.txt", &format!("Mill Lane\nStreet {round}\n"));
        let delay = Duration::from_micros(dice.below(within.as_micros()));
        let was_killed = kill_after(start(&app, &["build", "--all"]), delay);
        killed += u32::from(was_killed);
        within = narrowed(within, was_killed);
    }
    let output = app.run(&["build", "--all", "--format", "json"]).succeed();
    assert_eq!(output.json()["summary"]["failed"], 0);
    let text = app.read(".stagecraft/out/map/map/all.txt");
    assert!(text.contains(&format!("Street {round}\n")), "{text}");
    app.run(&["store", "verify"]).succeed();
}

/// spec: house/acceptance R9, house/acceptance R10
#[test]
fn a_killed_deploy_completes_when_run_again_and_current_is_always_whole() {
    let app = town();
    deploy(&app);
    app.write("src/houses.txt", "0\n");
    let mut within = duration(&app, &["deploy", "--env", "local"]);
    println!("seed {SEED:#x}");
    let stop = AtomicBool::new(false);
    let (whole_looks, faults) = thread::scope(|threads| {
        let watcher = threads.spawn(|| watch(&app, &stop));
        let end = Stop(&stop);
        let mut dice = Dice(SEED);
        let (mut killed, mut round) = (0, 0);
        while killed < KILLS {
            round += 1;
            if round > 200 {
                break;
            }
            app.write("src/houses.txt", &format!("{round}\n"));
            let delay = Duration::from_micros(dice.below(within.as_micros()));
            let was_killed = kill_after(start(&app, &["deploy", "--env", "local"]), delay);
            killed += u32::from(was_killed);
            within = narrowed(within, was_killed);
            if round % 7 == 0 {
                assert_eq!(deployed(&app), format!("High Street\nMill Lane\n{round}\n"));
            }
        }
        drop(end);
        assert_eq!(killed, KILLS, "runs end before they are killed");
        watcher.join().unwrap()
    });
    assert_eq!(faults, Vec::<String>::new());
    assert!(whole_looks > 50, "{whole_looks}");
    settled(&app);
}

/// Deploys without a kill and returns what is then live.
fn deployed(app: &TestApp) -> String {
    app.run(&["deploy", "--env", "local"]).succeed();
    app.read("deploy/current/map/map/all.txt")
}

/// Nothing is left running, the store is clean, and a fresh deploy elsewhere gives the same bytes.
fn settled(app: &TestApp) {
    app.run(&["deploy", "--env", "local"]).succeed();
    app.run(&["store", "verify"]).succeed();
    let list = app
        .run(&["releases", "list", "--format", "json"])
        .succeed()
        .json();
    let running = list["releases"]
        .as_array()
        .unwrap()
        .iter()
        .filter(|release| release["status"] == "running");
    assert_eq!(running.count(), 0);
    let fresh = town();
    fresh.write("src/houses.txt", &app.read("src/houses.txt"));
    deploy(&fresh);
    assert_eq!(
        bytes_below(&app.path("deploy/current")),
        bytes_below(&fresh.path("deploy/current"))
    );
}
