//! `Faults`: where every stage of reading a configuration puts what it finds wrong.
//! Owns collecting; order and text belong to `diagnostic`.

use std::fmt::Display;

use super::{Diagnostic, Location};

/// The faults found so far.
#[derive(Debug, Default)]
pub(super) struct Faults {
    found: Vec<Diagnostic>,
}

impl Faults {
    /// Adds a fault.
    pub(super) fn add(&mut self, at: Location, message: impl Display) {
        self.found.push(Diagnostic {
            at,
            message: message.to_string(),
            hint: None,
        });
    }

    /// Adds a fault and what to do about it.
    pub(super) fn advise(
        &mut self,
        at: Location,
        message: impl Display,
        hint: impl Into<Option<String>>,
    ) {
        self.found.push(Diagnostic {
            at,
            message: message.to_string(),
            hint: hint.into(),
        });
    }

    /// Takes over what another collection holds.
    pub(super) fn append(&mut self, others: impl IntoIterator<Item = Diagnostic>) {
        self.found.extend(others);
    }

    /// Returns whether nothing was found.
    pub(super) fn is_empty(&self) -> bool {
        self.found.is_empty()
    }

    /// Returns the faults in the order they were found.
    pub(super) fn into_vec(self) -> Vec<Diagnostic> {
        self.found
    }
}
