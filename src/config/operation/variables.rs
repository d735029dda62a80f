//! `env`, `pass_env` and `tools`: what an operation finds around it.

use std::collections::{BTreeMap, BTreeSet};

use super::super::fault::Faults;
use super::super::node::View;
use super::super::{PassEnv, Spanned};
use super::unfold::Binding;

/// What a variable's name may be.
pub(in super::super) const RULE: &str =
    "a variable starts with a letter or `_` and goes on with letters, digits or `_`";

/// Returns whether the text can name an environment variable.
pub(in super::super) fn is_variable_name(text: &str) -> bool {
    let fits = |(index, byte): (usize, u8)| {
        byte == b'_' || byte.is_ascii_alphabetic() || (index > 0 && byte.is_ascii_digit())
    };
    !text.is_empty() && text.bytes().enumerate().all(fits)
}

/// Reads a mapping of variables.
pub(in super::super) fn read_env(
    view: Option<View<'_>>,
    faults: &mut Faults,
) -> BTreeMap<String, String> {
    let mut env = BTreeMap::new();
    for variable in view.iter().flat_map(View::entries) {
        check_name(variable.key(), variable.key_at(), faults);
        if let Some(value) = variable.text() {
            env.insert(variable.key().to_owned(), value.to_owned());
        }
    }
    env
}

/// Reports a name that no variable can have.
pub(in super::super) fn check_name(name: &str, at: super::super::Location, faults: &mut Faults) {
    if !is_variable_name(name) {
        faults.advise(
            at,
            format_args!("`{name}` is not a variable name"),
            RULE.to_owned(),
        );
    }
}

/// Reads `env` of an operation, its values filled.
pub(super) fn env(
    view: View<'_>,
    binding: &Binding<'_>,
    faults: &mut Faults,
) -> BTreeMap<String, String> {
    let env = read_env(view.get("env"), faults);
    env.into_iter()
        .map(|(name, value)| (name, binding.fill(&value)))
        .collect()
}

/// Reads `pass_env`, sorted by name.
pub(super) fn pass_env(view: View<'_>, faults: &mut Faults) -> Vec<PassEnv> {
    let mut passed: Vec<PassEnv> = Vec::new();
    for item in view.get("pass_env").iter().flat_map(View::items) {
        let place = if item.is_map() {
            item.get("name")
        } else {
            Some(item)
        };
        let Some((place, name)) = place.and_then(|place| Some((place, place.text()?))) else {
            continue;
        };
        check_name(name, place.at(), faults);
        if passed.iter().any(|other| other.name == name) {
            faults.add(place.at(), format_args!("`{name}` is passed twice"));
        }
        if view.find(&["env", name]).is_some() {
            faults.advise(
                place.at(),
                format_args!("`{name}` is set by `env` and passed from the caller"),
                "keep one of them".to_owned(),
            );
        }
        let secret = item.flag_of("secret").unwrap_or(false);
        passed.push(PassEnv {
            name: name.to_owned(),
            secret,
            at: place.at(),
        });
    }
    passed.sort_by(|a, b| a.name.cmp(&b.name));
    passed
}

/// Reads `tools`, sorted.
pub(super) fn tools(view: View<'_>, faults: &mut Faults) -> Vec<Spanned<String>> {
    let mut seen = BTreeSet::new();
    let mut tools = Vec::new();
    for item in view.get("tools").iter().flat_map(View::items) {
        let Some(name) = item.text() else {
            continue;
        };
        if name.is_empty() {
            faults.add(item.at(), "a tool's name must be non-empty");
        } else if name.contains('/') {
            faults.advise(
                item.at(),
                format_args!("`{name}` is not a program's name"),
                "a tool is named without its directory and found on PATH".to_owned(),
            );
        } else if !seen.insert(name) {
            faults.add(item.at(), format_args!("tool `{name}` is listed twice"));
        }
        tools.push(Spanned {
            value: name.to_owned(),
            at: item.at(),
        });
    }
    tools.sort_by(|a, b| a.value.cmp(&b.value));
    tools
}
