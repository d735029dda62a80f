//! Golden cases of `stagecraft.yml`: what is wrong with a file, or what a good one says.
//! `UPDATE_GOLDEN=1` writes what is found instead of comparing it.
#![expect(clippy::disallowed_methods, reason = "effects: reads the golden cases")]
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]

mod laws;
mod schema;
mod summary;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use globset::{GlobBuilder, GlobMatcher};
use stagecraft::config::{self, Config, Diagnostics, Source};

fn golden() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/golden/config")
}

/// Returns the cases whose name starts with `prefix`, sorted.
fn cases(prefix: &str) -> Vec<PathBuf> {
    let mut cases: Vec<PathBuf> = std::fs::read_dir(golden())
        .unwrap()
        .map(|entry| entry.unwrap().path())
        .filter(|path| {
            path.is_dir()
                && path
                    .file_name()
                    .unwrap()
                    .to_str()
                    .unwrap()
                    .starts_with(prefix)
        })
        .collect();
    cases.sort();
    cases
}

fn matcher(glob: &str) -> GlobMatcher {
    GlobBuilder::new(glob)
        .literal_separator(true)
        .build()
        .unwrap()
        .compile_matcher()
}

/// Returns files or directories below `root` that match, sorted.
fn matches(root: &Path, glob: &str, directories: bool) -> Vec<String> {
    let matcher = matcher(glob);
    let mut found: Vec<String> = walkdir::WalkDir::new(root)
        .min_depth(1)
        .into_iter()
        .map(Result::unwrap)
        .filter(|entry| entry.file_type().is_dir() == directories)
        .map(|entry| {
            entry
                .path()
                .strip_prefix(root)
                .unwrap()
                .to_str()
                .unwrap()
                .to_owned()
        })
        .filter(|path| matcher.is_match(path))
        .collect();
    found.sort();
    found
}

/// Reads a case as a caller of `config` does: look up what the files ask for, then judge.
fn load(case: &Path) -> Result<Config, Diagnostics> {
    let read = |file: &str| config::read_bytes(file, &std::fs::read(case.join(file)).unwrap());
    let main = read("stagecraft.yml");
    let requests = main.requests();
    let mut files: Vec<String> = requests
        .include
        .iter()
        .flat_map(|glob| matches(case, &glob.value, false))
        .collect();
    files.retain(|file| file != "stagecraft.yml");
    files.sort();
    files.dedup();
    let included: Vec<_> = files.iter().map(|file| read(file)).collect();
    let globs = requests.directories.into_iter();
    let globs = globs.chain(
        included
            .iter()
            .flat_map(|document| document.requests().directories),
    );
    let directories: BTreeMap<String, Vec<String>> = globs
        .map(|glob| (glob.clone(), matches(case, &glob, true)))
        .collect();
    config::parse(&Source {
        main,
        included,
        directories,
    })
}

