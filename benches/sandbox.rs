//! What the sandbox costs: one `true`, started plainly and as an operation at each level, in turns. Defends: at most
//! 0.5 ms per operation at level 2 over a plain spawn, and 1.5 ms for the first operation of a worker.
#![expect(clippy::disallowed_methods, reason = "effects: clock, processes")]
#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]
#![expect(clippy::unwrap_used, reason = "a bench fails by a panic")]

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use stagecraft::action::{Action, RunTask, Task};
use stagecraft::config::{CommandLine, Resources};
use stagecraft::evaluate::{Cancel, Completion, ExecutionContext, Executor};
use stagecraft::inputs::Base;
use stagecraft::name::ProjectPath;
use stagecraft::plan::operation::{Limits, OperationId, Run};
use stagecraft::sandbox::Sandbox;
use stagecraft_store::{ActionKey, Digest, Object, Store};

/// As many programs as the base utilities of a Debian machine have.
const PROGRAMS: usize = 330;

fn main() {
    // On the file system of the build directory: `/tmp` may be memory.
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let store = Store::open(&directory.path().join("store")).unwrap();
    let run = run();
    let execute = |sandbox: &Sandbox| execute(sandbox, &run, &store, directory.path());
    let plain = || {
        assert!(Command::new("/usr/bin/true").status().unwrap().success());
    };
    let levels: Vec<(u8, Sandbox)> = [0, 2]
        .map(|level| (level, sandbox(directory.path(), level)))
        .into();
    for (_, sandbox) in &levels {
        execute(sandbox);
    }
    let is_measuring = std::env::args().any(|argument| argument == "--bench");
    let rounds = if is_measuring { 1_000 } else { 20 };
    let mut spawned = Vec::new();
    let mut times = vec![Vec::new(); levels.len()];
    let mut first = Vec::new();
    for round in 0..rounds {
        spawned.push(time(plain));
        for ((_, sandbox), times) in levels.iter().zip(&mut times) {
            times.push(time(|| execute(sandbox)));
        }
        if round % 20 == 0 {
            let fresh = sandbox_that_detected(directory.path());
            first.push(time(|| execute(&fresh)));
        }
    }
    println!("one `true`, median (least), and what is over a plain spawn; {rounds} rounds");
    let base = show("plain spawn", &mut spawned, None);
    for ((level, _), times) in levels.iter().zip(&mut times) {
        show(&format!("level {level}"), times, Some(base));
    }
    show("level 2, first", &mut first, Some(base));
}

fn time(work: impl FnOnce()) -> Duration {
    let start = Instant::now();
    work();
    start.elapsed()
}

fn show(name: &str, times: &mut [Duration], base: Option<Duration>) -> Duration {
    times.sort_unstable();
    let median = times[times.len() / 2];
    let milliseconds = |time: Duration| time.as_secs_f64() * 1000.0;
    let over = base.map_or(String::new(), |base| {
        format!("  +{:.3} ms", milliseconds(median.saturating_sub(base)))
    });
    println!(
        "  {name:<16} {:>8.3} ms ({:.3}){over}",
        milliseconds(median),
        milliseconds(times[0])
    );
    median
}

fn sandbox(project: &Path, level: u8) -> Sandbox {
    Sandbox::new(project, helper().as_ref(), Some(level), 0).unwrap()
}

fn sandbox_that_detected(project: &Path) -> Sandbox {
    let sandbox = sandbox(project, 2);
    assert_eq!(sandbox.level(), 2);
    sandbox
}

fn helper() -> &'static str {
    env!("CARGO_BIN_EXE_stagecraft")
}

fn execute(sandbox: &Sandbox, run: &Run, store: &Store, project: &Path) {
    let id = OperationId::operation(&"subject".parse().unwrap());
    let action = Action {
        id: &id,
        key: ActionKey(Digest::of(b"key")),
        task: Task::Run(RunTask {
            run,
            mounts: Vec::new(),
            input_root: Object::of(b""),
        }),
    };
    let context = ExecutionContext {
        store,
        project,
        cancel: &Cancel::new().unwrap(),
        release: None,
    };
    match sandbox.execute(&action, &context) {
        Completion::Produced(_) => {}
        other => panic!("{other:?}"),
    }
}

fn run() -> Run {
    let mut programs: Vec<(String, PathBuf)> = std::fs::read_dir("/usr/bin")
        .unwrap()
        .map(|entry| entry.unwrap())
        .filter_map(|entry| Some((entry.file_name().into_string().ok()?, entry.path())))
        .collect();
    programs.sort();
    programs.retain({
        let mut kept = 0;
        move |(name, _)| {
            kept += usize::from(name != "true");
            name == "true" || kept < PROGRAMS
        }
    });
    Run {
        command: CommandLine::Argv(vec!["true".to_owned()]),
        arguments: Vec::new(),
        workdir: ProjectPath::root(),
        selectors: Vec::new(),
        outputs: Vec::new(),
        needs: Vec::new(),
        env: BTreeMap::new(),
        passed: Vec::new(),
        network: false,
        cache: true,
        limits: Limits {
            timeout: Duration::from_secs(60),
            retries: 0,
            resources: Resources {
                cpu: 1,
                memory: None,
            },
            undeclared_writes_are_errors: false,
            export: false,
        },
        sources: Arc::default(),
        tools: Vec::new(),
        base: Arc::new(Base {
            identity: Digest::of(b"base"),
            description: "base".to_owned(),
            programs,
        }),
        base_trusted: false,
        values: BTreeMap::new(),
        fingerprints: BTreeMap::new(),
        platform: "linux-x86_64".to_owned(),
    }
}
