//! The envelope of every small file that is not an object: a line that names kind and version, the
//! body, and a BLAKE3 hash of both. A torn, flipped or misplaced record does not open.

use crate::digest::Digest;
use crate::encode::{DecodeError, Decoder, Encoder};

/// Which record a file holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Result,
    History,
    Root,
    Stamp,
}

impl Kind {
    /// The first line of the file.
    fn line(self) -> &'static [u8] {
        match self {
            Self::Result => b"stagecraft result 1\n",
            Self::History => b"stagecraft history 1\n",
            Self::Root => b"stagecraft root 1\n",
            Self::Stamp => b"stagecraft gc 1\n",
        }
    }
}

/// Why a file is not the record it should be.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RecordError {
    /// Another kind, another version, or no record.
    #[error("not a record of this kind and version")]
    Kind,
    /// The hash at the end does not match.
    #[error("torn or altered record")]
    Checksum,
    /// The body is not what it should be.
    #[error("malformed record: {0}")]
    Body(#[from] DecodeError),
    /// A whole record of something else.
    #[error("record of another name")]
    Misplaced,
}

/// Returns the bytes of the file that holds `body`.
pub(crate) fn seal(kind: Kind, body: Encoder) -> Vec<u8> {
    let mut bytes = kind.line().to_vec();
    bytes.extend_from_slice(&body.into_bytes());
    let checksum = Digest::of(&bytes);
    bytes.extend_from_slice(checksum.as_bytes());
    bytes
}

/// Returns the body, after the checks.
pub(crate) fn unseal(kind: Kind, bytes: &[u8]) -> Result<Decoder<'_>, RecordError> {
    let (body, checksum) = bytes
        .split_last_chunk::<32>()
        .ok_or(RecordError::Checksum)?;
    if Digest::of(body) != Digest::from_bytes(*checksum) {
        return Err(RecordError::Checksum);
    }
    body.strip_prefix(kind.line())
        .map(Decoder::new)
        .ok_or(RecordError::Kind)
}
