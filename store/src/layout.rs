//! Where things lie in the store's directory. Names only; touches no file.

use crate::digest::Digest;

/// The directory of this layout inside the store's root.
pub(crate) const LAYOUT: &str = "v1";
/// Says which format this is; present once the layout is complete.
pub(crate) const FORMAT: &str = "FORMAT";
/// What `FORMAT` holds.
pub(crate) const FORMAT_TEXT: &str = "stagecraft store 1\ndigest blake3\n";
/// The file that users hold a shared lock on, and gc an exclusive one; never removed.
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
/// What was moved out of the way and goes with the next gc.
pub(crate) const TRASH: &str = "trash";

/// Everything that is sharded by digest.
pub(crate) const SHARDED: [&str; 4] = [CAS, CASX, RESULTS, HISTORY];

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

/// Returns the digest that a file in a shard belongs to.
pub(crate) fn digest(shard: &str, name: &str) -> Option<Digest> {
    if shard.len() != 2 {
        return None;
    }
    Digest::from_hex(&format!("{shard}{name}")).ok()
}
