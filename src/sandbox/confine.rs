//! Level 2 as system calls: the namespaces that the commands of a helper share, and the end of all privileges.
//! Every step that the kernel refuses is named. Runs in the helper only, never in a process with threads.
#![expect(clippy::disallowed_methods, reason = "effects: /proc of the helper")]

use std::fs;
use std::io;

use rustix::io::Errno;
use rustix::thread::{CapabilitySet, CapabilitySets, UnshareFlags};

use crate::sandbox::environment::{GID, HOST, UID};

/// A step that the kernel refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// What was tried.
    pub(crate) step: &'static str,
    /// The kernel's answer.
    pub(crate) errno: Errno,
}

impl Refusal {
    /// Names the step that `result` is the outcome of.
    pub(crate) fn of<T>(step: &'static str, result: rustix::io::Result<T>) -> Result<T, Self> {
        result.map_err(|errno| Self { step, errno })
    }

    /// Names the step that `result` is the outcome of.
    pub(crate) fn from_io<T>(step: &'static str, result: io::Result<T>) -> Result<T, Self> {
        result.map_err(|error| Self {
            step,
            errno: Errno::from_io_error(&error).unwrap_or(Errno::INVAL),
        })
    }
}

/// Gives this process a user, mount and host-name namespace of its own, and a network unless it is to share it.
pub(crate) fn unshare(network: bool) -> Result<(), Refusal> {
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    // Only root can leave its other groups; an ordinary user's show inside as `nogroup`.
    rustix::thread::set_thread_groups(&[]).ok();
    leave(
        "unshare of the user, mount and uts namespaces",
        UnshareFlags::NEWUSER | UnshareFlags::NEWNS | UnshareFlags::NEWUTS,
    )?;
    Refusal::from_io(
        "write to /proc/self/setgroups",
        fs::write("/proc/self/setgroups", "deny"),
    )?;
    let map = format!("{UID} {} 1", uid.as_raw());
    Refusal::from_io(
        "write to /proc/self/uid_map",
        fs::write("/proc/self/uid_map", map),
    )?;
    let map = format!("{GID} {} 1", gid.as_raw());
    Refusal::from_io(
        "write to /proc/self/gid_map",
        fs::write("/proc/self/gid_map", map),
    )?;
    Refusal::of("sethostname", rustix::system::sethostname(HOST.as_bytes()))?;
    if network { Ok(()) } else { new_network() }
}

/// Gives this process a network that nothing was sent over yet: a loopback device.
pub(crate) fn new_network() -> Result<(), Refusal> {
    leave("unshare of the network namespace", UnshareFlags::NEWNET)?;
    Refusal::of("set up of the loopback device", loopback_up())
}

/// Leaves `namespaces` for new ones; a refusal is named `step`.
pub(crate) fn leave(step: &'static str, namespaces: UnshareFlags) -> Result<(), Refusal> {
    #[expect(
        deprecated,
        reason = "its only hazard is CLONE_FILES, which is not asked for"
    )]
    Refusal::of(step, rustix::thread::unshare(namespaces))
}

/// Sends the kernel one `RTM_NEWLINK` that sets `IFF_UP` on interface 1, which is `lo` in a new namespace.
fn loopback_up() -> rustix::io::Result<()> {
    use rustix::net::{AddressFamily, RecvFlags, SendFlags, SocketFlags, SocketType};
    const RTM_NEWLINK: u16 = 16;
    const NLM_F_REQUEST_ACK: u16 = 1 | 4;
    const IFF_UP: u32 = 1;
    let mut message = Vec::with_capacity(32);
    message.extend_from_slice(&32_u32.to_ne_bytes());
    message.extend_from_slice(&RTM_NEWLINK.to_ne_bytes());
    message.extend_from_slice(&NLM_F_REQUEST_ACK.to_ne_bytes());
    // Sequence and port of the header, then `ifinfomsg`: family, padding and type; index; flags; mask of them.
    for word in [1, 0, 0, 1, IFF_UP, IFF_UP] {
        message.extend_from_slice(&u32::to_ne_bytes(word));
    }
    let socket = rustix::net::socket_with(
        AddressFamily::NETLINK,
        SocketType::RAW,
        SocketFlags::CLOEXEC,
        None,
    )?;
    rustix::net::send(&socket, &message, SendFlags::empty())?;
    let mut answer = [0_u8; 256];
    let (length, _) = rustix::net::recv(&socket, &mut answer[..], RecvFlags::empty())?;
    // `nlmsgerr`: the header's 16 bytes, then the negated error number.
    let error = answer[..length]
        .get(16..20)
        .and_then(|bytes| bytes.try_into().ok());
    match error.map(i32::from_ne_bytes) {
        Some(0) => Ok(()),
        Some(number) => Err(Errno::from_raw_os_error(-number)),
        None => Err(Errno::PROTO),
    }
}

/// Leaves this process and all that it starts without a way to gain a capability that it has given up.
pub(crate) fn bound_capabilities() -> Result<(), Refusal> {
    for bit in 0..64 {
        let capability = CapabilitySet::from_bits_retain(1 << bit);
        match rustix::thread::remove_capability_from_bounding_set(capability) {
            // The first number that the kernel does not know ends the list.
            Err(Errno::INVAL) => break,
            dropped => Refusal::of("PR_CAPBSET_DROP", dropped)?,
        }
    }
    Refusal::of(
        "PR_CAP_AMBIENT_CLEAR_ALL",
        rustix::thread::clear_ambient_capability_set(),
    )?;
    Refusal::of(
        "PR_SET_NO_NEW_PRIVS",
        rustix::thread::set_no_new_privs(true),
    )?;
    let hidden = rustix::process::DumpableBehavior::NotDumpable;
    Refusal::of(
        "PR_SET_DUMPABLE",
        rustix::process::set_dumpable_behavior(hidden),
    )
}

/// Leaves this process and all that it starts without any capability; for good, once they are bounded.
pub(crate) fn give_up_capabilities() -> Result<(), Refusal> {
    let none = CapabilitySet::empty();
    let sets = CapabilitySets {
        effective: none,
        permitted: none,
        inheritable: none,
    };
    Refusal::of("capset", rustix::thread::set_capabilities(None, sets))
}
