//! Global flags and variables: what beats what, what goes where, and that no argument makes the program panic.

use std::process::Stdio;

use super::{deploy, everything, shop};
use crate::support::{Output, TestApp};

fn bare(app: &TestApp, arguments: &[&str]) -> Output {
    app.finish(app.bare(arguments))
}

fn path(app: &TestApp, path: &str) -> String {
    app.path(path).display().to_string()
}

/// spec: cli/global-flags R1
#[test]
fn a_flag_beats_a_variable_beats_the_default() {
    let mut app = shop();
    app.write(
        "other.yml",
        &app.read("stagecraft.yml")
            .replace("name: shop", "name: other"),
    );
    app.write("third.yml", "not: a config\n");
    let plan = |app: &TestApp, arguments: &[&str]| {
        let output = bare(app, arguments).succeed();
        output.json()["plan"].as_str().unwrap().to_owned()
    };
    let page = ["plan", "page", "--format", "json"];
    plan(&app, &page);
    app.set("STAGECRAFT_CONFIG", "third.yml");
    bare(&app, &page).expect(1);
    plan(
        &app,
        &["plan", "page", "--format", "json", "--config", "other.yml"],
    );

    app.set("STAGECRAFT_CONFIG", "");
    app.set("STAGECRAFT_ENV", "moon");
    bare(&app, &["plan"]).expect(1);
    bare(&app, &["plan", "--env", "local"]).succeed();
    app.set("STAGECRAFT_ENV", "local");
    bare(&app, &["plan"]).succeed();
    bare(&app, &["plan", "--env", "moon"]).expect(1);

    bare(&app, &["build", "page"]).succeed();
    assert!(app.exists("../home/.local/share/stagecraft/store"));
    app.set("XDG_DATA_HOME", &path(&app, "../data"));
    bare(&app, &["build", "page"]).succeed();
    assert!(app.exists("../data/stagecraft/store"));
    app.set("STAGECRAFT_STORE", &path(&app, "../variable"));
    bare(&app, &["build", "page"]).succeed();
    assert!(app.exists("../variable") && !app.exists("../flag"));
    bare(&app, &["build", "page", "--store", "../flag"]).succeed();
    assert!(app.exists("../flag"));

    app.set("STAGECRAFT_JOBS", "none");
    let output = bare(&app, &["build", "page"]).expect(1);
    assert_eq!(
        output.stderr,
        "error: STAGECRAFT_JOBS is `none`, not a number from 1 to 65535\n"
    );
    bare(&app, &["build", "page", "--jobs", "2"]).succeed();
}

/// spec: cli/global-flags R2
#[test]
fn dry_run_takes_a_truth_and_the_flag_decides() {
    let mut app = shop();
    let is_dry = |app: &TestApp, arguments: &[&str]| {
        let mut all = vec!["build", "page"];
        all.extend(arguments);
        app.run(&all).succeed().stdout.starts_with("[DRY RUN]")
    };
    assert!(!is_dry(&app, &[]) && is_dry(&app, &["--dry-run"]));
    assert!(is_dry(&app, &["--dry-run=t"]) && !is_dry(&app, &["--dry-run=F"]));
    app.set("STAGECRAFT_DRY_RUN", "1");
    assert!(is_dry(&app, &[]) && !is_dry(&app, &["--dry-run=false"]));
    for word in ["0", "yes", "", "on"] {
        app.set("STAGECRAFT_DRY_RUN", word);
        assert!(!is_dry(&app, &[]), "{word}");
    }
    let output = app.run(&["build", "page", "--dry-run=maybe"]).expect(1);
    assert!(
        output.stderr.contains("it is neither true nor false"),
        "{output}"
    );
}

