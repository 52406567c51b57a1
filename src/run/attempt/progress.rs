//! How far the start of an attempt is, for whoever asks why a trial does not run yet.

use std::sync::atomic::{AtomicU8, Ordering};

/// How far the start of an attempt is. Read by others at any time; nothing is decided by it.
#[derive(Debug, Default)]
pub(crate) struct Progress(AtomicU8);

/// What an attempt does before it runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum StartPhase {
    /// Its image and networks are made ready.
    Preparing,
    /// It waits for a place among the starts in flight.
    Waiting,
    /// The engine starts it.
    Starting,
    /// It waits for something that others use.
    Lacking,
}

impl Progress {
    pub(super) fn reach(&self, phase: StartPhase) {
        self.0.store(phase as u8, Ordering::Relaxed);
    }

    pub(crate) fn phase(&self) -> StartPhase {
        match self.0.load(Ordering::Relaxed) {
            0 => StartPhase::Preparing,
            1 => StartPhase::Waiting,
            2 => StartPhase::Starting,
            _ => StartPhase::Lacking,
        }
    }
}
