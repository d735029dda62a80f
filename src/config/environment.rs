//! `environments` -> `EnvironmentConfig`, the keys of driver `directory` apart from those of the others.

use std::collections::BTreeMap;
use std::time::Duration;

use crate::name::EnvironmentName;

use super::fault::{Alternatives, Faults};
use super::node::View;
use super::operation::check_argv;
use super::{
    DirectoryDriver, Driver, EnvironmentConfig, HealthCheck, HealthConfig, glob, quantity,
    reference,
};

/// Keys that only driver `directory` reads.
const OF_DIRECTORY: [&str; 3] = ["path", "activate", "health"];
/// Directories that no release may be placed in.
const OWN_DIRECTORIES: [&str; 2] = [".stagecraft", ".git"];

/// Reads all environments.
pub(super) fn read(
    root: View<'_>,
    faults: &mut Faults,
) -> BTreeMap<EnvironmentName, EnvironmentConfig> {
    let mut environments = BTreeMap::new();
    let mut paths: Vec<(&str, String)> = Vec::new();
    let entries = root
        .get("environments")
        .iter()
        .flat_map(View::entries)
        .collect::<Vec<_>>();
    for view in entries.into_iter().filter(View::holds_keys) {
        let config = environment(view, faults);
        if let Driver::Directory(driver) = &config.driver {
            check_path_is_free(view, &driver.path, &paths, faults);
            paths.push((view.key(), driver.path.clone()));
        }
        if view.key().is_empty() {
            faults.add(view.key_at(), "config: environment name must be non-empty");
            continue;
        }
        match view.key().parse() {
            Ok(name) => {
                environments.insert(name, config);
            }
            Err(error) => faults.add(view.key_at(), error),
        }
    }
    environments
}

fn environment(view: View<'_>, faults: &mut Faults) -> EnvironmentConfig {
    let driver = view.get("driver");
    let name = driver.and_then(|driver| driver.text()).unwrap_or_default();
    if name.is_empty()
        && driver.is_none_or(|driver| driver.text().is_some() || driver.node.is_null())
    {
        let at = driver.map_or_else(|| view.key_at(), |driver| driver.at());
        faults.advise(
            at,
            format_args!(
                "config: environment \"{}\": driver must be non-empty",
                view.key()
            ),
            "`driver: directory` places trees below a path of this machine".to_owned(),
        );
    }
    let directory = name == "directory";
    let mut reserved = BTreeMap::new();
    for entry in view.entries() {
        let key = entry.key();
        if OF_DIRECTORY.contains(&key) {
            if !directory && !name.is_empty() {
                faults.add(
                    entry.key_at(),
                    format_args!("`{key}` belongs to driver `directory`, not to `{name}`"),
                );
            }
        } else if key == "driver" && directory {
            // `driver: directory` is built in.
        } else if directory && key != "env_file" && key != "driver" {
            if super::raw::is_environment_key(key) {
                faults.advise(
                    entry.key_at(),
                    format_args!("`{key}` has no meaning with driver `directory`"),
                    "remove it".to_owned(),
                );
            }
        } else {
            reserved.insert(key.to_owned(), entry.key_at());
        }
    }
    check_others(view, faults);
    let driver = if directory {
        Driver::Directory(read_directory(view, faults))
    } else {
        Driver::Other(name.to_owned())
    };
    EnvironmentConfig {
        at: view.key_at(),
        driver,
        reserved,
    }
}

/// Reports what is wrong with the keys of drivers other than `directory`.
fn check_others(view: View<'_>, faults: &mut Faults) {
    if let Some(file) = view.get("env_file")
        && file.text() == Some("")
    {
        faults.add(file.at(), "`env_file` must be non-empty");
    }
    if let Some(project) = view.get("compose_project")
        && let Some(text) = project.text()
        && (!reference::is_repository(text) || text.contains(['/', '.', ':']))
    {
        faults.advise(
            project.at(),
            format_args!("`{text}` is not a Compose project name"),
            "use lower-case letters, digits, `-` and `_`".to_owned(),
        );
    }
    check_rollout(view, faults);
}

/// Reports what is wrong with `rollout` of an environment or a service.
pub(super) fn check_rollout(view: View<'_>, faults: &mut Faults) {
    let Some(gate) = view.find(&["rollout", "gate"]) else {
        return;
    };
    let ways: Vec<View<'_>> = ["docker", "http", "tcp", "exec", "stable_for"]
        .iter()
        .filter_map(|key| gate.get(key))
        .collect();
    for other in ways.iter().skip(1) {
        faults.advise(
            other.key_at(),
            format_args!("`{}` stands beside `{}`", other.key(), ways[0].key()),
            "a gate asks one thing".to_owned(),
        );
    }
    if let Some(exec) = gate.get("exec") {
        check_argv(exec, faults);
    }
}

fn read_directory(view: View<'_>, faults: &mut Faults) -> DirectoryDriver {
    let activate = view.get("activate").map(|activate| {
        check_argv(activate, faults);
        activate
            .items()
            .filter_map(|item| item.text())
            .map(str::to_owned)
            .collect()
    });
    DirectoryDriver {
        path: directory_path(view, faults),
        activate,
        health: view
            .get("health")
            .and_then(|health| read_health(health, faults)),
    }
}

