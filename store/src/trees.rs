//! Materialised trees: directories in the store made of links to objects, for whoever only reads.
//! A cache: each can be made again from its objects, and is checked by a look before it is used.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;
use std::path::PathBuf;

use rayon::prelude::*;
use rustix::fs::{AtFlags, Dir, Mode, fchmod, readlinkat, statat};
use rustix::io::Errno;

use crate::digest::Digest;
use crate::disk::{Change, Kind, directory_beneath, file_beneath, object_time, translate};
use crate::error::{StoreError, at};
use crate::export::{ExportMode, Layers};
use crate::layout::TREES;
use crate::read::copy_hashed;
use crate::root::Reference;
use crate::store::{Host, Inner, Store};
use crate::tree::{Directory, EntryName, Node, Object};

impl Store {
    /// Returns the absolute path of a read-only directory that holds the tree, made on first use.
    /// It stays until gc; files are 0444 or 0555, directories 0555. One that was altered, as far as
    /// names, sizes, modes and times show, is made again.
    pub fn materialise(&self, tree: &Digest) -> Result<PathBuf, StoreError> {
        let inner = &*self.inner;
        let _gate = inner.enter()?;
        let host = inner.host.as_ref().ok_or(StoreError::NotOnHost)?;
        let relative = path(tree);
        inner.rely([Reference::Tree(*tree)]);
        let layers = inner.layers(tree)?;
        if is_intact(host, &relative, &layers, None) {
            return Ok(host.layout.join(relative));
        }
        inner.writable()?;
        inner.set_aside(&relative)?;
        inner.make_twins(&layers)?;
        let made = inner.fresh()?;
        inner
            .disk
            .change(Change::MakeDir(&made))
            .map_err(at(&made))?;
        let opened = host.disk.handle(&made).map_err(at(&made))?;
        inner.fill(&opened, &layers, ExportMode::Link, 0o555)?;
        // A directory that gets another parent must be writable for its owner.
        fchmod(&opened, Mode::RWXU).map_err(|error| at(&made)(error.into()))?;
        inner.ensure_dir(TREES)?;
        let (from, to) = (made.as_str(), relative.as_str());
        match inner.disk.change(Change::Rename { from, to }) {
            // Someone else was first; theirs is as good.
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::AlreadyExists | ErrorKind::DirectoryNotEmpty
                ) =>
            {
                inner.discard(Change::RemoveTree(&made), &made)?;
            }
            renamed => {
                renamed.map_err(at(&relative))?;
                let bits = Mode::from_raw_mode(0o555);
                fchmod(&opened, bits).map_err(|error| at(&relative)(error.into()))?;
            }
        }
        Ok(host.layout.join(relative))
    }

    /// Returns which trees are materialised, by one look at their names: none is compared.
    pub fn materialised(&self) -> Result<BTreeSet<Digest>, StoreError> {
        let _gate = self.inner.enter();
        let host = self.inner.host.as_ref().ok_or(StoreError::NotOnHost)?;
        let directory = match host.disk.handle(TREES) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(BTreeSet::new()),
            opened => opened.map_err(at(TREES))?,
        };
        let listed = |error: Errno| at(TREES)(error.into());
        let mut found = BTreeSet::new();
        for entry in Dir::read_from(&directory).map_err(listed)? {
            let entry = entry.map_err(listed)?;
            let name = entry.file_name().to_str().unwrap_or_default();
            found.extend(Digest::from_hex(name));
        }
        Ok(found)
    }
}

/// Returns the path of a materialised tree.
pub(crate) fn path(tree: &Digest) -> String {
    format!("{TREES}/{}", tree.hex())
}

impl Inner {
    /// Moves a damaged tree away, if there is one, and removes it.
    pub(crate) fn set_aside(&self, tree: &str) -> Result<(), StoreError> {
        match self.move_aside(tree)? {
            Some(away) => self.discard(Change::RemoveTree(&away), &away),
            None => Ok(()),
        }
    }

    /// Moves a tree to a temporary name, if there is one; returns where it has to be removed.
    pub(crate) fn move_aside(&self, tree: &str) -> Result<Option<String>, StoreError> {
        if self.disk.stat(tree).map_err(at(tree))?.is_none() {
            return Ok(None);
        }
        if let Some(host) = &self.host
            && let Ok(opened) = host.disk.handle(tree)
            && fchmod(&opened, Mode::RWXU).is_err()
        {
            tracing::debug!(tree, "tree of someone else");
        }
        let away = self.fresh()?;
        match self.rename(tree, &away) {
            Ok(()) => Ok(Some(away)),
            Err(_) => Ok(Some(tree.to_owned())),
        }
    }
}

/// Compares a materialised tree with what it should be. With `good`, the objects by inode that
/// were hashed a moment ago, files that are not among them are hashed too.
pub(crate) fn is_intact(
    host: &Host,
    relative: &str,
    layers: &Layers,
    good: Option<&BTreeMap<u64, Digest>>,
) -> bool {
    let Ok(top) = host.disk.handle(relative) else {
        return false;
    };
    layers.par_iter().all(|(path, directory)| {
        directory_beneath(&top, path)
            .map_err(io::Error::from)
            .and_then(|opened| layer_is_intact(&opened, directory, good))
            .unwrap_or(false)
    })
}

fn layer_is_intact(
    opened: &OwnedFd,
    directory: &Directory,
    good: Option<&BTreeMap<u64, Digest>>,
) -> io::Result<bool> {
    let mut count = 0;
    for entry in Dir::read_from(opened)? {
        let entry = entry?;
        if entry.file_name() != c"." && entry.file_name() != c".." {
            count += 1;
        }
    }
    if count != directory.len() {
        return Ok(false);
    }
    for (name, node) in directory.iter() {
        let found = statat(opened, name.as_str(), AtFlags::SYMLINK_NOFOLLOW)?;
        let stat = translate(&found);
        let intact = match node {
            Node::Directory { .. } => stat.kind == Kind::Directory,
            Node::Symlink { target } => {
                stat.kind == Kind::Symlink
                    && readlinkat(opened, name.as_str(), Vec::new())?.as_bytes()
                        == target.as_bytes()
            }
            Node::File { object, executable } => {
                let runs = Mode::from_raw_mode(found.st_mode).contains(Mode::XUSR);
                stat.kind == Kind::File
                    && stat.size == object.size
                    && stat.modified == object_time()
                    && runs == *executable
                    && (object.size == 0 || is_good(opened, name, object, stat.inode, good)?)
            }
        };
        if !intact {
            return Ok(false);
        }
    }
    Ok(true)
}

/// Without anything to compare with, the look that was taken is enough.
fn is_good(
    opened: &OwnedFd,
    name: &EntryName,
    object: &Object,
    inode: u64,
    good: Option<&BTreeMap<u64, Digest>>,
) -> io::Result<bool> {
    let Some(good) = good else {
        return Ok(true);
    };
    if let Some(digest) = good.get(&inode) {
        return Ok(*digest == object.digest);
    }
    let mut file = File::from(file_beneath(opened, name.as_str())?);
    Ok(copy_hashed(&mut file, &mut io::sink())?.0 == object.digest)
}
