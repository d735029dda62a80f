//! The `stagecraft` program.

fn main() {}
