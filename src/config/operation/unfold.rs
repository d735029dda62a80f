//! `for`: one operation for each matching directory, several variables multiplied, in sorted order.

use std::collections::BTreeMap;
use std::fmt::Display;

use super::super::fault::Faults;
use super::super::node::View;
use super::super::{Location, glob, nearest};
use super::{MAX_OPERATIONS, Template};

/// The value of each variable in one unfolding; empty for an operation without `for`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Binding<'a> {
    values: BTreeMap<&'a str, &'a str>,
    /// The operation has a `for`, so that `{word}` in a path is meant as a variable.
    unfolds: bool,
}

impl<'a> Binding<'a> {
    /// Returns the text with every `{variable}` replaced; other braces stay.
    pub(super) fn fill(&self, text: &str) -> String {
        let mut filled = String::with_capacity(text.len());
        let mut rest = text;
        while let Some((before, after)) = rest.split_once('{') {
            filled.push_str(before);
            let known = after
                .split_once('}')
                .and_then(|(name, after)| Some((self.values.get(name)?, after)));
            if let Some((value, after)) = known {
                filled.push_str(value);
                rest = after;
            } else {
                filled.push('{');
                rest = after;
            }
        }
        filled.push_str(rest);
        filled
    }

    /// Returns a path-like text filled; an unknown `{variable}` in it is a fault.
    pub(super) fn fill_path(
        &self,
        at: Location,
        text: &str,
        faults: &mut Faults,
    ) -> Option<String> {
        if self.unfolds
            && let Some(name) = self.unknown(text)
        {
            let hint = nearest::suggest(name, self.values.keys().copied(), "variables");
            faults.advise(at, unknown_variable(name), hint);
            return None;
        }
        Some(self.fill(text))
    }

    /// Returns the first `{name}` of the text that is no variable here.
    pub(super) fn unknown<'t>(&self, text: &'t str) -> Option<&'t str> {
        text.split('{')
            .skip(1)
            .filter_map(|part| part.split_once('}'))
            .map(|(name, _)| name)
            .find(|name| is_variable(name) && !self.values.contains_key(name))
    }

    /// Returns the variables that the text does not mention.
    pub(super) fn missing(&self, text: &str) -> Vec<&'a str> {
        let absent = |name: &&&str| !text.contains(&format!("{{{name}}}"));
        self.values.keys().filter(absent).copied().collect()
    }

    /// Returns the variables, sorted.
    pub(super) fn variables(&self) -> impl Iterator<Item = &'a str> + Clone + '_ {
        self.values.keys().copied()
    }
}

/// Says that a `{name}` has no value.
pub(super) fn unknown_variable(name: &str) -> impl Display + '_ {
    format!("unknown variable `{{{name}}}`")
}

fn is_variable(name: &str) -> bool {
    super::variables::is_variable_name(name)
}

/// Returns the bindings of a template in sorted order; none where a `for` has a fault, which is reported.
/// `taken` operations exist already.
pub(super) fn bindings<'a>(
    template: Template<'a>,
    directories: &'a BTreeMap<String, Vec<String>>,
    taken: usize,
    faults: &mut Faults,
) -> Option<Vec<Binding<'a>>> {
    let Some(clause) = template.view.get("for") else {
        return Some(vec![Binding::default()]);
    };
    if !clause.is_map() || clause.node.entries().is_empty() {
        if clause.node.is_null() || clause.is_map() {
            faults.add(clause.key_at(), "`for` has no variable");
        }
        return None;
    }
    let mut product = vec![Binding {
        values: BTreeMap::new(),
        unfolds: true,
    }];
    let mut whole = true;
    for variable in clause.sorted() {
        let Some(values) = matches(template, variable, directories, faults) else {
            whole = false;
            continue;
        };
        if product
            .len()
            .saturating_mul(values.len())
            .saturating_add(taken)
            > MAX_OPERATIONS
        {
            faults.add(
                clause.key_at(),
                format_args!("the project has more than {MAX_OPERATIONS} operations"),
            );
            return None;
        }
        let extend = |binding: &Binding<'a>, value| {
            let mut longer = binding.clone();
            longer.values.insert(variable.key(), value);
            longer
        };
        product = product
            .iter()
            .flat_map(|binding| values.iter().map(move |value| extend(binding, *value)))
            .collect();
    }
    whole.then_some(product)
}

fn matches<'a>(
    template: Template<'a>,
    variable: View<'a>,
    directories: &'a BTreeMap<String, Vec<String>>,
    faults: &mut Faults,
) -> Option<Vec<&'a str>> {
    if !is_variable(variable.key()) {
        faults.advise(
            variable.key_at(),
            format_args!("`{}` is not a variable name", variable.key()),
            super::variables::RULE.to_owned(),
        );
        return None;
    }
    let pattern = variable.text()?;
    if let Err(error) = glob::check(pattern) {
        faults.advise(variable.at(), &error, error.hint());
        return None;
    }
    // In an included file, paths are relative to its directory: so are the values.
    let joined = glob::join(template.directory, pattern);
    let strip = |path: &'a String| match template.directory {
        "" => Some(path.as_str()),
        directory => path.strip_prefix(directory)?.strip_prefix('/'),
    };
    let values: Vec<&str> = directories
        .get(&joined)
        .into_iter()
        .flatten()
        .filter_map(strip)
        .collect();
    if values.is_empty() {
        faults.advise(
            variable.at(),
            format_args!("`{joined}` matches no directory"),
            "remove the operation, or create a directory that matches".to_owned(),
        );
        return None;
    }
    Some(values)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn binding() -> Binding<'static> {
        Binding {
            values: BTreeMap::from([("pkg", "packages/a"), ("os", "linux")]),
            unfolds: true,
        }
    }

    /// spec: config/unfold R4
    #[test]
    fn only_declared_variables_are_replaced_and_values_are_not_read_again() {
        let binding = binding();
        assert_eq!(binding.fill("{pkg}/x-{os}"), "packages/a/x-linux");
        assert_eq!(binding.fill("${HOME} {a,b} {pkg"), "${HOME} {a,b} {pkg");
        assert_eq!(binding.fill("{{pkg}}"), "{packages/a}");
        let nested = Binding {
            values: BTreeMap::from([("a", "{b}"), ("b", "c")]),
            unfolds: true,
        };
        assert_eq!(nested.fill("{a}"), "{b}");
    }

    /// spec: config/unfold R3
    #[test]
    fn a_name_says_every_variable() {
        assert_eq!(binding().missing("test-{pkg}"), ["os"]);
        assert_eq!(binding().unknown("{pkg}-{oss}-{a,b}"), Some("oss"));
        assert_eq!(binding().unknown("{pkg}-{os}"), None);
    }
}
