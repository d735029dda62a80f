//! Integration tests: one binary, one file per area.

mod config;
mod directory;
mod examples;
mod inputs;
mod layers;
mod release;
mod sandbox;
mod source;
mod spec;
mod support;
