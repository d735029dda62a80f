//! Leases: what this process relies on between two operations, named in a file that it holds a lock
//! on for life. gc reads all leases whenever it is about to remove something. A lease outlives its
//! process until a gc begins: what a process made visible while a gc ran is seen by that gc.

use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, ErrorKind, Write};
use std::sync::{Mutex, MutexGuard, PoisonError};

use rustix::fs::fstat;

use crate::digest::{Digest, Hasher};
use crate::disk::{Change, HostDisk, Kind};
use crate::error::StoreError;
use crate::layout::{self, LEASES, TRASH};
use crate::lock;
use crate::owner;
use crate::root::Reference;
use crate::store::Inner;

/// The first line of a lease.
const HEAD: &[u8] = b"stagecraft lease 1\n";
/// Kind, digest, and the first four bytes of the hash of everything before them.
const ENTRY: usize = 1 + 32 + 4;
/// The owner of a lease that is no file.
const OWN: &str = "this process";

/// What a store relies on.
#[derive(Debug, Default)]
pub(crate) struct Lease(Mutex<Held>);

#[derive(Debug, Default)]
struct Held {
    named: BTreeSet<Reference>,
    /// Absent until something is named; on a disk that is not of this machine, always.
    file: Option<LeaseFile>,
}

#[derive(Debug)]
struct LeaseFile {
    path: String,
    /// Holds the lock.
    file: std::fs::File,
    length: u64,
    /// The hash that the next entry continues.
    chain: Digest,
}

impl Lease {
    fn held(&self) -> MutexGuard<'_, Held> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns what is named, sorted.
    pub(crate) fn named(&self) -> Vec<Reference> {
        self.held().named.iter().copied().collect()
    }
}

impl Inner {
    /// Names what this store relies on from here on. Only inside the gate, and before the look that
    /// tells whether it is there, so that gc either sees the name or is seen. A store that is open
    /// for reading relies on nothing. Where no lease can be written, as on a full disk, the store
    /// stays inside the gate for life instead: gc then is refused.
    pub(crate) fn rely(&self, on: impl IntoIterator<Item = Reference>) {
        if self.is_writable() {
            let mut held = self.lease.held();
            let fresh = on.into_iter().filter(|one| held.named.insert(*one));
            let fresh = fresh.collect();
            self.name(&mut held, fresh);
        }
    }

    /// Like `rely`, for results that are about to be replaced: names them again, since a gc may have
    /// marked what they referred to before.
    pub(crate) fn rely_anew(&self, on: impl IntoIterator<Item = Reference>) {
        let mut held = self.lease.held();
        let fresh: Vec<Reference> = on.into_iter().collect();
        held.named.extend(fresh.iter().copied());
        self.name(&mut held, fresh);
    }

    fn name(&self, held: &mut Held, fresh: Vec<Reference>) {
        let Some(host) = self.host_disk() else {
            return;
        };
        if fresh.is_empty() {
            return;
        }
        if let Err(error) = held.write(host, fresh) {
            tracing::warn!(%error, "no lease: gc is kept away while this process runs");
            self.gate.stay();
        }
    }

    /// Reads what leases name beyond what `seen` says was read before; with `alone`, while nobody
    /// writes one, a damaged lease of somebody who lives is an error.
    pub(crate) fn leased(
        &self,
        seen: &mut BTreeMap<String, u64>,
        alone: bool,
    ) -> Result<Vec<(String, Reference)>, StoreError> {
        let mut leased = Vec::new();
        let Some(host) = self.host_disk() else {
            let named = self.lease.named();
            return Ok(named.into_iter().map(|one| (OWN.to_owned(), one)).collect());
        };
        for (name, stat) in self.list(LEASES)? {
            let path = layout::lease(&name);
            let known = seen.get(&name).copied().unwrap_or(0);
            if stat.kind != Kind::File || stat.size == known {
                continue;
            }
            let Some(bytes) = self.file(&path)? else {
                continue;
            };
            let (named, whole) = decode(&bytes);
            if !whole && alone && is_held(host, &path) {
                return Err(StoreError::DamagedLease { owner: name });
            }
            let skip =
                usize::try_from(known.saturating_sub(HEAD.len() as u64)).unwrap_or(0) / ENTRY;
            for reference in named.into_iter().skip(skip) {
                leased.push((name.clone(), reference));
            }
            if whole {
                seen.insert(name, bytes.len() as u64);
            }
        }
        Ok(leased)
    }

