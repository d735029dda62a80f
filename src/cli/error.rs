//! `CliError`: every way a command can end badly before or beside its operations, with exit code and hints.
//! The only place that turns errors into exit codes.

use std::error::Error as _;
use std::io;
use std::path::PathBuf;

use stagecraft_store::StoreError;

use super::exit::Exit;
use crate::config::Diagnostics;
use crate::config::nearest::nearest;
use crate::inputs::InputError;
use crate::name::{EnvironmentName, ServiceName};
use crate::plan::{FilterError, PlanError};
use crate::providers::directory::DirectoryError;
use crate::release::lock::LockError;
use crate::release::log::LogError;
use crate::release::manifest::{ManifestError, SealError};
use crate::release::rollback::RollbackError;
use crate::sandbox::SandboxError;

/// Why a command ended without its result.
#[derive(Debug, thiserror::Error)]
pub(super) enum CliError {
    #[error("stagecraft config not found at {}", .0.display())]
    ConfigNotFound(PathBuf),
    #[error("loading config: reading config file: {}", path.display())]
    ReadConfig { path: PathBuf, source: io::Error },
    #[error(transparent)]
    Config(#[from] Diagnostics),
    #[error("--env is required")]
    EnvironmentRequired { known: Vec<EnvironmentName> },
    #[error("invalid environment: {given}")]
    InvalidEnvironment {
        given: String,
        known: Vec<EnvironmentName>,
    },
    #[error("unknown service in build plan: {given}")]
    UnknownService {
        given: String,
        known: Vec<ServiceName>,
    },
    #[error("invalid format: {given} (must be {allowed})")]
    InvalidFormat {
        given: String,
        allowed: &'static str,
    },
    #[error("STAGECRAFT_JOBS is `{given}`, not a number from 1 to 65535")]
    InvalidJobs { given: String },
    #[error("{0}")]
    Usage(&'static str),
    #[error("unknown {sort} `{given}`")]
    Unknown {
        sort: &'static str,
        given: String,
        known: Vec<String>,
    },
    #[error("the working directory is not to be had")]
    WorkingDirectory(#[source] io::Error),
    #[error("there is no directory {}", .0.display())]
    NoDirectory(PathBuf, #[source] io::Error),
    #[error("{what}")]
    Planning {
        what: &'static str,
        source: Box<CliError>,
    },
    #[error("creating {what}release")]
    Creating {
        what: &'static str,
        source: LogError,
    },
    #[error("applying filters: role {given:?} not found in plan")]
    UnknownRole { given: String, known: Vec<String> },
    #[error("no place for the store: neither HOME nor XDG_DATA_HOME is set")]
    NoStore,
    #[error("there is no store at {}", .0.display())]
    StoreAbsent(PathBuf),
    #[error("{} {what}", path.display())]
    File {
        path: PathBuf,
        what: &'static str,
        source: io::Error,
    },
    #[error(transparent)]
    Plan(#[from] PlanError),
    #[error(transparent)]
    Filter(#[from] FilterError),
    #[error(transparent)]
    Input(#[from] InputError),
    #[error(transparent)]
    Store(#[from] StoreError),
    #[error(transparent)]
    Sandbox(#[from] SandboxError),
    #[error(transparent)]
    Log(#[from] LogError),
    #[error(transparent)]
    Lock(#[from] LockError),
    #[error(transparent)]
    Rollback(#[from] RollbackError),
    #[error(transparent)]
    Manifest(ManifestError),
    #[error(transparent)]
    Directory(#[from] DirectoryError),
    #[error("{what} failed: {message}")]
    Phase {
        what: &'static str,
        message: String,
        exit: Exit,
    },
    #[error("bytes of release {release} are missing: {}", missing.join(", "))]
    MissingBytes {
        release: String,
        missing: Vec<String>,
    },
    #[error("stream is damaged: the log entry of `{name}` does not belong to it")]
    ForeignEntry { name: String },
    #[error("signals cannot be watched")]
    Signals(#[source] io::Error),
    #[error("stdout cannot be written")]
    Output(#[source] io::Error),
}

/// What was going on when there was no plan.
pub(super) const PLANNING: &str = "generating deployment plan";

impl CliError {
    /// Says what was planned, where a plan could not be made.
    pub(super) fn planning(self, what: &'static str) -> Self {
        match self {
            Self::Plan(_) | Self::Input(_) => Self::Planning {
                what,
                source: Box::new(self),
            },
            other => other,
        }
    }

    /// Returns the error and its sources as one text.
    pub(super) fn text(&self) -> String {
        let mut text = self.to_string();
        let mut source = self.source();
        while let Some(next) = source {
            let next_text = next.to_string();
            if !text.ends_with(&next_text) {
                text = format!("{text}: {next_text}");
            }
            source = next.source();
        }
        text
    }

    /// Returns what to do about it, one line each.
    pub(super) fn hints(&self) -> Vec<String> {
        match self {
            Self::ConfigNotFound(_) => vec!["run `stagecraft init` to write one".to_owned()],
            Self::EnvironmentRequired { known } | Self::InvalidEnvironment { known, .. } => {
                vec![listing("environments", known)]
            }
            Self::UnknownService { known, .. }
            | Self::Plan(PlanError::UnknownService { known, .. }) => {
                vec![listing("services", known)]
            }
            Self::UnknownRole { known, .. } => vec![listing("roles", known)],
            Self::Planning { source, .. } => source.hints(),
            Self::Lock(LockError::Held { .. }) => {
                vec!["wait for it to end, or stop that process; the lock ends with it".to_owned()]
            }
            Self::Rollback(error) => rollback_hints(error),
            Self::Plan(PlanError::UnknownOperation { name, known }) => {
                near(name, "operations", known)
            }
            Self::Unknown { given, known, .. } => near(given, "there are", known),
            Self::StoreAbsent(_) => vec!["it is made by the first build".to_owned()],
            Self::MissingBytes { .. } => {
                vec![
                    "build that version again from its sources, or bring the store it was made in"
                        .to_owned(),
                ]
            }
            Self::Log(error) | Self::Creating { source: error, .. } => {
                error.hint().map(str::to_owned).into_iter().collect()
            }
            Self::Store(error) if super::transfer::is_bad_stream(error) => {
                vec!["nothing was rooted; export it again, or bring the whole file".to_owned()]
            }
            Self::Store(error) if is_damage(error) => {
                vec!["run `stagecraft store verify --repair`, then the command again".to_owned()]
            }
            _ => Vec::new(),
        }
    }

    /// Returns the exit code.
    pub(super) fn exit(&self) -> Exit {
        match self {
            Self::Plan(error) => match error {
                PlanError::NotSupported { .. }
                | PlanError::UnknownOperation { .. }
                | PlanError::UnknownService { .. }
                | PlanError::UnknownEnvironment { .. } => Exit::User,
                PlanError::Duplicate { .. }
                | PlanError::Unknown { .. }
                | PlanError::Cycle { .. } => Exit::Plan,
            },
            Self::Input(_) => Exit::Plan,
            Self::Planning { source, .. } => source.exit(),
            Self::Store(error) if is_damage(error) => Exit::Damaged,
            Self::Store(StoreError::RootTaken { .. }) => Exit::User,
            Self::Manifest(_) | Self::MissingBytes { .. } | Self::ForeignEntry { .. } => {
                Exit::Damaged
            }
            Self::Log(error)
            | Self::Creating { source: error, .. }
            | Self::Rollback(RollbackError::Log(error)) => of_log(error),
            Self::Lock(LockError::Held { .. }) => Exit::Locked,
            Self::Sandbox(_) => Exit::Build,
            Self::Phase { exit, .. } => *exit,
            Self::Store(_)
            | Self::Lock(_)
            | Self::Signals(_)
            | Self::Output(_)
            | Self::WorkingDirectory(_)
            | Self::Directory(_)
            | Self::File { .. } => Exit::Internal,
            Self::ConfigNotFound(_)
            | Self::ReadConfig { .. }
            | Self::Config(_)
            | Self::EnvironmentRequired { .. }
            | Self::InvalidEnvironment { .. }
            | Self::UnknownService { .. }
            | Self::UnknownRole { .. }
            | Self::NoDirectory(..)
            | Self::InvalidFormat { .. }
            | Self::InvalidJobs { .. }
            | Self::Usage(_)
            | Self::Unknown { .. }
            | Self::NoStore
            | Self::StoreAbsent(_)
            | Self::Filter(_)
            | Self::Rollback(_) => Exit::User,
        }
    }
}

impl From<SealError> for CliError {
    fn from(error: SealError) -> Self {
        match error {
            SealError::Store(error) => Self::Store(error),
            SealError::Manifest(error) => Self::Manifest(error),
        }
    }
}

fn of_log(error: &LogError) -> Exit {
    match error {
        LogError::Damaged { .. } | LogError::Entry { .. } => Exit::Damaged,
        LogError::Locked { .. } => Exit::Locked,
        LogError::Taken { .. }
        | LogError::EmptyEnvironment
        | LogError::EmptyVersion
        | LogError::NotFound { .. }
        | LogError::NoCurrent { .. }
        | LogError::UnknownPhase { .. } => Exit::User,
        LogError::Transition { .. }
        | LogError::Order { .. }
        | LogError::Read { .. }
        | LogError::Write { .. }
        | LogError::Exhausted { .. } => Exit::Internal,
    }
}

fn rollback_hints(error: &RollbackError) -> Vec<String> {
    match error {
        RollbackError::Log(error) => error.hint().map(str::to_owned).into_iter().collect(),
        RollbackError::NotFound { .. }
        | RollbackError::NoVersion { .. }
        | RollbackError::NotFullyDeployed { .. }
        | RollbackError::Current { .. }
        | RollbackError::OtherEnvironment { .. } => {
            vec!["`stagecraft releases list` shows what there is".to_owned()]
        }
        RollbackError::NoCurrent { .. }
        | RollbackError::NoPrevious
        | RollbackError::TargetRequired
        | RollbackError::SeveralTargets => Vec::new(),
    }
}

fn is_damage(error: &StoreError) -> bool {
    matches!(
        error,
        StoreError::Corrupt { .. }
            | StoreError::Newer { .. }
            | StoreError::Format
            | StoreError::DamagedRoot { .. }
            | StoreError::Incomplete { .. }
            | StoreError::Absent { .. }
            | StoreError::Stream(_)
    )
}

fn listing<T: std::fmt::Display>(what: &str, known: &[T]) -> String {
    if known.is_empty() {
        return format!("the configuration has no {what}");
    }
    let names: Vec<String> = known.iter().map(ToString::to_string).collect();
    format!("{what}: {}", names.join(", "))
}

/// The names most like `given`, or all of them where they are few.
fn near(given: &str, what: &str, known: &[String]) -> Vec<String> {
    match nearest(given, known.iter().map(String::as_str)) {
        Some(name) => vec![format!("did you mean `{name}`?")],
        None if known.len() <= 20 => vec![listing(what, known)],
        None => Vec::new(),
    }
}
