//! A disk in memory that can fail and lose power, for tests. What was not synced is kept, dropped
//! or torn after a crash, as a seed says; so is every name whose directory was not synced.

use std::collections::BTreeMap;
use std::io::{self, Cursor, ErrorKind, Read};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, SystemTime};

use crate::disk::{Change, Disk, Kind, Scope, Space, Stat, WriteMode, object_time};

/// What happens at a call.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// This call fails; the next ones work.
    Error(ErrorKind),
    /// This call and all later ones fail, as for a process that is no more.
    Crash,
}

/// A disk in memory. Clones are the same disk.
#[derive(Debug, Clone)]
pub struct SimDisk {
    state: Arc<Mutex<State>>,
}

#[derive(Debug, Clone)]
struct State {
    nodes: Vec<Node>,
    calls: u64,
    fault: Option<(u64, Fault)>,
    dead: bool,
    syncing: bool,
    now: SystemTime,
    space: Space,
}

#[derive(Debug, Clone)]
enum Node {
    File {
        bytes: Vec<u8>,
        durable: bool,
        modified: SystemTime,
    },
    Directory {
        live: BTreeMap<String, usize>,
        durable: BTreeMap<String, usize>,
    },
}

impl Node {
    fn empty_directory() -> Self {
        Self::Directory {
            live: BTreeMap::new(),
            durable: BTreeMap::new(),
        }
    }
}

impl Default for SimDisk {
    fn default() -> Self {
        Self::new()
    }
}

impl SimDisk {
    /// Returns an empty disk.
    pub fn new() -> Self {
        Self::of(State {
            nodes: vec![Node::empty_directory()],
            calls: 0,
            fault: None,
            dead: false,
            syncing: true,
            now: SystemTime::UNIX_EPOCH + Duration::from_secs(1_000_000_000),
            space: Space {
                free: 1 << 40,
                total: 1 << 40,
            },
        })
    }

    fn of(state: State) -> Self {
        Self {
            state: Arc::new(Mutex::new(state)),
        }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Returns how many calls were made.
    pub fn calls(&self) -> u64 {
        self.state().calls
    }

    /// Makes call number `call` fail, counted from 1 since the disk was made.
    pub fn fail_at(&self, call: u64, fault: Fault) {
        self.state().fault = Some((call, fault));
    }

    /// Makes every sync do nothing and say that it did; for controls that must show damage.
    pub fn stop_syncing(&self) {
        self.state().syncing = false;
    }

    /// Sets the time that files written from here on get.
    pub fn set_now(&self, now: SystemTime) {
        self.state().now = now;
    }

    /// Sets how large the disk says it is.
    pub fn set_space(&self, space: Space) {
        self.state().space = space;
    }

    /// Replaces the bytes of a file behind everyone's back; its time stays, as when a medium rots.
    pub fn rot(&self, path: &str, rotten: &[u8]) -> io::Result<()> {
        let mut state = self.state();
        let index = state.find(path)?;
        match &mut state.nodes[index] {
            Node::File { bytes, .. } => {
                rotten.clone_into(bytes);
                Ok(())
            }
            Node::Directory { .. } => Err(ErrorKind::InvalidInput.into()),
        }
    }

    /// Returns the paths of all files, sorted.
    pub fn files(&self) -> Vec<String> {
        let state = self.state();
        let mut files = Vec::new();
        let mut stack = vec![(String::new(), 0)];
        while let Some((path, index)) = stack.pop() {
            match &state.nodes[index] {
                Node::File { .. } => files.push(path),
                Node::Directory { live, .. } => {
                    for (name, child) in live {
                        let slash = if path.is_empty() { "" } else { "/" };
                        stack.push((format!("{path}{slash}{name}"), *child));
                    }
                }
            }
        }
        files.sort();
        files
    }

    /// Returns the disk as it may be found after a loss of power; `seed` chooses what survives of
    /// what was not synced.
    pub fn crash(&self, seed: u64) -> Self {
        let mut state = self.state().clone();
        let mut random = Random(seed);
        for node in &mut state.nodes {
            match node {
                Node::File { bytes, durable, .. } => {
                    if !*durable {
                        random.tear(bytes);
                        *durable = true;
                    }
                }
                Node::Directory { live, durable } => {
                    let mut after = BTreeMap::new();
                    let names = live.keys().chain(durable.keys());
                    for name in names.cloned().collect::<std::collections::BTreeSet<_>>() {
                        let (new, old) = (live.get(&name), durable.get(&name));
                        let kept = if new == old || random.below(2) == 0 {
                            new
                        } else {
                            old
                        };
                        if let Some(kept) = kept {
                            after.insert(name, *kept);
                        }
                    }
                    live.clone_from(&after);
                    *durable = after;
                }
            }
        }
        state.calls = 0;
        state.fault = None;
        state.dead = false;
        Self::of(state)
    }
}

/// Splitmix64: equal seeds, equal crashes.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        mixed ^ (mixed >> 31)
    }

    fn below(&mut self, limit: usize) -> usize {
        let limit = limit as u64;
        usize::try_from(self.next() % limit).unwrap_or(0)
    }

    /// Keeps, drops, cuts or blanks bytes that were not synced.
    fn tear(&mut self, bytes: &mut Vec<u8>) {
        match self.below(4) {
            0 => {}
            1 => bytes.clear(),
            2 => {
                let end = self.below(bytes.len() + 1);
                bytes.truncate(end);
            }
            _ => {
                let start = self.below(bytes.len() + 1);
                bytes[start..].fill(0);
            }
        }
    }
}

