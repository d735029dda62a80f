//! `Listing`: what is in a staged tree, by path, before and after a run.
//! Never follows a symlink. Gives itself the permissions that a command took away.
#![expect(
    clippy::disallowed_methods,
    reason = "effects: walks the scratch directory"
)]

use std::collections::BTreeMap;
use std::fs;
use std::io;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::Path;

use rustix::fs::{AtFlags, CWD, Timespec, Timestamps};

use crate::sandbox::environment::EPOCH;

/// Everything below a tree, by path from its root; the root itself is not in it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Listing {
    /// The entries, sorted by path.
    pub(crate) entries: BTreeMap<String, Entry>,
}

/// One file, directory or symlink.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Entry {
    /// What it is.
    pub(crate) sort: Sort,
    /// Inode, size, and the times of the last change of bytes and of status: one differs when a file was written.
    trace: (u64, u64, (i64, i64), (i64, i64)),
}

/// The sorts of entry that matter here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Sort {
    /// A directory.
    Directory,
    /// A regular file or a symlink.
    File,
    /// A pipe, socket or device, which no output can be.
    Other,
}

impl Entry {
    fn of(status: &fs::Metadata) -> Self {
        let kind = status.file_type();
        let sort = if kind.is_dir() {
            Sort::Directory
        } else if kind.is_file() || kind.is_symlink() {
            Sort::File
        } else {
            Sort::Other
        };
        let trace = (
            status.ino(),
            status.size(),
            (status.mtime(), status.mtime_nsec()),
            (status.ctime(), status.ctime_nsec()),
        );
        Self { sort, trace }
    }
}

/// Gives every entry below `tree` one fixed time, and lists them.
pub(crate) fn settle(tree: &Path) -> io::Result<Listing> {
    let time = Timespec {
        tv_sec: i64::from(EPOCH),
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    walk(tree, &mut |path| {
        Ok(rustix::fs::utimensat(
            CWD,
            path,
            &times,
            AtFlags::SYMLINK_NOFOLLOW,
        )?)
    })
}

/// Lists what is below `tree`; a name that is not UTF-8 appears with `U+FFFD` in it.
pub(crate) fn list(tree: &Path) -> io::Result<Listing> {
    walk(tree, &mut |_| Ok(()))
}

type Visit<'v> = &'v mut dyn FnMut(&Path) -> io::Result<()>;

fn walk(tree: &Path, visit: Visit<'_>) -> io::Result<Listing> {
    let mut listing = Listing::default();
    let mut pending = vec![(tree.to_owned(), String::new())];
    while let Some((directory, prefix)) = pending.pop() {
        for child in fs::read_dir(&directory)? {
            let child = child?;
            let path = child.path();
            visit(&path)?;
            let mut status = fs::symlink_metadata(&path)?;
            let needed = if status.is_dir() { 0o700 } else { 0o400 };
            let mode = status.mode() & 0o7777;
            if !status.is_symlink() && mode & needed != needed {
                fs::set_permissions(&path, fs::Permissions::from_mode(mode | needed))?;
                status = fs::symlink_metadata(&path)?;
            }
            let name = format!("{prefix}{}", child.file_name().to_string_lossy());
            if status.is_dir() {
                pending.push((path, format!("{name}/")));
            }
            listing.entries.insert(name, Entry::of(&status));
        }
    }
    Ok(listing)
}
