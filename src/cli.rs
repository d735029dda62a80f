//! The command line: clap types and dispatch; the one place where concrete types meet traits.
//! Owns no behaviour: each command is a file of its own.

mod apply;
mod build;
mod context;
mod deploy;
mod error;
mod exit;
mod graph;
mod init;
mod interrupt;
mod phases;
mod plan;
mod progress;
mod releases;
mod report;
mod rollback;
mod schema;
mod status;
mod store;
mod ui;
mod why;
mod workspace;

use std::ffi::OsString;
use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};

use context::{Context, Globals};
use error::CliError;
use exit::Exit;
use ui::Ui;

/// Builds and deploys multi-service applications; what has not changed is never done again
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
    /// The shell
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
    let ended = dispatch(&mut context, &cli.command);
    context.ui().finish(ended)
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
        Command::Version(VersionArgs {}) => {
            context.ui().data(&format!(
                "Stagecraft version {}\n",
                env!("CARGO_PKG_VERSION")
            ))?;
            Ok(Exit::Done)
        }
    }
}

fn completions(ui: &Ui, args: &CompletionsArgs) -> Result<Exit, CliError> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "stagecraft", &mut script);
    ui.data(&String::from_utf8_lossy(&script))?;
    Ok(Exit::Done)
}
