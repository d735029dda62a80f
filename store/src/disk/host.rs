//! The real disk: a directory of this machine, reached through a descriptor that is opened once.
//! Never opens a file for writing that has a name others use.
#![expect(
    clippy::disallowed_methods,
    reason = "effects: this is the file system"
)]

use std::fs::File;
use std::io::{self, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::path::Path;
use std::time::{Duration, SystemTime};

use rustix::fs::{
    AtFlags, CWD, Dir, FileType, Mode, OFlags, RenameFlags, Timespec, Timestamps, UTIME_NOW,
    UTIME_OMIT, fchmod, fdatasync, fstat, fstatvfs, fsync, futimens, linkat, mkdirat, openat,
    renameat, renameat_with, statat, syncfs, unlinkat, utimensat,
};
use rustix::io::Errno;

use super::{Change, Disk, Kind, OBJECT_SECONDS, Scope, Space, Stat, WriteMode, remove_tree};

/// How much is read and written at once.
const BUFFER: usize = 128 << 10;

/// A directory of this machine.
#[derive(Debug)]
pub struct HostDisk {
    root: OwnedFd,
}

impl HostDisk {
    /// Opens `root`, which is a directory.
    pub fn new(root: &Path) -> io::Result<Self> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let root = openat(CWD, root, flags, Mode::empty())?;
        Ok(Self { root })
    }

    /// Makes `root` and its parents as far as they are not there, and opens it.
    pub fn create(root: &Path) -> io::Result<Self> {
        std::fs::create_dir_all(root)?;
        Self::new(root)
    }

    /// Opens a file of the disk as a file of the system; used for locks.
    pub(crate) fn handle(&self, path: &str) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        Ok(openat(&self.root, name(path), flags, Mode::empty())?)
    }

    /// Opens a file that is made empty if it is absent; used for locks.
    pub(crate) fn handle_or_new(&self, path: &str) -> io::Result<OwnedFd> {
        let flags = OFlags::RDONLY | OFlags::CREATE | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        Ok(openat(&self.root, path, flags, Mode::from_raw_mode(0o666))?)
    }

    /// Makes a file that only grows; used for leases.
    pub(crate) fn append_new(&self, path: &str) -> io::Result<File> {
        let flags = OFlags::WRONLY | OFlags::APPEND | OFlags::CREATE | OFlags::EXCL;
        let flags = flags | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        Ok(openat(&self.root, path, flags, Mode::from_raw_mode(0o666))?.into())
    }

    /// Empties a file that is to stay the same one; used for locks.
    pub(crate) fn blank(&self, path: &str) -> io::Result<()> {
        let flags = OFlags::WRONLY | OFlags::TRUNC | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        openat(&self.root, path, flags, Mode::empty())?;
        Ok(())
    }

    /// Gives a file of the disk another name, in any directory of the same file system.
    pub(crate) fn link_out(&self, path: &str, into: impl AsFd, name: &str) -> Result<(), Errno> {
        linkat(&self.root, path, into, name, AtFlags::empty())
    }

    fn place(&self, from: &str, to: &str) -> Result<(), Errno> {
        match renameat_with(&self.root, from, &self.root, to, RenameFlags::NOREPLACE) {
            // This file system cannot rename without replacing; a link never replaces either.
            Err(Errno::INVAL | Errno::NOSYS) => {
                linkat(&self.root, from, &self.root, to, AtFlags::empty())?;
                unlinkat(&self.root, from, AtFlags::empty())
            }
            done => done,
        }
    }

    fn touch(&self, path: &str, age: Duration) -> io::Result<()> {
        let found = statat(&self.root, path, AtFlags::SYMLINK_NOFOLLOW)?;
        let old = SystemTime::now()
            .duration_since(modified(&found))
            .is_ok_and(|since| since > age);
        if old {
            let now = |nanoseconds| Timespec {
                tv_sec: 0,
                tv_nsec: nanoseconds,
            };
            let times = Timestamps {
                last_access: now(UTIME_OMIT),
                last_modification: now(UTIME_NOW),
            };
            utimensat(&self.root, path, &times, AtFlags::SYMLINK_NOFOLLOW)?;
        }
        Ok(())
    }

    fn remove_tree(&self, path: &str) -> io::Result<()> {
        match path.rsplit_once('/') {
            Some((parent, last)) => remove_tree(self.handle(parent)?, last),
            None => remove_tree(&self.root, path),
        }
    }
}

fn name(path: &str) -> &str {
    if path.is_empty() { "." } else { path }
}

fn modified(stat: &rustix::fs::Stat) -> SystemTime {
    let nanoseconds = Duration::from_nanos(stat.st_mtime_nsec);
    let seconds = Duration::from_secs(stat.st_mtime.unsigned_abs());
    let whole = if stat.st_mtime < 0 {
        SystemTime::UNIX_EPOCH.checked_sub(seconds)
    } else {
        SystemTime::UNIX_EPOCH.checked_add(seconds)
    };
    whole
        .and_then(|time| time.checked_add(nanoseconds))
        .unwrap_or(SystemTime::UNIX_EPOCH)
}

