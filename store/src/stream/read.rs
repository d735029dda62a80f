//! Import of closures: frames are checked one by one, objects that are here already are hashed and
//! skipped, new ones become durable in batches. Results and roots come last, when all is there.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, BufReader, ErrorKind, Read};
use std::path::Path;

use super::{
    Delivery, END, LINE, LINE_START, MAX_RECORD, NOTE, OBJECT, Parcel, RESULT, ROOT, StreamError,
};
use crate::action::{ActionKey, ActionResult};
use crate::batch::Batch;
use crate::closure::{Reach, Want};
use crate::digest::{Digest, Hasher};
use crate::error::{StoreError, at};
use crate::read::copy_hashed;
use crate::record::RecordError;
use crate::root::{Reference, Root, RootName};
use crate::store::Store;
use crate::tree::Object;

/// A batch is committed when it has this many objects or bytes: an import that is interrupted loses
/// at most so much, and each commit syncs once.
const BATCH_OBJECTS: u64 = 2_000;
const BATCH_BYTES: u64 = 256 << 20;

/// What messages call the stream.
const INPUT: &str = "input";

impl Store {
    /// Reads a stream that `export_closure` wrote and brings its objects and results, durably. Its
    /// roots wait for [`Arrival::accept`]. After an error, or an interruption, no root is set and the
    /// objects that came are skipped the next time. A root that is here already must keep the same.
    pub fn import_closure(&self, source: &mut dyn Read) -> Result<Arrival<'_>, StoreError> {
        self.inner.writable()?;
        let decoder = zstd::stream::read::Decoder::new(source).map_err(failed)?;
        let mut import = Import::new(self, BufReader::with_capacity(128 << 10, decoder));
        import.head()?;
        loop {
            let kind = import.source.byte()?;
            if kind == END {
                import.source.end()?;
                return import.finish();
            }
            // Frames stand in the order of their kinds.
            if kind < import.kind {
                return Err(import.misplaced());
            }
            import.kind = kind;
            match kind {
                ROOT => import.root()?,
                NOTE => import.note()?,
                OBJECT => import.object()?,
                RESULT => import.result()?,
                _ => return Err(import.misplaced()),
            }
            import.frame += 1;
        }
    }
}

/// A stream that was read to its end, found whole, and not rooted yet. Dropped, it leaves objects
/// and results that gc may take.
#[derive(Debug)]
pub struct Arrival<'s> {
    store: &'s Store,
    delivery: Delivery,
    /// Keeps gc of this store away until the roots are set.
    _batch: Batch,
}

impl Arrival<'_> {
    /// Returns roots and notes, for the caller to judge.
    pub fn parcel(&self) -> &Parcel {
        &self.delivery.parcel
    }

    /// Sets the roots, durably.
    pub fn accept(self) -> Result<Delivery, StoreError> {
        for (name, root) in &self.delivery.parcel.roots {
            self.store.set_root(name, root)?;
        }
        Ok(self.delivery)
    }
}

struct Import<'s, R> {
    store: &'s Store,
    source: Source<R>,
    /// The number of the frame that is read, and the kind of the last one.
    frame: u64,
    kind: u8,
    batch: Batch,
    /// What the batch has that the store has not.
    waiting: (u64, u64),
    last_object: Option<Digest>,
    results: Vec<(ActionKey, ActionResult)>,
    invited: BTreeSet<ActionKey>,
    delivery: Delivery,
}

impl<'s, R: Read> Import<'s, R> {
    fn new(store: &'s Store, source: R) -> Self {
        Self {
            store,
            source: Source {
                inner: source,
                hasher: Hasher::new(),
            },
            frame: 0,
            kind: 0,
            batch: store.batch(),
            waiting: (0, 0),
            last_object: None,
            results: Vec::new(),
            invited: BTreeSet::new(),
            delivery: Delivery::default(),
        }
    }

    fn misplaced(&self) -> StoreError {
        StreamError::Frame { frame: self.frame }.into()
    }

    fn unopened(&self, source: impl Into<RecordError>) -> StoreError {
        let source = source.into();
        let frame = self.frame;
        StreamError::Record { frame, source }.into()
    }

