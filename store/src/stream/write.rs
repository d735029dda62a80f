//! Export of closures: everything that roots refer to, sorted, framed and compressed. The same closure
//! gives the same bytes, whatever else the store holds and in whatever order it came.

use std::io::{self, Write};

use super::{END, LINE, NOTE, OBJECT, Parcel, RESULT, ROOT, Shipped};
use crate::closure::Reach;
use crate::digest::{Digest, Hasher};
use crate::error::{StoreError, at};
use crate::root::Reference;
use crate::store::{Inner, Store};
use crate::tree::Object;

/// The level of compression; another one gives other bytes.
const LEVEL: i32 = 3;

impl Store {
    /// Writes the roots of `parcel`, everything they refer to and its notes to `target`. Fails with
    /// `Absent` before the first byte if something is missing; on any other error what was written
    /// is not a whole stream, and no import accepts it.
    pub fn export_closure(
        &self,
        parcel: &Parcel,
        target: &mut dyn Write,
    ) -> Result<Shipped, StoreError> {
        let inner = &*self.inner;
        let _gate = inner.enter()?;
        let references = parcel.references();
        let mut reach = Reach::default();
        for reference in &references {
            inner.reach_reference(reference, &mut reach)?;
        }
        if let Some(digest) = reach.missing.first() {
            return Err(StoreError::Absent { digest: *digest });
        }
        let mut frames = Frames::start(target).map_err(output)?;
        for (name, root) in &parcel.roots {
            frames.sized(ROOT, &root.encode(name)).map_err(output)?;
        }
        for (name, bytes) in &parcel.notes {
            frames.note(name, bytes).map_err(output)?;
        }
        let mut shipped = Shipped::default();
        // The empty object is everywhere.
        reach.objects.remove(&Object::empty().digest);
        for digest in &reach.objects {
            let size = inner.ship(&mut frames, digest)?;
            shipped.objects += 1;
            shipped.bytes += size;
        }
        for reference in references {
            let Reference::Result(key) = reference else {
                continue;
            };
            let result = inner
                .record_of(&key)?
                .ok_or(StoreError::Absent { digest: key.0 })?;
            frames.sized(RESULT, &result.encode(&key)).map_err(output)?;
            shipped.results += 1;
        }
        frames.end().map_err(output)?;
        Ok(shipped)
    }
}

impl Inner {
    /// Writes one object; its size stands before its bytes, so a file that changes meanwhile is an
    /// error and not another object.
    fn ship(&self, frames: &mut Frames<'_>, digest: &Digest) -> Result<u64, StoreError> {
        let size = self
            .size_of(digest)?
            .ok_or(StoreError::Absent { digest: *digest })?;
        frames.object(digest, size).map_err(output)?;
        let mut failed = None;
        let read = self.read_to(
            digest,
            &mut Watched {
                target: frames,
                failed: &mut failed,
            },
        );
        // `read_to` puts the object's path on every error; one of the target is not the object's.
        if let Some(error) = failed {
            return Err(output(error));
        }
        match read? {
            Some(written) if written == size => Ok(size),
            Some(_) => Err(StoreError::Corrupt { digest: *digest }),
            None => Err(StoreError::Absent { digest: *digest }),
        }
    }
}

fn output(error: io::Error) -> StoreError {
    at("output")(error)
}

/// Keeps the error of a write, so that it can be told from one of a read.
struct Watched<'a, 'w> {
    target: &'a mut Frames<'w>,
    failed: &'a mut Option<io::Error>,
}

impl Write for Watched<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match self.target.put(bytes) {
            Ok(()) => Ok(bytes.len()),
            Err(error) => {
                let kind = error.kind();
                *self.failed = Some(error);
                Err(kind.into())
            }
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// Writes frames, hashes them and compresses them.
struct Frames<'w> {
    target: zstd::stream::write::Encoder<'static, &'w mut dyn Write>,
    hasher: Hasher,
}

impl<'w> Frames<'w> {
    fn start(target: &'w mut dyn Write) -> io::Result<Self> {
        let mut target = zstd::stream::write::Encoder::new(target, LEVEL)?;
        target.include_checksum(true)?;
        let mut frames = Self {
            target,
            hasher: Hasher::new(),
        };
        frames.put(LINE)?;
        Ok(frames)
    }

    fn put(&mut self, bytes: &[u8]) -> io::Result<()> {
        self.hasher.update(bytes);
        self.target.write_all(bytes)
    }

    fn sized(&mut self, kind: u8, bytes: &[u8]) -> io::Result<()> {
        self.put(&[kind])?;
        self.put(&(bytes.len() as u64).to_le_bytes())?;
        self.put(bytes)
    }

    fn note(&mut self, name: &str, bytes: &[u8]) -> io::Result<()> {
        self.sized(NOTE, name.as_bytes())?;
        self.put(&(bytes.len() as u64).to_le_bytes())?;
        self.put(bytes)
    }

    fn object(&mut self, digest: &Digest, size: u64) -> io::Result<()> {
        self.put(&[OBJECT])?;
        self.put(digest.as_bytes())?;
        self.put(&size.to_le_bytes())
    }

    fn end(mut self) -> io::Result<()> {
        self.put(&[END])?;
        let digest = self.hasher.finish();
        self.target.write_all(digest.as_bytes())?;
        self.target.finish()?.flush()
    }
}
