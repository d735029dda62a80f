//! What is remembered of an action: its result by key, and the leaves of the last run by operation.
//! Pure; how a key is computed belongs to the caller.

use std::fmt;

use crate::digest::Digest;
use crate::encode::Encoder;
use crate::record::{self, Kind, RecordError};
use crate::tree::Object;

/// The digest of a resolved action: the same key, the same output.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct ActionKey(pub Digest);

impl fmt::Display for ActionKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// What a run of an action gave.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct ActionResult {
    /// The static hash of the operation that ran.
    pub op_hash: Digest,
    /// The output tree: a `Directory` message.
    pub output: Object,
    /// What it printed: a blob.
    pub log: Object,
    /// What went into its key: a blob.
    pub leaves: Object,
    /// The sandbox level it ran at.
    pub level: u8,
    /// How long it ran.
    pub milliseconds: u64,
}

impl ActionResult {
    /// Returns the record file; it holds its own key, so that a misplaced file is seen.
    pub fn encode(&self, key: &ActionKey) -> Vec<u8> {
        let mut body = Encoder::new();
        body.digest(&key.0)
            .digest(&self.op_hash)
            .object(&self.output)
            .object(&self.log)
            .object(&self.leaves)
            .u8(self.level)
            .u64(self.milliseconds);
        record::seal(Kind::Result, body)
    }

    /// Reads a record file of `key`.
    pub fn decode(key: &ActionKey, bytes: &[u8]) -> Result<Self, RecordError> {
        let (found, result) = Self::decode_any(bytes)?;
        if found != *key {
            return Err(RecordError::Misplaced);
        }
        Ok(result)
    }

    /// Reads a record file of whatever key.
    pub(crate) fn decode_any(bytes: &[u8]) -> Result<(ActionKey, Self), RecordError> {
        let mut body = record::unseal(Kind::Result, bytes)?;
        let key = ActionKey(body.digest()?);
        let result = Self {
            op_hash: body.digest()?,
            output: body.object()?,
            log: body.object()?,
            leaves: body.object()?,
            level: body.u8()?,
            milliseconds: body.u64()?,
        };
        body.finish()?;
        Ok((key, result))
    }
}

/// Names an operation of a project across all its runs.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Debug)]
pub struct HistoryKey(Digest);

impl HistoryKey {
    /// Names `operation` of `project`.
    pub fn new(project: &str, operation: &str) -> Self {
        let mut encoder = Encoder::new();
        encoder.text(project).text(operation);
        Self(encoder.finish("stagecraft history key v1"))
    }

    pub(crate) const fn from_digest(digest: Digest) -> Self {
        Self(digest)
    }

    /// Returns the digest that names the record.
    pub fn digest(&self) -> &Digest {
        &self.0
    }
}

/// Returns the record file that names the newest leaves of an operation.
pub(crate) fn encode_history(key: &HistoryKey, leaves: &Digest) -> Vec<u8> {
    let mut body = Encoder::new();
    body.digest(&key.0).digest(leaves);
    record::seal(Kind::History, body)
}

/// Reads a record file of `key`.
pub(crate) fn decode_history(key: &HistoryKey, bytes: &[u8]) -> Result<Digest, RecordError> {
    let mut body = record::unseal(Kind::History, bytes)?;
    let found = HistoryKey(body.digest()?);
    let leaves = body.digest()?;
    body.finish()?;
    if found != *key {
        return Err(RecordError::Misplaced);
    }
    Ok(leaves)
}
