//! `inputs` from outside: what globs match, what makes a digest differ, what is refused, what is remembered.
#![expect(
    clippy::disallowed_methods,
    reason = "effects: writes projects in temporary directories"
)]

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

const TREE: [&str; 9] = [
    ".env",
    "a.css",
    "a.css.map",
    "lib.txt",
    "lib/.hidden/x.css",
    "lib/b.css",
    "lib/deep/er/c.css",
    "lib/draft/d.draft.css",
    "z/lib/e.css",
];

/// spec: inputs/globs R1, inputs/globs R2
#[test]
fn globs_match_by_one_table() {
    for (globs, expected) in [
        (&["**"][..], &TREE[..]),
        (&["*"], &[".env", "a.css", "a.css.map", "lib.txt"]),
        (&["*.css"], &["a.css"]),
        (
            &["lib"],
            &[
                "lib/.hidden/x.css",
                "lib/b.css",
                "lib/deep/er/c.css",
                "lib/draft/d.draft.css",
            ],
        ),
        (&["lib/*.css"], &["lib/b.css"]),
        (&["lib/*"], &["lib/b.css"]),
        (&["**/lib/*.css"], &["lib/b.css", "z/lib/e.css"]),
        (
            &["lib/**/*.css", "!**/*.draft.css"],
            &["lib/.hidden/x.css", "lib/b.css", "lib/deep/er/c.css"],
        ),
        (&["lib/deep/**/c.css"], &["lib/deep/er/c.css"]),
        (&["{a,lib/b}.css"], &["a.css", "lib/b.css"]),
        (&["?.css", "lib.txt"], &["a.css", "lib.txt"]),
        (&["a.css", "*.css"], &["a.css"]),
    ] {
        let project = Project::new(&TREE).operation("op", globs);
        assert_eq!(project.matched("op"), expected, "{globs:?}");
    }
}

/// spec: inputs/globs R3
#[test]
fn the_last_match_wins() {
    for (globs, expected) in [
        (
            &["lib", "!lib/deep"][..],
            &["lib/.hidden/x.css", "lib/b.css", "lib/draft/d.draft.css"][..],
        ),
        (&["lib/**", "!lib/**", "lib/b.css"], &["lib/b.css"]),
        (&["!lib/b.css", "lib/*"], &["lib/b.css"]),
        (
            &["lib", "!**/deep", "!**/.hidden/", "!lib/d*"],
            &["lib/b.css"],
        ),
        (&["**", "!**/*.css", "!.*"], &["a.css.map", "lib.txt"]),
    ] {
        assert_eq!(
            Project::new(&TREE).operation("op", globs).matched("op"),
            expected,
            "{globs:?}"
        );
    }
}

/// spec: inputs/globs R4
#[test]
fn some_directories_never_match() {
    let files = [
        ".git/config",
        "sub/.git",
        "a/.stagecraft/x",
        ".stagecraft/snapshot",
        "deploy/current/x",
        "b",
    ];
    let mut project = Project::new(&files).operation("op", &["**"]);
    assert_eq!(project.matched("op"), ["b", "deploy/current/x"]);
    for path in [
        "./deploy",
        "x/../deploy",
        project.place("deploy").to_str().unwrap(),
    ] {
        let driver = DirectoryDriver {
            path: path.to_owned(),
            activate: None,
            health: None,
        };
        let environment = EnvironmentConfig {
            at: at(1, 1),
            driver: Driver::Directory(driver),
            reserved: BTreeMap::new(),
        };
        project
            .config
            .environments
            .insert("local".parse().unwrap(), environment);
        assert_eq!(project.matched("op"), ["b"], "{path}");
    }
    let project = project.operation("op", &["deploy/current/x", ".git/config"]);
    assert_eq!(
        project.refused(),
        "stagecraft.yml:2:1: `deploy/current/x` is never an input: an environment deploys to `deploy`\n\
         stagecraft.yml:2:2: `.git/config` is never an input: `.git` is left out everywhere"
    );
}

