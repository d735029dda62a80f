//! `Order` and `Report`: what the executor and its helper process say to each other over one socket.
//! Both ends are the same program, so the encoding has no version; nothing here is kept.

use std::ffi::OsString;
use std::io::{self, Read, Write};
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::path::{Path, PathBuf};

use stagecraft_store::{DecodeError, Decoder, Encoder};

/// What the helper is to run, and where.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Order {
    /// How to confine it.
    pub(crate) confinement: Confinement,
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

/// How a command is kept apart from the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Confinement {
    /// Level 0: by nothing but its directory and environment.
    Directory,
    /// Level 2: by namespaces of its own.
    Namespaces(View),
}

/// What a command at level 2 sees of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct View {
    /// An existing directory over which the helper may mount the root.
    pub(crate) mount_point: PathBuf,
    /// The staged tree, bound at `/build`; without one `/build` is empty.
    pub(crate) tree: Option<PathBuf>,
    /// Name on PATH -> program.
    pub(crate) programs: Vec<(String, PathBuf)>,
    /// Files and directories outside `/usr`, seen read-only at their own paths.
    pub(crate) files: Vec<PathBuf>,
    /// Whether it shares the machine's network.
    pub(crate) network: bool,
}

/// What the helper tells, once.
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

/// No order or report is larger.
const MOST: u32 = 64 << 20;

impl Order {
    /// Returns the bytes that [`Order::decode`] reads.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut encoder = Encoder::new();
        path(&mut encoder, &self.directory);
        path(&mut encoder, &self.program);
        encoder.text(&self.name);
        encoder.list(&self.arguments, |encoder, argument| {
            encoder.text(argument);
        });
        encoder.list(&self.environment, |encoder, (name, value)| {
            encoder.text(name).text(value);
        });
        let view = match &self.confinement {
            Confinement::Directory => None,
            Confinement::Namespaces(view) => Some(view),
        };
        encoder.option(view, |encoder, view| {
            path(encoder, &view.mount_point);
            encoder.option(view.tree.as_deref(), path);
            encoder.list(&view.programs, |encoder, (name, program)| {
                encoder.text(name);
                path(encoder, program);
            });
            encoder.list(&view.files, |encoder, file| path(encoder, file));
            encoder.bool(view.network);
        });
        encoder.into_bytes()
    }

    /// Returns the order that `bytes` hold.
    pub(crate) fn decode(bytes: &[u8]) -> Result<Self, DecodeError> {
        let mut decoder = Decoder::new(bytes);
        let directory = read_path(&mut decoder)?;
        let program = read_path(&mut decoder)?;
        let name = decoder.text()?.to_owned();
        let arguments = decoder.list(|decoder| Ok(decoder.text()?.to_owned()))?;
        let environment =
            decoder.list(|decoder| Ok((decoder.text()?.to_owned(), decoder.text()?.to_owned())))?;
        let confinement = match decoder.option(View::read)? {
            None => Confinement::Directory,
            Some(view) => Confinement::Namespaces(view),
        };
        decoder.finish()?;
        Ok(Self {
            confinement,
            directory,
            program,
            name,
            arguments,
            environment,
        })
    }
}

impl View {
    fn read(decoder: &mut Decoder<'_>) -> Result<Self, DecodeError> {
        Ok(Self {
            mount_point: read_path(decoder)?,
            tree: decoder.option(read_path)?,
            programs: decoder
                .list(|decoder| Ok((decoder.text()?.to_owned(), read_path(decoder)?)))?,
            files: decoder.list(read_path)?,
            network: decoder.bool()?,
        })
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

/// Writes one message: its length, then its bytes.
pub(crate) fn send(to: &mut impl Write, message: &[u8]) -> io::Result<()> {
    let length = u32::try_from(message.len())
        .ok()
        .filter(|length| *length <= MOST);
    let length = length.ok_or(io::ErrorKind::FileTooLarge)?;
    let mut framed = length.to_le_bytes().to_vec();
    framed.extend_from_slice(message);
    to.write_all(&framed)
}

/// Reads one message; none when the other end is gone.
pub(crate) fn receive(from: &mut impl Read) -> io::Result<Option<Vec<u8>>> {
    let mut length = [0; 4];
    match from.read_exact(&mut length) {
        Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => return Ok(None),
        other => other?,
    }
    let length = u32::from_le_bytes(length);
    if length > MOST {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut message = Vec::new();
    from.take(u64::from(length)).read_to_end(&mut message)?;
    let whole = message.len() == usize::try_from(length).unwrap_or(usize::MAX);
    Ok(whole.then_some(message))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn orders_and_reports_read_back() {
        let order = Order {
            confinement: Confinement::Namespaces(View {
                mount_point: "/a".into(),
                tree: Some("/b".into()),
                programs: vec![("sh".to_owned(), "/usr/bin/sh".into())],
                files: vec!["/opt/x".into()],
                network: true,
            }),
            directory: "/build".into(),
            program: "/tools/sh".into(),
            name: "sh".to_owned(),
            arguments: vec!["-c".to_owned(), String::new()],
            environment: vec![("A".to_owned(), "1".to_owned())],
        };
        assert_eq!(Order::decode(&order.encode()), Ok(order.clone()));
        let plain = Order {
            confinement: Confinement::Directory,
            ..order
        };
        assert_eq!(Order::decode(&plain.encode()), Ok(plain));
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

    #[test]
    fn a_message_that_is_cut_short_is_no_message() {
        let mut wire = Vec::new();
        send(&mut wire, b"hello").unwrap();
        assert_eq!(receive(&mut wire.as_slice()).unwrap().unwrap(), b"hello");
        assert_eq!(receive(&mut &wire[..7]).unwrap(), None);
        assert_eq!(receive(&mut &wire[..0]).unwrap(), None);
    }
}
