//! `stagecraft graph`: the DAG with its cache state, for other programs to draw.

use super::context::Context;
use super::error::{CliError, PLANNING};
use super::exit::Exit;
use super::plan::{Selection, predicted, target};
use crate::plan::Goal;
use crate::plan::show::View;

/// Print the graph of operations
///
/// `--format` takes dot (the default), mermaid or json.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    #[command(flatten)]
    selection: Selection,
}

pub(super) fn run(context: &mut Context, args: &Args) -> Result<Exit, CliError> {
    let project = context.project()?;
    let target = target(context, &project, &args.selection, None, Goal::Deploy)?;
    let (plan, predictions) = predicted(context, &project, &target, false, PLANNING)?;
    let shown = (0..plan.len()).collect();
    let view = View {
        plan: &plan,
        predictions: &predictions,
        shown: &shown,
    };
    match context.raw_format() {
        None | Some("dot") => context.ui().data(&view.dot())?,
        Some("mermaid") => context.ui().data(&view.mermaid())?,
        Some("json") => context.ui().json(&view.json())?,
        Some(other) => {
            let allowed = "'dot', 'mermaid' or 'json'";
            return Err(CliError::InvalidFormat {
                given: other.to_owned(),
                allowed,
            });
        }
    }
    Ok(Exit::Done)
}
