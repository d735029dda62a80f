//! A content-addressed store of blobs, directory trees and action results.
//!
//! An object is named by the BLAKE3 hash of its bytes. Objects, results and roots become visible
//! only when they are whole and durable; what can be reached from a root survives gc. The format on
//! disk is specified byte by byte in `spec/store/format.md`, the protocols in
//! `spec/store/operations.md`. This crate knows no project, no operation and no network.

pub mod action;
mod batch;
mod claim;
mod closure;
mod commit;
pub mod digest;
pub mod disk;
pub mod encode;
mod error;
mod export;
mod gate;
mod gc;
mod import;
mod inventory;
mod layout;
mod lease;
mod lock;
mod owner;
mod read;
mod record;
mod restore;
pub mod root;
mod scratch;
#[cfg(feature = "sim")]
pub mod sim;
mod store;
mod stream;
pub mod tree;
mod trees;
mod usage;
mod verify;
mod why;

pub use action::{ActionKey, ActionResult, HistoryKey};
pub use batch::Batch;
pub use claim::Claim;
pub use digest::{Digest, DigestError, Hasher};
pub use disk::{Disk, HostDisk};
pub use encode::{DecodeError, Decoder, Encoder, Message};
pub use error::StoreError;
pub use export::{ExportMode, Exported};
pub use gc::{Fate, GcPolicy, GcReport};
pub use import::ImportRules;
pub use record::RecordError;
pub use restore::Restored;
pub use root::{Reference, Root, RootName, RootNameError};
pub use scratch::Scratch;
pub use store::Store;
pub use stream::{Arrival, Delivery, Parcel, Shipped, StreamError};
pub use tree::{BuiltTree, Directory, EntryName, Node, Object, TreeBuilder, TreeError};
pub use usage::{Amount, Usage};
pub use verify::{Damage, DamageKind, VerifyReport};
pub use why::Reason;
