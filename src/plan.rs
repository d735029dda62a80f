//! `Plan`: a DAG of operations with a hash.

pub mod hash;
pub mod operation;
