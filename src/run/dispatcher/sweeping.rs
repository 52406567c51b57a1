//! Sweeping: what a run leaves on its engines is removed where nobody needs it any more.

use std::collections::{BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::engine::{EngineError, Selector, Standing};
use crate::model::event::Fact;
use crate::model::label;
use crate::model::name::{EngineName, Name};
use crate::run::dispatcher::Dispatcher;
use crate::run::executor::Executor;

/// How long removals may take that were begun by a process that died.
const REMOVALS_TAKE: Duration = Duration::from_secs(30);

/// Pause between two looks at what goes away by itself.
const LOOK: Duration = Duration::from_millis(100);

impl Dispatcher {
    /// The last words of the run's attempts, and what is left of them.
    pub(super) async fn tidy_up(&mut self) {
        loop {
            tokio::select! {
                biased;
                Some(message) = self.messages.1.recv() => {
                    self.take_message(message);
                    self.carry_out();
                }
                joined = self.attempts.join_next() => if joined.is_none() { break },
            }
        }
        self.keep_at_once();
        self.sweep().await;
        let all_succeeded =
            self.early.is_none() && (0..self.schedule.len()).all(|place| self.schedule.succeeded(place));
        if all_succeeded && self.executor.cleans() {
            self.clean().await;
        }
        self.tell_unsent();
        let unkept = self.keeping.unkept();
        if unkept > 0 {
            let message = format!("the store could not be written: it lacks {unkept} events of this run");
            self.emit(Fact::Warned { message });
        }
    }

    /// Removes the ended attempts that waited for the store.
    async fn sweep(&mut self) {
        if self.unswept.is_empty() {
            return;
        }
        if self.keeping.unkept() > 0 {
            let message = format!("{} ended containers stay because the store cannot be written", self.unswept.len());
            return self.emit(Fact::Warned { message });
        }
        let unswept = std::mem::take(&mut self.unswept);
        for name in self.engines() {
            let swept = sweep_on(self.executor.clone(), name, self.selector(), &unswept).await;
            if let Err(error) = swept {
                let message = format!("ended containers were left behind: {}", error.chain());
                self.emit(Fact::Warned { message });
            }
        }
    }

    /// Removes the networks that this run made; after a failure they stay with the containers, for `kill`.
    async fn clean(&mut self) {
        let selector = self.selector();
        for name in self.engines() {
            if let Err(error) = clean_on(self.executor.clone(), name, &selector, self.is_again).await {
                self.emit(Fact::Warned { message: format!("networks were left behind: {}", error.chain()) });
            }
        }
    }

    /// Everything of this run.
    fn selector(&self) -> Selector {
        Selector { labels: [(label::RUN.to_owned(), self.executor.run.to_string())].into() }
    }

    fn engines(&self) -> BTreeSet<EngineName> {
        (0..self.schedule.len()).map(|place| self.schedule.entry(place).trial.engine).collect()
    }
}

/// Removes the networks of a run from an engine. A removal that an earlier life of the run began may still hold one.
async fn clean_on(
    executor: Arc<Executor>,
    name: EngineName,
    selector: &Selector,
    is_again: bool,
) -> Result<(), EngineError> {
    let engine = executor.engine(name).await?;
    let until = Instant::now() + REMOVALS_TAKE;
    while !engine.clean(selector).await?.kept.is_empty() && is_again && Instant::now() < until {
        sleep(LOOK).await;
    }
    Ok(())
}

/// Removes those of the ended attempts on an engine.
async fn sweep_on(
    executor: Arc<Executor>,
    name: EngineName,
    selector: Selector,
    unswept: &HashSet<(Name, u32)>,
) -> Result<(), EngineError> {
    let engine = executor.engine(name).await?;
    for found in engine.find(&selector).await? {
        let attempt = found.attempt().unwrap_or_default();
        if found.standing != Standing::Running && unswept.contains(&(found.trial.clone(), attempt)) {
            engine.remove(&found.handle).await?;
        }
    }
    Ok(())
}
