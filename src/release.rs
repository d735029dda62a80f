//! `Release`: what a deploy made, and the log of them.
