//! Import: a directory of this machine as a tree. Takes regular files, directories and symlinks;
//! keeps names, bytes, targets and the owner's executable bit, and nothing else. Follows no link.

use std::collections::BTreeSet;
use std::ffi::{CStr, OsStr};
use std::fs::File;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use rustix::fs::{AtFlags, CWD, Dir, FileType, Mode, OFlags, fstat, openat, readlinkat, statat};
use rustix::io::Errno;

use crate::batch::{Batch, Staging};
use crate::disk::{Kind, directory_beneath, file_beneath};
use crate::error::{StoreError, at};
use crate::tree::{MAX_DEPTH, Object, TreeBuilder, TreeError, colliding, split};

/// What of a directory is taken.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct ImportRules {
    /// Paths below the directory (`a/b`) that are left out with everything below them, whatever
    /// they are.
    pub exclude: BTreeSet<String>,
}

impl Batch {
    /// Adds a directory of this machine with everything below it and returns its tree.
    pub fn import(&mut self, directory: &Path, rules: &ImportRules) -> Result<Object, StoreError> {
        let import = Import::open(&self.staging, directory)?;
        let mut found = Found::default();
        import.scan(String::new(), rules, &mut found)?;
        import.build(found)
    }

    /// Adds what lies at `paths` below a directory, each at its path; a directory is taken whole.
    /// A path that is not there, or leads through a symlink, is an error.
    pub fn import_selected(
        &mut self,
        directory: &Path,
        paths: &[String],
    ) -> Result<Object, StoreError> {
        let import = Import::open(&self.staging, directory)?;
        let selected: BTreeSet<&str> = paths.iter().map(String::as_str).collect();
        let rules = ImportRules::default();
        let mut found = Found::default();
        for path in &selected {
            split(path)?;
            let below_another = path
                .match_indices('/')
                .any(|(end, _)| selected.contains(&path[..end]));
            // A path below a selected symlink is still refused, by the look at it.
            match import.look(path)? {
                Kind::Directory if !below_another => {
                    import.scan((*path).to_owned(), &rules, &mut found)?;
                }
                kind if !below_another => found.add((*path).to_owned(), kind),
                _ => {}
            }
        }
        import.build(found)
    }
}

/// Paths by kind, in the order of a walk.
#[derive(Debug, Default)]
struct Found {
    files: Vec<String>,
    symlinks: Vec<String>,
    directories: Vec<String>,
}

impl Found {
    fn add(&mut self, path: String, kind: Kind) {
        match kind {
            Kind::File | Kind::Other => self.files.push(path),
            Kind::Symlink => self.symlinks.push(path),
            Kind::Directory => self.directories.push(path),
        }
    }
}

struct Import<'a> {
    staging: &'a Staging,
    root: OwnedFd,
    /// For messages only.
    path: &'a Path,
}

impl<'a> Import<'a> {
    fn open(staging: &'a Staging, path: &'a Path) -> Result<Self, StoreError> {
        staging.inner.writable()?;
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(CWD, path, flags, Mode::empty()).map_err(|error| match error {
            Errno::NOTDIR => StoreError::NotA {
                path: path.to_owned(),
                wanted: Kind::Directory,
            },
            error => at(path)(error.into()),
        })?;
        Ok(Self {
            staging,
            root,
            path,
        })
    }

    fn shown(&self, path: &str) -> PathBuf {
        self.path.join(path)
    }

    fn failed(&self, path: &str) -> impl FnOnce(Errno) -> StoreError {
        let path = self.shown(path);
        move |error| at(path)(error.into())
    }

