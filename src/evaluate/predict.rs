//! What an evaluation would find, without executing or writing anything.
//! A `hit` here hits there and a `miss` runs there, as long as nothing changes in between.

use std::collections::BTreeMap;

use rayon::prelude::*;
use stagecraft_store::{Object, Store, StoreError};

use super::lookup::{self, Accept, Lookup};
use crate::action::{Action, ResolveError, resolve};
use crate::plan::operation::{Class, Operation, OperationId, Work};
use crate::plan::show::{Cache, Prediction};
use crate::plan::{Edge, Index, Plan};

/// Fewer lookups are not worth another thread.
const LOOKUPS_PER_TASK: usize = 16;

/// What one operation will do, and the output it is known to have.
type Found = (Prediction, Option<Object>);

/// Returns the prediction for each operation, in plan order. Without a store everything pure misses.
/// Operations that do not depend on each other are looked up at the same time.
pub fn predict(
    plan: &Plan,
    store: Option<&Store>,
    accept: Accept,
) -> Result<Vec<Prediction>, StoreError> {
    let mut outputs: BTreeMap<OperationId, Object> = BTreeMap::new();
    let mut predictions: Vec<Option<Prediction>> = vec![None; plan.len()];
    for level in levels(plan) {
        let found: Vec<Result<Found, StoreError>> = level
            .par_iter()
            .with_min_len(LOOKUPS_PER_TASK)
            .map(|index| predict_one(plan, *index, &outputs, store, accept))
            .collect();
        for (index, found) in level.into_iter().zip(found) {
            let (prediction, output) = found?;
            let id = &plan.operation(index).id;
            outputs.extend(output.map(|output| (id.clone(), output)));
            predictions[index] = Some(prediction);
        }
    }
    Ok(predictions.into_iter().flatten().collect())
}

/// Returns the operations by how many others have to come before them, each level in plan order.
fn levels(plan: &Plan) -> Vec<Vec<Index>> {
    let mut depths: Vec<usize> = Vec::with_capacity(plan.len());
    let mut levels: Vec<Vec<Index>> = Vec::new();
    for index in 0..plan.len() {
        let needs = plan.dependencies(index);
        // Whatever it depends on stands before it in the plan.
        let depth = needs.iter().map(|(need, _)| depths[*need] + 1).max();
        let depth = depth.unwrap_or(0);
        depths.push(depth);
        if levels.len() <= depth {
            levels.push(Vec::new());
        }
        levels[depth].push(index);
    }
    levels
}

fn predict_one(
    plan: &Plan,
    index: Index,
    outputs: &BTreeMap<OperationId, Object>,
    store: Option<&Store>,
    accept: Accept,
) -> Result<Found, StoreError> {
    let operation = plan.operation(index);
    let unknown = plan
        .dependencies(index)
        .into_iter()
        .filter(|(_, edge)| *edge == Edge::Output)
        .map(|(need, _)| &plan.operation(need).id)
        .find(|id| !outputs.contains_key(*id));
    if let Some(id) = unknown {
        return Ok((unresolved(operation, format!("`{id}` runs first")), None));
    }
    let prediction = match resolve(operation, outputs) {
        Ok(action) => return look_up(plan, operation, &action, store, accept),
        Err(error @ (ResolveError::Unresolved(_) | ResolveError::Secret(_))) => {
            unresolved(operation, error.to_string())
        }
        Err(error @ (ResolveError::Tree(_) | ResolveError::Recorded)) => Prediction {
            cache: Cache::Miss,
            key: None,
            reason: Some(super::run::chain(&error)),
        },
    };
    Ok((prediction, None))
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
) -> Result<Found, StoreError> {
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
