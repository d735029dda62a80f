//! Verify: hashes every object, opens every record, walks every closure, compares every materialised
//! tree. Says what is damaged and what that means; repairs by forgetting what cannot be trusted.

mod surroundings;

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::io;

use rayon::prelude::*;

use crate::action::{ActionKey, ActionResult, HistoryKey, decode_history};
use crate::closure::{Listed, Reach, Want, walk, walk_reference};
use crate::digest::Digest;
use crate::disk::{Change, Kind, Scope, Stat};
use crate::error::{StoreError, at};
use crate::layout::{self, CAS, CASX, HISTORY, RESULTS, ROOTS, TREES};
use crate::read::copy_hashed;
use crate::root::{Root, kept};
use crate::store::{Inner, Store};
use crate::trees;

/// What is wrong with a file of the store.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum DamageKind {
    /// An object's bytes are not those of its name.
    Blob,
    /// An executable twin's bytes are not those of its name.
    Twin,
    /// A result cannot be read.
    Result,
    /// A result refers to objects that are absent or damaged.
    IncompleteResult,
    /// The newest leaves of an operation cannot be read.
    History,
    /// The newest leaves of an operation are absent or damaged.
    IncompleteHistory,
    /// A root cannot be read.
    Root,
    /// A root refers to something absent or damaged.
    IncompleteRoot,
    /// A materialised tree differs from its objects.
    Tree,
    /// A lease does not decode.
    Lease,
    /// The note of when gc ran last cannot be read.
    Stamp,
    /// The lock file holds bytes.
    Lock,
    /// The format mark is not what this version writes.
    Format,
    /// A file that no store writes there.
    Stray,
}

impl DamageKind {
    /// Says what the damage means for the user.
    pub fn meaning(self) -> &'static str {
        match self {
            Self::Blob => "object is damaged; what needs it runs again",
            Self::Twin => "executable copy of an object is damaged; it is made again when needed",
            Self::Result => "result cannot be read; its action runs again",
            Self::IncompleteResult => "result has lost objects; its action runs again",
            Self::History => {
                "last run of an operation cannot be read; a miss is explained less well"
            }
            Self::IncompleteHistory => {
                "last run of an operation has lost its inputs; a miss is explained less well"
            }
            Self::Root => "root cannot be read; what it kept is unknown",
            Self::IncompleteRoot => "root has lost bytes; going back to it is not possible",
            Self::Tree => "unpacked tree differs from its objects; it is made again when needed",
            Self::Lease => "lease of a process is damaged; it goes with its process",
            Self::Stamp => "time of the last gc cannot be read; gc is due",
            Self::Lock => "lock file holds bytes; they mean nothing",
            Self::Format => "format mark is damaged; the store does not open again as it is",
            Self::Stray => "file does not belong to the store",
        }
    }
}

impl fmt::Display for DamageKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.meaning())
    }
}

/// One damaged file.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Damage {
    /// Its path in the layout directory.
    pub path: String,
    /// What is wrong.
    pub kind: DamageKind,
    /// Whether it was mended by removing it.
    pub repaired: bool,
}

/// What verify looked at and found.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct VerifyReport {
    /// How many objects and twins were hashed.
    pub objects: u64,
    /// How many bytes they have.
    pub bytes: u64,
    /// How many results, history entries and roots were read.
    pub records: u64,
    /// How many materialised trees were compared.
    pub trees: u64,
    /// The damage, sorted by path.
    pub damage: Vec<Damage>,
}

impl VerifyReport {
    /// Returns whether nothing is damaged, or all that was has been mended.
    pub fn is_sound(&self) -> bool {
        self.damage.iter().all(|damage| damage.repaired)
    }
}

impl Store {
    /// Looks at everything. With `repair`, removes what is damaged and what refers to it: results
    /// then are misses, and roots are gone. Leftovers of dead processes are not damage.
    pub fn verify(&self, repair: bool) -> Result<VerifyReport, StoreError> {
        let inner = &*self.inner;
        let _gate = inner.enter()?;
        if repair {
            inner.writable()?;
        }
        let mut check = Check::start(inner)?;
        check.surroundings()?;
        check.results()?;
        check.history()?;
        check.roots()?;
        check.trees()?;
        let mut report = check.report;
        report.damage.sort();
        if repair && !report.damage.is_empty() {
            for damage in &mut report.damage {
                damage.repaired = inner.mend(&damage.path, damage.kind)?;
            }
            inner.disk.sync(Scope::Everything).map_err(at("."))?;
        }
        Ok(report)
    }
}

impl Inner {
    fn forget(&self, path: &str) -> Result<(), StoreError> {
        match self.disk.stat(path).map_err(at(path))? {
            None => Ok(()),
            Some(stat) if stat.kind == Kind::Directory => self.set_aside(path),
            Some(_) => self.discard(Change::Remove(path), path),
        }
    }
}

struct Check<'a> {
    inner: &'a Inner,
    /// Objects whose bytes were hashed and are right.
    sizes: BTreeMap<Digest, u64>,
    /// The files of those objects and of their twins.
    good: BTreeMap<u64, Digest>,
    report: VerifyReport,
}

