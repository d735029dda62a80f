//! `Stage`: the private tree that one execution works in. Sources are hashed while they are copied, so what a command
//! sees is what its key was computed from; a source that is not as planned is drift.
//! Never follows a symlink of the project, and never hands out bytes that it has not hashed.
#![expect(
    clippy::disallowed_methods,
    reason = "effects: reads the project, fills a scratch directory"
)]

use std::fs;
use std::io::{self, Read, Write};
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Mode, OFlags, Stat};
use rustix::io::Errno;
use stagecraft_store::{ExportMode, Hasher, Node, Scratch, Store, StoreError};

use crate::action::RunTask;
use crate::name::ProjectPath;
use crate::sandbox::tree::{self, Listing};

/// A staged tree and what is needed to judge what becomes of it.
#[derive(Debug)]
pub(crate) struct Stage {
    scratch: Scratch,
    /// The tree as it was handed over.
    pub(crate) staged: Listing,
    witnesses: Vec<Witness>,
}

/// What a source looked like when its bytes were read.
#[derive(Debug)]
struct Witness {
    index: usize,
    seen: Seen,
}

/// What changes when a file does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Seen {
    inode: u64,
    size: i64,
    modified: (i64, u64),
    changed: (i64, u64),
}

/// Why a tree could not be staged.
#[derive(Debug, thiserror::Error)]
pub(crate) enum StageError {
    /// A source is not what was planned.
    #[error("`{path}` changed after it was planned")]
    Drift {
        /// The source, from the project root.
        path: ProjectPath,
    },
    /// A file of the stage could not be made, or a source not be read.
    #[error("`{}`: {source}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The output of a dependency cannot be had.
    #[error("output of a dependency for `{mount}`: {source}")]
    Mount {
        /// Where it was to go.
        mount: ProjectPath,
        /// Why not.
        source: StoreError,
    },
    /// There is no room for a stage.
    #[error("scratch directory: {0}")]
    Scratch(StoreError),
}

impl Stage {
    /// Makes the tree that `task` finds, with the directories that its outputs need, and private ones `beside` it.
    pub(crate) fn build(
        task: &RunTask<'_>,
        project: &Path,
        store: &Store,
        beside: &[&str],
    ) -> Result<Self, StageError> {
        let scratch = store.scratch().map_err(StageError::Scratch)?;
        let mut stage = Self {
            scratch,
            staged: Listing::default(),
            witnesses: Vec::new(),
        };
        stage.mounts(task, store)?;
        stage.sources(task, project)?;
        for directory in wanted_directories(task) {
            stage.directory(&directory)?;
        }
        for name in beside {
            make_directory(&stage.beside(name))?;
        }
        let tree = stage.tree();
        stage.staged =
            tree::settle(&tree).map_err(|source| StageError::Io { path: tree, source })?;
        Ok(stage)
    }

    /// Returns the staged tree.
    pub(crate) fn tree(&self) -> PathBuf {
        self.scratch.path().join("tree")
    }

    /// Returns a private directory beside it.
    pub(crate) fn beside(&self, name: &str) -> PathBuf {
        self.scratch.path().join(name)
    }

    /// Returns the directory that holds this stage and others.
    pub(crate) fn stages(&self) -> &Path {
        let path = self.scratch.path();
        path.parent().unwrap_or(path)
    }

    /// Returns the staged tree from [`Stage::stages`].
    pub(crate) fn tree_from_stages(&self) -> PathBuf {
        let tree = self.tree();
        tree.strip_prefix(self.stages())
            .map(Path::to_owned)
            .unwrap_or(tree)
    }

    /// Returns an empty directory that is gone with the stage.
    pub(crate) fn mount_point(&self) -> io::Result<PathBuf> {
        let path = self.beside("root");
        match fs::create_dir(&path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
            _ => Ok(path),
        }
    }

    /// Returns what holds it; when that is dropped, all is removed.
    pub(crate) fn into_scratch(self) -> Scratch {
        self.scratch
    }

    fn mounts(&mut self, task: &RunTask<'_>, store: &Store) -> Result<(), StageError> {
        if !task
            .mounts
            .first()
            .is_some_and(|(mount, _)| mount.is_root())
        {
            make_directory(&self.tree())?;
        }
        for (mount, object) in &task.mounts {
            self.directory(&mount.parent())?;
            let target = self.tree().join(mount.as_str());
            let exported = store.export(&object.digest, &target, ExportMode::Copy);
            exported.map_err(|source| StageError::Mount {
                mount: mount.clone(),
                source,
            })?;
        }
        Ok(())
    }

