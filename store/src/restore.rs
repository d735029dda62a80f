//! Restore: makes an owned output directory hold exactly a tree. What is right stays, what differs is
//! replaced, what is not of the tree goes. Replaces by rename, never writes into a file that is there,
//! and never leaves the directory: everything is reached by descriptors that follow no link.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rayon::prelude::*;
use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, Stat, fchmod, mkdirat, openat, readlinkat, renameat,
    statat, symlinkat, unlinkat,
};
use rustix::io::Errno;

use crate::digest::Digest;
use crate::disk::{Kind, directory_beneath, file_beneath, object_time, remove_tree, translate};
use crate::error::{StoreError, at};
use crate::export::{ExportMode, FileError, Layers, join};
use crate::read::copy_hashed;
use crate::store::{Inner, Store};
use crate::tree::{Directory, EntryName, Node, Object};

/// What a restore did.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Restored {
    /// Files and symlinks that were made or replaced.
    pub written: u64,
    /// Files and symlinks that were right already.
    pub kept: u64,
    /// Names that are not of the tree, or stood for something of another kind, with all below them.
    pub removed: u64,
}

impl Store {
    /// Makes the directory `target` hold exactly the tree: extra files go, changed ones are replaced,
    /// modes are those of `mode`. Makes it if it is absent; its parent must be there. The caller owns
    /// it: whatever else was in it is lost. After an error it holds some of both; the same call again
    /// ends it. Durability is the caller's.
    pub fn restore(
        &self,
        tree: &Digest,
        target: &Path,
        mode: ExportMode,
    ) -> Result<Restored, StoreError> {
        match statat(CWD, target, AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => {
                let exported = self.export(tree, target, mode)?;
                return Ok(Restored {
                    written: exported.files,
                    ..Restored::default()
                });
            }
            Ok(stat) if FileType::from_raw_mode(stat.st_mode).is_dir() => {}
            Ok(_) => {
                return Err(StoreError::NotA {
                    path: target.to_owned(),
                    wanted: Kind::Directory,
                });
            }
            Err(error) => return Err(at(target)(error.into())),
        }
        let inner = &*self.inner;
        let _gate = inner.enter()?;
        let layers = inner.layers(tree)?;
        if mode == ExportMode::Link && inner.is_writable() {
            inner.make_twins(&layers)?;
        }
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let top =
            openat(CWD, target, flags, Mode::empty()).map_err(|error| at(target)(error.into()))?;
        inner.restore_into(&top, &layers, mode)
    }
}

impl Inner {
    fn restore_into(
        &self,
        top: &OwnedFd,
        layers: &Layers,
        mode: ExportMode,
    ) -> Result<Restored, StoreError> {
        let mut restored = Restored::default();
        // Outermost first, so that each directory is there when those in it are looked at.
        for (path, directory) in layers {
            restored.removed += clear(top, path, directory).map_err(|error| at(path)(error))?;
        }
        // From here on names in different directories have nothing to do with each other.
        let filled: Vec<Result<Restored, StoreError>> = layers
            .par_iter()
            .map(|(path, directory)| self.restore_one(top, path, directory, mode))
            .collect();
        for one in filled {
            let one = one?;
            restored.written += one.written;
            restored.kept += one.kept;
        }
        // Innermost first: a directory that may not be written any more cannot be opened through by
        // everyone.
        for (path, _) in layers.iter().rev() {
            directory_beneath(top, path)
                .and_then(|opened| fchmod(&opened, Mode::from_raw_mode(mode.directory_bits())))
                .map_err(|error| at(path)(error.into()))?;
        }
        Ok(restored)
    }

    fn restore_one(
        &self,
        top: &OwnedFd,
        path: &str,
        directory: &Directory,
        mode: ExportMode,
    ) -> Result<Restored, StoreError> {
        let opened = directory_beneath(top, path).map_err(|error| at(path)(error.into()))?;
        let mut temporary = Temporary {
            directory,
            count: 0,
        };
        let mut sum = Restored::default();
        for (name, node) in directory.iter() {
            let right = match node {
                Node::Directory { .. } => continue,
                Node::Symlink { target } => symlink_is(&opened, name, target),
                Node::File { object, executable } => {
                    self.file_is(&opened, name, object, *executable, mode)
                }
            };
            let replaced = match right {
                Ok(true) => {
                    sum.kept += 1;
                    continue;
                }
                Ok(false) => self.replace(&opened, name, node, mode, &temporary.fresh()),
                Err(error) => Err(FileError::Io(error)),
            };
            replaced.map_err(|error| error.at(&join(path, name)))?;
            sum.written += 1;
        }
        Ok(sum)
    }

