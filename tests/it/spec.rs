//! Specs and tests hold each other: every feature that is done names tests that exist, every rule of a spec page is
//! cited by a test, every page belongs to a feature. Looks at names and citations, never at what a test asserts.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

use std::collections::{BTreeMap, BTreeSet};

use serde::Deserialize;

use crate::source::{Source, files, read, sources};

const PAGE_LINES: usize = 150;

#[derive(Deserialize, Clone, Copy, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum State {
    Done,
    Planned,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Feature {
    id: String,
    status: State,
    /// A page below `spec/`, as `area/feature.md`.
    spec: String,
    #[serde(default)]
    tests: Vec<String>,
}

/// A `#[test]` function.
struct Test {
    /// As cargo names it, after the crate: `stagecraft::name::tests::f`, `it::config::f`, `stagecraft_store::format::f`.
    name: String,
    /// What its doc comment cites: `store/format R3`.
    cites: Vec<String>,
    /// `path:line`.
    place: String,
}

/// All that the rules look at.
struct Book {
    features: Vec<Feature>,
    /// `store/format` -> text.
    pages: BTreeMap<String, String>,
    tests: Vec<Test>,
}

impl Book {
    fn of_this_repository() -> Self {
        let pages = files("spec", "md")
            .into_iter()
            .map(|path| {
                (
                    page_name(path.trim_start_matches("spec/")).to_owned(),
                    read(&path),
                )
            })
            .collect();
        Self {
            features: serde_yaml::from_str(&read("spec/features.yaml"))
                .expect("spec/features.yaml is a list of features"),
            pages,
            tests: sources(&["src", "store/src", "store/tests", "tests/it"])
                .iter()
                .flat_map(tests_of)
                .collect(),
        }
    }

    /// Every rule of a page by its citation, with the page.
    fn rules(&self) -> BTreeMap<String, &str> {
        self.pages
            .iter()
            .flat_map(|(page, text)| {
                rules_of(text)
                    .into_iter()
                    .map(move |rule| (format!("{page} {rule}"), page.as_str()))
            })
            .collect()
    }

    fn is_done(&self, page: &str) -> bool {
        self.features
            .iter()
            .any(|feature| page_name(&feature.spec) == page && feature.status == State::Done)
    }
}

fn page_name(path: &str) -> &str {
    path.trim_start_matches("spec/").trim_end_matches(".md")
}

/// The rules a page defines: lines that begin with `R<n>` behind list, heading, table and emphasis signs.
fn rules_of(page: &str) -> Vec<String> {
    page.lines()
        .filter_map(|line| {
            let line = line.trim_start_matches(|sign: char| " \t-*#|>`".contains(sign));
            let digits: String = line
                .strip_prefix('R')?
                .chars()
                .take_while(char::is_ascii_digit)
                .collect();
            let after = line[1 + digits.len()..].chars().next();
            let ends =
                after.is_none_or(|sign| !sign.is_alphanumeric() && sign != '-' && sign != '_');
            (!digits.is_empty() && ends).then(|| format!("R{digits}"))
        })
        .collect()
}

/// The name of a file's tests without modules inside it.
fn crate_path(source: &Source) -> Vec<String> {
    let (name, folder) = ["store/src", "store/tests", "tests/it", "src"]
        .into_iter()
        .find(|folder| source.path.starts_with(&format!("{folder}/")))
        .map_or(("", ""), |folder| match folder {
            "src" => ("stagecraft", folder),
            "tests/it" => ("it", folder),
            _ => ("stagecraft_store", folder),
        });
    let mut path = vec![name.to_owned()];
    path.extend(source.modules(folder));
    path
}

/// Every test of a file. A module or test that a macro names (`mod $disk`) counts as any name.
fn tests_of(source: &Source) -> Vec<Test> {
    let tokens = source.tokens();
    let text = |at: usize| tokens.get(at).map_or("", |token| token.text);
    let lines: Vec<&str> = source.text.lines().collect();
    let (mut open, mut found): (Vec<Option<String>>, Vec<Test>) = (Vec::new(), Vec::new());
    let mut attribute: Option<usize> = None;
    for (at, token) in tokens.iter().enumerate() {
        match token.text {
            "{" if text(at.wrapping_sub(2)) == "mod" => open.push(Some(text(at - 1).to_owned())),
            "{" if text(at.wrapping_sub(3)) == "mod" => open.push(Some("$".to_owned())),
            "{" => open.push(None),
            "}" => drop(open.pop()),
            "#" if text(at + 1) == "[" && text(at + 2) == "test" && text(at + 3) == "]" => {
                attribute = Some(token.line);
            }
            "fn" if attribute.is_some() => {
                let above = attribute.take().map_or(0, |line| line - 1);
                let mut path = crate_path(source);
                path.extend(open.iter().flatten().cloned());
                path.push(if text(at + 1) == "$" {
                    "$".to_owned()
                } else {
                    text(at + 1).to_owned()
                });
                found.push(Test {
                    name: path.join("::"),
                    cites: citations(&lines[..above]),
                    place: format!("{}:{}", source.path, token.line),
                });
            }
            _ => {}
        }
    }
    found
}