pub(crate) fn translate(stat: &rustix::fs::Stat) -> Stat {
    let kind = match FileType::from_raw_mode(stat.st_mode) {
        FileType::RegularFile => Kind::File,
        FileType::Directory => Kind::Directory,
        FileType::Symlink => Kind::Symlink,
        _ => Kind::Other,
    };
    Stat {
        kind,
        size: u64::try_from(stat.st_size).unwrap_or(0),
        modified: modified(stat),
        inode: stat.st_ino,
    }
}

/// Gives an object file the mode it keeps.
fn finish(file: &File, mode: WriteMode) -> io::Result<()> {
    let bits = match mode {
        WriteMode::Object => 0o444,
        WriteMode::Twin => 0o555,
        WriteMode::Record => return Ok(()),
    };
    fchmod(file, Mode::from_raw_mode(bits))?;
    Ok(set_object_time(file)?)
}

/// Gives a file the time that shows whether anyone has written to it since.
pub(crate) fn set_object_time(file: impl AsFd) -> Result<(), Errno> {
    let time = Timespec {
        tv_sec: OBJECT_SECONDS.cast_signed(),
        tv_nsec: 0,
    };
    let times = Timestamps {
        last_access: time,
        last_modification: time,
    };
    futimens(file, &times)
}

fn copy(source: &mut dyn Read, target: &mut File) -> io::Result<u64> {
    let mut buffer = vec![0; BUFFER];
    let mut total = 0;
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return Ok(total),
            Ok(count) => {
                target.write_all(&buffer[..count])?;
                total += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}

impl Disk for HostDisk {
    fn write(&self, path: &str, source: &mut dyn Read, mode: WriteMode) -> io::Result<u64> {
        let flags =
            OFlags::WRONLY | OFlags::CREATE | OFlags::EXCL | OFlags::CLOEXEC | OFlags::NOFOLLOW;
        let bits = match mode {
            WriteMode::Object | WriteMode::Twin => 0o600,
            WriteMode::Record => 0o666,
        };
        let mut file = File::from(openat(&self.root, path, flags, Mode::from_raw_mode(bits))?);
        let size = copy(source, &mut file)?;
        finish(&file, mode)?;
        Ok(size)
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn Read + Send>> {
        let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NOFOLLOW | OFlags::NONBLOCK;
        let file = match openat(&self.root, path, flags, Mode::empty()) {
            Err(Errno::LOOP) => return Err(io::ErrorKind::InvalidInput.into()),
            opened => File::from(opened?),
        };
        if translate(&fstat(&file)?).kind != Kind::File {
            return Err(io::ErrorKind::InvalidInput.into());
        }
        Ok(Box::new(file))
    }

    fn stat(&self, path: &str) -> io::Result<Option<Stat>> {
        match statat(&self.root, name(path), AtFlags::SYMLINK_NOFOLLOW) {
            Ok(stat) => Ok(Some(translate(&stat))),
            Err(Errno::NOENT | Errno::NOTDIR) => Ok(None),
            Err(error) => Err(error.into()),
        }
    }

    fn list(&self, path: &str) -> io::Result<Vec<(String, Stat)>> {
        let directory = self.handle(path)?;
        let mut found = Vec::new();
        for entry in Dir::read_from(&directory)? {
            let entry = entry?;
            let name = entry.file_name();
            if name == c"." || name == c".." {
                continue;
            }
            match statat(&directory, name, AtFlags::SYMLINK_NOFOLLOW) {
                Ok(stat) => found.push((name.to_string_lossy().into_owned(), translate(&stat))),
                Err(Errno::NOENT) => {}
                Err(error) => return Err(error.into()),
            }
        }
        found.sort_by(|a, b| a.0.cmp(&b.0));
        Ok(found)
    }

    fn change(&self, change: Change<'_>) -> io::Result<()> {
        match change {
            Change::MakeDir(path) => mkdirat(&self.root, path, Mode::from_raw_mode(0o777))?,
            Change::Place { from, to } => self.place(from, to)?,
            Change::Rename { from, to } => renameat(&self.root, from, &self.root, to)?,
            Change::Remove(path) => unlinkat(&self.root, path, AtFlags::empty())?,
            Change::RemoveDir(path) => unlinkat(&self.root, path, AtFlags::REMOVEDIR)?,
            Change::RemoveTree(path) => self.remove_tree(path)?,
            Change::Touch { path, age } => self.touch(path, age)?,
        }
        Ok(())
    }

    fn sync(&self, scope: Scope<'_>) -> io::Result<()> {
        match scope {
            Scope::Everything => syncfs(&self.root)?,
            Scope::Paths(paths) => {
                for path in paths {
                    let file = self.handle(path)?;
                    match translate(&fstat(&file)?).kind {
                        Kind::File => fdatasync(file.as_fd())?,
                        Kind::Directory | Kind::Symlink | Kind::Other => fsync(file.as_fd())?,
                    }
                }
            }
        }
        Ok(())
    }

    fn space(&self) -> io::Result<Space> {
        let stat = fstatvfs(&self.root)?;
        Ok(Space {
            free: stat.f_bavail.saturating_mul(stat.f_frsize),
            total: stat.f_blocks.saturating_mul(stat.f_frsize),
        })
    }
}
