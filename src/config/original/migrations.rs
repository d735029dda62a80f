//! Top-level `migrations`: the newer shape, with overrides by environment.

use std::collections::BTreeSet;

use super::super::fault::Faults;
use super::super::nearest;
use super::super::node::View;
use super::ENGINES;

/// Reports every fault of `migrations`; `enabled: false` silences all but shapes.
pub(super) fn check(root: View<'_>, faults: &mut Faults) {
    let Some(view) = root.get("migrations").filter(View::holds_keys) else {
        return;
    };
    if view.flag_of("enabled") == Some(false) {
        return;
    }
    match view.get("default_engine") {
        Some(engine) if engine.text() != Some("") => check_engine(engine, faults),
        given => {
            let at = given.map_or_else(|| view.key_at(), |engine| engine.at());
            faults.add(
                at,
                "migrations.default_engine is required when migrations.enabled is true",
            );
        }
    }
    check_parts(view, "migrations", faults);
    for environment in view.get("env").map(|env| env.sorted()).unwrap_or_default() {
        let name = environment.key();
        if name.is_empty() {
            faults.add(
                environment.key_at(),
                "migrations.env: environment name must be non-empty",
            );
        }
        if environment.flag_of("enabled") == Some(false) {
            continue;
        }
        if let Some(engine) = environment.get("default_engine") {
            if engine.text() == Some("") {
                faults.add(
                    engine.at(),
                    format_args!("migrations.env.{name}.default_engine must be non-empty when set"),
                );
            } else {
                check_engine(engine, faults);
            }
        }
        check_parts(environment, &format!("migrations.env.{name}"), faults);
    }
}

fn check_engine(view: View<'_>, faults: &mut Faults) {
    let Some(text) = view.text().filter(|text| !ENGINES.contains(text)) else {
        return;
    };
    let hint = nearest::nearest(text, ENGINES).map(|near| format!("did you mean `{near}`?"));
    faults.advise(
        view.at(),
        format_args!(
            "unknown migration engine \"{text}\"; available engines: [{}]",
            ENGINES.join(" ")
        ),
        hint,
    );
}

fn check_parts(view: View<'_>, path: &str, faults: &mut Faults) {
    if let Some(selection) = view.get("selection") {
        check_selection(selection, &format!("{path}.selection"), faults);
    }
    if let Some(sources) = view.get("sources") {
        check_sources(sources, &format!("{path}.sources"), faults);
    }
}

fn check_selection(view: View<'_>, path: &str, faults: &mut Faults) {
    let some = |key| {
        view.get(key)
            .is_some_and(|list: View<'_>| list.items().next().is_some())
    };
    if view.flag_of("all") == Some(true) && (some("ids") || some("tags")) {
        let at = view
            .get("all")
            .map_or_else(|| view.key_at(), |all| all.key_at());
        faults.add(
            at,
            format_args!("{path}: all=true cannot be combined with ids or tags"),
        );
    }
    for key in ["ids", "tags"] {
        check_unique(view, key, path, |text| text.trim().to_owned(), faults);
    }
}

fn check_sources(view: View<'_>, path: &str, faults: &mut Faults) {
    let directory = view.get("raw_sql_dir");
    let files = view.get("raw_sql_files");
    let named = directory.map(|view| ("raw_sql_dir", view)).into_iter();
    let named = named.chain(
        files
            .iter()
            .flat_map(View::items)
            .map(|view| ("raw_sql_files", view)),
    );
    for (key, view) in named {
        let Some(text) = view.text() else {
            continue;
        };
        let text = text.trim().replace('\\', "/");
        if text.is_empty() || text.starts_with(['/', '~']) || has_drive(&text) {
            faults.add(
                view.at(),
                format_args!("{path}.{key} must be a relative path"),
            );
        }
        if text.split('/').any(|part| part == "..") {
            faults.add(
                view.at(),
                format_args!("{path}.{key} must not contain '..' segments"),
            );
        }
    }
    check_unique(
        view,
        "raw_sql_files",
        path,
        |text| text.trim().replace('\\', "/"),
        faults,
    );
}

/// `C:/…` is absolute elsewhere: the same file must mean the same everywhere.
fn has_drive(text: &str) -> bool {
    let bytes = text.as_bytes();
    bytes.len() >= 2 && bytes[0].is_ascii_alphabetic() && bytes[1] == b':'
}

fn check_unique(
    view: View<'_>,
    key: &str,
    path: &str,
    normal: impl Fn(&str) -> String,
    faults: &mut Faults,
) {
    let mut seen = BTreeSet::new();
    for item in view.get(key).iter().flat_map(View::items) {
        if let Some(text) = item.text()
            && !seen.insert(normal(text))
        {
            faults.add(
                item.at(),
                format_args!("{path}.{key} must not contain duplicates"),
            );
        }
    }
}
