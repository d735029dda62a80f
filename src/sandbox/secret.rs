//! `Secrets`: the values that a command was given in confidence, kept out of what is stored of its run.
//! Knows values only; a name that is shorter than any real secret is not looked for.
#![expect(clippy::disallowed_methods, reason = "effects: reads outputs")]

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use walkdir::WalkDir;

use crate::plan::operation::Run;
use crate::sandbox::log::{Frame, Stream};

/// Name and value of each secret of a run.
pub(crate) struct Secrets<'r>(Vec<(&'r str, &'r [u8])>);

/// Shorter values stand in files by chance.
const SHORTEST: usize = 6;

impl<'r> Secrets<'r> {
    /// Returns the secrets among the caller's variables.
    pub(crate) fn of(run: &'r Run) -> Self {
        let secret = run.passed.iter().filter(|(_, secret)| *secret);
        let values = secret.filter_map(|(name, _)| {
            let value = run.values.get(name)?.as_bytes();
            (value.len() >= SHORTEST).then_some((name.as_str(), value))
        });
        Self(values.collect())
    }

    /// Overwrites every secret with stars, also where a stream was cut into frames in the middle of one.
    pub(crate) fn mask(&self, frames: &mut [Frame]) {
        if self.0.is_empty() {
            return;
        }
        for stream in [Stream::Stdout, Stream::Stderr] {
            let mut parts: Vec<&mut Frame> = frames
                .iter_mut()
                .filter(|frame| frame.stream == stream)
                .collect();
            let mut whole: Vec<u8> = parts
                .iter()
                .flat_map(|frame| frame.bytes.iter().copied())
                .collect();
            for (_, value) in &self.0 {
                let mut from = 0;
                while let Some(at) = find(&whole[from..], value) {
                    whole[from + at..from + at + value.len()].fill(b'*');
                    from += at + value.len();
                }
            }
            let mut rest = whole.as_slice();
            for frame in &mut parts {
                let (bytes, after) = rest.split_at(frame.bytes.len());
                frame.bytes.copy_from_slice(bytes);
                rest = after;
            }
        }
    }

    /// Returns the first output below `root` that holds a secret, and the secret's name.
    pub(crate) fn found_in(
        &self,
        root: &Path,
        outputs: &[String],
    ) -> io::Result<Option<(String, String)>> {
        if self.0.is_empty() {
            return Ok(None);
        }
        for output in outputs {
            for entry in WalkDir::new(root.join(output)).sort_by_file_name() {
                let entry = entry?;
                if !entry.file_type().is_file() {
                    continue;
                }
                if let Some(name) = self.held_by(File::open(entry.path())?)? {
                    let path = entry.path().strip_prefix(root).unwrap_or(entry.path());
                    return Ok(Some((path.display().to_string(), name.to_owned())));
                }
            }
        }
        Ok(None)
    }

    /// Reads piece by piece; each search begins a secret's length before the new bytes.
    fn held_by(&self, mut file: impl Read) -> io::Result<Option<&str>> {
        const PIECE: u64 = 1 << 20;
        let overlap = self
            .0
            .iter()
            .map(|(_, value)| value.len())
            .max()
            .unwrap_or_default();
        let mut bytes = Vec::new();
        loop {
            let kept = bytes.len().saturating_sub(overlap);
            bytes.drain(..kept);
            if file.by_ref().take(PIECE).read_to_end(&mut bytes)? == 0 {
                return Ok(None);
            }
            if let Some((name, _)) = self
                .0
                .iter()
                .find(|(_, value)| find(&bytes, value).is_some())
            {
                return Ok(Some(name));
            }
        }
    }
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    let first = *needle.first()?;
    let mut from = 0;
    loop {
        let rest = haystack.get(from..)?;
        let at = from + rest.iter().position(|byte| *byte == first)?;
        if haystack[at..].starts_with(needle) {
            return Some(at);
        }
        from = at + 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_that_two_pieces_share_is_found() {
        let secrets = Secrets(vec![("TOKEN", b"hunter22")]);
        let mut file = vec![b'.'; (1 << 20) - 3];
        file.extend_from_slice(b"hunter22 and more");
        assert_eq!(secrets.held_by(file.as_slice()).unwrap(), Some("TOKEN"));
        file.truncate((1 << 20) + 2);
        assert_eq!(secrets.held_by(file.as_slice()).unwrap(), None);
    }

    #[test]
    fn a_secret_that_two_frames_share_is_masked() {
        let frame = |stream, text: &str| Frame {
            stream,
            microseconds: 0,
            bytes: text.into(),
        };
        let mut frames = [
            frame(Stream::Stdout, "a hunt"),
            frame(Stream::Stderr, "between"),
            frame(Stream::Stdout, "er22 b"),
        ];
        Secrets(vec![("TOKEN", b"hunter22")]).mask(&mut frames);
        let texts: Vec<_> = frames
            .iter()
            .map(|frame| String::from_utf8_lossy(&frame.bytes))
            .collect();
        assert_eq!(texts, ["a ****", "between", "**** b"]);
    }
}
