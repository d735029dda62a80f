//! `Pool`: the helpers that are between two orders, each to be used again by any worker for the same setting.
//! Starts no process, and keeps none that has not reported on its last order. All of them end with the pool.

use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

use crate::sandbox::process::Helper;
use crate::sandbox::toolbox::Toolbox;

/// What a helper was started for.
#[derive(Debug, Clone)]
pub(crate) enum Purpose {
    /// Level 0.
    Directory,
    /// Level 2.
    Namespaces {
        /// What its commands find on PATH.
        toolbox: Arc<Toolbox>,
        /// The directory below which their trees are.
        stages: PathBuf,
        /// Whether they share the machine's network.
        network: bool,
    },
}

impl Purpose {
    fn is(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Directory, Self::Directory) => true,
            (
                Self::Namespaces {
                    toolbox,
                    stages,
                    network,
                },
                Self::Namespaces {
                    toolbox: other_toolbox,
                    stages: other_stages,
                    network: other_network,
                },
            ) => {
                Arc::ptr_eq(toolbox, other_toolbox)
                    && stages == other_stages
                    && network == other_network
            }
            (Self::Directory, Self::Namespaces { .. })
            | (Self::Namespaces { .. }, Self::Directory) => false,
        }
    }
}

/// How many helpers wait at most; each is a small process.
const MOST: usize = 32;

/// Helpers without an order.
#[derive(Debug, Default)]
pub(crate) struct Pool(Mutex<Vec<(Purpose, Helper)>>);

impl Pool {
    /// Takes the helper for `purpose` that was used last.
    pub(crate) fn take(&self, purpose: &Purpose) -> Option<Helper> {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let found = idle.iter().rposition(|(known, _)| known.is(purpose))?;
        Some(idle.remove(found).1)
    }

    /// Keeps a helper that has reported on its last order; too many drop the one that waited longest.
    pub(crate) fn give(&self, purpose: Purpose, helper: Helper) {
        let mut idle = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        idle.push((purpose, helper));
        let surplus = (idle.len() > MOST).then(|| idle.remove(0));
        drop(idle);
        // It takes a moment to end.
        drop(surplus);
    }
}

impl Drop for Pool {
    fn drop(&mut self) {
        let idle = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        // All at once, so that they end while the first is waited for.
        for (_, helper) in idle {
            helper.kill();
        }
    }
}
