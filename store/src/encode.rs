//! Canonical encodings: the only place that frames bytes which are hashed or recorded.
//! One value has one encoding, and no two values share one: lengths and counts are explicit,
//! numbers are little-endian. Refuses to know what it encodes.

mod message;

pub use message::Message;

use crate::digest::Digest;
use crate::tree::Object;

/// Writes values one after the other.
///
/// A caller that hashes maps or sets passes them to [`Encoder::list`] in sorted order.
#[derive(Debug, Clone, Default)]
pub struct Encoder {
    bytes: Vec<u8>,
}

impl Encoder {
    /// Starts with nothing written.
    pub fn new() -> Self {
        Self::default()
    }

    /// Writes a length as `u64`, then the bytes.
    pub fn bytes(&mut self, value: &[u8]) -> &mut Self {
        self.u64(value.len() as u64);
        self.bytes.extend_from_slice(value);
        self
    }

    /// Writes a length in bytes as `u64`, then the UTF-8 bytes.
    pub fn text(&mut self, value: &str) -> &mut Self {
        self.bytes(value.as_bytes())
    }

    /// Writes one byte.
    pub fn u8(&mut self, value: u8) -> &mut Self {
        self.bytes.push(value);
        self
    }

    /// Writes four bytes, least significant first.
    pub fn u32(&mut self, value: u32) -> &mut Self {
        self.bytes.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// Writes eight bytes, least significant first.
    pub fn u64(&mut self, value: u64) -> &mut Self {
        self.bytes.extend_from_slice(&value.to_le_bytes());
        self
    }

    /// Writes one byte, 0 or 1.
    pub fn bool(&mut self, value: bool) -> &mut Self {
        self.u8(u8::from(value))
    }

    /// Writes the 32 bytes of a digest, without a length.
    pub fn digest(&mut self, value: &Digest) -> &mut Self {
        self.bytes.extend_from_slice(value.as_bytes());
        self
    }

    /// Writes a digest, then the size as `u64`.
    pub fn object(&mut self, value: &Object) -> &mut Self {
        self.digest(&value.digest).u64(value.size)
    }

    /// Writes 0 for nothing, else 1 and what `write` writes.
    pub fn option<T>(&mut self, value: Option<T>, write: impl FnOnce(&mut Self, T)) -> &mut Self {
        self.bool(value.is_some());
        if let Some(value) = value {
            write(self, value);
        }
        self
    }

    /// Writes the number of items as `u64`, then each item.
    pub fn list<I: IntoIterator>(
        &mut self,
        items: I,
        mut write: impl FnMut(&mut Self, I::Item),
    ) -> &mut Self {
        let start = self.bytes.len();
        self.u64(0);
        let mut count: u64 = 0;
        for item in items {
            write(self, item);
            count += 1;
        }
        self.bytes[start..start + 8].copy_from_slice(&count.to_le_bytes());
        self
    }

    /// Returns what was written.
    pub fn into_bytes(self) -> Vec<u8> {
        self.bytes
    }

    /// Hashes what was written under `context`, which names the kind of value and its version.
    pub fn finish(self, context: &'static str) -> Digest {
        let mut hasher = blake3::Hasher::new_derive_key(context);
        hasher.update(&self.bytes);
        Digest::from_bytes(*hasher.finalize().as_bytes())
    }
}

/// Why bytes are not the encoding of a value.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecodeError {
    /// The bytes end inside a value.
    #[error("ends early at byte {at}")]
    Short {
        /// Where the value starts.
        at: usize,
    },
    /// A length or count is larger than what is left.
    #[error("count {count} at byte {at} is larger than what follows")]
    Count {
        /// Where the count stands.
        at: usize,
        /// The count.
        count: u64,
    },
    /// A byte that must be 0 or 1 is neither.
    #[error("byte {at} is not 0 or 1")]
    Bool {
        /// Where it stands.
        at: usize,
    },
    /// A text is not UTF-8.
    #[error("text at byte {at} is not UTF-8")]
    Utf8 {
        /// Where its length stands.
        at: usize,
    },
    /// Bytes are left after the last value.
    #[error("{left} bytes follow the last value")]
    Trailing {
        /// How many.
        left: usize,
    },
    /// A value is framed well and still not allowed here.
    #[error("{what} is not valid")]
    Value {
        /// Which value.
        what: &'static str,
    },
}

