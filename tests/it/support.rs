//! `TestApp`: a project, a store and a home in a temporary directory, and the real program run there with a cleared
//! environment. Never sleeps; knows no feature.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]
#![expect(
    clippy::disallowed_methods,
    reason = "effects: writes projects and starts the program"
)]

pub(crate) mod drafts;
pub(crate) mod started;

use std::collections::BTreeMap;
use std::fmt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use tempfile::TempDir;

/// A project and the program.
pub(crate) struct TestApp {
    directory: TempDir,
    store: PathBuf,
    variables: BTreeMap<String, String>,
}

/// What a run gave.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Output {
    /// The exit code; 128 + n for signal n.
    pub(crate) status: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl TestApp {
    /// Makes an empty project.
    pub(crate) fn new() -> Self {
        let directory = TempDir::new().unwrap();
        for name in ["project", "home"] {
            std::fs::create_dir(directory.path().join(name)).unwrap();
        }
        Self {
            store: directory.path().join("store"),
            directory,
            variables: BTreeMap::new(),
        }
    }

    /// Makes a project with this `stagecraft.yml`.
    pub(crate) fn with_config(text: &str) -> Self {
        let app = Self::new();
        app.write("stagecraft.yml", text);
        app
    }

    /// Makes a project that is a copy of a folder of this repository.
    pub(crate) fn copy_of(folder: &str) -> Self {
        let app = Self::new();
        let from = crate::source::repository().join(folder);
        for entry in walkdir::WalkDir::new(&from).sort_by_file_name() {
            let entry = entry.unwrap();
            let path = entry.path().strip_prefix(&from).unwrap();
            let made_there = ["deploy", "run", ".stagecraft"]
                .iter()
                .any(|name| path.starts_with(name));
            if entry.file_type().is_file() && !made_there {
                let to = app.path(path.to_str().unwrap());
                std::fs::create_dir_all(to.parent().unwrap()).unwrap();
                std::fs::copy(entry.path(), to).unwrap();
            }
        }
        app
    }

    /// Returns the project's root, or a path below it.
    pub(crate) fn path(&self, path: &str) -> PathBuf {
        self.directory.path().join("project").join(path)
    }

    /// Returns the store's directory.
    pub(crate) fn store(&self) -> PathBuf {
        self.store.clone()
    }

    /// Uses the store of another app from now on.
    pub(crate) fn share_store(&mut self, other: &Self) {
        self.store = other.store();
    }

    /// Writes a file and the directories above it.
    pub(crate) fn write(&self, path: &str, text: &str) {
        let to = self.path(path);
        std::fs::create_dir_all(to.parent().unwrap()).unwrap();
        std::fs::write(to, text).unwrap();
    }

    /// Writes a file that can be run.
    pub(crate) fn write_program(&self, path: &str, text: &str) {
        self.write(path, text);
        std::fs::set_permissions(self.path(path), std::fs::Permissions::from_mode(0o755)).unwrap();
    }

    /// Returns what a file says.
    pub(crate) fn read(&self, path: &str) -> String {
        let path = self.path(path);
        std::fs::read_to_string(&path)
            .unwrap_or_else(|error| panic!("cannot read {}: {error}", path.display()))
    }

    /// Replaces a text in a file, which must hold it.
    pub(crate) fn edit(&self, path: &str, from: &str, to: &str) {
        let before = self.read(path);
        assert!(before.contains(from), "{path} does not hold {from:?}");
        self.write(path, &before.replace(from, to));
    }

    /// Returns whether a path exists; a link counts, wherever it leads.
    pub(crate) fn exists(&self, path: &str) -> bool {
        std::fs::symlink_metadata(self.path(path)).is_ok()
    }

    /// Removes a file or a whole directory.
    pub(crate) fn remove(&self, path: &str) {
        let path = self.path(path);
        let kind = std::fs::symlink_metadata(&path).unwrap().file_type();
        if kind.is_dir() {
            std::fs::remove_dir_all(&path)
        } else {
            std::fs::remove_file(&path)
        }
        .unwrap();
    }

    /// Gives later runs a variable.
    pub(crate) fn set(&mut self, name: &str, value: &str) {
        self.variables.insert(name.to_owned(), value.to_owned());
    }

    /// Runs `stagecraft -C <project> --store <store> <arguments>`.
    #[must_use = "look at the status, or at what was said"]
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.finish(self.prepared(arguments))
    }

    /// Returns the command that [`TestApp::run`] would run, to be started in another way.
    pub(crate) fn prepared(&self, arguments: &[&str]) -> Command {
        let mut command = self.bare(&["-C"]);
        command
            .arg(self.path(""))
            .arg("--store")
            .arg(self.store())
            .args(arguments);
        command
    }

    /// Returns the command of `stagecraft <arguments>` alone, in the project's directory.
    pub(crate) fn bare(&self, arguments: &[&str]) -> Command {
        let mut command = self.command(Path::new(env!("CARGO_BIN_EXE_stagecraft")));
        command.args(arguments);
        command
    }

    /// Runs any program in the project, with the same environment.
    #[must_use = "look at the status, or at what was said"]
    pub(crate) fn program(&self, program: &str, arguments: &[&str]) -> Output {
        let mut command = self.command(Path::new(program));
        command.args(arguments);
        self.finish(command)
    }

    /// Returns the command of a program that starts another; its first word is the program.
    pub(crate) fn wrapper(&self, words: &[&str]) -> Command {
        let (program, arguments) = words.split_first().unwrap();
        let mut command = self.command(Path::new(program));
        command.args(arguments);
        command
    }

    fn command(&self, program: &Path) -> Command {
        let mut command = Command::new(program);
        command
            .env_clear()
            .env("HOME", self.directory.path().join("home"))
            .env(
                "PATH",
                std::env::var_os("PATH").unwrap_or_else(|| "/usr/bin:/bin".into()),
            )
            .envs(&self.variables)
            .current_dir(self.path(""))
            .stdin(Stdio::null());
        command
    }

    /// Runs a command to its end.
    #[must_use = "look at the status, or at what was said"]
    pub(crate) fn finish(&self, mut command: Command) -> Output {
        let output = command
            .output()
            .unwrap_or_else(|error| panic!("cannot start {command:?}: {error}"));
        let signal = std::os::unix::process::ExitStatusExt::signal(&output.status);
        Output {
            status: output
                .status
                .code()
                .unwrap_or_else(|| 128 + signal.unwrap_or(0)),
            stdout: self.redact(&String::from_utf8_lossy(&output.stdout)),
            stderr: self.redact(&String::from_utf8_lossy(&output.stderr)),
        }
    }

    /// Replaces the places of this app by words.
    fn redact(&self, text: &str) -> String {
        let place = |path: PathBuf| path.to_str().unwrap().trim_end_matches('/').to_owned();
        text.replace(&place(self.path("")), "[project]")
            .replace(&place(self.store()), "[store]")
            .replace(&place(self.directory.path().to_owned()), "[temp]")
    }
}

