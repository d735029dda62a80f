//! Paths as people write them, and the spelling to write instead of a refused one.

use crate::name::ProjectPath;

use super::fault::Faults;
use super::node::View;

/// Returns the path without a leading `./`, empty and `.` parts and trailing slashes; none for a
/// path that is absolute or climbs, whose meaning a shorter spelling would change.
pub(super) fn tidy(text: &str) -> Option<String> {
    if text.starts_with('/') || text.split('/').any(|part| part == "..") {
        return None;
    }
    let parts: Vec<&str> = text
        .split('/')
        .filter(|part| !matches!(*part, "" | "."))
        .collect();
    Some(parts.join("/"))
}

/// Reads a path inside the project; the root itself is refused.
pub(super) fn inside(text: &str, view: View<'_>, faults: &mut Faults) -> Option<ProjectPath> {
    match text.parse::<ProjectPath>() {
        Ok(path) if !path.is_root() => Some(path),
        Ok(_) => {
            faults.add(view.at(), "the path must be non-empty");
            None
        }
        Err(error) => {
            let hint = tidy(text)
                .filter(|tidy| !tidy.is_empty())
                .map(|tidy| format!("write `{tidy}`"));
            faults.advise(view.at(), error, hint);
            None
        }
    }
}