/// spec: cli/global-flags R3
#[test]
fn relative_paths_start_from_the_named_directory() {
    let app = shop();
    app.write("deep/down/x", "");
    app.write("deep/other.yml", &app.read("stagecraft.yml"));
    app.write("deep/src/words.txt", "deep\n");
    bare(
        &app,
        &[
            "-C",
            "deep",
            "build",
            "page",
            "-c",
            "other.yml",
            "--store",
            "s",
        ],
    )
    .succeed();
    assert!(app.exists("deep/s") && app.exists("deep/.stagecraft/out/page"));
    let output = bare(&app, &["-C", "nowhere", "plan", "--all"]).expect(1);
    assert!(
        output
            .stderr
            .starts_with("error: there is no directory [project]/nowhere"),
        "{output}"
    );
    bare(&app, &["-C", "stagecraft.yml", "plan", "--all"]).expect(1);
}

/// spec: cli/global-flags R4
#[test]
fn the_configuration_is_found_upwards() {
    let app = shop();
    app.write("deep/down/x", "");
    bare(&app, &["-C", "deep/down", "plan", "page"]).succeed();
    bare(&app, &["-C", "deep/down/..", "plan", "page"]).succeed();
    let output = app
        .run(&["plan", "--all", "--config", "none.yml"])
        .expect(1);
    assert_eq!(
        output.stderr,
        "error: stagecraft config not found at [project]/none.yml\nhint: run `stagecraft init` to write one\n"
    );
}

/// spec: cli/global-flags R5
#[test]
fn a_format_that_is_none_is_refused_by_every_command() {
    let app = shop();
    for command in [
        &["plan", "--all"][..],
        &["build", "--all"],
        &["deploy", "--env", "local"],
        &["rollback", "--env", "local"],
        &["releases", "list"],
        &["status"],
        &["store", "du"],
        &["why", "page"],
        &["schema"],
        &["completions", "bash"],
        &["version"],
        &["init"],
    ] {
        let mut arguments = command.to_vec();
        arguments.extend(["--format", "xml"]);
        let output = app.run(&arguments).expect(1);
        assert_eq!(
            output.stderr, "error: invalid format: xml (must be 'text' or 'json')\n",
            "{command:?}"
        );
        assert_eq!(output.stdout, "");
    }
}

/// spec: cli/global-flags R6
#[test]
fn an_environment_is_required_and_must_be_configured() {
    let app = shop();
    app.edit(
        "stagecraft.yml",
        "environments:\n",
        "environments:\n  beta: { driver: directory, path: ./beta }\n",
    );
    for command in [
        &["deploy"][..],
        &["rollback", "--to-previous"],
        &["build"],
        &["plan"],
    ] {
        let output = app.run(command).expect(1);
        assert_eq!(
            output.stderr,
            "error: --env is required\nhint: environments: beta, local\n"
        );
        let mut named = command.to_vec();
        named.extend(["--env", "moon"]);
        let output = app.run(&named).expect(1);
        assert_eq!(
            output.stderr,
            "error: invalid environment: moon\nhint: environments: beta, local\n"
        );
    }
}

/// spec: cli/global-flags R7
#[test]
fn nothing_but_data_goes_to_stdout() {
    let app = shop();
    let output = app.run(&[
        "deploy",
        "--env",
        "local",
        "--verbose",
        "--verbose",
        "--format",
        "json",
    ]);
    output.succeed().json();
    let output = app.run(&["build", "nope"]).expect(1);
    assert_eq!(output.stdout, "");
    let quiet = app.run(&["build", "page"]).succeed();
    let loud = app
        .run(&["build", "page", "--verbose", "--verbose", "--verbose"])
        .succeed();
    assert_eq!(quiet.stdout, loud.stdout);
    assert!(quiet.stderr.len() < loud.stderr.len());
}

