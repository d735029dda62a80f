//! Runs a confined process.
