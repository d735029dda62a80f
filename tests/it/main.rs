//! Integration tests: one binary, one file per area.

mod config;
mod examples;
mod layers;
mod sandbox;
mod source;
mod spec;
mod support;
