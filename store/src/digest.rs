//! Digests: the BLAKE3 hash of some bytes, the only name an object has.
//! Knows no file and no encoding; framing of hashed values belongs to `encode`.

use std::fmt;
use std::str::FromStr;

/// A buffer at least this long is hashed on all cores; below it threads cost more than they save.
const PARALLEL_FROM: usize = 1 << 20;

const DIGITS: &[u8; 16] = b"0123456789abcdef";

/// A BLAKE3 hash. Its text form is `b3:` and 64 lower-case hexadecimal digits.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Digest([u8; 32]);

/// Why a text is not a digest.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not a digest")]
pub struct DigestError {
    /// The text.
    pub text: String,
}

impl Digest {
    /// Hashes `bytes`.
    pub fn of(bytes: &[u8]) -> Self {
        // Setting up a hasher that takes pieces costs more than hashing a short text.
        if bytes.len() < PARALLEL_FROM {
            return Self(*blake3::hash(bytes).as_bytes());
        }
        let mut hasher = Hasher::new();
        hasher.update(bytes);
        hasher.finish()
    }

    /// Takes 32 bytes that are a digest already.
    pub const fn from_bytes(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// Returns the 32 bytes.
    pub const fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    /// Returns the 64 lower-case hexadecimal digits.
    pub fn hex(&self) -> String {
        String::from_utf8_lossy(&self.hex_digits()).into_owned()
    }

    /// Returns the digits of [`Digest::hex`] without an allocation.
    pub fn hex_digits(&self) -> [u8; 64] {
        let mut digits = [0; 64];
        for (pair, byte) in digits.chunks_exact_mut(2).zip(self.0) {
            pair[0] = DIGITS[usize::from(byte >> 4)];
            pair[1] = DIGITS[usize::from(byte & 15)];
        }
        digits
    }

    /// Parses 64 lower-case hexadecimal digits and nothing else.
    pub fn from_hex(text: &str) -> Result<Self, DigestError> {
        let refused = || DigestError {
            text: text.to_owned(),
        };
        if text.bytes().any(|byte| byte.is_ascii_uppercase()) {
            return Err(refused());
        }
        let hash = blake3::Hash::from_hex(text).map_err(|_| refused())?;
        Ok(Self(*hash.as_bytes()))
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "b3:{}", self.hex())
    }
}

impl fmt::Debug for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl FromStr for Digest {
    type Err = DigestError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        text.strip_prefix("b3:")
            .ok_or(())
            .and_then(|hex| Self::from_hex(hex).map_err(|_| ()))
            .map_err(|()| DigestError {
                text: text.to_owned(),
            })
    }
}

/// Hashes bytes that arrive in pieces.
#[derive(Clone, Debug, Default)]
pub struct Hasher(blake3::Hasher);

impl Hasher {
    /// Starts with no bytes.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds `bytes`; a buffer of a mebibyte or more is hashed on all cores.
    pub fn update(&mut self, bytes: &[u8]) {
        if bytes.len() >= PARALLEL_FROM {
            self.0.update_rayon(bytes);
        } else {
            self.0.update(bytes);
        }
    }

    /// Returns the digest of everything added.
    pub fn finish(&self) -> Digest {
        Digest(*self.0.finalize().as_bytes())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec: store/format R1
    #[test]
    fn text_form_is_exact() {
        let empty = "b3:af1349b9f5f9a1a6a0404dea36dcc9499bcb25c9adc112b7cc9a93cae41f3262";
        assert_eq!(Digest::of(b"").to_string(), empty);
        assert_eq!(format!("{:?}", Digest::of(b"")), empty);
        assert_eq!(empty.parse::<Digest>(), Ok(Digest::of(b"")));
        for wrong in [
            &empty[3..],
            &empty.to_uppercase(),
            &empty.replace("af", "AF"),
            &empty[..66],
            &format!("{empty}0"),
            &format!("{empty}\n"),
            "b3:",
            "",
        ] {
            assert!(wrong.parse::<Digest>().is_err(), "{wrong}");
        }
    }

    /// spec: store/format R1
    #[test]
    fn pieces_and_cores_give_one_digest() {
        let bytes = vec![7_u8; 3 * PARALLEL_FROM + 5];
        let mut pieces = Hasher::new();
        for piece in bytes.chunks(1000) {
            pieces.update(piece);
        }
        assert_eq!(pieces.finish(), Digest::of(&bytes));
        assert_eq!(
            *Digest::of(&bytes).as_bytes(),
            *blake3::hash(&bytes).as_bytes()
        );
    }
}
