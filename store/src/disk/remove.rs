//! Removes a directory with everything below it, however deep, read-only or strangely named.
//! Needs one level of file descriptors: subdirectories are moved up before they are emptied.

use std::ffi::{CStr, CString};
use std::io;
use std::os::fd::{AsFd, AsRawFd, OwnedFd};

use rustix::fs::{AtFlags, Dir, Mode, OFlags, chmod, fchmod, openat, renameat, statat, unlinkat};
use rustix::io::Errno;

/// Removes the directory `name` of `parent`; follows no symlink. `NotFound` if there is none.
pub(crate) fn remove_tree(parent: impl AsFd, name: impl rustix::path::Arg) -> io::Result<()> {
    let name = name.into_c_str()?.into_owned();
    let top = open(parent.as_fd(), &name)?;
    let mut queue: Vec<CString> = empty(&top, &top, &mut 0)?;
    let mut moved = 0;
    while let Some(next) = queue.pop() {
        let directory = open(top.as_fd(), &next)?;
        let below = empty(&directory, &top, &mut moved)?;
        unlinkat(&top, next.as_c_str(), AtFlags::REMOVEDIR)?;
        queue.extend(below);
    }
    unlinkat(parent, name.as_c_str(), AtFlags::REMOVEDIR)?;
    Ok(())
}

/// Opens a directory and makes it one whose names may be changed.
fn open(parent: impl AsFd, name: &CStr) -> io::Result<OwnedFd> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let opened = match openat(parent.as_fd(), name, flags, Mode::empty()) {
        Err(Errno::ACCESS) => {
            // Not readable by its owner. The way by descriptor cannot be led through a symlink.
            let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let found = openat(parent.as_fd(), name, flags, Mode::empty())?;
            chmod(format!("/proc/self/fd/{}", found.as_raw_fd()), Mode::RWXU)?;
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            openat(parent, name, flags, Mode::empty())?
        }
        opened => opened?,
    };
    // Fails for a directory of someone else, whose names may be writable all the same.
    if fchmod(&opened, Mode::RWXU).is_err() {
        tracing::debug!("mode of a directory to remove is not ours to change");
    }
    Ok(opened)
}

/// Removes the files of `directory` and moves its directories into `top`; returns their names there.
fn empty(directory: &OwnedFd, top: &OwnedFd, moved: &mut u64) -> io::Result<Vec<CString>> {
    let is_top = directory.as_raw_fd() == top.as_raw_fd();
    let mut names: Vec<CString> = Vec::new();
    for entry in Dir::read_from(directory)? {
        let entry = entry?;
        let name = entry.file_name();
        if name != c"." && name != c".." {
            names.push(name.to_owned());
        }
    }
    let mut directories = Vec::new();
    for name in names {
        let stat = statat(directory, name.as_c_str(), AtFlags::SYMLINK_NOFOLLOW)?;
        let kind = rustix::fs::FileType::from_raw_mode(stat.st_mode);
        if !kind.is_dir() {
            unlinkat(directory, name.as_c_str(), AtFlags::empty())?;
        } else if is_top {
            directories.push(name);
        } else {
            directories.push(move_up(directory, &name, top, moved)?);
        }
    }
    Ok(directories)
}

fn move_up(
    directory: &OwnedFd,
    name: &CStr,
    top: &OwnedFd,
    moved: &mut u64,
) -> io::Result<CString> {
    // Only the owner of a writable directory may give it another parent.
    open(directory, name)?;
    loop {
        *moved += 1;
        let up = CString::new(format!(".removed-{moved}"))?;
        match renameat(directory, name, top, up.as_c_str()) {
            Ok(()) => return Ok(up),
            Err(Errno::EXIST | Errno::NOTEMPTY | Errno::NOTDIR) => {}
            Err(error) => return Err(error.into()),
        }
    }
}

#[cfg(test)]
#[expect(clippy::disallowed_methods, reason = "effects: tests of files")]
mod tests {
    use super::*;

    /// spec: store/operations R5
    #[test]
    fn deep_and_read_only_trees_go() {
        let top = tempfile::tempdir().unwrap();
        let parent = std::fs::File::open(top.path()).unwrap();
        let mut at: OwnedFd = parent.try_clone().unwrap().into();
        rustix::fs::mkdirat(&at, "top", Mode::RWXU).unwrap();
        let walk = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC;
        at = openat(&at, "top", walk, Mode::empty()).unwrap();
        for _ in 0..1100 {
            rustix::fs::mkdirat(&at, "deep", Mode::RWXU).unwrap();
            let next = openat(&at, "deep", walk, Mode::empty()).unwrap();
            rustix::fs::symlinkat("/", &next, "link").unwrap();
            fchmod(&at, Mode::RUSR | Mode::XUSR).unwrap();
            at = next;
        }
        remove_tree(&parent, "top").unwrap();
        assert!(!top.path().join("top").exists());
        assert!(remove_tree(&parent, "top").is_err());
    }
}
