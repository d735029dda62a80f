//! `Broom`: a thread that removes what operations leave behind, so that no worker waits for the file system to do it.
//! Never falls behind by more than a few: then whoever comes waits. Nothing is left when it is gone.

use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Mutex, PoisonError};
use std::thread::{self, JoinHandle};

use stagecraft_store::Scratch;

/// How many wait at most.
const MOST: usize = 8;

/// Removes scratch directories.
#[derive(Debug, Default)]
pub(crate) struct Broom(Mutex<State>);

#[derive(Debug, Default)]
enum State {
    #[default]
    Unused,
    Started(SyncSender<Scratch>, JoinHandle<()>),
    /// There is no thread to be had; whoever comes removes.
    Missing,
}

impl Broom {
    /// Removes `scratch` soon.
    pub(crate) fn sweep(&self, scratch: Scratch) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if matches!(*state, State::Unused) {
            *state = State::start();
        }
        let sender = match &*state {
            State::Started(sender, _) => sender.clone(),
            State::Unused | State::Missing => return,
        };
        drop(state);
        // A thread that has ended hands it back, and then it is removed here.
        sender.send(scratch).ok();
    }
}

impl State {
    fn start() -> Self {
        let (sender, receiver) = sync_channel::<Scratch>(MOST);
        let thread = thread::Builder::new().name("broom".to_owned());
        match thread.spawn(move || receiver.into_iter().for_each(drop)) {
            Ok(thread) => Self::Started(sender, thread),
            Err(_) => Self::Missing,
        }
    }
}

impl Drop for Broom {
    fn drop(&mut self) {
        let state = self.0.get_mut().unwrap_or_else(PoisonError::into_inner);
        if let State::Started(sender, thread) = std::mem::take(state) {
            drop(sender);
            // It has no value, and its panic is of no use here.
            thread.join().ok();
        }
    }
}
