//! `sandbox`, `store` and `pools`: how this machine runs operations and keeps their results.

use super::fault::Faults;
use super::node::View;
use super::{SandboxConfig, StoreConfig, quantity};

/// Reads `sandbox`.
pub(super) fn sandbox(root: View<'_>, faults: &mut Faults) -> SandboxConfig {
    let Some(view) = root.get("sandbox") else {
        return SandboxConfig::default();
    };
    let level: Option<u8> = view.integer_of("level");
    let require: u8 = view.integer_of("require").unwrap_or(0);
    if let (Some(level), Some(place)) = (level, view.get("require"))
        && require > level
    {
        faults.advise(
            place.at(),
            format_args!("level {require} is required, but operations run at level {level}"),
            "raise `level`, or lower `require`".to_owned(),
        );
    }
    SandboxConfig {
        level,
        require,
        base_trusted: view.text_of("base") == Some("trusted"),
        undeclared_writes_are_errors: view.text_of("undeclared_writes") == Some("error"),
    }
}

/// Reads `store`.
pub(super) fn store(root: View<'_>) -> StoreConfig {
    let default = StoreConfig::default();
    let Some(view) = root.get("store") else {
        return default;
    };
    let text = |key| view.text_of(key);
    StoreConfig {
        max_size: text("max_size")
            .and_then(|text| quantity::size(text).ok())
            .unwrap_or(default.max_size),
        max_age: text("max_age")
            .and_then(|text| quantity::duration(text).ok())
            .unwrap_or(default.max_age),
        min_free_percent: text("min_free")
            .and_then(|text| quantity::percent(text).ok())
            .unwrap_or(default.min_free_percent),
    }
}

/// Reports pools without a usable name.
pub(super) fn check_pools(root: View<'_>, faults: &mut Faults) {
    for pool in root.get("pools").iter().flat_map(View::entries) {
        if pool.key().is_empty() {
            faults.add(pool.key_at(), "a pool's name must be non-empty");
        }
    }
}
