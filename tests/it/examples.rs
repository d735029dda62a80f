//! The examples of `docs/examples`, as a new user would try them, with the real program from source to running release
//! and back.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use serde_json::Value;

use crate::support::TestApp;

/// The hello example on a port of its own; its server is stopped at the end, also of a test that fails.
struct Hello {
    app: TestApp,
    port: u16,
}

impl Hello {
    fn new() -> Self {
        let port = TcpListener::bind("127.0.0.1:0")
            .and_then(|listener| listener.local_addr())
            .unwrap()
            .port();
        let app = TestApp::copy_of("docs/examples/hello");
        app.edit("stagecraft.yml", "8173", &port.to_string());
        Self { app, port }
    }

    fn deploy(&self) -> Value {
        self.app
            .run(&["deploy", "--env", "local", "--format", "json"])
            .succeed()
            .json()
    }

    fn get(&self, path: &str) -> String {
        let mut connection = TcpStream::connect(("127.0.0.1", self.port)).unwrap();
        connection
            .set_read_timeout(Some(Duration::from_secs(10)))
            .unwrap();
        write!(connection, "GET {path} HTTP/1.1\r\n\r\n").unwrap();
        let mut answer = String::new();
        connection.read_to_string(&mut answer).unwrap();
        answer
    }
}

impl Drop for Hello {
    fn drop(&mut self) {
        let stopped = self.app.program("./stop.sh", &[]);
        assert!(std::thread::panicking() || stopped.status == 0, "{stopped}");
    }
}

fn ids_with(document: &Value, status: &str) -> BTreeSet<String> {
    let operations = document["operations"].as_array().unwrap();
    operations
        .iter()
        .filter(|operation| operation["status"] == status)
        .map(|operation| operation["id"].as_str().unwrap().to_owned())
        .collect()
}

fn set(ids: &[&str]) -> BTreeSet<String> {
    ids.iter().map(|id| (*id).to_owned()).collect()
}

/// spec: house/examples R1
#[test]
fn hello_is_built_started_and_healthy() {
    let hello = Hello::new();
    let document = hello.deploy();
    let built = [
        "compile-files",
        "compile-http",
        "compile-main",
        "server",
        "site",
    ];
    assert_eq!(ids_with(&document, "ran"), set(&built));
    assert_eq!(ids_with(&document, "failed"), set(&[]));
    assert!(hello.get("/up").ends_with("\r\n\r\nok"));
    assert!(hello.get("/").contains("<td>Hello, world</td>"));
}

/// spec: house/examples R2
#[test]
fn hello_twice_is_a_new_release_and_no_work() {
    let hello = Hello::new();
    let (first, second) = (hello.deploy(), hello.deploy());
    assert_eq!(second["summary"]["ran"], 0, "{second:#}");
    assert_eq!(second["summary"]["applied"], 0, "{second:#}");
    assert_eq!(first["plan"], second["plan"]);
    assert_eq!(first["manifest"], second["manifest"]);
    assert_ne!(first["release"], second["release"]);
}

/// spec: house/examples R3
#[test]
fn a_comment_in_hello_stops_at_the_compile() {
    let hello = Hello::new();
    hello.deploy();
    hello.app.edit(
        "server/files.c",
        "/* Finds a file",
        "/* A comment.\n   Finds a file",
    );
    assert_eq!(ids_with(&hello.deploy(), "ran"), set(&["compile-files"]));
}

/// spec: house/examples R4
#[test]
fn hello_goes_back_without_its_sources() {
    let hello = Hello::new();
    hello.deploy();
    let before = hello.get("/");
    hello
        .app
        .edit("site/greetings.tsv", "Hello, world", "Hello, moon");
    hello.deploy();
    assert!(hello.get("/").contains("Hello, moon"));
    hello.app.remove("server");
    hello.app.remove("site");
    let back = hello
        .app
        .run(&[
            "rollback",
            "--to-previous",
            "--env",
            "local",
            "--format",
            "json",
        ])
        .succeed()
        .json();
    assert_eq!(back["summary"]["ran"], 0, "{back:#}");
    assert_eq!(hello.get("/"), before);
}

