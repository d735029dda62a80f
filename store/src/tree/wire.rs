//! The bytes of a directory: REAPI `Directory`, `FileNode`, `DirectoryNode`, `SymlinkNode`, `Digest`.
//! Reading is strict: what does not encode to the same bytes again is refused.

use std::collections::BTreeMap;

use super::{Directory, EntryName, Node, Object, TreeError};
use crate::digest::Digest;
use crate::encode::Message;

/// Writes files, then directories, then symlinks, each sorted by name.
pub(super) fn encode(entries: &BTreeMap<EntryName, Node>) -> Vec<u8> {
    let mut message = Message::new();
    for (name, node) in entries {
        if let Node::File { object, executable } = node {
            message.nested(1, |entry| {
                entry.text(1, name.as_str()).object(2, object);
                entry.varint(4, u64::from(*executable));
            });
        }
    }
    for (name, node) in entries {
        if let Node::Directory { object } = node {
            message.nested(2, |entry| {
                entry.text(1, name.as_str()).object(2, object);
            });
        }
    }
    for (name, node) in entries {
        if let Node::Symlink { target } = node {
            message.nested(3, |entry| {
                entry.text(1, name.as_str()).text(2, target);
            });
        }
    }
    message.into_bytes()
}

/// Reads a message. Order, defaults, unknown fields and repeated fields need no check of their own:
/// a message that differs from its canonical form in any of them does not encode to itself.
pub(super) fn decode(bytes: &[u8]) -> Result<Directory, TreeError> {
    let mut directory = Directory::new();
    let mut reader = Reader { bytes, at: 0 };
    while reader.at < bytes.len() {
        let start = reader.at;
        let refused = TreeError::NotCanonical { at: start };
        let entry = reader
            .field()
            .and_then(|(field, value)| node(field, value))
            .ok_or(refused.clone())?;
        let (name, node) = entry;
        directory.insert(name, node).map_err(|_| refused)?;
    }
    let again = directory.encode();
    if again != bytes {
        let same = again.iter().zip(bytes).take_while(|(a, b)| a == b).count();
        return Err(TreeError::NotCanonical { at: same });
    }
    Ok(directory)
}

/// A field value: a number, or bytes with a length.
#[derive(Clone, Copy)]
enum Value<'a> {
    Varint(u64),
    Bytes(&'a [u8]),
}

fn node(list: u64, value: Value<'_>) -> Option<(EntryName, Node)> {
    let Value::Bytes(bytes) = value else {
        return None;
    };
    let mut name = None;
    let mut object = None;
    let mut target = None;
    let mut executable = false;
    let mut reader = Reader { bytes, at: 0 };
    while reader.at < bytes.len() {
        match (list, reader.field()?) {
            (_, (1, Value::Bytes(text))) => name = Some(text_of(text)?.parse().ok()?),
            (1 | 2, (2, Value::Bytes(message))) => object = Some(object_of(message)?),
            (3, (2, Value::Bytes(text))) => target = Some(text_of(text)?.to_owned()),
            (1, (4, Value::Varint(1))) => executable = true,
            _ => return None,
        }
    }
    let node = match list {
        1 => Node::File {
            object: object?,
            executable,
        },
        2 => Node::Directory { object: object? },
        3 => Node::Symlink { target: target? },
        _ => return None,
    };
    Some((name?, node))
}

fn object_of(bytes: &[u8]) -> Option<Object> {
    let mut digest = None;
    let mut size = 0;
    let mut reader = Reader { bytes, at: 0 };
    while reader.at < bytes.len() {
        match reader.field()? {
            (1, Value::Bytes(text)) => digest = Some(Digest::from_hex(text_of(text)?).ok()?),
            (2, Value::Varint(value)) => size = value,
            _ => return None,
        }
    }
    Some(Object {
        digest: digest?,
        size,
    })
}

fn text_of(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

struct Reader<'a> {
    bytes: &'a [u8],
    at: usize,
}

impl<'a> Reader<'a> {
    fn varint(&mut self) -> Option<u64> {
        let mut value: u64 = 0;
        for shift in (0..64).step_by(7) {
            let byte = *self.bytes.get(self.at)?;
            self.at += 1;
            let bits = u64::from(byte & 0x7f);
            if shift == 63 && bits > 1 {
                return None;
            }
            value |= bits << shift;
            if byte & 0x80 == 0 {
                return Some(value);
            }
        }
        None
    }

    fn field(&mut self) -> Option<(u64, Value<'a>)> {
        let tag = self.varint()?;
        let value = match tag & 7 {
            0 => Value::Varint(self.varint()?),
            2 => {
                let length = usize::try_from(self.varint()?).ok()?;
                let end = self.at.checked_add(length)?;
                let bytes = self.bytes.get(self.at..end)?;
                self.at = end;
                Value::Bytes(bytes)
            }
            _ => return None,
        };
        Some((tag >> 3, value))
    }
}
