//! Export: a tree as a directory of this machine. Built under another name and renamed when whole;
//! every byte that is copied is hashed on the way; no link is ever followed.

use std::fs::File;
use std::io::{self, Read};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;

use rayon::prelude::*;
use rustix::fs::{
    AtFlags, CWD, Mode, OFlags, RenameFlags, fchmod, ioctl_ficlone, mkdirat, openat, renameat_with,
    statat, symlinkat,
};
use rustix::io::Errno;

use crate::digest::Digest;
use crate::disk::{directory_beneath, remove_tree, set_object_time};
use crate::error::{StoreError, at};
use crate::layout::{self, CAS, CASX};
use crate::read::copy_hashed;
use crate::store::{Inner, Store};
use crate::tree::{Directory, EntryName, MAX_DEPTH, Node, Object};

/// From this size on sharing blocks is cheaper than copying bytes.
const REFLINK_FROM: u64 = 64 << 10;

/// How files of an exported tree relate to the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ExportMode {
    /// Writable copies: files 0644 or 0755, directories 0755, whatever the umask.
    Copy,
    /// Read-only copies: files 0444 or 0555 with the time of objects, directories 0555.
    CopyReadOnly,
    /// Hard links to objects, read-only; directories 0755. A file that cannot be linked, and every
    /// empty one, is a read-only copy. Writing to a link would alter the store, which notices.
    Link,
}

/// What an export made.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Exported {
    /// How many files and symlinks.
    pub files: u64,
    /// The bytes of the files.
    pub bytes: u64,
}

/// The directories of a tree by path, outermost first.
pub(crate) type Layers = Vec<(String, Directory)>;

impl Store {
    /// Makes the directory `target` hold exactly the tree. `target` must not be there, its parent
    /// must. Nothing is at `target` unless everything is. Durability is the caller's.
    pub fn export(
        &self,
        tree: &Digest,
        target: &Path,
        mode: ExportMode,
    ) -> Result<Exported, StoreError> {
        let inner = &*self.inner;
        let _gate = inner.enter()?;
        let layers = inner.layers(tree)?;
        if mode == ExportMode::Link && inner.is_writable() {
            inner.make_twins(&layers)?;
        }
        let sibling = Sibling::make(target)?;
        let done = inner
            .fill(&sibling.made, &layers, mode, mode.directory_bits())
            .and_then(|exported| sibling.publish().map(|()| exported));
        if done.is_err() {
            sibling.remove();
        }
        done
    }
}

impl ExportMode {
    pub(crate) fn directory_bits(self) -> u32 {
        match self {
            Self::Copy | Self::Link => 0o755,
            Self::CopyReadOnly => 0o555,
        }
    }

    /// The mode of a file that is no link.
    pub(crate) fn file_bits(self, executable: bool) -> u32 {
        match (self, executable) {
            (Self::Copy, false) => 0o644,
            (Self::Copy, true) => 0o755,
            (Self::CopyReadOnly | Self::Link, false) => 0o444,
            (Self::CopyReadOnly | Self::Link, true) => 0o555,
        }
    }
}

/// A directory beside the target, renamed to it at the end.
struct Sibling<'a> {
    target: &'a Path,
    parent: OwnedFd,
    name: String,
    made: OwnedFd,
}

impl<'a> Sibling<'a> {
    fn make(target: &'a Path) -> Result<Self, StoreError> {
        let failed = |error: Errno| at(target)(error.into());
        if target.file_name().is_none() {
            return Err(failed(Errno::INVAL));
        }
        let above = match target.parent() {
            Some(above) if above.as_os_str().is_empty() => Path::new("."),
            Some(above) => above,
            None => return Err(failed(Errno::INVAL)),
        };
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let parent = openat(CWD, above, flags, Mode::empty()).map_err(failed)?;
        if statat(CWD, target, AtFlags::SYMLINK_NOFOLLOW).is_ok() {
            return Err(StoreError::TargetExists {
                path: target.to_owned(),
            });
        }
        let mut count: u64 = 0;
        let name = loop {
            let name = format!(".stagecraft-export-{}-{count}", std::process::id());
            match mkdirat(&parent, name.as_str(), Mode::RWXU) {
                Ok(()) => break name,
                Err(Errno::EXIST) => count += 1,
                Err(error) => return Err(failed(error)),
            }
        };
        let made = directory_beneath(&parent, &name).map_err(failed)?;
        Ok(Self {
            target,
            parent,
            name,
            made,
        })
    }

    fn publish(&self) -> Result<(), StoreError> {
        let name = self.target.file_name().unwrap_or_default();
        let from = self.name.as_str();
        let renamed = match renameat_with(
            &self.parent,
            from,
            &self.parent,
            name,
            RenameFlags::NOREPLACE,
        ) {
            // Without the flag an empty directory that came meanwhile is replaced.
            Err(Errno::INVAL | Errno::NOSYS) => {
                rustix::fs::renameat(&self.parent, from, &self.parent, name)
            }
            renamed => renamed,
        };
        match renamed {
            Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => Err(StoreError::TargetExists {
                path: self.target.to_owned(),
            }),
            renamed => renamed.map_err(|error| at(self.target)(error.into())),
        }
    }

