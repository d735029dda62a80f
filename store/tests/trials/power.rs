//! Power cuts: the block device is snapshotted by reflink while the writer runs, which is what a cut
//! would leave; each snapshot is mounted, its journal replayed, and the store in it looked at.

use std::path::{Path, PathBuf};
use std::process::{Child, Stdio};
use std::time::{Duration, Instant};

use super::volume::{Volume, run};
use super::writer::{broken, command};

const SNAPSHOTS: usize = 40;

/// An ext4 in a file on an xfs in a file.
struct Machine {
    top: tempfile::TempDir,
    disk: PathBuf,
    // Dropped in this order: the inner one first.
    fs: Option<Volume>,
    host: Option<Volume>,
}

impl Machine {
    fn new() -> Self {
        let top = tempfile::tempdir().unwrap();
        let image = top.path().join("host.img");
        run("truncate", &["-s", "2G", image.to_str().unwrap()]);
        run("mkfs.xfs", &["-q", image.to_str().unwrap()]);
        let host = Volume::mount(
            &top.path().join("host"),
            &["-o", "loop", image.to_str().unwrap()],
        );
        let disk = host.path().join("disk.img");
        Volume::ext4_file(&disk, "300M");
        let fs = Volume::mount(
            &top.path().join("fs"),
            &["-o", "loop,noatime,commit=1", disk.to_str().unwrap()],
        );
        Self {
            top,
            disk,
            fs: Some(fs),
            host: Some(host),
        }
    }

    fn store(&self) -> PathBuf {
        self.fs.as_ref().unwrap().path().join("store")
    }

    /// Returns the device as a power cut now would leave it.
    fn snapshot(&self, number: usize) -> PathBuf {
        let to = self
            .host
            .as_ref()
            .unwrap()
            .path()
            .join(format!("snap.{number}"));
        run(
            "cp",
            &[
                "--reflink=always",
                self.disk.to_str().unwrap(),
                to.to_str().unwrap(),
            ],
        );
        to
    }

    /// Mounts a snapshot and returns what is broken in the store there.
    fn look(&self, snapshot: &Path, told: u32) -> Vec<String> {
        let at = self.top.path().join("recovered");
        let recovered = Volume::mount(&at, &["-o", "loop", snapshot.to_str().unwrap()]);
        let broken = broken(&recovered.path().join("store"), told);
        drop(recovered);
        std::fs::remove_file(snapshot).unwrap();
        broken
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        self.fs.take();
        self.host.take();
    }
}

/// Ends the writer also when the test fails.
struct Writer(Child);

impl Drop for Writer {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Cuts the power at moments spread over a run of the writer; returns what was broken at each cut,
/// and how much had been told by the last.
fn cut(synced: &str, snapshots: usize) -> (Vec<Vec<String>>, u32) {
    let machine = Machine::new();
    let told = machine.top.path().join("told");
    let errand = [
        "1000000",
        synced,
        machine.store().to_str().unwrap(),
        told.to_str().unwrap(),
    ]
    .map(str::to_owned);
    let errand: Vec<&str> = errand.iter().map(String::as_str).collect();
    let mut writer = command(&["env".to_owned()], &errand);
    let mut writer = Writer(
        writer
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap(),
    );
    let count = || {
        let told = std::fs::read_to_string(&told).unwrap_or_default();
        u32::try_from(told.matches('\n').count()).unwrap()
    };
    let begun = Instant::now();
    let mut taken = Vec::new();
    while taken.len() < snapshots {
        assert!(
            begun.elapsed() < Duration::from_secs(120),
            "the writer told {}",
            count()
        );
        assert!(writer.0.try_wait().unwrap().is_none(), "the writer ended");
        // The count is read before the cut: what is told later need not be there.
        let before = count();
        if before <= taken.last().map_or(0, |(_, before)| *before) {
            std::thread::sleep(Duration::from_millis(1));
            continue;
        }
        taken.push((machine.snapshot(taken.len()), before));
    }
    drop(writer);
    let last = taken.last().unwrap().1;
    let broken = taken
        .iter()
        .map(|(snapshot, told)| machine.look(snapshot, *told));
    (broken.collect(), last)
}

/// spec: store/trials R6
#[test]
#[ignore = "needs root, loop devices and xfsprogs"]
fn a_power_cut_loses_nothing_that_was_told() {
    let (broken, told) = cut("synced", SNAPSHOTS);
    assert_eq!(broken, vec![Vec::<String>::new(); SNAPSHOTS]);
    assert!(told >= 40, "{told}");
}

/// spec: store/trials R6
#[test]
#[ignore = "needs root, loop devices and xfsprogs"]
fn a_power_cut_without_syncing_is_seen() {
    let (broken, _) = cut("unsynced", 10);
    let damaged = broken.iter().filter(|broken| !broken.is_empty()).count();
    assert!(damaged >= 5, "{damaged} of {}", broken.len());
}
