//! `images`: held against its rules; nothing assembles them yet, so nothing is kept but that they are there.

use crate::name::ServiceName;

use super::fault::Faults;
use super::node::View;
use super::operation::{Operations, check_argv, read_env};
use super::{glob, path, reference};

/// Reports every fault of `images`.
pub(super) fn check(root: View<'_>, operations: &Operations, faults: &mut Faults) {
    for image in root.get("images").iter().flat_map(View::entries) {
        // An image and the service that runs it share their rule for names.
        if let Err(error) = image.key().parse::<ServiceName>() {
            faults.add(
                image.key_at(),
                error.to_string().replacen("service name", "image name", 1),
            );
        }
        check_base(image, faults);
        for layer in image.get("layers").iter().flat_map(View::items) {
            check_layer(layer, operations, faults);
        }
        for argv in [
            image.get("entrypoint"),
            image.find(&["healthcheck", "command"]),
        ]
        .into_iter()
        .flatten()
        {
            check_argv(argv, faults);
        }
        read_env(image.get("env"), faults);
        if let Some(user) = image.get("user")
            && user
                .text()
                .is_some_and(|text| text.is_empty() || text.contains(char::is_whitespace))
        {
            faults.add(user.at(), "`user` must be a user or `user:group`");
        }
    }
}

fn check_base(image: View<'_>, faults: &mut Faults) {
    let Some((base, text)) = image
        .get("base")
        .and_then(|base| Some((base, base.text()?)))
    else {
        return;
    };
    if text != "scratch" && !reference::is_pinned(text) && !reference::is_tagged(text) {
        faults.advise(
            base.at(),
            format_args!("`{text}` is not an image"),
            "write `scratch`, `name@sha256:…` or `name:tag`".to_owned(),
        );
    }
}

fn check_layer(layer: View<'_>, operations: &Operations, faults: &mut Faults) {
    let from = layer.get("from");
    let path = layer.get("path");
    if from.is_none() && path.is_none() && layer.is_map() {
        faults.advise(
            layer.at(),
            "a layer holds nothing",
            "name an operation with `from`, or source files with `path`".to_owned(),
        );
    }
    if let Some((from, text)) = from.and_then(|from| Some((from, from.text()?))) {
        operations.names.resolve(text, "", from, faults);
    }
    if let Some((view, text)) = path.and_then(|path| Some((path, path.text()?))) {
        let text = text.strip_suffix('/').unwrap_or(text);
        if let Some(path) = path::inside(text, view, faults)
            && !glob::is_literal(path.as_str())
        {
            faults.add(
                view.at(),
                format_args!("path `{path}` names one file or directory; no globs here"),
            );
        }
    }
    if let Some((to, text)) = layer.get("to").and_then(|to| Some((to, to.text()?)))
        && !is_absolute(text)
    {
        faults.add(
            to.at(),
            format_args!("`{text}` must be an absolute path without `.` or `..` parts"),
        );
    }
}

fn is_absolute(text: &str) -> bool {
    text.strip_prefix('/').is_some_and(|rest| {
        rest.is_empty()
            || rest
                .trim_end_matches('/')
                .split('/')
                .all(|part| !matches!(part, "" | "." | ".."))
    })
}
