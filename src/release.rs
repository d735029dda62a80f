//! `Release`: what a deploy made, the log of them, and the way back.
//! Pure but for the log's file and the environment's lock; knows no provider and prints nothing.

pub mod diff;
mod document;
pub mod id;
pub mod lock;
pub mod log;
pub mod manifest;
pub mod phase;
pub mod rollback;
pub mod status;
pub mod timestamp;

pub use diff::Difference;
pub use id::ReleaseId;
pub use lock::{EnvironmentLock, Holder, LockError};
pub use log::{LogError, NewRelease, Release, ReleaseLog, RunOutcome};
pub use manifest::{Manifest, ManifestError, ManifestOperation, SealError, Sealed, seal};
pub use phase::{PhaseError, PhaseStep, run_phases};
pub use rollback::{RollbackError, RollbackTarget};
pub use status::{PhaseStatus, Phases};
pub use timestamp::Timestamp;
