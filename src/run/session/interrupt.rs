//! Interrupts: how a signal reaches every run of this process, and a script that is busy with itself.

use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};

use futures_util::future::join_all;

use crate::model::command::Command;
use crate::run::clock::Stillness;
use crate::run::session::live::{Commands, Live};

/// Passes interrupts on to the runs of this process. Clones share one state.
#[derive(Debug, Clone, Default)]
pub struct Interrupt {
    shared: Arc<Hearers>,
}

#[derive(Debug, Default)]
struct Hearers {
    /// Read on its own by scripts, in their loops; changed under the lock only.
    count: AtomicUsize,
    heard: Mutex<Heard>,
}

#[derive(Debug, Default)]
struct Heard {
    by: Option<String>,
    /// Who paused the runs, if they are.
    paused_by: Option<String>,
    runs: Vec<(Commands, Stillness)>,
}

impl Interrupt {
    /// Interrupts: the first asks every run to stop, the second to kill. `by` is a noun: `SIGINT`.
    pub fn fire(&self, by: &str) {
        let mut heard = self.heard();
        self.shared.count.fetch_add(1, Ordering::SeqCst);
        heard.by.get_or_insert_with(|| by.to_owned());
        // A run that is stopped goes on for it.
        heard.paused_by = None;
        heard.send(&Command::Cancel { by: by.to_owned() });
    }

    /// Pauses every run, and those that start from now on; `by` is a noun. The future ends when all of them stand still.
    pub fn pause(&self, by: &str) -> impl Future<Output = ()> + Send + use<> {
        let mut heard = self.heard();
        heard.runs.retain(|(commands, _)| !commands.is_closed());
        heard.paused_by = Some(by.to_owned());
        heard.send(&Command::Pause { by: by.to_owned() });
        let still = join_all(heard.runs.iter().map(|(_, stillness)| stillness.clone().reached()));
        async move { drop(still.await) }
    }

    /// Lets the runs go on, if they are paused.
    pub fn unpause(&self, by: &str) {
        let mut heard = self.heard();
        if heard.paused_by.take().is_some() {
            heard.send(&Command::Unpause { by: by.to_owned() });
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

    /// Lets a run hear of interrupts; those that were fired before are passed on at once, and so is a pause.
    pub(crate) fn register(&self, live: &Live) {
        let (commands, stillness) = (live.commands().clone(), live.stillness().clone());
        let mut heard = self.heard();
        heard.runs.retain(|(commands, _)| !commands.is_closed());
        for _ in 0..self.count() {
            commands.send(Command::Cancel { by: heard.by.clone().unwrap_or_default() });
        }
        if let Some(by) = &heard.paused_by {
            commands.send(Command::Pause { by: by.clone() });
        }
        heard.runs.push((commands, stillness));
    }

    fn heard(&self) -> MutexGuard<'_, Heard> {
        self.shared.heard.lock().expect("no code panics while it holds the lock")
    }
}

impl Heard {
    fn send(&self, command: &Command) {
        for (commands, _) in &self.runs {
            commands.send(command.clone());
        }
    }
}
