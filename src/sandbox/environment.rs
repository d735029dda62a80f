//! What a command finds whatever the machine: its user, its directories and its variables
//! (`spec/sandbox/contract.md`). Pure. A change here changes what commands see: it is a new contract version.

use std::collections::BTreeMap;

use crate::plan::operation::Run;

/// The user and group that a command at level 2 is.
pub(crate) const UID: u32 = 1000;
/// See [`UID`].
pub(crate) const GID: u32 = 1000;
/// The host name at level 2.
pub(crate) const HOST: &str = "stagecraft";
/// The root of the staged tree at level 2.
pub(crate) const BUILD: &str = "/build";
/// The one directory of PATH at level 2.
pub(crate) const TOOLS: &str = "/tools";
/// HOME at level 2: empty and writable.
pub(crate) const HOME: &str = "/tmp/home";
/// TMPDIR at level 2.
pub(crate) const TEMPORARY: &str = "/tmp";
/// Midnight of 1 January 1980, UTC: the first time that a zip archive can hold.
pub(crate) const EPOCH: u32 = 315_532_800;

/// The paths that differ between levels, as the command sees them.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Places {
    /// The root of the staged tree.
    pub(crate) tree: String,
    /// The one directory of PATH.
    pub(crate) tools: String,
    /// HOME.
    pub(crate) home: String,
    /// TMPDIR.
    pub(crate) temporary: String,
}

impl Places {
    /// Returns those of level 2.
    pub(crate) fn fixed() -> Self {
        Self {
            tree: BUILD.to_owned(),
            tools: TOOLS.to_owned(),
            home: HOME.to_owned(),
            temporary: TEMPORARY.to_owned(),
        }
    }
}

/// Returns every variable of a command: the fixed ones, the caller's that it asked for, and its own, which win.
pub(crate) fn variables(run: &Run, places: &Places) -> Vec<(String, String)> {
    let fixed = [
        ("HOME", places.home.clone()),
        ("LANG", "C.UTF-8".to_owned()),
        ("LOGNAME", "build".to_owned()),
        ("PATH", places.tools.clone()),
        ("SOURCE_DATE_EPOCH", EPOCH.to_string()),
        ("TMPDIR", places.temporary.clone()),
        ("TZ", "UTC".to_owned()),
        ("USER", "build".to_owned()),
    ];
    let mut variables: BTreeMap<String, String> = fixed
        .into_iter()
        .map(|(name, value)| (name.to_owned(), value))
        .collect();
    for (name, value) in run.values.iter().chain(&run.env) {
        variables.insert(name.clone(), value.clone());
    }
    variables.into_iter().collect()
}