    /// Removes the leases of those who are no more. Only by a gc that begins, inside alone.
    pub(crate) fn reap_leases(&self) -> Result<(), StoreError> {
        let Some(host) = self.host_disk() else {
            return Ok(());
        };
        for (name, _) in self.list(LEASES)? {
            let path = layout::lease(&name);
            if !is_held(host, &path) {
                self.discard(Change::Remove(&path), &path)?;
            }
        }
        Ok(())
    }

    /// Whether a living process holds the lease at `path`.
    pub(crate) fn is_leased_by_the_living(&self, path: &str) -> bool {
        self.host_disk().is_some_and(|host| is_held(host, path))
    }

    /// Gives the lease up. While a gc runs its file stays, for that gc to read.
    pub(crate) fn end_lease(&self) {
        let Some(file) = self.lease.held().file.take() else {
            return;
        };
        let Some(host) = self.host_disk() else {
            return;
        };
        let Ok(trash) = host.handle(TRASH) else {
            return;
        };
        if lock::try_share(&trash).unwrap_or(false)
            && let Err(error) = self.disk.change(Change::Remove(&file.path))
        {
            tracing::debug!(path = file.path, %error, "lease stays");
        }
    }
}

impl Held {
    fn write(&mut self, host: &HostDisk, fresh: Vec<Reference>) -> io::Result<()> {
        let (mut file, entries) = match self.file.take() {
            Some(file) if file.is_untouched() => (file, fresh),
            // None yet, or someone removed or altered it: one with everything takes its place.
            _ => (LeaseFile::make(host)?, self.named.iter().copied().collect()),
        };
        file.append(&entries)?;
        self.file = Some(file);
        Ok(())
    }
}

impl LeaseFile {
    fn make(host: &HostDisk) -> io::Result<Self> {
        let base = owner::process_name(std::process::id())?;
        let mut count: u64 = 0;
        loop {
            let path = match count {
                0 => format!("{LEASES}/{base}"),
                count => format!("{LEASES}/{base}.{count}"),
            };
            count += 1;
            let mut file = match host.append_new(&path) {
                Err(error) if error.kind() == ErrorKind::AlreadyExists => continue,
                made => made?,
            };
            // Only who looks whether it is held may hold it, for a moment.
            if !lock::exclude(&file)? {
                return Err(ErrorKind::WouldBlock.into());
            }
            file.write_all(HEAD)?;
            return Ok(Self {
                path,
                file,
                length: HEAD.len() as u64,
                chain: Digest::of(HEAD),
            });
        }
    }

    /// Whether the file is as we left it: still named, and as long.
    fn is_untouched(&self) -> bool {
        fstat(&self.file).is_ok_and(|stat| {
            stat.st_nlink > 0 && u64::try_from(stat.st_size).is_ok_and(|size| size == self.length)
        })
    }

    fn append(&mut self, references: &[Reference]) -> io::Result<()> {
        let mut bytes = Vec::with_capacity(references.len() * ENTRY);
        for reference in references {
            let (kind, digest) = reference.parts();
            let start = bytes.len();
            bytes.push(kind);
            bytes.extend_from_slice(digest.as_bytes());
            self.chain = next(&self.chain, &bytes[start..]);
            bytes.extend_from_slice(&self.chain.as_bytes()[..4]);
        }
        self.file.write_all(&bytes)?;
        self.length += bytes.len() as u64;
        Ok(())
    }
}

fn next(chain: &Digest, entry: &[u8]) -> Digest {
    let mut hasher = Hasher::new();
    hasher.update(chain.as_bytes());
    hasher.update(entry);
    hasher.finish()
}

/// Whether a living process holds the lease.
fn is_held(host: &HostDisk, path: &str) -> bool {
    host.handle(path)
        .is_ok_and(|file| !lock::try_exclude(&file).unwrap_or(false))
}

/// Returns what a lease names as far as it is whole, and whether all of it is.
pub(crate) fn decode(bytes: &[u8]) -> (Vec<Reference>, bool) {
    let mut named = Vec::new();
    let Some(entries) = bytes.strip_prefix(HEAD) else {
        return (named, false);
    };
    let mut chain = Digest::of(HEAD);
    let mut whole = true;
    for entry in entries.chunks(ENTRY) {
        let reference = entry.split_last_chunk::<4>().and_then(|(body, check)| {
            chain = next(&chain, body);
            let good = chain.as_bytes().starts_with(check);
            let (kind, digest) = body.split_first()?;
            let digest = Digest::from_bytes(digest.try_into().ok()?);
            Reference::of_parts(*kind, digest).filter(|_| good)
        });
        let Some(reference) = reference else {
            whole = false;
            break;
        };
        named.push(reference);
    }
    (named, whole)
}
