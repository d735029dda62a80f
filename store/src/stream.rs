//! Streams: closures on their way from one store to another, as one file (`spec/store/stream.md`).
//! Here stands the frame that both directions share. A stream is believed only as far as it was read:
//! each object is hashed on its way in, and nothing is rooted before the end has been seen.

mod read;
mod write;

pub use read::Arrival;

use std::collections::BTreeMap;

use crate::action::ActionKey;
use crate::digest::Digest;
use crate::record::RecordError;
use crate::root::{Reference, Root, RootName};

/// The first line: what it is, and its version.
const LINE: &[u8] = b"stagecraft export 1\n";
/// What stands before a version in the first line.
const LINE_START: &[u8] = b"stagecraft export ";

/// The kinds of frames, in the order in which they stand.
const ROOT: u8 = 1;
const NOTE: u8 = 2;
const OBJECT: u8 = 3;
const RESULT: u8 = 4;
const END: u8 = 5;

/// The most bytes of a root, a note or a result: each is held in memory.
const MAX_RECORD: u64 = 256 << 20;

/// What a stream carries beside objects.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Parcel {
    /// Names and what they keep; what they refer to travels whole.
    pub roots: BTreeMap<RootName, Root>,
    /// Bytes of the caller, by name; the store does not look into them.
    pub notes: BTreeMap<String, Vec<u8>>,
}

impl Parcel {
    /// Everything that the roots refer to, sorted, each once.
    fn references(&self) -> Vec<Reference> {
        let mut references: Vec<Reference> = self
            .roots
            .values()
            .flat_map(|root| root.references.iter().copied())
            .collect();
        references.sort_unstable();
        references.dedup();
        references
    }
}

/// What an export wrote.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Shipped {
    /// How many objects.
    pub objects: u64,
    /// Their bytes, before compression.
    pub bytes: u64,
    /// How many results.
    pub results: u64,
}

/// What an import brought.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Delivery {
    /// Roots and notes; the roots are set.
    pub parcel: Parcel,
    /// Objects that were not here before.
    pub added: Shipped,
    /// How many objects were here already.
    pub skipped: u64,
}

/// Why a stream is refused. Objects that came before the fault stay, without a root.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StreamError {
    /// It does not begin like one.
    #[error("not an export of a store")]
    Foreign,
    /// A newer program wrote it.
    #[error("stream has the format `{found}`, which is newer than this program")]
    Newer {
        /// Its first line.
        found: String,
    },
    /// It ends in the middle.
    #[error("stream ends early")]
    Short,
    /// The compression does not open.
    #[error("stream is damaged: its compressed form does not open")]
    Compression,
    /// A frame of no kind, out of order, or larger than one may be.
    #[error("stream is damaged: frame {frame} is not what may stand there")]
    Frame {
        /// Its number, from 0.
        frame: u64,
    },
    /// A root or result that does not open.
    #[error("stream is damaged: frame {frame}: {source}")]
    Record {
        /// Its number, from 0.
        frame: u64,
        /// What is wrong with it.
        source: RecordError,
    },
    /// Bytes that are not those of the name they come under.
    #[error("stream is damaged: object {digest} has other bytes")]
    Object {
        /// The name.
        digest: Digest,
    },
    /// The hash at the end does not match.
    #[error("stream is damaged: its hash does not match")]
    Checksum,
    /// Something follows the end.
    #[error("stream is damaged: something follows its end")]
    Trailing,
    /// Its roots refer to what it does not carry and the store does not have.
    #[error("stream is not whole: {} of what its roots refer to is absent", missing.len())]
    Incomplete {
        /// What is absent, sorted; a result by its key.
        missing: Vec<Digest>,
    },
    /// A result that none of its roots refers to.
    #[error("stream is damaged: result {key} belongs to none of its roots")]
    Uninvited {
        /// Its key.
        key: ActionKey,
    },
}
