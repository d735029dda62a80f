//! `Listing`: what lies below the directories that some pattern starts from, each directory read once.
//! Follows no link, descends into nothing that never matches, and reads no file.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;
use std::io;
use std::ops::Range;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use rayon::prelude::*;
use rustix::fs::{AtFlags, FileType, Mode, OFlags, RawDir, Stat};
use rustix::io::Errno;

use super::InputError;
use super::glob::{NEVER, Pattern, WHOLE};

/// A tree of the store is no deeper.
const DEPTH_LIMIT: usize = 256;
const BUFFER: usize = 32 << 10;
/// Fewer `lstat` calls are not worth another thread.
const NAMES_PER_TASK: usize = 64;

/// What a name stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Symlink,
    Directory,
    /// A fifo, socket or device, by its word.
    Special(&'static str),
    /// A directory that cannot be read.
    Unreadable(io::ErrorKind),
}

/// One name below the project.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// From the project root; bytes that are not UTF-8 are replaced.
    pub(super) path: String,
    pub(super) kind: Kind,
    /// Whether `path` is the true name.
    pub(super) utf8: bool,
    /// What `lstat` said, where it had to be asked.
    pub(super) stat: Option<Box<Stat>>,
}

/// Everything found, sorted by path.
#[derive(Debug, Default)]
pub(super) struct Listing {
    pub(super) entries: Vec<Entry>,
}

impl Listing {
    /// Returns the entries strictly below `directory`.
    pub(super) fn below(&self, directory: &str) -> Range<usize> {
        if directory.is_empty() {
            return 0..self.entries.len();
        }
        let (first, behind) = (format!("{directory}/"), format!("{directory}0"));
        // `0` is the character behind `/`.
        let start = self.entries.partition_point(|entry| entry.path < first);
        let end = self.entries.partition_point(|entry| entry.path < behind);
        start..end
    }

    /// Returns where `path` is.
    pub(super) fn find(&self, path: &str) -> Option<usize> {
        self.entries
            .binary_search_by(|entry| entry.path.as_str().cmp(path))
            .ok()
    }
}

/// What is to be listed, as a tree of names.
#[derive(Debug, Default)]
struct Want<'a> {
    /// How many levels of names to list below; 0 for none.
    depth: usize,
    /// A literal path ends here: if it is a directory, all of it is listed.
    named: bool,
    below: BTreeMap<&'a str, Want<'a>>,
}

struct Walk<'a> {
    project: &'a OwnedFd,
    excluded: &'a BTreeSet<String>,
}

/// A directory on its way to being listed.
struct Place<'a> {
    path: PathBuf,
    text: String,
    utf8: bool,
    level: usize,
    want: Option<&'a Want<'a>>,
    /// How many levels a pattern from above still reaches.
    depth: usize,
}

/// Lists what `patterns` may match below `project`.
pub(super) fn list<'a>(
    project: &OwnedFd,
    patterns: impl Iterator<Item = &'a Pattern>,
    excluded: &BTreeSet<String>,
) -> Result<Listing, InputError> {
    let mut root = Want::default();
    for pattern in patterns {
        let mut want = &mut root;
        for part in pattern.prefix().split('/').filter(|part| !part.is_empty()) {
            want = want.below.entry(part).or_default();
        }
        match pattern {
            Pattern::Literal(_) => want.named = true,
            Pattern::Tree { .. } | Pattern::Glob { .. } => {
                want.depth = want.depth.max(pattern.depth());
            }
        }
    }
    let walk = Walk { project, excluded };
    let place = Place {
        path: PathBuf::new(),
        text: String::new(),
        utf8: true,
        level: 0,
        want: Some(&root),
        depth: 0,
    };
    let mut entries = walk.visit(&place)?;
    // Nearly sorted already, which this sort takes advantage of.
    entries.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(Listing { entries })
}