/// spec: house/examples R5
#[test]
fn a_broken_hello_leaves_the_old_one_running() {
    let hello = Hello::new();
    hello.deploy();
    hello.app.edit("server/main.c", "\"/up\"", "\"/down\"");
    hello
        .app
        .edit("stagecraft.yml", "deadline: 10s", "deadline: 1s");
    let output = hello.app.run(&["deploy", "--env", "local"]).expect(7);
    assert!(output.stderr.contains("/up"), "{output}");
    assert!(hello.get("/up").ends_with("\r\n\r\nok"));
}

fn build_all(app: &TestApp) -> Value {
    app.run(&["build", "--all", "--format", "json"])
        .succeed()
        .json()
}

/// spec: house/examples R6
#[test]
fn the_monorepo_is_built_once_wherever_it_lies() {
    let app = TestApp::copy_of("docs/examples/monorepo");
    let first = build_all(&app);
    assert_eq!(first["summary"]["ran"], 48, "{first:#}");
    let mut clone = TestApp::copy_of("docs/examples/monorepo");
    clone.share_store(&app);
    let second = build_all(&clone);
    assert_eq!(second["summary"]["hit"], 48, "{second:#}");
    assert_eq!(first["plan"], second["plan"]);
}

/// spec: house/examples R7
#[test]
fn a_change_in_the_monorepo_runs_its_dependents_only() {
    let app = TestApp::copy_of("docs/examples/monorepo");
    assert_eq!(build_all(&app)["summary"]["failed"], 0);
    app.edit("packages/lib-text/text.c", "/* Trims", "/* Here:\n   trims");
    let comment = ["check-packages/lib-text", "packages/lib-text/lib"];
    assert_eq!(ids_with(&build_all(&app), "ran"), set(&comment));
    app.edit(
        "packages/lib-units/units.tsv",
        "dozen\tpiece\t12",
        "dozen\tpiece\t12\nscore\tpiece\t20",
    );
    let ran = ids_with(&build_all(&app), "ran");
    let touched = [
        "packages/lib-units/source",
        "packages/lib-units/lib",
        "packages/lib-units/test",
    ];
    assert!(set(&touched[..2]).is_subset(&ran), "{ran:?}");
    let unrelated = [
        "packages/lib-money/lib",
        "packages/lib-json/test",
        "packages/docs/pages",
        "api-packages/lib-csv",
    ];
    assert!(set(&unrelated).is_disjoint(&ran), "{ran:?}");
}

/// spec: house/examples R7
#[test]
fn why_names_the_file_that_changed() {
    let app = TestApp::copy_of("docs/examples/monorepo");
    let target = "packages/gen-sample/data";
    let built = app.run(&["build", target, "--format", "json"]).succeed();
    assert_eq!(ids_with(&built.json(), "ran"), set(&[target]));
    app.edit("packages/gen-sample/items.txt", "salt g", "pepper g");
    let why = app.run(&["why", target]).succeed();
    assert!(
        why.stdout.contains("packages/gen-sample/items.txt"),
        "{why}"
    );
}

/// spec: house/examples R8
#[test]
fn the_monorepo_is_deployed_and_its_programs_run() {
    let app = TestApp::copy_of("docs/examples/monorepo");
    let deployed = app
        .run(&["deploy", "--env", "local", "--format", "json"])
        .succeed();
    assert_eq!(ids_with(&deployed.json(), "failed"), set(&[]));
    let report = app
        .program("deploy/current/report/bin/report", &["--version"])
        .succeed();
    assert_eq!(report.stdout, "report 1.4.0\n");
    let page = app.read("deploy/current/web/site/index.html");
    assert!(page.contains("total             887.16"), "{page}");
    assert!(
        app.read("deploy/current/web/site/api/lib-csv.txt")
            .contains("csv_split")
    );
}
