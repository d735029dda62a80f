//! Trees on a target: materialised once by copying, verified by stat.
//! Effects below `<path>/trees`; never links into the store, never changes a finished tree in place.
#![expect(clippy::disallowed_methods, reason = "effects: trees on the target")]

use std::collections::BTreeSet;
use std::fs::{self, File, Metadata};
use std::io::ErrorKind;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use rustix::fs::{
    AtFlags, CWD, RenameFlags, Timespec, Timestamps, renameat_with, syncfs, utimensat,
};
use rustix::io::Errno;
use stagecraft_store::{Digest, Directory, ExportMode, Node, Object, Store};

use super::error::DirectoryError;
use super::target::Target;

/// The modification time of every file of a finished tree, in seconds since 1970. A write moves it, so one stat
/// shows the write.
pub(super) const TRIPWIRE: i64 = 1;

/// Returns what about the finished tree differs from the store's, or `None` when it is as it was made.
pub(super) fn difference(
    target: &Target,
    store: &Store,
    tree: &Digest,
) -> Result<Option<String>, DirectoryError> {
    let path = target.tree(tree);
    match fs::symlink_metadata(&path) {
        Ok(metadata) if metadata.is_dir() => Check { target, store }.directory(&path, tree, ""),
        Ok(_) => Ok(Some("its tree is not a directory".to_owned())),
        Err(error) if error.kind() == ErrorKind::NotFound => {
            Ok(Some("its tree is not there".to_owned()))
        }
        Err(source) => Err(target.error("reading", &path, source)),
    }
}

/// Returns whether a directory with the tree's name is there; looks no further.
pub(super) fn is_there(target: &Target, tree: &Object) -> bool {
    fs::symlink_metadata(target.tree(&tree.digest)).is_ok_and(|metadata| metadata.is_dir())
}

/// Makes the finished tree, or replaces one that differs. On return it is durable and has its name.
pub(super) fn materialise(
    target: &Target,
    store: &Store,
    tree: &Object,
) -> Result<(), DirectoryError> {
    let finished = target.tree(&tree.digest);
    let fresh = Target::unfinished(&target.trees());
    store.export(&tree.digest, &fresh, ExportMode::CopyReadOnly)?;
    set_tripwire(target, store, &fresh, &tree.digest)?;
    let synced = File::open(target.trees()).and_then(|trees| Ok(syncfs(&trees)?));
    synced.map_err(|source| target.error("syncing", &target.trees(), source))?;
    if fs::symlink_metadata(&finished).is_ok() {
        // What serves may have read the damaged tree; nothing short of `activate` makes it read again.
        target.owe_activation()?;
        exchange(target, &fresh, &finished)?;
        target.discard(&fresh)?;
    } else {
        publish(target, &fresh, &finished)?;
    }
    target.sync(&target.trees())
}

/// Another thread may place the same tree for another service: either is right.
fn publish(target: &Target, fresh: &Path, finished: &Path) -> Result<(), DirectoryError> {
    match fs::rename(fresh, finished) {
        Ok(()) => Ok(()),
        Err(error)
            if matches!(
                error.kind(),
                ErrorKind::AlreadyExists | ErrorKind::DirectoryNotEmpty
            ) =>
        {
            target.discard(fresh)
        }
        Err(source) => Err(target.error("placing", finished, source)),
    }
}

/// Swaps two names at once, so that a release always finds its tree; where the file system cannot, one after the other.
fn exchange(target: &Target, fresh: &Path, finished: &Path) -> Result<(), DirectoryError> {
    match renameat_with(CWD, fresh, CWD, finished, RenameFlags::EXCHANGE) {
        Ok(()) => Ok(()),
        Err(Errno::INVAL | Errno::NOSYS) => {
            target.discard(finished)?;
            fs::rename(fresh, finished)
                .map_err(|source| target.error("placing", finished, source))?;
            fs::create_dir(fresh).map_err(|source| target.error("making", fresh, source))
        }
        Err(error) => Err(target.error("placing", finished, error.into())),
    }
}

fn directory(store: &Store, digest: &Digest) -> Result<Directory, DirectoryError> {
    store
        .directory(digest)?
        .ok_or(DirectoryError::Lost { digest: *digest })
}

fn set_tripwire(
    target: &Target,
    store: &Store,
    path: &Path,
    digest: &Digest,
) -> Result<(), DirectoryError> {
    let instant = Timespec {
        tv_sec: TRIPWIRE,
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: instant,
        last_modification: instant,
    };
    for (name, node) in directory(store, digest)?.iter() {
        let path = path.join(name.as_str());
        match node {
            Node::File { .. } => utimensat(CWD, &path, &times, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|error| target.error("dating", &path, error.into()))?,
            Node::Directory { object } => set_tripwire(target, store, &path, &object.digest)?,
            Node::Symlink { .. } => {}
        }
    }
    Ok(())
}

/// A comparison of what is on the target with the store's directories.
struct Check<'c> {
    target: &'c Target,
    store: &'c Store,
}

impl Check<'_> {
    fn directory(
        &self,
        path: &Path,
        digest: &Digest,
        shown: &str,
    ) -> Result<Option<String>, DirectoryError> {
        let wanted = directory(self.store, digest)?;
        let mut extra: BTreeSet<std::ffi::OsString> = BTreeSet::new();
        let failed = |source| self.target.error("reading", path, source);
        for entry in fs::read_dir(path).map_err(failed)? {
            extra.insert(entry.map_err(failed)?.file_name());
        }
        for (name, node) in wanted.iter() {
            let below = if shown.is_empty() {
                name.to_string()
            } else {
                format!("{shown}/{name}")
            };
            if !extra.remove(std::ffi::OsStr::new(name.as_str())) {
                return Ok(Some(format!("`{below}` is not there")));
            }
            if let Some(difference) = self.node(&path.join(name.as_str()), node, &below)? {
                return Ok(Some(difference));
            }
        }
        Ok(extra.first().map(|name| {
            let name = name.to_string_lossy();
            if shown.is_empty() {
                format!("`{name}` was added")
            } else {
                format!("`{shown}/{name}` was added")
            }
        }))
    }

    fn node(
        &self,
        path: &Path,
        node: &Node,
        shown: &str,
    ) -> Result<Option<String>, DirectoryError> {
        let failed = |source| self.target.error("reading", path, source);
        let found = fs::symlink_metadata(path).map_err(failed)?;
        let holds = match node {
            Node::File { object, executable } => is_untouched(&found, object, *executable),
            Node::Symlink { target } => {
                found.is_symlink()
                    && fs::read_link(path).map_err(failed)?.as_os_str() == target.as_str()
            }
            Node::Directory { object } if found.is_dir() => {
                return self.directory(path, &object.digest, shown);
            }
            Node::Directory { .. } => false,
        };
        Ok((!holds).then(|| format!("`{shown}` was changed")))
    }
}

fn is_untouched(found: &Metadata, object: &Object, executable: bool) -> bool {
    found.is_file()
        && found.len() == object.size
        && (found.mode() & 0o111 != 0) == executable
        && found.mtime() == TRIPWIRE
        && found.mtime_nsec() == 0
}
