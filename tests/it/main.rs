//! Integration tests: one binary, one file per area.

mod acceptance;
mod cli;
mod config;
mod directory;
mod evaluate;
mod examples;
mod inputs;
mod layers;
mod plan;
mod release;
mod sandbox;
mod source;
mod spec;
mod storm;
mod support;
