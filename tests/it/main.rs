//! Integration tests: one binary, one file per area.

mod config;
mod evaluate;
mod examples;
mod layers;
mod plan;
mod source;
mod spec;
mod support;
