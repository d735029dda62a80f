//! Reading a regular file once, as a digest and the stamp of exactly the bytes that were hashed.
//! Refuses to follow a link, to wait for a fifo, and to return a digest that no moment of the file had.

use std::io;
use std::mem::MaybeUninit;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};

use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use rustix::path::Arg;
use stagecraft_store::{Digest, Hasher, Object};

use super::stamp::{Stamp, is_file};

/// How often a file that changes under our eyes is read before we give up.
const ATTEMPTS: usize = 8;
/// Files below it are read with one call into a small buffer.
const SMALL: u64 = 16 << 10;
const LARGE: usize = 1 << 20;

/// Why a file has no digest.
#[derive(Debug)]
pub(super) enum ContentError {
    /// It is gone, or no regular file any more: whoever listed it must list again.
    Moved,
    /// It changed during every attempt.
    Unstable,
    /// It cannot be read.
    Read(io::Error),
}

/// Hashes the file at `path`, from `directory`.
pub(super) fn hash(
    directory: impl AsFd,
    path: impl Arg + Copy,
) -> Result<(Stamp, Object), ContentError> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    for _ in 0..ATTEMPTS {
        let file = match rustix::fs::openat(directory.as_fd(), path, flags, Mode::empty()) {
            Ok(file) => file,
            Err(Errno::NOENT | Errno::NOTDIR | Errno::LOOP | Errno::NXIO) => {
                return Err(ContentError::Moved);
            }
            Err(error) => return Err(ContentError::Read(error.into())),
        };
        let before = rustix::fs::fstat(&file).map_err(|error| ContentError::Read(error.into()))?;
        if !is_file(&before) {
            return Err(ContentError::Moved);
        }
        let stamp = Stamp::new(&before);
        let (digest, size) =
            read(&file, stamp.size).map_err(|error| ContentError::Read(error.into()))?;
        let after = rustix::fs::fstat(&file).map_err(|error| ContentError::Read(error.into()))?;
        if Stamp::new(&after) == stamp && size == stamp.size {
            return Ok((stamp, Object { digest, size }));
        }
    }
    Err(ContentError::Unstable)
}

fn read(file: &OwnedFd, expected: u64) -> Result<(Digest, u64), Errno> {
    if expected < SMALL {
        let mut buffer = [MaybeUninit::uninit(); 16 << 10];
        return drain(file.as_fd(), &mut buffer);
    }
    let mut buffer = Vec::with_capacity(LARGE);
    drain(file.as_fd(), buffer.spare_capacity_mut())
}

/// Reads to the end.
fn drain(file: BorrowedFd<'_>, buffer: &mut [MaybeUninit<u8>]) -> Result<(Digest, u64), Errno> {
    let (mut hasher, mut size) = (Hasher::new(), 0);
    loop {
        let (bytes, _) = match rustix::io::read(file, &mut *buffer) {
            Err(Errno::INTR) => continue,
            other => other?,
        };
        if bytes.is_empty() {
            return Ok((hasher.finish(), size));
        }
        hasher.update(bytes);
        size += bytes.len() as u64;
    }
}

#[cfg(test)]
mod tests {
    use rustix::fs::CWD;

    use super::*;

    /// spec: inputs/sources R5
    #[test]
    fn bytes_that_do_not_fit_the_stamp_are_no_content() {
        // The size that this file states is 0, and it is never empty.
        let read = hash(CWD, "/proc/self/status");
        assert!(matches!(read, Err(ContentError::Unstable)), "{read:?}");
    }

    /// spec: inputs/globs R5
    #[test]
    fn a_link_in_place_of_a_file_is_not_followed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("link");
        std::os::unix::fs::symlink("/proc/self/exe", &path).unwrap();
        assert!(matches!(hash(CWD, &path), Err(ContentError::Moved)));
        assert!(matches!(hash(CWD, "/nowhere"), Err(ContentError::Moved)));
        assert!(matches!(hash(CWD, "/dev/null"), Err(ContentError::Moved)));
    }
}
