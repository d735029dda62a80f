//! `Faults`: where every stage of reading a configuration puts what it finds wrong.
//! Owns collecting; order and text belong to `diagnostic`.

use std::fmt::Display;

use super::node::View;
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

/// Keys of one mapping of which exactly one must be there, and what to say where it is not so.
pub(super) struct Alternatives {
    /// The keys; the first that is there counts.
    pub(super) keys: &'static [&'static str],
    /// The fault when none is there.
    pub(super) none: &'static str,
    /// The hint then.
    pub(super) add: &'static str,
    /// The hint for each further one.
    pub(super) one: &'static str,
}

impl Alternatives {
    /// Returns the key that counts; none and several are faults.
    pub(super) fn choose<'a>(&self, view: View<'a>, faults: &mut Faults) -> Option<View<'a>> {
        let mut found = self.keys.iter().filter_map(|key| view.get(key));
        let Some(first) = found.next() else {
            faults.advise(view.key_at(), self.none, self.add.to_owned());
            return None;
        };
        for other in found {
            let message = format!("`{}` stands beside `{}`", other.key(), first.key());
            faults.advise(other.key_at(), message, self.one.to_owned());
        }
        Some(first)
    }
}
