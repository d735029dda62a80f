//! How services and environments become operations.
