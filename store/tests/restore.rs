//! An owned directory made equal to a tree.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "effects: tests of files")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use proptest::prelude::*;
use rustix::fs::{CWD, Mode, RenameFlags, mkfifoat, renameat_with};
use stagecraft_store::{
    Digest, ExportMode, ImportRules, Object, Restored, Store, StoreError, TreeBuilder,
};

const MODES: [ExportMode; 3] = [ExportMode::Copy, ExportMode::CopyReadOnly, ExportMode::Link];

struct Place {
    top: tempfile::TempDir,
    store: Store,
    tree: Digest,
}

/// Ends a thread also when the test fails, so that a failure is not a hang.
struct Stop<'a>(&'a std::sync::atomic::AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

fn place() -> Place {
    let top = tempfile::tempdir().unwrap();
    let store = Store::open(&top.path().join("store")).unwrap();
    let mut batch = store.batch();
    let mut tree = TreeBuilder::new();
    for (path, bytes) in [
        ("a/one", "one"),
        ("a/deep/two", "two"),
        ("tool", "#!/bin/sh\n"),
        ("plain", "plain"),
        ("empty", ""),
    ] {
        let object = batch.put(bytes.as_bytes()).unwrap();
        tree.file(path, &object, path == "tool").unwrap();
    }
    tree.symlink("link", "a/one").unwrap();
    tree.directory("hollow").unwrap();
    let tree = tree.build();
    batch.add_tree(&tree).unwrap();
    store.commit(vec![batch], vec![], vec![]).unwrap();
    Place {
        top,
        store,
        tree: tree.root.digest,
    }
}

impl Place {
    fn path(&self, name: &str) -> PathBuf {
        self.top.path().join(name)
    }

    fn restore(&self, target: &Path, mode: ExportMode) -> Result<Restored, StoreError> {
        self.store.restore(&self.tree, target, mode)
    }

    /// What a fresh export looks like.
    fn expected(&self, mode: ExportMode) -> Vec<String> {
        let fresh = tempfile::tempdir_in(self.top.path()).unwrap();
        let target = fresh.path().join("fresh");
        self.store.export(&self.tree, &target, mode).unwrap();
        let expected = shown(&target);
        open_up(&target);
        expected
    }

    fn object_file(&self, bytes: &[u8]) -> PathBuf {
        let hex = Digest::of(bytes).hex();
        let layout = self.store.root_path().join("v1/cas");
        layout.join(&hex[..2]).join(&hex[2..])
    }
}

/// Makes what `CopyReadOnly` made removable for those who are not root.
fn open_up(path: &Path) {
    for entry in walkdir::WalkDir::new(path) {
        let entry = entry.unwrap();
        if entry.file_type().is_dir() {
            fs::set_permissions(entry.path(), fs::Permissions::from_mode(0o755)).unwrap();
        }
    }
}

/// Names, kinds, modes, bytes, and times of what is read-only.
fn shown(path: &Path) -> Vec<String> {
    walkdir::WalkDir::new(path)
        .sort_by_file_name()
        .into_iter()
        .map(|entry| {
            let entry = entry.unwrap();
            let name = entry.path().strip_prefix(path).unwrap().display();
            let found = entry.metadata().unwrap();
            let mode = found.mode() & 0o7777;
            if entry.path_is_symlink() {
                format!(
                    "{name} -> {}",
                    fs::read_link(entry.path()).unwrap().display()
                )
            } else if found.is_dir() {
                format!("{name}/ {mode:o}")
            } else {
                let time = if mode & 0o200 == 0 { found.mtime() } else { 0 };
                let text = fs::read_to_string(entry.path()).unwrap();
                format!("{name} {mode:o} {time} {text:?}")
            }
        })
        .collect()
}

