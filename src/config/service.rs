//! `services` -> `ServiceConfig`.

use std::collections::BTreeMap;

use crate::name::ServiceName;

use super::fault::Faults;
use super::node::View;
use super::operation::Operations;
use super::{CommandLine, Location, ServiceConfig, ServiceSource, Spanned, environment, nearest};

/// Reads all services; what no command can use yet goes into `reserved`.
pub(super) fn read(
    root: View<'_>,
    operations: &Operations,
    reserved: &mut BTreeMap<String, Location>,
    faults: &mut Faults,
) -> BTreeMap<ServiceName, ServiceConfig> {
    let mut services = BTreeMap::new();
    for view in root.get("services").iter().flat_map(View::entries) {
        for key in ["image", "rollout"] {
            if let Some(entry) = view.get(key) {
                reserved.insert(format!("services.{}.{key}", view.key()), entry.key_at());
            }
        }
        environment::check_rollout(view, faults);
        check_role(root, view, faults);
        check_image(root, view, faults);
        let source = source(view, operations, faults);
        match view.key().parse() {
            Ok(name) => {
                let role = view.text_of("role").map(str::to_owned);
                services.insert(
                    name,
                    ServiceConfig {
                        at: view.key_at(),
                        source,
                        role,
                    },
                );
            }
            Err(error) => faults.add(view.key_at(), error),
        }
    }
    services
}

fn source(view: View<'_>, operations: &Operations, faults: &mut Faults) -> ServiceSource {
    let Some(artifact) = view.get("artifact") else {
        return ServiceSource::Container;
    };
    if let Some(image) = view.get("image") {
        let later = std::cmp::max_by_key(artifact, image, |view| {
            let at = view.key_at();
            (at.line, at.column)
        });
        faults.advise(
            later.key_at(),
            "a service has `artifact` or `image`, not both",
            "remove one of them".to_owned(),
        );
    }
    let Some(text) = artifact.text() else {
        return ServiceSource::Container;
    };
    let Some(name) = operations.names.resolve(text, "", artifact, faults) else {
        return ServiceSource::Container;
    };
    if let Some(operation) = operations.by_name.get(&name)
        && operation.outputs.is_empty()
        && operation.command != CommandLine::Fetch
    {
        faults.advise(
            artifact.at(),
            format_args!("operation `{name}` has no outputs to place"),
            format!("declare `outputs` of `{name}`"),
        );
    }
    ServiceSource::Artifact(Spanned {
        value: name,
        at: artifact.at(),
    })
}

fn check_image(root: View<'_>, view: View<'_>, faults: &mut Faults) {
    let Some((image, name)) = view
        .get("image")
        .and_then(|image| Some((image, image.text()?)))
    else {
        return;
    };
    let images = root.get("images");
    if images.and_then(|images| images.get(name)).is_none() {
        let known = images
            .iter()
            .flat_map(View::entries)
            .map(|image| image.key())
            .collect::<Vec<_>>();
        let hint = nearest::suggest(name, known.iter().copied(), "images");
        faults.advise(image.at(), format_args!("unknown image `{name}`"), hint);
    }
}

fn check_role(root: View<'_>, view: View<'_>, faults: &mut Faults) {
    let (Some(hosts), Some(role)) = (root.get("hosts"), view.get("role")) else {
        return;
    };
    let Some(name) = role.text() else {
        return;
    };
    if hosts.get(name).is_none() {
        let known = hosts.entries().map(|host| host.key()).collect::<Vec<_>>();
        let hint = nearest::suggest(name, known.iter().copied(), "roles");
        faults.advise(
            role.at(),
            format_args!("role `{name}` is not in `hosts`"),
            hint,
        );
    }
}
