//! Interrupts: how a signal reaches every run of this process, and a script that is busy with itself.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use crate::model::command::Command;
use crate::run::session::Commands;

/// Passes interrupts on to the runs of this process. Clones share one state.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    /// Read on its own by scripts, in their loops; changed under the lock only.
    count: AtomicUsize,
    heard: Mutex<Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    by: Option<String>,
    runs: Vec<Commands>,
}

impl Interrupt {
    /// Interrupts: the first asks every run to stop, the second to kill. `by` is a noun: `SIGINT`.
    pub fn fire(&self, by: &str) {
        let mut heard = self.heard();
        self.shared.count.fetch_add(1, Ordering::SeqCst);
        heard.by.get_or_insert_with(|| by.to_owned());
        for commands in &heard.runs {
            commands.send(Command::Cancel { by: by.to_owned() });
        }
    }

    /// How often it was fired.
    pub fn count(&self) -> usize {
        self.shared.count.load(Ordering::SeqCst)
    }

    /// Who fired it first.
    pub fn by(&self) -> Option<String> {
        self.heard().by.clone()
    }

    /// Lets a run hear of interrupts; those that were fired before are passed on at once.
    pub(crate) fn register(&self, commands: Commands) {
        let mut heard = self.heard();
        heard.runs.retain(|commands| !commands.is_closed());
        for _ in 0..self.count() {
            commands.send(Command::Cancel { by: heard.by.clone().unwrap_or_default() });
        }
        heard.runs.push(commands);
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.shared.heard.lock().expect("no code panics while it holds the lock")
    }
}
