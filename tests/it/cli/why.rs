//! `why`: the reason names the leaf, through a chain too, before and after the run.

use super::shop;

/// spec: cli/why R1
#[test]
fn what_would_run_names_the_first_difference() {
    let app = shop();
    let output = app.run(&["why", "words"]).succeed();
    assert_eq!(output.stdout, "words would run: never ran before\n");
    app.run(&["build", "words"]).succeed();
    app.write("src/words.txt", "two\n");
    let output = app.run(&["why", "words"]).succeed();
    assert_eq!(
        output.stdout,
        "words would run: `src/words.txt` changed\nwhy it ran last: never ran before\n"
    );
}

/// spec: cli/why R2
#[test]
fn every_difference_is_listed() {
    let app = shop();
    app.run(&["build", "words"]).succeed();
    app.write("src/words.txt", "two\n");
    app.edit("stagecraft.yml", "cat src/words.txt", "cat  src/words.txt");
    let output = app.run(&["why", "words"]).succeed();
    assert_eq!(
        output.stdout,
        "words would run: `src/words.txt` changed (and 1 more)\n  `src/words.txt` changed\n  the command changed\nwhy it ran last: never ran before\n"
    );
}

/// spec: cli/why R3
#[test]
fn a_chain_is_followed_to_the_file() {
    let app = shop();
    app.run(&["build", "page"]).succeed();
    app.write("src/words.txt", "two\n");
    let output = app.run(&["why", "page"]).succeed();
    assert_eq!(
        output.stdout,
        "page may run: `words` runs first\n  words: `src/words.txt` changed\nwhy it ran last: never ran before\n"
    );
}

/// spec: cli/why R4
#[test]
fn after_a_build_it_says_why_it_ran_last() {
    let app = shop();
    app.run(&["build", "page"]).succeed();
    app.write("src/words.txt", "two\n");
    app.run(&["build", "page"]).succeed();
    let output = app.run(&["why", "page"]).succeed();
    assert_eq!(
        output.stdout,
        "page would not run: its result is in the store\nwhy it ran last: the output of `words` changed\n"
    );
    let output = app.run(&["why", "words"]).succeed();
    assert!(
        output
            .stdout
            .ends_with("why it ran last: `src/words.txt` changed\n"),
        "{output}"
    );
}

/// spec: cli/why R5
#[test]
fn the_document_says_the_same() {
    let app = shop();
    app.run(&["build", "page"]).succeed();
    app.write("src/words.txt", "two\n");
    let words = app
        .run(&["why", "words", "--format", "json"])
        .succeed()
        .json();
    assert_eq!(words["cache"], "miss");
    assert_eq!(words["differences"][0]["name"], "src/words.txt");
    assert_ne!(
        words["differences"][0]["before"],
        words["differences"][0]["after"]
    );
    let page = app
        .run(&["why", "page", "--format", "json"])
        .succeed()
        .json();
    assert_eq!(
        (&page["cache"], &page["chain"][0]["id"]),
        (&"unresolved".into(), &"words".into())
    );
    assert_eq!(page["last_ran"], "never ran before");
}
