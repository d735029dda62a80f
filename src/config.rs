//! `Config`: what a `stagecraft.yml` says, as plain validated data.
//! Pure: texts and listings come in as values; no file, clock or environment is read here.

pub mod diagnostic;

mod document;
mod environment;
mod fault;
mod glob;
mod image;
mod machine;
pub(crate) mod nearest;
mod node;
mod operation;
mod original;
mod path;
mod quantity;
mod raw;
mod reference;
mod schema;
mod service;
mod validate;
mod yaml;

use std::collections::BTreeMap;
use std::time::Duration;

pub use diagnostic::{Diagnostic, Diagnostics, Location};
pub use document::{Document, Requests, Source, read, read_bytes};
pub use schema::schema;
pub use validate::parse;

use crate::name::{EnvironmentName, OperationName, ProjectName, ProjectPath, ServiceName};

/// A value and the place that says it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spanned<T> {
    /// The value.
    pub value: T,
    /// Where it stands.
    pub at: Location,
}

/// A validated project: everything that the files say, `include` and `for` already unfolded.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Config {
    /// `project.name`.
    pub project: ProjectName,
    /// `project.registry`.
    pub registry: Option<Spanned<String>>,
    /// `operations` of the main file and of every included one, by full name.
    pub operations: BTreeMap<OperationName, OperationConfig>,
    /// `services`.
    pub services: BTreeMap<ServiceName, ServiceConfig>,
    /// `environments`.
    pub environments: BTreeMap<EnvironmentName, EnvironmentConfig>,
    /// `sandbox`.
    pub sandbox: SandboxConfig,
    /// `store`.
    pub store: StoreConfig,
    /// Sections that were validated and that no command can use yet, by key (`backend`, `images`,
    /// `services.web.image`, …).
    pub reserved: BTreeMap<String, Location>,
}

/// One entry of `operations` of class pure.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OperationConfig {
    /// The place of its name.
    pub at: Location,
    /// `description`.
    pub description: Option<String>,
    /// `command` or `script`.
    pub command: CommandLine,
    /// `workdir`, from the project root.
    pub workdir: ProjectPath,
    /// `inputs`, from the project root, in file order: the last match wins.
    pub inputs: Vec<Spanned<InputPattern>>,
    /// `outputs`, from `workdir`.
    pub outputs: Vec<Spanned<OutputPattern>>,
    /// `needs`, sorted by mount.
    pub needs: Vec<Need>,
    /// `tools`, sorted, each once.
    pub tools: Vec<Spanned<String>>,
    /// `env`.
    pub env: BTreeMap<String, String>,
    /// `pass_env`, sorted by name.
    pub pass_env: Vec<PassEnv>,
    /// `timeout`; default 1 h.
    pub timeout: Duration,
    /// `retries`; default 0.
    pub retries: u32,
    /// `cache`; default true.
    pub cache: bool,
    /// `network`; default false.
    pub network: bool,
    /// `resources`.
    pub resources: Resources,
    /// `export`; default false.
    pub export: bool,
    /// Keys of this operation that were validated and that no command can run yet (`fetch`, `root`, `resources.pool`).
    pub reserved: BTreeMap<String, Location>,
}

/// What an operation starts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CommandLine {
    /// `command`: program and arguments, no shell.
    Argv(Vec<String>),
    /// `script`: run by `sh -eu`.
    Script(String),
    /// `fetch`: nothing is started; see `reserved`.
    Fetch,
}

/// One entry of `inputs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InputPattern {
    /// The glob from the project root, without a leading `!`; a trailing slash is dropped.
    pub glob: String,
    /// Whether it started with `!`.
    pub excludes: bool,
}

impl InputPattern {
    /// Returns whether the pattern names one path: no `*`, `?`, `[` or `{`.
    pub fn is_literal(&self) -> bool {
        !self.glob.contains(['*', '?', '[', '{'])
    }
}

