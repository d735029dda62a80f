//! Where things lie in the store's directory. Names only; touches no file.

use crate::digest::Digest;

/// The directory of this layout inside the store's root.
pub(crate) const LAYOUT: &str = "v1";
/// Says which format this is; present once the layout is complete.
pub(crate) const FORMAT: &str = "FORMAT";
/// What `FORMAT` holds.
pub(crate) const FORMAT_TEXT: &str = "stagecraft store 1\ndigest blake3\n";
/// The file that users hold a shared lock on while they are inside, and a batch of gc an exclusive
/// one; never removed.
pub(crate) const LOCK: &str = "lock";
/// One directory of temporary files for each living owner.
pub(crate) const TMP: &str = "tmp";
/// Objects.
pub(crate) const CAS: &str = "cas";
/// Executable twins of objects.
pub(crate) const CASX: &str = "casx";
/// Results by action key.
pub(crate) const RESULTS: &str = "results";
/// Newest leaves by history key.
pub(crate) const HISTORY: &str = "history";
/// Roots by name.
pub(crate) const ROOTS: &str = "roots";
/// Trees as directories, made of links to objects.
pub(crate) const TREES: &str = "trees";
/// What each living user relies on. The directory itself is locked on the way in.
pub(crate) const LEASES: &str = "leases";
/// Who runs which action.
pub(crate) const CLAIMS: &str = "claims";
/// When gc ran last.
pub(crate) const STAMP: &str = "gc";
/// What was moved out of the way: objects that gc removed lie below the second of their removal, for
/// the time they may be taken back. The directory itself is locked by whoever runs gc.
pub(crate) const TRASH: &str = "trash";

/// Everything that is sharded by digest.
pub(crate) const SHARDED: [&str; 4] = [CAS, CASX, RESULTS, HISTORY];

/// Returns whether the layout has a file or directory of that name.
pub(crate) fn is_known(name: &str) -> bool {
    let names = [
        FORMAT, LOCK, STAMP, TMP, ROOTS, TREES, TRASH, LEASES, CLAIMS,
    ];
    names.contains(&name) || SHARDED.contains(&name)
}

/// Returns the directory of a digest's file in `area`.
pub(crate) fn shard(area: &str, digest: &Digest) -> String {
    format!("{area}/{}", &digest.hex()[..2])
}

/// Returns the path of a digest's file in `area`.
pub(crate) fn path(area: &str, digest: &Digest) -> String {
    let hex = digest.hex();
    let mut path = String::with_capacity(area.len() + hex.len() + 2);
    for part in [area, "/", &hex[..2], "/", &hex[2..]] {
        path.push_str(part);
    }
    path
}

/// Returns the path of a lease.
pub(crate) fn lease(owner: &str) -> String {
    format!("{LEASES}/{owner}")
}

/// Returns the digest that a file in a shard belongs to.
pub(crate) fn digest(shard: &str, name: &str) -> Option<Digest> {
    if shard.len() != 2 {
        return None;
    }
    Digest::from_hex(&format!("{shard}{name}")).ok()
}
