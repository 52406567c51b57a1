//! The driver of a session's runtime: threads of its own in real time, or, in a simulation, whoever waits for something.

use std::sync::Arc;
use std::time::Duration;

use tokio::runtime::{Builder, EnterGuard, Handle as Tokio, Runtime};
use tokio::time::Instant;

/// When a simulation begins, in milliseconds since 1970-01-01 UTC: 2000-01-01, so that the same one tells the same times.
const BEGINNING: u64 = 946_684_800_000;

/// What the runs of a session live on, and how a thread outside waits for them.
#[derive(Debug, Clone)]
pub(crate) enum Driver {
    /// Threads of the runtime, in real time.
    Threads(Tokio),
    /// Nobody but the thread that waits, in virtual time: that stands still while nobody waits, and jumps to the next moment at
    /// which something is to happen while somebody does.
    Waiting(Arc<Waiting>),
}

/// A runtime in virtual time.
#[derive(Debug)]
pub(crate) struct Waiting {
    runtime: Runtime,
    began: Instant,
}

impl Driver {
    /// A driver in virtual time.
    ///
    /// # Errors
    /// When the system refuses what a runtime needs.
    pub(super) fn in_virtual_time() -> std::io::Result<Self> {
        let runtime = Builder::new_current_thread().enable_time().start_paused(true).build()?;
        let began = runtime.block_on(async { Instant::now() });
        Ok(Self::Waiting(Arc::new(Waiting { runtime, began })))
    }

    /// Waits for that on the calling thread, which is none of the runtime's.
    pub(crate) fn wait_for<F: Future>(&self, what: F) -> F::Output {
        match self {
            Self::Threads(tokio) => tokio.block_on(what),
            Self::Waiting(waiting) => waiting.runtime.block_on(what),
        }
    }

    /// Lets the calling thread spawn onto the runtime, and read its clock.
    pub(super) fn enter(&self) -> EnterGuard<'_> {
        match self {
            Self::Threads(tokio) => tokio.enter(),
            Self::Waiting(waiting) => waiting.runtime.enter(),
        }
    }

    /// The virtual time: since its beginning, and in milliseconds since 1970-01-01 UTC. Absent in real time.
    pub(super) fn virtual_time(&self) -> Option<(Duration, u64)> {
        let Self::Waiting(waiting) = self else { return None };
        let _inside = self.enter();
        let passed = waiting.began.elapsed();
        Some((passed, BEGINNING + u64::try_from(passed.as_millis()).unwrap_or(u64::MAX - BEGINNING)))
    }
}

impl From<&Tokio> for Driver {
    fn from(tokio: &Tokio) -> Self {
        Self::Threads(tokio.clone())
    }
}