/// spec: inputs/globs R5
#[test]
fn symlinks_are_content_and_are_not_followed() {
    let project = Project::new(&["real/a", "real/b"]).operation("op", &["**"]);
    symlink("real", project.place("link")).unwrap();
    symlink("/nowhere", project.place("real/dangling")).unwrap();
    assert_eq!(
        project.matched("op"),
        ["link", "real/a", "real/b", "real/dangling"]
    );
    assert_eq!(
        project.node("link"),
        Node::Symlink {
            target: "real".to_owned()
        }
    );
    let through = Project {
        directory: project.directory,
        ..Project::new(&[]).operation("op", &["link/a"])
    };
    assert_eq!(
        through.refused(),
        "stagecraft.yml:1:1: `link/a` is never an input: `link` is a symlink, and none is followed"
    );
    let Project { directory, .. } = through;
    let named = Project {
        directory,
        ..Project::new(&[]).operation("op", &["link", "link/**"])
    };
    assert_eq!(named.matched("op"), ["link"]);
}

/// spec: inputs/globs R6
#[test]
fn every_missing_literal_is_an_error_with_the_nearest_name() {
    let project = Project::new(&["src/main.c", "src/util/a.h", "README.md"])
        .operation("one", &["src/mian.c", "README.md", "nothing/like/it"])
        .operation("two", &["scr/main.c", "src/main.c/below", "!gone"]);
    assert_eq!(
        project.refused(),
        "stagecraft.yml:1:1: `src/mian.c` does not exist\n  hint: did you mean `src/main.c`?\n\
         stagecraft.yml:1:3: `nothing/like/it` does not exist\n\
         stagecraft.yml:2:1: `scr/main.c` does not exist\n  hint: did you mean `src/main.c`?\n\
         stagecraft.yml:2:2: `src/main.c/below` does not exist"
    );
}

/// spec: inputs/globs R7
#[test]
fn a_glob_that_matches_nothing_is_a_warning() {
    let project = Project::new(&["src/a.c"])
        .operation("op", &["src/*.h", "none/**", "src/*.c", "!*.o", "empty"]);
    fs::create_dir_all(project.place("empty/below")).unwrap();
    let warnings: Vec<_> = project
        .gather()
        .warnings
        .iter()
        .map(|w| format!("{} {}", w.at, w.message))
        .collect();
    assert_eq!(
        warnings,
        [
            "stagecraft.yml:1:1 `src/*.h` matches nothing",
            "stagecraft.yml:1:2 `none/**` matches nothing",
            "stagecraft.yml:1:5 directory `empty` holds no file",
        ]
    );
}

/// spec: inputs/globs R8
#[test]
fn what_cannot_be_an_input_is_refused_by_name_where_it_is_matched() {
    let project = Project::new(&["src/a.c", "src/sub/b"])
        .operation("one", &["src/*.c"])
        .operation("two", &["src"]);
    let name = OsStr::from_bytes(b"src/b\xff.h");
    fs::write(project.root().join(name), "").unwrap();
    fs::create_dir(project.root().join(OsStr::from_bytes(b"src/d\xfe"))).unwrap();
    fs::write(project.root().join(OsStr::from_bytes(b"src/d\xfe/x.h")), "").unwrap();
    symlink(OsStr::from_bytes(b"\xff"), project.place("src/link")).unwrap();
    let socket = std::os::unix::net::UnixListener::bind(project.place("src/socket")).unwrap();
    assert!(
        fs::symlink_metadata(project.place("src/socket"))
            .unwrap()
            .file_type()
            .is_socket()
    );
    let fifo = rustix::fs::CWD;
    rustix::fs::mknodat(
        fifo,
        project.place("src/fifo"),
        rustix::fs::FileType::Fifo,
        0o600.into(),
        0,
    )
    .unwrap();
    assert_eq!(
        project.refused(),
        "stagecraft.yml:2:1: `src/fifo` is a fifo\n\
         stagecraft.yml:2:1: `src/socket` is a socket\n\
         stagecraft.yml:2:1: the name of `src/b\u{fffd}.h` is not UTF-8\n\
         stagecraft.yml:2:1: the name of `src/d\u{fffd}/x.h` is not UTF-8\n\
         stagecraft.yml:2:1: the target of symlink `src/link` is not UTF-8"
    );
    drop(socket);
    let Project { directory, .. } = project;
    let narrow = Project {
        directory,
        ..Project::new(&[]).operation("one", &["src/*.c", "src/sub"])
    };
    assert_eq!(narrow.matched("one"), ["src/a.c", "src/sub/b"]);
}