    fn sources(&mut self, task: &RunTask<'_>, project: &Path) -> Result<(), StageError> {
        let mut reader = Reader::new(project)?;
        for (index, (path, node)) in task.run.sources.iter().enumerate() {
            self.directory(&path.parent())?;
            let target = self.tree().join(path.as_str());
            let seen = reader.copy(path, node, &target)?;
            self.witnesses.push(Witness { index, seen });
        }
        Ok(())
    }

    fn directory(&self, path: &ProjectPath) -> Result<(), StageError> {
        let mut at = self.tree();
        for part in path.parts() {
            at.push(part);
            make_directory(&at)?;
        }
        Ok(())
    }

    /// Returns the first source that is no longer what was staged.
    pub(crate) fn drifted(&self, task: &RunTask<'_>, project: &Path) -> Option<ProjectPath> {
        let Ok(mut reader) = Reader::new(project) else {
            return None;
        };
        self.witnesses.iter().find_map(|witness| {
            let (path, node) = &task.run.sources[witness.index];
            let same = reader
                .look(path)
                .is_ok_and(|stat| seen(&stat) == witness.seen)
                || reader.matches(path, node);
            (!same).then(|| path.clone())
        })
    }

    /// Returns whether the file at `path` of the staged tree no longer is what was staged there.
    pub(crate) fn differs(&self, task: &RunTask<'_>, store: &Store, path: &str) -> bool {
        let Ok(path) = path.parse::<ProjectPath>() else {
            return true;
        };
        let Some(node) = planned(task, store, &path) else {
            return true;
        };
        !Reader::new(&self.tree()).is_ok_and(|mut reader| reader.matches(&path, &node))
    }
}

/// Returns what the key says is at `path`: a source, or a part of a dependency's output.
fn planned(task: &RunTask<'_>, store: &Store, path: &ProjectPath) -> Option<Node> {
    let sources = &task.run.sources;
    if let Ok(index) = sources.binary_search_by(|(source, _)| source.cmp(path)) {
        return Some(sources[index].1.clone());
    }
    let below = task
        .mounts
        .iter()
        .rev()
        .find(|(mount, _)| path.starts_with(mount));
    let (mount, object) = below?;
    let mut node = Node::Directory { object: *object };
    for part in path.parts().skip(mount.parts().count()) {
        let Node::Directory { object } = node else {
            return None;
        };
        node = store.directory(&object.digest).ok()??.get(part)?.clone();
    }
    Some(node)
}

/// The parent of every output, every directory that is one, and the working directory; from the project root.
fn wanted_directories(task: &RunTask<'_>) -> Vec<ProjectPath> {
    let mut directories = vec![task.run.workdir.clone()];
    for output in &task.run.outputs {
        let mut literal: Vec<&str> = output
            .glob
            .split('/')
            .take_while(|part| !part.contains(['*', '?', '[', '{']))
            .collect();
        let whole = literal.len() == output.glob.split('/').count();
        if whole && !output.directory {
            literal.pop();
        }
        directories.extend(
            literal
                .join("/")
                .parse()
                .map(|path| task.run.workdir.join(&path))
                .ok(),
        );
    }
    directories
}

/// Makes a directory with mode 0755 whatever the umask; one that is there is fine.
fn make_directory(path: &Path) -> Result<(), StageError> {
    let fail = |source| StageError::Io {
        path: path.to_owned(),
        source,
    };
    match fs::DirBuilder::new().mode(0o755).create(path) {
        Ok(()) => fs::set_permissions(path, fs::Permissions::from_mode(0o755)).map_err(fail),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => Ok(()),
        Err(error) => Err(fail(error)),
    }
}

/// Opens sources part by part below the project root, so that no symlink on the way is followed.
struct Reader {
    root: OwnedFd,
    /// The directory that was used last.
    last: Option<(ProjectPath, OwnedFd)>,
}

const DIRECTORY: OFlags = OFlags::PATH
    .union(OFlags::DIRECTORY)
    .union(OFlags::NOFOLLOW)
    .union(OFlags::CLOEXEC);

impl Reader {
    fn new(project: &Path) -> Result<Self, StageError> {
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = rustix::fs::openat(CWD, project, flags, Mode::empty()).map_err(|errno| {
            StageError::Io {
                path: project.to_owned(),
                source: errno.into(),
            }
        })?;
        Ok(Self { root, last: None })
    }

    fn parent(&mut self, path: &ProjectPath) -> Result<&OwnedFd, Errno> {
        let parent = path.parent();
        if parent.is_root() {
            return Ok(&self.root);
        }
        if self.last.as_ref().is_none_or(|(known, _)| *known != parent) {
            let mut directory: Option<OwnedFd> = None;
            for part in parent.parts() {
                let above = directory.as_ref().unwrap_or(&self.root);
                directory = Some(rustix::fs::openat(above, part, DIRECTORY, Mode::empty())?);
            }
            self.last = directory.map(|directory| (parent, directory));
        }
        Ok(self
            .last
            .as_ref()
            .map_or(&self.root, |(_, directory)| directory))
    }

