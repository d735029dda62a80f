//! Verify of what surrounds objects and records: the format mark, the lock, leases, claims, the stamp
//! of gc, and names that no store has.

use super::{Check, DamageKind};
use crate::digest::Digest;
use crate::disk::Kind;
use crate::error::{StoreError, at};
use crate::gc::due;
use crate::layout::{self, CLAIMS, FORMAT, FORMAT_TEXT, LEASES, LOCK, STAMP};
use crate::lease;
use crate::store::Inner;

impl Check<'_> {
    pub(super) fn surroundings(&mut self) -> Result<(), StoreError> {
        for (name, stat) in self.inner.list("")? {
            let known = layout::is_known(&name);
            let wanted = match name.as_str() {
                FORMAT | LOCK | STAMP => Kind::File,
                _ => Kind::Directory,
            };
            if !known || stat.kind != wanted {
                self.damaged(name, DamageKind::Stray);
            } else if name == LOCK && stat.size > 0 {
                self.damaged(name, DamageKind::Lock);
            }
        }
        if self.inner.file(FORMAT)?.as_deref() != Some(FORMAT_TEXT.as_bytes()) {
            self.damaged(FORMAT.to_owned(), DamageKind::Format);
        }
        if let Some(bytes) = self.inner.file(STAMP)?
            && due::decode(&bytes).is_err()
        {
            self.damaged(STAMP.to_owned(), DamageKind::Stamp);
        }
        self.leases()?;
        for (name, stat) in self.inner.list(CLAIMS)? {
            if Digest::from_hex(&name).is_err() || stat.kind != Kind::File || stat.size > 0 {
                self.damaged(format!("{CLAIMS}/{name}"), DamageKind::Stray);
            }
        }
        Ok(())
    }

    fn leases(&mut self) -> Result<(), StoreError> {
        for (name, stat) in self.inner.list(LEASES)? {
            let path = format!("{LEASES}/{name}");
            if stat.kind != Kind::File {
                self.damaged(path, DamageKind::Stray);
                continue;
            }
            let bytes = self.inner.file(&path)?;
            if bytes.is_some_and(|bytes| !lease::decode(&bytes).1) {
                self.damaged(path, DamageKind::Lease);
            }
        }
        Ok(())
    }
}

impl Inner {
    /// Forgets what is damaged, or mends what must not simply go; returns whether it is mended.
    pub(super) fn mend(&self, path: &str, kind: DamageKind) -> Result<bool, StoreError> {
        match kind {
            DamageKind::Format => {
                let temporary = self.write_record(FORMAT_TEXT.as_bytes())?;
                self.sync(vec![temporary.clone()])?;
                self.rename(&temporary, FORMAT)?;
                Ok(true)
            }
            // Others hold locks on the file, so it stays the same one.
            DamageKind::Lock => {
                if let Some(host) = self.host_disk() {
                    host.blank(path).map_err(at(path))?;
                }
                Ok(true)
            }
            // Its owner lives, and still appends to it.
            DamageKind::Lease if self.is_leased_by_the_living(path) => Ok(false),
            DamageKind::Blob
            | DamageKind::Twin
            | DamageKind::Result
            | DamageKind::IncompleteResult
            | DamageKind::History
            | DamageKind::IncompleteHistory
            | DamageKind::Root
            | DamageKind::IncompleteRoot
            | DamageKind::Tree
            | DamageKind::Lease
            | DamageKind::Stamp
            | DamageKind::Stray => self.forget(path).map(|()| true),
        }
    }
}
