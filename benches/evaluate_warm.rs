//! A build with nothing to do, whole process: `stagecraft build --all` when every operation hits. Defends: at 10,000
//! operations at most 1.5x the stat floor and 0.6x ninja, at 1,000 at most 0.9x ninja.

#[path = "harness.rs"]
mod harness;
#[path = "programs.rs"]
mod programs;
#[path = "seeded.rs"]
mod seeded;
#[path = "workload.rs"]
mod workload;

use harness::Contender;
use workload::{Shape, Workload, stat_all};

const LARGE: usize = 10_000;

fn main() {
    let ninja = programs::is_installed("ninja");
    if !ninja {
        programs::note("ninja is not installed: compared with the stat floor only");
    }
    for size in harness::sizes(&[1_000, LARGE]) {
        for shape in [Shape::Wide, Shape::Dag] {
            measure(&Workload::new(shape, size), ninja, size);
        }
    }
}

fn measure(workload: &Workload, ninja: bool, size: usize) {
    workload.stagecraft(&["build", "--all"]);
    if ninja {
        workload.ninja_run(&[]);
    }
    let files = workload.files();
    let mut contenders = vec![Contender::new("stagecraft build", None, || {
        workload.stagecraft(&["build", "--all"]);
    })];
    if ninja {
        let target = if size >= LARGE { 0.6 } else { 0.9 };
        contenders.push(Contender::new("ninja", Some(target), || {
            workload.ninja_run(&[]);
        }));
    }
    let floor = (size >= LARGE).then_some(1.5);
    contenders.push(Contender::new("stat floor", floor, || stat_all(&files)));
    harness::compare(&format!("no-op, {}", workload.title()), contenders);
}