/// Reads values in the order in which an [`Encoder`] wrote them.
///
/// No count is believed before the bytes that it promises are there.
#[derive(Debug, Clone)]
pub struct Decoder<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Decoder<'a> {
    /// Starts at the first byte.
    pub fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0 }
    }

    fn left(&self) -> usize {
        self.bytes.len() - self.at
    }

    fn take(&mut self, count: usize) -> Result<&'a [u8], DecodeError> {
        if count > self.left() {
            return Err(DecodeError::Short { at: self.at });
        }
        let taken = &self.bytes[self.at..self.at + count];
        self.at += count;
        Ok(taken)
    }

    fn array<const N: usize>(&mut self) -> Result<[u8; N], DecodeError> {
        let taken = self.take(N)?;
        Ok(taken.try_into().expect("invariant: take returns N bytes"))
    }

    /// Reads a count, and refuses one that is larger than the bytes that are left.
    fn count(&mut self) -> Result<usize, DecodeError> {
        let at = self.at;
        let count = self.u64()?;
        usize::try_from(count)
            .ok()
            .filter(|count| *count <= self.left())
            .ok_or(DecodeError::Count { at, count })
    }

    /// Reads bytes with their length.
    pub fn bytes(&mut self) -> Result<&'a [u8], DecodeError> {
        let count = self.count()?;
        self.take(count)
    }

    /// Reads a text with its length.
    pub fn text(&mut self) -> Result<&'a str, DecodeError> {
        let at = self.at;
        std::str::from_utf8(self.bytes()?).map_err(|_| DecodeError::Utf8 { at })
    }

    /// Reads one byte.
    pub fn u8(&mut self) -> Result<u8, DecodeError> {
        Ok(self.array::<1>()?[0])
    }

    /// Reads four bytes.
    pub fn u32(&mut self) -> Result<u32, DecodeError> {
        Ok(u32::from_le_bytes(self.array()?))
    }

    /// Reads eight bytes.
    pub fn u64(&mut self) -> Result<u64, DecodeError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    /// Reads one byte that must be 0 or 1.
    pub fn bool(&mut self) -> Result<bool, DecodeError> {
        let at = self.at;
        match self.u8()? {
            0 => Ok(false),
            1 => Ok(true),
            2.. => Err(DecodeError::Bool { at }),
        }
    }

    /// Reads a digest.
    pub fn digest(&mut self) -> Result<Digest, DecodeError> {
        Ok(Digest::from_bytes(self.array()?))
    }

    /// Reads a digest and a size.
    pub fn object(&mut self) -> Result<Object, DecodeError> {
        Ok(Object {
            digest: self.digest()?,
            size: self.u64()?,
        })
    }

    /// Reads nothing or what `read` reads.
    pub fn option<T>(
        &mut self,
        read: impl FnOnce(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Option<T>, DecodeError> {
        if self.bool()? {
            read(self).map(Some)
        } else {
            Ok(None)
        }
    }

    /// Reads a count and as many items.
    pub fn list<T>(
        &mut self,
        mut read: impl FnMut(&mut Self) -> Result<T, DecodeError>,
    ) -> Result<Vec<T>, DecodeError> {
        let count = self.count()?;
        let mut items = Vec::new();
        for _ in 0..count {
            items.push(read(self)?);
        }
        Ok(items)
    }

    /// Refuses bytes that nothing has read.
    pub fn finish(self) -> Result<(), DecodeError> {
        match self.left() {
            0 => Ok(()),
            left => Err(DecodeError::Trailing { left }),
        }
    }
}