    /// Opens the directory that holds `path`, and returns its last name.
    fn parent<'p>(&self, path: &'p str) -> Result<(OwnedFd, &'p str), StoreError> {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let parent = directory_beneath(&self.root, parent).map_err(self.failed(path))?;
        Ok((parent, name))
    }

    fn look(&self, path: &str) -> Result<Kind, StoreError> {
        let (parent, name) = self.parent(path)?;
        self.kind(&parent, OsStr::new(name), path)
    }

    /// Says what a name stands for; refuses what cannot be stored.
    fn kind(&self, parent: &OwnedFd, name: &OsStr, path: &str) -> Result<Kind, StoreError> {
        let stat = statat(parent, name, AtFlags::SYMLINK_NOFOLLOW).map_err(self.failed(path))?;
        let what = match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => return Ok(Kind::File),
            FileType::Directory => return Ok(Kind::Directory),
            FileType::Symlink => return Ok(Kind::Symlink),
            FileType::Fifo => "fifo",
            FileType::Socket => "socket",
            FileType::CharacterDevice | FileType::BlockDevice => "device",
            FileType::Unknown => "special file",
        };
        Err(StoreError::Unsupported {
            path: self.shown(path),
            what,
        })
    }

    /// Collects everything below `top`; directories are sorted, so the first fault is always the same.
    fn scan(&self, top: String, rules: &ImportRules, found: &mut Found) -> Result<(), StoreError> {
        let mut stack = vec![top];
        while let Some(path) = stack.pop() {
            if path.split('/').count() > MAX_DEPTH {
                return Err(StoreError::TooDeep {
                    path: self.shown(&path),
                });
            }
            let directory = directory_beneath(&self.root, &path).map_err(self.failed(&path))?;
            for name in self.names(&directory, &path)? {
                let below = if path.is_empty() {
                    name
                } else {
                    format!("{path}/{name}")
                };
                if rules.exclude.contains(&below) {
                    continue;
                }
                let last = below
                    .rsplit_once('/')
                    .map_or(below.as_str(), |(_, last)| last);
                let kind = self.kind(&directory, OsStr::new(last), &below)?;
                if kind == Kind::Directory {
                    stack.push(below);
                } else {
                    found.add(below, kind);
                }
            }
            if !path.is_empty() {
                found.directories.push(path);
            }
        }
        Ok(())
    }

    fn names(&self, directory: &OwnedFd, path: &str) -> Result<Vec<String>, StoreError> {
        let mut names = Vec::new();
        for entry in Dir::read_from(directory).map_err(self.failed(path))? {
            let entry = entry.map_err(self.failed(path))?;
            let name: &CStr = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            let name = name.to_str().map_err(|_| StoreError::NotUtf8 {
                path: self.shown(path).join(OsStr::from_bytes(name.to_bytes())),
            })?;
            names.push(name.to_owned());
        }
        names.sort_unstable();
        for group in colliding(names.iter(), |name| name.as_str()) {
            let directory = self.shown(path);
            tracing::warn!(?group, directory = %directory.display(), "names differ only in case or normal form");
        }
        Ok(names)
    }

    /// Stages the files on all cores and encodes the tree.
    fn build(&self, mut found: Found) -> Result<Object, StoreError> {
        found.files.sort_unstable();
        let staged: Vec<Result<(Object, bool), StoreError>> = found
            .files
            .par_iter()
            .map(|path| self.stage(path))
            .collect();
        let mut builder = TreeBuilder::new();
        for (path, staged) in found.files.iter().zip(staged) {
            let (object, executable) = staged?;
            builder.file(path, &object, executable)?;
        }
        for path in &found.directories {
            builder.directory(path)?;
        }
        for path in &found.symlinks {
            builder.symlink(path, &self.target(path)?)?;
        }
        let tree = builder.build();
        for bytes in tree.directories.values() {
            self.staging.put(bytes)?;
        }
        Ok(tree.root)
    }

    /// Stages a file; the bytes that are hashed are the bytes that are kept, whoever writes meanwhile.
    fn stage(&self, path: &str) -> Result<(Object, bool), StoreError> {
        let file = file_beneath(&self.root, path).map_err(self.failed(path))?;
        let stat = fstat(file.as_fd()).map_err(self.failed(path))?;
        if !FileType::from_raw_mode(stat.st_mode).is_file() {
            return Err(StoreError::NotA {
                path: self.shown(path),
                wanted: Kind::File,
            });
        }
        let executable = Mode::from_raw_mode(stat.st_mode).contains(Mode::XUSR);
        let object = self
            .staging
            .put_reader(&mut File::from(file), &self.shown(path))?;
        Ok((object, executable))
    }

    fn target(&self, path: &str) -> Result<String, StoreError> {
        let (parent, name) = self.parent(path)?;
        let target = readlinkat(&parent, name, Vec::new()).map_err(self.failed(path))?;
        let target = target.into_string().map_err(|_| StoreError::NotUtf8 {
            path: self.shown(path),
        })?;
        if target.is_empty() {
            return Err(TreeError::Target {
                path: path.to_owned(),
            }
            .into());
        }
        Ok(target)
    }
}
