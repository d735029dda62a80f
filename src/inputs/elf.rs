//! What a program says about the files it is started with: the loader and the shared libraries of an ELF file,
//! or the interpreter line of a script. Pure: bytes in, names out; damaged bytes name nothing.

use object::elf::{
    DT_NEEDED, DT_RPATH, DT_RUNPATH, DT_STRSZ, DT_STRTAB, FileHeader32, FileHeader64,
};
use object::read::StringTable;
use object::read::elf::{Dyn, FileHeader, ProgramHeader};
use object::{Endianness, FileKind};

/// What an ELF file needs from others.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Linkage {
    pub(super) interpreter: Option<String>,
    /// Names of shared libraries, in order.
    pub(super) needed: Vec<String>,
    /// Directories that come before all others, and are for the libraries of libraries too.
    pub(super) rpath: Vec<String>,
    /// Directories for this file's own libraries.
    pub(super) runpath: Vec<String>,
    /// Class and machine: a library of another sort is passed over.
    pub(super) sort: Sort,
}

/// Class and machine of an ELF file.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Sort(bool, u16);

/// Returns what the ELF file `bytes` needs; `None` for anything else.
pub(super) fn linkage(bytes: &[u8]) -> Option<Linkage> {
    match FileKind::parse(bytes).ok()? {
        FileKind::Elf32 => read::<FileHeader32<Endianness>>(bytes),
        FileKind::Elf64 => read::<FileHeader64<Endianness>>(bytes),
        _ => None,
    }
}

fn read<E: FileHeader<Endian = Endianness>>(bytes: &[u8]) -> Option<Linkage> {
    let header = E::parse(bytes).ok()?;
    let endian = header.endian().ok()?;
    let headers = header.program_headers(endian, bytes).ok()?;
    let mut linkage = Linkage {
        sort: Sort(header.is_type_64(), header.e_machine(endian)),
        ..Linkage::default()
    };
    let interpreter = headers
        .iter()
        .find_map(|header| header.interpreter(endian, bytes).ok()?);
    linkage.interpreter = interpreter.and_then(text);
    let Some(entries) = headers
        .iter()
        .find_map(|header| header.dynamic(endian, bytes).ok()?)
    else {
        return Some(linkage);
    };
    let value = |tag| {
        entries
            .iter()
            .find(|entry| entry.tag32(endian) == Some(tag))
            .map(|entry| entry.d_val(endian).into())
    };
    let (Some(address), Some(size)) = (value(DT_STRTAB), value(DT_STRSZ)) else {
        return Some(linkage);
    };
    let mut load = headers
        .iter()
        .filter(|header| header.p_type(endian) == object::elf::PT_LOAD);
    let strings =
        load.find_map(|header| header.data_range(endian, bytes, address, size).ok()?)?;
    let strings = StringTable::new(strings, 0, strings.len() as u64);
    for entry in entries {
        let Some(text) = entry.string(endian, strings).ok().and_then(text) else {
            continue;
        };
        match entry.tag32(endian) {
            Some(DT_NEEDED) => linkage.needed.push(text),
            Some(DT_RPATH) => linkage.rpath.extend(text.split(':').map(str::to_owned)),
            Some(DT_RUNPATH) => linkage.runpath.extend(text.split(':').map(str::to_owned)),
            Some(_) | None => {}
        }
    }
    if !linkage.runpath.is_empty() {
        linkage.rpath.clear();
    }
    Some(linkage)
}

fn text(bytes: &[u8]) -> Option<String> {
    std::str::from_utf8(bytes).ok().map(str::to_owned)
}

/// What starts a script.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Interpreter {
    /// The program at a path.
    At(String),
    /// A program that `env`, itself at a path, finds on PATH.
    OnPath {
        /// `env`.
        env: String,
        /// The program's name.
        name: String,
    },
}

/// Returns what the first line of `bytes` says, if it is an interpreter line with an absolute path.
pub(super) fn interpreter(bytes: &[u8]) -> Option<Interpreter> {
    let line = bytes
        .strip_prefix(b"#!")?
        .split(|byte| *byte == b'\n')
        .next()?;
    let mut words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    let path = words
        .next()
        .filter(|path| path.starts_with('/'))?
        .to_owned();
    if !path.ends_with("/env") {
        return Some(Interpreter::At(path));
    }
    let name = words.find(|word| !word.starts_with('-') && !word.contains('='));
    Some(match name {
        Some(name) if name.starts_with('/') => Interpreter::At(name.to_owned()),
        Some(name) => Interpreter::OnPath {
            env: path,
            name: name.to_owned(),
        },
        None => Interpreter::At(path),
    })
}

#[cfg(test)]
#[expect(
    clippy::disallowed_methods,
    reason = "effects: reads this test's own program"
)]
mod tests {
    use super::*;

    /// spec: inputs/tools R8
    #[test]
    fn interpreter_lines_are_read_as_the_kernel_does() {
        let at = |path: &str| Some(Interpreter::At(path.to_owned()));
        let env = |name: &str| {
            Some(Interpreter::OnPath {
                env: "/usr/bin/env".to_owned(),
                name: name.to_owned(),
            })
        };
        assert_eq!(interpreter(b"#!/bin/sh -e\nx"), at("/bin/sh"));
        assert_eq!(interpreter(b"#! /bin/sh"), at("/bin/sh"));
        assert_eq!(interpreter(b"#!/usr/bin/env python3\n"), env("python3"));
        assert_eq!(
            interpreter(b"#!/usr/bin/env -S A=1 node --x\n"),
            env("node")
        );
        assert_eq!(interpreter(b"#!sh\n"), None);
        assert_eq!(interpreter(b"echo"), None);
        assert_eq!(interpreter(b"#!\n"), None);
        assert_eq!(interpreter(b"#!/\xff\n"), None);
    }

    /// spec: inputs/tools R8
    #[test]
    fn damaged_programs_name_nothing_and_do_no_harm() {
        let program = std::fs::read("/proc/self/exe").unwrap();
        let whole = linkage(&program[..]).unwrap();
        assert!(whole.interpreter.is_some());
        assert!(whole.needed.iter().any(|name| name.starts_with("libc.")));
        assert_eq!(linkage(b"\x7fELF"), None);
        for length in (0..program.len().min(4096)).step_by(7) {
            drop(linkage(&program[..length]));
        }
        let mut damaged = program[..program.len().min(1 << 20)].to_vec();
        for at in 0..2048 {
            damaged[at] ^= 0xff;
            drop(linkage(&damaged));
            damaged[at] ^= 0xff;
        }
    }
}
