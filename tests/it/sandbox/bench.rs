//! A project, a store and an operation to be run in the sandbox.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use stagecraft::action::{Action, RunTask, Task};
use stagecraft::config::{CommandLine, OutputPattern, Resources};
use stagecraft::evaluate::{Cancel, Completion, ExecutionContext, Executor, Failure, Produced};
use stagecraft::inputs::{Base, Tool};
use stagecraft::name::ProjectPath;
use stagecraft::plan::operation::{Limits, OperationId, Run};
use stagecraft::sandbox::{Sandbox, Stream, decode_log};
use stagecraft_store::{ActionKey, Digest, Node, Object, Store};
use tempfile::TempDir;

const BASE: &[&str] = &[
    "cat", "chmod", "cp", "env", "head", "hostname", "id", "ln", "ls", "mkdir", "mkfifo", "mv",
    "printf", "readlink", "rm", "sed", "setsid", "sh", "sleep", "stat", "touch", "true", "uname",
    "wc",
];

/// The program that runs as the sandbox's helper: the one just built.
pub(crate) fn helper() -> PathBuf {
    let copied = std::env::var_os("STAGECRAFT_TEST_HELPER").map(PathBuf::from);
    copied.unwrap_or_else(|| env!("CARGO_BIN_EXE_stagecraft").into())
}

/// Every level that this machine gives.
pub(crate) fn levels() -> Vec<u8> {
    if machine_level() == 2 {
        vec![0, 2]
    } else {
        vec![0]
    }
}

/// The highest level that this machine gives, by its own word where it has `unshare`: a sandbox that is broken must not
/// pass for a machine without namespaces.
pub(crate) fn machine_level() -> u8 {
    static LEVEL: OnceLock<u8> = OnceLock::new();
    *LEVEL.get_or_init(|| {
        let Some(unshare) = find("unshare") else {
            let directory = TempDir::new().unwrap();
            return Sandbox::new(directory.path(), &helper(), None, 0)
                .unwrap()
                .level();
        };
        let tried = Command::new(unshare)
            .args(["-Urmpnu", "--fork", "--mount-proc", "true"])
            .output();
        if tried.unwrap().status.success() {
            2
        } else {
            0
        }
    })
}

pub(crate) struct Bench {
    pub(crate) project: TempDir,
    _home: TempDir,
    pub(crate) store: Store,
    pub(crate) cancel: Cancel,
    pub(crate) level: Option<u8>,
    pub(crate) require: u8,
    pub(crate) run: Run,
    pub(crate) mounts: Vec<(ProjectPath, Object)>,
}

impl Bench {
    /// An operation that runs `script` at `level`, with nothing declared.
    pub(crate) fn script(level: u8, script: &str) -> Self {
        Self::new(level, CommandLine::Script(script.to_owned()))
    }

    pub(crate) fn argv(level: u8, argv: &[&str]) -> Self {
        Self::new(
            level,
            CommandLine::Argv(argv.iter().map(|&word| word.to_owned()).collect()),
        )
    }

    fn new(level: u8, command: CommandLine) -> Self {
        let home = TempDir::new().unwrap();
        let store = Store::open(&home.path().join("store")).unwrap();
        Self {
            project: TempDir::new().unwrap(),
            _home: home,
            store,
            cancel: Cancel::new().unwrap(),
            level: Some(level),
            require: 0,
            run: run(command),
            mounts: Vec::new(),
        }
    }

