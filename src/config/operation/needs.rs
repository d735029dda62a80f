//! `needs`: whose output trees an operation sees, and where.

use crate::name::ProjectPath;

use super::super::fault::Faults;
use super::super::node::View;
use super::super::{Need, path};
use super::Template;
use super::entry::Draft;
use super::names::Names;
use super::unfold::Binding;

/// An entry of `needs` whose name is not looked up yet.
#[derive(Debug)]
pub(super) struct Wanted<'a> {
    view: View<'a>,
    name: String,
    mount: Option<ProjectPath>,
}

/// Reads `needs` and refuses mounts that hide one another.
pub(super) fn read<'a>(
    view: View<'a>,
    binding: &Binding<'_>,
    faults: &mut Faults,
) -> Vec<Wanted<'a>> {
    let Some(needs) = view.get("needs") else {
        return Vec::new();
    };
    let mut wanted: Vec<Wanted<'a>> = Vec::new();
    for view in needs.items() {
        let name = view
            .text()
            .and_then(|text| binding.fill_path(view.at(), text, faults));
        if let Some(name) = name {
            // A malformed name is no operation's: that fault says enough.
            let mount = format!(".deps/{name}").parse().ok();
            wanted.push(Wanted { view, name, mount });
        }
    }
    for view in needs.entries() {
        let mount = view
            .text()
            .and_then(|text| binding.fill_path(view.at(), text, faults))
            .and_then(|text| path::inside(&text, view, faults));
        if let Some(name) = binding.fill_path(view.key_at(), view.key(), faults) {
            wanted.push(Wanted { view, name, mount });
        }
    }
    check_mounts(&wanted, faults);
    wanted
}

fn check_mounts(wanted: &[Wanted<'_>], faults: &mut Faults) {
    for (index, need) in wanted.iter().enumerate() {
        let Some(mount) = &need.mount else {
            continue;
        };
        let clash = wanted[..index].iter().find_map(|other| {
            let at = other.mount.as_ref()?;
            (at.starts_with(mount) || mount.starts_with(at)).then_some((other, at))
        });
        match clash {
            Some((other, _)) if other.name == need.name => {
                faults.add(
                    need.view.at(),
                    format_args!("operation `{}` is needed twice", need.name),
                );
            }
            Some((other, at)) => faults.advise(
                need.view.at(),
                format_args!(
                    "mount `{mount}` of `{}` overlaps mount `{at}` of `{}`",
                    need.name, other.name
                ),
                "choose paths of which none holds another".to_owned(),
            ),
            None => {}
        }
    }
}

/// Looks up what a draft needs.
pub(super) fn resolve(
    template: Template<'_>,
    draft: &mut Draft<'_>,
    names: &Names,
    faults: &mut Faults,
) {
    for wanted in std::mem::take(&mut draft.wanted) {
        let found = names.resolve(&wanted.name, template.directory, wanted.view, faults);
        let place = if wanted.view.key().is_empty() {
            wanted.view.at()
        } else {
            wanted.view.key_at()
        };
        if found.is_some() && found == draft.name {
            faults.add(place.clone(), "an operation cannot need itself");
        }
        if let (Some(operation), Some(mount)) = (found, wanted.mount) {
            draft.config.needs.push(Need {
                operation,
                mount,
                at: place,
            });
        }
    }
    draft.config.needs.sort_by(|a, b| a.mount.cmp(&b.mount));
    if let Some((view, text)) = draft.root.take() {
        let found = names.resolve(&text, template.directory, view, faults);
        if found.is_some() && found == draft.name {
            faults.add(view.at(), "an operation cannot be its own root");
        }
    }
}
