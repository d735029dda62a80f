//! Roots as files: one small record per name, replaced at once, durable before `set_root` returns.

use crate::disk::{Change, Scope};
use crate::error::{StoreError, at};
use crate::layout::ROOTS;
use crate::root::{Root, RootName, SUFFIX};
use crate::store::{Inner, Store};

impl Store {
    /// Sets a root, durably. Whatever was visible in the store before is durable then too, so a root
    /// never outlives what it names.
    pub fn set_root(&self, name: &RootName, root: &Root) -> Result<(), StoreError> {
        let inner = &*self.inner;
        let _gate = inner.enter()?;
        inner.writable()?;
        inner.rely(root.references.iter().copied());
        let path = file(name);
        let temporary = inner.write_record(&root.encode(name))?;
        inner.disk.sync(Scope::Everything).map_err(at(&temporary))?;
        let parents = parents(&path);
        if let Some(parent) = parents.last() {
            inner.ensure_dir(parent)?;
        }
        inner.rename(&temporary, &path)?;
        inner.sync(parents)
    }

    /// Removes a root, durably; returns whether there was one.
    pub fn remove_root(&self, name: &RootName) -> Result<bool, StoreError> {
        let inner = &*self.inner;
        let _gate = inner.enter()?;
        inner.writable()?;
        let path = file(name);
        if inner.disk.stat(&path).map_err(at(&path))?.is_none() {
            return Ok(false);
        }
        inner.discard(Change::Remove(&path), &path)?;
        inner.sync(parents(&path))?;
        Ok(true)
    }

    /// Returns one root.
    pub fn root(&self, name: &RootName) -> Result<Option<Root>, StoreError> {
        let _gate = self.inner.enter()?;
        let bytes = self.inner.file(&file(name))?;
        bytes.map(|bytes| decode(name, &bytes)).transpose()
    }

    /// Returns all roots, sorted by name. A damaged one is an error: what it keeps is unknown.
    pub fn roots(&self) -> Result<Vec<(RootName, Root)>, StoreError> {
        let _gate = self.inner.enter()?;
        self.inner.roots()
    }
}

/// Returns the path of a root's file.
pub(crate) fn file(name: &RootName) -> String {
    format!("{ROOTS}/{}{SUFFIX}", name.as_str())
}

/// Returns the directories above a file, outermost first.
fn parents(path: &str) -> Vec<String> {
    path.match_indices('/')
        .map(|(end, _)| path[..end].to_owned())
        .collect()
}

fn decode(name: &RootName, bytes: &[u8]) -> Result<Root, StoreError> {
    Root::decode(name, bytes).map_err(|source| StoreError::DamagedRoot {
        name: name.clone(),
        source,
    })
}

impl Inner {
    pub(crate) fn roots(&self) -> Result<Vec<(RootName, Root)>, StoreError> {
        let mut roots = Vec::new();
        for name in self.root_names()? {
            if let Some(bytes) = self.file(&file(&name))? {
                let root = decode(&name, &bytes)?;
                roots.push((name, root));
            }
        }
        Ok(roots)
    }

    /// Returns the names of all files that are named like a root, sorted.
    pub(crate) fn root_names(&self) -> Result<Vec<RootName>, StoreError> {
        let prefix = format!("{ROOTS}/");
        let files = self.files_below(ROOTS)?;
        let mut names: Vec<RootName> = files
            .iter()
            .filter_map(|path| path.strip_prefix(&prefix)?.strip_suffix(SUFFIX))
            .filter_map(|name| name.parse().ok())
            .collect();
        names.sort();
        Ok(names)
    }
}
