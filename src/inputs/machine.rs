//! `Machine`: the file system that tools come from, seen from its root, and how a name becomes a program.
//! Paths are texts from that root; a name that is not UTF-8 is no program. Runs nothing.

#![expect(
    clippy::disallowed_methods,
    reason = "effects: reads programs and the links to them"
)]

use std::ffi::OsStr;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use rustix::fs::{AtFlags, CWD, FileType, Stat};
use stagecraft_store::Digest;

use super::InputError;
use super::content::{ContentError, hash};
use super::snapshot::Snapshot;
use super::stamp::Stamp;

/// As many links as Linux follows.
const LINK_LIMIT: usize = 40;

/// A file system that tools are looked for in.
#[derive(Debug, Clone)]
pub(super) struct Machine {
    root: PathBuf,
}

/// What a path leads to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Resolved {
    /// The path with its directories resolved, then what each link says, the file itself last; never empty.
    pub(super) chain: Vec<String>,
    /// Whether it is a regular file that somebody may execute.
    pub(super) executable: bool,
    /// Whether it is a regular file.
    pub(super) file: bool,
}

impl Resolved {
    /// Returns the path of the file itself.
    pub(super) fn target(&self) -> &str {
        self.chain.last().map_or("", String::as_str)
    }
}

impl Machine {
    /// Returns this machine.
    pub(super) fn this() -> Self {
        Self::at(Path::new("/"))
    }

    /// Returns the machine whose root is at `root`.
    pub(super) fn at(root: &Path) -> Self {
        Self {
            root: root.to_owned(),
        }
    }

    /// Returns where `path` really is.
    pub(super) fn place(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    fn stat(&self, path: &str) -> Option<Stat> {
        rustix::fs::statat(CWD, self.place(path), AtFlags::SYMLINK_NOFOLLOW).ok()
    }

    /// Returns the stamp of what is at `path`, a link for a link.
    pub(super) fn stamp(&self, path: &str) -> Option<Stamp> {
        self.stat(path).map(|stat| Stamp::new(&stat))
    }

    /// Reads a file.
    pub(super) fn read(&self, path: &str) -> io::Result<Vec<u8>> {
        fs::read(self.place(path))
    }

    /// Returns the digest of a file, remembered or read.
    pub(super) fn digest(&self, path: &str, snapshot: &mut Snapshot) -> Result<Digest, InputError> {
        if let Some(digest) = self
            .stamp(path)
            .and_then(|stamp| snapshot.digest(path, &stamp))
        {
            return Ok(digest);
        }
        snapshot.ask_time();
        let (stamp, object) = hash(CWD, &*self.place(path)).map_err(|error| match error {
            ContentError::Moved | ContentError::Unstable => {
                InputError::Unstable { path: path.into() }
            }
            ContentError::Read(source) => InputError::Read {
                path: path.into(),
                source,
            },
        })?;
        snapshot.learn(path, stamp, object.digest);
        Ok(object.digest)
    }

    /// Returns the names in a directory, sorted; none if it cannot be read.
    pub(super) fn names(&self, directory: &str) -> Vec<String> {
        let Ok(entries) = fs::read_dir(self.place(directory)) else {
            return Vec::new();
        };
        let mut names: Vec<String> = entries
            .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
            .collect();
        names.sort();
        names
    }

    /// Follows `path` as the kernel would, below the root.
    pub(super) fn resolve(&self, path: &str) -> Option<Resolved> {
        let mut todo: Vec<String> = parts(path);
        let (mut done, mut chain, mut links) = (Vec::<String>::new(), Vec::new(), 0);
        while let Some(part) = todo.pop() {
            if part == ".." {
                done.pop();
                continue;
            }
            let here = format!(
                "/{}",
                [done.as_slice(), std::slice::from_ref(&part)]
                    .concat()
                    .join("/")
            );
            let stat = self.stat(&here)?;
            let kind = FileType::from_raw_mode(stat.st_mode);
            let last = todo.is_empty();
            if last {
                chain.push(here.clone());
            }
            if kind != FileType::Symlink {
                done.push(part);
                if last {
                    let file = kind == FileType::RegularFile;
                    return Some(Resolved {
                        chain,
                        executable: file && stat.st_mode & 0o111 != 0,
                        file,
                    });
                }
                continue;
            }
            links += 1;
            if links > LINK_LIMIT {
                return None;
            }
            let target = fs::read_link(self.place(&here)).ok()?;
            let target = target.to_str()?;
            if target.starts_with('/') {
                done.clear();
            }
            todo.extend(parts(target));
        }
        None
    }

    /// Returns the first program called `name` in the absolute directories of `path`, and what it leads to.
    pub(super) fn find(&self, name: &str, path: &OsStr) -> Option<(String, Resolved)> {
        directories(path).find_map(|directory| {
            let candidate = candidate(&directory, name);
            let resolved = self
                .resolve(&candidate)
                .filter(|resolved| resolved.executable)?;
            Some((candidate, resolved))
        })
    }
}

/// Returns the absolute directories of a PATH; a relative one would make the answer depend on where we stand.
pub(super) fn directories(path: &OsStr) -> impl Iterator<Item = String> {
    let directories: Vec<_> = std::env::split_paths(path).collect();
    directories
        .into_iter()
        .filter(|path| path.is_absolute())
        .filter_map(|path| path.to_str().map(str::to_owned))
}

/// Returns the path of `name` in `directory`.
pub(super) fn candidate(directory: &str, name: &str) -> String {
    format!("{}/{name}", directory.trim_end_matches('/'))
}

/// Returns the parts of `path`, the last first.
fn parts(path: &str) -> Vec<String> {
    path.rsplit('/')
        .filter(|part| !part.is_empty() && *part != ".")
        .map(str::to_owned)
        .collect()
}
