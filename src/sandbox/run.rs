//! One operation from start to end: stage, run, collect, and again where `retries` allows.
//! Decides what every ending means; starts no process and copies no file itself.

use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use stagecraft_store::{Object, StoreError};

use crate::action::RunTask;
use crate::config::CommandLine;
use crate::evaluate::{Cause, Completion, ExecutionContext, Failure, Produced};
use crate::sandbox::broom::Broom;
use crate::sandbox::collect::{Collected, collect};
use crate::sandbox::environment::{Places, variables};
use crate::sandbox::explain;
use crate::sandbox::log::Log;
use crate::sandbox::order::{Order, Report, Setting, View};
use crate::sandbox::pool::{Pool, Purpose};
use crate::sandbox::process::{Ending, Helper, Ran};
use crate::sandbox::secret::Secrets;
use crate::sandbox::stage::{Stage, StageError};
use crate::sandbox::toolbox::{Toolbox, Toolboxes};
use crate::sandbox::tree;

/// What all operations of an evaluation share.
#[derive(Debug)]
pub(crate) struct Means {
    /// The program that helpers run.
    pub(crate) helper: PathBuf,
    /// The sets of tools.
    pub(crate) toolboxes: Toolboxes,
    /// The helpers without an order.
    pub(crate) pool: Pool,
    /// What removes stages.
    pub(crate) broom: Broom,
}

impl Means {
    /// Returns means that have not been used: `helper` is the program that helpers run.
    pub(crate) fn new(helper: &Path) -> Self {
        Self {
            helper: helper.to_owned(),
            toolboxes: Toolboxes::default(),
            pool: Pool::default(),
            broom: Broom::default(),
        }
    }
}

/// Runs `task`, the work of `operation`, at `level`.
pub(crate) fn run(
    means: &Means,
    level: u8,
    operation: &str,
    task: &RunTask<'_>,
    context: &ExecutionContext<'_>,
) -> Completion {
    let attempt = Attempt {
        means,
        toolbox: means.toolboxes.of(task.run),
        level,
        operation,
        task,
        context,
    };
    let mut tried = 1;
    loop {
        let (ended, log) = attempt.run();
        match ended {
            Err(Stopped::Failed(failure)) => {
                let again = match failure.cause {
                    Cause::Exit(_) | Cause::Signal(_) => tried <= task.run.limits.retries,
                    _ => false,
                };
                if again && !context.cancel.is_cancelled() {
                    tried += 1;
                    continue;
                }
                return Completion::Failed {
                    failure,
                    log: log.encode(),
                    level: Some(level),
                };
            }
            Err(Stopped::Cancelled) => return Completion::Cancelled,
            Ok(mut produced) => {
                produced.log = log.encode();
                if tried > 1 {
                    produced
                        .warnings
                        .push(format!("succeeded on attempt {tried}"));
                }
                return Completion::Produced(produced);
            }
        }
    }
}

enum Stopped {
    Failed(Failure),
    Cancelled,
}

impl From<Failure> for Stopped {
    fn from(failure: Failure) -> Self {
        Self::Failed(failure)
    }
}

struct Attempt<'a> {
    means: &'a Means,
    toolbox: Arc<Toolbox>,
    level: u8,
    operation: &'a str,
    task: &'a RunTask<'a>,
    context: &'a ExecutionContext<'a>,
}

