//! Driver `directory` and the health gate, over real trees, links, commands and sockets.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]
#![expect(
    clippy::disallowed_methods,
    reason = "effects: looks at the target directory"
)]

mod crash;
mod health;
mod retention;
mod switch;
mod tree;

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use stagecraft::action::{Action, HealthTask, PlaceTask, SwitchTask, Task};
use stagecraft::config::{HealthCheck, HealthConfig};
use stagecraft::evaluate::{Cancel, Cause, Completion, ExecutionContext, Executor, Observed};
use stagecraft::name::ServiceName;
use stagecraft::plan::operation::OperationId;
use stagecraft::providers::directory::DirectoryDriver;
use stagecraft::providers::health::HealthGate;
use stagecraft_store::{ActionKey, Digest, Object, Store, TreeBuilder};
use tempfile::TempDir;

/// A project that deploys to `deploy` below it, with one service for each entry of `services`.
struct Site {
    root: PathBuf,
    temporary: Option<TempDir>,
    store: Store,
    cancel: Cancel,
    services: BTreeMap<ServiceName, Object>,
    activate: Option<Vec<String>>,
    health: Option<HealthConfig>,
}

/// How an operation ended, in a form that tests compare.
#[derive(Debug, PartialEq, Eq)]
enum End {
    Done,
    Converged,
    Cancelled,
    Failed(Cause, String),
}

impl From<Completion> for End {
    fn from(completion: Completion) -> Self {
        match completion {
            Completion::Done => Self::Done,
            Completion::Cancelled => Self::Cancelled,
            Completion::Failed { failure, .. } => Self::Failed(failure.cause, failure.message),
            Completion::Produced(_) => unreachable!("the driver makes no trees"),
        }
    }
}

impl Site {
    /// A project without `activate` and `health`, whose service `site` has one page with this text.
    fn new(page: &str) -> Self {
        let directory = TempDir::new().unwrap();
        fs::create_dir(directory.path().join("project")).unwrap();
        let mut site = Self::at(directory.path());
        site.temporary = Some(directory);
        site.serve("site", &[("index.html", page)]);
        site
    }

    /// The project and store in a directory that another process made.
    fn at(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
            temporary: None,
            store: Store::open(&root.join("store")).unwrap(),
            cancel: Cancel::new().unwrap(),
            services: BTreeMap::new(),
            activate: None,
            health: None,
        }
    }

    /// Gives a service a tree of these files; a path that ends in `*` is executable, a text `-> x` is a symlink.
    fn serve(&mut self, service: &str, files: &[(&str, &str)]) -> Object {
        let mut batch = self.store.batch();
        let mut builder = TreeBuilder::new();
        for (path, text) in files {
            if let Some(target) = text.strip_prefix("-> ") {
                builder.symlink(path, target).unwrap();
                continue;
            }
            let object = batch.put(text.as_bytes()).unwrap();
            builder
                .file(path.trim_end_matches('*'), &object, path.ends_with('*'))
                .unwrap();
        }
        let built = builder.build();
        batch.add_tree(&built).unwrap();
        self.store
            .commit(vec![batch], Vec::new(), Vec::new())
            .unwrap();
        self.services.insert(service.parse().unwrap(), built.root);
        built.root
    }

    /// Writes an executable script into the project and makes it `activate`.
    fn activate_with(&mut self, script: &str) {
        self.script("reload.sh", script);
        self.activate = Some(vec!["./reload.sh".to_owned(), "now".to_owned()]);
    }

    fn script(&self, name: &str, script: &str) {
        let path = self.project().join(name);
        fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
    }

    fn check_with(&mut self, check: HealthCheck, samples: u32, deadline: u64) {
        self.health = Some(HealthConfig {
            check,
            interval: std::time::Duration::from_millis(10),
            samples,
            deadline: std::time::Duration::from_millis(deadline),
        });
    }

    fn project(&self) -> PathBuf {
        self.root.join("project")
    }

    fn path(&self, below: &str) -> PathBuf {
        self.project().join("deploy").join(below)
    }

    fn read(&self, below: &str) -> String {
        fs::read_to_string(self.path(below)).unwrap()
    }

    /// Where `current` points, or nothing.
    fn current(&self) -> Option<String> {
        fs::read_link(self.path("current"))
            .ok()
            .map(|link| link.to_str().unwrap().to_owned())
    }

    /// The names in a directory of the target that are not hidden, sorted.
    fn names(&self, below: &str) -> Vec<String> {
        let mut names: Vec<String> = fs::read_dir(self.path(below))
            .unwrap()
            .map(|entry| entry.unwrap().file_name().into_string().unwrap())
            .collect();
        names.sort();
        names
    }

    fn switch_task(&self) -> SwitchTask<'_> {
        SwitchTask {
            path: "deploy",
            services: self
                .services
                .iter()
                .map(|(service, tree)| (service, *tree))
                .collect(),
            activate: self.activate.as_deref(),
            health: self.health.as_ref(),
        }
    }

    fn perform(&self, release: &str, executor: &dyn Executor, task: Task<'_>) -> End {
        let id = OperationId::operation(&"operation".parse().unwrap());
        let action = Action {
            id: &id,
            key: ActionKey(Digest::of(b"key")),
            task,
        };
        let project = self.project();
        let context = ExecutionContext {
            store: &self.store,
            project: &project,
            cancel: &self.cancel,
            release: Some(release),
        };
        match executor.probe(&action, &context) {
            Err(failure) => End::Failed(failure.cause, failure.message),
            Ok(Observed::Holds) => match executor.converge(&action, &context).into() {
                End::Done => End::Converged,
                other => other,
            },
            Ok(Observed::Differs(_)) => executor.execute(&action, &context).into(),
        }
    }

    fn place(&self, release: &str) -> Vec<End> {
        let place = |(service, tree): (&ServiceName, &Object)| {
            let task = PlaceTask {
                path: "deploy",
                service,
                tree: *tree,
            };
            self.perform(release, &DirectoryDriver, Task::Place(task))
        };
        self.services.iter().map(place).collect()
    }

    fn switch(&self, release: &str) -> End {
        self.perform(release, &DirectoryDriver, Task::Switch(self.switch_task()))
    }

    fn gate(&self, release: &str) -> End {
        let Some(check) = &self.health else {
            return End::Done;
        };
        let task = HealthTask {
            check,
            switch: self.switch_task(),
        };
        self.perform(release, &HealthGate, Task::Health(task))
    }

    /// Places, switches and checks, as an evaluation does; returns how the switch ended, or else what failed.
    fn deploy(&self, release: &str) -> End {
        let placed = self.place(release);
        if let Some(failed) = placed
            .into_iter()
            .find(|end| !matches!(end, End::Done | End::Converged))
        {
            return failed;
        }
        let switched = self.switch(release);
        if !matches!(switched, End::Done | End::Converged) {
            return switched;
        }
        match self.gate(release) {
            End::Done => switched,
            other => other,
        }
    }
}

/// The id of the release made at a second.
fn release(second: u32) -> String {
    format!("rel-20250102-0304{second:02}000")
}

fn link(second: u32) -> String {
    format!("releases/{}", release(second))
}

fn is_empty(path: &Path) -> bool {
    fs::read_dir(path).unwrap().next().is_none()
}
