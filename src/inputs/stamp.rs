//! `Stamp`: what `stat` says of a regular file, as far as it tells one content from another.
//! Decides when a stamp may be believed (the racy rule of `spec/inputs/snapshot.md`); reads no file itself.

use rustix::fs::{FileType, Stat};
use stagecraft_store::{DecodeError, Decoder, Encoder};

/// Seconds and nanoseconds of a file system's clock.
pub(super) type Time = (i64, u32);

/// A file system that we asked for the time may lag behind itself by one tick: 10 ms at 100 Hz.
const MARGIN: Time = (0, 10_000_000);
/// One that we did not ask may have another clock.
const FOREIGN_MARGIN: Time = (10, 0);

/// The identity of a regular file's content.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Stamp {
    device: u64,
    inode: u64,
    pub(super) size: u64,
    modified: Time,
    changed: Time,
    /// Whether the owner may execute it.
    pub(super) executable: bool,
}

/// The time of one file system at some moment before a file was opened.
#[derive(Debug, Clone, Copy)]
pub(super) struct Horizon {
    device: u64,
    time: Time,
}

impl Stamp {
    /// Takes what identifies content from `stat`.
    pub(super) fn new(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev,
            inode: stat.st_ino,
            size: u64::try_from(stat.st_size).unwrap_or(0),
            modified: (stat.st_mtime, nanoseconds(stat.st_mtime_nsec)),
            changed: (stat.st_ctime, nanoseconds(stat.st_ctime_nsec)),
            executable: stat.st_mode & 0o100 != 0,
        }
    }

    pub(super) fn encode(&self, encoder: &mut Encoder) {
        encoder.u64(self.device);
        encoder.u64(self.inode);
        encoder.u64(self.size);
        for (seconds, nanoseconds) in [self.modified, self.changed] {
            encoder.u64(seconds.cast_unsigned());
            encoder.u32(nanoseconds);
        }
        encoder.bool(self.executable);
    }

    pub(super) fn decode(decoder: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            device: decoder.u64()?,
            inode: decoder.u64()?,
            size: decoder.u64()?,
            modified: (decoder.u64()?.cast_signed(), decoder.u32()?),
            changed: (decoder.u64()?.cast_signed(), decoder.u32()?),
            executable: decoder.bool()?,
        })
    }
}

impl Horizon {
    /// Takes the time at which the file of `stat` was written just now.
    pub(super) fn new(stat: &Stat) -> Self {
        Self {
            device: stat.st_dev,
            time: (stat.st_mtime, nanoseconds(stat.st_mtime_nsec)),
        }
    }

    /// Returns the moment some seconds later.
    #[cfg(test)]
    pub(super) fn later(self, seconds: i64) -> Self {
        Self {
            time: (self.time.0 + seconds, self.time.1),
            ..self
        }
    }

    /// Returns whether every later change of the file must show in its stamp: its last change lies
    /// clearly before this moment, so that no later one can get the same time.
    pub(super) fn trusts(&self, stamp: &Stamp) -> bool {
        let margin = if stamp.device == self.device {
            MARGIN
        } else {
            FOREIGN_MARGIN
        };
        add(stamp.modified.max(stamp.changed), margin) < self.time
    }
}

fn add(time: Time, margin: Time) -> Time {
    let nanoseconds = time.1 + margin.1;
    let carry = i64::from(nanoseconds / 1_000_000_000);
    (
        time.0.saturating_add(margin.0).saturating_add(carry),
        nanoseconds % 1_000_000_000,
    )
}

/// The field's type differs between machines; its value is always below a thousand million.
fn nanoseconds(value: impl TryInto<u32>) -> u32 {
    value.try_into().unwrap_or(0).min(999_999_999)
}

/// Returns whether `stat` is of a regular file.
pub(super) fn is_file(stat: &Stat) -> bool {
    FileType::from_raw_mode(stat.st_mode) == FileType::RegularFile
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stamp(device: u64, modified: Time, changed: Time) -> Stamp {
        Stamp {
            device,
            inode: 1,
            size: 1,
            modified,
            changed,
            executable: false,
        }
    }

    /// spec: inputs/snapshot R3
    #[test]
    fn only_a_change_clearly_before_the_horizon_is_trusted() {
        let horizon = Horizon {
            device: 1,
            time: (100, 5_000_000),
        };
        assert!(horizon.trusts(&stamp(1, (99, 994_999_999), (99, 0))));
        assert!(
            !horizon.trusts(&stamp(1, (99, 995_000_000), (99, 0))),
            "mtime inside the margin"
        );
        assert!(
            !horizon.trusts(&stamp(1, (1, 0), (100, 0))),
            "ctime inside the margin"
        );
        assert!(
            !horizon.trusts(&stamp(1, (200, 0), (1, 0))),
            "mtime in the future"
        );
        assert!(
            !horizon.trusts(&stamp(2, (99, 0), (99, 0))),
            "another file system, nine seconds"
        );
        assert!(horizon.trusts(&stamp(2, (90, 0), (90, 0))));
    }
}
