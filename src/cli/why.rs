//! `stagecraft why`: what differs between an operation's key and its last run's, and why it ran last.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use stagecraft_store::HistoryKey;

use super::context::{Context, Format};
use super::error::{CliError, PLANNING};
use super::exit::Exit;
use super::page::Page;
use super::plan::{operation, predicted};
use super::workspace;
use crate::action::resolve;
use crate::evaluate::explain::{Difference, Explanation, explain};
use crate::plan::operation::OperationId;
use crate::plan::show::{Cache, Prediction};
use crate::plan::{Goal, Plan, Target};

/// Explain why an operation would run, or ran last
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The operation
    #[arg(value_name = "OPERATION")]
    operation: String,
}

pub(super) fn run(context: &mut Context, args: &Args) -> Result<Exit, CliError> {
    let format = context.format()?;
    let project = context.project()?;
    let name = operation(&project.config, &args.operation)?;
    let target = Target {
        environment: context.optional_environment(&project.config)?,
        goal: Goal::Operations(vec![name.clone()]),
        version: "unknown".to_owned(),
        services: None,
        arguments: Vec::new(),
    };
    let (plan, predictions) = predicted(context, &project, &target, false, PLANNING)?;
    let id = OperationId::operation(&name);
    let index = plan
        .find(&id)
        .expect("a plan holds the operation it was made for");
    let prediction = &predictions[index];
    let differences = differences(context, &plan, &predictions, index)?;
    let last = workspace::reasons(&project.root).remove(id.as_str());
    let chain = chain(&plan, &predictions, index);
    match format {
        Format::Json => {
            context.ui().json(&document(
                &id,
                prediction,
                &differences,
                &chain,
                last.as_deref(),
            ))?;
        }
        Format::Text => {
            let text = text(&id, prediction, &differences, &chain, last.as_deref());
            context.ui().data(&text)?;
        }
    }
    Ok(Exit::Done)
}

/// Every difference of an operation whose key is known and misses.
fn differences(
    context: &Context,
    plan: &Plan,
    predictions: &[Prediction],
    index: usize,
) -> Result<Vec<Difference>, CliError> {
    let Some(store) = context.existing_store()? else {
        return Ok(Vec::new());
    };
    if predictions[index].cache != Cache::Miss {
        return Ok(Vec::new());
    }
    let mut outputs = BTreeMap::new();
    for (operation, prediction) in plan.operations().zip(predictions).take(index) {
        if let (Cache::Hit, Some(key)) = (prediction.cache, prediction.key)
            && let Some(result) = store.result(&key)?
        {
            outputs.insert(operation.id.clone(), result.output);
        }
    }
    let operation = plan.operation(index);
    let Ok(action) = resolve(operation, &outputs) else {
        return Ok(Vec::new());
    };
    let history = HistoryKey::new(plan.project().as_str(), operation.id.as_str());
    match explain(&store, &history, &action.leaves())? {
        Explanation::Differs(differences) => Ok(differences),
        Explanation::NeverRan | Explanation::ResultGone => Ok(Vec::new()),
    }
}

/// The operations below that run first, nearest change last: from this one down to one that misses by itself.
fn chain(plan: &Plan, predictions: &[Prediction], index: usize) -> Vec<(OperationId, String)> {
    let mut found = Vec::new();
    let mut at = index;
    while predictions[at].cache == Cache::Unresolved {
        let below = plan
            .dependencies(at)
            .into_iter()
            .map(|(need, _)| need)
            .find(|need| matches!(predictions[*need].cache, Cache::Miss | Cache::Unresolved));
        let Some(below) = below else { break };
        let reason = predictions[below].reason.clone().unwrap_or_default();
        found.push((plan.operation(below).id.clone(), reason));
        at = below;
    }
    found
}

fn text(
    id: &OperationId,
    prediction: &Prediction,
    differences: &[Difference],
    chain: &[(OperationId, String)],
    last: Option<&str>,
) -> String {
    let reason = prediction.reason.as_deref().unwrap_or_default();
    let mut out = Page::default();
    match prediction.cache {
        Cache::Hit => out.line(format_args!(
            "{id} would not run: its result is in the store"
        )),
        Cache::Miss => out.line(format_args!("{id} would run: {reason}")),
        Cache::Unresolved => out.line(format_args!("{id} may run: {reason}")),
        Cache::Effect => out.line(format_args!(
            "{id} acts on a target: `status` shows what is there"
        )),
    }
    if differences.len() > 1 {
        for difference in differences {
            out.line(format_args!("  {}", difference.describe()));
        }
    }
    for (below, reason) in chain {
        out.line(format_args!("  {below}: {reason}"));
    }
    if let Some(last) = last {
        out.line(format_args!("why it ran last: {last}"));
    }
    out.into_text()
}

fn document(
    id: &OperationId,
    prediction: &Prediction,
    differences: &[Difference],
    chain: &[(OperationId, String)],
    last: Option<&str>,
) -> Value {
    let differences: Vec<Value> = differences
        .iter()
        .map(|difference| {
            json!({
                "kind": difference.kind.as_str(),
                "name": difference.name,
                "before": difference.before,
                "after": difference.after,
            })
        })
        .collect();
    let chain: Vec<Value> = chain
        .iter()
        .map(|(below, reason)| json!({ "id": below.as_str(), "reason": reason }))
        .collect();
    json!({
        "id": id.as_str(),
        "cache": prediction.cache.as_str(),
        "reason": prediction.reason,
        "differences": differences,
        "chain": chain,
        "last_ran": last,
    })
}
