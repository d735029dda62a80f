//! The bytes of `.stagecraft/snapshot` (`spec/inputs/snapshot.md`): magic, version, checksum, body.
//! Decoding believes nothing: what is not exactly an encoding is `None`.

use std::collections::BTreeMap;

use stagecraft_store::{DecodeError, Decoder, Digest, Encoder};

use super::{Fact, Table};
use crate::inputs::stamp::Stamp;

const MAGIC: &[u8; 16] = b"stagecraft-stat\n";
const VERSION: u32 = 1;
const HEADER: usize = 16 + 4 + 32;

/// Returns the bytes that stand for `table`.
pub(super) fn encode(table: &Table) -> Vec<u8> {
    let mut encoder = Encoder::new();
    encoder.u64(table.pruned);
    encoder.list(&table.files, |encoder, (path, stamp, digest)| {
        encoder.text(path);
        stamp.encode(encoder);
        encoder.digest(digest);
    });
    encoder.list(&table.facts, |encoder, (name, fact)| {
        encoder.text(name);
        encoder.bytes(&fact.question);
        encoder.list(&fact.witnesses, |encoder, (path, stamp)| {
            encoder.text(path);
            encoder.option(stamp.as_ref(), |encoder, stamp| stamp.encode(encoder));
        });
        encoder.bytes(&fact.answer);
    });
    let body = encoder.into_bytes();
    let mut bytes = Vec::with_capacity(HEADER + body.len());
    bytes.extend_from_slice(MAGIC);
    bytes.extend_from_slice(&VERSION.to_le_bytes());
    bytes.extend_from_slice(Digest::of(&body).as_bytes());
    bytes.extend_from_slice(&body);
    bytes
}

/// Returns the table that `bytes` stand for, if they are whole and ours.
pub(super) fn decode(bytes: &[u8]) -> Option<Table> {
    let rest = bytes
        .strip_prefix(MAGIC)?
        .strip_prefix(&VERSION.to_le_bytes())?;
    let (checksum, body) = rest.split_at_checked(32)?;
    if Digest::of(body).as_bytes() != checksum {
        return None;
    }
    let table = table(body).ok()?;
    table.files.is_sorted_by(|a, b| a.0 < b.0).then_some(table)
}

fn table(body: &[u8]) -> Result<Table, DecodeError> {
    let mut decoder = Decoder::new(body);
    let pruned = decoder.u64()?;
    let files = decoder.list(|decoder| {
        let path = decoder.text()?.to_owned();
        Ok((path, Stamp::decode(decoder)?, decoder.digest()?))
    })?;
    let facts = decoder.list(|decoder| {
        let name = decoder.text()?.to_owned();
        let question = decoder.bytes()?.to_owned();
        let witnesses = decoder.list(|decoder| {
            let path = decoder.text()?.to_owned();
            Ok((path, decoder.option(Stamp::decode)?))
        })?;
        Ok((
            name,
            Fact {
                question,
                witnesses,
                answer: decoder.bytes()?.to_owned(),
            },
        ))
    })?;
    decoder.finish()?;
    Ok(Table {
        pruned,
        files,
        facts: facts.into_iter().collect::<BTreeMap<_, _>>(),
    })
}