    fn head(&mut self) -> Result<(), StoreError> {
        let mut line = Vec::new();
        while line.last() != Some(&b'\n') && line.len() < 64 {
            let byte = self.source.byte().map_err(|error| match error {
                StoreError::Stream(_) => StreamError::Foreign.into(),
                other => other,
            })?;
            line.push(byte);
        }
        if line == LINE {
            return Ok(());
        }
        let text = String::from_utf8_lossy(&line).trim_end().to_owned();
        let version = line.strip_prefix(LINE_START).and_then(|rest| {
            let digits = std::str::from_utf8(rest).ok()?.strip_suffix('\n')?;
            digits.parse::<u32>().ok()
        });
        match version {
            Some(2..) => Err(StreamError::Newer { found: text }.into()),
            Some(_) | None => Err(StreamError::Foreign.into()),
        }
    }

    /// Reads bytes with their length.
    fn sized(&mut self) -> Result<Vec<u8>, StoreError> {
        let length = self.source.number()?;
        if length > MAX_RECORD {
            return Err(self.misplaced());
        }
        let mut bytes = Vec::new();
        let read = (&mut self.source).take(length).read_to_end(&mut bytes);
        if read.map_err(failed)? as u64 != length {
            return Err(StreamError::Short.into());
        }
        Ok(bytes)
    }

    fn root(&mut self) -> Result<(), StoreError> {
        let bytes = self.sized()?;
        let (name, root) = Root::decode_any(&bytes).map_err(|error| self.unopened(error))?;
        let last = self.delivery.parcel.roots.last_key_value();
        if last.is_some_and(|(last, _)| *last >= name) {
            return Err(self.misplaced());
        }
        self.check_free(&name, &root)?;
        self.invited
            .extend(root.references.iter().filter_map(|reference| {
                if let Reference::Result(key) = reference {
                    Some(*key)
                } else {
                    None
                }
            }));
        self.delivery.parcel.roots.insert(name, root);
        Ok(())
    }

    fn check_free(&self, name: &RootName, root: &Root) -> Result<(), StoreError> {
        match self.store.root(name)? {
            Some(here) if here.references != root.references => {
                Err(StoreError::RootTaken { name: name.clone() })
            }
            Some(_) | None => Ok(()),
        }
    }

    fn note(&mut self) -> Result<(), StoreError> {
        let name = String::from_utf8(self.sized()?).map_err(|_| self.misplaced())?;
        let bytes = self.sized()?;
        let last = self.delivery.parcel.notes.last_key_value();
        if last.is_some_and(|(last, _)| *last >= name) {
            return Err(self.misplaced());
        }
        self.delivery.parcel.notes.insert(name, bytes);
        Ok(())
    }

    fn object(&mut self) -> Result<(), StoreError> {
        let digest = self.source.digest()?;
        let size = self.source.number()?;
        if self.last_object.is_some_and(|last| last >= digest) {
            return Err(self.misplaced());
        }
        self.last_object = Some(digest);
        let announced = Object { digest, size };
        let here = self.store.holds(&announced)?;
        let mut bytes = Watched {
            source: (&mut self.source).take(size),
            failed: None,
        };
        let came = if here {
            let (digest, size) = copy_hashed(&mut bytes, &mut io::sink()).map_err(failed)?;
            Object { digest, size }
        } else {
            let put = self.batch.staging.put_reader(&mut bytes, Path::new(INPUT));
            match bytes.failed {
                Some(error) => return Err(failed(error)),
                None => put?,
            }
        };
        if came.size != size {
            return Err(StreamError::Short.into());
        }
        if came.digest != digest {
            return Err(StreamError::Object { digest }.into());
        }
        if here {
            self.delivery.skipped += 1;
            return Ok(());
        }
        self.delivery.added.objects += 1;
        self.delivery.added.bytes += size;
        self.waiting.0 += 1;
        self.waiting.1 += size;
        if self.waiting.0 >= BATCH_OBJECTS || self.waiting.1 >= BATCH_BYTES {
            self.commit(Vec::new())?;
        }
        Ok(())
    }

    fn commit(&mut self, results: Vec<(ActionKey, ActionResult)>) -> Result<(), StoreError> {
        let batch = std::mem::replace(&mut self.batch, self.store.batch());
        self.waiting = (0, 0);
        self.store.commit(vec![batch], results, Vec::new())
    }