/// Compares what was found with `expected.txt` of each case; names every case that differs.
fn compare(prefix: &str, print: impl Fn(Result<Config, Diagnostics>) -> Result<String, String>) {
    let update = std::env::var_os("UPDATE_GOLDEN").is_some();
    let mut wrong = Vec::new();
    let cases = cases(prefix);
    for case in &cases {
        let name = case.file_name().unwrap().to_str().unwrap();
        let found = match print(load(case)) {
            Ok(text) => text,
            Err(text) => {
                wrong.push(format!("{name}: {text}"));
                continue;
            }
        };
        let path = case.join("expected.txt");
        if update {
            std::fs::write(&path, &found).unwrap();
        } else if std::fs::read_to_string(&path).unwrap_or_default() != found {
            wrong.push(format!("{name}: found\n{found}"));
        }
    }
    assert!(!cases.is_empty(), "no case {prefix}*");
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

fn faults(outcome: Result<Config, Diagnostics>) -> Result<String, String> {
    match outcome {
        Ok(_) => Err("no fault found".to_owned()),
        Err(faults) => Ok(format!("{faults}\n")),
    }
}

/// The groups of `err-` cases: each has its test.
const GROUPS: [&str; 11] = [
    "yaml",
    "shape",
    "machine",
    "project",
    "operation",
    "needs",
    "for",
    "service",
    "image",
    "environment",
    "original",
];

/// spec: config/diagnostics R1
#[test]
fn every_case_belongs_to_a_group() {
    let groups = GROUPS.map(|group| cases(&format!("err-{group}-")).len());
    assert_eq!(groups.iter().sum::<usize>(), cases("err-").len());
    assert!(cases("err-").len() >= 40);
}

/// spec: config/yaml R1, config/yaml R2, config/yaml R4, config/yaml R5, config/yaml R6, config/yaml R7, config/yaml R8, config/yaml R9, config/yaml R10
#[test]
fn a_text_that_is_not_one_plain_document_is_refused() {
    compare("err-yaml-", faults);
}

/// spec: config/shapes R1, config/shapes R2, config/shapes R3, config/shapes R4, config/shapes R5, config/shapes R8, config/diagnostics R1
#[test]
fn unknown_keys_wrong_sorts_and_bad_values_are_refused() {
    compare("err-shape-", faults);
}

/// spec: config/machine R2
#[test]
fn machine_settings_that_contradict_are_refused() {
    compare("err-machine-", faults);
}

/// spec: config/project R2, config/project R3, config/project R4, config/project R5, config/project R6
#[test]
fn project_and_included_files_keep_their_rules() {
    compare("err-project-", faults);
}

/// spec: config/operations R2, config/operations R3, config/operations R4, config/operations R5, config/operations R6, config/operations R7, config/operations R8, config/operations R9, config/operations R10, config/operations R11, config/operations R12, config/operations R13, config/operations R14, config/operations R15, config/operations R16, config/operations R17
#[test]
fn operations_keep_their_rules() {
    compare("err-operation-", faults);
}

/// spec: config/needs R2, config/needs R3, config/needs R4, config/needs R5, config/needs R1
#[test]
fn needs_name_other_operations_at_separate_places() {
    compare("err-needs-", faults);
}

/// spec: config/unfold R3, config/unfold R5, config/unfold R6, config/unfold R7, config/unfold R8
#[test]
fn for_unfolds_into_well_formed_operations_or_says_why_not() {
    compare("err-for-", faults);
}

/// spec: config/services R2, config/services R3, config/services R4, config/services R5
#[test]
fn services_name_what_exists() {
    compare("err-service-", faults);
}

/// spec: config/images R1, config/images R2, config/images R3, config/images R4
#[test]
fn images_keep_their_rules() {
    compare("err-image-", faults);
}

/// spec: config/environments R1, config/environments R2, config/environments R3, config/environments R4, config/environments R5, config/environments R6, config/environments R7, config/environments R8, config/environments R9
#[test]
fn environments_keep_their_rules() {
    compare("err-environment-", faults);
}

/// spec: config/original R1, config/original R2, config/original R3, config/original R4, config/original R5, config/original R6, config/original R7, config/original R8, config/original R9, config/original R10
#[test]
fn the_original_sections_keep_their_rules_and_words() {
    compare("err-original-", faults);
}

/// spec: config/project R1, config/project R7, config/yaml R3, config/shapes R7, config/operations R18, config/needs R1, config/needs R6, config/unfold R1, config/unfold R2, config/services R1, config/environments R10, config/machine R1, config/original R11
#[test]
fn a_good_file_says_what_is_written_down() {
    let print = |outcome: Result<Config, Diagnostics>| match outcome {
        Ok(config) => Ok(summary::summary(&config)),
        Err(faults) => Err(format!("unexpected faults\n{faults}")),
    };
    compare("ok-", print);
    assert!(cases("ok-").len() >= 6);
}