impl<'a> Check<'a> {
    /// Hashes objects and twins.
    fn start(inner: &'a Inner) -> Result<Self, StoreError> {
        let mut check = Self {
            inner,
            sizes: BTreeMap::new(),
            good: BTreeMap::new(),
            report: VerifyReport::default(),
        };
        for (area, kind) in [(CAS, DamageKind::Blob), (CASX, DamageKind::Twin)] {
            let listed = inner.area(area)?;
            check.strays(listed.strays);
            let hashed: Vec<Result<Option<u64>, StoreError>> = listed
                .files
                .par_iter()
                .map(|(digest, _)| hash(inner, area, digest))
                .collect();
            for ((digest, stat), hashed) in listed.files.iter().zip(hashed) {
                check.object(area, kind, digest, stat, hashed?);
            }
        }
        Ok(check)
    }

    fn object(
        &mut self,
        area: &str,
        kind: DamageKind,
        digest: &Digest,
        stat: &Stat,
        size: Option<u64>,
    ) {
        self.report.objects += 1;
        self.report.bytes += stat.size;
        let Some(size) = size else {
            self.damaged(layout::path(area, digest), kind);
            return;
        };
        self.good.insert(stat.inode, *digest);
        if area == CAS {
            self.sizes.insert(*digest, size);
        }
    }

    fn damaged(&mut self, path: String, kind: DamageKind) {
        let repaired = false;
        self.report.damage.push(Damage {
            path,
            kind,
            repaired,
        });
    }

    fn strays(&mut self, paths: Vec<String>) {
        for path in paths {
            self.damaged(path, DamageKind::Stray);
        }
    }

    fn is_whole(&self, want: Vec<Want>) -> Result<bool, StoreError> {
        let mut reach = Reach::first_gap();
        walk(&self.presence(), want, &mut reach)?;
        Ok(reach.missing.is_empty())
    }

    fn presence(&self) -> Listed<'_> {
        Listed {
            inner: self.inner,
            sizes: &self.sizes,
        }
    }

    fn results(&mut self) -> Result<(), StoreError> {
        let listed = self.inner.area(RESULTS)?;
        self.strays(listed.strays);
        for (digest, _) in listed.files {
            let path = layout::path(RESULTS, &digest);
            let Some(bytes) = self.inner.file(&path)? else {
                continue;
            };
            self.report.records += 1;
            match ActionResult::decode(&ActionKey(digest), &bytes) {
                Err(_) => self.damaged(path, DamageKind::Result),
                Ok(result) if self.is_whole(Want::of_result(&result))? => {}
                Ok(_) => self.damaged(path, DamageKind::IncompleteResult),
            }
        }
        Ok(())
    }

    fn history(&mut self) -> Result<(), StoreError> {
        let listed = self.inner.area(HISTORY)?;
        self.strays(listed.strays);
        for (digest, _) in listed.files {
            let path = layout::path(HISTORY, &digest);
            let Some(bytes) = self.inner.file(&path)? else {
                continue;
            };
            self.report.records += 1;
            match decode_history(&HistoryKey::from_digest(digest), &bytes) {
                Err(_) => self.damaged(path, DamageKind::History),
                Ok(leaves) if self.is_whole(vec![Want::Blob(leaves, None)])? => {}
                Ok(_) => self.damaged(path, DamageKind::IncompleteHistory),
            }
        }
        Ok(())
    }

    fn roots(&mut self) -> Result<(), StoreError> {
        let names = self.inner.root_names()?;
        let known: BTreeSet<String> = names.iter().map(kept::file).collect();
        let strays = self.inner.files_below(ROOTS)?;
        self.strays(
            strays
                .into_iter()
                .filter(|path| !known.contains(path))
                .collect(),
        );
        for name in names {
            let path = kept::file(&name);
            let Some(bytes) = self.inner.file(&path)? else {
                continue;
            };
            self.report.records += 1;
            let Ok(root) = Root::decode(&name, &bytes) else {
                self.damaged(path, DamageKind::Root);
                continue;
            };
            let mut reach = Reach::default();
            for reference in &root.references {
                walk_reference(self.inner, &self.presence(), reference, &mut reach)?;
            }
            if !reach.missing.is_empty() {
                self.damaged(path, DamageKind::IncompleteRoot);
            }
        }
        Ok(())
    }

    fn trees(&mut self) -> Result<(), StoreError> {
        for (name, _) in self.inner.list(TREES)? {
            let path = format!("{TREES}/{name}");
            let Ok(tree) = Digest::from_hex(&name) else {
                self.damaged(path, DamageKind::Stray);
                continue;
            };
            self.report.trees += 1;
            let whole = self.is_whole(vec![Want::Tree(tree, None)])?;
            let intact = whole
                && match &self.inner.host {
                    None => true,
                    Some(host) => {
                        let layers = self.inner.layers(&tree)?;
                        trees::is_intact(host, &path, &layers, Some(&self.good))
                    }
                };
            if !intact {
                self.damaged(path, DamageKind::Tree);
            }
        }
        Ok(())
    }
}

/// Returns the size of an object's file if its bytes are right. A medium that cannot be read there
/// is damage too.
fn hash(inner: &Inner, area: &str, digest: &Digest) -> Result<Option<u64>, StoreError> {
    let path = layout::path(area, digest);
    let hashed = inner
        .disk
        .open(&path)
        .and_then(|mut file| copy_hashed(&mut file, &mut io::sink()));
    match hashed {
        Ok((found, size)) => Ok((found == *digest).then_some(size)),
        Err(error) if error.raw_os_error() == Some(rustix::io::Errno::IO.raw_os_error()) => {
            Ok(None)
        }
        Err(error) => Err(at(path)(error)),
    }
}
