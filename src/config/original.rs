//! The sections that came with the original schema: held against its rules, in its words.
//! No command uses them yet, so nothing is kept but that they are there.

mod databases;
mod migrations;
mod provider;

use super::fault::Faults;
use super::node::View;
use super::operation::{check_argv, check_name};

/// The sections that are validated here.
pub(super) const SECTIONS: [&str; 12] = [
    "backend",
    "ci",
    "cloud",
    "databases",
    "dev",
    "frontend",
    "hosts",
    "infra",
    "migrations",
    "network",
    "secrets",
    "terraform",
];
const ENGINES: [&str; 1] = ["raw"];
const BACKENDS: [&str; 2] = ["encore-ts", "generic"];
const FRONTENDS: [&str; 1] = ["generic"];
const NETWORKS: [&str; 1] = ["tailscale"];
const CLOUDS: [&str; 1] = ["digitalocean"];

/// Reports every fault of the original sections.
pub(super) fn check(root: View<'_>, faults: &mut Faults) {
    for (section, known) in [
        ("backend", &BACKENDS[..]),
        ("frontend", &FRONTENDS),
        ("network", &NETWORKS),
        ("cloud", &CLOUDS),
    ] {
        if let Some(view) = root.get(section).filter(View::holds_keys) {
            provider::check_required(view, section, known, faults);
        }
    }
    for (section, known) in [("secrets", "envfile"), ("ci", "github")] {
        if let Some(view) = root
            .get(section)
            .and_then(|section| section.get("provider"))
        {
            provider::check_known(view, section, &[known], faults);
        }
    }
    provider::check_built_in(root, faults);
    migrations::check(root, faults);
    databases::check(root, faults);
    check_hosts(root, faults);
    check_infra(root, faults);
    check_terraform(root, faults);
}

fn check_hosts(root: View<'_>, faults: &mut Faults) {
    for role in root.get("hosts").iter().flat_map(View::entries) {
        if role.key().is_empty() {
            faults.add(role.key_at(), "a role's name must be non-empty");
        }
        for host in role.items().filter(|host| host.text() == Some("")) {
            faults.add(
                host.at(),
                format_args!("hosts.{}: a host's name must be non-empty", role.key()),
            );
        }
    }
}

fn check_infra(root: View<'_>, faults: &mut Faults) {
    if let Some(view) = root.find(&["infra", "bootstrap", "network", "provider"]) {
        provider::check_known(view, "network", &NETWORKS, faults);
    }
}

fn check_terraform(root: View<'_>, faults: &mut Faults) {
    for variable in root
        .find(&["terraform", "env"])
        .iter()
        .flat_map(View::entries)
    {
        check_name(variable.key(), variable.key_at(), faults);
    }
}

/// Reports a `command` without a program and variables that cannot be, in a `dev` block.
fn check_dev(view: View<'_>, faults: &mut Faults) {
    if let Some(command) = view.get("command") {
        check_argv(command, faults);
    }
    for variable in view.get("env").iter().flat_map(View::entries) {
        check_name(variable.key(), variable.key_at(), faults);
    }
}

/// Reports a value that must name an environment variable and does not.
fn check_variable(view: Option<View<'_>>, faults: &mut Faults) {
    if let Some(view) = view
        && let Some(name) = view.text()
    {
        check_name(name, view.at(), faults);
    }
}
