//! Plan evaluation, whole process: `stagecraft plan --all` on 1,000 and 10,000 operations, before anything is built and
//! with everything built. Defends: at most 0.4x `ninja -n` at 10,000 operations. Without ninja the floor is a stat of
//! every file on two threads.

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

/// At 10,000 operations; the smaller run shows how it grows.
const TARGET: f64 = 0.4;

fn main() {
    let ninja = programs::is_installed("ninja");
    if !ninja {
        programs::note("ninja is not installed: compared with the stat floor only");
    }
    for size in harness::sizes(&[1_000, 10_000]) {
        for shape in [Shape::Wide, Shape::Dag] {
            let workload = Workload::new(shape, size);
            measure(&workload, "nothing built", ninja, size);
            workload.stagecraft(&["build", "--all"]);
            if ninja {
                workload.ninja_run(&[]);
            }
            measure(&workload, "all built", ninja, size);
        }
    }
}

fn measure(workload: &Workload, state: &str, ninja: bool, size: usize) {
    let files = workload.files();
    let mut contenders = vec![Contender::new("stagecraft plan", None, || {
        workload.stagecraft(&["plan", "--all"]);
    })];
    if ninja {
        let target = (size >= 10_000).then_some(TARGET);
        contenders.push(Contender::new("ninja -n", target, || {
            workload.ninja_run(&["-n"]);
        }));
    }
    contenders.push(Contender::new("stat floor", None, || stat_all(&files)));
    harness::compare(&format!("plan, {}, {state}", workload.title()), contenders);
}
