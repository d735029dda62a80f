//! The names of all operations: which text is taken, by whom, and what a reference may mean.

use std::cell::RefCell;
use std::collections::BTreeMap;

use crate::name::OperationName;

use super::super::fault::Faults;
use super::super::node::View;
use super::super::{Location, glob, nearest};
use super::Template;
use super::unfold::{Binding, unknown_variable};

/// Names by which the rest of a plan is known.
const RESERVED: [&str; 4] = ["build_backend", "deploy_", "health_check_", "migration_"];

/// Every name that a file declares, well formed or not.
#[derive(Debug, Default)]
pub(in super::super) struct Names {
    declared: BTreeMap<String, Location>,
    incomplete: bool,
    /// Hints for unknown names, by directory and name: many needs may miss one operation.
    hints: RefCell<BTreeMap<(String, String), Option<String>>>,
}

impl Names {
    /// Says that some operation could not be unfolded, so that an unknown name proves nothing.
    pub(super) fn mark_incomplete(&mut self) {
        self.incomplete = true;
    }

    /// Takes the name of one unfolding; reports what is wrong with it.
    pub(super) fn declare(
        &mut self,
        template: Template<'_>,
        binding: &Binding<'_>,
        faults: &mut Faults,
    ) -> Option<OperationName> {
        let view = template.view;
        let at = view.key_at();
        if let Some(name) = binding.unknown(view.key()) {
            let hint = match binding.variables().next() {
                Some(_) => nearest::suggest(name, binding.variables(), "variables"),
                None => Some("declare it in `for`".to_owned()),
            };
            faults.advise(at, unknown_variable(name), hint);
            self.incomplete = true;
            return None;
        }
        if let Some(missing) = binding.missing(view.key()).first() {
            let example = format!("such as `{}-{{{missing}}}`", view.key());
            faults.advise(
                at,
                format_args!("the name must contain the variable `{{{missing}}}`"),
                example,
            );
            self.incomplete = true;
            return None;
        }
        let text = glob::join(template.directory, &binding.fill(view.key()));
        if let Some(first) = self.declared.get(&text) {
            faults.advise(
                at,
                format_args!("operation `{text}` is declared twice"),
                format!("the other is at {first}"),
            );
            return None;
        }
        self.declared.insert(text.clone(), at.clone());
        let reserved = |word: &str| text == word || (word.ends_with('_') && text.starts_with(word));
        if let Some(word) = RESERVED.into_iter().find(|word| reserved(word)) {
            let rule = if word.ends_with('_') {
                format!("names starting with `{word}` are")
            } else {
                format!("`{word}` is")
            };
            faults.add(
                at,
                format_args!("operation name `{text}`: {rule} reserved for Stagecraft"),
            );
            return None;
        }
        text.parse().map_err(|error| faults.add(at, error)).ok()
    }

    /// Reports every name that lies below another: their output trees would too.
    pub(super) fn check_prefixes(&self, faults: &mut Faults) {
        for (name, at) in &self.declared {
            let ends = name.match_indices('/').map(|(end, _)| &name[..end]);
            for shorter in ends.filter(|shorter| self.declared.contains_key(*shorter)) {
                faults.advise(
                    at.clone(),
                    format_args!("operation `{name}` lies below operation `{shorter}`"),
                    "rename one: no name is a path prefix of another".to_owned(),
                );
            }
        }
    }

    /// Returns the operation that `text` names; in an included file, one of its own directory comes first.
    /// An unknown name is a fault at `view`; a malformed one has its fault where it is declared.
    pub(in super::super) fn resolve(
        &self,
        text: &str,
        directory: &str,
        view: View<'_>,
        faults: &mut Faults,
    ) -> Option<OperationName> {
        let near = glob::join(directory, text);
        for full in [near.as_str(), text] {
            if self.declared.contains_key(full) {
                return full.parse().ok();
            }
        }
        if !self.incomplete {
            let key = (directory.to_owned(), text.to_owned());
            let mut hints = self.hints.borrow_mut();
            let hint = hints
                .entry(key)
                .or_insert_with(|| self.suggest(text, directory));
            let at = if view.text() == Some(text) {
                view.at()
            } else {
                view.key_at()
            };
            faults.advise(at, format_args!("unknown operation `{text}`"), hint.clone());
        }
        None
    }

    /// Names of the directory itself are offered in their short form.
    fn suggest(&self, text: &str, directory: &str) -> Option<String> {
        let short = |name: &'_ str| -> Option<usize> {
            let short = name.strip_prefix(directory)?.strip_prefix('/')?;
            Some(name.len() - short.len())
        };
        let names = self
            .declared
            .keys()
            .map(|name| &name[short(name).unwrap_or(0)..]);
        nearest::suggest(text, names, "operations")
    }
}
