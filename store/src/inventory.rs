//! What files there are: the listing that gc, verify and usage start from.

use crate::digest::Digest;
use crate::disk::{Kind, Stat};
use crate::error::StoreError;
use crate::layout;
use crate::store::Inner;

/// The files of one sharded area.
#[derive(Debug, Default)]
pub(crate) struct Area {
    /// Files that are named by a digest, sorted.
    pub(crate) files: Vec<(Digest, Stat)>,
    /// Paths of everything else.
    pub(crate) strays: Vec<String>,
}

impl Inner {
    /// Lists `cas`, `casx`, `results` or `history`.
    pub(crate) fn area(&self, area: &str) -> Result<Area, StoreError> {
        let mut found = Area::default();
        for (shard, stat) in self.list(area)? {
            let directory = format!("{area}/{shard}");
            if stat.kind != Kind::Directory {
                found.strays.push(directory);
                continue;
            }
            for (name, stat) in self.list(&directory)? {
                match layout::digest(&shard, &name) {
                    Some(digest) if stat.kind == Kind::File => found.files.push((digest, stat)),
                    Some(_) | None => found.strays.push(format!("{directory}/{name}")),
                }
            }
        }
        Ok(found)
    }

    /// Returns the paths of all files below a directory whose names are ours.
    pub(crate) fn files_below(&self, top: &str) -> Result<Vec<String>, StoreError> {
        let mut files = Vec::new();
        let mut stack = vec![top.to_owned()];
        while let Some(path) = stack.pop() {
            for (name, stat) in self.list(&path)? {
                let below = format!("{path}/{name}");
                if stat.kind == Kind::Directory {
                    stack.push(below);
                } else {
                    files.push(below);
                }
            }
        }
        files.sort();
        Ok(files)
    }
}
