//! `Inputs`: everything outside `stagecraft.yml` that a plan depends on, as digests.
//! The one layer that reads the project; below it no path is opened and no tag resolved.

mod base;
mod content;
mod elf;
mod error;
mod expand;
mod fingerprint;
mod glob;
mod loader;
mod machine;
mod nearest;
mod packages;
mod runtime;
mod select;
mod snapshot;
mod sources;
mod stamp;
mod tools;
mod trace;
mod walk;

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use stagecraft_store::{Digest, Node};

pub use error::InputError;
pub use expand::{Match, expand};
pub use fingerprint::FingerprintKey;
pub use snapshot::Snapshot;

use crate::config::{Config, Diagnostic, Diagnostics};
use crate::name::{OperationName, ProjectPath};
use machine::Machine;

/// What to gather, and what of the caller may be seen.
#[derive(Debug, Clone, Copy)]
pub struct Request<'a> {
    /// The project's configuration.
    pub config: &'a Config,
    /// Its root.
    pub project: &'a Path,
    /// The operations whose inputs, tools and variables are wanted.
    pub operations: &'a BTreeSet<OperationName>,
    /// The caller's environment.
    pub caller: &'a BTreeMap<String, String>,
    /// The caller's PATH, where tools are looked for.
    pub path: Option<&'a OsStr>,
}

/// The digests below a plan.
#[derive(Debug, Clone, Default)]
pub struct Inputs {
    /// What each operation's `inputs` matched; only the operations that were asked for.
    pub sources: BTreeMap<OperationName, Sources>,
    /// Every tool that one of them names.
    pub tools: BTreeMap<String, Arc<Tool>>,
    /// The base utilities of this machine.
    pub base: Arc<Base>,
    /// The caller's variables that `pass_env` lets through; an unset one is absent.
    pub passed: BTreeMap<String, String>,
    /// What stands for a secret value in keys, for those of `passed` that are secrets; empty without a key.
    pub fingerprints: BTreeMap<String, String>,
    /// `<os>-<architecture>`, as in `linux-x86_64`.
    pub platform: String,
    /// Globs that matched nothing.
    pub warnings: Vec<Diagnostic>,
}

/// Files and symlinks, sorted by path, each once; directories are implied, empty ones do not count.
pub type Sources = Arc<Vec<(ProjectPath, Node)>>;

/// A program that an operation names in `tools`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tool {
    /// The name, as looked up on PATH.
    pub name: String,
    /// What enters the key: the packages of its runtime, or the bytes of its program, interpreter and libraries.
    pub identity: Digest,
    /// For people: `gcc 4:12.2.0-3`, or the digest of the program.
    pub description: String,
    /// The programs that it brings onto PATH, itself included, sorted by name.
    pub programs: Vec<(String, PathBuf)>,
    /// Files and directories outside `/usr` that it needs to see, sorted.
    pub files: Vec<PathBuf>,
}

/// `sh` and the base utilities that every operation finds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// What enters keys unless `sandbox.base` is `trusted`.
    pub identity: Digest,
    /// For people.
    pub description: String,
    /// The programs, sorted by name.
    pub programs: Vec<(String, PathBuf)>,
}

impl Default for Base {
    fn default() -> Self {
        Self {
            identity: Digest::of(b""),
            description: String::new(),
            programs: Vec::new(),
        }
    }
}

/// Gathers what the wanted operations depend on. Every fault that the configuration's author can mend comes at once.
pub fn gather(request: &Request<'_>, snapshot: &mut Snapshot) -> Result<Inputs, InputError> {
    gather_on(request, snapshot, &Machine::this())
}

fn gather_on(
    request: &Request<'_>,
    snapshot: &mut Snapshot,
    machine: &Machine,
) -> Result<Inputs, InputError> {
    snapshot.begin();
    // One step onto the pool: each of the loops inside would wait for a thread to wake up.
    let sources = rayon::scope(|_| sources::gather(request, snapshot))?;
    let tools = tools::gather(request, machine, snapshot)?;
    let faults: Vec<Diagnostic> = sources.faults.into_iter().chain(tools.faults).collect();
    if !faults.is_empty() {
        return Err(InputError::Faults(Diagnostics::new(faults, &[])));
    }
    let mut warnings = sources.warnings;
    warnings.sort();
    warnings.dedup();
    Ok(Inputs {
        sources: sources.sources,
        tools: tools.tools,
        base: tools.base,
        passed: passed(request),
        fingerprints: BTreeMap::new(),
        platform: format!("{}-{}", std::env::consts::OS, std::env::consts::ARCH),
        warnings,
    })
}

fn passed(request: &Request<'_>) -> BTreeMap<String, String> {
    let wanted = request
        .config
        .operations
        .iter()
        .filter(|(name, _)| request.operations.contains(name));
    let names = wanted
        .flat_map(|(_, operation)| &operation.pass_env)
        .map(|variable| &variable.name);
    names
        .filter_map(|name| request.caller.get_key_value(name))
        .map(|(name, value)| (name.clone(), value.clone()))
        .collect()
}