/// What the doc comment at the end of `lines` cites; other attributes may stand below it.
fn citations(lines: &[&str]) -> Vec<String> {
    let mut found: Vec<String> = lines
        .iter()
        .rev()
        .map(|line| line.trim())
        .take_while(|line| line.starts_with("///") || line.starts_with("#["))
        .filter_map(|line| line.strip_prefix("/// spec: "))
        .flat_map(|list| list.split(", "))
        .map(|citation| citation.trim().to_owned())
        .collect();
    found.reverse();
    found
}

fn is_named(test: &Test, wanted: &str) -> bool {
    let (have, want): (Vec<&str>, Vec<&str>) = (
        test.name.split("::").collect(),
        wanted.split("::").collect(),
    );
    have.len() == want.len()
        && have
            .iter()
            .zip(&want)
            .all(|(have, want)| have == want || *have == "$")
}

fn features_without_tests(book: &Book) -> Vec<String> {
    let mut found = Vec::new();
    for feature in book
        .features
        .iter()
        .filter(|feature| feature.status == State::Done)
    {
        if feature.tests.is_empty() {
            found.push(format!("`{}` is done and names no test", feature.id));
        }
        for wanted in &feature.tests {
            if !book.tests.iter().any(|test| is_named(test, wanted)) {
                found.push(format!(
                    "`{}` names the test `{wanted}`, which does not exist",
                    feature.id
                ));
            }
        }
    }
    found
}

fn features_out_of_order(book: &Book) -> Vec<String> {
    let mut seen = BTreeSet::new();
    let mut found: Vec<String> = book
        .features
        .iter()
        .filter(|feature| !seen.insert(&feature.id))
        .map(|feature| format!("`{}` is there twice", feature.id))
        .collect();
    for feature in &book.features {
        if feature.status == State::Done && !book.pages.contains_key(page_name(&feature.spec)) {
            found.push(format!(
                "`{}` is done and its page spec/{}.md does not exist",
                feature.id,
                page_name(&feature.spec)
            ));
        }
    }
    found
}

fn orphan_pages(book: &Book) -> Vec<String> {
    book.pages
        .keys()
        .filter(|page| {
            !book
                .features
                .iter()
                .any(|feature| page_name(&feature.spec) == **page)
        })
        .map(|page| format!("spec/{page}.md belongs to no feature of spec/features.yaml"))
        .collect()
}

fn misshapen_pages(book: &Book) -> Vec<String> {
    let mut found = Vec::new();
    for (page, text) in &book.pages {
        let (rules, lines) = (rules_of(text), text.lines().count());
        if lines > PAGE_LINES {
            found.push(format!(
                "spec/{page}.md has {lines} lines; {PAGE_LINES} is the most"
            ));
        }
        if rules.is_empty() {
            found.push(format!(
                "spec/{page}.md has no rule (a line that begins with `R1`)"
            ));
        }
        let mut seen = BTreeSet::new();
        found.extend(
            rules
                .iter()
                .filter(|rule| !seen.insert(*rule))
                .map(|rule| format!("spec/{page}.md has {rule} twice")),
        );
    }
    found
}

fn uncited_rules(book: &Book) -> Vec<String> {
    let cited: BTreeSet<&str> = book
        .tests
        .iter()
        .flat_map(|test| &test.cites)
        .map(String::as_str)
        .collect();
    book.rules()
        .into_iter()
        .filter(|(rule, page)| book.is_done(page) && !cited.contains(rule.as_str()))
        .map(|(rule, _)| format!("{rule} is cited by no test; put `/// spec: {rule}` above the one that would catch its breach"))
        .collect()
}

fn citations_of_nothing(book: &Book) -> Vec<String> {
    let rules = book.rules();
    book.tests
        .iter()
        .flat_map(|test| test.cites.iter().map(move |rule| (test, rule)))
        .filter(|(_, rule)| !rules.contains_key(*rule))
        .map(|(test, rule)| format!("{}: `{rule}` is no rule of a page below spec/", test.place))
        .collect()
}

fn report(rule: &str, findings: &[String]) {
    assert!(
        findings.is_empty(),
        "{rule}:\n  {}\n",
        findings.join("\n  ")
    );
}

/// spec: house/features R1, house/features R2
#[test]
fn every_done_feature_names_tests_that_exist() {
    let book = Book::of_this_repository();
    report(
        "a feature is done when tests say so",
        &features_without_tests(&book),
    );
    report(
        "a feature has one entry and a page",
        &features_out_of_order(&book),
    );
}

/// spec: house/features R3, house/features R4
#[test]
fn every_page_belongs_to_a_feature() {
    let book = Book::of_this_repository();
    report(
        "a spec page without a feature is forgotten",
        &orphan_pages(&book),
    );
    report(
        "a spec page is short and has rules",
        &misshapen_pages(&book),
    );
}

/// spec: house/features R5, house/features R6
#[test]
fn every_rule_is_cited_by_a_test() {
    let book = Book::of_this_repository();
    report("a rule without a test is a wish", &uncited_rules(&book));
    report("a citation names a rule", &citations_of_nothing(&book));
}

mod broken {
    use super::*;

