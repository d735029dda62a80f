//! The store on real file systems that are full, closed, failing, or lose their power. Each trial runs
//! a writer in a process of its own: this test binary again, told by a variable what to do.
#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]
#![expect(clippy::disallowed_methods, reason = "effects: tests of file systems")]

mod trials {
    pub(crate) mod faults;
    pub(crate) mod kills;
    pub(crate) mod power;
    pub(crate) mod volume;
    pub(crate) mod writer;
}
