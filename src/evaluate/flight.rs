//! `Flights`: which operation of this evaluation runs a key, so that operations with one key share one run.
//! Keeps keys only while an evaluation lasts; knows nothing of other processes.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use stagecraft_store::ActionKey;

use crate::plan::Index;

/// A key that is being run, or was, in this evaluation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Flight {
    /// The operation that runs it.
    pub(super) runner: Index,
    /// Why it misses, where that holds for every operation with the key.
    pub(super) common: Option<String>,
}

/// The keys that were run so far; shared by all workers.
#[derive(Debug, Default)]
pub(super) struct Flights(Mutex<BTreeMap<ActionKey, Flight>>);

impl Flights {
    /// Returns the flight of `key`; where there was none, `flight` is it from here on and nothing is returned.
    pub(super) fn join(&self, key: ActionKey, flight: Flight) -> Option<Flight> {
        let mut flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(found) = flights.get(&key) {
            return Some(found.clone());
        }
        flights.insert(key, flight);
        None
    }

    /// Returns the flight of `key`, if it was run in this evaluation.
    pub(super) fn find(&self, key: &ActionKey) -> Option<Flight> {
        let flights = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        flights.get(key).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use stagecraft_store::Digest;

    #[test]
    fn the_first_to_join_runs_the_key() {
        let flights = Flights::default();
        let key = ActionKey(Digest::of(b"key"));
        let flight = |runner| Flight {
            runner,
            common: None,
        };
        assert_eq!(flights.find(&key), None);
        assert_eq!(flights.join(key, flight(7)), None);
        assert_eq!(flights.join(key, flight(8)), Some(flight(7)));
        assert_eq!(flights.find(&key), Some(flight(7)));
    }
}