    /// Returns whether a file is what the tree says. Bytes are compared; a link to the store's file is
    /// known by its inode, and believed as far as the store believes its own file.
    fn file_is(
        &self,
        opened: &OwnedFd,
        name: &EntryName,
        object: &Object,
        executable: bool,
        mode: ExportMode,
    ) -> io::Result<bool> {
        let found = match statat(opened, name.as_str(), AtFlags::SYMLINK_NOFOLLOW) {
            Err(Errno::NOENT) => return Ok(false),
            found => found?,
        };
        let stat = translate(&found);
        if stat.kind != Kind::File || stat.size != object.size {
            return Ok(false);
        }
        if mode == ExportMode::Link && object.size > 0 {
            let linked = self
                .stored_inode(object, executable)
                .is_some_and(|inode| inode == stat.inode);
            if linked {
                return Ok(self
                    .is_sound(&object.digest, Some(object.size))
                    .unwrap_or(false)
                    && stat.modified == object_time());
            }
        }
        // A second name may be one of the store's own, whose mode must not change with ours.
        if found.st_nlink != 1 || !is_mode(&found, executable, mode) {
            return Ok(false);
        }
        if mode != ExportMode::Copy && stat.modified != object_time() {
            return Ok(false);
        }
        let mut file = File::from(file_beneath(opened, name.as_str())?);
        Ok(copy_hashed(&mut file, &mut io::sink())?.0 == object.digest)
    }

    fn stored_inode(&self, object: &Object, executable: bool) -> Option<u64> {
        let area = if executable {
            crate::layout::CASX
        } else {
            crate::layout::CAS
        };
        let path = crate::layout::path(area, &object.digest);
        let stat = self.disk.stat(&path).ok().flatten()?;
        Some(stat.inode)
    }

    /// Makes the file or symlink under another name and moves it over what is there.
    fn replace(
        &self,
        opened: &OwnedFd,
        name: &EntryName,
        node: &Node,
        mode: ExportMode,
        temporary: &EntryName,
    ) -> Result<(), FileError> {
        let written = match node {
            Node::Directory { .. } => return Ok(()),
            Node::Symlink { target } => {
                symlinkat(target.as_str(), opened, temporary.as_str()).map_err(FileError::from)
            }
            Node::File { object, executable } => {
                self.make_file(opened, temporary, object, *executable, mode)
            }
        };
        let done =
            written.and_then(|()| Ok(renameat(opened, temporary.as_str(), opened, name.as_str())?));
        // Also after success: renaming one name of a file over another of the same file does nothing.
        match unlinkat(opened, temporary.as_str(), AtFlags::empty()) {
            Ok(()) | Err(Errno::NOENT) => {}
            Err(error) => tracing::debug!(name = temporary.as_str(), %error, "leftover stays"),
        }
        done
    }
}

/// Removes what is not of the directory or of another kind, and makes the directories in it. Returns
/// how many names went.
fn clear(top: &OwnedFd, path: &str, directory: &Directory) -> io::Result<u64> {
    let opened = directory_beneath(top, path)?;
    fchmod(&opened, Mode::RWXU)?;
    let mut found = BTreeMap::new();
    for entry in Dir::read_from(&opened)? {
        let entry = entry?;
        let name = entry.file_name();
        if name == c"." || name == c".." {
            continue;
        }
        let stat = statat(&opened, name, AtFlags::SYMLINK_NOFOLLOW)?;
        found.insert(name.to_owned(), translate(&stat).kind);
    }
    let mut removed = 0;
    for (name, kind) in &found {
        let node = name.to_str().ok().and_then(|name| directory.get(name));
        let stays = match node {
            None => false,
            Some(Node::Directory { .. }) => {
                *kind == Kind::Directory && directory_opens(&opened, name)
            }
            // Replaced by rename, which only a directory is in the way of.
            Some(Node::File { .. } | Node::Symlink { .. }) => *kind != Kind::Directory,
        };
        if stays {
            continue;
        }
        removed += 1;
        if *kind == Kind::Directory {
            remove_tree(&opened, name.as_c_str())?;
        } else {
            unlinkat(&opened, name.as_c_str(), AtFlags::empty())?;
        }
    }
    for (name, node) in directory.iter() {
        if let Node::Directory { .. } = node {
            match mkdirat(&opened, name.as_str(), Mode::RWXU) {
                Ok(()) | Err(Errno::EXIST) => {}
                Err(error) => return Err(error.into()),
            }
        }
    }
    Ok(removed)
}

/// A directory closed to its owner is made anew.
fn directory_opens(opened: &OwnedFd, name: &std::ffi::CStr) -> bool {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    openat(opened.as_fd(), name, flags, Mode::empty()).is_ok()
}

fn symlink_is(opened: &OwnedFd, name: &EntryName, target: &str) -> io::Result<bool> {
    match readlinkat(opened, name.as_str(), Vec::new()) {
        Ok(found) => Ok(found.as_bytes() == target.as_bytes()),
        Err(Errno::NOENT | Errno::INVAL) => Ok(false),
        Err(error) => Err(error.into()),
    }
}

fn is_mode(found: &Stat, executable: bool, mode: ExportMode) -> bool {
    found.st_mode & 0o7777 == mode.file_bits(executable)
}

/// Names for files on their way, none of them a name of the directory. One left by a crash is not of
/// the tree, so the next restore removes it.
struct Temporary<'a> {
    directory: &'a Directory,
    count: u64,
}

impl Temporary<'_> {
    fn fresh(&mut self) -> EntryName {
        loop {
            let name = format!(".stagecraft-restore-{}", self.count);
            self.count += 1;
            if self.directory.get(&name).is_none() {
                return name
                    .parse()
                    .expect("invariant: letters and digits are a name");
            }
        }
    }
}
