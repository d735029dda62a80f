//! `store export` and `store import`: a release goes to another machine and is gone back to there.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use super::{deploy, everything, shop};
use crate::support::{Output, TestApp};

/// Exports to a file and returns it with what was said.
fn export(app: &TestApp, name: &str) -> (PathBuf, Output) {
    let file = app.path("../stream");
    let mut command = app.prepared(&["store", "export", name]);
    command.stdout(Stdio::piped());
    let output = command.output().unwrap();
    std::fs::write(&file, &output.stdout).unwrap();
    let said = Output {
        status: output.status.code().unwrap(),
        stdout: String::new(),
        stderr: String::from_utf8(output.stderr).unwrap(),
    };
    (file, said)
}

fn import(app: &TestApp, file: &Path, arguments: &[&str]) -> Output {
    let mut command = app.prepared(&["store", "import"]);
    command
        .args(arguments)
        .stdin(Stdio::from(File::open(file).unwrap()));
    app.finish(command)
}

/// spec: store/stream R11, store/stream R12, store/stream R13, release/log R16
#[test]
fn a_release_is_gone_back_to_on_another_machine() {
    let app = shop();
    let id = deploy(&app);
    let page = app.read("deploy/current/site/page.html");
    let (file, said) = export(&app, &id);
    let said = said.succeed();
    assert!(said.stderr.starts_with("exported "), "{said}");
    let other = shop();
    other.write("src/words.txt", "something else\n");
    let imported = import(&other, &file, &[]).succeed();
    assert!(
        imported
            .stdout
            .contains(&format!("root release/shop/local/{id}\n")),
        "{imported}"
    );
    assert!(
        imported
            .stdout
            .contains(&format!("release {id}: added to the log\n")),
        "{imported}"
    );
    let status = other.run(&["status", "--env", "local", "--format", "json"]);
    // It has run nowhere here.
    assert!(
        status.json()["environments"][0]["release"].is_null(),
        "{status}"
    );
    other
        .run(&["rollback", "--env", "local", "--to-release", &id])
        .succeed();
    assert_eq!(other.read("deploy/current/site/page.html"), page);
    other.run(&["store", "verify"]).succeed();
}

/// spec: store/stream R11, store/stream R3
#[test]
fn equal_exports_are_equal_files_also_from_where_they_were_imported() {
    let app = shop();
    let id = deploy(&app);
    let (file, said) = export(&app, &id);
    said.succeed();
    let bytes = std::fs::read(&file).unwrap();
    let other = shop();
    import(&other, &file, &[]).succeed();
    let (again, said) = export(&other, &id);
    said.succeed();
    assert!(std::fs::read(again).unwrap() == bytes);
}

/// spec: store/stream R12
#[test]
fn an_import_twice_changes_nothing() {
    let app = shop();
    let id = deploy(&app);
    let (file, said) = export(&app, &id);
    said.succeed();
    let other = shop();
    import(&other, &file, &[]).succeed();
    let log = other.read(".stagecraft/releases.json");
    assert!(log.contains("\"imported\": true"), "{log}");
    let before = everything(&other.store());
    let again = import(&other, &file, &["--format", "json"])
        .succeed()
        .json();
    assert_eq!(again["objects"], 0);
    assert_eq!(again["releases"], serde_json::json!([id]));
    assert!(everything(&other.store()) == before);
    assert_eq!(other.read(".stagecraft/releases.json"), log);
    // Another release of that id is not replaced.
    other.edit(
        ".stagecraft/releases.json",
        "\"imported\": true",
        "\"imported\": true, \"more\": 1",
    );
    let refused = import(&other, &file, &[]).expect(1);
    assert!(refused.stderr.contains("has another release"), "{refused}");
}

/// spec: store/stream R14, store/stream R7
#[test]
fn a_damaged_stream_is_exit_13_and_nothing_is_rooted() {
    let app = shop();
    let id = deploy(&app);
    let (file, said) = export(&app, &id);
    said.succeed();
    let bytes = std::fs::read(&file).unwrap();
    let other = shop();
    for end in [0, 10, bytes.len() / 2, bytes.len() - 1] {
        std::fs::write(&file, &bytes[..end]).unwrap();
        let refused = import(&other, &file, &[]).expect(13);
        assert!(
            refused.stderr.contains("hint: nothing was rooted"),
            "{refused}"
        );
    }
    let roots = other.run(&["store", "roots"]).succeed();
    assert_eq!(roots.stdout, "");
    assert!(!other.exists(".stagecraft/releases.json"));
    other.run(&["store", "verify"]).succeed();
}

/// spec: store/stream R12
#[test]
fn an_entry_of_another_release_is_refused() {
    let app = shop();
    let (id, newer) = (deploy(&app), deploy(&app));
    // The log says of one release what is true of the other.
    let log = app.read(".stagecraft/releases.json");
    let manifest = format!("b3:{}", "0".repeat(64));
    let parsed: serde_json::Value = serde_json::from_str(&log).unwrap();
    let real = parsed["releases"][0]["manifest"]
        .as_str()
        .unwrap()
        .to_owned();
    assert_ne!(real, manifest);
    let (file, said) = export(&app, &format!("release/shop/local/{newer}"));
    said.succeed();
    let other = shop();
    let imported = import(&other, &file, &[]).succeed();
    assert!(
        !imported.stdout.contains("release rel-"),
        "a root alone brings no entry: {imported}"
    );
    assert!(!other.exists(".stagecraft/releases.json"));
    let store = stagecraft_store::Store::open(&app.store()).unwrap();
    let name: stagecraft_store::RootName = format!("release/shop/local/{id}").parse().unwrap();
    let root = store.root(&name).unwrap().unwrap();
    let entry = serde_json::to_vec(&parsed["releases"][1]).unwrap();
    let parcel = stagecraft_store::Parcel {
        notes: [(name.as_str().to_owned(), entry)].into(),
        roots: [(name, root)].into(),
    };
    let mut out = File::create(&file).unwrap();
    store.export_closure(&parcel, &mut out).unwrap();
    let refused = import(&other, &file, &[]).expect(13);
    assert!(
        refused.stderr.contains("does not belong to it"),
        "{refused}"
    );
    let roots = other.run(&["store", "roots"]).succeed();
    assert!(!roots.stdout.contains(&id), "{roots}");
}

/// spec: store/stream R14
#[test]
fn what_there_is_not_is_not_exported() {
    let app = shop();
    let id = deploy(&app);
    let (_, said) = export(&app, "release/shop/local/none");
    let said = said.expect(1);
    assert!(said.stderr.contains("unknown root or release"), "{said}");
    let (_, said) = export(&app, "../../etc");
    said.expect(1);
    for shard in std::fs::read_dir(app.store().join("v1/cas")).unwrap() {
        std::fs::remove_dir_all(shard.unwrap().path()).unwrap();
    }
    let (file, said) = export(&app, &id);
    let said = said.expect(13);
    assert!(said.stderr.contains("are missing"), "{said}");
    assert_eq!(std::fs::metadata(file).unwrap().len(), 0);
}

/// spec: store/stream R12
#[test]
fn an_import_is_no_dry_run() {
    let app = shop();
    let id = deploy(&app);
    let (file, said) = export(&app, &id);
    said.succeed();
    let other = shop();
    import(&other, &file, &["--dry-run"]).expect(1);
    assert!(!other.store().exists());
}
