//! Stagecraft: a pure build and deploy evaluator with a content-addressed store.

pub mod config;
pub mod name;
