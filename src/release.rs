//! `Release`: what a deploy made, the log of them, and the way back.
//! Pure but for the log's file and the environment's lock; knows no provider and prints nothing.

pub mod diff;
mod document;
pub mod id;
pub mod lock;
pub mod log;
pub mod manifest;
pub mod phase;
pub mod rollback;
pub mod status;
pub mod timestamp;
