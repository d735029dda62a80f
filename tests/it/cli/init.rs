//! `init`: what it writes loads, whatever it finds, and what is there stays.

use super::everything;
use crate::support::TestApp;

/// An empty project where the programs of each kind exist.
fn place() -> TestApp {
    let mut app = TestApp::new();
    for program in ["cargo", "rustc", "npm", "node", "go", "make"] {
        app.write_program(&format!("../bin/{program}"), "#!/bin/sh\n");
    }
    let path = format!("{}:/usr/bin:/bin", app.path("../bin").display());
    app.set("PATH", &path);
    app
}

/// spec: cli/init R1
#[test]
fn what_it_writes_loads_for_each_kind_of_project() {
    for (files, script) in [
        (&[][..], None),
        (
            &["Cargo.toml", "Cargo.lock", "src/main.rs"],
            Some("cargo build"),
        ),
        (&["package.json", "index.js"], Some("npm run build")),
        (&["go.mod", "main.go"], Some("go build")),
        (&["Makefile", "a.c"], Some("script: make\n")),
        (&["main.c", "main.h"], Some("cc -O2")),
        (&["Dockerfile"], None),
        (&["compose.yaml"], None),
        (
            &["docker-compose.yml", "package.json"],
            Some("npm run build"),
        ),
    ] {
        let app = place();
        for file in files {
            app.write(file, "\n");
        }
        app.run(&["init"]).succeed();
        let text = app.read("stagecraft.yml");
        assert!(
            script.is_none_or(|script| text.contains(script)),
            "{files:?}: {text}"
        );
        let plan = app.run(&["plan", "--all", "--format", "json"]).succeed();
        let operations = plan.json()["phases"].as_array().unwrap().len();
        assert_eq!(operations, usize::from(script.is_some()), "{files:?}");
    }
}

/// spec: cli/init R2
#[test]
fn what_is_there_stays() {
    let app = TestApp::with_config("mine: true\n");
    let output = app.run(&["init"]).succeed();
    assert_eq!(
        output.stdout,
        "A Stagecraft config file already exists at [project]/stagecraft.yml.\n"
    );
    assert_eq!(output.stderr, "use --config to write another one\n");
    assert_eq!(app.read("stagecraft.yml"), "mine: true\n");
    std::os::unix::fs::symlink("nowhere", app.path("link.yml")).unwrap();
    app.run(&["init", "--config", "link.yml"]).succeed();
    assert!(!app.exists("nowhere"), "a dangling link is there, too");
}

/// spec: cli/init R3
#[test]
fn it_says_what_it_wrote_and_writes_one_file() {
    let app = TestApp::new();
    let output = app
        .run(&[
            "init",
            "--non-interactive",
            "--project-name",
            "shop",
            "--env",
            "prod",
            "--config",
            "other.yml",
        ])
        .succeed();
    assert_eq!(
        output.stdout,
        "✓ Created Stagecraft config at [project]/other.yml\nYou can now run 'stagecraft plan --all' to see what it does.\n"
    );
    assert_eq!(
        app.read("other.yml"),
        "project:\n  name: shop\nenvironments:\n  prod:\n    driver: directory\n    path: ./deploy\n"
    );
    assert_eq!(
        everything(&app.path("")).len(),
        2,
        "the directory and the file"
    );
    let json = TestApp::new().run(&["init", "--format", "json"]).succeed();
    assert_eq!(json.json()["created"], true);
}

/// spec: cli/init R4
#[test]
fn a_dry_run_prints_the_file_and_writes_none() {
    let app = TestApp::new();
    let output = app
        .run(&["init", "--dry-run", "--project-name", "shop"])
        .succeed();
    assert!(
        output.stdout.starts_with("project:\n  name: shop\n"),
        "{output}"
    );
    assert!(!app.exists("stagecraft.yml"));
}

/// spec: cli/init R5
#[test]
fn names_that_cannot_be_are_refused_or_made_fit() {
    let app = TestApp::new();
    for arguments in [
        &["init", "--project-name", "a b"][..],
        &["init", "--env", "../x"],
        &["init", "--project-name", ""],
    ] {
        let output = app.run(arguments).expect(1);
        assert!(output.stderr.starts_with("error: unknown "), "{output}");
    }
    assert!(!app.exists("stagecraft.yml"));
    app.write("_ my app/keep", "");
    let inside = app.path("_ my app").display().to_string();
    let output = app.finish({
        let mut command = app.bare(&["-C"]);
        command.arg(inside).arg("init");
        command
    });
    assert_eq!(output.status, 0, "{output}");
    assert!(
        app.read("_ my app/stagecraft.yml")
            .contains("name: my-app\n")
    );
}

/// spec: cli/init R6
#[test]
fn a_missing_program_is_told() {
    let mut app = TestApp::new();
    let path = app.path("bin").display().to_string();
    app.set("PATH", &path);
    app.write("go.mod", "");
    let output = app.run(&["init"]).succeed();
    assert_eq!(
        output.stderr,
        "warning: go.mod shows that `go` builds this project, and it is not on PATH\n"
    );
}
