//! One unfolding of one entry of `operations` -> `OperationConfig`.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use crate::name::OperationName;

use super::super::fault::{Alternatives, Faults};
use super::super::node::View;
use super::super::{
    CommandLine, Location, OperationConfig, Resources, nearest, quantity, reference,
};
use super::needs::{self, Wanted};
use super::unfold::Binding;
use super::{Template, paths, variables};

const DEFAULT_TIMEOUT: Duration = Duration::from_secs(3600);
/// Keys that a download has no use for.
const NOT_WITH_FETCH: [&str; 11] = [
    "cache",
    "env",
    "inputs",
    "needs",
    "network",
    "outputs",
    "pass_env",
    "resources",
    "root",
    "tools",
    "workdir",
];

/// An operation whose references are not looked up yet.
pub(super) struct Draft<'a> {
    pub(super) name: Option<OperationName>,
    pub(super) config: OperationConfig,
    pub(super) wanted: Vec<Wanted<'a>>,
    /// `root`, where it names an operation.
    pub(super) root: Option<(View<'a>, String)>,
}

/// Reads one unfolding. Where a part has a fault, which is reported, the draft holds a default.
pub(super) fn read<'a>(
    template: Template<'a>,
    binding: &Binding<'_>,
    pools: &BTreeSet<&str>,
    faults: &mut Faults,
) -> Draft<'a> {
    let view = template.view;
    let mut reserved = BTreeMap::new();
    let command = command(view, binding, &mut reserved, faults);
    let root = root(view, &mut reserved, faults);
    let config = OperationConfig {
        at: view.key_at(),
        description: view.text_of("description").map(|text| binding.fill(text)),
        command,
        workdir: paths::workdir(template, binding, faults),
        inputs: paths::inputs(template, binding, faults),
        outputs: paths::outputs(template, binding, faults),
        needs: Vec::new(),
        tools: variables::tools(view, faults),
        env: variables::env(view, binding, faults),
        pass_env: variables::pass_env(view, faults),
        timeout: timeout(view, faults),
        retries: view.integer_of("retries").unwrap_or(0),
        cache: view.flag_of("cache").unwrap_or(true),
        network: view.flag_of("network").unwrap_or(false),
        resources: resources(view, pools, &mut reserved, faults),
        export: view.flag_of("export").unwrap_or(false),
        reserved,
    };
    Draft {
        name: None,
        config,
        wanted: needs::read(view, binding, faults),
        root,
    }
}

fn command(
    view: View<'_>,
    binding: &Binding<'_>,
    reserved: &mut BTreeMap<String, Location>,
    faults: &mut Faults,
) -> CommandLine {
    let alternatives = Alternatives {
        keys: &["command", "script", "fetch"],
        none: "an operation needs a `command`, a `script` or a `fetch`",
        add: "add one of them",
        one: "an operation has one of `command`, `script` and `fetch`",
    };
    match alternatives.choose(view, faults) {
        Some(way) if way.key() == "script" => script(way, binding, faults),
        Some(way) if way.key() == "fetch" => {
            reserved.insert("fetch".to_owned(), way.key_at());
            fetch(view, way, faults);
            CommandLine::Fetch
        }
        Some(way) => argv(way, binding, faults),
        None => CommandLine::Fetch,
    }
}

fn argv(way: View<'_>, binding: &Binding<'_>, faults: &mut Faults) -> CommandLine {
    check_argv(way, faults);
    CommandLine::Argv(
        way.items()
            .filter_map(|item| item.text())
            .map(|text| binding.fill(text))
            .collect(),
    )
}

/// Reports a command line without a program.
pub(in super::super) fn check_argv(way: View<'_>, faults: &mut Faults) {
    let mut items = way.items();
    match items.next() {
        None if matches!(way.node.value, super::super::node::Value::List(_)) => {
            faults.add(
                way.at(),
                format_args!("`{}` must be a non-empty list", way.key()),
            );
        }
        Some(program) if program.text() == Some("") => {
            faults.add(program.at(), "a program's name must be non-empty");
        }
        _ => {}
    }
}

fn script(way: View<'_>, binding: &Binding<'_>, faults: &mut Faults) -> CommandLine {
    let text = way.text().unwrap_or_default();
    if way.text().is_some_and(|text| text.trim().is_empty()) {
        faults.add(way.at(), "`script` must be non-empty");
    }
    CommandLine::Script(binding.fill(text))
}

fn fetch(view: View<'_>, way: View<'_>, faults: &mut Faults) {
    for key in NOT_WITH_FETCH {
        if let Some(other) = view.get(key) {
            faults.advise(
                other.key_at(),
                format_args!("`{key}` has no meaning beside `fetch`"),
                "remove it".to_owned(),
            );
        }
    }
    if let Some(url) = way.get("url")
        && let Some(text) = url.text()
        && !reference::is_url(text, &["http", "https"])
    {
        faults.add(
            url.at(),
            format_args!("`{text}` is not an http or https URL"),
        );
    }
    if let Some(digest) = way.get("sha256")
        && let Some(text) = digest.text()
        && !reference::is_sha256(text)
    {
        faults.add(
            digest.at(),
            "`sha256` must be 64 lower-case hexadecimal digits",
        );
    }
}

fn timeout(view: View<'_>, faults: &mut Faults) -> Duration {
    let Some(timeout) = view.get("timeout") else {
        return DEFAULT_TIMEOUT;
    };
    let read = timeout
        .text()
        .and_then(|text| quantity::duration(text).ok());
    if read == Some(Duration::ZERO) {
        faults.add(timeout.at(), "`timeout` must be longer than nothing");
    }
    read.unwrap_or(DEFAULT_TIMEOUT)
}

fn resources(
    view: View<'_>,
    pools: &BTreeSet<&str>,
    reserved: &mut BTreeMap<String, Location>,
    faults: &mut Faults,
) -> Resources {
    let Some(resources) = view.get("resources") else {
        return Resources {
            cpu: 1,
            memory: None,
        };
    };
    if let Some(pool) = resources.get("pool")
        && let Some(name) = pool.text()
    {
        reserved.insert("resources.pool".to_owned(), pool.key_at());
        if !pools.contains(name) {
            let hint = nearest::suggest(name, pools.iter().copied(), "pools");
            faults.advise(pool.at(), format_args!("unknown pool `{name}`"), hint);
        }
    }
    let memory = resources
        .text_of("memory")
        .and_then(|text| quantity::size(text).ok());
    if let Some(view) = resources.get("memory")
        && memory == Some(0)
    {
        faults.add(view.at(), "`memory` must be more than nothing");
    }
    Resources {
        cpu: resources.integer_of("cpu").unwrap_or(1),
        memory,
    }
}

/// Reads `root`; returns it where it is the name of an operation.
fn root<'a>(
    view: View<'a>,
    reserved: &mut BTreeMap<String, Location>,
    faults: &mut Faults,
) -> Option<(View<'a>, String)> {
    let root = view.get("root")?;
    reserved.insert("root".to_owned(), root.key_at());
    let text = root.text()?;
    if !text.contains(['@', ':']) {
        return Some((root, text.to_owned()));
    }
    if !reference::is_pinned(text) {
        faults.advise(
            root.at(),
            format_args!("`{text}` is not an image by digest"),
            "write `name@sha256:…`, or the name of an operation".to_owned(),
        );
    }
    None
}
