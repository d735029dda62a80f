//! Stagecraft: a pure build and deploy evaluator with a content-addressed store.
//!
//! `config` and `inputs` turn everything that a deploy depends on into data; `plan` and `rules` make of it a DAG
//! of operations with a hash; `action` swaps a ready operation's inputs for digests; `evaluate` looks its key up
//! and lets an executor (`sandbox`, `providers`) run it on a miss; `release` names what came out.
//!
//! | layer | nature |
//! |---|---|
//! | `stagecraft_store` | bytes, trees, keys, roots; knows no app |
//! | [`name`] | validated names |
//! | [`config`] | pure: text to validated `Config` |
//! | [`inputs`] | effect: reads the project once and digests it |
//! | [`plan`] | pure: `Plan`, `Operation`, `OpHash` |
//! | [`rules`] | pure: how services and environments become operations |
//! | [`action`] | pure: operation and digests to `ActionKey` |
//! | [`evaluate`] | threads: schedule, look up, execute, explain |
//! | [`sandbox`] | executor: a confined process |
//! | [`release`] | pure but for its log: phases, seal, diff |
//! | [`providers`] | executors that touch the world |
//! | [`cli`] | composition root |
//!
//! Each layer imports only the ones above it; `tests/it/layers.rs` watches.

pub mod action;
pub mod cli;
pub mod config;
pub mod evaluate;
pub mod inputs;
pub mod name;
pub mod plan;
pub mod providers;
pub mod release;
pub mod rules;
pub mod sandbox;