/// spec: inputs/globs R8
#[test]
fn an_unreadable_file_is_refused_where_it_is_matched() {
    if rustix::process::geteuid().is_root() {
        return;
    }
    let project = Project::new(&["a", "private/b", "c"]).operation("op", &["**"]);
    fs::set_permissions(project.place("a"), PermissionsExt::from_mode(0o000)).unwrap();
    fs::set_permissions(project.place("private"), PermissionsExt::from_mode(0o000)).unwrap();
    let message = project.refused();
    fs::set_permissions(project.place("private"), PermissionsExt::from_mode(0o700)).unwrap();
    assert_eq!(
        message,
        "stagecraft.yml:1:1: cannot read `a`: permission denied\n\
         stagecraft.yml:1:1: cannot read `private`: permission denied"
    );
}

/// spec: inputs/sources R1
#[test]
fn only_content_and_the_executable_bit_make_a_difference() {
    let project = Project::new(&["a", "b"]).operation("op", &["**"]);
    symlink("a", project.place("link")).unwrap();
    let before = project.gather().sources;
    set_time(&project.place("a"), std::time::UNIX_EPOCH);
    fs::set_permissions(project.place("a"), PermissionsExt::from_mode(0o600)).unwrap();
    fs::set_permissions(project.place("b"), PermissionsExt::from_mode(0o666)).unwrap();
    fs::create_dir(project.place("empty")).unwrap();
    assert_eq!(
        project.gather().sources,
        before,
        "times, other bits, empty directories"
    );
    fs::set_permissions(project.place("b"), PermissionsExt::from_mode(0o677)).unwrap();
    assert_eq!(
        project.gather().sources,
        before,
        "executable for others only"
    );
    fs::set_permissions(project.place("b"), PermissionsExt::from_mode(0o744)).unwrap();
    assert_ne!(project.gather().sources, before, "executable for the owner");
    fs::set_permissions(project.place("b"), PermissionsExt::from_mode(0o644)).unwrap();
    assert_eq!(project.gather().sources, before);
    fs::remove_file(project.place("link")).unwrap();
    symlink("b", project.place("link")).unwrap();
    assert_ne!(project.gather().sources, before, "another target");
}

/// spec: inputs/sources R1
#[test]
fn digests_are_of_the_bytes_whatever_the_size() {
    let project = Project::new(&[]).operation("op", &["**"]);
    for size in [0, 1, 16383, 16384, 16385, (1 << 20) - 1, (1 << 20) + 7] {
        let text = "x".repeat(size);
        project.write("file", &text);
        assert_eq!(
            digest(&project.gather(), "file"),
            Digest::of(text.as_bytes()),
            "{size}"
        );
    }
}

/// spec: inputs/sources R2
#[test]
fn only_wanted_operations_are_looked_at() {
    let project = Project::new(&["a"])
        .operation("good", &["a"])
        .operation("bad", &["missing"]);
    let project = project.tools("bad", &["no-such-tool"]);
    let wanted = BTreeSet::from(["good".parse().unwrap()]);
    let inputs = project.gather_some(&wanted, &mut Snapshot::none()).unwrap();
    assert_eq!(inputs.sources.len(), 1);
    assert!(inputs.tools.is_empty());
}

/// spec: inputs/sources R3
#[test]
fn sources_are_sorted_by_path_and_each_is_there_once() {
    let files = ["a-b/x", "a.b", "a/x", "a/x.y", "a/x-", "ab"];
    let project = Project::new(&files).operation("op", &["a*", "a", "**/x*", "a-b/**"]);
    assert_eq!(
        project.matched("op"),
        ["a-b/x", "a.b", "a/x", "a/x-", "a/x.y", "ab"]
    );
}

/// spec: inputs/sources R4
#[test]
fn pass_env_lets_the_named_variables_through() {
    let mut project = Project::new(&[])
        .operation("op", &[])
        .operation("other", &[]);
    let pass = |name: &str| PassEnv {
        name: name.to_owned(),
        secret: false,
        at: at(1, 1),
    };
    project
        .config
        .operations
        .get_mut(&"op".parse().unwrap())
        .unwrap()
        .pass_env = vec![pass("A"), pass("B")];
    project
        .config
        .operations
        .get_mut(&"other".parse().unwrap())
        .unwrap()
        .pass_env = vec![pass("C")];
    project.caller = ["A", "C", "D"]
        .map(|name| (name.to_owned(), name.to_lowercase()))
        .into();
    let wanted = BTreeSet::from(["op".parse().unwrap()]);
    let inputs = project.gather_some(&wanted, &mut Snapshot::none()).unwrap();
    assert_eq!(
        inputs.passed,
        BTreeMap::from([("A".to_owned(), "a".to_owned())])
    );
    assert_eq!(inputs.platform, format!("linux-{}", std::env::consts::ARCH));
}

