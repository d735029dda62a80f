//! File systems of our own: files on loop devices and memory, unmounted when dropped.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Runs a command that must succeed.
#[track_caller]
pub(crate) fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(
        output.status.success(),
        "{program} {arguments:?}: {}",
        String::from_utf8_lossy(&output.stderr)
    );
}

/// A mounted file system.
pub(crate) struct Volume {
    at: PathBuf,
}

impl Volume {
    /// Mounts at a directory that is made.
    #[track_caller]
    pub(crate) fn mount(at: &Path, arguments: &[&str]) -> Self {
        std::fs::create_dir_all(at).unwrap();
        let mut all = arguments.to_vec();
        all.push(at.to_str().unwrap());
        run("mount", &all);
        Self { at: at.to_owned() }
    }

    /// Makes a file with an ext4 in it.
    #[track_caller]
    pub(crate) fn ext4_file(file: &Path, size: &str) {
        run("truncate", &["-s", size, file.to_str().unwrap()]);
        // So many inodes that blocks end first.
        let inodes = ["-i", "1024"];
        run(
            "mkfs.ext4",
            &["-q", "-m0", inodes[0], inodes[1], file.to_str().unwrap()],
        );
    }

    pub(crate) fn path(&self) -> &Path {
        &self.at
    }

    #[track_caller]
    pub(crate) fn remount(&self, options: &str) {
        run(
            "mount",
            &[
                "-o",
                &format!("remount,{options}"),
                self.at.to_str().unwrap(),
            ],
        );
    }
}

impl Drop for Volume {
    fn drop(&mut self) {
        // Lazily: a process that was killed a moment ago may still hold a file.
        let unmounted = Command::new("umount").arg("-l").arg(&self.at).status();
        assert!(
            std::thread::panicking() || unmounted.is_ok_and(|status| status.success()),
            "{} stays mounted",
            self.at.display()
        );
    }
}
