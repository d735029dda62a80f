//! The sandbox with real processes: what a command finds, what becomes of what it writes, and how it is stopped.

mod bench;
mod confinement;
mod ending;
mod outputs;
mod staging;
