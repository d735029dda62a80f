//! `plan` predicts: every hit hits, every miss runs, whatever was edited.

use super::{Numbers, build, random_project, with_status};
use crate::support::TestApp;

fn edit(app: &TestApp, numbers: &mut Numbers, round: usize) -> String {
    let operation = numbers.below(30);
    let source = format!("s/{operation}");
    match numbers.below(7) {
        0 => app.write(
            &source,
            &format!("# round {round}\n{}\n", numbers.below(20)),
        ),
        1 => app.write(&source, &format!("{}\n", app.read(&source))),
        2 => app.write("op.sh", &format!("# {round}\n{}", app.read("op.sh"))),
        3 => replace(
            app,
            &format!("  o{operation}: {{ "),
            &format!("  o{operation}: {{ env: {{ R: \"{round}\" }}, "),
        ),
        4 if operation > 0 => add_need(app, operation, numbers.below(operation)),
        5 => replace(
            app,
            &format!("  o{operation}: {{ "),
            &format!("  o{operation}: {{ timeout: {}m, ", round + 1),
        ),
        _ => replace(
            app,
            &format!("s/{operation}]"),
            &format!("s/{operation}, s/{}]", numbers.below(30)),
        ),
    }
    app.read("stagecraft.yml")
}

/// Makes an operation need an earlier one, unless it does.
fn add_need(app: &TestApp, operation: usize, need: usize) {
    let text = app.read("stagecraft.yml");
    let beginning = format!("  o{operation}: {{ ");
    let line = text
        .lines()
        .find(|line| line.starts_with(&beginning))
        .unwrap();
    if !line.contains(&format!(" o{need}: n/")) {
        let more = line.replace("needs: { ", &format!("needs: {{ o{need}: n/{need}, "));
        assert_ne!(more, line);
        app.write("stagecraft.yml", &text.replace(line, &more));
    }
}

/// Replaces a text where it is there and the line has no such key yet.
fn replace(app: &TestApp, from: &str, to: &str) {
    let text = app.read("stagecraft.yml");
    let key = to
        .trim_start_matches(from)
        .split(':')
        .next()
        .unwrap_or_default();
    let line = text.lines().find(|line| line.contains(from));
    if line.is_some_and(|line| key.is_empty() || !line.contains(&format!("{{ {key}:"))) {
        app.write("stagecraft.yml", &text.replacen(from, to, 1));
    }
}

/// spec: evaluate/evaluation R14
#[test]
fn hits_hit_and_misses_run_after_any_edit() {
    let app = TestApp::new();
    let mut numbers = Numbers(2026);
    random_project(&app, 30, &mut numbers);
    let (mut misses, mut unresolved) = (0, 0);
    for round in 0..30 {
        let config = edit(&app, &mut numbers, round);
        let planned = app
            .run(&["plan", "--all", "--format", "json"])
            .succeed()
            .json();
        let built = build(&app, &["--all"]).succeed().json();
        assert_eq!(planned["plan"], built["plan"]);
        let (hit, ran) = (with_status(&built, "hit"), with_status(&built, "ran"));
        for entry in planned["phases"].as_array().unwrap() {
            let id = entry["id"].as_str().unwrap().to_owned();
            match entry["cache"].as_str().unwrap() {
                "hit" => assert!(hit.contains(&id), "{id} ran in round {round} of\n{config}"),
                "miss" => {
                    misses += 1;
                    assert!(ran.contains(&id), "{id} hit in round {round} of\n{config}");
                }
                "unresolved" => unresolved += 1,
                other => panic!("{other}"),
            }
        }
    }
    assert!(misses > 30 && unresolved > 30, "{misses} {unresolved}");
}
