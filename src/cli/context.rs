//! `Context`: what commands share, found when first asked for: project, environment, store.
//! Owns the precedence flag, variable, configuration, default.
#![expect(
    clippy::disallowed_methods,
    reason = "effects: variables, working directory, configuration files"
)]

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use stagecraft_store::Store;

use super::error::CliError;
use super::ui::{Color, Ui};
use crate::config::{self, Config, Diagnostic};
use crate::inputs::{self, FingerprintKey, Inputs, Match, Request, Snapshot};
use crate::name::{EnvironmentName, OperationName, ServiceName};
use crate::plan::analysis::wanted;
use crate::plan::{Plan, Target, plan};
use crate::release::log::ReleaseLog;
use crate::rules;

const CONFIG: &str = "stagecraft.yml";

/// The flags of every command.
#[derive(Debug, clap::Args)]
#[expect(clippy::doc_markdown, reason = "these comments are the help text")]
#[command(next_help_heading = "Global options")]
pub(super) struct Globals {
    /// Read the configuration from PATH [variable: STAGECRAFT_CONFIG; default: stagecraft.yml, found upwards]
    #[arg(short, long, global = true, value_name = "PATH")]
    config: Option<PathBuf>,
    /// Run as if started in DIR
    #[arg(short = 'C', global = true, value_name = "DIR")]
    directory: Option<PathBuf>,
    /// Work on this environment [variable: STAGECRAFT_ENV]
    #[arg(short, long, global = true, value_name = "NAME")]
    env: Option<String>,
    /// Show what would be done and change nothing [variable: STAGECRAFT_DRY_RUN]
    #[arg(long, global = true, value_name = "BOOL", num_args = 0..=1, require_equals = true, default_missing_value = "true", value_parser = truth)]
    dry_run: Option<bool>,
    /// Say more; twice for every decision [variable: STAGECRAFT_VERBOSE]
    #[arg(long, global = true, action = clap::ArgAction::Count)]
    verbose: u8,
    /// Colour what goes to stderr
    #[arg(
        long,
        global = true,
        value_name = "WHEN",
        value_enum,
        default_value = "auto"
    )]
    color: Color,
    /// Write stdout as text or json [default: text]
    #[arg(long, global = true, value_name = "FORMAT")]
    format: Option<String>,
    /// Run at most N operations at once [variable: STAGECRAFT_JOBS; default: the processors]
    #[arg(short, long, global = true, value_name = "N", value_parser = clap::value_parser!(u16).range(1..))]
    jobs: Option<u16>,
    /// Use the store at PATH [variable: STAGECRAFT_STORE; default: ~/.local/share/stagecraft/store]
    #[arg(long, global = true, value_name = "PATH")]
    store: Option<PathBuf>,
}

/// The form of what goes to stdout.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Format {
    /// For people.
    Text,
    /// One JSON document.
    Json,
}

/// What the process was started with.
pub(super) struct Context {
    globals: Globals,
    ui: Ui,
    caller: BTreeMap<String, String>,
}

/// A project that was found, read and validated.
pub(super) struct Project {
    /// The directory that holds its configuration; absolute.
    pub(super) root: PathBuf,
    /// The configuration.
    pub(super) config: Config,
    /// Every file that it was read from: path from the root, bytes; the main one first.
    pub(super) texts: Vec<(String, Vec<u8>)>,
}

impl Context {
    /// Returns the context of this process.
    pub(super) fn new(globals: Globals) -> Self {
        let caller: BTreeMap<String, String> = std::env::vars_os()
            .filter_map(|(name, value)| Some((name.into_string().ok()?, value.into_string().ok()?)))
            .collect();
        let verbosity = match globals.verbose {
            0 => caller
                .get("STAGECRAFT_VERBOSE")
                .map_or(0, |text| verbosity(text)),
            given => given,
        };
        let ui = Ui::new(globals.color, verbosity);
        Self {
            globals,
            ui,
            caller,
        }
    }

    /// Returns the streams.
    pub(super) fn ui(&self) -> &Ui {
        &self.ui
    }

