//! `databases`: connection variables and migrations, sorted by name.

use super::super::fault::Faults;
use super::super::nearest;
use super::super::node::View;
use super::{ENGINES, check_variable};

const STRATEGIES: [&str; 3] = ["pre_deploy", "post_deploy", "manual"];

/// Reports every fault of `databases`.
pub(super) fn check(root: View<'_>, faults: &mut Faults) {
    let Some(databases) = root.get("databases") else {
        return;
    };
    for database in databases.sorted() {
        if database.key().is_empty() {
            faults.add(database.key_at(), "a database's name must be non-empty");
        }
        check_variable(database.get("connection_env"), faults);
        if let Some(migrations) = database.get("migrations").filter(View::holds_keys) {
            check_migrations(database.key(), migrations, faults);
        }
    }
}

fn check_migrations(name: &str, view: View<'_>, faults: &mut Faults) {
    match absent_or_text(view, "engine") {
        Given::Absent => {
            faults.add(
                view.key_at(),
                format_args!("databases.{name}.migrations.engine is required"),
            );
        }
        Given::Text(engine, "") => {
            faults.add(
                engine.at(),
                format_args!("databases.{name}.migrations.engine is required"),
            );
        }
        Given::Text(engine, text) if !ENGINES.contains(&text) => faults.advise(
            engine.at(),
            format_args!(
                "unknown migration engine \"{text}\" for database {name}; available engines: [{}]",
                ENGINES.join(" ")
            ),
            nearest::nearest(text, ENGINES).map(|near| format!("did you mean `{near}`?")),
        ),
        Given::Text(..) | Given::Wrong => {}
    }
    match absent_or_text(view, "path") {
        Given::Absent => faults.add(
            view.key_at(),
            format_args!("databases.{name}.migrations.path is required"),
        ),
        Given::Text(path, "") => {
            faults.add(
                path.at(),
                format_args!("databases.{name}.migrations.path is required"),
            );
        }
        Given::Text(..) | Given::Wrong => {}
    }
    if let Given::Text(strategy, text) = absent_or_text(view, "strategy")
        && !STRATEGIES.contains(&text)
    {
        faults.advise(
            strategy.at(),
            format_args!(
                "databases.{name}.migrations.strategy must be one of: {}",
                STRATEGIES.join(", ")
            ),
            nearest::nearest(text, STRATEGIES).map(|near| format!("did you mean `{near}`?")),
        );
    }
}

enum Given<'a> {
    Absent,
    Text(View<'a>, &'a str),
    /// Not a string: reported as such already.
    Wrong,
}

fn absent_or_text<'a>(view: View<'a>, key: &str) -> Given<'a> {
    match view.get(key) {
        None => Given::Absent,
        Some(value) => value
            .text()
            .map_or(Given::Wrong, |text| Given::Text(value, text)),
    }
}