/// Whatever people and programs do to a directory.
fn mess(target: &Path) {
    open_up(target);
    fs::write(target.join("extra"), "x").unwrap();
    fs::create_dir_all(target.join("a/extra/deep")).unwrap();
    fs::write(target.join("a/extra/deep/file"), "x").unwrap();
    symlink("/nowhere", target.join("hollow/dangling")).unwrap();
    fs::remove_file(target.join("a/one")).unwrap();
    fs::create_dir(target.join("a/one")).unwrap();
    fs::remove_dir_all(target.join("a/deep")).unwrap();
    symlink("/", target.join("a/deep")).unwrap();
    fs::remove_file(target.join("link")).unwrap();
    symlink("elsewhere", target.join("link")).unwrap();
    fs::remove_file(target.join("plain")).unwrap();
    mkfifoat(CWD, target.join("plain"), Mode::RUSR).unwrap();
    fs::remove_file(target.join("empty")).unwrap();
    fs::write(target.join("empty"), "not").unwrap();
    fs::set_permissions(target.join("tool"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::write(target.join(".stagecraft-restore-0"), "left by a crash").unwrap();
}

/// spec: store/trees R12, store/trees R6
#[test]
fn a_mess_becomes_the_tree() {
    let place = place();
    for mode in MODES {
        let target = place.path(&format!("out-{mode:?}"));
        let made = place.restore(&target, mode).unwrap();
        assert_eq!((made.written, made.kept, made.removed), (6, 0, 0));
        assert_eq!(shown(&target), place.expected(mode));
        mess(&target);
        let mended = place.restore(&target, mode).unwrap();
        assert_eq!(shown(&target), place.expected(mode), "{mode:?}");
        assert_eq!(mended.removed, 6, "{mode:?}");
        let before: Vec<u64> = inodes(&target);
        let again = place.restore(&target, mode).unwrap();
        assert_eq!(
            (again.written, again.kept, again.removed),
            (0, 6, 0),
            "{mode:?}"
        );
        assert_eq!(inodes(&target), before, "what is right is not touched");
        open_up(&target);
    }
    assert_eq!(place.store.verify(false).unwrap().damage, []);
}

fn inodes(path: &Path) -> Vec<u64> {
    let entries = walkdir::WalkDir::new(path).sort_by_file_name();
    entries
        .into_iter()
        .map(|entry| entry.unwrap().metadata().unwrap().ino())
        .collect()
}

/// spec: store/trees R12
#[test]
fn one_mode_becomes_the_other() {
    let place = place();
    let target = place.path("out");
    for from in MODES {
        for to in MODES {
            place.restore(&target, from).unwrap();
            place.restore(&target, to).unwrap();
            assert_eq!(shown(&target), place.expected(to), "{from:?} to {to:?}");
        }
    }
    open_up(&target);
    assert_eq!(place.store.verify(false).unwrap().damage, []);
}

/// spec: store/trees R13
#[test]
fn what_an_output_is_linked_to_never_changes() {
    let place = place();
    let target = place.path("out");
    place.restore(&target, ExportMode::Link).unwrap();
    let object = place.object_file(b"plain");
    assert_eq!(fs::metadata(&object).unwrap().nlink(), 2);
    place.restore(&target, ExportMode::Copy).unwrap();
    let found = fs::metadata(&object).unwrap();
    assert_eq!(
        (found.nlink(), found.mode() & 0o7777, found.mtime()),
        (1, 0o444, 1)
    );
    // A link to a file of someone else: same bytes, other bytes.
    for bytes in ["plain", "other"] {
        let theirs = place.path(&format!("theirs-{bytes}"));
        fs::write(&theirs, bytes).unwrap();
        fs::set_permissions(&theirs, fs::Permissions::from_mode(0o600)).unwrap();
        fs::remove_file(target.join("plain")).unwrap();
        fs::hard_link(&theirs, target.join("plain")).unwrap();
        place.restore(&target, ExportMode::Copy).unwrap();
        assert_eq!(fs::read_to_string(&theirs).unwrap(), bytes);
        assert_eq!(fs::metadata(&theirs).unwrap().mode() & 0o7777, 0o600);
        assert_eq!(fs::metadata(&theirs).unwrap().nlink(), 1);
    }
}

/// spec: store/trees R12
#[test]
fn a_target_that_is_no_directory_is_refused_and_stays() {
    let place = place();
    let real = place.path("real");
    fs::create_dir(&real).unwrap();
    fs::write(real.join("precious"), "x").unwrap();
    symlink(&real, place.path("link")).unwrap();
    fs::write(place.path("file"), "x").unwrap();
    for target in ["link", "file"] {
        let error = place
            .restore(&place.path(target), ExportMode::Copy)
            .unwrap_err();
        assert!(matches!(error, StoreError::NotA { .. }), "{error}");
    }
    assert!(real.join("precious").exists() && place.path("file").exists());
}

/// spec: store/trees R15
#[test]
fn an_edit_that_kept_size_and_time_is_found() {
    let place = place();
    let target = place.path("out");
    for mode in [ExportMode::Copy, ExportMode::CopyReadOnly] {
        place.restore(&target, mode).unwrap();
        let file = target.join("plain");
        let before = fs::metadata(&file).unwrap();
        fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(&file, "PLAIN").unwrap();
        fs::File::options()
            .write(true)
            .open(&file)
            .unwrap()
            .set_modified(before.modified().unwrap())
            .unwrap();
        fs::set_permissions(&file, before.permissions()).unwrap();
        let restored = place.restore(&target, mode).unwrap();
        assert_eq!((restored.written, restored.kept), (1, 5));
        assert_eq!(fs::read_to_string(&file).unwrap(), "plain");
    }
    open_up(&target);
}

/// spec: store/trees R15, store/trees R9
#[test]
fn a_link_that_was_written_to_is_not_kept() {
    let place = place();
    let target = place.path("out");
    place.restore(&target, ExportMode::Link).unwrap();
    let file = target.join("plain");
    fs::set_permissions(&file, fs::Permissions::from_mode(0o644)).unwrap();
    fs::write(&file, "PLAIN").unwrap();
    let error = place.restore(&target, ExportMode::Link).unwrap_err();
    assert!(
        matches!(
            error,
            StoreError::Corrupt { .. } | StoreError::Absent { .. }
        ),
        "{error}"
    );
    assert_eq!(place.store.read(&Digest::of(b"plain")).unwrap(), None);
    let mut batch = place.store.batch();
    batch.put(b"plain").unwrap();
    place.store.commit(vec![batch], vec![], vec![]).unwrap();
    place.restore(&target, ExportMode::Link).unwrap();
    assert_eq!(fs::read_to_string(&file).unwrap(), "plain");
}

/// spec: store/trees R16
#[test]
fn an_object_without_its_time_is_renewed_before_it_is_linked() {
    let place = place();
    let object = place.object_file(b"plain");
    let file = fs::File::open(&object).unwrap();
    file.set_modified(std::time::SystemTime::now()).unwrap();
    let before = fs::metadata(&object).unwrap().ino();
    let tree = place.store.materialise(&place.tree).unwrap();
    let found = fs::metadata(&object).unwrap();
    assert_eq!((found.mtime(), found.mode() & 0o7777), (1, 0o444));
    assert_ne!(found.ino(), before);
    assert_eq!(fs::metadata(tree.join("plain")).unwrap().ino(), found.ino());
    assert_eq!(place.store.verify(false).unwrap().damage, []);
}

/// spec: store/trees R14
#[test]
fn a_swapped_directory_leads_nowhere() {
    let place = place();
    let (target, link) = (place.path("out"), place.path("swap"));
    let outside = place.path("outside");
    fs::create_dir_all(outside.join("deep")).unwrap();
    fs::write(outside.join("precious"), "x").unwrap();
    fs::write(outside.join("one"), "mine").unwrap();
    symlink(&outside, &link).unwrap();
    place.restore(&target, ExportMode::Copy).unwrap();
    let before = shown(&outside);
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = Stop(&stop);
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                // Fails while a restore has the directory away.
                renameat_with(CWD, target.join("a"), CWD, &link, RenameFlags::EXCHANGE).ok();
            }
        });
        for _ in 0..300 {
            // May fail, as the tree changes; must not reach what the link names.
            let restored = place.restore(&target, ExportMode::Copy);
            assert_eq!(shown(&outside), before, "{restored:?}");
        }
    });
    place.restore(&target, ExportMode::Copy).unwrap();
    assert_eq!(shown(&target), place.expected(ExportMode::Copy));
}