/// One entry of `outputs`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OutputPattern {
    /// The path or glob from `workdir`, without the leading `?` and the trailing slash; never empty, no `.` or `..` part.
    pub glob: String,
    /// It ended in a slash: a directory, created before the start.
    pub directory: bool,
    /// It started with `?`: may be missing.
    pub optional: bool,
}

/// One entry of `needs`: the output tree of `operation` at `mount`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Need {
    /// Whose output.
    pub operation: OperationName,
    /// Where, from `workdir`; the list form means `.deps/<name>`.
    pub mount: ProjectPath,
    /// The place that says it.
    pub at: Location,
}

/// One entry of `pass_env`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PassEnv {
    /// The variable of the caller.
    pub name: String,
    /// Its value is a secret: only its fingerprint may leave memory.
    pub secret: bool,
    /// The place that says it.
    pub at: Location,
}

/// `resources` of an operation.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resources {
    /// Processors it keeps busy; default 1.
    pub cpu: u32,
    /// Bytes of memory it expects to use, if said.
    pub memory: Option<u64>,
}

/// One entry of `services`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServiceConfig {
    /// The place of its name.
    pub at: Location,
    /// What it runs or is.
    pub source: ServiceSource,
    /// `role`.
    pub role: Option<String>,
}

/// What a service is made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ServiceSource {
    /// `artifact`: the output tree of an operation.
    Artifact(Spanned<OperationName>),
    /// `image`: an entry of `images`, or a service of the compose file when neither key is there.
    Container,
}

/// One entry of `environments`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct EnvironmentConfig {
    /// The place of its name.
    pub at: Location,
    /// `driver` and the keys that belong to it.
    pub driver: Driver,
    /// Keys that were validated and that no command can use yet, `driver` itself among them where it is another than `directory`.
    pub reserved: BTreeMap<String, Location>,
}

/// How an environment is reached.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Driver {
    /// `directory`: trees below a path of this machine.
    Directory(DirectoryDriver),
    /// Any other, by name.
    Other(String),
}

/// The keys of driver `directory`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DirectoryDriver {
    /// `path`: absolute, or from the project root; without trailing slash.
    pub path: String,
    /// `activate`: run in the project root after each switch.
    pub activate: Option<Vec<String>>,
    /// `health`: what must hold before the switch counts.
    pub health: Option<HealthConfig>,
}

/// A health gate.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthConfig {
    /// What is asked.
    pub check: HealthCheck,
    /// `interval` between two asks; default 1 s.
    pub interval: Duration,
    /// `samples`: consecutive good answers wanted; default 1.
    pub samples: u32,
    /// `deadline` for all of them; default 60 s.
    pub deadline: Duration,
}

/// What a health gate asks.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum HealthCheck {
    /// `http: URL`: a GET answered with a status below 400.
    Http(String),
    /// `tcp: HOST:PORT`: a connection that is accepted.
    Tcp(String),
    /// `exec: [argv, …]`: a command that exits 0.
    Exec(Vec<String>),
}

/// `sandbox`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SandboxConfig {
    /// `level`: `None` is `auto`, the highest that this machine gives.
    pub level: Option<u8>,
    /// `require`: results and runs below it are refused.
    pub require: u8,
    /// `base: trusted`: the identity of the base utilities stays out of keys.
    pub base_trusted: bool,
    /// `undeclared_writes: error`: exit 3 rather than a warning.
    pub undeclared_writes_are_errors: bool,
}

/// `store`: the three numbers of collection.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct StoreConfig {
    /// `max_size` in bytes; default 20 GiB.
    pub max_size: u64,
    /// `max_age` of a result nobody roots; default 30 days.
    pub max_age: Duration,
    /// `min_free`: percent of the file system to keep free; default 5.
    pub min_free_percent: u8,
}

impl Default for StoreConfig {
    fn default() -> Self {
        Self {
            max_size: 20 << 30,
            max_age: Duration::from_secs(30 * 24 * 3600),
            min_free_percent: 5,
        }
    }
}
