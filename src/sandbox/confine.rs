//! Level 2 as system calls: namespaces, the root that a command sees, and the end of all privileges.
//! Every step that the kernel refuses is named. Runs in the helper only, never in a process with threads.
#![expect(
    clippy::disallowed_methods,
    reason = "effects: mounts, /proc, /etc of the sandbox"
)]

use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{Mode, StatVfsMountFlags};
use rustix::io::Errno;
use rustix::mount::{MountFlags, MountPropagationFlags, UnmountFlags};
use rustix::thread::{CapabilitySet, CapabilitySets, UnshareFlags};

use crate::sandbox::environment::{BUILD, GID, HOME, HOST, TOOLS, UID};
use crate::sandbox::order::View;

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

/// Gives this process, and process 1 that it starts next, namespaces of their own.
pub(crate) fn unshare(network: bool) -> Result<(), Refusal> {
    let (uid, gid) = (rustix::process::geteuid(), rustix::process::getegid());
    // Only root can leave its other groups; an ordinary user's show inside as `nogroup`.
    rustix::thread::set_thread_groups(&[]).ok();
    let mut flags = UnshareFlags::NEWUSER
        | UnshareFlags::NEWNS
        | UnshareFlags::NEWPID
        | UnshareFlags::NEWIPC
        | UnshareFlags::NEWUTS;
    if !network {
        flags |= UnshareFlags::NEWNET;
    }
    #[expect(
        deprecated,
        reason = "its only hazard is CLONE_FILES, which is not asked for"
    )]
    Refusal::of(
        "unshare of the user, mount, pid, ipc and uts namespaces",
        rustix::thread::unshare(flags),
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
    if network {
        Ok(())
    } else {
        Refusal::of("set up of the loopback device", loopback_up())
    }
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

/// What process 1 still needs: mounts, and to drop what it needs.
const NEEDED: [CapabilitySet; 2] = [CapabilitySet::SYS_ADMIN, CapabilitySet::SETPCAP];

/// Lets process 1 keep what it needs across its exec, which would take it from a user that is not root.
pub(crate) fn keep_capabilities() -> Result<(), Refusal> {
    let mut sets = Refusal::of("capget", rustix::thread::capabilities(None))?;
    sets.inheritable = sets.permitted;
    Refusal::of("capset", rustix::thread::set_capabilities(None, sets))?;
    for capability in NEEDED {
        let raised = rustix::thread::configure_capability_in_ambient_set(capability, true);
        Refusal::of("PR_CAP_AMBIENT_RAISE", raised)?;
    }
    Ok(())
}

/// Leaves this process and all that it starts without any capability, for good.
pub(crate) fn give_up_capabilities() -> Result<(), Refusal> {
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
    let none = CapabilitySet::empty();
    let sets = CapabilitySets {
        effective: none,
        permitted: none,
        inheritable: none,
    };
    Refusal::of("capset", rustix::thread::set_capabilities(None, sets))?;
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

/// The directories that hold the system's programs and libraries, beside `/usr`.
const SYSTEM: [&str; 6] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// Builds the root that `view` describes and makes it the root of this mount namespace.
pub(crate) fn enter(view: &View) -> Result<(), Refusal> {
    let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
    Refusal::of("private mounts", rustix::mount::mount_change("/", private))?;
    let root = &Root::new(&view.mount_point)?;
    root.system()?;
    root.devices()?;
    root.processes()?;
    root.configuration(view.network)?;
    root.scratch("tmp")?;
    root.files(view)?;
    root.tools(view)?;
    root.directory(Path::new(HOME))?;
    root.directory(Path::new(BUILD))?;
    if let Some(tree) = &view.tree {
        root.bind(tree, Path::new(BUILD), Access::Write)?;
    }
    root.switch()
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

/// The root in the making: a tmpfs over some directory of the old one.
struct Root<'v> {
    at: &'v Path,
    /// Where the old root has mounts; those below something that is bound come along and need their own flags.
    mounts: Vec<PathBuf>,
}

impl<'v> Root<'v> {
    fn new(at: &'v Path) -> Result<Self, Refusal> {
        let table = Refusal::from_io(
            "read of /proc/self/mountinfo",
            fs::read("/proc/self/mountinfo"),
        )?;
        let mounts = mount_points(&table);
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        let mounted = rustix::mount::mount("stagecraft", at, "tmpfs", flags, c"mode=0755");
        Refusal::of("mount of the root", mounted)?;
        Ok(Self { at, mounts })
    }

    /// Returns where `path`, as the command will see it, is now.
    fn inside(&self, path: &Path) -> PathBuf {
        self.at.join(path.strip_prefix("/").unwrap_or(path))
    }

    fn directory(&self, path: &Path) -> Result<(), Refusal> {
        Refusal::from_io(
            "directory of the root",
            fs::create_dir_all(self.inside(path)),
        )
    }

    fn text(&self, path: &str, text: &str) -> Result<(), Refusal> {
        Refusal::from_io(
            "file of /etc",
            fs::write(self.inside(Path::new(path)), text),
        )
    }

    fn symlink(&self, target: &Path, path: &Path) -> Result<(), Refusal> {
        Refusal::of(
            "symlink of the root",
            rustix::fs::symlink(target, self.inside(path)),
        )
    }

    /// Shows `source` of the old root at `path`; nothing when there is no such thing.
    fn show(&self, source: &Path, path: &Path, access: Access) -> Result<(), Refusal> {
        let Ok(status) = fs::metadata(source) else {
            return Ok(());
        };
        if status.is_dir() {
            self.directory(path)?;
        } else {
            if let Some(parent) = path.parent() {
                self.directory(parent)?;
            }
            Refusal::from_io("place of a bound file", fs::File::create(self.inside(path)))?;
        }
        self.bind(source, path, access)
    }

    fn bind(&self, source: &Path, path: &Path, access: Access) -> Result<(), Refusal> {
        let target = self.inside(path);
        Refusal::of(
            "bind mount",
            rustix::mount::mount_bind_recursive(source, &target),
        )?;
        restrict(&target, access)?;
        let below = self.mounts.iter().filter(|mount| *mount != source);
        for rest in below.filter_map(|mount| mount.strip_prefix(source).ok()) {
            match restrict(&target.join(rest), access) {
                // A mount hidden by another, or one that not even its owner may look at.
                Err(Refusal {
                    errno: Errno::ACCESS | Errno::NOENT | Errno::INVAL,
                    ..
                })
                | Ok(()) => {}
                Err(refusal) => return Err(refusal),
            }
        }
        Ok(())
    }

    /// `/usr`, and what stands for its parts at the top.
    fn system(&self) -> Result<(), Refusal> {
        self.show(Path::new("/usr"), Path::new("/usr"), Access::Read)?;
        for name in SYSTEM {
            let path = Path::new("/").join(name);
            match fs::read_link(&path) {
                Ok(target) => self.symlink(&target, &path)?,
                Err(_) => self.show(&path, &path, Access::Read)?,
            }
        }
        Ok(())
    }

    fn devices(&self) -> Result<(), Refusal> {
        for name in ["null", "zero", "full", "random", "urandom"] {
            let path = Path::new("/dev").join(name);
            self.directory(Path::new("/dev"))?;
            if !path.exists() {
                continue;
            }
            let target = self.inside(&path);
            Refusal::from_io("place of a device", fs::File::create(&target))?;
            Refusal::of(
                "bind mount of a device",
                rustix::mount::mount_bind(&path, &target),
            )?;
        }
        let links = [
            ("fd", ""),
            ("stdin", "/0"),
            ("stdout", "/1"),
            ("stderr", "/2"),
        ];
        for (name, descriptor) in links {
            let target = format!("/proc/self/fd{descriptor}");
            self.symlink(Path::new(&target), &Path::new("/dev").join(name))?;
        }
        self.scratch("dev/shm")
    }

    /// The namespace's own `/proc`, without the files through which a user that is root outside could change
    /// the machine.
    fn processes(&self) -> Result<(), Refusal> {
        self.directory(Path::new("/proc"))?;
        let target = self.inside(Path::new("/proc"));
        let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
        Refusal::of(
            "mount of /proc",
            rustix::mount::mount("proc", &target, "proc", flags, None),
        )?;
        for name in ["sys", "sysrq-trigger", "irq", "bus"] {
            let path = target.join(name);
            match rustix::mount::mount_bind(&path, &path) {
                Err(Errno::NOENT) => {}
                bound => {
                    Refusal::of("cover of /proc", bound)?;
                    restrict(&path, Access::Read)?;
                }
            }
        }
        Ok(())
    }

    fn configuration(&self, network: bool) -> Result<(), Refusal> {
        self.directory(Path::new("/etc"))?;
        self.text(
            "/etc/passwd",
            &format!("build:x:{UID}:{GID}::{HOME}:/bin/sh\nnobody:x:65534:65534::/:/bin/false\n"),
        )?;
        self.text("/etc/group", &format!("build:x:{GID}:\nnogroup:x:65534:\n"))?;
        self.text(
            "/etc/nsswitch.conf",
            "passwd: files\ngroup: files\nhosts: files dns\n",
        )?;
        let shared: &[&str] = if network {
            &[
                "/etc/resolv.conf",
                "/etc/hosts",
                "/etc/services",
                "/etc/ssl",
                "/etc/pki",
                "/etc/ca-certificates",
            ]
        } else {
            self.text("/etc/hosts", "127.0.0.1 localhost\n::1 localhost\n")?;
            &[]
        };
        for path in ["/etc/alternatives", "/etc/ld.so.cache"]
            .iter()
            .chain(shared)
        {
            self.show(Path::new(path), Path::new(path), Access::Read)?;
        }
        Ok(())
    }

    /// What tools need outside the system's directories.
    fn files(&self, view: &View) -> Result<(), Refusal> {
        let programs = view.programs.iter().map(|(_, program)| program);
        let mut wanted: Vec<&PathBuf> = view.files.iter().chain(programs).collect();
        wanted.sort();
        let mut shown: Option<&Path> = None;
        for path in wanted {
            let system = ["usr"]
                .iter()
                .chain(&SYSTEM)
                .any(|name| path.starts_with(Path::new("/").join(name)));
            if system || shown.is_some_and(|above| path.starts_with(above)) {
                continue;
            }
            self.show(path, path, Access::Read)?;
            shown = Some(path);
        }
        Ok(())
    }

    /// The one directory of PATH.
    fn tools(&self, view: &View) -> Result<(), Refusal> {
        self.directory(Path::new(TOOLS))?;
        for (name, program) in &view.programs {
            self.symlink(program, &Path::new(TOOLS).join(name))?;
        }
        Ok(())
    }

    fn scratch(&self, path: &str) -> Result<(), Refusal> {
        self.directory(Path::new(path))?;
        let flags = MountFlags::NOSUID | MountFlags::NODEV;
        let target = self.inside(Path::new(path));
        let mounted = rustix::mount::mount("stagecraft", target, "tmpfs", flags, c"mode=1777");
        Refusal::of("mount of /tmp", mounted)
    }

    /// Leaves the old root behind.
    fn switch(&self) -> Result<(), Refusal> {
        restrict(self.at, Access::Read)?;
        Refusal::of("chdir to the root", rustix::process::chdir(self.at))?;
        Refusal::of("pivot_root", rustix::process::pivot_root(".", "."))?;
        Refusal::of(
            "unmount of the old root",
            rustix::mount::unmount(".", UnmountFlags::DETACH),
        )?;
        Refusal::of("chdir to the root", rustix::process::chdir("/"))?;
        rustix::process::umask(Mode::from_raw_mode(0o022));
        Ok(())
    }
}

/// Sets the flags of one mount. Flags that it brought along stay: the kernel refuses to lift them.
fn restrict(target: &Path, access: Access) -> Result<(), Refusal> {
    let brought = Refusal::of("statvfs", rustix::fs::statvfs(target))?.f_flag;
    let mut flags = MountFlags::BIND | MountFlags::NOSUID | MountFlags::NODEV;
    if access == Access::Read || brought.contains(StatVfsMountFlags::RDONLY) {
        flags |= MountFlags::RDONLY;
    }
    if brought.contains(StatVfsMountFlags::NOEXEC) {
        flags |= MountFlags::NOEXEC;
    }
    Refusal::of("remount", rustix::mount::mount_remount(target, flags, c""))
}

/// Returns the mount points that a `mountinfo` names, spaces and the like unescaped.
fn mount_points(table: &[u8]) -> Vec<PathBuf> {
    let lines = table.split(|byte| *byte == b'\n');
    let fields = lines.filter_map(|line| line.split(|byte| *byte == b' ').nth(4));
    fields
        .map(|field| PathBuf::from(std::ffi::OsString::from_vec(unescape(field))))
        .collect()
}

fn unescape(field: &[u8]) -> Vec<u8> {
    let mut plain = Vec::with_capacity(field.len());
    let mut rest = field;
    while let [byte, after @ ..] = rest {
        let octal = after
            .get(..3)
            .filter(|_| *byte == b'\\')
            .and_then(|digits| {
                let digits = std::str::from_utf8(digits).ok()?;
                u8::from_str_radix(digits, 8).ok()
            });
        plain.push(octal.unwrap_or(*byte));
        rest = if octal.is_some() { &after[3..] } else { after };
    }
    plain
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn mount_points_are_read_and_unescaped() {
        let table =
            b"22 1 8:1 / / rw - ext4 /dev/sda rw\n30 22 0:5 / /mnt/a\\040b rw - tmpfs x rw\n";
        assert_eq!(mount_points(table), [Path::new("/"), Path::new("/mnt/a b")]);
    }
}
