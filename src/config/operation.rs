//! `operations` of every file -> `OperationConfig` by full name, `include` and `for` unfolded.
//! Cycles are left to the planner: they need the graph.

mod entry;
mod names;
mod needs;
mod paths;
mod unfold;
mod variables;

use std::collections::{BTreeMap, BTreeSet};

use crate::name::OperationName;

use super::OperationConfig;
use super::document::{Document, Source};
use super::fault::Faults;
use super::node::View;
use entry::Draft;
pub(super) use entry::check_argv;
pub(super) use names::Names;
pub(super) use variables::{check_name, read_env};

/// A project may unfold to this many operations.
const MAX_OPERATIONS: usize = 100_000;

/// One entry of `operations`, before `for`.
#[derive(Clone, Copy)]
struct Template<'a> {
    view: View<'a>,
    /// The directory of its file, from the project root; empty for the root.
    directory: &'a str,
    /// Whether its file is an included one.
    included: bool,
}

/// Everything about operations that other sections ask for.
pub(super) struct Operations {
    pub(super) names: Names,
    pub(super) by_name: BTreeMap<OperationName, OperationConfig>,
}

/// Reads the operations of all files.
pub(super) fn collect(source: &Source, faults: &mut Faults) -> Operations {
    let pools = pools(&source.main);
    let mut names = Names::default();
    let mut drafts: Vec<(Template<'_>, Draft<'_>)> = Vec::new();
    for template in templates(source, &mut names) {
        if !template.view.holds_keys() {
            names.mark_incomplete();
            continue;
        }
        let Some(bindings) = unfold::bindings(template, &source.directories, drafts.len(), faults)
        else {
            names.mark_incomplete();
            continue;
        };
        // Matches of one `for` share their text: a fault is said once, for the first.
        let mut known = BTreeSet::new();
        for binding in bindings {
            let mut found = Faults::default();
            let name = names.declare(template, &binding, &mut found);
            let draft = entry::read(template, &binding, &pools, &mut found);
            if let Some(name) = name {
                drafts.push((
                    template,
                    Draft {
                        name: Some(name),
                        ..draft
                    },
                ));
            }
            let fresh: Vec<_> = found
                .into_vec()
                .into_iter()
                .filter(|fault| !known.contains(&fault.at))
                .collect();
            known.extend(fresh.iter().map(|fault| fault.at.clone()));
            faults.append(fresh);
        }
    }
    names.check_prefixes(faults);
    let mut by_name = BTreeMap::new();
    for (template, mut draft) in drafts {
        needs::resolve(template, &mut draft, &names, faults);
        if let Some(name) = draft.name {
            by_name.insert(name, draft.config);
        }
    }
    Operations { names, by_name }
}

fn templates<'a>(source: &'a Source, names: &mut Names) -> Vec<Template<'a>> {
    let files = std::iter::once((&source.main, false))
        .chain(source.included.iter().map(|file| (file, true)));
    let mut templates = Vec::new();
    for (document, included) in files {
        let operations = document.view().and_then(|root| root.get("operations"));
        if operations.is_some_and(|operations| !operations.holds_keys()) {
            names.mark_incomplete();
        }
        let directory = if included { document.directory() } else { "" };
        let entries = operations.iter().flat_map(View::entries);
        templates.extend(entries.map(|view| Template {
            view,
            directory,
            included,
        }));
    }
    templates
}

fn pools(main: &Document) -> BTreeSet<&str> {
    let pools = main.view().and_then(|root| root.get("pools"));
    pools
        .iter()
        .flat_map(View::entries)
        .map(|pool| pool.key())
        .collect()
}
