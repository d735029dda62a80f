//! The existing path that a misspelt one most likely means.
//! Reads the one directory in which the path goes wrong; offers nothing that is not clearly near.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Dir, Mode, OFlags};

use super::glob::NEVER;
use crate::config::nearest::nearest as nearest_name;

/// Returns the existing path that differs from `path` in one name by a few letters.
pub(super) fn nearest(project: &OwnedFd, path: &str) -> Option<String> {
    let exists = |path: &str| rustix::fs::statat(project, path, AtFlags::SYMLINK_NOFOLLOW).is_ok();
    let mut good = "";
    for (end, _) in path.match_indices('/').chain([(path.len(), "")]) {
        if exists(&path[..end]) {
            good = &path[..end];
            continue;
        }
        let start = if good.is_empty() { 0 } else { good.len() + 1 };
        let (wrong, rest) = (&path[start..end], &path[end..]);
        let spelt = |name: &str| [&path[..start], name, rest].concat();
        let mut names = names(project, good)?;
        names.retain(|name| !NEVER.contains(&name.as_str()) && exists(&spelt(name)));
        return nearest_name(wrong, names.iter().map(String::as_str)).map(spelt);
    }
    None
}

fn names(project: &OwnedFd, directory: &str) -> Option<Vec<String>> {
    let path = if directory.is_empty() { "." } else { directory };
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = rustix::fs::openat(project, path, flags, Mode::empty()).ok()?;
    let entries = Dir::read_from(&directory).ok()?;
    let names =
        entries.filter_map(|entry| entry.ok()?.file_name().to_str().ok().map(str::to_owned));
    Some(names.filter(|name| name != "." && name != "..").collect())
}
