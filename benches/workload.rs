//! The seeded projects that the benches build: the same files and commands for Stagecraft and for ninja.
//! Shared by the benches through `#[path]`; measures nothing.
#![expect(
    clippy::disallowed_methods,
    reason = "effects: writes projects, starts the compiler"
)]
#![expect(clippy::unwrap_used, reason = "a bench fails by a panic")]

use std::fmt::Write;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::harness;
use crate::programs;
use crate::seeded::Seeded;

/// How operations depend on each other.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Shape {
    /// None on another; 4 sources each.
    Wide,
    /// 20 layers, each operation on 3 of the layer above; 2 sources each.
    Dag,
}

const LAYERS: usize = 20;
const NEEDS: usize = 3;

/// A project on disk, with a store of its own and the same build for ninja.
pub(crate) struct Workload {
    directory: TempDir,
    shape: Shape,
    operations: usize,
}

impl Workload {
    pub(crate) fn new(shape: Shape, operations: usize) -> Self {
        let directory = harness::scratch();
        let workload = Self {
            directory,
            shape,
            operations,
        };
        let project = workload.project();
        std::fs::create_dir_all(&project).unwrap();
        let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("benches/step.c");
        programs::run(
            &project,
            "cc",
            &["-O2", "-static", "-o", "step", source.to_str().unwrap()],
        );
        workload.write_sources();
        std::fs::write(project.join("stagecraft.yml"), workload.config()).unwrap();
        std::fs::write(project.join("build.ninja"), workload.ninja()).unwrap();
        workload
    }

    pub(crate) fn title(&self) -> String {
        format!(
            "{}, {} operations",
            if self.shape == Shape::Wide {
                "wide"
            } else {
                "dag"
            },
            self.operations
        )
    }

    pub(crate) fn project(&self) -> PathBuf {
        self.directory.path().join("project")
    }

    /// Returns all that a no-op must at least look at: sources, and the outputs ninja made.
    pub(crate) fn files(&self) -> Vec<PathBuf> {
        let project = self.project();
        let sources = (0..self.operations).flat_map(|n| self.sources(n));
        let outputs = (0..self.operations).map(|n| format!("out/{n:05}"));
        sources
            .chain(outputs)
            .map(|path| project.join(path))
            .collect()
    }

    /// Runs `stagecraft` in the project.
    pub(crate) fn stagecraft(&self, arguments: &[&str]) {
        let store = self.directory.path().join("store");
        let mut all = vec!["--store", store.to_str().unwrap(), "--jobs", "2"];
        all.extend(arguments);
        programs::run(&self.project(), env!("CARGO_BIN_EXE_stagecraft"), &all);
    }

    /// Runs `ninja` in the project.
    pub(crate) fn ninja_run(&self, arguments: &[&str]) {
        let mut all = vec!["-j2", "--quiet"];
        all.extend(arguments);
        programs::run(&self.project(), "ninja", &all);
    }

    fn sources(&self, operation: usize) -> Vec<String> {
        let count = if self.shape == Shape::Wide { 4 } else { 2 };
        (0..count)
            .map(|n| format!("src/{operation:05}/{n}.txt"))
            .collect()
    }

    fn needs(&self, operation: usize) -> Vec<usize> {
        let width = self.operations.div_ceil(LAYERS).max(1);
        if self.shape == Shape::Wide || operation < width {
            return Vec::new();
        }
        let above = operation / width * width - width;
        let mut random = Seeded::new(u64::try_from(operation).unwrap());
        let mut needs: Vec<usize> = (0..NEEDS)
            .map(|_| above + below(&mut random, width))
            .collect();
        needs.sort_unstable();
        needs.dedup();
        needs
    }

    fn write_sources(&self) {
        let project = self.project();
        std::fs::create_dir(project.join("out")).unwrap();
        let mut random = Seeded::new(1);
        for operation in 0..self.operations {
            std::fs::create_dir_all(project.join(format!("src/{operation:05}"))).unwrap();
            for path in self.sources(operation) {
                let mut text = format!("# a comment of {path}\n");
                let length = 1024 + below(&mut random, 3072);
                while text.len() < length {
                    writeln!(text, "{}", hex(&random.bytes(16))).unwrap();
                }
                std::fs::write(project.join(path), text).unwrap();
            }
        }
    }

    fn config(&self) -> String {
        let mut text = "project: { name: bench }\nsandbox: { level: 0 }\noperations:\n".to_owned();
        for n in 0..self.operations {
            let sources = self.sources(n).join(", ");
            let needs = self.needs(n);
            let mounts: Vec<String> = needs
                .iter()
                .map(|need| format!("op-{need:05}: need/{need:05}"))
                .collect();
            let read = needs.iter().fold(String::new(), |text, need| {
                text + &format!(", need/{need:05}/{need:05}")
            });
            writeln!(
                text,
                "  op-{n:05}:\n    command: [./step, \"{n:05}\", {sources}{read}]"
            )
            .unwrap();
            writeln!(
                text,
                "    inputs: [step, {sources}]\n    outputs: [\"{n:05}\"]"
            )
            .unwrap();
            if !mounts.is_empty() {
                writeln!(text, "    needs: {{ {} }}", mounts.join(", ")).unwrap();
            }
        }
        text
    }

    fn ninja(&self) -> String {
        let mut text = "rule step\n  command = ./step $out $in\n".to_owned();
        for n in 0..self.operations {
            let needs = self.needs(n).iter().fold(String::new(), |text, need| {
                text + &format!(" out/{need:05}")
            });
            writeln!(
                text,
                "build out/{n:05}: step {}{needs} | step",
                self.sources(n).join(" ")
            )
            .unwrap();
        }
        text
    }
}

/// Asks for the state of every file on two threads: less than that no tool without a watcher can do.
pub(crate) fn stat_all(files: &[PathBuf]) {
    let (left, right) = files.split_at(files.len() / 2);
    let stat = |files: &[PathBuf]| {
        files
            .iter()
            .filter(|path| std::fs::symlink_metadata(path).is_ok())
            .count()
    };
    let found = std::thread::scope(|scope| {
        let other = scope.spawn(|| stat(left));
        stat(right) + other.join().unwrap()
    });
    std::hint::black_box(found);
}

fn below(random: &mut Seeded, end: usize) -> usize {
    usize::try_from(random.next() % u64::try_from(end).unwrap()).unwrap()
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut text, byte| {
        write!(text, "{byte:02x}").unwrap();
        text
    })
}
