//! Laws that hold for every text: no panic, faults with places that exist, the same answer twice.

use std::collections::BTreeMap;
use std::fmt::Write;

use proptest::prelude::*;
use stagecraft::config::{self, Config, Diagnostics, Source};

fn judge(main: &str, included: &str) -> Result<Config, Diagnostics> {
    let main = config::read("stagecraft.yml", main);
    let included = config::read("lib/stagecraft.yml", included);
    let globs = main
        .requests()
        .directories
        .into_iter()
        .chain(included.requests().directories);
    let directories: BTreeMap<String, Vec<String>> = globs
        .map(|glob| {
            (
                glob,
                vec!["lib/a".to_owned(), "lib/b".to_owned(), "x".to_owned()],
            )
        })
        .collect();
    config::parse(&Source {
        main,
        included: vec![included],
        directories,
    })
}

fn check(main: &str, included: &str) {
    let outcome = judge(main, included);
    assert_eq!(outcome, judge(main, included));
    let Err(faults) = outcome else {
        return;
    };
    assert!(!faults.faults().is_empty());
    assert!(!faults.to_string().contains('\u{1b}'));
    for fault in faults.faults() {
        let text = if fault.at.file == "stagecraft.yml" {
            main
        } else {
            included
        };
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        assert!(
            fault.at.line >= 1 && fault.at.column >= 1 && fault.at.length >= 1,
            "{fault:?}"
        );
        assert!(fault.at.line <= text.lines().count().max(1), "{fault:?}");
    }
}

/// Known words, and YAML's signs between them.
const WORDS: &[&str] = &[
    "project",
    "name",
    "shop",
    "operations",
    "css",
    "script",
    "command",
    "inputs",
    "outputs",
    "needs",
    "for",
    "\"test-{pkg}\"",
    "pkg",
    "\"packages/*\"",
    "fetch",
    "url",
    "env",
    "environments",
    "driver",
    "directory",
    "path",
    "health",
    "services",
    "artifact",
    "5",
    "10m",
    "true",
    "~",
    "&a",
    "*a",
    "<<",
    "!!str",
    "'",
    "\"",
    "|",
    ">",
    "-",
    "? ",
    ": ",
    ":\n  ",
    ":\n    ",
    "\n",
    "\n  ",
    "\n    ",
    "\n    - ",
    "[",
    "]",
    "{",
    "}",
    ", ",
    "#",
    "\t",
    "\r",
    "\u{0}",
    "\u{1b}",
    "é",
    "\u{feff}",
    "---\n",
    "...\n",
    "%",
    "@",
    "`",
    "\\",
    " ",
];

/// Text that is nearly a `stagecraft.yml`: words in any order.
fn nearly() -> impl Strategy<Value = String> {
    let word = prop::sample::select(WORDS);
    prop::collection::vec(word, 0..60).prop_map(|words| words.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    /// spec: config/diagnostics R5
    #[test]
    fn any_text_gets_an_answer(main in any::<String>(), included in any::<String>()) {
        check(&main, &included);
    }

    /// spec: config/diagnostics R5
    #[test]
    fn nearly_right_text_gets_an_answer(main in nearly(), included in nearly()) {
        check(&main, &included);
        check(&format!("project: {{ name: shop }}\n{main}"), &included);
    }

    /// spec: config/diagnostics R5, config/yaml R10
    #[test]
    fn any_bytes_get_an_answer(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        let document = config::read_bytes("stagecraft.yml", &bytes);
        let source = Source { main: document, included: Vec::new(), directories: BTreeMap::new() };
        prop_assert!(config::parse(&source).is_err());
    }
}

/// spec: config/diagnostics R5
#[test]
fn a_file_cut_or_changed_anywhere_gets_an_answer() {
    // Damaged at some places, so that the whole takes a second.
    let good = include_str!("../../golden/config/ok-product/stagecraft.yml");
    let ends: Vec<usize> = good.char_indices().map(|(index, _)| index).collect();
    for (step, end) in ends.iter().enumerate().step_by(11) {
        check(&good[..*end], "");
        let sign = [":", "\n", "[", "&a ", "*a ", "- ", "\""][step % 7];
        check(&format!("{}{sign}{}", &good[..*end], &good[*end..]), "");
    }
}

/// spec: config/operations R1
#[test]
fn ten_thousand_operations_are_read() {
    let mut text = "project: { name: shop }\noperations:\n".to_owned();
    for index in 0..10_000 {
        let below = if index > 0 {
            format!(", needs: [op{}]", index - 1)
        } else {
            String::new()
        };
        writeln!(text, "  op{index}: {{ command: [make, \"{index}\"], inputs: [\"src/{index}/**\"], outputs: [o/]{below} }}")
            .unwrap();
    }
    assert_eq!(judge(&text, "").unwrap().operations.len(), 10_000);
}
