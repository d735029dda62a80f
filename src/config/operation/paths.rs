//! `workdir`, `inputs` and `outputs` of an operation.

use crate::name::ProjectPath;

use super::super::fault::Faults;
use super::super::node::View;
use super::super::{InputPattern, OutputPattern, Spanned, glob, path};
use super::Template;
use super::unfold::Binding;

/// Reads `workdir`; the default is the directory of the file.
pub(super) fn workdir(
    template: Template<'_>,
    binding: &Binding<'_>,
    faults: &mut Faults,
) -> ProjectPath {
    let base: ProjectPath = template.directory.parse().unwrap_or_else(|error| {
        faults.add(template.view.key_at(), error);
        ProjectPath::root()
    });
    let Some((view, text)) = template
        .view
        .get("workdir")
        .and_then(|view| Some((view, view.text()?)))
    else {
        return base;
    };
    let Some(text) = binding.fill_path(view.at(), text, faults) else {
        return base;
    };
    if path::tidy(&text).is_some_and(|tidy| tidy.is_empty()) {
        let default = if template.included {
            "the directory of this file"
        } else {
            "the project root"
        };
        faults.advise(
            view.at(),
            "`workdir` must name a directory below",
            format!("leave it out: the default is {default}"),
        );
        return base;
    }
    path::inside(&text, view, faults).map_or_else(|| base.clone(), |below| base.join(&below))
}

/// Reads `inputs`, in file order.
pub(super) fn inputs(
    template: Template<'_>,
    binding: &Binding<'_>,
    faults: &mut Faults,
) -> Vec<Spanned<InputPattern>> {
    let mut inputs = Vec::new();
    for item in template.view.get("inputs").iter().flat_map(View::items) {
        let text = item
            .text()
            .and_then(|text| binding.fill_path(item.at(), text, faults));
        let Some(text) = text else {
            continue;
        };
        let (excludes, pattern) = match text.strip_prefix('!') {
            Some(pattern) => (true, pattern),
            None => (false, text.as_str()),
        };
        let pattern = pattern
            .strip_suffix('/')
            .filter(|left| !left.is_empty())
            .unwrap_or(pattern);
        if let Err(error) = glob::check(pattern) {
            faults.advise(item.at(), &error, error.hint());
        }
        let glob = glob::join(template.directory, pattern);
        inputs.push(Spanned {
            value: InputPattern { glob, excludes },
            at: item.at(),
        });
    }
    inputs
}

/// Reads `outputs`, in file order; no two may hold the same path.
pub(super) fn outputs(
    template: Template<'_>,
    binding: &Binding<'_>,
    faults: &mut Faults,
) -> Vec<Spanned<OutputPattern>> {
    let mut outputs: Vec<Spanned<OutputPattern>> = Vec::new();
    for item in template.view.get("outputs").iter().flat_map(View::items) {
        let text = item
            .text()
            .and_then(|text| binding.fill_path(item.at(), text, faults));
        let Some(text) = text else {
            continue;
        };
        let Some(pattern) = output(&text, item, faults) else {
            continue;
        };
        let clash = outputs
            .iter()
            .find(|other| glob::overlap(&other.value.glob, &pattern.glob));
        if let Some(other) = clash.map(|other| &other.value.glob) {
            let message = if *other == pattern.glob {
                format!("output `{other}` is declared twice")
            } else {
                format!("output `{}` overlaps output `{other}`", pattern.glob)
            };
            faults.advise(item.at(), message, "declare each path once".to_owned());
        }
        outputs.push(Spanned {
            value: pattern,
            at: item.at(),
        });
    }
    outputs
}

fn output(text: &str, item: View<'_>, faults: &mut Faults) -> Option<OutputPattern> {
    if text.starts_with('!') {
        faults.advise(
            item.at(),
            format_args!("output `{text}` cannot be excluded"),
            "declare what is kept; the rest is dropped".to_owned(),
        );
        return None;
    }
    let (optional, rest) = match text.strip_prefix('?') {
        Some(rest) => (true, rest),
        None => (false, text),
    };
    let (directory, pattern) = match rest.strip_suffix('/') {
        Some(pattern) if !pattern.is_empty() => (true, pattern),
        _ => (false, rest),
    };
    if let Err(error) = glob::check(pattern) {
        faults.advise(
            item.at(),
            &error,
            error
                .hint()
                .filter(|hint| !hint.contains("whole directory")),
        );
        return None;
    }
    if directory && !glob::is_literal(pattern) {
        faults.advise(
            item.at(),
            format_args!("output `{text}` is a glob, so no directory can be made for it"),
            "drop the trailing slash".to_owned(),
        );
        return None;
    }
    Some(OutputPattern {
        glob: pattern.to_owned(),
        directory,
        optional,
    })
}
