//! `Manifest`: the sealed content of a release, a blob of the store (`spec/release/manifest.md`).
//! Holds no id, time, user, version, duration or hit: equal deploys have equal manifests. Pure but for the store.

mod encode;

use stagecraft_store::{ActionKey, DecodeError, Digest, Object, Reference, Store, StoreError};

use crate::evaluate::Outcome;
use crate::name::{EnvironmentName, HostName, NameError, ProjectName, ProjectPath, ServiceName};
use crate::plan::hash::{OpHash, PlanHash};
use crate::plan::operation::{Health, Kind, Operation, OperationId, Phase, Place, Switch, Work};

/// Everything that a rollback needs to know.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Manifest {
    /// The project.
    pub project: ProjectName,
    /// The environment.
    pub environment: EnvironmentName,
    /// The plan that was evaluated.
    pub plan: PlanHash,
    /// `stagecraft.yml` and the files that it includes, sorted by path.
    pub config: Vec<ConfigFile>,
    /// The operations, in execution order.
    pub operations: Vec<ManifestOperation>,
}

/// One file of the configuration.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct ConfigFile {
    /// Its path from the project root.
    pub path: ProjectPath,
    /// Its bytes.
    pub blob: Object,
}

/// One operation of the release and what it came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ManifestOperation {
    /// Its id.
    pub id: OperationId,
    /// What it does.
    pub kind: Kind,
    /// The step of the release that it belongs to.
    pub phase: Phase,
    /// The services that it touches, sorted.
    pub services: Vec<ServiceName>,
    /// The hosts that it acts on, sorted.
    pub hosts: Vec<HostName>,
    /// For people.
    pub description: String,
    /// Its recipe.
    pub op_hash: OpHash,
    /// Its resolved key.
    pub action_key: Option<ActionKey>,
    /// The tree it made.
    pub output: Option<Object>,
    /// What is to be done to the target; absent for pure operations.
    pub effect: Option<Effect>,
    /// The operations that it waits for, sorted.
    pub dependencies: Vec<OperationId>,
}

/// An operation on the target, with all that doing it again needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Effect {
    /// Driver `directory`: the tree of one service.
    Place(Place),
    /// Driver `directory`: the switch.
    Switch(Switch),
    /// The health gate.
    Health(Health),
}