    /// Writes a file of the project without declaring it.
    pub(crate) fn undeclared(self, path: &str, text: &str) -> Self {
        let path = self.project.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    /// Writes a file of the project and declares it as it is.
    pub(crate) fn source(self, path: &str, text: &str) -> Self {
        let node = Node::File {
            object: Object::of(text.as_bytes()),
            executable: false,
        };
        self.undeclared(path, text).declare(path, node)
    }

    pub(crate) fn executable(self, path: &str, text: &str) -> Self {
        let node = Node::File {
            object: Object::of(text.as_bytes()),
            executable: true,
        };
        let bench = self.undeclared(path, text).declare(path, node);
        let mode = fs::Permissions::from_mode(0o755);
        fs::set_permissions(bench.project.path().join(path), mode).unwrap();
        bench
    }

    pub(crate) fn declare(mut self, path: &str, node: Node) -> Self {
        let sources = Arc::make_mut(&mut self.run.sources);
        sources.push((path.parse().unwrap(), node));
        sources.sort_by(|a, b| a.0.cmp(&b.0));
        self
    }

    /// Declares outputs, each as it would be written in the configuration.
    pub(crate) fn outputs(mut self, outputs: &[&str]) -> Self {
        for text in outputs {
            let optional = text.starts_with('?');
            let glob = text.trim_start_matches('?');
            let directory = glob.ends_with('/');
            let glob = glob.trim_end_matches('/').to_owned();
            self.run.outputs.push(OutputPattern {
                glob,
                directory,
                optional,
            });
        }
        self
    }

    pub(crate) fn workdir(mut self, path: &str) -> Self {
        self.run.workdir = path.parse().unwrap();
        self
    }

    /// Puts a tree of these files into the store and mounts it at `path`.
    pub(crate) fn mount(mut self, path: &str, files: &[(&str, &str)]) -> Self {
        let tree = TempDir::new().unwrap();
        for (path, text) in files {
            fs::create_dir_all(tree.path().join(path).parent().unwrap()).unwrap();
            fs::write(tree.path().join(path), text).unwrap();
        }
        let mut batch = self.store.batch();
        let names: Vec<String> = files.iter().map(|(path, _)| (*path).to_owned()).collect();
        let object = batch.import_selected(tree.path(), &names).unwrap();
        self.store.commit(vec![batch], vec![], vec![]).unwrap();
        self.mounts.push((path.parse().unwrap(), object));
        self
    }

    /// Has the operation run another script.
    pub(crate) fn rewrite(&mut self, script: &str) {
        self.run.command = CommandLine::Script(script.to_owned());
    }

    pub(crate) fn sandbox(&self) -> Sandbox {
        Sandbox::new(self.project.path(), &helper(), self.level, self.require).unwrap()
    }

    pub(crate) fn execute(&self) -> Completion {
        self.execute_with(&self.sandbox())
    }

    pub(crate) fn execute_with(&self, sandbox: &Sandbox) -> Completion {
        let id = OperationId::operation(&"subject".parse().unwrap());
        let action = Action {
            id: &id,
            key: ActionKey(Digest::of(b"key")),
            task: Task::Run(RunTask {
                run: &self.run,
                mounts: self.mounts.clone(),
                input_root: Object::of(b""),
            }),
        };
        let context = ExecutionContext {
            store: &self.store,
            project: self.project.path(),
            cancel: &self.cancel,
            release: None,
        };
        sandbox.execute(&action, &context)
    }

    /// Runs the operation, which must succeed.
    pub(crate) fn produced(&self) -> Made {
        self.produced_with(&self.sandbox())
    }

    /// Runs the operation in a sandbox that others may have run in.
    pub(crate) fn produced_with(&self, sandbox: &Sandbox) -> Made {
        match self.execute_with(sandbox) {
            Completion::Produced(produced) => Made::new(self, produced),
            Completion::Failed { failure, log, .. } => panic!("{failure:?}\n{}", text_of(&log)),
            other => panic!("{other:?}"),
        }
    }

    /// Runs the operation, which must fail.
    pub(crate) fn failed(&self) -> (Failure, String) {
        match self.execute() {
            Completion::Failed { failure, log, .. } => (failure, text_of(&log)),
            other => panic!("{other:?}"),
        }
    }
}

/// What an operation made, exported.
pub(crate) struct Made {
    pub(crate) output: Object,
    pub(crate) files: BTreeMap<String, String>,
    pub(crate) warnings: Vec<String>,
    pub(crate) drifted: Option<String>,
    pub(crate) log: String,
    pub(crate) level: u8,
}

impl Made {
    fn new(bench: &Bench, produced: Produced) -> Self {
        let Produced {
            batch,
            output,
            log,
            level,
            warnings,
            drifted,
        } = produced;
        bench.store.commit(vec![batch], vec![], vec![]).unwrap();
        let mut files = BTreeMap::new();
        read(&bench.store, &output.digest, "", &mut files);
        Self {
            output,
            files,
            warnings,
            drifted,
            log: text_of(&log),
            level,
        }
    }

