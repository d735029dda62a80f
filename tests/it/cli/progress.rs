//! Progress: live on a terminal, plain lines in a pipe.

use super::shop;
use crate::support::{Output, TestApp};

/// Runs the program with a terminal as stdin, stdout and stderr. What `script` itself prints is off.
fn on_a_terminal(app: &TestApp, arguments: &str) -> Output {
    let command = format!(
        "export TERM=xterm; stty cols 100 rows 30; {} -C {} --store {} {arguments}",
        env!("CARGO_BIN_EXE_stagecraft"),
        app.path("").display(),
        app.store().display()
    );
    app.program("script", &["-qec", &command, "/dev/null"])
}

/// Three operations, of which the last waits until the others were shown as running.
fn slow() -> TestApp {
    TestApp::with_config(
        "project: { name: s }\noperations:\n  first: { script: 'sleep 0.4' }\n  second: { script: 'sleep 0.41' }\n  third: { script: 'true', needs: [first, second] }\n",
    )
}

/// spec: cli/progress R1
#[test]
fn a_terminal_shows_what_runs_and_how_much_is_done() {
    let app = slow();
    let output = on_a_terminal(&app, "build --all --jobs 2");
    assert_eq!(output.status, 0, "{output}");
    assert!(output.stdout.contains("[0/3]"), "{output}");
    assert!(output.stdout.contains("first, second"), "{output}");
    assert!(output.stdout.contains("[2/3]"), "{output}");
}

/// spec: cli/progress R2
#[test]
fn the_live_line_is_gone_at_the_end() {
    let app = slow();
    let output = on_a_terminal(&app, "build --all --jobs 2");
    let last = screen(&output.stdout);
    assert_eq!(
        last.last().map(String::as_str),
        Some("3 operations: 3 ran"),
        "{last:?}"
    );
    assert!(last.iter().all(|line| !line.contains("/3]")), "{last:?}");
}

/// What a terminal shows after these bytes: enough of one for carriage returns, erased lines and moves up.
fn screen(text: &str) -> Vec<String> {
    let mut lines = vec![String::new()];
    let mut row = 0;
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\n' => {
                row += 1;
                if row == lines.len() {
                    lines.push(String::new());
                }
            }
            '\r' => {
                if rest.peek() != Some(&'\n') {
                    lines[row].clear();
                }
            }
            '\u{1b}' => {
                let sequence: String =
                    std::iter::from_fn(|| rest.next_if(|c| !c.is_ascii_alphabetic())).collect();
                match rest.next() {
                    Some('K') => lines[row].clear(),
                    Some('A') => {
                        let by = sequence.trim_start_matches('[').parse().unwrap_or(1);
                        row = row.saturating_sub(by);
                    }
                    _ => {}
                }
            }
            _ => lines[row].push(c),
        }
    }
    lines.retain(|line| !line.trim().is_empty());
    lines
}

/// spec: cli/progress R3
#[test]
fn a_pipe_gets_plain_lines() {
    let output = slow().run(&["build", "--all"]).succeed();
    assert!(!output.stderr.contains(['\u{1b}', '\r']), "{output}");
    for line in output.stderr.lines() {
        let known = ["start ", "ran ", "sandbox level ", "  hint: "];
        assert!(known.iter().any(|start| line.starts_with(start)), "{line}");
    }
}

/// spec: cli/progress R4
#[test]
fn colours_are_for_terminals_unless_no_color_is_set() {
    let mut app = shop();
    let coloured = |output: &Output| output.stdout.contains("\u{1b}[32mran");
    let output = on_a_terminal(&app, "build page");
    assert!(coloured(&output), "{output}");
    let never = on_a_terminal(&app, "build page --no-cache --color never");
    assert!(!coloured(&never), "{never}");
    let always = app
        .run(&["build", "page", "--no-cache", "--color", "always"])
        .succeed();
    assert!(always.stderr.contains("\u{1b}[32mran"), "{always}");
    app.set("NO_COLOR", "1");
    let none = on_a_terminal(&app, "build page --no-cache");
    assert!(!coloured(&none), "{none}");
}

/// spec: cli/progress R5
#[test]
fn hits_are_said_only_when_asked_for() {
    let app = shop();
    app.run(&["build", "page"]).succeed();
    assert_eq!(app.run(&["build", "page"]).succeed().stderr, "");
    let output = app.run(&["build", "page", "--verbose"]).succeed();
    assert!(
        output.stderr.contains("hit words\n") && output.stderr.contains("hit page\n"),
        "{output}"
    );
    assert_eq!(output.stdout, "2 operations: 2 hit\n");
}
