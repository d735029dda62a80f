//! Where traces go: to stderr, as far as `--verbose` asks for them. Prints no time, so that equal runs say the same.

use std::io::stderr;

use tracing::Level;

/// Lets events of the level that `verbosity` asks for through: errors always, then one level for each `--verbose`.
pub(super) fn begin(verbosity: u8) {
    let level = match verbosity {
        0 => Level::ERROR,
        1 => Level::INFO,
        2 => Level::DEBUG,
        _ => Level::TRACE,
    };
    // Only a second call in one process can fail, and the first one's settings then stay.
    tracing_subscriber::fmt()
        .with_max_level(level)
        .with_writer(stderr)
        .with_ansi(false)
        .with_target(false)
        .without_time()
        .try_init()
        .ok();
}