impl Walk<'_> {
    fn visit(&self, place: &Place<'_>) -> Result<Vec<Entry>, InputError> {
        if place.level > DEPTH_LIMIT {
            return Err(InputError::Depth {
                path: place.text.clone(),
                limit: DEPTH_LIMIT,
            });
        }
        let depth = place.depth.max(
            place
                .want
                .map_or(0, |want| if want.named { WHOLE } else { want.depth }),
        );
        let mut entries = Vec::new();
        let mut places = Vec::new();
        if depth > 0 {
            if let Err(error) = self.read(place, depth, &mut entries, &mut places) {
                return unreadable(place, error);
            }
        } else if let Some(want) = place.want {
            self.look_up(place, want, &mut entries, &mut places)?;
        }
        let found = if places.len() < 2 {
            places
                .iter()
                .map(|place| self.visit(place))
                .collect::<Result<Vec<_>, _>>()?
        } else {
            places
                .par_iter()
                .map(|place| self.visit(place))
                .collect::<Result<Vec<_>, _>>()?
        };
        entries.extend(found.into_iter().flatten());
        Ok(entries)
    }

    /// Lists a whole directory.
    fn read<'a>(
        &self,
        place: &Place<'a>,
        depth: usize,
        entries: &mut Vec<Entry>,
        places: &mut Vec<Place<'a>>,
    ) -> Result<(), Errno> {
        let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
        let path = if place.path.as_os_str().is_empty() {
            Path::new(".")
        } else {
            &place.path
        };
        let directory = rustix::fs::openat(self.project, path, flags, Mode::empty())?;
        let mut buffer = Vec::with_capacity(BUFFER);
        let mut names = RawDir::new(&directory, buffer.spare_capacity_mut());
        while let Some(name) = names.next() {
            let name = name?;
            if matches!(name.file_name().to_bytes(), b"." | b"..") {
                continue;
            }
            let bytes = name.file_name().to_bytes();
            let own = String::from_utf8_lossy(bytes);
            let utf8 = place.utf8 && matches!(own, Cow::Borrowed(_));
            let path = join(&place.text, &own);
            if self.refuses(&own, utf8, &path) {
                continue;
            }
            let (kind, stat) = match name.file_type() {
                FileType::Unknown => match self.stat(&place.path.join(OsStr::from_bytes(bytes))) {
                    Err(Errno::NOENT) => continue,
                    stat => known(stat?),
                },
                known => (kind(known), None),
            };
            if kind == Kind::Directory {
                let wanted = place.want.filter(|_| utf8);
                let want = wanted.and_then(|want| want.below.get(&*own));
                if depth > 1 || want.is_some() {
                    places.push(Place {
                        path: place.path.join(OsStr::from_bytes(bytes)),
                        text: path.clone(),
                        utf8,
                        level: place.level + 1,
                        want,
                        depth: if depth == WHOLE { WHOLE } else { depth - 1 },
                    });
                }
            }
            entries.push(Entry {
                path,
                kind,
                utf8,
                stat,
            });
        }
        entries.sort_by(|a, b| a.path.cmp(&b.path));
        places.sort_by(|a, b| a.text.cmp(&b.text));
        Ok(())
    }

    /// Looks up single names of a directory that no glob lists.
    fn look_up<'a>(
        &self,
        place: &Place<'a>,
        want: &'a Want<'a>,
        entries: &mut Vec<Entry>,
        places: &mut Vec<Place<'a>>,
    ) -> Result<(), InputError> {
        let names: Vec<_> = want.below.iter().collect();
        let found = names
            .par_iter()
            .with_min_len(NAMES_PER_TASK)
            .map(|(name, want)| self.look_up_name(place, name, want))
            .collect::<Result<Vec<_>, _>>()?;
        for (entry, place) in found.into_iter().flatten() {
            if entry.kind == Kind::Directory {
                places.push(place);
            }
            entries.push(entry);
        }
        Ok(())
    }

    fn look_up_name<'a>(
        &self,
        place: &Place<'a>,
        name: &str,
        want: &'a Want<'a>,
    ) -> Result<Option<(Entry, Place<'a>)>, InputError> {
        let (path, text) = (place.path.join(name), join(&place.text, name));
        let below = Place {
            path,
            text,
            utf8: true,
            level: place.level + 1,
            want: Some(want),
            depth: 0,
        };
        if self.refuses(name, true, &below.text) {
            return Ok(None);
        }
        match self.stat(&below.path) {
            Ok(stat) => {
                let (kind, stat) = known(stat);
                let entry = Entry {
                    path: below.text.clone(),
                    kind,
                    utf8: true,
                    stat,
                };
                Ok(Some((entry, below)))
            }
            Err(Errno::NOENT | Errno::NOTDIR | Errno::NAMETOOLONG) => Ok(None),
            Err(error) => Err(InputError::Read {
                path: below.path,
                source: error.into(),
            }),
        }
    }

    fn refuses(&self, name: &str, utf8: bool, path: &str) -> bool {
        NEVER.contains(&name) || (utf8 && self.excluded.contains(path))
    }

    fn stat(&self, path: &Path) -> Result<Stat, Errno> {
        rustix::fs::statat(self.project, path, AtFlags::SYMLINK_NOFOLLOW)
    }
}

/// A directory that went away holds nothing; one that cannot be read matters only to who matches it.
fn unreadable(place: &Place<'_>, error: Errno) -> Result<Vec<Entry>, InputError> {
    let kind = match error {
        Errno::NOENT | Errno::NOTDIR | Errno::LOOP => return Ok(Vec::new()),
        Errno::ACCESS | Errno::PERM => Kind::Unreadable(io::Error::from(error).kind()),
        other => {
            return Err(InputError::Read {
                path: place.path.clone(),
                source: other.into(),
            });
        }
    };
    Ok(vec![Entry {
        path: place.text.clone(),
        kind,
        utf8: place.utf8,
        stat: None,
    }])
}

fn join(directory: &str, name: &str) -> String {
    if directory.is_empty() {
        name.to_owned()
    } else {
        [directory, "/", name].concat()
    }
}

fn known(stat: Stat) -> (Kind, Option<Box<Stat>>) {
    let kind = kind(FileType::from_raw_mode(stat.st_mode));
    (kind, Some(Box::new(stat)))
}

fn kind(file_type: FileType) -> Kind {
    match file_type {
        FileType::RegularFile => Kind::File,
        FileType::Symlink => Kind::Symlink,
        FileType::Directory => Kind::Directory,
        FileType::Fifo => Kind::Special("fifo"),
        FileType::Socket => Kind::Special("socket"),
        FileType::CharacterDevice | FileType::BlockDevice | FileType::Unknown => {
            Kind::Special("device")
        }
    }
}
