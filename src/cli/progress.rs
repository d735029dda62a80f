//! What a run looks like while it goes on: a live line on a terminal, plain lines in a pipe.

use std::collections::BTreeSet;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use super::ui::Ui;
use crate::evaluate::{Event, Observer, Status};

/// Shows an evaluation on stderr.
pub(super) struct Progress {
    ui: Ui,
    bar: Option<ProgressBar>,
    running: BTreeSet<String>,
}

impl Progress {
    /// Returns a view that fits stderr.
    pub(super) fn new(ui: &Ui) -> Self {
        Self {
            ui: ui.clone(),
            bar: None,
            running: BTreeSet::new(),
        }
    }

    fn say(&self, text: &str) {
        match &self.bar {
            Some(bar) => bar.suspend(|| self.ui.say(text)),
            None => self.ui.say(text),
        }
    }

    fn begin(&mut self, total: usize) {
        if !self.ui.is_terminal() || total == 0 {
            return;
        }
        let total = u64::try_from(total).unwrap_or(u64::MAX);
        let bar = ProgressBar::with_draw_target(Some(total), ProgressDrawTarget::stderr());
        let style = ProgressStyle::with_template("{spinner} [{pos}/{len}] {elapsed} {wide_msg}");
        bar.set_style(style.unwrap_or_else(|_| ProgressStyle::default_bar()));
        bar.tick();
        bar.enable_steady_tick(Duration::from_millis(120));
        self.bar = Some(bar);
    }

    fn show_running(&self) {
        if let Some(bar) = &self.bar {
            let names: Vec<&str> = self.running.iter().map(String::as_str).collect();
            bar.set_message(names.join(", "));
        }
    }
}

impl Observer for Progress {
    fn on(&mut self, event: &Event<'_>) {
        match event {
            Event::Began { total } => self.begin(*total),
            Event::Started { operation, reason } => {
                self.running.insert(operation.id.to_string());
                self.say(&format!(
                    "{} {}: {reason}",
                    self.ui.paint("2", "start"),
                    operation.id
                ));
                self.show_running();
            }
            Event::Finished { operation, outcome } => {
                self.running.remove(operation.id.as_str());
                if let Some(bar) = &self.bar {
                    bar.inc(1);
                }
                let quiet = match outcome.status {
                    Status::Hit | Status::Skipped | Status::Cancelled => self.ui.verbosity() == 0,
                    Status::Ran
                    | Status::Applied
                    | Status::Converged
                    | Status::Passed
                    | Status::Failed => false,
                };
                if !quiet {
                    self.say(&finished(
                        &self.ui,
                        operation.id.as_str(),
                        outcome.status,
                        outcome.milliseconds,
                    ));
                }
                self.show_running();
            }
        }
    }
}

fn finished(ui: &Ui, id: &str, status: Status, milliseconds: u64) -> String {
    let colour = match status {
        Status::Failed => "31",
        Status::Skipped | Status::Cancelled => "33",
        Status::Hit | Status::Ran | Status::Applied | Status::Converged | Status::Passed => "32",
    };
    let word = ui.paint(colour, status.as_str());
    if status == Status::Hit {
        return format!("{word} {id}");
    }
    format!(
        "{word} {id} ({}.{:03} s)",
        milliseconds / 1000,
        milliseconds % 1000
    )
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }
}
