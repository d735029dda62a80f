//! Batches: objects on their way into the store. They lie in temporary files, hashed as they were
//! written, and no reader sees them before `Store::commit`. A dropped batch leaves nothing.

use std::collections::BTreeMap;
use std::io::{self, Read};
use std::path::Path;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::digest::{Digest, Hasher};
use crate::disk::{Change, Kind, WriteMode, object_time};
use crate::error::{StoreError, at};
use crate::layout::{self, CAS};
use crate::root::Reference;
use crate::store::{Inner, Store};
use crate::tree::{BuiltTree, Object};

/// Up to this size a blob is hashed before it is written, so one that is there costs no write.
const SMALL: u64 = 1 << 20;
/// How much of a larger blob is hashed at once, on all cores.
const PIECE: usize = 4 << 20;

/// Objects that are not in the store yet. Owns its files; may be filled in one thread and committed
/// in another.
#[derive(Debug)]
pub struct Batch {
    pub(crate) staging: Staging,
}

/// The files of a batch; may be added to from many threads.
#[derive(Debug)]
pub(crate) struct Staging {
    pub(crate) inner: Arc<Inner>,
    directory: Mutex<Option<String>>,
    staged: Mutex<BTreeMap<Digest, Staged>>,
    counter: AtomicU64,
}

/// Where the bytes of a staged object are.
#[derive(Debug, Clone)]
pub(crate) struct Staged {
    pub(crate) size: u64,
    /// The temporary file; `None` when the store had the object already.
    pub(crate) file: Option<String>,
}

impl Store {
    /// Starts an empty batch.
    pub fn batch(&self) -> Batch {
        Batch {
            staging: Staging {
                inner: Arc::clone(&self.inner),
                directory: Mutex::new(None),
                staged: Mutex::new(BTreeMap::new()),
                counter: AtomicU64::new(0),
            },
        }
    }
}

impl Batch {
    /// Adds a blob.
    pub fn put(&mut self, bytes: &[u8]) -> Result<Object, StoreError> {
        self.staging.put(bytes)
    }

    /// Adds a blob from a stream of any length.
    pub fn put_reader(&mut self, source: &mut dyn Read) -> Result<Object, StoreError> {
        self.staging.put_reader(source, Path::new("input"))
    }

    /// Adds the directories of a tree; its files are added by other calls.
    pub fn add_tree(&mut self, tree: &BuiltTree) -> Result<(), StoreError> {
        for bytes in tree.directories.values() {
            self.staging.put(bytes)?;
        }
        Ok(())
    }

    /// Returns whether the batch holds the object.
    pub fn contains(&self, digest: &Digest) -> bool {
        self.staging.staged().contains_key(digest)
    }
}

impl Staging {
    pub(crate) fn staged(&self) -> MutexGuard<'_, BTreeMap<Digest, Staged>> {
        self.staged.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn put(&self, bytes: &[u8]) -> Result<Object, StoreError> {
        self.inner.writable()?;
        let object = Object::of(bytes);
        if self.is_known(&object)? {
            return Ok(object);
        }
        let path = self.fresh()?;
        let mut source = bytes;
        let size = self
            .inner
            .disk
            .write(&path, &mut source, WriteMode::Object)
            .map_err(at(&path))?;
        if size != object.size {
            return Err(at(&path)(io::ErrorKind::WriteZero.into()));
        }
        self.keep(object, path)?;
        Ok(object)
    }

    /// Adds a blob from a stream; `name` is what messages call it.
    pub(crate) fn put_reader(
        &self,
        source: &mut dyn Read,
        name: &Path,
    ) -> Result<Object, StoreError> {
        self.inner.writable()?;
        let mut start = Vec::new();
        source
            .take(SMALL)
            .read_to_end(&mut start)
            .map_err(at(name))?;
        if (start.len() as u64) < SMALL {
            return self.put(&start);
        }
        let path = self.fresh()?;
        let mut hashed = Hashed {
            source: start.as_slice().chain(source),
            hasher: Hasher::new(),
            piece: Vec::new(),
            at: 0,
        };
        let size = self
            .inner
            .disk
            .write(&path, &mut hashed, WriteMode::Object)
            .map_err(at(&path))?;
        let object = Object {
            digest: hashed.hasher.finish(),
            size,
        };
        if self.is_known(&object)? {
            self.inner.discard(Change::Remove(&path), &path)?;
        } else {
            self.keep(object, path)?;
        }
        Ok(object)
    }

    /// Returns whether the batch or the store has the object; notes that the batch needs it.
    fn is_known(&self, object: &Object) -> Result<bool, StoreError> {
        if object.size == 0 || self.staged().contains_key(&object.digest) {
            return Ok(true);
        }
        // Most objects are new, which one look tells. One that is there is named before it is
        // believed.
        if !self.is_stored(object)? {
            return Ok(false);
        }
        let _gate = self.inner.enter()?;
        self.inner.rely([Reference::Blob(object.digest)]);
        let known = self.is_stored(object)?;
        if known {
            let size = object.size;
            let staged = Staged { size, file: None };
            self.staged().entry(object.digest).or_insert(staged);
        }
        Ok(known)
    }

    fn is_stored(&self, object: &Object) -> Result<bool, StoreError> {
        let path = layout::path(CAS, &object.digest);
        let stat = self.inner.disk.stat(&path).map_err(at(&path))?;
        Ok(stat.is_some_and(|stat| {
            stat.kind == Kind::File && stat.size == object.size && stat.modified == object_time()
        }))
    }

    /// Notes a written file; another thread may have staged the same bytes meanwhile.
    fn keep(&self, object: Object, path: String) -> Result<(), StoreError> {
        let mut staged = self.staged();
        if staged.contains_key(&object.digest) {
            drop(staged);
            return self.inner.discard(Change::Remove(&path), &path);
        }
        let size = object.size;
        let file = Some(path);
        staged.insert(object.digest, Staged { size, file });
        Ok(())
    }

    fn fresh(&self) -> Result<String, StoreError> {
        let mut directory = self
            .directory
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let count = self.counter.fetch_add(1, Ordering::Relaxed);
        if let Some(directory) = &*directory {
            return Ok(format!("{directory}/{count:x}"));
        }
        let made = self.inner.fresh()?;
        self.inner
            .disk
            .change(Change::MakeDir(&made))
            .map_err(at(&made))?;
        let path = format!("{made}/{count:x}");
        *directory = Some(made);
        Ok(path)
    }
}

impl Drop for Staging {
    fn drop(&mut self) {
        let directory = self
            .directory
            .get_mut()
            .unwrap_or_else(PoisonError::into_inner);
        if let Some(directory) = directory
            && let Err(error) = self.inner.disk.change(Change::RemoveTree(directory))
        {
            tracing::debug!(%directory, %error, "temporary files stay");
        }
    }
}

/// Passes a stream on and hashes it in large pieces.
struct Hashed<R> {
    source: R,
    hasher: Hasher,
    piece: Vec<u8>,
    at: usize,
}

impl<R: Read> Read for Hashed<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        if self.at == self.piece.len() {
            self.piece.clear();
            self.at = 0;
            let limit = PIECE as u64;
            self.source
                .by_ref()
                .take(limit)
                .read_to_end(&mut self.piece)?;
            self.hasher.update(&self.piece);
        }
        let count = buffer.len().min(self.piece.len() - self.at);
        buffer[..count].copy_from_slice(&self.piece[self.at..self.at + count]);
        self.at += count;
        Ok(count)
    }
}
