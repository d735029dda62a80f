//! `.stagecraft/`: what runs leave in a checkout.

use std::os::unix::fs::MetadataExt;

use super::{deploy, everything, shop};
use crate::support::TestApp;

/// spec: cli/workspace R1
#[test]
fn out_links_lead_to_the_output_of_what_was_asked_for() {
    let app = shop();
    app.run(&["build", "page"]).succeed();
    assert_eq!(app.read(".stagecraft/out/page/page.html"), "ONE\n");
    assert!(!app.exists(".stagecraft/out/words"));
    app.run(&["build", "--all"]).succeed();
    assert_eq!(app.read(".stagecraft/out/words/out/words"), "one\n");
    app.write("src/words.txt", "two\n");
    app.run(&["build", "page"]).succeed();
    assert_eq!(app.read(".stagecraft/out/page/page.html"), "TWO\n");
}

fn named(name: &str) -> String {
    format!(
        "project: {{ name: n }}\noperations:\n  {name}: {{ script: echo {name} > made, outputs: [made] }}\n"
    )
}

/// spec: cli/workspace R2
#[test]
fn a_name_that_became_a_prefix_of_another_enters_no_older_link() {
    let app = TestApp::with_config(&named("a"));
    app.run(&["build", "--all"]).succeed();
    let tree = std::fs::canonicalize(app.path(".stagecraft/out/a")).unwrap();
    let before = everything(&tree);
    app.write("stagecraft.yml", &named("a/b/c"));
    app.run(&["build", "a/b/c"]).succeed();
    assert_eq!(app.read(".stagecraft/out/a/b/c/made"), "a/b/c\n");
    assert!(
        before == everything(&tree),
        "nothing was written through the old link"
    );
    app.write("stagecraft.yml", &named("a"));
    app.run(&["build", "a"]).succeed();
    assert_eq!(app.read(".stagecraft/out/a/made"), "a\n");
    app.run(&["store", "verify"]).succeed();
}

/// spec: cli/workspace R2
#[test]
fn a_directory_in_the_place_of_the_links_goes_without_what_it_links_to() {
    let app = shop();
    app.write("elsewhere/kept", "kept\n");
    app.write(".stagecraft/out/old/file", "x\n");
    std::os::unix::fs::symlink(app.path("elsewhere"), app.path(".stagecraft/out/page")).unwrap();
    app.run(&["build", "page"]).succeed();
    assert_eq!(app.read(".stagecraft/out/page/page.html"), "ONE\n");
    assert_eq!(app.read("elsewhere/kept"), "kept\n");
    assert!(!app.exists(".stagecraft/out/old"));
}

/// spec: cli/workspace R3
#[test]
fn links_of_operations_that_are_gone_go_with_the_next_build_of_all() {
    let app = TestApp::with_config(&named("old/one"));
    app.run(&["build", "--all"]).succeed();
    app.write("stagecraft.yml", &named("new"));
    app.run(&["build", "new"]).succeed();
    assert!(app.exists(".stagecraft/out/old/one"));
    app.run(&["build", "--all"]).succeed();
    assert!(!app.exists(".stagecraft/out/old") && app.exists(".stagecraft/out/new"));
    let roots = app.run(&["store", "roots"]).succeed();
    assert_eq!(roots.stdout.lines().count(), 1, "{roots}");
}

/// spec: cli/workspace R8
#[test]
fn links_are_left_alone_while_nothing_changed_and_mended_when_a_tree_is_gone() {
    let app = shop();
    app.run(&["build", "--all"]).succeed();
    let out = app.path(".stagecraft/out");
    let inode = || std::fs::symlink_metadata(&out).unwrap().ino();
    let links = std::fs::read_link(&out).unwrap();
    let trees = links.parent().unwrap();
    let before = (inode(), everything(trees));
    app.run(&["build", "--all"]).succeed();
    app.run(&["build", "page"]).succeed();
    assert!(
        before == (inode(), everything(trees)),
        "nothing was made again"
    );
    let page = std::fs::canonicalize(out.join("page")).unwrap();
    std::fs::rename(&page, app.path("taken")).unwrap();
    app.run(&["build", "page"]).succeed();
    assert_eq!(app.read(".stagecraft/out/page/page.html"), "ONE\n");
    std::fs::remove_file(&out).unwrap();
    app.run(&["build", "page"]).succeed();
    assert_eq!(app.read(".stagecraft/out/page/page.html"), "ONE\n");
    assert!(
        !app.exists(".stagecraft/out/words"),
        "links are told by the link"
    );
}

/// spec: cli/workspace R4
#[test]
fn a_link_survives_gc() {
    let app = shop();
    app.edit(
        "stagecraft.yml",
        "services:",
        "store: { max_age: 1s, max_size: 1MiB }\nservices:",
    );
    app.run(&["build", "page"]).succeed();
    app.run(&["store", "gc"]).succeed();
    assert_eq!(app.read(".stagecraft/out/page/page.html"), "ONE\n");
    app.run(&["store", "verify"]).succeed();
}

/// spec: cli/workspace R5
#[test]
fn exports_are_copied_and_left_alone_when_equal() {
    let app = TestApp::with_config(
        "project: { name: e }\noperations:\n  gen: { script: 'echo x > gen/x; chmod +x gen/x', outputs: [gen/], export: true }\n",
    );
    app.run(&["build", "gen"]).succeed();
    assert_eq!(app.read("gen/x"), "x\n");
    let time = || {
        std::fs::metadata(app.path("gen/x"))
            .unwrap()
            .modified()
            .unwrap()
    };
    let before = time();
    app.run(&["build", "gen"]).succeed();
    assert_eq!(before, time());
    app.write("gen/x", "edited\n");
    app.run(&["build", "gen"]).succeed();
    assert_eq!(app.read("gen/x"), "x\n");
}

/// spec: cli/workspace R6
#[test]
fn losing_it_changes_no_result() {
    let app = shop();
    app.run(&["build", "page"]).succeed();
    app.remove(".stagecraft");
    let output = app.run(&["build", "page"]).succeed();
    assert_eq!(output.stdout, "2 operations: 2 hit\n");
    app.write(".stagecraft/reasons.json", "not json");
    app.write(".stagecraft/level", "many");
    app.run(&["why", "page"]).succeed();
    let output = app.run(&["build", "page"]).succeed();
    assert_eq!(output.stdout, "2 operations: 2 hit\n");
}

/// spec: cli/workspace R7
#[test]
fn the_state_file_may_be_elsewhere() {
    let mut app = shop();
    let file = app.path("../state/log.json").display().to_string();
    app.set("STAGECRAFT_STATE_FILE", &file);
    let id = deploy(&app);
    assert!(
        !app.exists(".stagecraft/releases.json") && app.read("../state/log.json").contains(&id)
    );
    assert!(
        app.run(&["releases", "list"])
            .succeed()
            .stdout
            .contains(&id)
    );
    assert!(app.run(&["status"]).succeed().stdout.contains(&id));
}
