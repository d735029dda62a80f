//! What must not get in, and what must not get out.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "effects: tests of files")]

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, Mode, RenameFlags, mkfifoat, renameat_with};
use stagecraft_store::{
    Digest, Directory, ExportMode, ImportRules, Node, Object, Store, StoreError,
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
    source: PathBuf,
}

fn place() -> Place {
    let top = tempfile::tempdir().unwrap();
    let store = Store::open(&top.path().join("store")).unwrap();
    let source = top.path().join("source");
    fs::create_dir_all(source.join("sub")).unwrap();
    Place { top, store, source }
}

impl Place {
    fn import(&self) -> Result<Object, StoreError> {
        let mut batch = self.store.batch();
        let tree = batch.import(&self.source, &ImportRules::default())?;
        self.store.commit(vec![batch], vec![], vec![])?;
        Ok(tree)
    }

    /// The message of the failed import, with paths from the source.
    fn refusal(&self) -> String {
        let prefix = format!("{}/", self.source.display());
        self.import().unwrap_err().to_string().replace(&prefix, "")
    }
}

/// spec: store/trees R2
#[test]
fn special_files_are_refused_by_name() {
    let place = place();
    let fifo = place.source.join("sub/pipe");
    mkfifoat(CWD, &fifo, Mode::RUSR).unwrap();
    assert_eq!(
        place.refusal(),
        "`sub/pipe` is a fifo, which cannot be stored"
    );
    fs::remove_file(&fifo).unwrap();
    let socket = UnixListener::bind(place.source.join("socket")).unwrap();
    assert_eq!(
        place.refusal(),
        "`socket` is a socket, which cannot be stored"
    );
    drop(socket);
    fs::remove_file(place.source.join("socket")).unwrap();
    let mut batch = place.store.batch();
    let refused = batch.import_selected(Path::new("/dev"), &["null".to_owned()]);
    assert_eq!(
        refused.unwrap_err().to_string(),
        "`/dev/null` is a device, which cannot be stored"
    );
    assert!(place.import().is_ok());
}

/// spec: store/trees R2
#[test]
fn names_and_targets_that_are_not_text_are_refused() {
    let place = place();
    let strange = place.source.join("sub").join(OsStr::from_bytes(b"a\xff"));
    fs::write(&strange, "").unwrap();
    assert_eq!(
        place.refusal(),
        "`sub/a\u{fffd}` has a name or target that is not UTF-8"
    );
    fs::remove_file(&strange).unwrap();
    symlink(OsStr::from_bytes(b"\xff"), place.source.join("link")).unwrap();
    assert_eq!(
        place.refusal(),
        "`link` has a name or target that is not UTF-8"
    );
}

/// spec: store/trees R2
#[test]
fn deep_nesting_is_refused() {
    let place = place();
    let deepest = place.source.join(vec!["d"; 255].join("/"));
    fs::create_dir_all(&deepest).unwrap();
    fs::write(deepest.join("file"), "x").unwrap();
    let tree = place.import().unwrap();
    let target = place.top.path().join("out");
    place
        .store
        .export(&tree.digest, &target, ExportMode::Link)
        .unwrap();
    fs::create_dir_all(deepest.join("d/d")).unwrap();
    assert!(
        place
            .refusal()
            .ends_with("nested deeper than 256 directories")
    );
}

/// spec: store/trees R1, store/trees R4
#[test]
fn links_are_content_and_modes_are_dropped() {
    let place = place();
    fs::write(place.top.path().join("secret"), "secret").unwrap();
    symlink("../secret", place.source.join("escape")).unwrap();
    symlink("/etc", place.source.join("absolute")).unwrap();
    symlink("loop", place.source.join("loop")).unwrap();
    fs::write(place.source.join("suid"), "x").unwrap();
    let mode = fs::Permissions::from_mode(0o6711);
    fs::set_permissions(place.source.join("suid"), mode).unwrap();
    let tree = place.import().unwrap();
    let directory = place.store.directory(&tree.digest).unwrap().unwrap();
    let target = |name: &str| match directory.get(name) {
        Some(Node::Symlink { target }) => target.clone(),
        other => panic!("{other:?}"),
    };
    assert_eq!(target("escape"), "../secret");
    assert_eq!(target("absolute"), "/etc");
    assert_eq!(target("loop"), "loop");
    assert!(!place.store.contains(&Digest::of(b"secret")).unwrap());
    let out = place.top.path().join("out");
    place
        .store
        .export(&tree.digest, &out, ExportMode::Copy)
        .unwrap();
    let mode = fs::metadata(out.join("suid")).unwrap().permissions();
    assert_eq!(mode.mode() & 0o7777, 0o755);
}

