//! The `stagecraft` program.
#![expect(
    clippy::disallowed_methods,
    reason = "effects: the arguments of the process"
)]

use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments: Vec<_> = std::env::args_os().collect();
    // A helper of the sandbox is this same program; it must not start a thread.
    let rest = arguments.get(1..).unwrap_or_default();
    stagecraft::sandbox::helper(rest).unwrap_or_else(|| stagecraft::cli::main(arguments))
}
