//! Signals and sudden death: nothing stays running, nothing half done is recorded, the same command completes.

use rustix::process::Signal;

use super::{Numbers, build, random_project, with_status};
use crate::support::TestApp;
use crate::support::started::is_alive;

const SLEEPY: &str = r#"
project: { name: sleepy }
operations:
  a: { script: "echo a > out", outputs: [out] }
  b: { script: "if test -s wait; then sleep 600; fi; cat a/out > out", inputs: [wait], needs: { a: a }, outputs: [out] }
  c: { script: "cat b/out > out", needs: { b: b }, outputs: [out] }
"#;

fn interrupted(signal: Signal, status: i32) {
    let app = TestApp::with_config(SLEEPY);
    app.write("wait", "yes\n");
    let mut run = app.start(&["build", "--all", "--format", "json"]);
    run.until("start b");
    let below = run.descendants();
    run.signal(signal);
    let output = run.finish().expect(status);
    let document = output.json();
    assert_eq!(with_status(&document, "cancelled"), ["b", "c"]);
    assert_eq!(with_status(&document, "ran"), ["a"]);
    let left: Vec<u32> = below
        .into_iter()
        .filter(|process| is_alive(*process))
        .collect();
    assert_eq!(left, Vec::<u32>::new());
    assert_eq!(app.run(&["store", "verify"]).status, 0);
    app.write("wait", "");
    let again = build(&app, &["--all"]).succeed().json();
    assert_eq!(with_status(&again, "hit"), ["a"]);
    assert_eq!(with_status(&again, "ran"), ["b", "c"]);
}

/// spec: evaluate/evaluation R7
#[test]
fn sigint_stops_everything_and_records_nothing_unfinished() {
    interrupted(Signal::INT, 130);
}

/// spec: evaluate/evaluation R7
#[test]
fn sigterm_does_the_same_and_exits_143() {
    interrupted(Signal::TERM, 143);
}

/// spec: evaluate/evaluation R8
#[test]
fn killed_at_any_moment_the_same_command_completes() {
    let app = TestApp::new();
    let mut numbers = Numbers(42);
    random_project(&app, 40, &mut numbers);
    for _ in 0..24 {
        // Every line on stderr is one step: an operation starts, or has become durable.
        let mut run = app.start(&["build", "--all", "--no-cache", "--jobs", "4"]);
        for _ in 0..numbers.below(75) {
            if run.line().is_none() {
                break;
            }
        }
        run.signal(Signal::KILL);
        let killed = run.finish();
        assert!(killed.status == 137 || killed.status == 0, "{killed}");
    }
    let verified = app.run(&["store", "verify"]);
    assert_eq!(verified.status, 0, "{verified}");
    let built = build(&app, &["--all"]).succeed().json();
    assert_eq!(built["summary"]["failed"], 0);
    let hits = build(&app, &["--all"]).succeed().json();
    assert_eq!(with_status(&hits, "hit").len(), 40);
    let verified = app.run(&["store", "verify"]);
    assert_eq!(verified.status, 0, "{verified}");
}
