//! `Source` -> `Config`: every file held against its shape, every section against its rules.
//! All faults of all files are reported together; a config exists only without any.

use std::collections::BTreeMap;

use crate::name::ProjectName;

use super::document::{Document, Source};
use super::fault::Faults;
use super::node::{Span, View};
use super::{
    Config, Diagnostics, Location, Spanned, environment, glob, image, machine, nearest, operation,
    original, raw, reference, service,
};

/// Sections that are validated and that no command can use yet, beside the original ones.
const UNUSED: [&str; 3] = ["compose", "images", "pools"];

/// Judges everything that was read.
pub fn parse(source: &Source) -> Result<Config, Diagnostics> {
    let mut faults = Faults::default();
    let files = || std::iter::once(&source.main).chain(&source.included);
    for document in files() {
        faults.append(document.faults.iter().cloned());
        check_root(document, document.file == source.main.file, &mut faults);
    }
    let config = if files().any(|document| document.broken) {
        None
    } else {
        read(source, &mut faults)
    };
    match config {
        Some(config) if faults.is_empty() => Ok(config),
        _ => {
            let texts: Vec<(&str, &str)> = files()
                .map(|document| (document.file.as_str(), document.text.as_str()))
                .collect();
            Err(Diagnostics::new(faults.into_vec(), &texts))
        }
    }
}

fn check_root(document: &Document, main: bool, faults: &mut Faults) {
    let Some(view) = document.view() else {
        return;
    };
    if !view.is_map() {
        faults.add(
            view.at(),
            format_args!(
                "expected a mapping of sections, found {}",
                view.node.describe()
            ),
        );
        return;
    }
    if main {
        raw::check(view, &raw::STAGECRAFT, faults);
        return;
    }
    // A section that is fine elsewhere deserves a better answer than "unknown".
    for entry in view
        .entries()
        .filter(|entry| entry.key() != "operations" && raw::is_section(entry.key()))
    {
        faults.advise(
            entry.key_at(),
            format_args!("`{}` cannot stand in an included file", entry.key()),
            "only `operations` can; move the rest to the main file".to_owned(),
        );
    }
    for entry in view
        .entries()
        .filter(|entry| entry.key() == "operations" || !raw::is_section(entry.key()))
    {
        raw::check_entry(entry, &raw::INCLUDED, faults);
    }
}

fn read(source: &Source, faults: &mut Faults) -> Option<Config> {
    let Some(root) = source.main.view() else {
        faults.add(
            start(&source.main),
            "config: project.name must be non-empty",
        );
        return None;
    };
    if !root.is_map() {
        return None;
    }
    let project = project_name(root, faults);
    let registry = registry(root, faults);
    check_include(root, source, faults);
    let operations = operation::collect(source, faults);
    let mut reserved = reserved(root);
    let services = service::read(root, &operations, &mut reserved, faults);
    image::check(root, &operations, faults);
    let environments = environment::read(root, faults);
    machine::check_pools(root, faults);
    original::check(root, faults);
    Some(Config {
        sandbox: machine::sandbox(root, faults),
        store: machine::store(root),
        project: project?,
        registry,
        operations: operations.by_name,
        services,
        environments,
        reserved,
    })
}

fn start(document: &Document) -> Location {
    Span {
        line: 1,
        column: 1,
        length: 1,
    }
    .within(&document.file)
}

fn project_name(root: View<'_>, faults: &mut Faults) -> Option<ProjectName> {
    const ABSENT: &str = "config: project.name must be non-empty";
    let Some(project) = root.get("project") else {
        faults.advise(root.at(), ABSENT, "add `project: { name: … }`".to_owned());
        return None;
    };
    let Some(name) = project.get("name") else {
        if project.is_map() || project.node.is_null() {
            faults.add(project.key_at(), ABSENT);
        }
        return None;
    };
    let text = name.text()?;
    if text.trim().is_empty() {
        faults.add(name.at(), ABSENT);
        return None;
    }
    text.parse()
        .map_err(|error| faults.add(name.at(), error))
        .ok()
}

fn registry(root: View<'_>, faults: &mut Faults) -> Option<Spanned<String>> {
    let view = root.find(&["project", "registry"])?;
    let text = view.text()?;
    if !reference::is_repository(text) {
        faults.advise(
            view.at(),
            format_args!("`{text}` is not an image prefix"),
            "write a host and a path, such as `registry.example.com/shop`, without scheme or tag"
                .to_owned(),
        );
    }
    Some(Spanned {
        value: text.to_owned(),
        at: view.at(),
    })
}

fn check_include(root: View<'_>, source: &Source, faults: &mut Faults) {
    for item in root
        .find(&["project", "include"])
        .iter()
        .flat_map(View::items)
    {
        let Some(text) = item.text() else {
            continue;
        };
        if let Err(error) = glob::check(text) {
            faults.advise(item.at(), &error, error.hint());
        } else if text == source.main.file {
            faults.add(item.at(), "the main file cannot include itself");
        } else if glob::is_literal(text) && source.included.iter().all(|file| file.file != text) {
            let known = source.included.iter().map(|file| file.file.as_str());
            let hint = nearest::nearest(text, known).map_or_else(
                || "create it, or remove the entry".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            faults.advise(item.at(), format_args!("no file `{text}` to include"), hint);
        }
    }
}

fn reserved(root: View<'_>) -> BTreeMap<String, Location> {
    let unused = |key: &str| original::SECTIONS.contains(&key) || UNUSED.contains(&key);
    root.entries()
        .filter(|entry| unused(entry.key()))
        .map(|entry| (entry.key().to_owned(), entry.key_at()))
        .collect()
}
