//! The base: `sh` and the utilities that every operation finds.
//! On a machine with Debian's packages the essential ones, elsewhere a fixed list of names.

use std::collections::{BTreeMap, BTreeSet};
use std::ffi::OsStr;

use stagecraft_store::Encoder;

use super::InputError;
use super::machine::Machine;
use super::packages::Packages;
use super::runtime::Runtime;
use super::snapshot::Snapshot;
use super::tools::{Database, Witnesses};

const PACKAGES: &str = "stagecraft 2026-11 packaged base v1";
const PROGRAMS: &str = "stagecraft 2026-11 listed base v1";

/// Where the listed programs are looked for.
const PATH: &str = "/usr/bin:/bin:/usr/sbin:/sbin";

/// The base of a machine without a package database, as far as present.
const NAMES: [&str; 86] = [
    "[",
    "arch",
    "awk",
    "b2sum",
    "base32",
    "base64",
    "basename",
    "basenc",
    "bash",
    "cat",
    "chgrp",
    "chmod",
    "chown",
    "cksum",
    "cmp",
    "comm",
    "cp",
    "csplit",
    "cut",
    "date",
    "dd",
    "df",
    "diff",
    "diff3",
    "dir",
    "dirname",
    "du",
    "echo",
    "egrep",
    "env",
    "expand",
    "expr",
    "factor",
    "false",
    "fgrep",
    "find",
    "fmt",
    "fold",
    "grep",
    "gunzip",
    "gzip",
    "head",
    "hostname",
    "id",
    "install",
    "join",
    "link",
    "ln",
    "ls",
    "md5sum",
    "mkdir",
    "mkfifo",
    "mktemp",
    "mv",
    "nl",
    "nproc",
    "od",
    "paste",
    "printf",
    "pwd",
    "readlink",
    "realpath",
    "rm",
    "rmdir",
    "sdiff",
    "sed",
    "seq",
    "sh",
    "sha256sum",
    "sleep",
    "sort",
    "split",
    "stat",
    "tail",
    "tar",
    "tee",
    "test",
    "touch",
    "tr",
    "true",
    "truncate",
    "uname",
    "uniq",
    "wc",
    "xargs",
    "zcat",
];

/// Finds the base, and the stamps that the answer rests on.
pub(super) fn find(
    machine: &Machine,
    database: &Database<'_>,
    snapshot: &mut Snapshot,
) -> Result<(Runtime, Witnesses), InputError> {
    let mut witnesses = database.witnesses();
    if let Some(packages) = database.packages()? {
        let essential = packages.essential();
        if !essential.is_empty() {
            return Ok((packaged(packages, &essential), witnesses));
        }
    }
    let runtime = listed(machine, snapshot, &mut witnesses)?;
    Ok((runtime, witnesses))
}

fn packaged(packages: &Packages<'_>, essential: &BTreeSet<usize>) -> Runtime {
    let closure = packages.closure(&BTreeSet::new(), essential);
    let mut encoder = Encoder::new();
    packages.encode(&closure, &mut encoder);
    let (programs, _) = packages.programs(&closure);
    Runtime {
        identity: encoder.finish(PACKAGES),
        description: format!("{} essential packages", closure.len()),
        programs: programs.into_iter().collect(),
        files: Vec::new(),
    }
}

fn listed(
    machine: &Machine,
    snapshot: &mut Snapshot,
    witnesses: &mut Witnesses,
) -> Result<Runtime, InputError> {
    let (mut programs, mut encoder) = (BTreeMap::new(), Encoder::new());
    for name in NAMES {
        let Some((found, resolved)) = machine.find(name, OsStr::new(PATH)) else {
            let absent = PATH
                .split(':')
                .map(|directory| format!("{directory}/{name}"));
            witnesses.extend(absent.map(|path| {
                let stamp = machine.stamp(&path);
                (path, stamp)
            }));
            continue;
        };
        let target = resolved.target().to_owned();
        witnesses.extend([found, target.clone()].map(|path| {
            let stamp = machine.stamp(&path);
            (path, stamp)
        }));
        let digest = machine.digest(&target, snapshot)?;
        encoder.text(name).digest(&digest);
        programs.insert(name.to_owned(), target);
    }
    Ok(Runtime {
        identity: encoder.finish(PROGRAMS),
        description: format!("{} programs", programs.len()),
        programs: programs.into_iter().collect(),
        files: Vec::new(),
    })
}
