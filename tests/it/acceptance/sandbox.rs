//! What is not declared is not there, in both directions, and the message says what to declare.

use crate::support::TestApp;

/// spec: house/acceptance R7
#[test]
fn an_undeclared_input_cannot_be_read_and_is_named() {
    let app = TestApp::with_config(
        "project: { name: r }\noperations:\n  read: { script: 'cat src/a.txt src/b.txt > out', inputs: [src/a.txt], outputs: [out] }\n",
    );
    app.write("src/a.txt", "a\n");
    app.write("src/b.txt", "b\n");
    let output = app.run(&["build", "read"]).expect(3);
    assert!(output.stderr.contains("src/b.txt"), "{output}");
    let hint = output
        .stderr
        .lines()
        .find(|line| line.starts_with("  hint: "));
    let hint = hint.unwrap_or_else(|| panic!("no hint: {output}"));
    assert!(
        hint.contains("src/b.txt") && hint.contains("inputs"),
        "{output}"
    );
    app.edit(
        "stagecraft.yml",
        "inputs: [src/a.txt]",
        "inputs: [src/a.txt, src/b.txt]",
    );
    app.run(&["build", "read"]).succeed();
}

/// spec: house/acceptance R8
#[test]
fn an_undeclared_output_is_dropped_and_named() {
    let app = TestApp::with_config(
        "project: { name: w }\noperations:\n  write: { script: 'echo a > out; echo b > stray.txt', outputs: [out] }\n",
    );
    let output = app.run(&["build", "write"]).succeed();
    let warning = output
        .stderr
        .lines()
        .find(|line| line.starts_with("warning: write: "));
    let warning = warning.unwrap_or_else(|| panic!("no warning: {output}"));
    assert!(
        warning.contains("stray.txt") && warning.contains("outputs"),
        "{output}"
    );
    assert!(!app.exists("stray.txt") && !app.exists(".stagecraft/out/write/stray.txt"));
    app.edit(
        "stagecraft.yml",
        "operations:",
        "sandbox: { undeclared_writes: error }\noperations:",
    );
    let output = app.run(&["build", "write", "--no-cache"]).expect(3);
    assert!(output.stderr.contains("stray.txt"), "{output}");
}
