//! The one place that prints: data to stdout, talk to stderr.
#![expect(
    clippy::disallowed_methods,
    reason = "effects: is stderr a terminal, what of NO_COLOR"
)]

use std::io::{IsTerminal, StdinLock, StdoutLock, Write};

use super::error::CliError;
use super::exit::Exit;

/// When to colour.
#[derive(Debug, Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Color {
    /// On a terminal, unless `NO_COLOR` is set.
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

/// The two streams.
#[derive(Debug, Clone)]
pub(super) struct Ui {
    coloured: bool,
    terminal: bool,
    verbose: u8,
}

#[expect(
    clippy::unused_self,
    reason = "only who was given the streams may print"
)]
impl Ui {
    /// Returns the streams of this process.
    pub(super) fn new(color: Color, verbose: u8) -> Self {
        let terminal = std::io::stderr().is_terminal();
        let coloured = match color {
            Color::Always => true,
            Color::Never => false,
            Color::Auto => {
                terminal
                    && std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
                    && std::env::var_os("TERM").is_none_or(|value| value != "dumb")
            }
        };
        Self {
            coloured,
            terminal,
            verbose,
        }
    }

    /// Writes data to stdout. A reader that went away is not an error: it has what it wanted.
    pub(super) fn data(&self, text: &str) -> Result<(), CliError> {
        self.bytes(text.as_bytes())
    }

    /// Writes bytes to stdout, as [`Ui::data`] writes text.
    pub(super) fn bytes(&self, bytes: &[u8]) -> Result<(), CliError> {
        let mut out = std::io::stdout().lock();
        match out.write_all(bytes).and_then(|()| out.flush()) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(CliError::Output(error))
            }
            _ => Ok(()),
        }
    }

    /// Returns stdout for bytes that are made while they are written; `None` when they would fill a terminal.
    pub(super) fn sink(&self) -> Option<StdoutLock<'static>> {
        let out = std::io::stdout();
        (!out.is_terminal()).then(|| out.lock())
    }

    /// Returns stdin for bytes; `None` when somebody would have to type them.
    pub(super) fn source(&self) -> Option<StdinLock<'static>> {
        let source = std::io::stdin();
        (!source.is_terminal()).then(|| source.lock())
    }

    /// Writes a JSON document and a newline to stdout.
    pub(super) fn json(&self, document: &serde_json::Value) -> Result<(), CliError> {
        self.data(&format!("{document:#}\n"))
    }

    /// Writes a line of talk to stderr.
    pub(super) fn say(&self, text: &str) {
        // Nobody is left to tell when stderr is gone.
        writeln!(std::io::stderr().lock(), "{text}").ok();
    }

    /// Writes a warning to stderr.
    pub(super) fn warn(&self, text: &str) {
        self.say(&format!("{} {text}", self.paint("33", "warning:")));
    }

    /// Returns whether stderr is a terminal.
    pub(super) fn is_terminal(&self) -> bool {
        self.terminal
    }

    /// Returns how often `--verbose` was given.
    pub(super) fn verbosity(&self) -> u8 {
        self.verbose
    }

    /// Returns `text` in an SGR colour, or plain.
    pub(super) fn paint(&self, code: &str, text: &str) -> String {
        if self.coloured {
            format!("\u{1b}[{code}m{text}\u{1b}[0m")
        } else {
            text.to_owned()
        }
    }

    /// Prints what went wrong and what to do about it, and returns the exit code.
    pub(super) fn complain(&self, error: &CliError) -> Exit {
        self.say(&format!("{} {}", self.paint("31", "error:"), error.text()));
        for hint in error.hints() {
            self.say(&format!("{} {hint}", self.paint("36", "hint:")));
        }
        error.exit()
    }
}
