//! `<section>.provider` and `<section>.providers`: the four fixed messages, and the rules of the built-in providers.

use super::super::fault::Faults;
use super::super::node::View;
use super::super::{nearest, reference};
use super::{check_dev, check_variable};

/// Reports a section whose provider is missing, unknown, or without configuration.
pub(super) fn check_required(
    view: View<'_>,
    section: &str,
    known: &[&'static str],
    faults: &mut Faults,
) {
    let provider = view.get("provider");
    let selected = provider
        .and_then(|provider| provider.text())
        .unwrap_or_default();
    match provider {
        Some(provider) if !selected.is_empty() => check_known(provider, section, known, faults),
        Some(provider) if provider.text().is_none() && !provider.node.is_null() => {}
        Some(provider) => faults.add(
            provider.at(),
            format_args!("{section}.provider is required"),
        ),
        None => faults.add(
            view.key_at(),
            format_args!("{section}.provider is required"),
        ),
    }
    let Some(providers) = view.get("providers") else {
        faults.add(
            view.key_at(),
            format_args!("{section}.providers is required"),
        );
        return;
    };
    if providers.node.is_null() || (providers.is_map() && providers.node.entries().is_empty()) {
        faults.add(
            providers.key_at(),
            format_args!("{section}.providers is required"),
        );
        return;
    }
    if known.contains(&selected) && providers.is_map() && providers.get(selected).is_none() {
        faults.add(
            providers.key_at(),
            format_args!(
                "{section}.providers.{selected} is missing; provider-specific config is required"
            ),
        );
    }
}

/// Reports a provider that is not built in.
pub(super) fn check_known(
    view: View<'_>,
    section: &str,
    known: &[&'static str],
    faults: &mut Faults,
) {
    let Some(text) = view.text().filter(|text| !known.contains(text)) else {
        return;
    };
    let hint =
        nearest::nearest(text, known.iter().copied()).map(|name| format!("did you mean `{name}`?"));
    faults.advise(
        view.at(),
        format_args!(
            "unknown {section} provider \"{text}\"; available providers: [{}]",
            known.join(" ")
        ),
        hint,
    );
}

/// Reports what is wrong inside the configuration of built-in providers.
pub(super) fn check_built_in(root: View<'_>, faults: &mut Faults) {
    for path in [
        ["backend", "providers", "generic", "dev"],
        ["frontend", "providers", "generic", "dev"],
    ] {
        if let Some(dev) = root.find(&path) {
            check_dev(dev, faults);
        }
    }
    if let Some(listen) = root.find(&["backend", "providers", "encore-ts", "dev", "listen"])
        && let Some(text) = listen.text()
        && !reference::is_host_port(text)
    {
        faults.add(listen.at(), format_args!("`{text}` is not HOST:PORT"));
    }
    let from_env = root.find(&[
        "backend",
        "providers",
        "encore-ts",
        "dev",
        "encore_secrets",
        "from_env",
    ]);
    for variable in from_env.iter().flat_map(View::items) {
        check_variable(Some(variable), faults);
    }
    if let Some(tailscale) = root.find(&["network", "providers", "tailscale"]) {
        check_tailscale(tailscale, faults);
    }
    if let Some(cloud) = root.find(&["cloud", "providers", "digitalocean"]) {
        check_digitalocean(cloud, faults);
    }
}

fn check_tailscale(view: View<'_>, faults: &mut Faults) {
    check_variable(view.get("auth_key_env"), faults);
    if let Some(domain) = view.get("tailnet_domain")
        && domain.text().is_some_and(|text| !text.contains('.'))
    {
        faults.advise(
            domain.at(),
            "`tailnet_domain` must contain a dot",
            "write the tailnet's domain, such as `name.ts.net`".to_owned(),
        );
    }
    let roles = view.get("role_tags");
    let lists = view
        .get("default_tags")
        .into_iter()
        .chain(roles.iter().flat_map(View::entries));
    for tag in lists.flat_map(|list| list.items()) {
        if tag.text().is_some_and(|text| !text.starts_with("tag:")) {
            faults.add(tag.at(), "a tag must start with `tag:`");
        }
    }
    if let Some(version) = view.find(&["install", "min_version"])
        && version.text().is_some_and(|text| !is_version(text))
    {
        faults.add(
            version.at(),
            "`min_version` must be three numbers, such as `1.78.0`",
        );
    }
}

fn is_version(text: &str) -> bool {
    let number = |part: &str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    text.split('.').count() == 3 && text.split('.').all(number)
}

fn check_digitalocean(view: View<'_>, faults: &mut Faults) {
    check_variable(view.get("token_env"), faults);
    let Some(hosts) = view.get("hosts") else {
        return;
    };
    if hosts.is_map() && hosts.node.entries().is_empty() {
        faults.add(hosts.key_at(), "`hosts` must name at least one host");
    }
    for host in hosts
        .entries()
        .flat_map(|environment| environment.entries())
        .filter(View::holds_keys)
    {
        for (key, default, allowed) in [
            ("size", "default_size", "sizes"),
            ("region", "default_region", "regions"),
        ] {
            check_host(view, host, [key, default, allowed], faults);
        }
    }
}

fn check_host(
    view: View<'_>,
    host: View<'_>,
    [key, default, allowed]: [&str; 3],
    faults: &mut Faults,
) {
    let own = host.get(key);
    let Some(chosen) = own.or_else(|| view.get(default)) else {
        faults.advise(
            host.key_at(),
            format_args!("host `{}` has no {key}", host.key()),
            format!("add `{key}` to it, or `{default}` for all"),
        );
        return;
    };
    let Some(list) = view.get(allowed) else {
        return;
    };
    let choices: Vec<&str> = list.items().filter_map(|item| item.text()).collect();
    if let Some(text) = chosen.text()
        && !choices.is_empty()
        && !choices.contains(&text)
    {
        let hint = nearest::suggest(text, choices.iter().copied(), allowed);
        faults.advise(
            chosen.at(),
            format_args!("{key} `{text}` is not in `{allowed}`"),
            hint,
        );
    }
}
