//! Directories into the store and back.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "effects: tests of files")]

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use stagecraft_store::sim::SimDisk;
use stagecraft_store::{
    Digest, ExportMode, ImportRules, Node, Object, Store, StoreError, TreeBuilder,
};

/// Ends a thread also when the test fails, so that a failure is not a hang.
struct Stop<'a>(&'a std::sync::atomic::AtomicBool);

impl Drop for Stop<'_> {
    fn drop(&mut self) {
        self.0.store(true, std::sync::atomic::Ordering::Relaxed);
    }
}

struct Place {
    top: tempfile::TempDir,
    store: Store,
}

fn place() -> Place {
    let top = tempfile::tempdir().unwrap();
    let store = Store::open(&top.path().join("store")).unwrap();
    Place { top, store }
}

impl Place {
    fn path(&self, name: &str) -> PathBuf {
        self.top.path().join(name)
    }

    /// A directory with one of everything.
    fn source(&self) -> PathBuf {
        let source = self.path("source");
        fs::create_dir_all(source.join("dir/deep")).unwrap();
        fs::create_dir(source.join("hollow")).unwrap();
        fs::write(source.join("plain"), "plain").unwrap();
        fs::write(source.join("nothing"), "").unwrap();
        fs::write(source.join("dir/tool"), "#!/bin/sh\n").unwrap();
        fs::set_permissions(source.join("dir/tool"), fs::Permissions::from_mode(0o755)).unwrap();
        fs::write(source.join("dir/deep/large"), vec![3; 200_000]).unwrap();
        symlink("../nowhere", source.join("dir/link")).unwrap();
        source
    }

    fn import(&self, path: &Path) -> Result<Object, StoreError> {
        let mut batch = self.store.batch();
        let tree = batch.import(path, &ImportRules::default())?;
        self.store.commit(vec![batch], vec![], vec![])?;
        Ok(tree)
    }

    fn select(&self, path: &Path, paths: &[&str]) -> Result<Object, StoreError> {
        let paths: Vec<String> = paths.iter().map(|path| (*path).to_owned()).collect();
        let mut batch = self.store.batch();
        let tree = batch.import_selected(path, &paths)?;
        self.store.commit(vec![batch], vec![], vec![])?;
        Ok(tree)
    }

    fn object_file(&self, area: &str, digest: &Digest) -> PathBuf {
        let hex = digest.hex();
        let layout = self.store.root_path().join("v1");
        layout.join(area).join(&hex[..2]).join(&hex[2..])
    }
}

/// Names, modes and contents below a directory, one line each.
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
                let target = fs::read_link(entry.path()).unwrap();
                format!("{name} -> {}", target.display())
            } else if found.is_dir() {
                format!("{name}/ {mode:o}")
            } else {
                format!(
                    "{name} {mode:o} {}",
                    Object::of(&fs::read(entry.path()).unwrap()).size
                )
            }
        })
        .collect()
}

fn expected(directory: &str, plain: &str, tool: &str) -> Vec<String> {
    vec![
        format!("/ {directory}"),
        format!("dir/ {directory}"),
        format!("dir/deep/ {directory}"),
        format!("dir/deep/large {plain} 200000"),
        "dir/link -> ../nowhere".to_owned(),
        format!("dir/tool {tool} 10"),
        format!("hollow/ {directory}"),
        format!("nothing {plain} 0"),
        format!("plain {plain} 5"),
    ]
}

/// spec: store/trees R1, store/trees R5, store/trees R6, store/trees R7
#[test]
fn a_tree_comes_back_in_every_mode() {
    let place = place();
    let tree = place.import(&place.source()).unwrap();
    for (mode, [directory, plain, tool]) in [
        (ExportMode::Copy, ["755", "644", "755"]),
        (ExportMode::CopyReadOnly, ["555", "444", "555"]),
        (ExportMode::Link, ["755", "444", "555"]),
    ] {
        let target = place.path(&format!("out-{mode:?}"));
        let exported = place.store.export(&tree.digest, &target, mode).unwrap();
        assert_eq!((exported.files, exported.bytes), (5, 200_015));
        assert_eq!(shown(&target), expected(directory, plain, tool));
        assert_eq!(place.import(&target).unwrap(), tree);
    }
}

/// spec: store/trees R7, store/format R12
#[test]
fn links_share_objects_and_executables_their_twins() {
    let place = place();
    let tree = place.import(&place.source()).unwrap();
    let target = place.path("out");
    place
        .store
        .export(&tree.digest, &target, ExportMode::Link)
        .unwrap();
    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    let plain = place.object_file("cas", &Digest::of(b"plain"));
    assert_eq!(inode(&target.join("plain")), inode(&plain));
    let tool = Digest::of(b"#!/bin/sh\n");
    let twin = place.object_file("casx", &tool);
    assert_eq!(inode(&target.join("dir/tool")), inode(&twin));
    assert_ne!(inode(&twin), inode(&place.object_file("cas", &tool)));
    let found = fs::metadata(&twin).unwrap();
    assert_eq!((found.mode() & 0o7777, found.mtime()), (0o555, 1));
    assert_eq!(fs::metadata(target.join("nothing")).unwrap().nlink(), 1);

    let copy = place.path("copy");
    place
        .store
        .export(&tree.digest, &copy, ExportMode::Copy)
        .unwrap();
    assert_eq!(fs::metadata(copy.join("plain")).unwrap().nlink(), 1);
}