/// spec: store/trees R14
#[test]
fn a_restore_that_failed_is_ended_by_the_next() {
    let place = place();
    let target = place.path("out");
    place.restore(&target, ExportMode::Copy).unwrap();
    mess(&target);
    let object = place.object_file(b"two");
    let away = place.path("away");
    fs::rename(&object, &away).unwrap();
    let error = place.restore(&target, ExportMode::Copy).unwrap_err();
    assert!(matches!(error, StoreError::Absent { .. }), "{error}");
    fs::rename(&away, &object).unwrap();
    place.restore(&target, ExportMode::Copy).unwrap();
    assert_eq!(shown(&target), place.expected(ExportMode::Copy));
}

/// A few paths and what lies there.
fn files() -> impl Strategy<Value = Vec<(String, u8)>> {
    proptest::collection::btree_map("[ab](/[ab]){0,2}", 0..3_u8, 0..6)
        .prop_map(|files| files.into_iter().collect())
}

fn write(top: &Path, files: &[(String, u8)]) {
    fs::create_dir_all(top).unwrap();
    for (path, kind) in files {
        let path = top.join(path);
        // What does not fit below a file or over a directory is left out.
        if fs::create_dir_all(path.parent().unwrap()).is_err() {
            continue;
        }
        match kind {
            0 => drop(fs::write(&path, path.to_str().unwrap())),
            1 => drop(symlink("target", &path)),
            _ => drop(fs::create_dir(&path)),
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(60))]
    /// spec: store/trees R12
    #[test]
    fn anything_becomes_anything(from in files(), to in files(), mode in 0..3_usize) {
        let top = tempfile::tempdir().unwrap();
        let store = Store::open(&top.path().join("store")).unwrap();
        let (source, target) = (top.path().join("source"), top.path().join("target"));
        write(&source, &to);
        write(&target, &from);
        let mut batch = store.batch();
        let tree: Object = batch.import(&source, &ImportRules::default()).unwrap();
        store.commit(vec![batch], vec![], vec![]).unwrap();
        store.restore(&tree.digest, &target, MODES[mode]).unwrap();
        let mut batch = store.batch();
        prop_assert_eq!(batch.import(&target, &ImportRules::default()).unwrap(), tree);
        let fresh = top.path().join("fresh");
        store.export(&tree.digest, &fresh, MODES[mode]).unwrap();
        prop_assert_eq!(shown(&target), shown(&fresh));
        open_up(&target);
        open_up(&fresh);
    }
}
