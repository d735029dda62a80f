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
fn compare(
    prefix: &str,
    print: impl Fn(Result<Config, Diagnostics>) -> Result<String, String>,
) -> usize {
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
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    cases.len()
}

/// spec: config/diagnostics R1
#[test]
fn every_fault_of_a_file_is_reported_as_written_down() {
    let print = |outcome: Result<Config, Diagnostics>| match outcome {
        Ok(_) => Err("no fault found".to_owned()),
        Err(faults) => Ok(format!("{faults}\n")),
    };
    assert!(compare("err-", print) >= 40);
}

/// spec: config/project R1
#[test]
fn a_good_file_says_what_is_written_down() {
    let print = |outcome: Result<Config, Diagnostics>| match outcome {
        Ok(config) => Ok(summary::summary(&config)),
        Err(faults) => Err(format!("unexpected faults\n{faults}")),
    };
    assert!(compare("ok-", print) >= 6);
}