/// spec: store/trees R4
#[test]
fn a_directory_swapped_for_a_link_is_not_followed() {
    let place = place();
    let outside = place.top.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("secret"), "secret").unwrap();
    let (sub, link) = (place.source.join("sub"), place.top.path().join("link"));
    fs::write(sub.join("secret"), "public").unwrap();
    symlink(&outside, &link).unwrap();
    let stop = std::sync::atomic::AtomicBool::new(false);
    std::thread::scope(|scope| {
        let _stop = Stop(&stop);
        scope.spawn(|| {
            while !stop.load(std::sync::atomic::Ordering::Relaxed) {
                renameat_with(CWD, &sub, CWD, &link, RenameFlags::EXCHANGE).unwrap();
            }
        });
        for _ in 0..300 {
            // May fail, as the tree changes; must not leave the source.
            let imported = place.import();
            assert!(
                !place.store.contains(&Digest::of(b"secret")).unwrap(),
                "{imported:?}"
            );
        }
    });
}

/// Puts raw bytes as a tree and tries to export it.
fn export_raw(place: &Place, bytes: &[u8]) -> Result<(), StoreError> {
    let mut batch = place.store.batch();
    let object = batch.put(bytes)?;
    place.store.commit(vec![batch], vec![], vec![])?;
    let target = place.top.path().join("out/target");
    fs::create_dir_all(target.parent().unwrap()).unwrap();
    place
        .store
        .export(&object.digest, &target, ExportMode::Copy)
        .map(|_| ())
}

/// A directory message with one file of any name.
fn message(name: &[u8]) -> Vec<u8> {
    let mut digest = vec![0x0a, 64];
    digest.extend_from_slice(Digest::of(b"").hex().as_bytes());
    let mut node = vec![0x0a, u8::try_from(name.len()).unwrap()];
    node.extend_from_slice(name);
    node.extend_from_slice(&[0x12, 66]);
    node.extend_from_slice(&digest);
    let length = node.len();
    let mut bytes = vec![0x0a];
    if length < 128 {
        bytes.push(u8::try_from(length).unwrap());
    } else {
        bytes.push(u8::try_from(length & 0x7f).unwrap() | 0x80);
        bytes.push(u8::try_from(length >> 7).unwrap());
    }
    bytes.extend_from_slice(&node);
    bytes
}

/// spec: store/trees R8, store/format R8
#[test]
fn hostile_names_do_not_decode_and_write_nothing() {
    let place = place();
    assert!(Directory::decode(&message(b"fine")).is_ok());
    assert!(Directory::decode(&message(&[b'a'; 120])).is_ok());
    for name in [
        b"".as_slice(),
        b".",
        b"..",
        b"../up",
        b"/etc/passwd",
        b"a/b",
        b"a\0b",
        b"\xff",
        b"\xc3",
        b"/",
        b"a/../../b",
    ] {
        let bytes = message(name);
        assert!(Directory::decode(&bytes).is_err(), "{name:?}");
        let refused = export_raw(&place, &bytes);
        assert!(matches!(refused, Err(StoreError::Tree(_))), "{name:?}");
        let out: Vec<_> = fs::read_dir(place.top.path().join("out"))
            .unwrap()
            .collect();
        assert!(out.is_empty(), "{out:?}");
    }
}

/// spec: store/trees R8
#[test]
fn an_exported_link_is_never_written_through() {
    let place = place();
    // A link and a directory of one name cannot be in one message; a link with a name that sorts
    // before a directory's is made first and is not on the way to it.
    let outside = place.top.path().join("outside");
    fs::create_dir(&outside).unwrap();
    symlink(&outside, place.source.join("su")).unwrap();
    fs::write(place.source.join("sub/file"), "x").unwrap();
    let tree = place.import().unwrap();
    for mode in [ExportMode::Copy, ExportMode::Link] {
        let target = place.top.path().join(format!("out-{mode:?}"));
        place.store.export(&tree.digest, &target, mode).unwrap();
        assert!(target.join("sub/file").exists());
    }
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 0);
}

/// spec: store/operations R9, store/operations R10
#[test]
fn a_link_in_place_of_an_object_is_no_object() {
    let place = place();
    fs::write(place.source.join("file"), "bytes").unwrap();
    let tree = place.import().unwrap();
    let hex = Digest::of(b"bytes").hex();
    let layout = place.store.root_path().join("v1/cas");
    let path = layout.join(&hex[..2]).join(&hex[2..]);
    let outside = place.top.path().join("outside");
    fs::rename(&path, &outside).unwrap();
    symlink(&outside, &path).unwrap();
    let digest = Digest::of(b"bytes");
    assert!(!place.store.contains(&digest).unwrap());
    assert_eq!(place.store.read(&digest).unwrap(), None);
    let target = place.top.path().join("out");
    for mode in [ExportMode::Copy, ExportMode::Link] {
        let refused = place.store.export(&tree.digest, &target, mode);
        assert!(
            matches!(refused, Err(StoreError::Absent { .. })),
            "{refused:?}"
        );
    }
}
