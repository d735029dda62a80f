//! The command line with the real program: one file per command. Here stands the project that they share.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]
#![expect(
    clippy::disallowed_methods,
    reason = "effects: looks at what the program left"
)]

mod build;
mod deploy;
mod exit_codes;
mod globals;
mod help;
mod init;
mod interrupt;
mod plan;
mod progress;
mod releases;
mod result;
mod rollback;
mod settle;
mod store;
mod transfer;
mod why;
mod workspace;

use std::collections::BTreeMap;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::support::TestApp;

/// Two operations in a chain, one service, one environment.
pub(crate) const SHOP: &str = r"project: { name: shop }
sandbox: { base: trusted }
operations:
  words:
    description: take the words
    script: cat src/words.txt > out/words
    inputs: [src/words.txt]
    outputs: [out/]
  page:
    script: tr a-z A-Z < in/out/words > page.html
    needs: { words: in }
    outputs: [page.html]
services:
  site: { artifact: page }
environments:
  local: { driver: directory, path: ./deploy }
";

/// Returns the shop with its sources.
pub(crate) fn shop() -> TestApp {
    let app = TestApp::with_config(SHOP);
    app.write("src/words.txt", "one\n");
    app
}

/// Deploys the shop and returns the id of the release.
pub(crate) fn deploy(app: &TestApp) -> String {
    let output = app.run(&["deploy", "--env", "local", "--format", "json"]);
    let document = output.succeed().json();
    document["release"].as_str().unwrap().to_owned()
}

/// Returns everything below a directory: path to mode, kind and bytes; links as what they say.
pub(crate) fn everything(root: &Path) -> BTreeMap<String, String> {
    let mut found = BTreeMap::new();
    for entry in walkdir::WalkDir::new(root).sort_by_file_name() {
        let Ok(entry) = entry else { continue };
        let path = entry.path();
        let metadata = std::fs::symlink_metadata(path).unwrap();
        let mode = metadata.permissions().mode();
        let text = if metadata.is_symlink() {
            format!("link {}", std::fs::read_link(path).unwrap().display())
        } else if metadata.is_file() {
            let bytes = std::fs::read(path).unwrap();
            format!("{mode:o} {}", String::from_utf8_lossy(&bytes))
        } else {
            format!("{mode:o}")
        };
        let name = path.strip_prefix(root).unwrap();
        found.insert(name.to_str().unwrap().to_owned(), text);
    }
    found
}

/// Returns `text` with release ids as `[release]`.
pub(crate) fn without_ids(text: &str) -> String {
    let mut out = String::new();
    let mut rest = text;
    while let Some(at) = rest.find("rel-2") {
        out.push_str(&rest[..at]);
        out.push_str("[release]");
        let id = rest[at..].find(|c: char| !(c.is_ascii_alphanumeric() || c == '-'));
        rest = id.map_or("", |end| &rest[at + end..]);
    }
    out + rest
}

/// Returns what was said without the level of the sandbox, which is the machine's.
pub(crate) fn without_level(text: &str) -> String {
    let lines = text
        .lines()
        .filter(|line| !line.starts_with("sandbox level") && !line.starts_with("  hint:"));
    lines.flat_map(|line| [line, "\n"]).collect()
}