/// spec: cli/global-flags R8
#[test]
fn a_reader_that_went_away_is_no_error() {
    let app = shop();
    deploy(&app);
    let run = format!(
        "{} -C {} --store {} schema | true; {} schema | head -c 10; test \"$PIPESTATUS\" = 0",
        env!("CARGO_BIN_EXE_stagecraft"),
        app.path("").display(),
        app.store().display(),
        env!("CARGO_BIN_EXE_stagecraft"),
    );
    let output = app.program("bash", &["-c", &run]).succeed();
    assert_eq!(output.stderr, "");
    let mut command = app.prepared(&["build", "page", "--no-cache"]);
    command.stderr(Stdio::null());
    assert_eq!(app.finish(command).status, 0);
}

/// spec: cli/global-flags R9
#[test]
fn no_arguments_make_it_panic() {
    const WORDS: &[&str] = &[
        "init",
        "plan",
        "build",
        "why",
        "graph",
        "deploy",
        "rollback",
        "releases",
        "list",
        "show",
        "diff",
        "status",
        "store",
        "verify",
        "gc",
        "du",
        "roots",
        "schema",
        "completions",
        "bash",
        "version",
        "help",
        "--all",
        "--env",
        "local",
        "--env=",
        "--services",
        ",",
        "--phases=",
        "--hosts",
        "--roles",
        "--",
        "-",
        "-c",
        "-C",
        ".",
        "..",
        "/",
        "--format",
        "json",
        "dot",
        "--dry-run",
        "--dry-run=",
        "--jobs",
        "0",
        "1",
        "70000",
        "--store",
        "\u{fffd}",
        "ü",
        "--version",
        "",
        "page",
        "words",
        "b3:00",
        "rel-20240101-000000000",
        "--to-previous",
        "--to-release",
        "--to-version",
        "--replay",
        "new",
        "--color",
        "always",
        "--verbose",
        "--reason",
        "--project-name",
        "--drift",
        "--repair",
        "--keep-going",
        "--no-cache",
        "a/b",
        "*",
        "\n",
        "${X}",
        "--non-interactive",
    ];
    let app = shop();
    app.edit(
        "stagecraft.yml",
        "cat src/words.txt",
        "exit 1; cat src/words.txt",
    );
    let mut state = 0x5eed_u64;
    let mut next = |below: usize| {
        state = state
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1_442_695_040_888_963_407);
        usize::try_from(state >> 33).unwrap() % below
    };
    for _ in 0..300 {
        let count = next(6);
        let arguments: Vec<&str> = (0..count).map(|_| WORDS[next(WORDS.len())]).collect();
        let output = app.run(&arguments);
        let codes = [0, 1, 2, 3, 5, 7, 9, 11, 13];
        assert!(codes.contains(&output.status), "{arguments:?}: {output}");
        assert!(
            !output.stderr.contains("panicked"),
            "{arguments:?}: {output}"
        );
    }
}

/// spec: cli/global-flags R9
#[test]
fn arguments_that_are_no_text_are_refused() {
    use std::os::unix::ffi::OsStrExt;
    let app = shop();
    let odd = std::ffi::OsStr::from_bytes(b"\xff\xfe");
    for arguments in [&["build"][..], &["plan", "--env"], &["releases", "show"]] {
        let mut command = app.prepared(arguments);
        command.arg(odd);
        assert_eq!(app.finish(command).status, 1);
    }
}

/// spec: cli/global-flags R10
#[test]
fn flags_of_later_versions_are_refused() {
    let app = shop();
    let before = everything(&app.path(""));
    for arguments in [
        &["build", "--push"][..],
        &["build", "--check", "page"],
        &["build", "--watch"],
        &["build", "--affected", "main"],
        &["build", "--locked"],
        &["plan", "--live"],
        &["plan", "-o", "file"],
        &["deploy", "file"],
        &["why", "--if-changed", "x"],
        &["migrate", "plan"],
        &["lock"],
        &["fix", "page"],
    ] {
        let output = app.run(arguments).expect(1);
        assert!(
            output.stderr.starts_with("error: unexpected argument")
                || output.stderr.starts_with("error: unrecognized subcommand"),
            "{output}"
        );
    }
    assert!(before == everything(&app.path("")));
}
