//! Trees on the target: `spec/deploy/directory.md` R1, R2, R11, R14.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]
#![expect(
    clippy::disallowed_methods,
    reason = "effects: tampers with the target directory"
)]

use std::fs::{self, File};
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::thread;

use stagecraft::evaluate::Cause;
use stagecraft_store::Object;

use super::{End, Site, release};

/// Every inode below a directory.
fn inodes(directory: &Path) -> Vec<(u64, u64)> {
    let entries = walkdir::WalkDir::new(directory)
        .into_iter()
        .map(|entry| entry.unwrap());
    entries
        .filter(|entry| entry.file_type().is_file())
        .map(|entry| {
            let metadata = entry.metadata().unwrap();
            (metadata.dev(), metadata.ino())
        })
        .collect()
}

/// spec: deploy/directory R1
#[test]
fn a_tree_is_a_faithful_read_only_copy() {
    let mut site = Site::new("hello");
    let files = [
        ("bin/run*", "#!/bin/sh\n"),
        ("a/b/c", "deep"),
        ("empty", ""),
        ("link", "-> a/b"),
        ("same", "deep"),
    ];
    let tree = site.serve("site", &files);
    assert_eq!(site.place(&release(1)), [End::Done]);
    let root = site.path("trees").join(tree.digest.hex());
    assert_eq!(fs::read_to_string(root.join("a/b/c")).unwrap(), "deep");
    assert_eq!(fs::read_to_string(root.join("empty")).unwrap(), "");
    assert_eq!(fs::read_link(root.join("link")).unwrap(), Path::new("a/b"));
    let mode = |path: &str| fs::metadata(root.join(path)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("bin/run"), mode("same")), (0o555, 0o444));
    assert_eq!(fs::metadata(root.join("same")).unwrap().mtime(), 1);
    assert_eq!(site.names("trees"), [tree.digest.hex()]);
}

/// spec: deploy/directory R1
#[test]
fn a_tree_shares_no_inode_with_the_store() {
    let site = Site::new("hello");
    site.deploy(&release(1));
    let theirs = inodes(&site.root.join("store"));
    let ours = inodes(&site.path("trees"));
    assert!(!theirs.is_empty() && !ours.is_empty());
    assert!(ours.iter().all(|inode| !theirs.contains(inode)));
}

/// spec: deploy/directory R1
#[test]
fn a_tree_is_made_once() {
    let site = Site::new("hello");
    assert_eq!(site.place(&release(1)), [End::Done]);
    let before = inodes(&site.path("trees"));
    assert_eq!(site.place(&release(2)), [End::Converged]);
    assert_eq!(inodes(&site.path("trees")), before);
}

/// spec: deploy/directory R2
#[test]
fn every_change_of_a_tree_is_seen_and_mended() {
    type Tamper = fn(&Path);
    let tampers: [(&str, Tamper); 8] = [
        ("rewritten", |root| {
            let page = root.join("index.html");
            fs::set_permissions(&page, fs::Permissions::from_mode(0o644)).unwrap();
            fs::write(&page, "HELLO").unwrap();
        }),
        ("longer, with the old time", |root| {
            let page = root.join("index.html");
            fs::set_permissions(&page, fs::Permissions::from_mode(0o644)).unwrap();
            let time = fs::metadata(&page).unwrap().modified().unwrap();
            fs::write(&page, "hello, world").unwrap();
            File::options()
                .write(true)
                .open(&page)
                .unwrap()
                .set_modified(time)
                .unwrap();
        }),
        ("executable", |root| {
            fs::set_permissions(root.join("index.html"), fs::Permissions::from_mode(0o555))
                .unwrap();
        }),
        ("removed", |root| {
            fs::remove_file(root.join("sub/page")).unwrap();
        }),
        ("added", |root| {
            fs::write(root.join("sub/other"), "x").unwrap();
        }),
        ("another link", |root| {
            fs::remove_file(root.join("link")).unwrap();
            symlink("elsewhere", root.join("link")).unwrap();
        }),
        ("a directory for a file", |root| {
            fs::remove_file(root.join("sub/page")).unwrap();
            fs::create_dir(root.join("sub/page")).unwrap();
        }),
        ("a file for the tree", |root| {
            fs::rename(root, root.with_extension("away")).unwrap();
            fs::write(root, "x").unwrap();
        }),
    ];
    for (what, tamper) in tampers {
        let mut site = Site::new("hello");
        let files = [
            ("index.html", "hello"),
            ("sub/page", "p"),
            ("link", "-> sub"),
        ];
        let tree = site.serve("site", &files);
        assert_eq!(site.deploy(&release(1)), End::Done);
        let root = site.path("trees").join(tree.digest.hex());
        for directory in [root.clone(), root.join("sub")] {
            fs::set_permissions(directory, fs::Permissions::from_mode(0o755)).unwrap();
        }
        tamper(&root);
        assert_eq!(site.place(&release(2)), [End::Done], "{what}");
        assert_eq!(site.read("current/site/index.html"), "hello", "{what}");
        assert_eq!(site.read("current/site/sub/page"), "p", "{what}");
        // What serves may have read the tampered tree.
        assert_eq!(site.switch(&release(2)), End::Done, "{what}");
        assert_eq!(site.deploy(&release(3)), End::Converged, "{what}");
    }
}

/// spec: deploy/directory R11
#[test]
fn services_with_one_tree_are_placed_side_by_side() {
    let mut site = Site::new("hello");
    for service in ["a", "b", "c", "d"] {
        site.serve(service, &[("index.html", "hello"), ("x/y", "z")]);
    }
    let ends = thread::scope(|scope| {
        let threads: Vec<_> = (0..4)
            .map(|_| scope.spawn(|| site.place(&release(1))))
            .collect();
        threads
            .into_iter()
            .flat_map(|thread| thread.join().unwrap())
            .collect::<Vec<_>>()
    });
    assert!(
        ends.iter()
            .all(|end| matches!(end, End::Done | End::Converged)),
        "{ends:?}"
    );
    assert_eq!(site.names("trees").len(), 2);
    assert_eq!(site.deploy(&release(1)), End::Done);
    assert_eq!(site.read("current/c/x/y"), "z");
}

/// spec: deploy/directory R14
#[test]
fn a_tree_that_the_store_lost_is_missing_bytes() {
    let mut site = Site::new("hello");
    let lost = Object::of(b"no directory of this store");
    site.services.insert("site".parse().unwrap(), lost);
    let message = format!("tree {} is not in the store", lost.digest);
    for end in [site.place(&release(1)).remove(0), site.switch(&release(1))] {
        let End::Failed(cause, said) = end else {
            panic!("{end:?}")
        };
        assert_eq!(cause, Cause::MissingBytes, "{said}");
        assert!(
            said.contains(&lost.digest.to_string()),
            "{said} should be like {message}"
        );
    }
    assert_eq!(site.current(), None);
    assert!(super::is_empty(&site.path("trees")));
}