    /// Returns the variables of the caller that are text.
    pub(super) fn caller(&self) -> &BTreeMap<String, String> {
        &self.caller
    }

    /// Returns the value of a variable of ours; an empty one counts as unset.
    fn variable(&self, name: &str) -> Option<&str> {
        self.caller
            .get(name)
            .map(String::as_str)
            .filter(|value| !value.is_empty())
    }

    /// Returns whether nothing may be changed.
    pub(super) fn is_dry_run(&self) -> bool {
        self.globals.dry_run.unwrap_or_else(|| {
            let text = self.variable("STAGECRAFT_DRY_RUN");
            text.and_then(|text| truth(text).ok()).unwrap_or(false)
        })
    }

    /// Returns the form of stdout.
    pub(super) fn format(&self) -> Result<Format, CliError> {
        match self.globals.format.as_deref() {
            None | Some("text") => Ok(Format::Text),
            Some("json") => Ok(Format::Json),
            Some(other) => Err(CliError::InvalidFormat {
                given: other.to_owned(),
                allowed: "'text' or 'json'",
            }),
        }
    }

    /// Returns whether a result is to be one JSON document.
    pub(super) fn wants_document(&self) -> bool {
        matches!(self.format(), Ok(Format::Json)) && !self.is_dry_run()
    }

    /// Returns `--format` as given, for commands with forms of their own.
    pub(super) fn raw_format(&self) -> Option<&str> {
        self.globals.format.as_deref()
    }

    /// Returns how many operations may run at once.
    pub(super) fn jobs(&self) -> Result<usize, CliError> {
        if let Some(jobs) = self.globals.jobs {
            return Ok(usize::from(jobs));
        }
        if let Some(text) = self.variable("STAGECRAFT_JOBS") {
            let jobs = text.parse::<u16>().ok().filter(|jobs| *jobs > 0);
            return jobs.map(usize::from).ok_or_else(|| CliError::InvalidJobs {
                given: text.to_owned(),
            });
        }
        Ok(std::thread::available_parallelism().map_or(1, usize::from))
    }

    /// Returns the directory that relative paths of the command line start from.
    pub(super) fn base(&self) -> Result<PathBuf, CliError> {
        let current = std::env::current_dir().map_err(CliError::WorkingDirectory)?;
        let Some(named) = &self.globals.directory else {
            return Ok(current);
        };
        let path = current.join(named);
        match std::fs::canonicalize(&path) {
            Ok(found) if found.is_dir() => Ok(found),
            Ok(_) => Err(CliError::NoDirectory(path, ErrorKind::NotADirectory.into())),
            Err(source) => Err(CliError::NoDirectory(path, source)),
        }
    }

    /// Returns a path given by flag or variable; relative ones start from [`Context::base`].
    fn named_path(
        &self,
        flag: Option<&PathBuf>,
        variable: &str,
    ) -> Result<Option<PathBuf>, CliError> {
        let named = flag.cloned().or_else(|| {
            let value = std::env::var_os(variable).filter(|value| !value.is_empty());
            value.map(PathBuf::from)
        });
        named.map(|path| Ok(self.base()?.join(path))).transpose()
    }

    /// Returns the path of the configuration: the named one, or the first found upwards.
    fn find_config(&self) -> Result<PathBuf, CliError> {
        if let Some(path) = self.named_path(self.globals.config.as_ref(), "STAGECRAFT_CONFIG")? {
            return if path.is_file() {
                Ok(path)
            } else {
                Err(CliError::ConfigNotFound(path))
            };
        }
        let base = self.base()?;
        base.ancestors()
            .map(|directory| directory.join(CONFIG))
            .find(|path| path.is_file())
            .ok_or_else(|| CliError::ConfigNotFound(base.join(CONFIG)))
    }

    /// Returns where `init` writes: the named path, or `stagecraft.yml` where one stands.
    pub(super) fn new_config_path(&self) -> Result<PathBuf, CliError> {
        match self.named_path(self.globals.config.as_ref(), "STAGECRAFT_CONFIG")? {
            Some(path) => Ok(path),
            None => Ok(self.base()?.join(CONFIG)),
        }
    }

