//! One run across processes: a worker claims the key it is about to run. Where another process runs it, the worker
//! waits and takes that one's result; where that process dies or fails, it runs the key itself.

use stagecraft_store::{ActionKey, ActionResult, Claim, StoreError};

use super::ExecutionContext;
use super::lookup::Accept;

/// What became of the wish to run a key.
pub(super) enum Claimed {
    /// Nobody else runs it. Where the store cannot say, it is run without a claim: twice is wasteful, not wrong.
    Ours(Option<Claim>),
    /// Somebody else has run it meanwhile.
    Known(Box<ActionResult>),
    /// The evaluation was cancelled while somebody else ran it.
    Cancelled,
}

/// Claims a key that has no result.
pub(super) fn claim(
    context: &ExecutionContext<'_>,
    key: &ActionKey,
    accept: Accept,
) -> Result<Claimed, StoreError> {
    let mut goes_on = || !context.cancel.is_cancelled();
    let claim = match context.store.claim(key, &mut goes_on) {
        Ok(Some(claim)) => claim,
        Ok(None) => return Ok(Claimed::Cancelled),
        Err(error) => {
            tracing::debug!(%key, %error, "runs without a claim");
            return Ok(Claimed::Ours(None));
        }
    };
    if context.cancel.is_cancelled() {
        return Ok(Claimed::Cancelled);
    }
    let found = context.store.result(key)?;
    Ok(match found {
        Some(result) if result.level >= accept.minimum_level => Claimed::Known(Box::new(result)),
        Some(_) | None => Claimed::Ours(Some(claim)),
    })
}