    fn remove(&self) {
        if let Err(error) = remove_tree(&self.parent, &self.name) {
            tracing::debug!(name = self.name, %error, "unfinished export stays");
        }
    }
}

impl Inner {
    /// Reads all directories of a tree.
    pub(crate) fn layers(&self, tree: &Digest) -> Result<Layers, StoreError> {
        let mut layers = Layers::new();
        let mut stack = vec![(String::new(), 0, *tree)];
        while let Some((path, depth, digest)) = stack.pop() {
            if depth > MAX_DEPTH {
                return Err(StoreError::TooDeep { path: path.into() });
            }
            let bytes = self.read(&digest)?.ok_or(StoreError::Absent { digest })?;
            let directory = Directory::decode(&bytes)?;
            for (name, node) in directory.iter() {
                if let Node::Directory { object } = node {
                    stack.push((join(&path, name), depth + 1, object.digest));
                }
            }
            layers.push((path, directory));
        }
        layers.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(layers)
    }

    /// Fills an empty directory with a tree.
    pub(crate) fn fill(
        &self,
        top: &OwnedFd,
        layers: &Layers,
        mode: ExportMode,
        directory_bits: u32,
    ) -> Result<Exported, StoreError> {
        for (path, directory) in layers {
            let at_path = |error: Errno| at(path)(error.into());
            let opened = directory_beneath(top, path).map_err(at_path)?;
            for (name, node) in directory.iter() {
                if let Node::Directory { .. } = node {
                    mkdirat(&opened, name.as_str(), Mode::RWXU).map_err(at_path)?;
                }
            }
        }
        // Every directory exists, so each is filled and closed on its own: names in one directory
        // are made under its lock, and only different ones gain from threads.
        let filled: Vec<Result<Exported, StoreError>> = layers
            .par_iter()
            .map(|layer| self.fill_one(top, layer, mode, directory_bits))
            .collect();
        let mut exported = Exported::default();
        for one in filled {
            let one = one?;
            exported.files += one.files;
            exported.bytes += one.bytes;
        }
        Ok(exported)
    }

    fn fill_one(
        &self,
        top: &OwnedFd,
        (path, directory): &(String, Directory),
        mode: ExportMode,
        directory_bits: u32,
    ) -> Result<Exported, StoreError> {
        let opened = directory_beneath(top, path).map_err(|error| at(path)(error.into()))?;
        let mut exported = Exported::default();
        for (name, node) in directory.iter() {
            let failed = |error: Errno| at(join(path, name))(error.into());
            match node {
                Node::Directory { .. } => continue,
                Node::Symlink { target } => {
                    symlinkat(target.as_str(), &opened, name.as_str()).map_err(failed)?;
                }
                Node::File { object, executable } => {
                    self.make_file(&opened, name, object, *executable, mode)
                        .map_err(|error| error.at(&join(path, name)))?;
                    exported.bytes += object.size;
                }
            }
            exported.files += 1;
        }
        fchmod(&opened, Mode::from_raw_mode(directory_bits))
            .map_err(|error| at(path)(error.into()))?;
        Ok(exported)
    }

    pub(crate) fn make_file(
        &self,
        directory: &OwnedFd,
        name: &EntryName,
        object: &Object,
        executable: bool,
        mode: ExportMode,
    ) -> Result<(), FileError> {
        if mode == ExportMode::Link && object.size > 0 {
            if !self.is_sound(&object.digest, Some(object.size))? {
                return Err(self.unusable(object).into());
            }
            self.renew(object)?;
            if self.link(directory, name, object, executable)? {
                return Ok(());
            }
        }
        let flags = OFlags::RDWR | OFlags::CREATE | OFlags::EXCL | OFlags::NOFOLLOW;
        let file = openat(
            directory,
            name.as_str(),
            flags | OFlags::CLOEXEC,
            Mode::RUSR | Mode::WUSR,
        )?;
        let mut file = File::from(file);
        if object.size > 0 {
            self.copy(object, &mut file)?;
        }
        fchmod(&file, Mode::from_raw_mode(mode.file_bits(executable)))?;
        if mode != ExportMode::Copy {
            set_object_time(&file)?;
        }
        Ok(())
    }

    /// Replaces an object's file that has lost its time, as in a store copied without times, by a copy
    /// that is hashed on the way: a link without the time would look altered for ever.
    fn renew(&self, object: &Object) -> Result<(), StoreError> {
        let path = layout::path(CAS, &object.digest);
        let stat = self.disk.stat(&path).map_err(at(&path))?;
        if !self.is_writable()
            || stat.is_none_or(|stat| stat.modified == crate::disk::object_time())
        {
            return Ok(());
        }
        let copy = self.write_copy(object, crate::disk::WriteMode::Object)?;
        self.sync(vec![copy.clone()])?;
        self.rename(&copy, &path)
    }

