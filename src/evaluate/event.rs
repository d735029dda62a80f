//! `Event`: what an evaluation tells while it goes on, and the trait of those who listen.
//! The only link between running and showing.

use crate::evaluate::Outcome;
use crate::plan::operation::Operation;

/// One step of an evaluation, in the order in which the coordinator saw it.
#[derive(Debug)]
pub enum Event<'a> {
    /// An evaluation of this many operations begins.
    Began {
        /// How many operations are in scope.
        total: usize,
    },
    /// An operation was not answered by its key, for `reason`, and is being executed.
    Started {
        /// The operation.
        operation: &'a Operation,
        /// Why it runs, in one line.
        reason: &'a str,
    },
    /// An operation reached its final outcome.
    Finished {
        /// The operation.
        operation: &'a Operation,
        /// What became of it.
        outcome: &'a Outcome,
    },
}

/// Listens to an evaluation; called from the coordinator's thread only.
pub trait Observer {
    /// Takes note of `event`.
    fn on(&mut self, event: &Event<'_>);
}

/// Listens to nothing.
#[derive(Debug, Default)]
pub struct Silent;

impl Observer for Silent {
    fn on(&mut self, _event: &Event<'_>) {}
}