/// spec: inputs/globs R9
#[test]
fn expand_lists_files_or_directories_for_each_glob() {
    let files = [
        "packages/a/stagecraft.yml",
        "packages/b/c/stagecraft.yml",
        "packages/x",
        ".git/packages/a/y",
    ];
    let project = Project::new(&files);
    symlink("a", project.place("packages/link")).unwrap();
    let globs = [
        "packages/*/",
        "**/a",
        "packages/b",
        "packages/x",
        "nowhere",
        "packages/*/stagecraft.yml",
    ];
    let globs = globs.map(str::to_owned);
    let list = |what, excluded: &[String]| {
        let found = expand(project.root(), &globs, what, excluded).unwrap();
        assert_eq!(found.len(), globs.len());
        globs
            .iter()
            .map(|glob| found[glob].join(" "))
            .collect::<Vec<_>>()
    };
    let directories = [
        "packages/a packages/b",
        "packages/a",
        "packages/b",
        "",
        "",
        "",
    ];
    assert_eq!(list(Match::Directories, &[]), directories);
    assert_eq!(
        list(Match::Files, &[]),
        [
            "packages/x",
            "",
            "",
            "packages/x",
            "",
            "packages/a/stagecraft.yml"
        ]
    );
    assert_eq!(
        list(Match::Directories, &["packages/a/".to_owned()])[0],
        "packages/b"
    );
    let wrong = expand(project.root(), &["a/{b".to_owned()], Match::Files, &[]).unwrap_err();
    assert_eq!(wrong.to_string(), "`a/{b` is not a glob");
}

/// spec: inputs/snapshot R2, inputs/snapshot R3
#[test]
fn an_edit_that_hides_behind_its_old_time_is_seen_every_time() {
    let project = Project::new(&["file"]).operation("op", &["file"]);
    let place = project.place("file");
    let mut snapshot = Snapshot::load(project.root()).recording();
    for round in 0..2000_u32 {
        let text = format!("{round:08}");
        let time = fs::metadata(&place).unwrap().modified().unwrap();
        fs::write(&place, &text).unwrap();
        set_time(&place, time);
        let inputs = project.gather_with(&mut snapshot).unwrap();
        assert_eq!(
            digest(&inputs, "file"),
            Digest::of(text.as_bytes()),
            "round {round}"
        );
        if round % 100 == 0 {
            snapshot.save().unwrap();
            snapshot = Snapshot::load(project.root()).recording();
        }
    }
}

/// Waits until the file system's clock has left the time of `path` clearly behind.
fn age(project: &Project, path: &str) {
    let changed = fs::metadata(project.place(path))
        .unwrap()
        .modified()
        .unwrap();
    let probe = project.place(".stagecraft/clock");
    fs::create_dir_all(probe.parent().unwrap()).unwrap();
    loop {
        fs::write(&probe, "x").unwrap();
        let now = fs::metadata(&probe).unwrap().modified().unwrap();
        if now
            .duration_since(changed)
            .is_ok_and(|age| age > Duration::from_millis(30))
        {
            return;
        }
    }
}

/// spec: inputs/snapshot R1, inputs/snapshot R4
#[test]
fn what_is_remembered_is_not_read_again() {
    let project = Project::new(&["a", "b"]).operation("op", &["**"]);
    age(&project, "b");
    let mut snapshot = Snapshot::load(project.root()).recording();
    let first = project.gather_with(&mut snapshot).unwrap();
    snapshot.save().unwrap();
    // Only a file that nobody opens can be unreadable: its owner's and root's rights are no obstacle to a swap of
    // the remembered digest, so the snapshot itself is made to lie.
    let file = project.place(".stagecraft/snapshot");
    let bytes = fs::read(&file).unwrap();
    let (honest, lie) = (Digest::of(b"a"), Digest::of(b"lie"));
    let position = bytes
        .windows(32)
        .position(|window| window == honest.as_bytes())
        .unwrap();
    let mut forged = bytes[..20].to_vec();
    let mut body = bytes[52..].to_vec();
    body[position - 52..position - 20].copy_from_slice(lie.as_bytes());
    forged.extend_from_slice(Digest::of(&body).as_bytes());
    forged.extend_from_slice(&body);
    fs::write(&file, forged).unwrap();
    let mut lying = Snapshot::load(project.root());
    assert_eq!(digest(&project.gather_with(&mut lying).unwrap(), "a"), lie);
    fs::write(&file, bytes).unwrap();
    let mut snapshot = Snapshot::load(project.root()).recording();
    assert_eq!(
        project.gather_with(&mut snapshot).unwrap().sources,
        first.sources
    );
}

