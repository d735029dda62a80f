//! Usage: how much of what the store holds.

use crate::disk::Kind;
use crate::error::StoreError;
use crate::inventory::Area;
use crate::layout::{CAS, CASX, HISTORY, RESULTS, ROOTS, TMP, TRASH, TREES};
use crate::store::{Inner, Store};

/// A number of files and their bytes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Amount {
    /// How many.
    pub count: u64,
    /// How many bytes they hold.
    pub bytes: u64,
}

impl Amount {
    pub(crate) fn add(&mut self, bytes: u64) {
        self.count += 1;
        self.bytes += bytes;
    }

    fn of(area: &Area) -> Self {
        let mut amount = Self::default();
        for (_, stat) in &area.files {
            amount.add(stat.size);
        }
        amount
    }
}

/// What the store holds, by kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Usage {
    /// Objects.
    pub blobs: Amount,
    /// Executable twins of objects.
    pub twins: Amount,
    /// Results.
    pub results: Amount,
    /// Newest leaves of operations.
    pub history: Amount,
    /// Roots.
    pub roots: Amount,
    /// Materialised trees; their files are links to blobs and twins and count there.
    pub trees: Amount,
    /// Temporary files, of living and of dead processes.
    pub tmp: Amount,
    /// What was set aside and goes with the next gc.
    pub trash: Amount,
}

impl Store {
    /// Counts everything. Other processes may add while it counts.
    pub fn usage(&self) -> Result<Usage, StoreError> {
        let inner = &*self.inner;
        let _gate = inner.enter()?;
        let mut trees = Amount::default();
        for _ in inner.list(TREES)? {
            trees.add(0);
        }
        Ok(Usage {
            blobs: Amount::of(&inner.area(CAS)?),
            twins: Amount::of(&inner.area(CASX)?),
            results: Amount::of(&inner.area(RESULTS)?),
            history: Amount::of(&inner.area(HISTORY)?),
            roots: inner.below(ROOTS)?,
            trees,
            tmp: inner.below(TMP)?,
            trash: inner.below(TRASH)?,
        })
    }
}

impl Inner {
    /// Counts the files at any depth; what goes while it looks does not count.
    fn below(&self, top: &str) -> Result<Amount, StoreError> {
        let mut amount = Amount::default();
        let mut stack = vec![top.to_owned()];
        while let Some(path) = stack.pop() {
            // Temporary directories may be closed to us, or nested deeper than a path can say.
            let entries = match self.list(&path) {
                Err(_) if path != top => continue,
                entries => entries?,
            };
            for (name, stat) in entries {
                if stat.kind == Kind::Directory {
                    stack.push(format!("{path}/{name}"));
                } else {
                    amount.add(stat.size);
                }
            }
        }
        Ok(amount)
    }
}
