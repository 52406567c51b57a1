//! Interrupts: how a signal reaches every run of this process, and a script that is busy with itself.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};

use crate::model::command::Command;
use crate::run::session::Commands;

/// Passes interrupts on to the runs of this process. Clones share one state.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    shared: Arc<Shared>,
}

#[derive(Debug, Default)]
struct Shared {
    count: AtomicUsize,
    by: Mutex<Option<String>>,
    runs: Mutex<Vec<Commands>>,
}

impl Interrupt {
    /// Interrupts: the first asks every run to stop, the second to kill. `by` is a noun: `SIGINT`.
    pub fn fire(&self, by: &str) {
        self.shared.by.lock().expect("no code panics while it holds the lock").get_or_insert_with(|| by.to_owned());
        self.shared.count.fetch_add(1, Ordering::SeqCst);
        let runs = self.shared.runs.lock().expect("no code panics while it holds the lock");
        for commands in runs.iter() {
            commands.send(Command::Cancel { by: by.to_owned() });
        }
    }

    /// How often it was fired.
    pub fn count(&self) -> usize {
        self.shared.count.load(Ordering::SeqCst)
    }

    /// Who fired it first.
    pub fn by(&self) -> Option<String> {
        self.shared.by.lock().expect("no code panics while it holds the lock").clone()
    }

    /// Lets a run hear of interrupts; one that was fired before is passed on at once.
    pub(crate) fn register(&self, commands: Commands) {
        let mut runs = self.shared.runs.lock().expect("no code panics while it holds the lock");
        runs.retain(|commands| !commands.is_closed());
        for _ in 0..self.count() {
            commands.send(Command::Cancel { by: self.by().unwrap_or_default() });
        }
        runs.push(commands);
    }
}
