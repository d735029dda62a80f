//! Measures contenders in turns (A B A B …), so that a busy machine slows all of them, and prints medians and ratios.
//! Shared by the benches through `#[path]`; claims nothing about figures of another run.
#![expect(clippy::disallowed_methods, reason = "effects: clock, arguments")]
#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::time::{Duration, Instant};

use tempfile::TempDir;

/// How many rounds a measured run takes; odd, so that the median is one of them.
const ROUNDS: usize = 9;

/// One way to do the work.
pub(crate) struct Contender<'w> {
    name: String,
    /// The most that the first contender may take of this one's time.
    target: Option<f64>,
    work: Box<dyn FnMut() + 'w>,
}

impl<'w> Contender<'w> {
    pub(crate) fn new(name: &str, target: Option<f64>, work: impl FnMut() + 'w) -> Self {
        Self {
            name: name.to_owned(),
            target,
            work: Box::new(work),
        }
    }
}

/// Whether `cargo bench` asked; `cargo test --benches` tries every bench once on little work.
pub(crate) fn is_measuring() -> bool {
    std::env::args().any(|argument| argument == "--bench")
}

/// Returns the sizes to work on: those given, or a small one when nothing is measured.
pub(crate) fn sizes(measured: &[usize]) -> Vec<usize> {
    if is_measuring() {
        measured.to_vec()
    } else {
        vec![20]
    }
}

/// Runs all contenders in turns and prints each one's median (least-most) and the first one's ratio to it.
pub(crate) fn compare(title: &str, mut contenders: Vec<Contender<'_>>) {
    let rounds = if is_measuring() { ROUNDS } else { 1 };
    let mut times: Vec<Vec<Duration>> = vec![Vec::new(); contenders.len()];
    for contender in &mut contenders {
        (contender.work)();
    }
    for _ in 0..rounds {
        for (contender, times) in contenders.iter_mut().zip(&mut times) {
            let start = Instant::now();
            (contender.work)();
            times.push(start.elapsed());
        }
    }
    println!("{title}");
    let first = median(&mut times[0]);
    for (contender, times) in contenders.iter().zip(&mut times) {
        let middle = median(times);
        let (least, most) = (times[0], times[times.len() - 1]);
        let ratio = first.as_secs_f64() / middle.as_secs_f64();
        let judged = contender.target.filter(|_| is_measuring());
        let target = judged.map_or(String::new(), |target| {
            format!(
                "  ratio {ratio:.2}, target {target:.2}: {}",
                if ratio <= target { "met" } else { "MISSED" }
            )
        });
        println!(
            "  {:<24} {:>10} ({}-{}){target}",
            contender.name,
            show(middle),
            show(least),
            show(most)
        );
    }
}

fn median(times: &mut [Duration]) -> Duration {
    times.sort_unstable();
    times[times.len() / 2]
}

fn show(time: Duration) -> String {
    let milliseconds = time.as_secs_f64() * 1000.0;
    if milliseconds < 1000.0 {
        format!("{milliseconds:.1} ms")
    } else {
        format!("{:.2} s", milliseconds / 1000.0)
    }
}

/// Returns an empty directory on the file system of the build directory; `/tmp` may be memory.
pub(crate) fn scratch() -> TempDir {
    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("the build directory can be written")
}
