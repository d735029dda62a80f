//! The network of a helper's commands, and whether one of them left traces in it: a connection that a command closed
//! keeps its port busy for a minute, which the next command would notice. Nothing leaves a process uncounted.

use std::fs::File;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::FileExt;

use rustix::fs::{CWD, Mode, OFlags};

use crate::sandbox::confine::{self, Refusal};

/// The network that the commands of a helper see one after another.
#[derive(Debug)]
pub(crate) enum Network {
    /// The machine's.
    Machine,
    /// One of their own.
    Private(Counters),
}

/// The counters of a network's devices.
#[derive(Debug)]
pub(crate) struct Counters {
    /// `/proc/self`, which the helper loses sight of.
    process: OwnedFd,
    devices: File,
}

impl Network {
    /// Returns the network that this process has: the machine's if it is `shared`.
    pub(crate) fn watch(shared: bool) -> Result<Self, Refusal> {
        if shared {
            return Ok(Self::Machine);
        }
        let flags = OFlags::PATH | OFlags::DIRECTORY | OFlags::CLOEXEC;
        let process = rustix::fs::openat(CWD, "/proc/self", flags, Mode::empty());
        let process = Refusal::of("open of /proc/self", process)?;
        let devices = open_devices(&process)?;
        Ok(Self::Private(Counters { process, devices }))
    }

    /// Replaces a network of their own over which something was sent.
    pub(crate) fn renew(&mut self) -> Result<(), Refusal> {
        let Self::Private(counters) = self else {
            return Ok(());
        };
        if counters.are_zero().unwrap_or(false) {
            return Ok(());
        }
        confine::new_network()?;
        counters.devices = open_devices(&counters.process)?;
        Ok(())
    }
}

/// The counters of the network that this process has, for as long as the file is open.
fn open_devices(process: &OwnedFd) -> Result<File, Refusal> {
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    let devices = rustix::fs::openat(process, "net/dev", flags, Mode::empty());
    Refusal::of("open of /proc/self/net/dev", devices).map(File::from)
}

impl Counters {
    fn are_zero(&self) -> io::Result<bool> {
        let mut text = [0; 4096];
        let length = self.devices.read_at(&mut text, 0)?;
        Ok(are_zero(&String::from_utf8_lossy(&text[..length])))
    }
}

/// Returns whether every number of a `/proc/net/dev` is zero.
fn are_zero(table: &str) -> bool {
    let numbers = table.lines().filter_map(|line| line.split_once(':'));
    let mut numbers = numbers.flat_map(|(_, numbers)| numbers.split_whitespace());
    numbers.all(|number| number == "0")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_packet_is_a_trace() {
        let head = "Inter-|   Receive\n face |bytes    packets\n";
        assert!(are_zero(&format!("{head}    lo:       0       0\n")));
        assert!(!are_zero(&format!("{head}    lo:      84       1\n")));
        assert!(!are_zero(&format!(
            "{head}    lo:       0       0\n  sit0: 0 10\n"
        )));
    }
}
