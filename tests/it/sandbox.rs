//! The sandbox with real processes: what a command finds, what becomes of what it writes, and how it is stopped.
#![expect(clippy::unwrap_used, reason = "a test fails by a panic")]
#![expect(
    clippy::disallowed_methods,
    reason = "effects: makes projects, starts itself again"
)]

mod bench;
mod confinement;
mod ending;
mod outputs;
mod reuse;
mod staging;
