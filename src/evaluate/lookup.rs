//! Whether a pure operation has to run, and why: the one answer that `predict` and `evaluate` share.

use stagecraft_store::{ActionResult, HistoryKey, Store, StoreError};

use super::explain::{Explanation, explain};
use crate::action::{Action, Leaves};
use crate::name::ProjectName;
use crate::plan::operation::Run;

/// What counts as an answer.
#[derive(Debug, Clone, Copy)]
pub struct Accept {
    /// Results made below this sandbox level do not count.
    pub minimum_level: u8,
    /// No result counts: everything runs again.
    pub refresh: bool,
}

/// The answer for one operation.
#[derive(Debug)]
pub(super) enum Lookup {
    /// This result.
    Hit(Box<ActionResult>),
    /// It has to run.
    Miss {
        /// Why, in one line.
        reason: String,
        /// Whether the reason holds for every operation with this key, not for this one alone.
        common: bool,
        /// What went into its key.
        leaves: Leaves,
    },
}

/// Looks up one run; without a store nothing ever ran.
pub(super) fn look_up(
    store: Option<&Store>,
    project: &ProjectName,
    action: &Action<'_>,
    run: &Run,
    accept: Accept,
) -> Result<Lookup, StoreError> {
    let miss = |reason: String| {
        Ok(Lookup::Miss {
            reason,
            common: true,
            leaves: action.leaves(),
        })
    };
    if !run.is_remembered() {
        return miss("never remembered (`cache: false`)".to_owned());
    }
    if accept.refresh {
        return miss("asked to run again (`--no-cache`)".to_owned());
    }
    let Some(store) = store else {
        return Ok(Lookup::Miss {
            reason: Explanation::NeverRan.reason(),
            common: false,
            leaves: action.leaves(),
        });
    };
    match store.result(&action.key)? {
        Some(result) if result.level >= accept.minimum_level => Ok(Lookup::Hit(Box::new(result))),
        Some(result) => miss(format!(
            "its result was made at sandbox level {}, below {}",
            result.level, accept.minimum_level
        )),
        None => {
            let (reason, leaves) = own_miss(store, project, action)?;
            Ok(Lookup::Miss {
                reason,
                common: false,
                leaves,
            })
        }
    }
}

/// Returns why an operation whose key has no result misses, by its own last run, and what went into the key.
pub(super) fn own_miss(
    store: &Store,
    project: &ProjectName,
    action: &Action<'_>,
) -> Result<(String, Leaves), StoreError> {
    let leaves = action.leaves();
    let history = HistoryKey::new(project.as_str(), action.id.as_str());
    let reason = explain(store, &history, &leaves)?.reason();
    Ok((reason, leaves))
}
