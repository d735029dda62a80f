//! Which release a rollback goes back to (`spec/release/rollback.md`).
//! Reads the log and nothing else; whether the bytes are still there is the manifest's question.

use crate::plan::operation::Phase;
use crate::release::log::{LogError, Release, ReleaseLog};

/// What the caller asked to go back to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum RollbackTarget {
    /// The newest fully deployed release before the live one.
    Previous,
    /// This release.
    Release(String),
    /// The newest release with this version.
    Version(String),
}

/// Why there is nothing to go back to.
#[derive(Debug, thiserror::Error)]
pub enum RollbackError {
    /// No target was given.
    #[error("rollback target required; use --to-previous, --to-release, or --to-version")]
    TargetRequired,
    /// More than one target was given.
    #[error("only one rollback target flag may be specified")]
    SeveralTargets,
    /// Nothing was ever deployed.
    #[error("no current release found for environment \"{environment}\"")]
    NoCurrent {
        /// The environment.
        environment: String,
    },
    /// Nothing was fully deployed before the live release.
    #[error("no previous release to rollback to")]
    NoPrevious,
    /// No release has this id.
    #[error("rollback target not found: \"{id}\"")]
    NotFound {
        /// The id as asked for.
        id: String,
    },
    /// The release is another environment's.
    #[error("release \"{id}\" belongs to environment \"{owner}\", not \"{environment}\"")]
    OtherEnvironment {
        /// The release.
        id: String,
        /// Whose it is.
        owner: String,
        /// The environment asked for.
        environment: String,
    },
    /// No release of the environment has this version.
    #[error("no release found with version \"{version}\" in environment \"{environment}\"")]
    NoVersion {
        /// The version as asked for.
        version: String,
        /// The environment.
        environment: String,
    },
    /// The release is live already.
    #[error("cannot rollback to current release \"{id}\"")]
    Current {
        /// The release.
        id: String,
    },
    /// The release did not get through all its phases.
    #[error(
        "rollback target \"{id}\" is not fully deployed (phases: [{}])",
        words(phases)
    )]
    NotFullyDeployed {
        /// The release.
        id: String,
        /// The phases that are neither completed nor skipped for want of work.
        phases: Vec<Phase>,
    },
    /// The log cannot be read.
    #[error(transparent)]
    Log(#[from] LogError),
}

fn words(phases: &[Phase]) -> String {
    phases
        .iter()
        .map(|phase| phase.as_str())
        .collect::<Vec<_>>()
        .join(" ")
}

impl RollbackTarget {
    /// Returns the one target that the three flags give.
    pub fn from_flags(
        previous: bool,
        release: Option<&str>,
        version: Option<&str>,
    ) -> Result<Self, RollbackError> {
        match (previous, release, version) {
            (true, None, None) => Ok(Self::Previous),
            (false, Some(id), None) => Ok(Self::Release(id.to_owned())),
            (false, None, Some(version)) => Ok(Self::Version(version.to_owned())),
            (false, None, None) => Err(RollbackError::TargetRequired),
            _ => Err(RollbackError::SeveralTargets),
        }
    }

    /// Returns the release of `environment` that this target means, once it is known that a rollback may go there.
    pub fn select(&self, log: &ReleaseLog, environment: &str) -> Result<Release, RollbackError> {
        let live = log.live(environment)?;
        let target = match self {
            Self::Previous if live.is_none() => {
                return Err(RollbackError::NoCurrent {
                    environment: environment.to_owned(),
                });
            }
            Self::Previous => log
                .previous(environment)?
                .ok_or(RollbackError::NoPrevious)?,
            Self::Release(id) => by_id(log, environment, id)?,
            Self::Version(version) => by_version(log, environment, version)?,
        };
        if live.is_some_and(|live| live.id == target.id) {
            return Err(RollbackError::Current {
                id: target.id.to_string(),
            });
        }
        let phases = target.phases.incomplete();
        if !phases.is_empty() {
            return Err(RollbackError::NotFullyDeployed {
                id: target.id.to_string(),
                phases,
            });
        }
        Ok(target)
    }
}

fn by_id(log: &ReleaseLog, environment: &str, id: &str) -> Result<Release, RollbackError> {
    let release = match log.get(id) {
        Ok(release) => release,
        Err(LogError::NotFound { id }) => return Err(RollbackError::NotFound { id }),
        Err(error) => return Err(error.into()),
    };
    if release.environment == environment {
        return Ok(release);
    }
    Err(RollbackError::OtherEnvironment {
        id: id.to_owned(),
        owner: release.environment,
        environment: environment.to_owned(),
    })
}

fn by_version(
    log: &ReleaseLog,
    environment: &str,
    version: &str,
) -> Result<Release, RollbackError> {
    let newest = log
        .list(environment)?
        .into_iter()
        .find(|release| release.version == version);
    newest.ok_or_else(|| RollbackError::NoVersion {
        version: version.to_owned(),
        environment: environment.to_owned(),
    })
}
