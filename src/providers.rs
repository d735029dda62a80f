//! Executors that touch the world: one implementation per file.
//! Which of them serves which kind is decided where the program is put together.

pub(crate) mod command;
pub mod directory;
pub mod git;
pub mod health;
pub(crate) mod wait;
