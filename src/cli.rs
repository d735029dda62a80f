//! The command line: clap types and dispatch; the one place where concrete types meet traits.
//! Owns no behaviour: each command is a file of its own.

mod apply;
mod build;
mod collect;
mod context;
mod deploy;
mod error;
mod exit;
mod graph;
mod housekeeping;
mod init;
mod interrupt;
mod page;
mod phases;
mod plan;
mod progress;
mod releases;
mod report;
mod rollback;
mod schema;
mod status;
mod store;
mod trace;
mod transfer;
mod ui;
mod why;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{ArgAction, CommandFactory, Parser, Subcommand};
use serde_json::json;

use context::{Context, Format, Globals};
use error::CliError;
use exit::Exit;
use ui::Ui;

/// Build and deploy multi-service applications; what has not changed is never done again
#[derive(Debug, Parser)]
#[command(
    name = "stagecraft",
    version,
    disable_version_flag = true,
    max_term_width = 100
)]
struct Cli {
    #[command(flatten)]
    globals: Globals,
    /// Print the version
    #[arg(long, action = ArgAction::Version)]
    version: Option<bool>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    Init(init::Args),
    Plan(plan::Args),
    Build(build::Args),
    Why(why::Args),
    Graph(graph::Args),
    Deploy(deploy::Args),
    Rollback(rollback::Args),
    Releases(releases::Args),
    Status(status::Args),
    Store(store::Args),
    Schema(schema::Args),
    Completions(CompletionsArgs),
    Version(VersionArgs),
}

/// Print a completion script for a shell
#[derive(Debug, clap::Args)]
struct CompletionsArgs {
    /// Write for this shell
    shell: clap_complete::Shell,
}

/// Print the version
#[derive(Debug, clap::Args)]
struct VersionArgs {}

/// Runs the program with `arguments`, the program's name first. Returns the exit code of `spec/cli/exit-codes.md`.
pub fn main(arguments: Vec<OsString>) -> ExitCode {
    let cli = match Cli::try_parse_from(arguments) {
        Ok(cli) => cli,
        Err(error) => return refuse(&error),
    };
    let mut context = Context::new(cli.globals);
    trace::begin(context.ui().verbosity());
    let exit = match dispatch(&mut context, &cli.command) {
        Ok(exit) => exit,
        Err(error) => {
            let exit = context.ui().complain(&error);
            if cli.command.has_result() && context.wants_document() {
                // The exit code says what went wrong first.
                context.ui().json(&report::without_plan(&error)).ok();
            }
            exit
        }
    };
    exit.into()
}

impl Command {
    /// Returns whether `--format json` promises the document of `spec/cli/result.md`.
    fn has_result(&self) -> bool {
        matches!(self, Self::Build(_) | Self::Deploy(_) | Self::Rollback(_))
    }
}

/// Help and version go to stdout and are no error; everything else is a user error.
fn refuse(error: &clap::Error) -> ExitCode {
    let exit = if error.use_stderr() {
        Exit::User
    } else {
        Exit::Done
    };
    // A closed stdout or stderr leaves nobody to tell.
    error.print().ok();
    exit.into()
}

fn dispatch(context: &mut Context, command: &Command) -> Result<Exit, CliError> {
    // Only `graph` has forms of its own; for all others a wrong one is an error even where there is one form only.
    if !matches!(command, Command::Graph(_)) {
        context.format()?;
    }
    match command {
        Command::Init(args) => init::run(context, args),
        Command::Plan(args) => plan::run(context, args),
        Command::Build(args) => build::run(context, args),
        Command::Why(args) => why::run(context, args),
        Command::Graph(args) => graph::run(context, args),
        Command::Deploy(args) => deploy::run(context, args),
        Command::Rollback(args) => rollback::run(context, args),
        Command::Releases(args) => releases::run(context, args),
        Command::Status(args) => status::run(context, args),
        Command::Store(args) => store::run(context, args),
        Command::Schema(args) => schema::run(context, args),
        Command::Completions(args) => completions(context.ui(), args),
        Command::Version(VersionArgs {}) => version(context),
    }
}

fn version(context: &Context) -> Result<Exit, CliError> {
    let version = env!("CARGO_PKG_VERSION");
    match context.format()? {
        Format::Json => context.ui().json(&json!({ "version": version }))?,
        Format::Text => context
            .ui()
            .data(&format!("Stagecraft version {version}\n"))?,
    }
    Ok(Exit::Done)
}

fn completions(ui: &Ui, args: &CompletionsArgs) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "stagecraft", &mut script);
    ui.data(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_arguments_fit_together() {
        Cli::command().debug_assert();
    }
}
