//! Integration tests: one binary, one file per area.

mod config;
mod examples;
mod inputs;
mod layers;
mod source;
mod spec;
mod support;
