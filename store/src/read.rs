//! Lookups. Bytes are hashed whenever they are read, so nothing altered ever leaves the store;
//! a result counts only with everything it refers to.

use std::io::{self, Read, Write};
use std::time::Duration;

use crate::action::{self, ActionKey, ActionResult, HistoryKey};
use crate::closure::{Reach, Want};
use crate::digest::{Digest, Hasher};
use crate::disk::{Change, Kind, Stat, object_time};
use crate::error::{StoreError, at};
use crate::layout::{self, CAS, HISTORY, RESULTS};
use crate::root::Reference;
use crate::store::{Inner, Store, is_absent};
use crate::tree::{Directory, Object};

/// How long a result may be used without a note of it.
const TOUCH_AFTER: Duration = Duration::from_secs(24 * 60 * 60);

impl Store {
    /// Returns whether an object of that name is there. Looks at no byte of it.
    pub fn contains(&self, digest: &Digest) -> Result<bool, StoreError> {
        let _gate = self.inner.enter()?;
        self.inner.rely([Reference::Blob(*digest)]);
        Ok(self.inner.size_of(digest)?.is_some())
    }

    /// Returns whether an object of that name and size is there, by one look at its file. Only a
    /// file that was written to since it was stored is read and hashed.
    pub fn holds(&self, object: &Object) -> Result<bool, StoreError> {
        let _gate = self.inner.enter()?;
        self.inner.rely([Reference::Blob(object.digest)]);
        self.inner.is_sound(&object.digest, Some(object.size))
    }

    /// Returns the bytes of an object, after hashing them.
    pub fn read(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        let _gate = self.inner.enter()?;
        self.inner.read(digest)
    }

    /// Writes the bytes of an object to `target` and returns how many there were. The hash is known
    /// only at the end: on an error the caller discards what was written.
    pub fn read_to(
        &self,
        digest: &Digest,
        target: &mut dyn Write,
    ) -> Result<Option<u64>, StoreError> {
        let _gate = self.inner.enter()?;
        self.inner.read_to(digest, target)
    }

    /// Returns a directory; a damaged one is absent.
    pub fn directory(&self, digest: &Digest) -> Result<Option<Directory>, StoreError> {
        let _gate = self.inner.enter()?;
        self.inner.directory(digest)
    }

    /// Returns the result of an action, if everything it refers to is in the store, and notes that
    /// it was used. A torn or altered record is absent.
    pub fn result(&self, key: &ActionKey) -> Result<Option<ActionResult>, StoreError> {
        let _gate = self.inner.enter()?;
        self.inner.rely([Reference::Result(*key)]);
        let Some(result) = self.inner.record_of(key)? else {
            return Ok(None);
        };
        let mut reach = Reach::first_gap();
        self.inner.reach(Want::of_result(&result), &mut reach)?;
        if !reach.missing.is_empty() {
            return Ok(None);
        }
        if self.inner.is_writable() {
            let path = layout::path(RESULTS, &key.0);
            let touch = Change::Touch {
                path: &path,
                age: TOUCH_AFTER,
            };
            // Only a hint for gc, and the record may belong to someone else.
            if let Err(error) = self.inner.disk.change(touch) {
                tracing::debug!(%key, %error, "last use not noted");
            }
        }
        Ok(Some(result))
    }

    /// Returns the newest leaves recorded for an operation. Says nothing of whether they are there.
    pub fn latest(&self, key: &HistoryKey) -> Result<Option<Digest>, StoreError> {
        let _gate = self.inner.enter()?;
        let bytes = self.inner.file(&layout::path(HISTORY, key.digest()))?;
        Ok(bytes.and_then(|bytes| action::decode_history(key, &bytes).ok()))
    }

    /// Returns what is absent, damaged or of another size among `roots` and everything below them,
    /// sorted. An absent result is named by its key's digest.
    pub fn missing(&self, roots: &[Reference]) -> Result<Vec<Digest>, StoreError> {
        let _gate = self.inner.enter()?;
        self.inner.rely(roots.iter().copied());
        let mut reach = Reach::default();
        for root in roots {
            self.inner.reach_reference(root, &mut reach)?;
        }
        Ok(reach.missing.into_iter().collect())
    }
}

impl Inner {
    /// Returns the record of an action, without looking at what it refers to.
    pub(crate) fn record_of(&self, key: &ActionKey) -> Result<Option<ActionResult>, StoreError> {
        let bytes = self.file(&layout::path(RESULTS, &key.0))?;
        Ok(bytes.and_then(|bytes| ActionResult::decode(key, &bytes).ok()))
    }

    /// Returns the length of an object's file.
    pub(crate) fn size_of(&self, digest: &Digest) -> Result<Option<u64>, StoreError> {
        if *digest == Object::empty().digest {
            return Ok(Some(0));
        }
        let stat = self.stat_object(digest)?;
        Ok(stat
            .filter(|stat| stat.kind == Kind::File)
            .map(|stat| stat.size))
    }