fn directory_path(view: View<'_>, faults: &mut Faults) -> String {
    let Some(path) = view.get("path") else {
        faults.advise(
            view.key_at(),
            format_args!(
                "config: environment \"{}\": driver `directory` needs a `path`",
                view.key()
            ),
            "name the directory that releases are placed in, such as `path: ./deploy`".to_owned(),
        );
        return String::new();
    };
    let Some(text) = path.text() else {
        return String::new();
    };
    if text.split('/').any(|part| part == "..") {
        faults.advise(
            path.at(),
            format_args!("path `{text}` has a `..` part"),
            "write a path below the project root, or an absolute one".to_owned(),
        );
        return String::new();
    }
    let parts: Vec<&str> = text
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    let absolute = text.starts_with('/');
    let whole = if absolute {
        "the whole file system"
    } else {
        "the project root"
    };
    match parts.first() {
        None if text.is_empty() => faults.add(path.at(), "`path` must be non-empty"),
        None => faults.advise(
            path.at(),
            format_args!("releases cannot be placed in {whole} itself"),
            "name a directory below it, such as `./deploy`".to_owned(),
        ),
        Some(first) if !absolute && OWN_DIRECTORIES.contains(first) => {
            faults.add(
                path.at(),
                format_args!("releases cannot be placed in `{first}`"),
            );
        }
        Some(_) => {}
    }
    format!("{}{}", if absolute { "/" } else { "" }, parts.join("/"))
}

fn check_path_is_free(view: View<'_>, path: &str, taken: &[(&str, String)], faults: &mut Faults) {
    let Some(at) = view
        .get("path")
        .map(|path| path.at())
        .filter(|_| !path.is_empty())
    else {
        return;
    };
    for (other, theirs) in taken.iter().filter(|(_, theirs)| !theirs.is_empty()) {
        if theirs == path {
            faults.add(
                at.clone(),
                format_args!("environment \"{other}\" has the path `{path}` already"),
            );
        } else if glob::within(path, theirs) || glob::within(theirs, path) {
            faults.advise(
                at.clone(),
                format_args!(
                    "path `{path}` and path `{theirs}` of environment \"{other}\" hold one another"
                ),
                "give each environment a directory of its own".to_owned(),
            );
        }
    }
}

fn read_health(view: View<'_>, faults: &mut Faults) -> Option<HealthConfig> {
    if !view.holds_keys() {
        return None;
    }
    let alternatives = Alternatives {
        keys: &["http", "tcp", "exec"],
        none: "`health` asks nothing",
        add: "add one of `http`, `tcp` and `exec`",
        one: "`health` asks one of `http`, `tcp` and `exec`",
    };
    let way = alternatives.choose(view, faults);
    let interval = positive(view, "interval", Duration::from_secs(1), faults);
    let deadline = positive(view, "deadline", Duration::from_secs(60), faults);
    let samples: u32 = view.integer_of("samples").unwrap_or(1);
    let asked = interval.saturating_mul(samples.saturating_sub(1));
    if asked > deadline {
        let place = ["deadline", "samples", "interval"]
            .iter()
            .find_map(|key| view.get(key))
            .unwrap_or(view);
        faults.advise(
            place.at(),
            format_args!("{samples} samples, {interval:?} apart, cannot end before the deadline of {deadline:?}"),
            "raise `deadline`, or lower `samples` or `interval`".to_owned(),
        );
    }
    let check = way.and_then(|way| health_check(way, faults))?;
    Some(HealthConfig {
        check,
        interval,
        samples,
        deadline,
    })
}

fn positive(view: View<'_>, key: &str, default: Duration, faults: &mut Faults) -> Duration {
    let read = view
        .text_of(key)
        .and_then(|text| quantity::duration(text).ok());
    if let Some(place) = view.get(key)
        && read == Some(Duration::ZERO)
    {
        faults.add(
            place.at(),
            format_args!("`{key}` must be longer than nothing"),
        );
    }
    read.unwrap_or(default)
}

fn health_check(way: View<'_>, faults: &mut Faults) -> Option<HealthCheck> {
    if way.key() == "exec" {
        check_argv(way, faults);
        return Some(HealthCheck::Exec(
            way.items()
                .filter_map(|item| item.text())
                .map(str::to_owned)
                .collect(),
        ));
    }
    let text = way.text()?;
    if way.key() == "http" {
        if !reference::is_url(text, &["http"]) {
            let hint = text
                .starts_with("https://")
                .then(|| "ask over TLS with a program: `exec`".to_owned());
            faults.advise(way.at(), format_args!("`{text}` is not an http URL"), hint);
        }
        return Some(HealthCheck::Http(text.to_owned()));
    }
    if !reference::is_host_port(text) {
        faults.add(way.at(), format_args!("`{text}` is not HOST:PORT"));
    }
    Some(HealthCheck::Tcp(text.to_owned()))
}
