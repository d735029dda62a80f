//! `stagecraft schema`: the JSON Schema of `stagecraft.yml`.

use super::context::Context;
use super::error::CliError;
use super::exit::Exit;
use crate::config;

/// Print the JSON Schema of stagecraft.yml, for editors
#[derive(Debug, clap::Args)]
pub(super) struct Args {}

pub(super) fn run(context: &mut Context, Args {}: &Args) -> Result<Exit, CliError> {
    context.ui().json(&config::schema())?;
    Ok(Exit::Done)
}