impl Attempt<'_> {
    fn run(&self) -> (Result<Produced, Stopped>, Log) {
        let mut log = Log::default();
        let ended = self.run_into(&mut log);
        (ended, log)
    }

    fn run_into(&self, log: &mut Log) -> Result<Produced, Stopped> {
        let (task, context) = (self.task, self.context);
        let stage = Stage::build(task, context.project, context.store, self.beside());
        let stage = stage.map_err(staging_failure)?;
        let order = self.order(&stage)?;
        let ran = self.give_order(&order, &stage);
        let ran =
            ran.map_err(|error| machine(format!("the sandbox helper: {}", explain::io(&error))))?;
        *log = ran.log;
        Secrets::of(task.run).mask(log.frames_mut());
        let made = self
            .judge(&ran.ending, &order.name, &stage, log)
            .and_then(|()| self.collect(&stage));
        self.means.broom.sweep(stage.into_scratch());
        made
    }

    /// What a command at level 0 needs beside its tree; at level 2 these are not on disk.
    fn beside(&self) -> &'static [&'static str] {
        if self.level < 2 {
            &["home", "tmp"]
        } else {
            &[]
        }
    }

    /// Has a helper run `order`: one that waits, or another where there is none or it was ended meanwhile.
    fn give_order(&self, order: &Order, stage: &Stage) -> io::Result<Ran> {
        let purpose = self.purpose(stage);
        let (timeout, cancel) = (self.task.run.limits.timeout, self.context.cancel);
        loop {
            let waiting = self.means.pool.take(&purpose);
            let is_fresh = waiting.is_none();
            let mut helper = match waiting {
                Some(helper) => helper,
                None => Helper::start(&self.means.helper, &self.setting(stage)?)?,
            };
            let ran = helper.run(order, timeout, cancel)?;
            match &ran.ending {
                Ending::Reported(
                    Report::Exited(_) | Report::Signaled(_) | Report::Unstartable { .. },
                ) => {
                    self.means.pool.give(purpose, helper);
                }
                Ending::Gone if !is_fresh => continue,
                Ending::Reported(Report::Refused { .. })
                | Ending::TimedOut
                | Ending::Cancelled
                | Ending::Lost
                | Ending::Gone => {}
            }
            return Ok(ran);
        }
    }

    fn purpose(&self, stage: &Stage) -> Purpose {
        if self.level < 2 {
            return Purpose::Directory;
        }
        Purpose::Namespaces {
            toolbox: Arc::clone(&self.toolbox),
            stages: stage.stages().to_owned(),
            network: self.task.run.network,
        }
    }

    /// Returns what a new helper is to be. At level 2 also makes the directory that it needs at first.
    fn setting(&self, stage: &Stage) -> io::Result<Setting> {
        if self.level < 2 {
            return Ok(Setting::Directory);
        }
        Ok(Setting::Namespaces(View {
            mount_point: stage.mount_point()?,
            stages: Some(stage.stages().to_owned()),
            programs: self
                .toolbox
                .programs
                .iter()
                .map(|(name, program)| (name.clone(), program.clone()))
                .collect(),
            files: self.toolbox.files.clone(),
            network: self.task.run.network,
        }))
    }

    /// Returns what the helper is to do.
    fn order(&self, stage: &Stage) -> Result<Order, Failure> {
        let run = self.task.run;
        let programs = &self.toolbox.programs;
        let (name, mut arguments) = match &run.command {
            CommandLine::Script(script) => {
                let shell = ["-eu", "-c", script, "sh"];
                ("sh", shell.map(str::to_owned).to_vec())
            }
            CommandLine::Argv(argv) => match argv.split_first() {
                Some((program, rest)) => (program.as_str(), rest.to_vec()),
                None => return Err(machine("its command is empty".to_owned())),
            },
            CommandLine::Fetch => return Err(machine("fetch is not supported yet".to_owned())),
        };
        arguments.extend(run.arguments.iter().cloned());
        let places = self.places(stage)?;
        let directory = Path::new(&places.tree).join(run.workdir.as_str());
        let program = if name.contains('/') {
            directory.join(name)
        } else if programs.contains_key(name) {
            Path::new(&places.tools).join(name)
        } else {
            return Err(explain::not_on_path(name));
        };
        let environment = variables(run, &places);
        Ok(Order {
            tree: (self.level >= 2).then(|| stage.tree_from_stages()),
            directory,
            program,
            name: name.to_owned(),
            arguments,
            environment,
        })
    }

    fn places(&self, stage: &Stage) -> Result<Places, Failure> {
        if self.level >= 2 {
            return Ok(Places::fixed());
        }
        let text = |path: PathBuf| {
            let path = path.into_os_string().into_string();
            path.map_err(|_| machine("the path of the store is not UTF-8".to_owned()))
        };
        let tools = self.toolbox.directory(self.context.store);
        let tools = tools.map_err(|error| machine(error.to_string()))?;
        Ok(Places {
            tree: text(stage.tree())?,
            tools: text(tools)?,
            home: text(stage.beside("home"))?,
            temporary: text(stage.beside("tmp"))?,
        })
    }

    fn judge(&self, ending: &Ending, name: &str, stage: &Stage, log: &Log) -> Result<(), Stopped> {
        let (task, context) = (self.task, self.context);
        let hint = |status| {
            explain::hint(
                status,
                log.frames(),
                task,
                self.operation,
                &stage.staged,
                context.project,
            )
        };
        Err(Stopped::Failed(match ending {
            Ending::Reported(Report::Exited(0)) => return Ok(()),
            Ending::Cancelled => return Err(Stopped::Cancelled),
            // Ctrl-C reaches the helper too, as long as it has no session of its own.
            Ending::Lost if context.cancel.is_cancelled() => return Err(Stopped::Cancelled),
            Ending::Reported(Report::Exited(status)) => Failure {
                cause: Cause::Exit(*status),
                message: format!("exited with status {status}"),
                hint: hint(Some(*status)),
            },
            Ending::Reported(Report::Signaled(signal)) => Failure {
                cause: Cause::Signal(*signal),
                message: format!("killed by signal {signal}"),
                hint: hint(None),
            },
            Ending::Reported(Report::Unstartable { errno }) => explain::unstartable(name, *errno),
            Ending::Reported(Report::Refused { step, errno }) => Failure {
                cause: Cause::Sandbox,
                message: format!(
                    "sandbox level {}: {step}: {}",
                    self.level,
                    explain::errno(*errno)
                ),
                hint: None,
            },
            Ending::TimedOut => Failure {
                cause: Cause::Timeout,
                message: format!(
                    "took longer than {} (timeout)",
                    explain::duration(task.run.limits.timeout)
                ),
                hint: Some("raise timeout, if it needs more".to_owned()),
            },
            Ending::Lost | Ending::Gone => {
                machine("the sandbox helper was ended from outside".to_owned())
            }
        }))
    }

    fn collect(&self, stage: &Stage) -> Result<Produced, Stopped> {
        let (run, context) = (self.task.run, self.context);
        let left = tree::list(&stage.tree());
        let left = left.map_err(|error| {
            machine(format!("read of what was written: {}", explain::io(&error)))
        })?;
        let mut changed = |path: &str| stage.differs(self.task, context.store, path);
        let collected = collect(
            &run.outputs,
            &run.workdir,
            &stage.staged,
            &left,
            &mut changed,
        );
        let Collected {
            outputs,
            undeclared,
        } = collected.map_err(|missing| explain::missing(&missing))?;
        let warnings = explain::undeclared(&undeclared, &run.workdir);
        if run.limits.undeclared_writes_are_errors && !warnings.is_empty() {
            let (cause, hint) = (
                Cause::UndeclaredWrite,
                Some("sandbox.undeclared_writes is `error`".to_owned()),
            );
            return Err(Failure {
                cause,
                message: warnings.join("\n"),
                hint,
            }
            .into());
        }
        let drifted = stage
            .drifted(self.task, context.project)
            .map(|path| path.as_str().to_owned());
        let mut batch = context.store.batch();
        let output = self.import(&mut batch, stage, &outputs)?;
        Ok(Produced {
            batch,
            output,
            log: Vec::new(),
            level: self.level,
            warnings,
            drifted,
        })
    }

    fn import(
        &self,
        batch: &mut stagecraft_store::Batch,
        stage: &Stage,
        outputs: &[String],
    ) -> Result<Object, Failure> {
        let root = stage.tree().join(self.task.run.workdir.as_str());
        let found = Secrets::of(self.task.run).found_in(&root, outputs);
        let found =
            found.map_err(|error| machine(format!("read of outputs: {}", explain::io(&error))))?;
        if let Some((path, secret)) = found {
            return Err(Failure {
                cause: Cause::MissingOutput,
                message: format!(
                    "output `{path}` cannot be kept: it contains the value of secret `{secret}`"
                ),
                hint: Some(
                    "let the command write something that does not reveal the secret".to_owned(),
                ),
            });
        }
        let relative = |path: &Path| {
            path.strip_prefix(&root)
                .unwrap_or(path)
                .display()
                .to_string()
        };
        batch.import_selected(&root, outputs).map_err(|error| {
            let cannot = |path: &Path, why: &str| Failure {
                cause: Cause::MissingOutput,
                message: format!("output `{}` cannot be kept: {why}", relative(path)),
                hint: None,
            };
            match &error {
                StoreError::Unsupported { path, what } => cannot(path, &format!("it is a {what}")),
                StoreError::NotUtf8 { path } => cannot(path, "its name or target is not UTF-8"),
                StoreError::TooDeep { path } => {
                    cannot(path, "it is nested deeper than 256 directories")
                }
                StoreError::Io { path, source } => machine(format!(
                    "output `{}`: {}",
                    relative(path),
                    explain::io(source)
                )),
                other => machine(format!("outputs: {other}")),
            }
        })
    }
}

fn machine(message: String) -> Failure {
    Failure {
        cause: Cause::Machine,
        message,
        hint: None,
    }
}

fn staging_failure(error: StageError) -> Failure {
    match error {
        StageError::Drift { .. } => {
            let hint = Some(
                "let nothing else write to the project while it is built, and run again".to_owned(),
            );
            Failure {
                cause: Cause::Drift,
                message: error.to_string(),
                hint,
            }
        }
        StageError::Mount {
            source: StoreError::Corrupt { .. } | StoreError::Absent { .. },
            ..
        } => Failure {
            cause: Cause::MissingBytes,
            message: error.to_string(),
            hint: Some("run `stagecraft store verify --repair`".to_owned()),
        },
        StageError::Io { path, source } => {
            let name = path
                .file_name()
                .map_or_else(|| path.display(), |name| Path::new(name).display());
            machine(format!("staging of `{name}`: {}", explain::io(&source)))
        }
        StageError::Mount { .. } | StageError::Scratch(_) => machine(error.to_string()),
    }
}