    /// Looks at an object's file; one that gc removed a moment ago is taken back.
    fn stat_object(&self, digest: &Digest) -> Result<Option<Stat>, StoreError> {
        let path = layout::path(CAS, digest);
        match self.disk.stat(&path).map_err(at(&path))? {
            None if self.recall(digest)? => self.disk.stat(&path).map_err(at(&path)),
            found => Ok(found),
        }
    }

    /// Returns whether an object is there with that size and was not written to.
    pub(crate) fn is_sound(&self, digest: &Digest, size: Option<u64>) -> Result<bool, StoreError> {
        if *digest == Object::empty().digest {
            return Ok(size.unwrap_or(0) == 0);
        }
        let Some(stat) = self.stat_object(digest)? else {
            return Ok(false);
        };
        if stat.kind != Kind::File {
            return Ok(false);
        }
        if stat.modified == object_time() {
            return Ok(size.is_none_or(|size| size == stat.size));
        }
        match self.read_to(digest, &mut io::sink()) {
            Err(StoreError::Corrupt { .. }) => Ok(false),
            read => Ok(read?.is_some_and(|found| size.is_none_or(|size| size == found))),
        }
    }

    pub(crate) fn read(&self, digest: &Digest) -> Result<Option<Vec<u8>>, StoreError> {
        self.read_of(digest, None)
    }

    fn read_of(&self, digest: &Digest, size: Option<u64>) -> Result<Option<Vec<u8>>, StoreError> {
        if *digest == Object::empty().digest {
            return Ok(Some(Vec::new()));
        }
        let path = layout::path(CAS, digest);
        let bytes = match self.file_of(&path, size)? {
            None if self.recall(digest)? => self.file_of(&path, size)?,
            found => found,
        };
        let Some(bytes) = bytes else {
            return Ok(None);
        };
        if Digest::of(&bytes) != *digest {
            self.condemn(digest);
            return Err(StoreError::Corrupt { digest: *digest });
        }
        Ok(Some(bytes))
    }

    pub(crate) fn read_to(
        &self,
        digest: &Digest,
        target: &mut dyn Write,
    ) -> Result<Option<u64>, StoreError> {
        if *digest == Object::empty().digest {
            return Ok(Some(0));
        }
        let path = layout::path(CAS, digest);
        let opened = match self.disk.open(&path) {
            Err(error) if is_absent(&error) && self.recall(digest)? => self.disk.open(&path),
            opened => opened,
        };
        let mut file = match opened {
            Err(error) if is_absent(&error) => return Ok(None),
            opened => opened.map_err(at(&path))?,
        };
        let (found, size) = copy_hashed(&mut file, target).map_err(at(&path))?;
        if found != *digest {
            self.condemn(digest);
            return Err(StoreError::Corrupt { digest: *digest });
        }
        Ok(Some(size))
    }

    pub(crate) fn directory(&self, digest: &Digest) -> Result<Option<Directory>, StoreError> {
        self.directory_of(digest, None)
    }

    /// Returns a directory; of one whose file was found to have `size` no end is looked for.
    pub(crate) fn directory_of(
        &self,
        digest: &Digest,
        size: Option<u64>,
    ) -> Result<Option<Directory>, StoreError> {
        match self.read_of(digest, size) {
            Err(StoreError::Corrupt { .. }) => Ok(None),
            read => Ok(read?.and_then(|bytes| Directory::decode(&bytes).ok())),
        }
    }

    /// Moves a damaged object out of the way, so that the next run makes it again. Readers that have
    /// it open keep it; if it cannot be moved it is still refused wherever it is read.
    pub(crate) fn condemn(&self, digest: &Digest) {
        if !self.is_writable() {
            return;
        }
        for area in [CAS, layout::CASX] {
            let from = layout::path(area, digest);
            let to = format!("{}/{area}-{}", layout::TRASH, digest.hex());
            let moved = self.disk.change(Change::Rename {
                from: &from,
                to: &to,
            });
            tracing::warn!(%digest, area, moved = moved.is_ok(), "damaged object set aside");
        }
    }
}

/// Copies everything and hashes it on the way.
pub(crate) fn copy_hashed(
    source: &mut dyn Read,
    target: &mut dyn Write,
) -> io::Result<(Digest, u64)> {
    let mut hasher = Hasher::new();
    let mut buffer = vec![0; 128 << 10];
    let mut size = 0;
    loop {
        match source.read(&mut buffer) {
            Ok(0) => return Ok((hasher.finish(), size)),
            Ok(count) => {
                hasher.update(&buffer[..count]);
                target.write_all(&buffer[..count])?;
                size += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
}
