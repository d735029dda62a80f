//! `Packages`: what Debian's package database says, read from its files: who owns a path, what a package needs.
//! Starts no process and trusts no order of the database; where there is no database there are no packages.

mod status;

use std::cell::OnceCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::io;

use rayon::prelude::*;
use stagecraft_store::Encoder;

use super::InputError;
use super::machine::{Machine, Resolved};
use status::Alternatives;
pub(super) use status::Package;

pub(super) const STATUS: &str = "/var/lib/dpkg/status";
pub(super) const DIVERSIONS: &str = "/var/lib/dpkg/diversions";
pub(super) const ALTERNATIVES: &str = "/etc/alternatives";
const INFO: &str = "/var/lib/dpkg/info";
/// Where programs are: what a default PATH holds, and the same without `/usr`.
const PROGRAM_DIRECTORIES: [&str; 4] = ["/usr/bin", "/bin", "/usr/sbin", "/sbin"];

/// The installed packages of a machine.
pub(super) struct Packages<'m> {
    machine: &'m Machine,
    /// Sorted by name, then architecture.
    installed: Vec<Package>,
    names: BTreeMap<String, Vec<usize>>,
    provided: BTreeMap<String, Vec<usize>>,
    diversions: Vec<Diversion>,
    /// For each package the bytes of its list of paths; read when first asked for.
    lists: OnceCell<Vec<Vec<u8>>>,
}

/// `package` has its own file at `from`; everybody else's is at `to`.
struct Diversion {
    from: String,
    to: String,
    package: String,
}

impl<'m> Packages<'m> {
    /// Reads the database of `machine`, if there is one.
    pub(super) fn read(machine: &'m Machine) -> Result<Option<Self>, InputError> {
        let status = match machine.read(STATUS) {
            Ok(status) => status,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => {
                return Err(InputError::Read {
                    path: STATUS.into(),
                    source,
                });
            }
        };
        let mut installed = status::parse(&String::from_utf8_lossy(&status));
        installed.sort_by(|a, b| (&a.name, &a.architecture).cmp(&(&b.name, &b.architecture)));
        let (mut names, mut provided) =
            (BTreeMap::<_, Vec<_>>::new(), BTreeMap::<_, Vec<_>>::new());
        for (index, package) in installed.iter().enumerate() {
            names.entry(package.name.clone()).or_default().push(index);
            for name in &package.provides {
                provided.entry(name.clone()).or_default().push(index);
            }
        }
        let diversions = machine.read(DIVERSIONS).unwrap_or_default();
        let diversions = parse_diversions(&String::from_utf8_lossy(&diversions));
        Ok(Some(Self {
            machine,
            installed,
            names,
            provided,
            diversions,
            lists: OnceCell::new(),
        }))
    }

    /// Returns the package at `index`.
    pub(super) fn package(&self, index: usize) -> &Package {
        &self.installed[index]
    }

    /// Returns the packages that no machine does without.
    pub(super) fn essential(&self) -> BTreeSet<usize> {
        (0..self.installed.len())
            .filter(|index| self.installed[*index].essential)
            .collect()
    }

    /// Returns the owner of each path of `resolved`'s chain that has one, in the chain's order;
    /// nothing if the file itself has none.
    pub(super) fn owners(&self, resolved: &Resolved) -> Vec<usize> {
        let mut wanted = BTreeMap::<Vec<u8>, usize>::new();
        let mut owners = vec![None; resolved.chain.len()];
        for (position, path) in resolved.chain.iter().enumerate() {
            let (path, by) = self.listed_as(path);
            match by {
                Some(name) => owners[position] = self.names.get(name).map(|indices| indices[0]),
                None => wanted.extend(
                    aliases(path)
                        .into_iter()
                        .map(|alias| (alias.into_bytes(), position)),
                ),
            }
        }
        let found: Vec<(usize, usize)> = self
            .lists()
            .par_iter()
            .enumerate()
            .flat_map_iter(|(index, list)| {
                let lines = list.split(|byte| *byte == b'\n');
                lines
                    .filter_map(|line| wanted.get(line).map(|position| (*position, index)))
                    .collect::<Vec<_>>()
            })
            .collect();
        // The first package in order wins where two list one path.
        for (position, index) in found.into_iter().rev() {
            owners[position] = Some(index);
        }
        match owners.last() {
            Some(Some(_)) => owners.into_iter().flatten().collect(),
            Some(None) | None => Vec::new(),
        }
    }

