//! Starts other programs for the benches and says which peers are missing. Shared through `#[path]`; measures nothing.
#![expect(clippy::disallowed_methods, reason = "effects: processes")]
#![expect(clippy::print_stdout, reason = "a bench prints what it measured")]

use std::path::Path;
use std::process::{Command, Stdio};

/// Prints a line about the run, such as a peer that is not installed.
pub(crate) fn note(text: &str) {
    println!("  note: {text}");
}

/// Returns whether a program can be started.
pub(crate) fn is_installed(program: &str) -> bool {
    Command::new(program)
        .arg("--version")
        .stdin(Stdio::null())
        .output()
        .is_ok_and(|output| output.status.success())
}

/// Runs a program in a directory and insists on success.
pub(crate) fn run(directory: &Path, program: &str, arguments: &[&str]) {
    let output = Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .stdin(Stdio::null())
        .output()
        .unwrap_or_else(|error| panic!("cannot start {program}: {error}"));
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}\n{}",
        output.status,
        String::from_utf8_lossy(&output.stderr)
    );
}
