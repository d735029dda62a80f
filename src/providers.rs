//! Executors that touch the world.
