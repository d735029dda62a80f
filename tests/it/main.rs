//! Integration tests: one binary, one file per area.

mod acceptance;
mod cli;
mod config;
mod directory;
mod examples;
mod layers;
mod release;
mod source;
mod spec;
mod support;
