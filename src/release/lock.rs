//! `EnvironmentLock`: one deploy or rollback per environment at a time (`spec/release/lock.md`).
//! Effects: a lock file that the kernel releases with the process and that is never removed.
#![expect(
    clippy::disallowed_methods,
    reason = "effects: the environment's lock file"
)]

use std::fmt;
use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Read, Seek, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use serde_json::{Value, json};

use crate::name::EnvironmentName;
use crate::release::timestamp::Timestamp;

/// Who holds a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The user.
    pub who: String,
    /// The process.
    pub process: u32,
    /// What it does: `deploy`, `rollback`.
    pub command: String,
    /// Since when.
    pub started: Timestamp,
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            who,
            process,
            command,
            started,
        } = self;
        write!(
            f,
            "`{command}` of {who}, process {process}, since {started}"
        )
    }
}

/// Why a lock was not taken.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// Another process holds it.
    #[error("environment `{environment}` is locked by {}", holder_text(holder.as_ref()))]
    Held {
        /// The environment.
        environment: EnvironmentName,
        /// Who; absent in the moment before it signed.
        holder: Option<Holder>,
    },
    /// The lock file cannot be used.
    #[error("locking {path}: {source}")]
    File {
        /// The lock file.
        path: PathBuf,
        /// The system's answer.
        source: io::Error,
    },
}

fn holder_text(holder: Option<&Holder>) -> String {
    holder.map_or_else(|| "another process".to_owned(), ToString::to_string)
}

/// Held until dropped, or until the process is gone.
#[derive(Debug)]
pub struct EnvironmentLock {
    file: File,
}

impl EnvironmentLock {
    /// Takes the lock of `environment` below `state` (`.stagecraft`) at once or not at all, and signs it.
    pub fn take(
        state: &Path,
        environment: &EnvironmentName,
        holder: &Holder,
    ) -> Result<Self, LockError> {
        let path = state.join("locks").join(format!("{environment}.lock"));
        let failed = |source| LockError::File {
            path: path.clone(),
            source,
        };
        let mut file = open(&path).map_err(failed)?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => {
                return Err(LockError::Held {
                    environment: environment.clone(),
                    holder: signature(&mut file),
                });
            }
            Err(error) => return Err(failed(error.into())),
        }
        sign(&mut file, holder).map_err(failed)?;
        Ok(Self { file })
    }
}

impl Drop for EnvironmentLock {
    /// Takes the signature back and releases the lock.
    fn drop(&mut self) {
        // A signature that stays is read only while the lock is held, and then it has been replaced.
        self.file.set_len(0).ok();
        // Closing alone would leave it to a child that another thread is just starting, until that child's `exec`.
        flock(&self.file, FlockOperation::Unlock).ok();
    }
}

fn open(path: &Path) -> io::Result<File> {
    if let Some(parent) = path.parent() {
        DirBuilder::new()
            .recursive(true)
            .mode(0o750)
            .create(parent)?;
    }
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o640)
        .open(path)
}

fn sign(file: &mut File, holder: &Holder) -> io::Result<()> {
    let signature = json!({
        "who": holder.who,
        "process": holder.process,
        "command": holder.command,
        "started": holder.started.to_string(),
    });
    file.set_len(0)?;
    file.rewind()?;
    file.write_all(signature.to_string().as_bytes())
}

fn signature(file: &mut File) -> Option<Holder> {
    let mut text = String::new();
    file.take(4096).read_to_string(&mut text).ok()?;
    let value: Value = serde_json::from_str(&text).ok()?;
    Some(Holder {
        who: value.get("who")?.as_str()?.to_owned(),
        process: u32::try_from(value.get("process")?.as_u64()?).ok()?,
        command: value.get("command")?.as_str()?.to_owned(),
        started: value.get("started")?.as_str()?.parse().ok()?,
    })
}