    /// Returns the name that `path` has in the lists, and the package that owns it whatever they say.
    fn listed_as<'p>(&'p self, path: &'p str) -> (&'p str, Option<&'p str>) {
        let is = |listed: &str| aliases(path).iter().any(|alias| alias == listed);
        for diversion in &self.diversions {
            if is(&diversion.from) {
                return (path, Some(&diversion.package));
            }
            if is(&diversion.to) {
                return (&diversion.from, None);
            }
        }
        (path, None)
    }

    /// Returns `tools`, what they recommend, `libraries`, and all that these depend on.
    pub(super) fn closure(
        &self,
        tools: &BTreeSet<usize>,
        libraries: &BTreeSet<usize>,
    ) -> BTreeSet<usize> {
        let mut closure: BTreeSet<usize> = tools.union(libraries).copied().collect();
        let mut queue: VecDeque<usize> = closure.iter().copied().collect();
        let mut reach = |from: usize, needs: &[Alternatives], queue: &mut VecDeque<usize>| {
            for index in needs
                .iter()
                .filter_map(|names| self.first_installed(names, from))
            {
                if closure.insert(index) {
                    queue.push_back(index);
                }
            }
        };
        for tool in tools {
            reach(*tool, &self.installed[*tool].recommends, &mut queue);
        }
        while let Some(index) = queue.pop_front() {
            reach(index, &self.installed[index].depends, &mut queue);
        }
        closure
    }

    /// Returns the package that satisfies one of `names` for the package at `of`: a real one before one that provides the name.
    fn first_installed(&self, names: &[String], of: usize) -> Option<usize> {
        let architecture = &self.installed[of].architecture;
        let pick = |candidates: &Vec<usize>| {
            let same = candidates
                .iter()
                .find(|index| self.installed[**index].architecture == *architecture);
            same.or(candidates.first()).copied()
        };
        names.iter().find_map(|name| {
            self.names
                .get(name)
                .or_else(|| self.provided.get(name))
                .and_then(pick)
        })
    }

    /// Writes what identifies `packages`: name, version and architecture of each, sorted.
    pub(super) fn encode(&self, packages: &BTreeSet<usize>, encoder: &mut Encoder) {
        encoder.list(packages, |encoder, index| {
            let package = &self.installed[*index];
            encoder.text(&package.name);
            encoder.text(&package.version);
            encoder.text(&package.architecture);
        });
    }

    /// Returns the programs of `packages` by name, links and alternatives resolved, and where below `/opt` they have files.
    pub(super) fn programs(
        &self,
        packages: &BTreeSet<usize>,
    ) -> (BTreeMap<String, String>, BTreeSet<String>) {
        let (mut programs, mut optional) = (BTreeMap::new(), BTreeSet::new());
        for index in packages {
            for line in String::from_utf8_lossy(&self.lists()[*index]).lines() {
                if let Some(below) = line.strip_prefix("/opt/") {
                    optional.insert(format!(
                        "/opt/{}",
                        below.split('/').next().unwrap_or_default()
                    ));
                }
                let Some((directory, name)) = line.rsplit_once('/') else {
                    continue;
                };
                if !PROGRAM_DIRECTORIES.contains(&directory) || programs.contains_key(name) {
                    continue;
                }
                if let Some(resolved) = self
                    .machine
                    .resolve(line)
                    .filter(|resolved| resolved.executable)
                {
                    programs.insert(name.to_owned(), resolved.target().to_owned());
                }
            }
        }
        let targets: BTreeSet<String> = programs.values().cloned().collect();
        for name in self.machine.names(ALTERNATIVES) {
            let entry = format!("{ALTERNATIVES}/{name}");
            let path = PROGRAM_DIRECTORIES
                .iter()
                .map(|directory| format!("{directory}/{name}"));
            let resolved = path
                .filter_map(|path| self.machine.resolve(&path))
                .find(|found| found.chain.contains(&entry));
            if let Some(resolved) =
                resolved.filter(|found| found.executable && targets.contains(found.target()))
            {
                programs
                    .entry(name)
                    .or_insert_with(|| resolved.target().to_owned());
            }
        }
        (programs, optional)
    }

    fn lists(&self) -> &[Vec<u8>] {
        let machine = self.machine;
        self.lists.get_or_init(|| {
            let read = |package: &Package| {
                let plain = format!("{INFO}/{}.list", package.name);
                let qualified = format!("{INFO}/{}:{}.list", package.name, package.architecture);
                machine
                    .read(&qualified)
                    .or_else(|_| machine.read(&plain))
                    .unwrap_or_default()
            };
            self.installed.par_iter().map(read).collect()
        })
    }
}

/// Returns the names under which the lists may hold `path`: with and without `/usr`, for merged directories.
fn aliases(path: &str) -> Vec<String> {
    let merged = ["bin/", "sbin/", "lib/", "lib32/", "lib64/", "libx32/"];
    let starts = |path: &str| merged.iter().any(|directory| path.starts_with(directory));
    let mut names = vec![path.to_owned()];
    match path.strip_prefix("/usr/") {
        Some(below) if starts(below) => names.push(format!("/{below}")),
        None if path.strip_prefix('/').is_some_and(starts) => names.push(format!("/usr{path}")),
        Some(_) | None => {}
    }
    names
}

/// Three lines each; the package `:` is the administrator, who is none.
fn parse_diversions(text: &str) -> Vec<Diversion> {
    let lines: Vec<&str> = text.lines().collect();
    let records = lines.chunks_exact(3).filter(|record| record[2] != ":");
    let diversion = |record: &[&str]| Diversion {
        from: record[0].to_owned(),
        to: record[1].to_owned(),
        package: record[2].to_owned(),
    };
    records.map(diversion).collect()
}