    /// Returns the project: found, read, unfolded and validated.
    pub(super) fn project(&self) -> Result<Project, CliError> {
        let path = self.find_config()?;
        let main = read(&path)?;
        let directory = path.parent().map_or_else(PathBuf::new, Path::to_path_buf);
        let root = std::fs::canonicalize(&directory).map_err(|source| CliError::ReadConfig {
            path: directory,
            source,
        })?;
        let name = path
            .file_name()
            .unwrap_or_default()
            .to_string_lossy()
            .into_owned();
        load(root, name, main)
    }

    /// Returns the environment that was asked for, which must be one of `config`.
    pub(super) fn environment(&self, config: &Config) -> Result<EnvironmentName, CliError> {
        self.optional_environment(config)?
            .ok_or_else(|| CliError::EnvironmentRequired {
                known: config.environments.keys().cloned().collect(),
            })
    }

    /// Returns the environment that was asked for, if any; it must be one of `config`.
    pub(super) fn optional_environment(
        &self,
        config: &Config,
    ) -> Result<Option<EnvironmentName>, CliError> {
        let asked = self
            .globals
            .env
            .as_deref()
            .or(self.variable("STAGECRAFT_ENV"));
        let Some(asked) = asked else { return Ok(None) };
        let known = config
            .environments
            .keys()
            .find(|name| name.as_str() == asked);
        known
            .cloned()
            .map(Some)
            .ok_or_else(|| CliError::InvalidEnvironment {
                given: asked.to_owned(),
                known: config.environments.keys().cloned().collect(),
            })
    }

    /// Returns `--env` as given on the command line, for listings that need no configuration.
    pub(super) fn environment_flag(&self) -> Option<&str> {
        self.globals.env.as_deref()
    }

    /// Returns where the store is: flag, variable, or the user's.
    pub(super) fn store_path(&self) -> Result<PathBuf, CliError> {
        if let Some(path) = self.named_path(self.globals.store.as_ref(), "STAGECRAFT_STORE")? {
            return Ok(path);
        }
        let data = match (self.variable("XDG_DATA_HOME"), self.variable("HOME")) {
            (Some(data), _) if data.starts_with('/') => PathBuf::from(data),
            (_, Some(home)) => PathBuf::from(home).join(".local/share"),
            (_, None) => return Err(CliError::NoStore),
        };
        Ok(data.join("stagecraft/store"))
    }

    /// Returns the store, made if it is not there.
    pub(super) fn store(&self) -> Result<Store, CliError> {
        Ok(Store::open(&self.store_path()?)?)
    }

    /// Returns the store if it is there; writes nothing.
    pub(super) fn existing_store(&self) -> Result<Option<Store>, CliError> {
        Ok(Store::open_existing(&self.store_path()?)?)
    }

    /// Returns the directory that a release log belongs to where no configuration is needed: the project's root, or
    /// the directory one stands in.
    pub(super) fn state_root(&self) -> Result<PathBuf, CliError> {
        match self.find_config() {
            Ok(path) => Ok(path.parent().map_or_else(PathBuf::new, Path::to_path_buf)),
            Err(CliError::ConfigNotFound(_)) => self.base(),
            Err(error) => Err(error),
        }
    }

    /// Returns the path of the release log of a project.
    pub(super) fn state_path(root: &Path) -> PathBuf {
        let variable = std::env::var_os("STAGECRAFT_STATE_FILE");
        ReleaseLog::locate(None, variable, root)
    }

    /// Returns the plan that reaches `target`, and what its inputs warn about. With `save`, what was learned about
    /// files is kept for the next time.
    pub(super) fn plan(
        &self,
        project: &Project,
        target: &Target,
        store: Option<&Store>,
        save: bool,
    ) -> Result<(Plan, Vec<Diagnostic>), CliError> {
        let operations = wanted(&project.config, target)?;
        let snapshot = Snapshot::load(&project.root);
        let mut snapshot = if save { snapshot.recording() } else { snapshot };
        let path = std::env::var_os("PATH");
        let request = Request {
            config: &project.config,
            project: &project.root,
            operations: &operations,
            caller: &self.caller,
            path: path.as_deref(),
        };
        let mut inputs = inputs::gather(&request, &mut snapshot)?;
        if let Some(store) = store {
            fingerprint_secrets(&mut inputs, project, &operations, store, save)?;
        }
        if save {
            snapshot.save()?;
        }
        let warnings = std::mem::take(&mut inputs.warnings);
        Ok((
            plan(&project.config, &inputs, target, rules::ALL)?,
            warnings,
        ))
    }