    fn result(&mut self) -> Result<(), StoreError> {
        let bytes = self.sized()?;
        let (key, result) =
            ActionResult::decode_any(&bytes).map_err(|error| self.unopened(error))?;
        if self.results.last().is_some_and(|(last, _)| *last >= key) {
            return Err(self.misplaced());
        }
        if !self.invited.contains(&key) {
            return Err(StreamError::Uninvited { key }.into());
        }
        self.results.push((key, result));
        Ok(())
    }

    /// Looks whether everything that the roots name is there, then publishes results.
    fn finish(mut self) -> Result<Arrival<'s>, StoreError> {
        self.commit(Vec::new())?;
        let came: BTreeMap<ActionKey, ActionResult> =
            std::mem::take(&mut self.results).into_iter().collect();
        self.check_whole(&came)?;
        let mut results = Vec::new();
        for (key, result) in came {
            // What ran here is as good, and others may use it.
            if self.store.result(&key)?.is_none() {
                results.push((key, result));
            }
        }
        self.delivery.added.results = results.len() as u64;
        self.commit(results)?;
        Ok(Arrival {
            store: self.store,
            delivery: self.delivery,
            _batch: self.batch,
        })
    }

    fn check_whole(&self, came: &BTreeMap<ActionKey, ActionResult>) -> Result<(), StoreError> {
        let inner = &*self.store.inner;
        let _gate = inner.enter()?;
        let references = self.delivery.parcel.references();
        inner.rely(references.iter().copied());
        let mut reach = Reach::default();
        for reference in references {
            let result = match reference {
                Reference::Result(key) => came.get(&key),
                Reference::Blob(_) | Reference::Tree(_) => None,
            };
            match result {
                Some(result) => inner.reach(Want::of_result(result), &mut reach)?,
                None => inner.reach_reference(&reference, &mut reach)?,
            }
        }
        if reach.missing.is_empty() {
            return Ok(());
        }
        let missing = reach.missing.into_iter().collect();
        Err(StreamError::Incomplete { missing }.into())
    }
}

/// Tells an error of the compression from one of the file behind it.
fn failed(error: io::Error) -> StoreError {
    if error.kind() == ErrorKind::UnexpectedEof {
        StreamError::Short.into()
    } else if error.raw_os_error().is_some() {
        at(INPUT)(error)
    } else {
        StreamError::Compression.into()
    }
}

/// Keeps the error of a read, so that it can be told from one of the disk that is written to.
struct Watched<R> {
    source: R,
    failed: Option<io::Error>,
}

impl<R: Read> Read for Watched<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        self.source.read(buffer).map_err(|error| {
            let copy = match error.raw_os_error() {
                Some(code) => io::Error::from_raw_os_error(code),
                None => error.kind().into(),
            };
            self.failed = Some(error);
            copy
        })
    }
}

/// The decompressed stream; hashes what passes.
struct Source<R> {
    inner: R,
    hasher: Hasher,
}

impl<R: Read> Source<R> {
    fn array<const N: usize>(&mut self) -> Result<[u8; N], StoreError> {
        let mut bytes = [0; N];
        self.read_exact(&mut bytes).map_err(failed)?;
        Ok(bytes)
    }

    fn byte(&mut self) -> Result<u8, StoreError> {
        Ok(self.array::<1>()?[0])
    }

    fn number(&mut self) -> Result<u64, StoreError> {
        Ok(u64::from_le_bytes(self.array()?))
    }

    fn digest(&mut self) -> Result<Digest, StoreError> {
        Ok(Digest::from_bytes(self.array()?))
    }

    /// Compares the hash at the end with that of all before it; nothing may follow.
    fn end(&mut self) -> Result<(), StoreError> {
        let found = self.hasher.finish();
        if self.digest()? != found {
            return Err(StreamError::Checksum.into());
        }
        let mut more = [0];
        match self.inner.read(&mut more) {
            Ok(0) => Ok(()),
            Ok(_) => Err(StreamError::Trailing.into()),
            Err(error) => Err(match failed(error) {
                StoreError::Stream(StreamError::Compression) => StreamError::Trailing.into(),
                other => other,
            }),
        }
    }
}

impl<R: Read> Read for Source<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..count]);
        Ok(count)
    }
}