/// The bytes of a manifest do not hold one that this version reads.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// A newer version wrote it.
    #[error("manifest version {version} is newer than this program reads")]
    Version {
        /// The version found.
        version: u8,
    },
    /// The framing is broken.
    #[error("manifest is damaged: {0}")]
    Framing(#[from] DecodeError),
    /// A name in it is none.
    #[error("manifest is damaged: {0}")]
    Name(#[from] NameError),
    /// A word in it is not one of those allowed.
    #[error("manifest is damaged: unknown word `{word}`")]
    Word {
        /// The word found.
        word: String,
    },
    /// The bytes are not the one way to write what they say.
    #[error("manifest is damaged: not in canonical form")]
    NotCanonical,
}

/// Why a manifest was not sealed or found.
#[derive(Debug, thiserror::Error)]
pub enum SealError {
    /// The store refused.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The bytes are not a manifest.
    #[error(transparent)]
    Manifest(#[from] ManifestError),
}

/// A manifest in the store, and what its root must keep.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sealed {
    /// The manifest as a blob.
    pub manifest: Object,
    /// What the root `release/<project>/<environment>/<id>` refers to.
    pub references: Vec<Reference>,
}

impl Effect {
    /// Returns the effect that is `work`, or `None` for a pure operation.
    pub fn of(work: &Work) -> Option<Self> {
        match work {
            Work::Run(_) | Work::Recorded => None,
            Work::Place(place) => Some(Self::Place(place.clone())),
            Work::Switch(switch) => Some(Self::Switch(switch.clone())),
            Work::Health(health) => Some(Self::Health(health.clone())),
        }
    }

    /// Returns the work that this effect is.
    pub fn work(&self) -> Work {
        match self {
            Self::Place(place) => Work::Place(place.clone()),
            Self::Switch(switch) => Work::Switch(switch.clone()),
            Self::Health(health) => Work::Health(health.clone()),
        }
    }

    /// Returns the operations whose output trees it takes.
    pub fn artifacts(&self) -> Vec<&OperationId> {
        match self {
            Self::Place(place) => vec![&place.artifact],
            Self::Switch(switch) => switch.services.values().collect(),
            Self::Health(health) => health.switch.services.values().collect(),
        }
    }
}

impl ManifestOperation {
    /// Returns what is recorded of `operation`, which came to `outcome`, behind `dependencies`.
    pub fn of(
        operation: &Operation,
        outcome: &Outcome,
        mut dependencies: Vec<OperationId>,
    ) -> Self {
        dependencies.sort();
        dependencies.dedup();
        Self {
            id: operation.id.clone(),
            kind: operation.kind(),
            phase: operation.phase,
            services: operation.services.clone(),
            hosts: operation.hosts.clone(),
            description: operation.description.clone(),
            op_hash: operation.op_hash,
            action_key: outcome.key,
            output: outcome.output,
            effect: Effect::of(&operation.work),
            dependencies,
        }
    }
}

impl Manifest {
    /// Returns the canonical bytes.
    pub fn encode(&self) -> Vec<u8> {
        encode::encode(self)
    }

    /// Returns the manifest that `bytes` hold; refuses whatever [`Manifest::encode`] would not write.
    pub fn decode(bytes: &[u8]) -> Result<Self, ManifestError> {
        encode::decode(bytes)
    }

    /// Returns the digest of the canonical bytes.
    pub fn digest(&self) -> Digest {
        Digest::of(&self.encode())
    }

    /// Returns the manifest with this digest, or `None` where the store has lost it.
    pub fn load(store: &Store, digest: &Digest) -> Result<Option<Self>, SealError> {
        match store.read(digest)? {
            None => Ok(None),
            Some(bytes) => Ok(Some(Self::decode(&bytes)?)),
        }
    }

    /// Returns what a root must keep for this release, sorted, each once.
    pub fn references(&self) -> Vec<Reference> {
        let mut references = vec![Reference::Blob(self.digest())];
        references.extend(
            self.config
                .iter()
                .map(|file| Reference::Blob(file.blob.digest)),
        );
        for operation in &self.operations {
            references.extend(
                operation
                    .output
                    .map(|output| Reference::Tree(output.digest)),
            );
            // Effects have keys too, but no result in the store.
            let pure = operation.effect.is_none() && operation.output.is_some();
            references.extend(operation.action_key.filter(|_| pure).map(Reference::Result));
        }
        references.sort();
        references.dedup();
        references
    }

    /// Returns the objects that going back to this release needs and that the store no longer has: its own bytes,
    /// its configuration, and the whole tree of every service.
    pub fn closure_missing(&self, store: &Store) -> Result<Vec<Digest>, StoreError> {
        let mut needed = vec![Reference::Blob(self.digest())];
        needed.extend(
            self.config
                .iter()
                .map(|file| Reference::Blob(file.blob.digest)),
        );
        let effects = self
            .operations
            .iter()
            .filter_map(|operation| operation.effect.as_ref());
        for artifact in effects.flat_map(Effect::artifacts) {
            needed.extend(
                self.output(artifact)
                    .map(|tree| Reference::Tree(tree.digest)),
            );
        }
        needed.sort();
        needed.dedup();
        store.missing(&needed)
    }

    /// Returns the tree that an operation made.
    pub fn output(&self, id: &OperationId) -> Option<Object> {
        self.operations
            .iter()
            .find(|operation| operation.id == *id)?
            .output
    }
}

/// Writes `manifest` and the configuration it was made from into the store, durably. Its `config` becomes the
/// snapshot of `files`.
pub fn seal(
    store: &Store,
    mut manifest: Manifest,
    files: &[(ProjectPath, Vec<u8>)],
) -> Result<Sealed, SealError> {
    let mut batch = store.batch();
    manifest.config.clear();
    for (path, bytes) in files {
        manifest.config.push(ConfigFile {
            path: path.clone(),
            blob: batch.put(bytes)?,
        });
    }
    manifest.config.sort();
    manifest.config.dedup();
    let object = batch.put(&manifest.encode())?;
    store.commit(vec![batch], Vec::new(), Vec::new())?;
    Ok(Sealed {
        manifest: object,
        references: manifest.references(),
    })
}
