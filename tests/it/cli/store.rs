//! `store`: care of the store from the command line.

use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::{deploy, everything, shop};
use crate::support::TestApp;

/// The file of some object of the store.
fn object(app: &TestApp) -> PathBuf {
    let files = walkdir::WalkDir::new(app.store()).sort_by_file_name();
    let mut found: Vec<PathBuf> = files
        .into_iter()
        .filter_map(Result::ok)
        .filter(|entry| entry.file_type().is_file())
        .map(walkdir::DirEntry::into_path)
        .filter(|path| std::fs::read(path).is_ok_and(|bytes| bytes == b"ONE\n"))
        .collect();
    found.sort();
    found.remove(0)
}

fn damage(app: &TestApp) {
    let path = object(app);
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o644)).unwrap();
    std::fs::write(&path, "ONE!").unwrap();
}

/// spec: cli/store R1
#[test]
fn a_store_that_is_not_there_is_said_and_not_made() {
    let app = TestApp::new();
    let digest = format!("b3:{}", "0".repeat(64));
    for command in ["verify", "du", "gc", "roots", "why"] {
        let mut arguments = vec!["store", command];
        arguments.extend((command == "why").then_some(digest.as_str()));
        let output = app.run(&arguments).expect(1);
        assert_eq!(
            output.stderr,
            "error: there is no store at [store]\nhint: it is made by the first build\n"
        );
    }
    assert!(!app.store().exists());
}

/// spec: cli/store R2
#[test]
fn verify_is_clean_after_a_deploy() {
    let app = shop();
    deploy(&app);
    let output = app.run(&["store", "verify"]).succeed();
    assert!(output.stdout.ends_with(": clean\n"), "{output}");
    let json = app
        .run(&["store", "verify", "--format", "json"])
        .succeed()
        .json();
    assert_eq!(json["damage"], serde_json::json!([]));
}

/// spec: cli/store R2, cli/store R3
#[test]
fn verify_finds_damage_and_repair_forgets_it() {
    let app = shop();
    app.run(&["build", "page"]).succeed();
    damage(&app);
    let output = app.run(&["store", "verify"]).expect(13);
    assert!(output.stdout.starts_with("damaged: "), "{output}");
    assert!(
        output
            .stderr
            .contains("run `stagecraft store verify --repair`"),
        "{output}"
    );
    let before = everything(&app.store());
    app.run(&["store", "verify", "--repair", "--dry-run"])
        .expect(13);
    assert!(
        before == everything(&app.store()),
        "a dry run mends nothing"
    );
    let output = app.run(&["store", "verify", "--repair"]).succeed();
    assert!(output.stdout.starts_with("repaired: "), "{output}");
    app.run(&["store", "verify"]).succeed();
    app.run(&["build", "page"]).succeed();
}

/// spec: cli/store R4
#[test]
fn show_lists_a_tree_and_prints_a_file() {
    let app = shop();
    let built = app
        .run(&["build", "page", "--format", "json"])
        .succeed()
        .json();
    let tree = built["operations"][1]["output"].as_str().unwrap();
    let listing = app.run(&["store", "show", tree]).succeed();
    let digest = listing.stdout.split(' ').nth(1).unwrap();
    assert_eq!(listing.stdout, format!("- {digest} page.html (4 B)\n"));
    let file = app.run(&["store", "show", digest]).succeed();
    assert_eq!(file.stdout, "ONE\n");
    let json = app
        .run(&["store", "show", tree, "--format", "json"])
        .succeed()
        .json();
    assert_eq!(json["page.html"]["size"], 4);
    let nothing = format!("b3:{}", "0".repeat(64));
    for given in ["x", nothing.as_str()] {
        let output = app.run(&["store", "show", given]).expect(1);
        assert!(
            output
                .stderr
                .starts_with(&format!("error: unknown object `{given}`\n")),
            "{output}"
        );
    }
}

