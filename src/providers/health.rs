//! The health gate: asks until enough answers in a row are good, or the deadline passes (`spec/deploy/health.md`).
//! Serves the kind `health_check`; decides nothing about how a target goes back, but has it go back.

mod dial;
mod http;

use std::io;
use std::path::Path;
use std::time::Duration;

use crate::action::{Action, HealthTask, Task};
use crate::config::{HealthCheck, HealthConfig};
use crate::evaluate::{Cancel, Cause, Completion, ExecutionContext, Executor, Failure, Observed};
use crate::providers::command::{Ended, HookCommand, tail};
use crate::providers::directory::{hook_output, switch};
use crate::providers::wait::{Deadline, Woken, wait};

/// How long one answer may take, within the deadline of all.
const PATIENCE: Duration = Duration::from_secs(5);

/// Evaluates health gates.
#[derive(Debug, Clone, Copy, Default)]
pub struct HealthGate;

impl Executor for HealthGate {
    fn probe(
        &self,
        _action: &Action<'_>,
        _context: &ExecutionContext<'_>,
    ) -> Result<Observed, Failure> {
        Ok(Observed::Differs(
            "a gate is evaluated every time".to_owned(),
        ))
    }

    fn execute(&self, action: &Action<'_>, context: &ExecutionContext<'_>) -> Completion {
        match &action.task {
            Task::Health(task) => evaluate(task, context),
            Task::Run(_) | Task::Place(_) | Task::Switch(_) => {
                failed(Cause::Machine, "a health gate cannot do this".to_owned())
            }
        }
    }
}

fn evaluate(task: &HealthTask<'_>, context: &ExecutionContext<'_>) -> Completion {
    match Gate::new(task, context).run() {
        Verdict::Passed => match switch::passed(&task.switch, context) {
            Ok(()) => Completion::Done,
            Err(error) => failed(Cause::Machine, error.to_string()),
        },
        Verdict::Cancelled => switch::revert(&task.switch, context, None),
        Verdict::Failed(complaint) => switch::revert(&task.switch, context, Some(&complaint)),
    }
}

fn failed(cause: Cause, message: String) -> Completion {
    Completion::Failed {
        failure: Failure {
            cause,
            message,
            hint: None,
        },
        log: Vec::new(),
        level: None,
    }
}

enum Verdict {
    Passed,
    Failed(String),
    Cancelled,
}

/// One answer to one question.
pub(super) enum Answer {
    /// As it should be.
    Good,
    /// Anything else, in words.
    Bad(String),
    /// The work was cancelled before it came.
    Cancelled,
}

impl Answer {
    /// Returns the answer that a failed call is.
    fn failure(error: &io::Error) -> Self {
        Self::Bad(error.to_string())
    }
}

struct Gate<'g> {
    config: &'g HealthConfig,
    project: &'g Path,
    path: &'g str,
    release: &'g str,
    cancel: &'g Cancel,
    deadline: Deadline,
}

impl<'g> Gate<'g> {
    fn new(task: &HealthTask<'g>, context: &ExecutionContext<'g>) -> Self {
        Self {
            config: task.check,
            project: context.project,
            path: task.switch.path,
            release: context.release.unwrap_or_default(),
            cancel: context.cancel,
            deadline: Deadline::after(task.check.deadline),
        }
    }

    fn run(&self) -> Verdict {
        let mut good = 0;
        loop {
            let last = match self.ask() {
                Answer::Cancelled => return Verdict::Cancelled,
                Answer::Good => {
                    good += 1;
                    "good".to_owned()
                }
                Answer::Bad(answer) => {
                    good = 0;
                    answer
                }
            };
            if good >= self.config.samples {
                return Verdict::Passed;
            }
            match wait(
                None,
                Some(self.cancel),
                self.deadline.within(self.config.interval),
            ) {
                Ok(Woken::Cancelled) => return Verdict::Cancelled,
                Ok(Woken::Ready | Woken::Late) => {}
                Err(error) => return Verdict::Failed(format!("{}: {error}", self.question())),
            }
            if self.deadline.has_passed() {
                return Verdict::Failed(self.complaint(good, &last));
            }
        }
    }

    fn ask(&self) -> Answer {
        let deadline = self.deadline.within(PATIENCE);
        match &self.config.check {
            HealthCheck::Http(url) => http::ask(url, self.cancel, deadline),
            HealthCheck::Tcp(address) => match dial::dial(address, self.cancel, deadline) {
                Ok(Some(_)) => Answer::Good,
                Ok(None) => Answer::Cancelled,
                Err(error) => Answer::failure(&error),
            },
            HealthCheck::Exec(argv) => self
                .run_command(argv)
                .unwrap_or_else(|error| Answer::failure(&error)),
        }
    }

    /// A command may take until the deadline of all answers.
    fn run_command(&self, argv: &[String]) -> io::Result<Answer> {
        let output = hook_output(self.path, self.project).map_err(io::Error::other)?;
        let command = HookCommand {
            argv,
            project: self.project,
            release: self.release,
            output: &output,
        };
        let ended = command.run(Some(self.cancel), self.deadline)?;
        if ended == Ended::Cancelled {
            return Ok(Answer::Cancelled);
        }
        Ok(match ended.complaint() {
            None => Answer::Good,
            Some(complaint) => match tail(&output, 0)? {
                text if text.is_empty() => Answer::Bad(complaint),
                text => Answer::Bad(format!("{complaint}:\n{text}")),
            },
        })
    }

    fn question(&self) -> String {
        match &self.config.check {
            HealthCheck::Http(url) => format!("health check `GET {url}`"),
            HealthCheck::Tcp(address) => format!("health check `tcp {address}`"),
            HealthCheck::Exec(argv) => format!("health check `{}`", argv.join(" ")),
        }
    }

    fn complaint(&self, good: u32, last: &str) -> String {
        let wanted = self.config.samples;
        let seconds = self.config.deadline.as_secs_f64();
        let row = if wanted > 1 {
            format!(" ({good} of {wanted} in a row)")
        } else {
            String::new()
        };
        format!(
            "{} did not hold within {seconds} s{row}; last answer: {last}",
            self.question()
        )
    }
}
