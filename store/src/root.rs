//! Roots: names that keep things. What a root refers to, and everything below it, survives gc.
//! Pure values; no time is in them, so that equal roots are equal bytes.

pub(crate) mod kept;

use std::fmt;
use std::str::FromStr;

use crate::action::ActionKey;
use crate::digest::Digest;
use crate::encode::{DecodeError, Decoder, Encoder};
use crate::record::{self, Kind, RecordError};

/// The end of a root's file name; no word may have it, so a root is never also a directory.
pub(crate) const SUFFIX: &str = ".root";

/// Something the store can keep or miss.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Reference {
    /// A blob alone.
    Blob(Digest),
    /// A directory and everything below it.
    Tree(Digest),
    /// A result and everything it refers to.
    Result(ActionKey),
}

impl Reference {
    /// Returns the number of its kind and its digest, as records hold them.
    pub(crate) fn parts(&self) -> (u8, Digest) {
        match self {
            Self::Blob(digest) => (0, *digest),
            Self::Tree(digest) => (1, *digest),
            Self::Result(key) => (2, key.0),
        }
    }

    /// Undoes `parts`.
    pub(crate) fn of_parts(kind: u8, digest: Digest) -> Option<Self> {
        match kind {
            0 => Some(Self::Blob(digest)),
            1 => Some(Self::Tree(digest)),
            2 => Some(Self::Result(ActionKey(digest))),
            3.. => None,
        }
    }
}

/// The name of a root: words joined by `/`, as in `release/shop/prod/rel-1`.
///
/// A word is 1 to 200 of `A-Z a-z 0-9 . _ + @ : -`, does not begin with `.` and does not end with
/// `.root`; there are at most 16.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RootName(String);

/// Why a text does not name a root.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not the name of a root")]
pub struct RootNameError {
    /// The text.
    pub text: String,
}

impl RootName {
    /// Returns the name.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for RootName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl FromStr for RootName {
    type Err = RootNameError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if text.split('/').count() <= 16 && text.split('/').all(is_word) {
            return Ok(Self(text.to_owned()));
        }
        Err(RootNameError {
            text: text.to_owned(),
        })
    }
}

fn is_word(word: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._+@:-".contains(&byte);
    (1..=200).contains(&word.len())
        && word.bytes().all(plain)
        && !word.starts_with('.')
        && !word.ends_with(SUFFIX)
}

/// What a root keeps, and why.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Root {
    /// What it keeps; stored sorted, each once.
    pub references: Vec<Reference>,
    /// Why it is there, for people.
    pub reason: String,
}

impl Root {
    pub(crate) fn encode(&self, name: &RootName) -> Vec<u8> {
        let mut references = self.references.clone();
        references.sort_unstable();
        references.dedup();
        let mut body = Encoder::new();
        body.text(&name.0)
            .list(references, |body, reference| {
                let (kind, digest) = reference.parts();
                body.u8(kind).digest(&digest);
            })
            .text(&self.reason);
        record::seal(Kind::Root, body)
    }

    pub(crate) fn decode(name: &RootName, bytes: &[u8]) -> Result<Self, RecordError> {
        let (found, root) = Self::decode_any(bytes)?;
        if found != *name {
            return Err(RecordError::Misplaced);
        }
        Ok(root)
    }

    /// Reads a record of whatever name.
    pub(crate) fn decode_any(bytes: &[u8]) -> Result<(RootName, Self), RecordError> {
        let mut body = record::unseal(Kind::Root, bytes)?;
        let found = body.text()?;
        let references = body.list(reference)?;
        let reason = body.text()?.to_owned();
        body.finish()?;
        let name = found.parse().map_err(|_| RecordError::Misplaced)?;
        Ok((name, Self { references, reason }))
    }
}

fn reference(body: &mut Decoder<'_>) -> Result<Reference, DecodeError> {
    let kind = body.u8()?;
    let digest = body.digest()?;
    Reference::of_parts(kind, digest).ok_or(DecodeError::Value {
        what: "kind of reference",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec: store/format R14
    #[test]
    fn root_names_are_words() {
        for good in ["pin/a", "release/shop/prod/rel-2026.1", "a", "x/y@z:1+b"] {
            assert_eq!(good.parse::<RootName>().unwrap().as_str(), good);
        }
        let long = "a".repeat(201);
        let deep = vec!["a"; 17].join("/");
        for bad in [
            "", "/a", "a/", "a//b", "../a", "a/.b", "a b", "ä", "x.root", "x.root/y", &long, &deep,
        ] {
            assert!(bad.parse::<RootName>().is_err(), "{bad}");
        }
    }
}
