//! Scratch: a private directory on the store's file system, so that what is made there can be
//! linked from the store. It goes when it is dropped, or with the next process after a crash.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rustix::fs::{Mode, fchmod};

use crate::disk::Change;
use crate::error::{StoreError, at};
use crate::store::{Inner, Store};

/// A directory that only this process and those it starts write to.
#[derive(Debug)]
pub struct Scratch {
    inner: Arc<Inner>,
    relative: String,
    path: PathBuf,
}

impl Scratch {
    /// Returns its absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }
}

impl Store {
    /// Makes an empty directory with mode 0700.
    pub fn scratch(&self) -> Result<Scratch, StoreError> {
        let inner = &*self.inner;
        let _gate = inner.enter()?;
        let host = inner.host.as_ref().ok_or(StoreError::NotOnHost)?;
        let relative = inner.fresh()?;
        inner
            .disk
            .change(Change::MakeDir(&relative))
            .map_err(at(&relative))?;
        let opened = host.disk.handle(&relative).map_err(at(&relative))?;
        fchmod(&opened, Mode::RWXU).map_err(|error| at(&relative)(error.into()))?;
        Ok(Scratch {
            path: host.layout.join(&relative),
            inner: Arc::clone(&self.inner),
            relative,
        })
    }
}

impl Drop for Scratch {
    fn drop(&mut self) {
        if let Err(error) = self.inner.disk.change(Change::RemoveTree(&self.relative)) {
            tracing::debug!(path = self.relative, %error, "scratch directory stays");
        }
    }
}
