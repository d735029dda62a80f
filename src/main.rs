//! The `stagecraft` program.
#![expect(clippy::disallowed_methods, reason = "effects: the arguments of the process")]

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().skip(1).collect();
    stagecraft::sandbox::helper(&arguments).unwrap_or(ExitCode::SUCCESS)
}
