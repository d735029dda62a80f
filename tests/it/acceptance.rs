//! From source to a running release and back, with the real program, under the conditions that break such promises:
//! other clones, other users, other masks, lost sources, and death at any moment.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]
#![expect(
    clippy::disallowed_methods,
    reason = "effects: copies projects, starts programs, reads what was deployed"
)]

mod kill;
mod repeat;
mod sandbox;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use serde_json::Value;

use crate::support::TestApp;

/// A project with a chain, a fan and two services, small enough to be deployed often.
pub(crate) const TOWN: &str = r#"project: { name: town }
operations:
  streets: { script: 'sort src/streets.txt > streets', inputs: [src/streets.txt], outputs: [streets] }
  houses: { script: 'sort src/houses.txt > houses', inputs: [src/houses.txt], outputs: [houses] }
  map:
    script: |
      cat s/streets h/houses > map/all.txt
      for i in 1 2 3 4 5 6 7 8; do cp map/all.txt "map/sheet-$i.txt"; done
    needs: { streets: s, houses: h }
    outputs: [map/]
  index: { script: 'ls m/map > index.txt', needs: { map: m }, outputs: [index.txt] }
services:
  map: { artifact: map }
  index: { artifact: index }
environments:
  local: { driver: directory, path: ./deploy, activate: [./activate.sh], health: { exec: [./healthy.sh] } }
"#;

/// Returns the town with its sources.
pub(crate) fn town() -> TestApp {
    let app = TestApp::with_config(TOWN);
    app.write("src/streets.txt", "Mill Lane\nHigh Street\n");
    app.write("src/houses.txt", "12\n7\n");
    app.write_program(
        "activate.sh",
        "#!/bin/sh\ntest -e deploy/current/map/map/sheet-8.txt\n",
    );
    app.write_program(
        "healthy.sh",
        "#!/bin/sh\ntest -e deploy/current/index/index.txt\n",
    );
    app
}

pub(crate) fn deploy(app: &TestApp) -> Value {
    app.run(&["deploy", "--env", "local", "--format", "json"])
        .succeed()
        .json()
}

pub(crate) fn with_status(document: &Value, status: &str) -> BTreeSet<String> {
    let operations = document["operations"].as_array().unwrap();
    operations
        .iter()
        .filter(|operation| operation["status"] == status)
        .map(|operation| operation["id"].as_str().unwrap().to_owned())
        .collect()
}

/// Returns every file below what a link leads to, with its bytes and whether it can be run.
pub(crate) fn bytes_below(link: &Path) -> BTreeMap<String, (Vec<u8>, bool)> {
    use std::os::unix::fs::PermissionsExt;
    let root = std::fs::canonicalize(link).unwrap();
    let mut found = BTreeMap::new();
    for entry in walkdir::WalkDir::new(&root).follow_links(true) {
        let entry = entry.unwrap();
        if entry.file_type().is_file() {
            let name = entry.path().strip_prefix(&root).unwrap();
            let executable = entry.metadata().unwrap().permissions().mode() & 0o100 != 0;
            let bytes = std::fs::read(entry.path()).unwrap();
            found.insert(name.to_str().unwrap().to_owned(), (bytes, executable));
        }
    }
    found
}