    /// Returns the names in a `--services` list that the configuration has, in its order.
    pub(super) fn services(
        config: &Config,
        given: &[String],
    ) -> Result<Option<Vec<ServiceName>>, CliError> {
        let mut found = Vec::new();
        for name in given {
            let known = config
                .services
                .keys()
                .find(|service| service.as_str() == name);
            found.push(known.cloned().ok_or_else(|| CliError::UnknownService {
                given: name.clone(),
                known: config.services.keys().cloned().collect(),
            })?);
        }
        found.sort();
        found.dedup();
        Ok(if found.is_empty() { None } else { Some(found) })
    }
}

/// Puts a keyed fingerprint beside each secret that an operation may see. The key belongs to the store: without one
/// the operation stays unresolved.
fn fingerprint_secrets(
    inputs: &mut Inputs,
    project: &Project,
    operations: &BTreeSet<OperationName>,
    store: &Store,
    create: bool,
) -> Result<(), CliError> {
    let passed = operations
        .iter()
        .filter_map(|name| project.config.operations.get(name))
        .flat_map(|operation| &operation.pass_env);
    let secrets: BTreeSet<&str> = passed
        .filter(|passed| passed.secret)
        .map(|passed| passed.name.as_str())
        .collect();
    if secrets.is_empty() {
        return Ok(());
    }
    let Some(key) = FingerprintKey::load(store.root_path(), create)? else {
        return Ok(());
    };
    for name in secrets {
        if let Some(value) = inputs.passed.get(name) {
            let fingerprint = key.of(value);
            inputs.fingerprints.insert(name.to_owned(), fingerprint);
        }
    }
    Ok(())
}

/// The words of the original tool for true and false.
fn truth(text: &str) -> Result<bool, &'static str> {
    match text {
        "1" | "t" | "T" | "TRUE" | "true" | "True" => Ok(true),
        "0" | "f" | "F" | "FALSE" | "false" | "False" => Ok(false),
        _ => Err("it is neither true nor false"),
    }
}

/// How much `STAGECRAFT_VERBOSE` asks for: a number, or a word for one or none.
fn verbosity(text: &str) -> u8 {
    text.parse()
        .unwrap_or_else(|_| u8::from(truth(text).unwrap_or(false)))
}

fn read(path: &Path) -> Result<Vec<u8>, CliError> {
    std::fs::read(path).map_err(|source| CliError::ReadConfig {
        path: path.to_path_buf(),
        source,
    })
}

/// Reads what the main file includes, lists what its `for` variables range over, and validates all of it.
fn load(root: PathBuf, name: String, main: Vec<u8>) -> Result<Project, CliError> {
    let document = config::read_bytes(&name, &main);
    let requests = document.requests();
    let globs: Vec<String> = requests
        .include
        .iter()
        .map(|glob| glob.value.clone())
        .collect();
    let mut directories = requests.directories;
    let mut texts = vec![(name, main)];
    let mut included = Vec::new();
    let matched = inputs::expand(&root, &globs, Match::Files, &[])?;
    let paths: BTreeSet<&String> = matched.values().flatten().collect();
    for path in paths {
        let text = read(&root.join(path))?;
        let document = config::read_bytes(path, &text);
        directories.extend(document.requests().directories);
        included.push(document);
        texts.push((path.clone(), text));
    }
    let directories = inputs::expand(&root, &directories, Match::Directories, &[])?;
    let source = config::Source {
        main: document,
        included,
        directories,
    };
    let config = config::parse(&source)?;
    Ok(Project {
        root,
        config,
        texts,
    })
}
