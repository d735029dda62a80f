//! Signals: the first SIGINT or SIGTERM asks all work to stop, the second ends the process at once.

use std::sync::Arc;
use std::sync::atomic::{AtomicI32, Ordering};
use std::thread;

use signal_hook::consts::{SIGINT, SIGTERM};
use signal_hook::iterator::Signals;

use super::error::CliError;
use super::exit::Exit;
use crate::evaluate::Cancel;

/// Turns signals into a cancellation.
pub(super) struct Interrupt {
    cancel: Arc<Cancel>,
    signal: Arc<AtomicI32>,
}

impl Interrupt {
    /// Watches the signals of this process from here on.
    pub(super) fn watch() -> Result<Self, CliError> {
        let cancel = Arc::new(Cancel::new().map_err(CliError::Signals)?);
        let signal = Arc::new(AtomicI32::new(0));
        let mut signals = Signals::new([SIGINT, SIGTERM]).map_err(CliError::Signals)?;
        let (told, first) = (Arc::clone(&cancel), Arc::clone(&signal));
        let watcher = move || {
            for number in signals.forever() {
                if told.is_cancelled() {
                    // Everything we started dies with us.
                    signal_hook::low_level::emulate_default_handler(number).ok();
                }
                first.store(number, Ordering::SeqCst);
                told.cancel();
            }
        };
        thread::Builder::new()
            .name("signals".to_owned())
            .spawn(watcher)
            .map_err(CliError::Signals)?;
        Ok(Self { cancel, signal })
    }

    /// Returns what tells work to stop.
    pub(super) fn cancel(&self) -> &Cancel {
        &self.cancel
    }

    /// Returns the exit code of the signal that came, if one did.
    pub(super) fn exit(&self) -> Option<Exit> {
        match self.signal.load(Ordering::SeqCst) {
            0 => None,
            SIGTERM => Some(Exit::Terminated),
            _ => Some(Exit::Interrupted),
        }
    }
}
