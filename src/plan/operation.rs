//! `Operation`: one node of a plan, and the words for its kind, class and phase.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{CommandLine, HealthConfig, OutputPattern, Resources};
use crate::inputs::{Base, Sources, Tool};
use crate::name::{HostName, OperationName, ProjectPath, ServiceName};
use crate::plan::hash::OpHash;

/// The name of a node: an operation's name, or one made by a rule (`rollout:web@local`, `deploy_prod`).
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct OperationId(String);

impl OperationId {
    /// Returns the id of a configured operation.
    pub fn operation(name: &OperationName) -> Self {
        Self(name.as_str().to_owned())
    }

    /// Returns the id of the rollout of a service on a host.
    pub fn rollout(service: &ServiceName, host: &HostName) -> Self {
        Self(format!("rollout:{service}@{host}"))
    }

    /// Returns the id of the join of all rollouts of an environment.
    pub fn deploy(environment: &crate::name::EnvironmentName) -> Self {
        Self(format!("deploy_{environment}"))
    }

    /// Returns the id of the health gate of an environment.
    pub fn health_check(environment: &crate::name::EnvironmentName) -> Self {
        Self(format!("health_check_{environment}"))
    }

    /// Returns the id that was recorded as `text`.
    pub(crate) fn recorded(text: String) -> Self {
        Self(text)
    }