impl State {
    /// Counts a call and says whether it fails.
    fn step(&mut self) -> io::Result<()> {
        self.calls += 1;
        if let Some((call, fault)) = self.fault
            && call == self.calls
        {
            match fault {
                Fault::Error(kind) => return Err(kind.into()),
                Fault::Crash => self.dead = true,
            }
        }
        if self.dead {
            return Err(io::Error::other("the disk is gone"));
        }
        Ok(())
    }

    fn find(&self, path: &str) -> io::Result<usize> {
        let mut at = 0;
        for name in path.split('/').filter(|name| !name.is_empty()) {
            at = *self
                .names(at)?
                .get(name)
                .ok_or_else(|| io::Error::from(ErrorKind::NotFound))?;
        }
        Ok(at)
    }

    fn names(&self, index: usize) -> io::Result<&BTreeMap<String, usize>> {
        match &self.nodes[index] {
            Node::Directory { live, .. } => Ok(live),
            Node::File { .. } => Err(ErrorKind::NotADirectory.into()),
        }
    }

    /// Returns the names of the directory that holds `path`, and the last name.
    fn parent<'p>(&mut self, path: &'p str) -> io::Result<(&mut BTreeMap<String, usize>, &'p str)> {
        let (parent, name) = path.rsplit_once('/').unwrap_or(("", path));
        let index = self.find(parent)?;
        match &mut self.nodes[index] {
            Node::Directory { live, .. } => Ok((live, name)),
            Node::File { .. } => Err(ErrorKind::NotADirectory.into()),
        }
    }

    fn add(&mut self, path: &str, node: Node) -> io::Result<()> {
        let index = self.nodes.len();
        let (names, name) = self.parent(path)?;
        if names.contains_key(name) {
            return Err(ErrorKind::AlreadyExists.into());
        }
        names.insert(name.to_owned(), index);
        self.nodes.push(node);
        Ok(())
    }

    fn unlink(&mut self, path: &str) -> io::Result<usize> {
        let (names, name) = self.parent(path)?;
        names.remove(name).ok_or_else(|| ErrorKind::NotFound.into())
    }

    fn rename(&mut self, from: &str, to: &str, replace: bool) -> io::Result<()> {
        let moved = self.find(from)?;
        if let Ok(there) = self.find(to) {
            if !replace {
                return Err(ErrorKind::AlreadyExists.into());
            }
            if self.names(there).is_ok_and(|names| !names.is_empty()) {
                return Err(ErrorKind::DirectoryNotEmpty.into());
            }
        }
        let (names, name) = self.parent(to)?;
        names.insert(name.to_owned(), moved);
        self.unlink(from)?;
        Ok(())
    }

    fn stat(&self, index: usize) -> Stat {
        match &self.nodes[index] {
            Node::File {
                bytes, modified, ..
            } => Stat {
                kind: Kind::File,
                size: bytes.len() as u64,
                modified: *modified,
                inode: index as u64,
            },
            Node::Directory { .. } => Stat {
                kind: Kind::Directory,
                size: 0,
                modified: self.now,
                inode: index as u64,
            },
        }
    }

    fn sync(&mut self, index: usize) {
        match &mut self.nodes[index] {
            Node::File { durable, .. } => *durable = true,
            Node::Directory { live, durable } => durable.clone_from(live),
        }
    }

    fn touch(&mut self, path: &str, age: Duration) -> io::Result<()> {
        let index = self.find(path)?;
        let now = self.now;
        if let Node::File { modified, .. } = &mut self.nodes[index]
            && now.duration_since(*modified).is_ok_and(|since| since > age)
        {
            *modified = now;
        }
        Ok(())
    }
}

