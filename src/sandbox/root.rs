//! The root that a command at level 2 sees: the part that a helper builds once, and the part that is new for each command.
//! Hands out nothing of the machine that `spec/sandbox/level-2.md` does not name. Runs in the helper and in process 1.
#![expect(
    clippy::disallowed_methods,
    reason = "effects: mounts, /proc, /etc of the sandbox"
)]

use std::ffi::CStr;
use std::fs;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, FileType, Mode, OFlags, StatVfsMountFlags};
use rustix::io::Errno;
use rustix::mount::{
    FsMountFlags, FsOpenFlags, MountAttrFlags, MountFlags, MountPropagationFlags, MoveMountFlags,
    OpenTreeFlags, UnmountFlags,
};
use rustix::thread::{LinkNameSpaceType, UnshareFlags};

use crate::sandbox::confine::{self, Refusal};
use crate::sandbox::environment::{BUILD, GID, HOME, TEMPORARY, TOOLS, UID};
use crate::sandbox::order::View;

/// The directories that hold the system's programs and libraries, beside `/usr`.
const SYSTEM: [&str; 6] = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];

/// What is new for each command, and where.
const SCRATCH: [&str; 2] = [TEMPORARY, "/dev/shm"];

/// Where the helper keeps what a command must not see.
const STAGES: &str = "/build/stages";
const MACHINE: &str = "/build/proc";

/// The part of the root that is the same for every command of a helper; the helper's own root.
#[derive(Debug)]
pub(crate) struct Root {
    /// A mount namespace that has it without what the helper keeps.
    bare: OwnedFd,
    /// Files that a command sees below a directory that is new for each.
    late: Vec<PathBuf>,
}

impl Root {
    /// Builds the root that `view` describes and makes it the root of this mount namespace.
    pub(crate) fn enter(view: &View) -> Result<Self, Refusal> {
        let private = MountPropagationFlags::PRIVATE | MountPropagationFlags::REC;
        Refusal::of("private mounts", rustix::mount::mount_change("/", private))?;
        let plan = &Builder::new(&view.mount_point)?;
        plan.system()?;
        plan.devices()?;
        plan.configuration(view.network)?;
        for scratch in SCRATCH {
            plan.directory(Path::new(scratch))?;
        }
        let late = plan.files(view)?;
        plan.tools(view)?;
        plan.directory(Path::new("/proc"))?;
        plan.kept(view)?;
        plan.switch()?;
        let bare = bare()?;
        Ok(Self { bare, late })
    }

    /// Gives this process, which is process 1, a mount namespace of its own and finishes the root in it: the staged
    /// `tree`, its own `/proc` and scratch directories.
    pub(crate) fn complete(&self, tree: Option<&Path>) -> Result<(), Refusal> {
        // These two need what the helper keeps. Its namespace is left, not cleared: an unmount waits for every processor.
        let processes = processes()?;
        let tree = tree.map(|tree| detached(&Path::new(STAGES).join(tree)));
        let tree = tree.transpose()?;
        enter_mounts(&self.bare)?;
        confine::leave("unshare of the mount namespace", UnshareFlags::NEWNS)?;
        let late: Result<Vec<OwnedFd>, Refusal> =
            self.late.iter().map(|path| detached(path)).collect();
        let late = late?;
        attach(&processes, Path::new("/proc"))?;
        cover()?;
        if let Some(tree) = tree {
            attach(&tree, Path::new(BUILD))?;
        }
        for path in SCRATCH {
            mount_scratch(path, c"mode=1777")?;
        }
        for (mount, path) in late.iter().zip(&self.late) {
            make_place(mount, path)?;
            attach(mount, path)?;
        }
        Refusal::from_io("directory of the root", fs::create_dir(HOME))
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

/// The root in the making: a tmpfs over some directory of the old one.
struct Builder<'v> {
    at: &'v Path,
    /// Where the old root has mounts; those below something that is bound come along and need their own flags.
    mounts: Vec<PathBuf>,
}

impl<'v> Builder<'v> {
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

    /// What tools need outside the system's directories. Returns those below a directory that is new for each command.
    fn files(&self, view: &View) -> Result<Vec<PathBuf>, Refusal> {
        let programs = view.programs.iter().map(|(_, program)| program);
        let mut wanted: Vec<&PathBuf> = view.files.iter().chain(programs).collect();
        wanted.sort();
        let mut shown: Option<&Path> = None;
        let mut late = Vec::new();
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
            if SCRATCH.iter().any(|scratch| path.starts_with(scratch)) && path.exists() {
                late.push(path.clone());
            }
        }
        Ok(late)
    }

    /// The one directory of PATH.
    fn tools(&self, view: &View) -> Result<(), Refusal> {
        self.directory(Path::new(TOOLS))?;
        for (name, program) in &view.programs {
            self.symlink(program, &Path::new(TOOLS).join(name))?;
        }
        Ok(())
    }