    /// Links an object or its twin; false when this file system, or the link count, does not allow it.
    fn link(
        &self,
        directory: &OwnedFd,
        name: &EntryName,
        object: &Object,
        executable: bool,
    ) -> Result<bool, FileError> {
        let Some(host) = self.host_disk() else {
            return Ok(false);
        };
        let area = if executable { CASX } else { CAS };
        let path = layout::path(area, &object.digest);
        match host.link_out(&path, directory, name.as_str()) {
            Ok(()) => Ok(true),
            Err(Errno::XDEV | Errno::MLINK | Errno::PERM | Errno::NOENT | Errno::NOTSUP) => {
                Ok(false)
            }
            Err(error) => Err(error.into()),
        }
    }

    /// Copies an object into an empty file, sharing blocks if that gains, and checks what arrived.
    fn copy(&self, object: &Object, target: &mut File) -> Result<(), FileError> {
        let path = layout::path(CAS, &object.digest);
        let shared = object.size >= REFLINK_FROM
            && self.host_disk().is_some_and(|host| {
                host.handle(&path)
                    .is_ok_and(|source| ioctl_ficlone(target.as_fd(), &source).is_ok())
            });
        let (digest, size) = if shared {
            copy_hashed(target, &mut io::sink())?
        } else {
            let mut source = self
                .disk
                .open(&path)
                .map_err(|error| self.absent_or(error, &path, object))?;
            copy_hashed(&mut source, target)?
        };
        if digest != object.digest {
            self.condemn(&object.digest);
            return Err(StoreError::Corrupt {
                digest: object.digest,
            }
            .into());
        }
        if size != object.size {
            return Err(self.unusable(object).into());
        }
        Ok(())
    }

    fn absent_or(&self, error: io::Error, path: &str, object: &Object) -> StoreError {
        if crate::store::is_absent(&error) {
            self.unusable(object)
        } else {
            at(path)(error)
        }
    }

    fn unusable(&self, object: &Object) -> StoreError {
        let digest = object.digest;
        match self.size_of(&digest) {
            Ok(Some(_)) => StoreError::Corrupt { digest },
            Ok(None) => StoreError::Absent { digest },
            Err(error) => error,
        }
    }

    /// Makes the executable twins that a tree needs; all are synced together before any is named.
    pub(crate) fn make_twins(&self, layers: &Layers) -> Result<(), StoreError> {
        let mut made = Vec::new();
        let mut wanted = std::collections::BTreeSet::new();
        for (_, directory) in layers {
            for (_, node) in directory.iter() {
                if let Node::File {
                    object,
                    executable: true,
                } = node
                    && object.size > 0
                    && !self.has_twin(object)?
                {
                    wanted.insert(*object);
                }
            }
        }
        for object in wanted {
            made.push((
                self.write_copy(&object, crate::disk::WriteMode::Twin)?,
                object.digest,
            ));
        }
        self.sync(made.iter().map(|(path, _)| path.clone()).collect())?;
        for (from, digest) in made {
            self.ensure_dir(&layout::shard(CASX, &digest))?;
            self.rename(&from, &layout::path(CASX, &digest))?;
        }
        Ok(())
    }

    fn has_twin(&self, object: &Object) -> Result<bool, StoreError> {
        let path = layout::path(CASX, &object.digest);
        let stat = self.disk.stat(&path).map_err(at(&path))?;
        Ok(stat.is_some_and(|stat| {
            stat.size == object.size && stat.modified == crate::disk::object_time()
        }))
    }

    /// Writes a temporary copy of an object, hashed on the way.
    fn write_copy(
        &self,
        object: &Object,
        mode: crate::disk::WriteMode,
    ) -> Result<String, StoreError> {
        let path = layout::path(CAS, &object.digest);
        let source = self
            .disk
            .open(&path)
            .map_err(|error| self.absent_or(error, &path, object))?;
        let mut hashed = HashedRead {
            source,
            hasher: crate::digest::Hasher::new(),
        };
        let copy = self.fresh()?;
        self.disk
            .write(&copy, &mut hashed, mode)
            .map_err(at(&copy))?;
        if hashed.hasher.finish() != object.digest {
            self.condemn(&object.digest);
            return Err(StoreError::Corrupt {
                digest: object.digest,
            });
        }
        Ok(copy)
    }
}

struct HashedRead {
    source: Box<dyn Read + Send>,
    hasher: crate::digest::Hasher,
}

impl Read for HashedRead {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.source.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}

/// A failure that does not know yet at which file it happened.
pub(crate) enum FileError {
    Store(StoreError),
    Io(io::Error),
}

impl FileError {
    pub(crate) fn at(self, path: &str) -> StoreError {
        match self {
            Self::Store(error) => error,
            Self::Io(error) => at(path)(error),
        }
    }
}

impl From<StoreError> for FileError {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<io::Error> for FileError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

impl From<Errno> for FileError {
    fn from(error: Errno) -> Self {
        Self::Io(error.into())
    }
}

pub(crate) fn join(path: &str, name: &EntryName) -> String {
    if path.is_empty() {
        name.to_string()
    } else {
        format!("{path}/{name}")
    }
}
