//! Who owns a directory of temporary files: one process, named by boot, process id and start time,
//! and holding a lock on the directory. What belongs to no living process is removed by the next.
#![expect(
    clippy::disallowed_methods,
    reason = "effects: reads /proc to learn which processes live"
)]

use std::io::{self, ErrorKind};
use std::os::fd::OwnedFd;

use rustix::fs::{AtFlags, fstat, statat};

use crate::disk::{Change, Disk, HostDisk, Kind};
use crate::layout::TMP;
use crate::lock;

/// A directory of temporary files that is ours while this lives.
#[derive(Debug)]
pub(crate) struct Owner {
    /// The directory.
    pub(crate) path: String,
    /// Holds the lock; a disk that is not of this machine has none.
    _lock: Option<OwnedFd>,
}

/// Makes a directory for this store; a process may have several.
pub(crate) fn claim(disk: &dyn Disk, host: Option<&HostDisk>) -> io::Result<Owner> {
    let base = match host {
        Some(_) => format!("{TMP}/{}", process_name(std::process::id())?),
        None => format!("{TMP}/owner"),
    };
    let mut count: u64 = 0;
    loop {
        let path = match count {
            0 => base.clone(),
            count => format!("{base}.{count}"),
        };
        count += 1;
        match disk.change(Change::MakeDir(&path)) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
            Err(error) if error.kind() == ErrorKind::NotFound && disk.stat(TMP)?.is_none() => {
                made(disk.change(Change::MakeDir(TMP)))?;
                count -= 1;
                continue;
            }
            Err(error) => return Err(error),
        }
        let Some(host) = host else {
            return Ok(Owner { path, _lock: None });
        };
        if let Some(lock) = hold(host, &path)? {
            let lock = Some(lock);
            return Ok(Owner { path, _lock: lock });
        }
    }
}

/// Locks the directory; `None` when another process took it for a dead one's and removed it.
fn hold(host: &HostDisk, path: &str) -> io::Result<Option<OwnedFd>> {
    let directory = match host.handle(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        opened => opened?,
    };
    if !lock::try_exclude(&directory)? {
        return Ok(None);
    }
    let ours = fstat(&directory)?.st_ino;
    let named = host
        .handle(path)
        .and_then(|named| Ok(statat(&named, "", AtFlags::EMPTY_PATH)?.st_ino));
    Ok((named.is_ok_and(|named| named == ours)).then_some(directory))
}

/// Removes the directories of dead owners, `ours` never. What cannot be removed is left for the next time.
pub(crate) fn reap(disk: &dyn Disk, host: Option<&HostDisk>, ours: Option<&str>) -> io::Result<()> {
    let entries = match disk.list(TMP) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for (name, stat) in entries {
        let path = format!("{TMP}/{name}");
        if ours == Some(path.as_str()) {
            continue;
        }
        let Some(host) = host else {
            disk.change(Change::RemoveTree(&path))?;
            continue;
        };
        if stat.kind != Kind::Directory || lives(&name) {
            continue;
        }
        // The lock also sees owners that have another view of the process table.
        let Ok(directory) = host.handle(&path) else {
            continue;
        };
        if lock::try_exclude(&directory).unwrap_or(false)
            && disk.change(Change::RemoveTree(&path)).is_err()
        {
            tracing::debug!(path, "temporary files of a dead process stay");
        }
    }
    Ok(())
}

/// Returns whether `<boot>.<pid>.<start>` names a process of this boot that still runs.
pub(crate) fn lives(name: &str) -> bool {
    let mut parts = name.split('.');
    let pid = parts.nth(1).and_then(|pid| pid.parse().ok());
    let Some(named) = pid.and_then(|pid| process_name(pid).ok()) else {
        return false;
    };
    name == named || name.starts_with(&format!("{named}."))
}

/// Names a process: `<boot>.<pid>.<start>`.
pub(crate) fn process_name(pid: u32) -> io::Result<String> {
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id")?;
    let fields = std::fs::read_to_string(format!("/proc/{pid}/stat"))?;
    // The second field is the program's name in parentheses and may hold anything; the start time
    // is field 22, proc_pid_stat(5).
    let start = fields
        .rsplit_once(')')
        .and_then(|(_, rest)| rest.split_ascii_whitespace().nth(19))
        .ok_or(ErrorKind::InvalidData)?;
    Ok(format!("{}.{pid}.{start}", boot.trim()))
}

/// Accepts that a directory is there already.
pub(crate) fn made(done: io::Result<()>) -> io::Result<bool> {
    match done {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::AlreadyExists => Ok(false),
        Err(error) => Err(error),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec: store/format R18, store/operations R5
    #[test]
    fn a_process_lives_under_its_own_name_only() {
        let pid = std::process::id();
        let ours = process_name(pid).unwrap();
        assert!(lives(&ours) && lives(&format!("{ours}.1")));
        let (boot, _) = ours.split_once('.').unwrap();
        let unused = u32::MAX;
        for dead in [
            format!("{ours}0"),
            format!("{boot}.{pid}.1"),
            format!("{boot}.{unused}.1"),
            format!("x{ours}"),
            "garbage".to_owned(),
        ] {
            assert!(!lives(&dead), "{dead}");
        }
    }
}
