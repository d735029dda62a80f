//! Help, completions, schema, version. The help of every command is in `docs/cli`; `UPDATE_GOLDEN=1` writes it there.

use crate::source::repository;
use crate::support::TestApp;

const COMMANDS: &[(&str, &[&str])] = &[
    ("init", &[]),
    ("plan", &[]),
    ("build", &[]),
    ("why", &[]),
    ("graph", &[]),
    ("deploy", &[]),
    ("rollback", &[]),
    ("releases", &["list", "show", "diff"]),
    ("status", &[]),
    ("store", &["verify", "show", "du", "gc", "roots", "why"]),
    ("schema", &[]),
    ("completions", &[]),
    ("version", &[]),
];

/// The page of a command: its help, and that of its commands, without the global options, which have a page.
fn page(app: &TestApp, command: &str, below: &[&str]) -> String {
    let mut out = format!(
        "# stagecraft {command}\n\n```text\n{}```\n",
        own(&help(app, &[command]))
    );
    for sub in below {
        let text = own(&help(app, &[command, sub]));
        out += &[
            "\n## stagecraft ",
            command,
            " ",
            sub,
            "\n\n```text\n",
            &text,
            "```\n",
        ]
        .concat();
    }
    out.push_str("\nThe options of every command are on [their page](stagecraft.md).\n");
    out
}

fn help(app: &TestApp, command: &[&str]) -> String {
    let mut arguments = command.to_vec();
    arguments.push("--help");
    let output = app.run(&arguments).succeed();
    assert_eq!(output.stderr, "");
    output.stdout
}

fn own(help: &str) -> String {
    let (own, global) = help.split_once("\nGlobal options:\n").unwrap();
    assert!(global.contains("--dry-run"), "{help}");
    own.to_owned()
}

/// spec: cli/help R1
#[test]
fn the_pages_are_what_help_prints() {
    let app = TestApp::new();
    let mut pages: Vec<(String, String)> = COMMANDS
        .iter()
        .map(|(command, below)| ((*command).to_owned(), page(&app, command, below)))
        .collect();
    let whole = format!("# stagecraft\n\n```text\n{}```\n", help(&app, &[]));
    pages.push(("stagecraft".to_owned(), whole));
    for (name, text) in pages {
        let path = repository().join("docs/cli").join(format!("{name}.md"));
        if std::env::var_os("UPDATE_GOLDEN").is_some() {
            std::fs::write(&path, &text).unwrap();
        }
        let found = std::fs::read_to_string(&path).unwrap_or_default();
        assert_eq!(
            found, text,
            "{name}.md is not what help prints; UPDATE_GOLDEN=1 writes it"
        );
    }
}

/// spec: cli/help R1
#[test]
fn every_command_has_a_page() {
    let listed = help(&TestApp::new(), &[]);
    let commands: Vec<&str> = listed
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        .filter_map(|line| {
            line.strip_prefix("  ")?
                .split(' ')
                .next()
                .filter(|word| !word.is_empty())
        })
        .collect();
    let mut known: Vec<&str> = COMMANDS.iter().map(|(name, _)| *name).collect();
    known.push("help");
    assert_eq!(commands, known);
}

/// spec: cli/help R2
#[test]
fn help_is_in_the_imperative_and_has_no_full_stop() {
    let app = TestApp::new();
    for (command, _) in COMMANDS {
        let text = help(&app, &[command]);
        let first = text.lines().next().unwrap();
        assert!(
            !first.ends_with('.') && !first.is_empty(),
            "{command}: {first}"
        );
        let verb = first.split([' ', ',']).next().unwrap();
        assert!(!verb.ends_with('s'), "{command}: {first}");
    }
}

/// spec: cli/help R3
#[test]
fn completions_for_three_shells() {
    let app = TestApp::new();
    for shell in ["bash", "zsh", "fish"] {
        let output = app.run(&["completions", shell]).succeed();
        assert!(
            output.stdout.contains("rollback") && output.stderr.is_empty(),
            "{shell}"
        );
    }
    app.run(&["completions", "cmd"]).expect(1);
    let bash = app.run(&["completions", "bash"]).succeed().stdout;
    app.write("completion", &bash);
    app.program("bash", &["-n", "completion"]).succeed();
}

/// spec: cli/help R4
#[test]
fn the_schema_is_json() {
    let schema = TestApp::new().run(&["schema"]).succeed().json();
    assert!(schema["properties"]["operations"].is_object());
}

/// spec: cli/help R5
#[test]
fn the_version_is_printed() {
    let app = TestApp::new();
    let version = env!("CARGO_PKG_VERSION");
    let output = app.run(&["version"]).succeed();
    assert_eq!(output.stdout, format!("Stagecraft version {version}\n"));
    let json = app.run(&["version", "--format", "json"]).succeed();
    assert_eq!(json.json()["version"], version);
    assert_eq!(
        app.run(&["--version"]).succeed().stdout,
        format!("stagecraft {version}\n")
    );
}