    /// Every path of the output tree; a slash follows directories that are empty.
    pub(crate) fn paths(&self) -> Vec<&str> {
        self.files.keys().map(String::as_str).collect()
    }
}

fn read(store: &Store, tree: &Digest, prefix: &str, files: &mut BTreeMap<String, String>) {
    let directory = store.directory(tree).unwrap().unwrap();
    if directory.is_empty() && !prefix.is_empty() {
        files.insert(prefix.to_owned(), String::new());
    }
    for (name, node) in directory.iter() {
        let path = format!("{prefix}{}", name.as_str());
        match node {
            Node::Directory { object } => read(store, &object.digest, &format!("{path}/"), files),
            Node::Symlink { target } => drop(files.insert(path, format!("-> {target}"))),
            Node::File { object, .. } => {
                let bytes = store.read(&object.digest).unwrap().unwrap();
                files.insert(path, String::from_utf8_lossy(&bytes).into_owned());
            }
        }
    }
}

/// What both streams say, in order of arrival.
pub(crate) fn text_of(log: &[u8]) -> String {
    let frames = decode_log(log).unwrap();
    frames
        .iter()
        .map(|frame| String::from_utf8_lossy(&frame.bytes))
        .collect()
}

/// What one stream says.
pub(crate) fn stream_of(log: &[u8], stream: Stream) -> String {
    let frames = decode_log(log).unwrap();
    let frames = frames.iter().filter(|frame| frame.stream == stream);
    frames
        .map(|frame| String::from_utf8_lossy(&frame.bytes))
        .collect()
}

pub(crate) fn tool(name: &str, programs: &[&str]) -> Arc<Tool> {
    Arc::new(Tool {
        name: name.to_owned(),
        identity: Digest::of(name.as_bytes()),
        description: name.to_owned(),
        programs: programs
            .iter()
            .map(|name| ((*name).to_owned(), find(name).unwrap()))
            .collect(),
        files: Vec::new(),
    })
}

pub(crate) fn find(name: &str) -> Option<PathBuf> {
    ["/usr/bin", "/bin", "/usr/sbin"]
        .iter()
        .map(|at| Path::new(at).join(name))
        .find(|path| path.exists())
}

fn run(command: CommandLine) -> Run {
    let programs = BASE
        .iter()
        .filter_map(|name| Some(((*name).to_owned(), find(name)?)))
        .collect();
    Run {
        command,
        arguments: Vec::new(),
        workdir: ProjectPath::root(),
        selectors: Vec::new(),
        outputs: Vec::new(),
        needs: Vec::new(),
        env: BTreeMap::new(),
        passed: Vec::new(),
        network: false,
        cache: true,
        limits: Limits {
            timeout: Duration::from_secs(60),
            retries: 0,
            resources: Resources {
                cpu: 1,
                memory: None,
            },
            undeclared_writes_are_errors: false,
            export: false,
        },
        sources: Arc::default(),
        tools: Vec::new(),
        base: Arc::new(Base {
            identity: Digest::of(b"base"),
            description: "base".to_owned(),
            programs,
        }),
        base_trusted: false,
        values: BTreeMap::new(),
        fingerprints: BTreeMap::new(),
        platform: "linux-x86_64".to_owned(),
    }
}
