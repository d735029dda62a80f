//! The existing path that a misspelt one most likely means.
//! Reads the one directory in which the path goes wrong; offers nothing that is not clearly near.

use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, Dir, Mode, OFlags};

use super::glob::NEVER;

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
        let named = |name: &str| [&path[..start], name, rest].concat();
        let mut names = names(project, good)?;
        names.retain(|name| !NEVER.contains(&name.as_str()) && exists(&named(name)));
        let name = names
            .into_iter()
            .map(|name| (distance(wrong, &name), name))
            .min()?;
        return (name.0 <= wrong.chars().count().div_ceil(3)).then(|| named(&name.1));
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

/// Levenshtein's: letters inserted, left out or replaced.
fn distance(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (line, letter) in one.chars().enumerate() {
        let mut diagonal = line;
        row[0] = line + 1;
        for (column, candidate) in other.iter().enumerate() {
            let replaced = diagonal + usize::from(letter != *candidate);
            diagonal = row[column + 1];
            row[column + 1] = replaced.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::distance;

    #[test]
    fn distance_counts_letters() {
        assert_eq!(distance("", "abc"), 3);
        assert_eq!(distance("main.c", "main.c"), 0);
        assert_eq!(distance("mian.c", "main.c"), 2);
        assert_eq!(distance("src", "srcs"), 1);
    }
}