    fn look(&mut self, path: &ProjectPath) -> Result<Stat, Errno> {
        let parent = self.parent(path)?;
        rustix::fs::statat(parent, file_name(path), AtFlags::SYMLINK_NOFOLLOW)
    }

    /// Copies one source to `target`, which must not exist, if it is what `node` says.
    fn copy(&mut self, path: &ProjectPath, node: &Node, target: &Path) -> Result<Seen, StageError> {
        let drift = || StageError::Drift { path: path.clone() };
        let refused = |errno: Errno| match errno {
            Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::INVAL => drift(),
            other => StageError::Io {
                path: PathBuf::from(path.as_str()),
                source: other.into(),
            },
        };
        let fail = |source| StageError::Io {
            path: target.to_owned(),
            source,
        };
        match node {
            Node::Symlink { target: wanted } => {
                let stat = self.look(path).map_err(refused)?;
                if self.link(path).map_err(refused)? != wanted.as_bytes() {
                    return Err(drift());
                }
                std::os::unix::fs::symlink(wanted, target).map_err(fail)?;
                Ok(seen(&stat))
            }
            Node::File { object, executable } => {
                let (file, stat) = self.open(path).map_err(refused)?;
                if stat.st_size.cast_unsigned() != object.size
                    || is_executable(&stat) != *executable
                {
                    return Err(drift());
                }
                let mode = if *executable { 0o755 } else { 0o644 };
                let mut copy = fs::OpenOptions::new();
                let mut copy = copy
                    .write(true)
                    .create_new(true)
                    .mode(mode)
                    .open(target)
                    .map_err(fail)?;
                let digest = transfer(file, &stat, &mut copy).map_err(fail)?;
                copy.set_permissions(fs::Permissions::from_mode(mode))
                    .map_err(fail)?;
                if digest != object.digest {
                    return Err(drift());
                }
                Ok(seen(&stat))
            }
            Node::Directory { .. } => Err(drift()),
        }
    }

    /// Returns whether a source is, once more, what `node` says.
    fn matches(&mut self, path: &ProjectPath, node: &Node) -> bool {
        match node {
            Node::Symlink { target } => self
                .link(path)
                .is_ok_and(|found| found == target.as_bytes()),
            Node::File { object, executable } => self.open(path).is_ok_and(|(file, stat)| {
                is_executable(&stat) == *executable
                    && transfer(file, &stat, &mut io::sink())
                        .is_ok_and(|digest| digest == object.digest)
            }),
            Node::Directory { .. } => false,
        }
    }

    fn link(&mut self, path: &ProjectPath) -> Result<Vec<u8>, Errno> {
        let parent = self.parent(path)?;
        Ok(rustix::fs::readlinkat(parent, file_name(path), Vec::new())?.into_bytes())
    }

    /// Opens a regular file; anything else is `ELOOP`, which no caller tells from a symlink.
    fn open(&mut self, path: &ProjectPath) -> Result<(OwnedFd, Stat), Errno> {
        let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
        let file = rustix::fs::openat(self.parent(path)?, file_name(path), flags, Mode::empty())?;
        let stat = rustix::fs::fstat(&file)?;
        match FileType::from_raw_mode(stat.st_mode) {
            FileType::RegularFile => Ok((file, stat)),
            _ => Err(Errno::LOOP),
        }
    }
}

fn file_name(path: &ProjectPath) -> &str {
    path.as_str()
        .rsplit_once('/')
        .map_or(path.as_str(), |(_, name)| name)
}

fn is_executable(stat: &Stat) -> bool {
    stat.st_mode & 0o100 != 0
}

fn seen(stat: &Stat) -> Seen {
    Seen {
        inode: stat.st_ino,
        size: stat.st_size,
        modified: (stat.st_mtime, stat.st_mtime_nsec),
        changed: (stat.st_ctime, stat.st_ctime_nsec),
    }
}

/// The most that is held of a file at once.
const PIECE: usize = 128 << 10;

/// Copies all of `from`, which `stat` describes, and returns the digest of what was copied.
fn transfer(
    from: OwnedFd,
    stat: &Stat,
    to: &mut impl Write,
) -> io::Result<stagecraft_store::Digest> {
    let mut from = fs::File::from(from);
    let mut hasher = Hasher::new();
    // One byte more than the file has, or its growth would need another read to be seen.
    let size = usize::try_from(stat.st_size).unwrap_or(PIECE);
    let mut buffer = vec![0; size.saturating_add(1).min(PIECE)];
    loop {
        match from.read(&mut buffer) {
            Ok(0) => return Ok(hasher.finish()),
            Ok(count) => {
                hasher.update(&buffer[..count]);
                to.write_all(&buffer[..count])?;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
