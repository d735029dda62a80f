//! `Frame`: what an operation printed, piece by piece, in the order of arrival, and its bytes in the store
//! (`spec/evaluate/log.md`).
//! Refuses to grow without bound: what follows the limit is dropped, and a last frame says so.

use stagecraft_store::{DecodeError, Decoder, Encoder};

/// Which stream of the command a frame came from.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stream {
    /// Standard output.
    Stdout,
    /// Standard error.
    Stderr,
}

impl Stream {
    fn code(self) -> u8 {
        match self {
            Self::Stdout => 1,
            Self::Stderr => 2,
        }
    }

    fn parse(code: u8) -> Option<Self> {
        [Self::Stdout, Self::Stderr]
            .into_iter()
            .find(|stream| stream.code() == code)
    }
}

/// One piece of output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    /// Where it was printed.
    pub stream: Stream,
    /// When it arrived, since the start of the command.
    pub microseconds: u64,
    /// What was printed; at least one byte.
    pub bytes: Vec<u8>,
}

/// Why bytes are not a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum LogError {
    /// The framing is broken.
    #[error("log is damaged: {0}")]
    Framing(#[from] DecodeError),
    /// A later version wrote it.
    #[error("log has version {found}, and {VERSION} is the latest known")]
    Version {
        /// The version it states.
        found: u8,
    },
}

const VERSION: u8 = 1;

/// How many bytes of output one execution may keep.
pub(crate) const LIMIT: usize = 64 << 20;

const TRUNCATED: &str = "[stagecraft: output beyond 64 MiB was dropped]\n";

/// Collects what arrives.
#[derive(Debug, Default)]
pub(crate) struct Log {
    frames: Vec<Frame>,
    kept: usize,
    truncated: bool,
}

impl Log {
    /// Takes note of `bytes`; beyond the limit they are dropped.
    pub(crate) fn push(&mut self, stream: Stream, microseconds: u64, bytes: &[u8]) {
        let fits = bytes.len().min(LIMIT - self.kept);
        if fits > 0 {
            self.kept += fits;
            self.frames.push(Frame {
                stream,
                microseconds,
                bytes: bytes[..fits].to_vec(),
            });
        }
        if fits < bytes.len() && !self.truncated {
            self.truncated = true;
            let bytes = TRUNCATED.as_bytes().to_vec();
            self.frames.push(Frame {
                stream: Stream::Stderr,
                microseconds,
                bytes,
            });
        }
    }

    /// Returns the frames so far.
    pub(crate) fn frames(&self) -> &[Frame] {
        &self.frames
    }

    /// Returns the frames so far, to be changed without changing their lengths.
    pub(crate) fn frames_mut(&mut self) -> &mut [Frame] {
        &mut self.frames
    }

    /// Returns the bytes for the store; none when nothing was printed.
    pub(crate) fn encode(&self) -> Vec<u8> {
        if self.frames.is_empty() {
            return Vec::new();
        }
        let mut encoder = Encoder::new();
        encoder.u8(VERSION);
        encoder.list(&self.frames, |encoder, frame| {
            encoder.u8(frame.stream.code());
            encoder.u64(frame.microseconds);
            encoder.bytes(&frame.bytes);
        });
        encoder.into_bytes()
    }
}

/// Returns the frames that `bytes` hold, in order of arrival; no bytes are no frames.
pub fn decode_log(bytes: &[u8]) -> Result<Vec<Frame>, LogError> {
    if bytes.is_empty() {
        return Ok(Vec::new());
    }
    let mut decoder = Decoder::new(bytes);
    let found = decoder.u8()?;
    if found != VERSION {
        return Err(LogError::Version { found });
    }
    let frames = decoder.list(|decoder| {
        let stream = Stream::parse(decoder.u8()?).ok_or(DecodeError::Value {
            what: "stream of a log frame",
        })?;
        let microseconds = decoder.u64()?;
        Ok(Frame {
            stream,
            microseconds,
            bytes: decoder.bytes()?.to_vec(),
        })
    })?;
    decoder.finish()?;
    Ok(frames)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec: evaluate/log R1, evaluate/log R2
    #[test]
    fn a_log_reads_back_in_the_order_of_arrival() {
        let mut log = Log::default();
        log.push(Stream::Stderr, 5, b"warning\n");
        log.push(Stream::Stdout, 9, b"done\n");
        log.push(Stream::Stdout, 9, b"");
        let frames = decode_log(&log.encode()).unwrap();
        assert_eq!(frames, log.frames());
        assert_eq!(frames.len(), 2);
        assert_eq!(frames[0].stream, Stream::Stderr);
    }

    /// spec: evaluate/log R3
    #[test]
    fn nothing_printed_is_no_bytes() {
        assert!(Log::default().encode().is_empty());
        assert_eq!(decode_log(b"").unwrap(), []);
    }

    /// spec: evaluate/log R1
    #[test]
    fn the_bytes_are_frozen() {
        let mut log = Log::default();
        log.push(Stream::Stdout, 258, b"hi");
        let wanted = b"\x01\x01\0\0\0\0\0\0\0\x01\x02\x01\0\0\0\0\0\0\x02\0\0\0\0\0\0\0hi";
        assert_eq!(log.encode(), wanted);
    }

    /// spec: evaluate/log R4
    #[test]
    fn a_log_stops_at_its_limit_and_says_so() {
        let mut log = Log::default();
        let piece = vec![b'x'; LIMIT - 1];
        log.push(Stream::Stdout, 1, &piece);
        log.push(Stream::Stdout, 2, b"ab");
        log.push(Stream::Stdout, 3, b"cd");
        let frames = log.frames();
        assert_eq!(frames.len(), 3);
        assert_eq!(frames[1].bytes, b"a");
        assert_eq!(frames[2].bytes, TRUNCATED.as_bytes());
        assert_eq!(frames[2].stream, Stream::Stderr);
    }

    /// spec: evaluate/log R5
    #[test]
    fn what_is_not_a_log_is_refused() {
        assert_eq!(decode_log(&[9]), Err(LogError::Version { found: 9 }));
        assert!(decode_log(&[1, 1]).is_err());
        let mut log = Log::default();
        log.push(Stream::Stdout, 0, b"x");
        let mut bytes = log.encode();
        bytes.push(0);
        assert!(decode_log(&bytes).is_err());
        bytes.pop();
        bytes[9] = 7;
        assert!(decode_log(&bytes).is_err());
    }
}