/// spec: inputs/snapshot R5
#[test]
fn a_snapshot_that_does_not_record_writes_nothing() {
    let project = Project::new(&["a"]).operation("op", &["a"]);
    let mut snapshot = Snapshot::load(project.root());
    project.gather_with(&mut snapshot).unwrap();
    snapshot.save().unwrap();
    let mut none = Snapshot::none().recording();
    project.gather_with(&mut none).unwrap();
    none.save().unwrap();
    let names: Vec<_> = fs::read_dir(project.root())
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    assert_eq!(names, ["a"]);
}

/// spec: inputs/snapshot R6
#[test]
fn the_file_is_replaced_only_when_something_was_learned() {
    use std::os::unix::fs::MetadataExt;
    let project = Project::new(&["a"]).operation("op", &["a"]);
    age(&project, "a");
    let file = project.place(".stagecraft/snapshot");
    let run = || {
        let mut snapshot = Snapshot::load(project.root()).recording();
        project.gather_with(&mut snapshot).unwrap();
        snapshot.save().unwrap();
        fs::metadata(&file).unwrap().ino()
    };
    // The base is remembered only once the machine's own package database is old enough; by the second run it is.
    run();
    let known = run();
    assert_eq!(run(), known);
    project.write("a", "other");
    age(&project, "a");
    assert_ne!(run(), known);
    let mut names: Vec<_> = fs::read_dir(project.place(".stagecraft"))
        .unwrap()
        .map(|entry| entry.unwrap().file_name())
        .collect();
    names.sort();
    assert_eq!(names, ["clock", "probe", "snapshot"]);
}

/// spec: inputs/snapshot R7
#[test]
fn a_damaged_or_newer_snapshot_is_an_empty_one() {
    let project = Project::new(&["a"]).operation("op", &["a"]);
    age(&project, "a");
    let mut snapshot = Snapshot::load(project.root()).recording();
    project.gather_with(&mut snapshot).unwrap();
    snapshot.save().unwrap();
    let file = project.place(".stagecraft/snapshot");
    let bytes = fs::read(&file).unwrap();
    let empty = format!("{:?}", Snapshot::load(&project.place("nowhere")));
    let load = |bytes: &[u8]| {
        fs::write(&file, bytes).unwrap();
        format!("{:?}", Snapshot::load(project.root()))
            .replace(project.root().to_str().unwrap(), "")
    };
    let empty = empty.replace(project.place("nowhere").to_str().unwrap(), "");
    assert_ne!(load(&bytes), empty);
    let step = (bytes.len() / 400).max(1);
    for length in (0..200.min(bytes.len())).chain((200..bytes.len()).step_by(step)) {
        assert_eq!(load(&bytes[..length]), empty, "cut to {length}");
    }
    for position in (0..200.min(bytes.len())).chain((200..bytes.len()).step_by(step)) {
        let mut damaged = bytes.clone();
        damaged[position] ^= 1;
        assert_eq!(load(&damaged), empty, "flipped at {position}");
    }
    assert_eq!(load(&[&bytes[..], b"x"].concat()), empty);
}

/// spec: inputs/tools R1
#[test]
fn every_tool_that_is_not_on_path_is_an_error() {
    let mut project = Project::new(&["bin/tool", "bin/data"])
        .operation("a", &[])
        .operation("b", &["gone"])
        .tools("a", &["tool", "nope"])
        .tools("b", &["data", "nope"]);
    fs::set_permissions(project.place("bin/tool"), PermissionsExt::from_mode(0o755)).unwrap();
    project.path = std::env::join_paths([Path::new("bin"), &project.place("bin")]).unwrap();
    assert_eq!(
        project.refused(),
        "stagecraft.yml:1:101: tool `nope` is not on PATH\n\
         stagecraft.yml:2:1: `gone` does not exist\n\
         stagecraft.yml:2:100: tool `data` is not on PATH\n\
         stagecraft.yml:2:101: tool `nope` is not on PATH"
    );
    project.path = "bin".into();
    assert!(
        project.refused().contains("tool `tool` is not on PATH"),
        "a relative directory of PATH"
    );
}