    /// What the helper needs for each command: the stages, and the machine's `/proc`, without which the kernel lets
    /// nobody mount another.
    fn kept(&self, view: &View) -> Result<(), Refusal> {
        self.directory(Path::new(BUILD))?;
        mount_scratch(self.inside(Path::new(BUILD)), c"mode=0755")?;
        if let Some(stages) = &view.stages {
            self.directory(Path::new(STAGES))?;
            self.bind(stages, Path::new(STAGES), Access::Write)?;
        }
        self.directory(Path::new(MACHINE))?;
        let machine = self.inside(Path::new(MACHINE));
        Refusal::of(
            "bind mount of /proc",
            rustix::mount::mount_bind_recursive("/proc", machine),
        )
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
        Refusal::of("chdir to the root", rustix::process::chdir("/"))
    }
}

/// Returns a copy of this process's mount namespace from which what the helper keeps is gone; this process stays.
fn bare() -> Result<OwnedFd, Refusal> {
    let kept = mount_namespace()?;
    confine::leave("unshare of the mount namespace", UnshareFlags::NEWNS)?;
    let bare = mount_namespace()?;
    Refusal::of(
        "unmount of what the helper keeps",
        rustix::mount::unmount(BUILD, UnmountFlags::DETACH),
    )?;
    enter_mounts(&kept)?;
    Ok(bare)
}

/// Returns the mount namespace of this process, which must have what the helper keeps.
fn mount_namespace() -> Result<OwnedFd, Refusal> {
    let path = Path::new(MACHINE).join("self/ns/mnt");
    let flags = OFlags::RDONLY | OFlags::CLOEXEC;
    Refusal::of(
        "open of the mount namespace",
        rustix::fs::open(path, flags, Mode::empty()),
    )
}

fn enter_mounts(namespace: &OwnedFd) -> Result<(), Refusal> {
    let kind = Some(LinkNameSpaceType::Mount);
    let entered = rustix::thread::move_into_link_name_space(namespace.as_fd(), kind);
    Refusal::of("setns to the mount namespace", entered)
}

/// Returns a `/proc` of this pid namespace that is attached nowhere yet.
fn processes() -> Result<OwnedFd, Refusal> {
    let opened = rustix::mount::fsopen("proc", FsOpenFlags::FSOPEN_CLOEXEC);
    let opened = Refusal::of("fsopen of /proc", opened)?;
    let made = rustix::mount::fsconfig_create(opened.as_fd());
    Refusal::of("mount of /proc", made)?;
    let flags = MountAttrFlags::MOUNT_ATTR_NOSUID
        | MountAttrFlags::MOUNT_ATTR_NODEV
        | MountAttrFlags::MOUNT_ATTR_NOEXEC;
    let mount = rustix::mount::fsmount(opened.as_fd(), FsMountFlags::FSMOUNT_CLOEXEC, flags);
    Refusal::of("mount of /proc", mount)
}

/// Covers the files of `/proc` through which a user that is root outside could change the machine.
fn cover() -> Result<(), Refusal> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV | MountFlags::NOEXEC;
    for name in ["sys", "sysrq-trigger", "irq", "bus"] {
        let path = Path::new("/proc").join(name);
        match rustix::mount::mount_bind(&path, &path) {
            Err(Errno::NOENT) => {}
            bound => {
                Refusal::of("cover of /proc", bound)?;
                let flags = flags | MountFlags::BIND | MountFlags::RDONLY;
                let covered = rustix::mount::mount_remount(&path, flags, c"");
                Refusal::of("cover of /proc", covered)?;
            }
        }
    }
    Ok(())
}

fn mount_scratch(path: impl AsRef<Path>, options: &CStr) -> Result<(), Refusal> {
    let flags = MountFlags::NOSUID | MountFlags::NODEV;
    let mounted = rustix::mount::mount("stagecraft", path.as_ref(), "tmpfs", flags, options);
    Refusal::of("mount of a scratch directory", mounted)
}

/// Returns a mount of `path` and what is mounted below it that is attached nowhere yet.
fn detached(path: &Path) -> Result<OwnedFd, Refusal> {
    let flags = OpenTreeFlags::OPEN_TREE_CLONE
        | OpenTreeFlags::OPEN_TREE_CLOEXEC
        | OpenTreeFlags::AT_RECURSIVE;
    Refusal::of("open_tree", rustix::mount::open_tree(CWD, path, flags))
}

fn attach(mount: &OwnedFd, path: &Path) -> Result<(), Refusal> {
    let flags = MoveMountFlags::MOVE_MOUNT_F_EMPTY_PATH;
    Refusal::of(
        "move_mount",
        rustix::mount::move_mount(mount, "", CWD, path, flags),
    )
}

/// Makes what a mount can be attached over: a directory for a directory, a file for another.
fn make_place(mount: &OwnedFd, path: &Path) -> Result<(), Refusal> {
    let status = Refusal::of("fstat", rustix::fs::fstat(mount))?;
    let directory = FileType::from_raw_mode(status.st_mode) == FileType::Directory;
    let parent = if directory { Some(path) } else { path.parent() };
    if let Some(parent) = parent {
        Refusal::from_io("place of a bound file", fs::create_dir_all(parent))?;
    }
    if directory {
        return Ok(());
    }
    Refusal::from_io("place of a bound file", fs::File::create(path)).map(drop)
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
