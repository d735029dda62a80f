//! Each exit code of `spec/cli/exit-codes.md`, made by a real run.

use std::fs::File;

use super::{deploy, shop};
use crate::support::TestApp;

/// A shop whose `activate` can be told to fail.
fn moody() -> TestApp {
    let app = shop();
    app.edit(
        "stagecraft.yml",
        "path: ./deploy }",
        "path: ./deploy, activate: [./activate] }",
    );
    app.write_program("activate", "#!/bin/sh\n");
    app
}

/// spec: cli/exit-codes R1
#[test]
fn exit_0_is_done_or_nothing_to_do() {
    let app = shop();
    app.run(&["build", "page"]).expect(0);
    app.run(&["build", "page"]).expect(0);
    app.run(&["version"]).expect(0);
    app.run(&["--help"]).expect(0);
}

/// spec: cli/exit-codes R2
#[test]
fn exit_1_is_a_user_error_also_from_the_argument_parser() {
    let app = shop();
    app.run(&["deploy"]).expect(1);
    app.run(&["deploy", "--env", "nope"]).expect(1);
    app.run(&["build", "nope"]).expect(1);
    app.run(&[]).expect(1);
    app.run(&["frobnicate"]).expect(1);
    app.run(&["build", "--frobnicate"]).expect(1);
    app.run(&["build", "--jobs", "0", "page"]).expect(1);
    app.write("stagecraft.yml", "project: 1\n");
    app.run(&["plan", "--all"]).expect(1);
    app.remove("stagecraft.yml");
    app.run(&["plan", "--all"]).expect(1);
}

/// spec: cli/exit-codes R3
#[test]
fn exit_2_is_a_plan_that_failed() {
    let app = shop();
    app.remove("src/words.txt");
    for command in ["plan", "build", "deploy"] {
        app.run(&[command, "--env", "local"]).expect(2);
    }
}

/// spec: cli/exit-codes R4
#[test]
fn exit_3_is_a_build_that_failed() {
    let app = shop();
    app.edit("stagecraft.yml", "tr a-z", "exit 77; tr a-z");
    app.run(&["build", "page"]).expect(3);
    app.run(&["deploy", "--env", "local"]).expect(3);
}

/// spec: cli/exit-codes R5
#[test]
fn exit_5_is_an_internal_error() {
    let app = shop();
    let mut command = app.prepared(&["plan", "--all"]);
    command.stdout(File::options().write(true).open("/dev/full").unwrap());
    let output = app.finish(command);
    assert_eq!(output.status, 5, "{output}");
    assert!(
        output
            .stderr
            .starts_with("error: stdout cannot be written: "),
        "{output}"
    );
}

/// spec: cli/exit-codes R6
#[test]
fn exit_7_is_a_rollout_that_was_set_back() {
    let app = moody();
    deploy(&app);
    app.write("src/words.txt", "two\n");
    app.write_program(
        "activate",
        "#!/bin/sh\ngrep -q ONE deploy/current/site/page.html\n",
    );
    app.run(&["deploy", "--env", "local"]).expect(7);
    assert_eq!(app.read("deploy/current/site/page.html"), "ONE\n");
}

/// spec: cli/exit-codes R7
#[test]
fn exit_8_is_a_rollout_that_could_not_be_set_back() {
    let app = moody();
    deploy(&app);
    app.write("src/words.txt", "two\n");
    app.write_program("activate", "#!/bin/sh\nexit 1\n");
    app.run(&["deploy", "--env", "local"]).expect(8);
}

/// spec: cli/exit-codes R8
#[test]
fn exit_11_is_a_target_that_is_not_what_was_recorded() {
    let app = shop();
    deploy(&app);
    app.remove("deploy/current");
    app.run(&["status"]).expect(0);
    app.run(&["status", "--drift"]).expect(11);
}

/// spec: cli/exit-codes R9
#[test]
fn exit_13_is_damage_or_missing_bytes() {
    let app = shop();
    deploy(&app);
    deploy(&app);
    std::fs::remove_dir_all(app.store()).unwrap();
    app.run(&["rollback", "--env", "local", "--to-previous"])
        .expect(13);
    app.write(".stagecraft/releases.json", "no log");
    app.run(&["releases", "list"]).expect(13);
    app.run(&["status"]).expect(13);
    app.run(&["rollback", "--env", "local", "--to-previous"])
        .expect(13);
}
