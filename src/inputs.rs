//! `Inputs`: everything outside `stagecraft.yml` that a plan depends on, as digests.
//! The one layer that reads the project; below it no path is opened and no tag resolved.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use stagecraft_store::{Digest, Node};

use crate::config::Diagnostic;
use crate::name::{OperationName, ProjectPath};

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
        Self { identity: Digest::of(b""), description: String::new(), programs: Vec::new() }
    }
}
