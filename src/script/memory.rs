//! The memory of a script: how much its process may take, and a watch that sees when it takes more.
//!
//! Rhai has limits of its own for texts, lists and maps. They measure each of them anew at every change, and fail on
//! variables that closures share.

use std::fs;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::Duration;

use crate::spec::evaluator::quarter_of_memory;

/// Time between two looks: what can be filled meanwhile is little beside the limit.
const PAUSE: Duration = Duration::from_millis(20);

/// Bounds of the default limit. A quarter of the machine's memory lies between most: a text that doubles holds the old one
/// and the new one for a moment, which is three times as much as what was seen last.
const LIMIT: (u64, u64) = (2 << 30, 16 << 30);

/// Most bytes that a script's process takes, runs and all: a quarter of the machine's memory.
pub(super) fn limit() -> u64 {
    quarter_of_memory(LIMIT)
}

/// Bytes of memory that this process has now; zero where the system does not say.
pub(super) fn taken() -> u64 {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let resident = status.lines().find_map(|line| line.strip_prefix("VmRSS:"));
    let kib =
        resident.and_then(|text| text.trim().strip_suffix(" kB")).and_then(|text| text.trim().parse::<u64>().ok());
    kib.unwrap_or(0) << 10
}

/// A watch over the memory of this process, for as long as this value is there.
pub(super) struct MemoryWatch {
    is_over: Arc<AtomicBool>,
    _ends: Sender<()>,
}

impl MemoryWatch {
    /// Watches from now on that no more than so many bytes are taken.
    ///
    /// # Errors
    /// When the system gives no thread.
    pub(super) fn start(most: u64) -> io::Result<Self> {
        let is_over = Arc::new(AtomicBool::new(false));
        let (ends, ended) = channel::<()>();
        let seen = is_over.clone();
        thread::Builder::new().name("memory".to_owned()).spawn(move || {
            while ended.recv_timeout(PAUSE) == Err(RecvTimeoutError::Timeout) {
                seen.store(taken() > most, Ordering::Relaxed);
            }
        })?;
        Ok(Self { is_over, _ends: ends })
    }

    /// Whether more is taken, as it was seen last.
    pub(super) fn is_over(&self) -> bool {
        self.is_over.load(Ordering::Relaxed)
    }
}
