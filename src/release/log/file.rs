//! The log's file: read whole, replaced whole, changed under a lock.
//! Effects: a temp file beside it, fsync, rename, directory fsync; a lock file that is never removed.
#![expect(
    clippy::disallowed_methods,
    reason = "effects: the file that holds the log"
)]

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;

use crate::release::log::LogError;

/// A write takes milliseconds; who waits longer than this waits for a stopped process.
const PATIENCE: Duration = Duration::from_secs(30);
const PAUSE: Duration = Duration::from_millis(2);

static NEXT: AtomicU64 = AtomicU64::new(0);

/// Returns the bytes of the file, or `None` where there is none.
pub(super) fn read(path: &Path) -> Result<Option<Vec<u8>>, LogError> {
    match fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
        Err(source) => Err(LogError::Read {
            path: path.to_owned(),
            source,
        }),
    }
}

/// Takes the lock beside the file, for as long as the returned file lives; makes the directory.
pub(super) fn lock(path: &Path) -> Result<File, LogError> {
    let write_error = |source| LogError::Write {
        path: path.to_owned(),
        source,
    };
    make_directory(directory(path)).map_err(write_error)?;
    let lock_path = lock_path(path);
    let file = OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o640)
        .open(&lock_path)
        .map_err(write_error)?;
    let mut waited = Duration::ZERO;
    loop {
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => return Ok(file),
            Err(Errno::WOULDBLOCK | Errno::INTR) if waited < PATIENCE => {
                thread::sleep(PAUSE);
                waited += PAUSE;
            }
            Err(Errno::WOULDBLOCK | Errno::INTR) => {
                return Err(LogError::Locked { path: lock_path });
            }
            Err(error) => return Err(write_error(error.into())),
        }
    }
}

fn lock_path(path: &Path) -> PathBuf {
    let taken = path
        .extension()
        .is_some_and(|extension| extension == "lock");
    path.with_extension(if taken { "lock.lock" } else { "lock" })
}

/// Replaces the file by one with `bytes`, durably: readers see the old or the new one, never a part.
pub(super) fn replace(path: &Path, bytes: &[u8]) -> Result<(), LogError> {
    replace_synced(path, bytes).map_err(|source| LogError::Write {
        path: path.to_owned(),
        source,
    })
}

fn replace_synced(path: &Path, bytes: &[u8]) -> io::Result<()> {
    let (temporary, mut file) = temporary(directory(path))?;
    let written = file
        .write_all(bytes)
        .and_then(|()| file.sync_all())
        .and_then(|()| fs::rename(&temporary, path));
    if let Err(error) = written {
        // The first failure is the one to tell.
        fs::remove_file(&temporary).ok();
        return Err(error);
    }
    File::open(directory(path))?.sync_all()
}

/// A name may be taken by what a dead process of the same number left.
fn temporary(directory: &Path) -> io::Result<(PathBuf, File)> {
    loop {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let path = directory.join(format!(".releases-{}-{number}.tmp", std::process::id()));
        match OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o644)
            .open(&path)
        {
            Ok(file) => return Ok((path, file)),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
    }
}

/// Removes the temporary files of processes that are gone; what cannot be removed is left for the next time.
pub(super) fn sweep(path: &Path) {
    let Ok(entries) = fs::read_dir(directory(path)) else {
        return;
    };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let owner = name
            .to_str()
            .and_then(|name| {
                name.strip_prefix(".releases-")?
                    .strip_suffix(".tmp")?
                    .split_once('-')
            })
            .and_then(|(process, _)| process.parse::<u32>().ok());
        if owner.is_some_and(|process| fs::metadata(format!("/proc/{process}")).is_err()) {
            fs::remove_file(entry.path()).ok();
        }
    }
}

fn directory(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        Some(_) | None => Path::new("."),
    }
}

fn make_directory(path: &Path) -> io::Result<()> {
    if fs::metadata(path).is_ok_and(|found| found.is_dir()) {
        return Ok(());
    }
    DirBuilder::new().recursive(true).mode(0o750).create(path)?;
    // Without this a power cut could take the whole directory with the log in it.
    File::open(directory(path))?.sync_all()
}