impl Disk for SimDisk {
    fn write(&self, path: &str, source: &mut dyn Read, mode: WriteMode) -> io::Result<u64> {
        let mut bytes = Vec::new();
        source.read_to_end(&mut bytes)?;
        let mut state = self.state();
        let failed = state.step();
        if failed.is_err() {
            bytes.truncate(bytes.len() / 2);
        }
        let size = bytes.len() as u64;
        let modified = match mode {
            WriteMode::Object | WriteMode::Twin => object_time(),
            WriteMode::Record => state.now,
        };
        let file = Node::File {
            bytes,
            durable: false,
            modified,
        };
        let added = state.add(path, file);
        failed?;
        added.map(|()| size)
    }

    fn open(&self, path: &str) -> io::Result<Box<dyn Read + Send>> {
        let mut state = self.state();
        state.step()?;
        let index = state.find(path)?;
        match &state.nodes[index] {
            Node::File { bytes, .. } => Ok(Box::new(Cursor::new(bytes.clone()))),
            Node::Directory { .. } => Err(ErrorKind::InvalidInput.into()),
        }
    }

    fn stat(&self, path: &str) -> io::Result<Option<Stat>> {
        let mut state = self.state();
        state.step()?;
        match state.find(path) {
            Ok(index) => Ok(Some(state.stat(index))),
            Err(_) => Ok(None),
        }
    }

    fn list(&self, path: &str) -> io::Result<Vec<(String, Stat)>> {
        let mut state = self.state();
        state.step()?;
        let names = state.names(state.find(path)?)?;
        Ok(names
            .iter()
            .map(|(name, index)| (name.clone(), state.stat(*index)))
            .collect())
    }

    fn change(&self, change: Change<'_>) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        match change {
            Change::MakeDir(path) => state.add(path, Node::empty_directory()),
            Change::Place { from, to } => state.rename(from, to, false),
            Change::Rename { from, to } => state.rename(from, to, true),
            Change::Remove(path) => {
                let index = state.find(path)?;
                if state.names(index).is_ok() {
                    return Err(ErrorKind::IsADirectory.into());
                }
                state.unlink(path).map(|_| ())
            }
            Change::RemoveDir(path) => {
                let index = state.find(path)?;
                if !state.names(index)?.is_empty() {
                    return Err(ErrorKind::DirectoryNotEmpty.into());
                }
                state.unlink(path).map(|_| ())
            }
            Change::RemoveTree(path) => {
                let index = state.find(path)?;
                state.names(index)?;
                state.unlink(path).map(|_| ())
            }
            Change::Touch { path, age } => state.touch(path, age),
        }
    }

    fn sync(&self, scope: Scope<'_>) -> io::Result<()> {
        let mut state = self.state();
        state.step()?;
        if !state.syncing {
            return Ok(());
        }
        match scope {
            Scope::Everything => {
                for index in 0..state.nodes.len() {
                    state.sync(index);
                }
            }
            Scope::Paths(paths) => {
                for path in paths {
                    let index = state.find(path)?;
                    state.sync(index);
                }
            }
        }
        Ok(())
    }

    fn space(&self) -> io::Result<Space> {
        let mut state = self.state();
        state.step()?;
        Ok(state.space)
    }
}
