//! The sandbox: stages what an operation declares, runs it confined, and collects what it declared to make
//! (`spec/sandbox/`). Refuses to run anything whose bytes are not the planned ones, and to publish: what it made is
//! handed back as a batch.

mod broom;
mod collect;
mod confine;
mod environment;
mod explain;
mod fork;
mod level;
mod log;
mod network;
mod order;
mod pool;
mod process;
mod root;
mod run;
mod secret;
mod serve;
mod stage;
mod toolbox;
mod tree;
mod wire;

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

pub use log::{Frame, LogError, Stream, decode_log};
pub use serve::helper;

use crate::action::{Action, Task};
use crate::evaluate::{Cause, Completion, ExecutionContext, Executor, Failure, Observed};
use level::Detected;

/// Why there can be no sandbox as asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum SandboxError {
    /// No version knows the level.
    #[error("sandbox level {level} does not exist; it is 0 to 2")]
    NoSuchLevel {
        /// The level asked for.
        level: u8,
    },
    /// The level is known and cannot be had yet.
    #[error("sandbox level {level} is not supported yet")]
    NotYet {
        /// The level asked for.
        level: u8,
    },
}

/// Runs commands; one for a whole evaluation.
#[derive(Debug)]
pub struct Sandbox {
    project: PathBuf,
    means: run::Means,
    level: Option<u8>,
    require: u8,
    detected: OnceLock<Detected>,
}

impl Sandbox {
    /// Returns a sandbox for `project` that starts `helper`, which is this very program, around each command.
    ///
    /// `level` is the one to use, none for the highest that works; below `require` nothing runs.
    pub fn new(
        project: &Path,
        helper: &Path,
        level: Option<u8>,
        require: u8,
    ) -> Result<Self, SandboxError> {
        match level.unwrap_or(0).max(require) {
            0 | 2 => {}
            1 if level != Some(1) => {}
            1 => return Err(SandboxError::NotYet { level: 1 }),
            level => return Err(SandboxError::NoSuchLevel { level }),
        }
        Ok(Self {
            project: project.to_owned(),
            means: run::Means::new(helper),
            level,
            require,
            detected: OnceLock::new(),
        })
    }

    /// Returns the level that commands reach. Tried once, when first asked for.
    pub fn level(&self) -> u8 {
        match self.level {
            Some(0) => 0,
            _ => self.detected().level,
        }
    }

    /// Returns the one command that would raise the level of this machine, if it is lower than wanted and one is known.
    pub fn raise_hint(&self) -> Option<String> {
        if self.level == Some(0) || self.detected().level == 2 {
            None
        } else {
            level::raise_hint()
        }
    }

    fn detected(&self) -> &Detected {
        self.detected
            .get_or_init(|| level::detect(&self.means.helper, &self.project))
    }

    /// Returns the level to run at, or why nothing may run.
    fn admitted(&self) -> Result<u8, Failure> {
        let wanted = self.level.unwrap_or(0).max(self.require);
        let reached = self.level();
        if reached >= wanted {
            return Ok(reached);
        }
        let asked = if self.level == Some(wanted) {
            "level"
        } else {
            "require"
        };
        let message = match (self.level, &self.detected) {
            (Some(level), _) if level < self.require => {
                format!("sandbox.level is {level}, and sandbox.require is {wanted}")
            }
            (_, detected) => {
                let obstacle = detected
                    .get()
                    .and_then(|detected| detected.obstacle.as_deref());
                let obstacle = obstacle.unwrap_or("unknown reason");
                format!("sandbox level {wanted} is not to be had on this machine: {obstacle}")
            }
        };
        let hint = match self.raise_hint() {
            Some(command) => format!("run `{command}`, or lower sandbox.{asked}"),
            None => format!("lower sandbox.{asked}"),
        };
        Err(Failure {
            cause: Cause::Sandbox,
            message,
            hint: Some(hint),
        })
    }
}

impl Executor for Sandbox {
    fn probe(
        &self,
        _action: &Action<'_>,
        _context: &ExecutionContext<'_>,
    ) -> Result<Observed, Failure> {
        // Only verified operations are asked, and none runs here.
        Ok(Observed::Differs(
            "a command runs when its key is not in the store".to_owned(),
        ))
    }

    fn execute(&self, action: &Action<'_>, context: &ExecutionContext<'_>) -> Completion {
        let failed = |failure| Completion::Failed {
            failure,
            log: Vec::new(),
            level: None,
        };
        let Task::Run(task) = &action.task else {
            return failed(Failure {
                cause: Cause::Machine,
                message: "only commands run in the sandbox".to_owned(),
                hint: None,
            });
        };
        match self.admitted() {
            Err(failure) => failed(failure),
            Ok(level) => run::run(&self.means, level, action.id.as_str(), task, context),
        }
    }
}
