//! Fingerprints: what stands for a secret in keys. Keyed, so that a weak secret cannot be guessed from one.
//! The key is 32 random bytes beside the store's layout, for its owner alone; it never leaves that file.
#![expect(clippy::disallowed_methods, reason = "effects: the key file")]

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;

use rustix::rand::{GetRandomFlags, getrandom};
use stagecraft_store::Encoder;

use super::InputError;

const FILE: &str = "fingerprint.key";
const CONTEXT: &str = "stagecraft 2026 secret fingerprint v1";

/// The key of one store; prints as nothing.
pub struct FingerprintKey([u8; 32]);

impl FingerprintKey {
    /// Returns the key of the store at `store`; with `create`, makes it if it is not there.
    pub fn load(store: &Path, create: bool) -> Result<Option<Self>, InputError> {
        let path = store.join(FILE);
        let failed = |source| InputError::Fingerprint {
            path: path.clone(),
            source,
        };
        match read(&path) {
            Ok(key) => return Ok(Some(Self(key))),
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(failed(error)),
            Err(_) if !create => return Ok(None),
            Err(_) => {}
        }
        make(&path).map_err(failed)?;
        // Whoever made it first, all read the same.
        read(&path).map(|key| Some(Self(key))).map_err(failed)
    }

    /// Returns what stands for `value` in keys.
    pub fn of(&self, value: &str) -> String {
        let mut encoder = Encoder::new();
        encoder.bytes(&self.0).text(value);
        encoder.finish(CONTEXT).to_string()
    }
}

fn read(path: &Path) -> io::Result<[u8; 32]> {
    let mut key = [0; 32];
    File::open(path)?.read_exact(&mut key)?;
    Ok(key)
}

/// Writes a complete key under its name, unless another process is faster.
fn make(path: &Path) -> io::Result<()> {
    let mut key = [0; 32];
    if getrandom(&mut key, GetRandomFlags::empty())? != key.len() {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    let temporary = path.with_extension(format!("tmp{}", std::process::id()));
    let mut file = OpenOptions::new()
        .write(true)
        .create(true)
        .truncate(true)
        .mode(0o600)
        .open(&temporary)?;
    file.write_all(&key)?;
    file.sync_all()?;
    let linked = std::fs::hard_link(&temporary, path);
    std::fs::remove_file(&temporary)?;
    match linked {
        Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}
