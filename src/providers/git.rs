//! The commit that is checked out, for the record of a release; in no key and in no plan.
#![expect(clippy::disallowed_methods, reason = "effects: asks the `git` program")]

use std::path::Path;
use std::process::{Command, Stdio};

/// Returns the full hash of the commit at `HEAD`; `None` without git, outside a checkout, or before the first commit.
pub fn head(project: &Path) -> Option<String> {
    let output = Command::new("git")
        .args(["rev-parse", "--verify", "--quiet", "HEAD"])
        .current_dir(project)
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .output()
        .ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let hash = text.trim();
    let is_hash =
        matches!(hash.len(), 40 | 64) && hash.bytes().all(|byte| byte.is_ascii_hexdigit());
    (output.status.success() && is_hash).then(|| hash.to_owned())
}