impl Output {
    /// Asserts the exit code, showing all that was said.
    #[track_caller]
    pub(crate) fn expect(self, status: i32) -> Self {
        assert_eq!(self.status, status, "{self}");
        self
    }

    /// Asserts exit code 0.
    #[track_caller]
    pub(crate) fn succeed(self) -> Self {
        self.expect(0)
    }

    /// Returns stdout as one JSON document.
    #[track_caller]
    pub(crate) fn json(&self) -> serde_json::Value {
        serde_json::from_str(&self.stdout)
            .unwrap_or_else(|error| panic!("stdout is not JSON: {error}\n{self}"))
    }
}

impl fmt::Display for Output {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "exit {}\n--- stdout\n{}\n--- stderr\n{}",
            self.status, self.stdout, self.stderr
        )
    }
}

/// What differs from run to run and is not a path, for `insta::with_settings!({filters => FILTERS.to_vec()}, …)`.
/// Digests stay: they are the point.
pub(crate) const FILTERS: &[(&str, &str)] = &[
    (r"rel-\d{8}-\d{6}(\d{3})?", "[release]"),
    (r"\b\d+(\.\d+)? ?(ms|s|min)\b", "[time]"),
];

mod tests {
    use super::*;

    #[test]
    fn a_project_is_written_edited_and_read() {
        let app = TestApp::with_config("project:\n  name: a\n");
        app.edit("stagecraft.yml", "name: a", "name: b");
        assert_eq!(app.read("stagecraft.yml"), "project:\n  name: b\n");
        app.write("deep/down/file", "text");
        assert!(app.exists("deep/down/file"));
        app.remove("deep");
        assert!(!app.exists("deep"));
    }

    #[test]
    fn programs_see_only_the_variables_given_and_no_place_of_the_machine() {
        let mut app = TestApp::new();
        app.set("GREETING", "hello");
        app.write_program(
            "say",
            "#!/bin/sh\necho $GREETING $PWD $HOME ${CARGO_MANIFEST_DIR-unset}\nexit 3\n",
        );
        let output = app.program("./say", &[]).expect(3);
        assert_eq!(output.stdout, "hello [project] [temp]/home unset\n");
    }

    #[test]
    fn the_program_runs_in_the_project_with_the_store() {
        let (mut app, other) = (TestApp::new(), TestApp::new());
        app.share_store(&other);
        assert_eq!(app.store(), other.store());
        assert_eq!(app.run(&["version"]).succeed().stderr, "");
    }

    #[test]
    fn a_copy_leaves_out_what_a_deploy_made() {
        let app = TestApp::copy_of("docs/examples/hello");
        assert!(app.exists("server/main.c") && !app.exists("deploy") && !app.exists("run"));
    }

    #[test]
    fn stdout_is_read_as_one_document() {
        let app = TestApp::new();
        let output = app.program("echo", &[r#"{"a": 1}"#]).succeed();
        assert_eq!(output.json()["a"], 1);
    }

    #[test]
    fn filters_leave_digests_and_take_times_and_releases() {
        insta::with_settings!({filters => FILTERS.to_vec()}, {
            insta::assert_snapshot!("rel-20240102-030405678 of b3:12ab took 12 ms, 1.5s", @"[release] of b3:12ab took [time], [time]");
        });
    }
}