/// spec: cli/store R5
#[test]
fn roots_name_releases_and_links() {
    let app = shop();
    let id = deploy(&app);
    app.run(&["build", "page"]).succeed();
    let output = app.run(&["store", "roots"]).succeed();
    let release = format!("release/shop/local/{id}: release {id} of local (");
    assert!(output.stdout.starts_with(&release), "{output}");
    assert!(
        output.stdout.contains(": .stagecraft/out (2 references)\n"),
        "{output}"
    );
    let json = app
        .run(&["store", "roots", "--format", "json"])
        .succeed()
        .json();
    assert_eq!(json["roots"].as_array().unwrap().len(), 2);
}

/// spec: cli/store R6
#[test]
fn du_counts_and_gc_keeps_what_is_rooted() {
    let app = shop();
    deploy(&app);
    let du = app.run(&["store", "du"]).succeed();
    let names: Vec<&str> = du
        .stdout
        .lines()
        .map(|line| line.split(' ').next().unwrap())
        .collect();
    assert_eq!(
        names,
        [
            "objects",
            "executables",
            "results",
            "history",
            "roots",
            "trees",
            "temporary",
            "trash"
        ]
    );
    app.run(&["store", "du", "--format", "json"])
        .succeed()
        .json();
    let before = everything(&app.store());
    let dry = app.run(&["store", "gc", "--dry-run"]).succeed();
    assert!(dry.stdout.starts_with("would remove "), "{dry}");
    let lines: Vec<&str> = dry.stdout.lines().skip(2).collect();
    assert!(!lines.is_empty(), "{dry}");
    let told = |line: &&str| line.starts_with("stays b3:") && line.ends_with(" names it");
    assert!(lines.iter().all(told), "{dry}");
    assert!(before == everything(&app.store()));
    let gc = app.run(&["store", "gc"]).succeed();
    assert!(gc.stdout.starts_with("removed "), "{gc}");
    app.run(&["store", "verify"]).succeed();
    app.write("src/words.txt", "two\n");
    deploy(&app);
    app.run(&["rollback", "--env", "local", "--to-previous"])
        .succeed();
}

/// spec: cli/store R7
#[test]
fn why_says_what_keeps_a_thing() {
    let app = shop();
    let id = deploy(&app);
    let built = app
        .run(&["build", "page", "--format", "json"])
        .succeed()
        .json();
    let operation = &built["operations"][1];
    let tree = operation["output"].as_str().unwrap();
    let output = app.run(&["store", "why", tree]).succeed();
    let release = format!("root release/shop/local/{id}\n");
    assert!(output.stdout.contains(&release), "{output}");
    let key = operation["action_key"].as_str().unwrap();
    assert!(
        output.stdout.contains(&format!("result {key}\n")),
        "{output}"
    );
    let json = app
        .run(&["store", "why", key, "--format", "json"])
        .succeed()
        .json();
    assert!(!json["reasons"].as_array().unwrap().is_empty());
    let nothing = format!("b3:{}", "0".repeat(64));
    for given in ["x", nothing.as_str()] {
        let output = app.run(&["store", "why", given]).expect(1);
        let error = format!("error: unknown object `{given}`\n");
        assert!(output.stderr.starts_with(&error), "{output}");
    }
}

/// spec: cli/store R8
#[test]
fn gc_that_is_due_runs_after_a_build_and_nobody_waits() {
    let app = shop();
    app.run(&["build", "page"]).succeed();
    let stamp = app.store().join("v1/gc");
    assert!(stamp.exists(), "the day began");
    // While another gc runs the one in the background has to wait; the build ends all the same.
    let trash = std::fs::File::open(app.store().join("v1/trash")).unwrap();
    trash.lock().unwrap();
    std::fs::write(&stamp, "torn").unwrap();
    let built = app.run(&["build", "page"]).succeed();
    assert!(!built.stdout.contains("gc") && !built.stderr.contains("gc"));
    assert_eq!(std::fs::read(&stamp).unwrap(), b"torn");
    drop(trash);
    let deadline = std::time::Instant::now() + std::time::Duration::from_secs(60);
    while std::fs::read(&stamp).unwrap() == b"torn" {
        assert!(std::time::Instant::now() < deadline, "no gc came");
        app.run(&["build", "page"]).succeed();
    }
    app.run(&["store", "verify"]).succeed();
}
