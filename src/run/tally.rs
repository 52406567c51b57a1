//! What a run counts: its time, and how its trials ended.

use std::collections::HashMap;
use std::time::Duration;

use tokio::time::Instant;

/// The run's time: the wall clock at its start, moved on by tokio's.
#[derive(Debug, Clone, Copy)]
pub(super) struct Clock {
    /// Milliseconds since 1970-01-01 UTC at the start.
    pub(super) started_at: u64,
    pub(super) started: Instant,
}

impl Clock {
    pub(super) fn starting_now() -> Self {
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        Self { started_at: millis(since), started: Instant::now() }
    }

    pub(super) fn now(&self) -> u64 {
        self.started_at + millis(self.started.elapsed())
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

/// How the trials that are no services ended.
#[derive(Debug, Default)]
pub(super) struct Tally {
    ends: HashMap<usize, bool>,
    pub(super) succeeded: usize,
    pub(super) failed: usize,
}

impl Tally {
    pub(super) fn take_back(&mut self, place: usize) {
        match self.ends.remove(&place) {
            Some(true) => self.succeeded -= 1,
            Some(false) => self.failed -= 1,
            None => {}
        }
    }

    pub(super) fn add(&mut self, place: usize, success: bool) {
        self.take_back(place);
        self.ends.insert(place, success);
        *if success { &mut self.succeeded } else { &mut self.failed } += 1;
    }
}