/// spec: store/trees R1
#[test]
fn excluded_paths_are_left_out() {
    let place = place();
    let source = place.source();
    let rules = ImportRules {
        exclude: ["dir/deep", "plain"].map(str::to_owned).into(),
    };
    let mut batch = place.store.batch();
    let tree = batch.import(&source, &rules).unwrap();
    fs::remove_dir_all(source.join("dir/deep")).unwrap();
    fs::remove_file(source.join("plain")).unwrap();
    let rules = ImportRules::default();
    assert_eq!(batch.import(&source, &rules).unwrap(), tree);
}

/// spec: store/trees R3
#[test]
fn selected_paths_keep_their_places() {
    let place = place();
    let source = place.source();
    let tree = place
        .select(
            &source,
            &["dir/deep", "nothing", "dir/deep/large", "dir/link"],
        )
        .unwrap();
    let target = place.path("out");
    place
        .store
        .export(&tree.digest, &target, ExportMode::Copy)
        .unwrap();
    assert_eq!(
        shown(&target),
        [
            "/ 755",
            "dir/ 755",
            "dir/deep/ 755",
            "dir/deep/large 644 200000",
            "dir/link -> ../nowhere",
            "nothing 644 0"
        ]
    );
    assert_eq!(place.select(&source, &[]).unwrap(), Object::empty());
    symlink("dir", source.join("around")).unwrap();
    for bad in [
        "absent",
        "around/tool",
        "../source/plain",
        "/etc",
        "dir/",
        "",
    ] {
        assert!(place.select(&source, &[bad]).is_err(), "{bad}");
    }
}

/// spec: store/trees R5
#[test]
fn a_target_that_exists_is_left_alone() {
    let place = place();
    let tree = place.import(&place.source()).unwrap();
    let file = place.path("file");
    fs::write(&file, "mine").unwrap();
    let directory = place.path("directory");
    fs::create_dir(&directory).unwrap();
    let dangling = place.path("dangling");
    symlink("nowhere", &dangling).unwrap();
    for target in [&file, &directory, &dangling] {
        let refused = place.store.export(&tree.digest, target, ExportMode::Copy);
        assert!(matches!(refused, Err(StoreError::TargetExists { .. })));
    }
    assert_eq!(fs::read(&file).unwrap(), b"mine");
    let orphan = place.path("none/target");
    let refused = place.store.export(&tree.digest, &orphan, ExportMode::Copy);
    assert!(matches!(refused, Err(StoreError::Io { .. })));
}

/// spec: store/trees R9, store/trees R5
#[test]
fn damage_makes_no_target() {
    let place = place();
    let tree = place.import(&place.source()).unwrap();
    let large = Object::of(&vec![3; 200_000]).digest;
    let plain = Digest::of(b"plain");
    for (digest, mode) in [
        (large, ExportMode::Copy),
        (plain, ExportMode::CopyReadOnly),
        (plain, ExportMode::Link),
    ] {
        place.import(&place.path("source")).unwrap();
        let path = place.object_file("cas", &digest);
        let mut bytes = fs::read(&path).unwrap();
        bytes[1] ^= 1;
        fs::set_permissions(&path, fs::Permissions::from_mode(0o644)).unwrap();
        fs::write(&path, bytes).unwrap();
        let target = place.path("out");
        let refused = place.store.export(&tree.digest, &target, mode);
        assert!(
            matches!(refused, Err(StoreError::Corrupt { digest: found } | StoreError::Absent { digest: found }) if found == digest),
            "{refused:?}"
        );
        let mut left: Vec<_> = fs::read_dir(place.top.path())
            .unwrap()
            .map(|entry| entry.unwrap().file_name())
            .collect();
        left.sort();
        assert_eq!(left, ["source", "store"]);
    }
    let gone = Digest::of(b"gone");
    let refused = place
        .store
        .export(&gone, &place.path("out"), ExportMode::Copy);
    assert!(matches!(refused, Err(StoreError::Absent { digest }) if digest == gone));
}

