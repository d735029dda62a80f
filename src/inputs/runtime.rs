//! `Runtime`: what makes up a tool or the base, as found on this machine, and its form in the snapshot.
//! Knows not where it came from.

use stagecraft_store::{DecodeError, Decoder, Digest, Encoder};

/// A set of programs with one identity.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Runtime {
    pub(super) identity: Digest,
    pub(super) description: String,
    /// Name and absolute path, sorted by name.
    pub(super) programs: Vec<(String, String)>,
    /// Absolute paths outside `/usr`, sorted.
    pub(super) files: Vec<String>,
}

impl Runtime {
    /// Returns the bytes that stand for it.
    pub(super) fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new();
        encoder.digest(&self.identity);
        encoder.text(&self.description);
        encoder.list(&self.programs, |encoder, (name, path)| {
            encoder.text(name);
            encoder.text(path);
        });
        encoder.list(&self.files, |encoder, path| {
            encoder.text(path);
        });
        encoder.into_bytes()
    }

    /// Returns what `bytes` stand for.
    pub(super) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        let runtime = Self {
            identity: decoder.digest()?,
            description: decoder.text()?.to_owned(),
            programs: decoder
                .list(|decoder| Ok((decoder.text()?.to_owned(), decoder.text()?.to_owned())))?,
            files: decoder.list(|decoder| Ok(decoder.text()?.to_owned()))?,
        };
        decoder.finish()?;
        Ok(runtime)
    }
}