    /// Returns the id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for OperationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

macro_rules! words {
    ($(#[$doc:meta])* $name:ident { $($(#[$variant_doc:meta])* $variant:ident = $text:literal,)* }) => {
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum $name { $($(#[$variant_doc])* $variant,)* }

        impl $name {
            /// Every value, in order.
            pub const ALL: &[Self] = &[$(Self::$variant,)*];

            /// Returns the word for it in output and records.
            pub fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// Returns the value that `text` is the word for.
            pub fn parse(text: &str) -> Option<Self> {
                Self::ALL.iter().copied().find(|value| value.as_str() == text)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    };
}

words! {
    /// What an operation does (`spec/plan/operations.md`).
    Kind {
        /// A command in the sandbox.
        Run = "run",
        /// A service converges on a host; also the join of an environment.
        Rollout = "rollout",
        /// The health gate of an environment.
        HealthCheck = "health_check",
    }
}

words! {
    /// What decides whether an operation runs.
    Class {
        /// Its key in the store.
        Pure = "pure",
        /// A probe of the live target.
        Verified = "verified",
        /// Evaluated every time.
        Gate = "gate",
    }
}

words! {
    /// The six steps of a release, in order.
    Phase {
        /// Make what is missing.
        Build = "build",
        /// Send images to the registry.
        Push = "push",
        /// Migrations before the rollout.
        MigratePre = "migrate_pre",
        /// Converge the services.
        Rollout = "rollout",
        /// Migrations after the rollout.
        MigratePost = "migrate_post",
        /// Seal the release and move `live`.
        Finalize = "finalize",
    }
}

impl Kind {
    /// Returns the class of all operations of this kind.
    pub fn class(self) -> Class {
        match self {
            Self::Run => Class::Pure,
            Self::Rollout => Class::Verified,
            Self::HealthCheck => Class::Gate,
        }
    }
}

/// One node of a plan.
#[derive(Debug, Clone)]
pub struct Operation {
    /// Its name, unique in the plan.
    pub id: OperationId,
    /// The step of a release that it belongs to.
    pub phase: Phase,
    /// The services that it touches, sorted.
    pub services: Vec<ServiceName>,
    /// The hosts that it acts on, sorted; none for pure operations.
    pub hosts: Vec<HostName>,
    /// For people; in no hash.
    pub description: String,
    /// What is done.
    pub work: Work,
    /// The digest of the recipe: static, reads no file (`spec/plan/hashes.md`).
    pub op_hash: OpHash,
}

impl Operation {
    /// Returns what sort of thing it does.
    pub fn kind(&self) -> Kind {
        match &self.work {
            Work::Run(_) | Work::Recorded => Kind::Run,
            Work::Place(_) | Work::Switch(_) => Kind::Rollout,
            Work::Health(_) => Kind::HealthCheck,
        }
    }

    /// Returns what decides whether it runs.
    pub fn class(&self) -> Class {
        self.kind().class()
    }
}

/// What an operation does, with all that its key needs.
#[derive(Debug, Clone)]
pub enum Work {
    /// A command in the sandbox.
    Run(Box<Run>),
    /// A command of a recorded plan, whose output is known and which is never run again.
    Recorded,
    /// Driver `directory`: the tree of one service below the target's path.
    Place(Place),
    /// Driver `directory`: the release's links, `current`, and `activate`.
    Switch(Switch),
    /// The health gate of an environment.
    Health(Health),
}

/// The recipe of a command and the digests of what it reads.
#[derive(Debug, Clone)]
pub struct Run {
    /// What is started.
    pub command: CommandLine,
    /// Arguments given after `--`, appended to the command.
    pub arguments: Vec<String>,
    /// Where, from the project root.
    pub workdir: ProjectPath,
    /// The globs of its sources, in order, `!` in front of those that exclude.
    pub selectors: Vec<String>,
    /// What it makes, from `workdir`.
    pub outputs: Vec<OutputPattern>,
    /// Whose outputs it finds, and where from `workdir`; sorted by mount.
    pub needs: Vec<(OperationId, ProjectPath)>,
    /// Its own variables.
    pub env: BTreeMap<String, String>,
    /// Variables of the caller that it asked for: name, secret or not.
    pub passed: Vec<(String, bool)>,
    /// Whether it may reach the network.
    pub network: bool,
    /// Whether its result is remembered.
    pub cache: bool,
    /// Its limits; in no hash.
    pub limits: Limits,
    /// The files its selectors matched.
    pub sources: Sources,
    /// The tools it names, sorted by name.
    pub tools: Vec<Arc<Tool>>,
    /// The base utilities; identity left out of the key when `base_trusted`.
    pub base: Arc<Base>,
    /// `sandbox.base: trusted`.
    pub base_trusted: bool,
    /// The caller's values of `passed`, where set; secrets in clear, for the process alone.
    pub values: BTreeMap<String, String>,
    /// What stands for each secret of `values` in keys; absent while the store has no key to make it with.
    pub fingerprints: BTreeMap<String, String>,
    /// `<os>-<architecture>`.
    pub platform: String,
}

impl Run {
    /// Returns the argument list that is started: `sh -eu` for a script, its extra arguments as `$1`…
    pub fn argv(&self) -> Vec<String> {
        let mut argv = match &self.command {
            CommandLine::Argv(argv) => argv.clone(),
            CommandLine::Script(script) => ["sh", "-eu", "-c", script.as_str(), "sh"]
                .map(str::to_owned)
                .to_vec(),
            CommandLine::Fetch => Vec::new(),
        };
        argv.extend(self.arguments.iter().cloned());
        argv
    }

    /// Returns whether two runs with equal keys make equal outputs as far as we can tell.
    pub fn is_remembered(&self) -> bool {
        self.cache
    }
}

/// What bounds a run without being part of what it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Limits {
    /// After this it is killed and has failed.
    pub timeout: Duration,
    /// How often it is tried again.
    pub retries: u32,
    /// What it keeps busy.
    pub resources: Resources,
    /// `sandbox.undeclared_writes: error`.
    pub undeclared_writes_are_errors: bool,
    /// `export`: copied into the source tree after a build.
    pub export: bool,
}

/// The tree of one service at `<path>/trees/<digest>`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Place {
    /// `path` of the environment, as configured.
    pub path: String,
    /// The service.
    pub service: ServiceName,
    /// Whose output tree it is.
    pub artifact: OperationId,
}

/// All services of a release, switched at once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Switch {
    /// `path` of the environment, as configured.
    pub path: String,
    /// Service -> whose output tree; sorted.
    pub services: BTreeMap<ServiceName, OperationId>,
    /// Run in the project root after the switch.
    pub activate: Option<Vec<String>>,
    /// The gate that follows; part of what "nothing changed" means.
    pub health: Option<HealthConfig>,
}

/// A health gate over a switched environment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Health {
    /// What must hold.
    pub check: HealthConfig,
    /// What to go back to when it does not.
    pub switch: Switch,
}
