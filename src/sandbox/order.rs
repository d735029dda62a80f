//! `Setting`, `Order` and `Report`: what the executor and a helper process say to each other over one socket: once what
//! the helper is for, then in turns what to run and how that ended.
//! Both ends are the same program, so the encoding has no version; nothing here is kept.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use stagecraft_store::{DecodeError, Decoder, Encoder};

/// What a helper is for as long as it lives: how it keeps commands apart from the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Setting {
    /// Level 0: by nothing but their directory and environment.
    Directory,
    /// Level 2: by namespaces.
    Namespaces(View),
}

/// What every command of a helper at level 2 sees of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    /// An existing directory over which the helper may mount the root; it may go once the first command has run.
    pub(crate) mount_point: PathBuf,
    /// The directory below which the staged trees are; without one there are none.
    pub(crate) stages: Option<PathBuf>,
    /// Name on PATH -> program.
    pub(crate) programs: Vec<(String, PathBuf)>,
    /// Files and directories outside `/usr`, seen read-only at their own paths.
    pub(crate) files: Vec<PathBuf>,
    /// Whether they share the machine's network.
    pub(crate) network: bool,
}

/// What the helper is to run, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    /// The staged tree, from the directory of stages, bound at `/build`; without one `/build` is empty. Level 2 only.
    pub(crate) tree: Option<PathBuf>,
    /// Where it starts: absolute, as the command sees it.
    pub(crate) directory: PathBuf,
    /// What is started: absolute, or with a slash from `directory`, as the command sees it.
    pub(crate) program: PathBuf,
    /// What the program is told that it is called.
    pub(crate) name: String,
    /// Its arguments.
    pub(crate) arguments: Vec<String>,
    /// Its whole environment.
    pub(crate) environment: Vec<(String, String)>,
}

/// What the helper tells, once for each order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Report {
    /// The confinement was refused at this step.
    Refused {
        /// What was tried.
        step: String,
        /// The error number.
        errno: i32,
    },
    /// The program could not be started.
    Unstartable {
        /// The error number.
        errno: i32,
    },
    /// The command ended by itself.
    Exited(i32),
    /// The command was ended by a signal.
    Signaled(i32),
}

impl Setting {
    /// Returns the bytes that [`Setting::decode`] reads.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let view = match self {
            Self::Directory => None,
            Self::Namespaces(view) => Some(view),
        };
        let mut encoder = Encoder::new();
        encoder.option(view, |encoder, view| {
            path(encoder, &view.mount_point);
            encoder.option(view.stages.as_deref(), path);
            encoder.list(&view.programs, |encoder, (name, program)| {
                encoder.text(name);
                path(encoder, program);
            });
            encoder.list(&view.files, |encoder, file| path(encoder, file));
            encoder.bool(view.network);
        });
        encoder.into_bytes()
    }

    /// Returns the setting that `bytes` hold.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        let view = decoder.option(|decoder| {
            Ok(View {
                mount_point: read_path(decoder)?,
                stages: decoder.option(read_path)?,
                programs: decoder
                    .list(|decoder| Ok((decoder.text()?.to_owned(), read_path(decoder)?)))?,
                files: decoder.list(read_path)?,
                network: decoder.bool()?,
            })
        })?;
        decoder.finish()?;
        Ok(view.map_or(Self::Directory, Self::Namespaces))
    }
}

impl Order {
    /// Returns the bytes that [`Order::decode`] reads.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new();
        encoder.option(self.tree.as_deref(), path);
        path(&mut encoder, &self.directory);
        path(&mut encoder, &self.program);
        encoder.text(&self.name);
        encoder.list(&self.arguments, |encoder, argument| {
            encoder.text(argument);
        });
        encoder.list(&self.environment, |encoder, (name, value)| {
            encoder.text(name).text(value);
        });
        encoder.into_bytes()
    }

    /// Returns the order that `bytes` hold.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        let order = Self {
            tree: decoder.option(read_path)?,
            directory: read_path(&mut decoder)?,
            program: read_path(&mut decoder)?,
            name: decoder.text()?.to_owned(),
            arguments: decoder.list(|decoder| Ok(decoder.text()?.to_owned()))?,
            environment: decoder
                .list(|decoder| Ok((decoder.text()?.to_owned(), decoder.text()?.to_owned())))?,
        };
        decoder.finish()?;
        Ok(order)
    }
}

impl Report {
    /// Returns the bytes that [`Report::decode`] reads.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new();
        match self {
            Self::Refused { step, errno } => encoder.u8(0).u32(errno.cast_unsigned()).text(step),
            Self::Unstartable { errno } => encoder.u8(1).u32(errno.cast_unsigned()),
            Self::Exited(status) => encoder.u8(2).u32(status.cast_unsigned()),
            Self::Signaled(signal) => encoder.u8(3).u32(signal.cast_unsigned()),
        };
        encoder.into_bytes()
    }

    /// Returns the report that `bytes` hold.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        let (code, number) = (decoder.u8()?, decoder.u32()?.cast_signed());
        let report = match code {
            0 => Self::Refused {
                step: decoder.text()?.to_owned(),
                errno: number,
            },
            1 => Self::Unstartable { errno: number },
            2 => Self::Exited(number),
            3 => Self::Signaled(number),
            _ => {
                return Err(DecodeError::Value {
                    what: "report of the sandbox helper",
                });
            }
        };
        decoder.finish()?;
        Ok(report)
    }
}

fn path(encoder: &mut Encoder, path: &Path) {
    encoder.bytes(path.as_os_str().as_bytes());
}

fn read_path(decoder: &mut Decoder<'_>) -> Result<PathBuf, DecodeError> {
    Ok(PathBuf::from(OsString::from_vec(decoder.bytes()?.to_vec())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn settings_orders_and_reports_read_back() {
        let inside = Setting::Namespaces(View {
            mount_point: "/a".into(),
            stages: Some("/b".into()),
            programs: vec![("sh".to_owned(), "/usr/bin/sh".into())],
            files: vec!["/opt/x".into()],
            network: true,
        });
        for setting in [Setting::Directory, inside] {
            assert_eq!(Setting::decode(&setting.encode()), Ok(setting));
        }
        let order = Order {
            tree: Some("1/tree".into()),
            directory: "/build".into(),
            program: "/tools/sh".into(),
            name: "sh".to_owned(),
            arguments: vec!["-c".to_owned(), String::new()],
            environment: vec![("A".to_owned(), "1".to_owned())],
        };
        assert_eq!(Order::decode(&order.encode()), Ok(order));
        for report in [
            Report::Refused {
                step: "unshare".to_owned(),
                errno: 1,
            },
            Report::Unstartable { errno: 2 },
            Report::Exited(3),
            Report::Signaled(9),
        ] {
            assert_eq!(Report::decode(&report.encode()), Ok(report));
        }
    }
}