/// spec: inputs/tools R7, inputs/tools R9
#[test]
fn a_script_outside_packages_is_its_bytes_and_its_interpreter() {
    let identity = |text: &str| {
        let mut project = Project::new(&[])
            .operation("op", &[])
            .tools("op", &["tool"]);
        project.write("bin/tool", text);
        fs::set_permissions(project.place("bin/tool"), PermissionsExt::from_mode(0o755)).unwrap();
        project.path = project.place("bin").into();
        let inputs = project.gather();
        let tool = &inputs.tools["tool"];
        let real = fs::canonicalize(project.place("bin/tool")).unwrap();
        assert_eq!(tool.programs, [("tool".to_owned(), real.clone())]);
        assert!(tool.files.contains(&real));
        assert_eq!(tool.description, Digest::of(text.as_bytes()).to_string());
        tool.identity
    };
    let one = identity("#!/bin/sh\necho 1\n");
    assert_eq!(identity("#!/bin/sh\necho 1\n"), one, "in another directory");
    assert_ne!(identity("#!/bin/sh\necho 2\n"), one);
    assert_ne!(identity("#!/bin/cat\necho 1\n"), one);
}

/// spec: inputs/sources R5
#[test]
fn a_file_that_is_replaced_meanwhile_is_one_of_what_it_was() {
    let project = Project::new(&["a"]).operation("op", &["**"]);
    let contents = ["short".to_owned(), "long".repeat(20_000)];
    let digests = contents.clone().map(|text| Digest::of(text.as_bytes()));
    project.write("a", &contents[0]);
    let done = std::sync::atomic::AtomicBool::new(false);
    let other = TempDir::new_in(project.root().parent().unwrap()).unwrap();
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let next = other.path().join("next");
            while !done.load(std::sync::atomic::Ordering::Relaxed) {
                for text in &contents {
                    fs::write(&next, text).unwrap();
                    fs::rename(&next, project.place("a")).unwrap();
                    symlink("elsewhere", &next).unwrap();
                    fs::rename(&next, project.place("a")).unwrap();
                }
            }
        });
        let mut seen = BTreeSet::new();
        for _ in 0..300 {
            let gathered = project.gather_with(&mut Snapshot::none());
            match gathered {
                Ok(inputs) => match node(&inputs, "a") {
                    Node::File { object, .. } => assert!(digests.contains(&object.digest)),
                    Node::Symlink { target } => assert_eq!(target, "elsewhere"),
                    Node::Directory { .. } => panic!("a directory is no source"),
                },
                Err(error) => {
                    seen.insert(error.to_string());
                }
            }
        }
        done.store(true, std::sync::atomic::Ordering::Relaxed);
        assert!(
            seen.iter()
                .all(|message| message == "`a` changes while it is read"),
            "{seen:?}"
        );
    });
}

/// spec: inputs/sources R6
#[test]
fn only_what_a_glob_can_reach_is_listed() {
    let mut project = Project::new(&["top/a/x.c", "top/literal"]);
    let deep = "deep/".repeat(300);
    fs::create_dir_all(project.place(&format!("top/{deep}"))).unwrap();
    project = project.operation("op", &["top/*/*.c", "top/literal", "top/d*"]);
    assert_eq!(project.matched("op"), ["top/a/x.c", "top/literal"]);
    let project = project.operation("all", &["top/**"]);
    let error = project.gather_with(&mut Snapshot::none()).unwrap_err();
    assert!(
        matches!(&error, InputError::Depth { limit: 256, .. }),
        "{error}"
    );
}

/// spec: inputs/sources R6
#[test]
fn operations_with_equal_inputs_share_one_list() {
    let project = Project::new(&["a", "b"])
        .operation("one", &["*"])
        .operation("two", &["*"])
        .operation("three", &["a"]);
    let sources = project.gather().sources;
    let of = |name: &str| sources[&name.parse().unwrap()].clone();
    assert!(std::sync::Arc::ptr_eq(&of("one"), &of("two")));
    assert_eq!(of("three").len(), 1);
}