    const TESTS: &str = "#[cfg(test)]\nmod tests {\n    /// Why.\n    /// spec: a/b R1, a/b R2\n    #[test]\n    fn works() {}\n    fn builder() {}\n}\n";

    fn book(features: &str, page: &str) -> Book {
        Book {
            features: serde_yaml::from_str(features).unwrap(),
            pages: BTreeMap::from([("a/b".to_owned(), page.to_owned())]),
            tests: tests_of(&Source::new("src/plan/hash.rs", TESTS)),
        }
    }

    fn done(tests: &str) -> String {
        format!("[{{id: one, status: done, spec: a/b.md, tests: [{tests}]}}]")
    }

    const WORKS: &str = "stagecraft::plan::hash::tests::works";

    /// spec: house/features R1
    #[test]
    fn a_test_that_does_not_exist_is_found() {
        let missing = |tests: &str| features_without_tests(&book(&done(tests), "R1"));
        assert!(missing(WORKS).is_empty());
        assert_eq!(missing(""), ["`one` is done and names no test"]);
        assert_eq!(
            missing("it::plan::works"),
            ["`one` names the test `it::plan::works`, which does not exist"]
        );
        assert_eq!(missing("stagecraft::plan::hash::tests::builder").len(), 1);
        assert!(
            features_without_tests(&book("[{id: one, status: planned, spec: a/b.md}]", "R1"))
                .is_empty()
        );
    }

    /// spec: house/features R2
    #[test]
    fn a_feature_twice_or_without_its_page_is_found() {
        let twice =
            "[{id: one, status: planned, spec: a/b.md}, {id: one, status: planned, spec: a/b.md}]";
        assert_eq!(
            features_out_of_order(&book(twice, "")),
            ["`one` is there twice"]
        );
        let lost = "[{id: one, status: done, spec: a/c.md}]";
        assert_eq!(
            features_out_of_order(&book(lost, "")),
            ["`one` is done and its page spec/a/c.md does not exist"]
        );
    }

    /// spec: house/features R3
    #[test]
    fn an_orphan_page_is_found() {
        assert_eq!(
            orphan_pages(&book("[]", "R1")),
            ["spec/a/b.md belongs to no feature of spec/features.yaml"]
        );
        assert!(orphan_pages(&book(&done(WORKS), "R1")).is_empty());
    }

    /// spec: house/features R4
    #[test]
    fn a_page_without_rules_or_too_long_is_found() {
        let wrong = |page: &str| misshapen_pages(&book("[]", page));
        assert!(wrong("- R1. a\n- R2. b").is_empty());
        assert_eq!(wrong("purpose").len(), 1);
        assert_eq!(wrong("R1\n**R1** again"), ["spec/a/b.md has R1 twice"]);
        assert_eq!(
            wrong(&format!("R1{}", "\n".repeat(PAGE_LINES + 1))).len(),
            1
        );
    }

    /// spec: house/features R4
    #[test]
    fn rules_are_lines_that_begin_with_their_number() {
        let page =
            "# R9-ish\n- R1. one\n  see R7\n| R2 | two |\n### R3: three\n**R10** ten\nRust\nR11x\n";
        assert_eq!(rules_of(page), ["R1", "R2", "R3", "R10"]);
    }

    /// spec: house/features R5
    #[test]
    fn a_rule_that_nothing_cites_is_found() {
        let uncited = |page: &str| uncited_rules(&book(&done(WORKS), page));
        assert!(uncited("- R1. a\n- R2. b").is_empty());
        assert_eq!(
            uncited("- R1. a\n- R3. c"),
            [
                "a/b R3 is cited by no test; put `/// spec: a/b R3` above the one that would catch its breach"
            ]
        );
        assert!(
            uncited_rules(&book("[{id: one, status: planned, spec: a/b.md}]", "R9")).is_empty()
        );
    }

    /// spec: house/features R6
    #[test]
    fn a_citation_of_no_rule_is_found() {
        let found = citations_of_nothing(&book(&done(WORKS), "R1"));
        assert_eq!(
            found,
            ["src/plan/hash.rs:6: `a/b R2` is no rule of a page below spec/"]
        );
    }

    /// spec: house/features R1
    #[test]
    fn tests_are_named_as_cargo_names_them() {
        let name = |path: &str, text: &str| tests_of(&Source::new(path, text)).remove(0).name;
        assert_eq!(
            name(
                "tests/it/config.rs",
                "mod a { #[test] #[ignore] fn f() {} }"
            ),
            "it::config::a::f"
        );
        assert_eq!(
            name("store/tests/format.rs", "#[test] fn f() {}"),
            "stagecraft_store::format::f"
        );
        assert_eq!(
            name("store/src/lib.rs", "#[test] fn f() {}"),
            "stagecraft_store::f"
        );
        let made = tests_of(&Source::new(
            "store/tests/suite.rs",
            "macro_rules! s { ($d:ident) => { mod $d { #[test] fn f() {} } } }",
        ));
        assert!(is_named(&made[0], "stagecraft_store::suite::host::f"));
        assert!(!is_named(&made[0], "stagecraft_store::suite::host::g"));
    }
}