/// spec: store/trees R10, store/format R19
#[test]
fn a_materialised_tree_is_made_once_and_heals() {
    let place = place();
    let tree = place.import(&place.source()).unwrap();
    assert!(place.store.materialised().unwrap().is_empty());
    let made = place.store.materialise(&tree.digest).unwrap();
    let listed = place.store.materialised().unwrap();
    assert_eq!(Vec::from_iter(listed), [tree.digest]);
    let layout = place.store.root_path().join("v1");
    assert_eq!(made, layout.join("trees").join(tree.digest.hex()));
    assert_eq!(shown(&made), expected("555", "444", "555"));
    let inode = |path: &Path| fs::metadata(path).unwrap().ino();
    let first = inode(&made);
    assert_eq!(place.store.materialise(&tree.digest).unwrap(), made);
    assert_eq!(inode(&made), first);
    let reader = Store::open_existing(place.store.root_path()).unwrap();
    assert_eq!(reader.unwrap().materialise(&tree.digest).unwrap(), made);

    let writable = |path: &Path| {
        fs::set_permissions(path, fs::Permissions::from_mode(0o755)).unwrap();
    };
    let harms: [&dyn Fn(); 4] = [
        &|| fs::remove_file(made.join("plain")).unwrap(),
        &|| fs::write(made.join("extra"), "").unwrap(),
        &|| {
            writable(&made.join("plain"));
            fs::write(made.join("plain"), "PLAIN").unwrap();
        },
        &|| {
            writable(&made.join("dir"));
            fs::remove_file(made.join("dir/link")).unwrap();
            symlink("elsewhere", made.join("dir/link")).unwrap();
        },
    ];
    for harm in harms {
        writable(&made);
        harm();
        // A linked file was altered in the store too: it is found, refused, and made again.
        if place.store.materialise(&tree.digest).is_err() {
            place.import(&place.path("source")).unwrap();
            place.store.materialise(&tree.digest).unwrap();
        }
        assert_eq!(shown(&made), expected("555", "444", "555"));
        assert_eq!(fs::read(made.join("plain")).unwrap(), b"plain");
    }
    assert_eq!(place.store.usage().unwrap().trees.count, 1);
}

/// spec: store/trees R10
#[test]
fn many_may_materialise_at_once() {
    let place = place();
    let tree = place.import(&place.source()).unwrap();
    std::thread::scope(|scope| {
        for _ in 0..8 {
            scope.spawn(|| {
                let store = Store::open(place.store.root_path()).unwrap();
                let made = store.materialise(&tree.digest).unwrap();
                assert_eq!(fs::read(made.join("plain")).unwrap(), b"plain");
            });
        }
    });
    assert_eq!(place.store.usage().unwrap().tmp.count, 0);
}

/// spec: store/trees R11
#[test]
fn scratch_is_private_and_goes() {
    let place = place();
    let scratch = place.store.scratch().unwrap();
    let path = scratch.path().to_owned();
    assert!(path.is_absolute());
    assert_eq!(fs::metadata(&path).unwrap().mode() & 0o7777, 0o700);
    fs::create_dir_all(path.join("a/b")).unwrap();
    fs::write(path.join("a/b/file"), "").unwrap();
    for closed in ["a/b", "a"] {
        fs::set_permissions(path.join(closed), fs::Permissions::from_mode(0o000)).unwrap();
    }
    drop(scratch);
    assert!(!path.exists());
}

/// spec: store/trees R4
#[test]
fn what_is_hashed_is_what_is_kept() {
    let place = place();
    let source = place.path("source");
    fs::create_dir(&source).unwrap();
    let file = source.join("file");
    fs::write(&file, vec![0; 1 << 16]).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = Stop(&stop);
        scope.spawn(|| {
            let mut value: u8 = 0;
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                value = value.wrapping_add(1);
                fs::write(&file, vec![value; 1 << 16]).unwrap();
            }
        });
        let mut rounds = 0;
        // A busy machine may give the writer no turn for a while.
        while rounds < 30 || (rounds < 30_000 && place.store.usage().unwrap().blobs.count < 3) {
            place.import(&source).unwrap();
            rounds += 1;
        }
    });
    let report = place.store.verify(false).unwrap();
    assert_eq!(report.damage, []);
    assert!(report.objects > 1);
}

/// spec: store/trees R5
#[test]
fn a_store_in_memory_exports_copies() {
    let store = Store::on(std::sync::Arc::new(SimDisk::new())).unwrap();
    let mut batch = store.batch();
    let mut tree = TreeBuilder::new();
    let object = batch.put(b"bytes").unwrap();
    tree.file("bin/tool", &object, true).unwrap();
    let tree = tree.build();
    batch.add_tree(&tree).unwrap();
    store.commit(vec![batch], vec![], vec![]).unwrap();
    let top = tempfile::tempdir().unwrap();
    let target = top.path().join("out");
    store
        .export(&tree.root.digest, &target, ExportMode::Link)
        .unwrap();
    assert_eq!(shown(&target), ["/ 755", "bin/ 755", "bin/tool 555 5"]);
    assert!(matches!(store.scratch(), Err(StoreError::NotOnHost)));
    let directory = store.directory(&tree.root.digest).unwrap().unwrap();
    assert!(matches!(directory.get("bin"), Some(Node::Directory { .. })));
}
