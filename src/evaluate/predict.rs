//! What an evaluation would find, without executing or writing anything.
//! A `hit` here hits there and a `miss` runs there, as long as nothing changes in between.

use std::collections::BTreeMap;

use stagecraft_store::{Object, Store, StoreError};

use super::lookup::{self, Accept, Lookup};
use crate::action::{Action, ResolveError, resolve};
use crate::plan::operation::{Class, Operation, OperationId, Work};
use crate::plan::show::{Cache, Prediction};
use crate::plan::{Edge, Plan};

/// Returns the prediction for each operation, in plan order. Without a store everything pure misses.
pub fn predict(
    plan: &Plan,
    store: Option<&Store>,
    accept: Accept,
) -> Result<Vec<Prediction>, StoreError> {
    let mut outputs: BTreeMap<OperationId, Object> = BTreeMap::new();
    let mut predictions = Vec::with_capacity(plan.len());
    for (index, operation) in plan.operations().enumerate() {
        let unknown = plan
            .dependencies(index)
            .into_iter()
            .filter(|(_, edge)| *edge == Edge::Output)
            .map(|(need, _)| &plan.operation(need).id)
            .find(|id| !outputs.contains_key(*id));
        let prediction = match unknown {
            Some(id) => unresolved(operation, format!("`{id}` runs first")),
            None => match resolve(operation, &outputs) {
                Ok(action) => {
                    let (prediction, output) = look_up(plan, operation, &action, store, accept)?;
                    outputs.extend(output.map(|output| (operation.id.clone(), output)));
                    prediction
                }
                Err(error @ (ResolveError::Unresolved(_) | ResolveError::Secret(_))) => {
                    unresolved(operation, error.to_string())
                }
                Err(error @ (ResolveError::Tree(_) | ResolveError::Recorded)) => Prediction {
                    cache: Cache::Miss,
                    key: None,
                    reason: Some(super::run::chain(&error)),
                },
            },
        };
        predictions.push(prediction);
    }
    Ok(predictions)
}

fn unresolved(operation: &Operation, reason: String) -> Prediction {
    let cache = match operation.class() {
        Class::Pure => Cache::Unresolved,
        Class::Verified | Class::Gate => Cache::Effect,
    };
    let reason = (cache == Cache::Unresolved).then_some(reason);
    Prediction {
        cache,
        key: None,
        reason,
    }
}

fn look_up(
    plan: &Plan,
    operation: &Operation,
    action: &Action<'_>,
    store: Option<&Store>,
    accept: Accept,
) -> Result<(Prediction, Option<Object>), StoreError> {
    let key = Some(action.key);
    let Work::Run(run) = &operation.work else {
        return Ok((
            Prediction {
                cache: Cache::Effect,
                key,
                reason: None,
            },
            None,
        ));
    };
    Ok(
        match lookup::look_up(store, plan.project(), action, run, accept)? {
            Lookup::Hit(result) => (
                Prediction {
                    cache: Cache::Hit,
                    key,
                    reason: None,
                },
                Some(result.output),
            ),
            Lookup::Miss { reason, .. } => (
                Prediction {
                    cache: Cache::Miss,
                    key,
                    reason: Some(reason),
                },
                None,
            ),
        },
    )
}
