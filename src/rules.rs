//! How operations, services and environments of a configuration become nodes of a plan.
//! One rule a file; a rule reads nothing but what `Analysis` shows it.

mod command;
mod directory;
mod health;
mod reserved;

use crate::plan::Rule;

/// Every rule, in the order in which they run: later ones may wait for the drafts of earlier ones.
pub const ALL: &[&dyn Rule] = &[
    &reserved::Reserved,
    &command::Command,
    &directory::Directory,
    &health::HealthGate,
];
