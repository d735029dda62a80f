//! `inputs` from outside: what globs match, what makes a digest differ, what is refused, what is remembered.
//! This file builds projects; the tests are below.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]
#![expect(
    clippy::disallowed_methods,
    reason = "effects: writes projects in temporary directories"
)]

mod globs;
mod snapshot;
mod sources;
mod tools;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::{FileTypeExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::time::Duration;

use stagecraft::config::{
    CommandLine, Config, DirectoryDriver, Driver, EnvironmentConfig, InputPattern, Location,
    OperationConfig, PassEnv, Resources, SandboxConfig, Spanned, StoreConfig,
};
use stagecraft::inputs::{InputError, Inputs, Match, Request, Snapshot, expand, gather};
use stagecraft_store::{Digest, Node};
use tempfile::TempDir;

/// A project in a temporary directory, and what its configuration would say.
struct Project {
    directory: TempDir,
    config: Config,
    caller: BTreeMap<String, String>,
    path: OsString,
}

fn at(line: usize, column: usize) -> Location {
    Location {
        file: "stagecraft.yml".to_owned(),
        line,
        column,
        length: 1,
    }
}

fn operation(line: usize) -> OperationConfig {
    OperationConfig {
        at: at(line, 1),
        description: None,
        command: CommandLine::Script("true".to_owned()),
        workdir: "".parse().unwrap(),
        inputs: Vec::new(),
        outputs: Vec::new(),
        needs: Vec::new(),
        tools: Vec::new(),
        env: BTreeMap::new(),
        pass_env: Vec::new(),
        timeout: Duration::from_secs(1),
        retries: 0,
        cache: true,
        network: false,
        resources: Resources {
            cpu: 1,
            memory: None,
        },
        export: false,
        reserved: BTreeMap::new(),
    }
}

impl Project {
    fn new(files: &[&str]) -> Self {
        let config = Config {
            project: "demo".parse().unwrap(),
            registry: None,
            operations: BTreeMap::new(),
            services: BTreeMap::new(),
            environments: BTreeMap::new(),
            sandbox: SandboxConfig::default(),
            store: StoreConfig::default(),
            reserved: BTreeMap::new(),
        };
        let project = Self {
            directory: TempDir::new().unwrap(),
            config,
            caller: BTreeMap::new(),
            path: OsString::new(),
        };
        for file in files {
            project.write(file, file);
        }
        project
    }

    fn root(&self) -> &Path {
        self.directory.path()
    }

    fn place(&self, path: &str) -> PathBuf {
        self.root().join(path)
    }

    fn write(&self, path: &str, text: &str) {
        let place = self.place(path);
        fs::create_dir_all(place.parent().unwrap()).unwrap();
        fs::write(place, text).unwrap();
    }

    /// Adds an operation on its own line; a `!` excludes.
    fn operation(mut self, name: &str, globs: &[&str]) -> Self {
        let line = self.config.operations.len() + 1;
        let mut operation = operation(line);
        operation.inputs = globs
            .iter()
            .enumerate()
            .map(|(index, glob)| pattern(glob, line, index + 1))
            .collect();
        self.config
            .operations
            .insert(name.parse().unwrap(), operation);
        self
    }

    fn tools(mut self, name: &str, tools: &[&str]) -> Self {
        let operation = self
            .config
            .operations
            .get_mut(&name.parse().unwrap())
            .unwrap();
        let line = operation.at.line;
        operation.tools = tools
            .iter()
            .enumerate()
            .map(|(index, tool)| Spanned {
                value: (*tool).to_owned(),
                at: at(line, 100 + index),
            })
            .collect();
        self
    }

    fn gather_with(&self, snapshot: &mut Snapshot) -> Result<Inputs, InputError> {
        let operations = self.config.operations.keys().cloned().collect();
        self.gather_some(&operations, snapshot)
    }

    fn gather_some(
        &self,
        operations: &BTreeSet<stagecraft::name::OperationName>,
        snapshot: &mut Snapshot,
    ) -> Result<Inputs, InputError> {
        let request = Request {
            config: &self.config,
            project: self.root(),
            operations,
            caller: &self.caller,
            path: Some(&self.path),
        };
        gather(&request, snapshot)
    }

    fn gather(&self) -> Inputs {
        self.gather_with(&mut Snapshot::none()).unwrap()
    }

    /// Returns what `name` matches, as text.
    fn matched(&self, name: &str) -> Vec<String> {
        let inputs = self.gather();
        inputs.sources[&name.parse().unwrap()]
            .iter()
            .map(|(path, _)| path.to_string())
            .collect()
    }

    fn refused(&self) -> String {
        match self.gather_with(&mut Snapshot::none()) {
            Err(error @ InputError::Faults(_)) => error.to_string(),
            other => panic!("{other:?}"),
        }
    }

    fn node(&self, path: &str) -> Node {
        node(&self.gather(), path)
    }
}

fn pattern(glob: &str, line: usize, column: usize) -> Spanned<InputPattern> {
    let excludes = glob.starts_with('!');
    let glob = glob
        .trim_start_matches('!')
        .trim_end_matches('/')
        .to_owned();
    Spanned {
        value: InputPattern { glob, excludes },
        at: at(line, column),
    }
}

fn node(inputs: &Inputs, path: &str) -> Node {
    let all = inputs.sources.values().flat_map(|sources| sources.iter());
    all.filter(|(found, _)| found.as_str() == path)
        .map(|(_, node)| node.clone())
        .next()
        .unwrap()
}

fn digest(inputs: &Inputs, path: &str) -> Digest {
    match node(inputs, path) {
        Node::File { object, .. } => object.digest,
        other => panic!("{other:?}"),
    }
}

/// Gives the file at `place` the time `at` as both of its times.
fn set_time(place: &Path, time: std::time::SystemTime) {
    fs::File::options()
        .write(true)
        .open(place)
        .unwrap()
        .set_modified(time)
        .unwrap();
}
