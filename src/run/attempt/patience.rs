//! Patience: an engine that does not answer is waited for. Whether it is away or only this attempt is out of sight is found
//! out by the dispatcher, which tells it once for all attempts.

use std::time::Duration;

use tokio::time::timeout;

use crate::engine::{Engine, EngineError, Retrying, Selector, Standing};
use crate::model::handle::Handle;
use crate::model::label;
use crate::run::attempt::flight::{Attempt, LAST_TRY, Stop};
use crate::run::message::Message;

/// How long an engine that does not answer is waited for: a daemon that is upgraded comes back within it.
pub(super) const PATIENCE: Duration = Duration::from_secs(600);

/// How long, once the attempt was asked to end at once: whoever asks that twice does not want to wait for a dead daemon.
const LITTLE_PATIENCE: Duration = Duration::from_secs(10);

/// Waits, again and again, for an engine that does not answer.
pub(super) struct Patience<'a> {
    attempt: &'a Attempt,
    /// What is not possible meanwhile, as a sentence about the trial: `is out of sight`.
    without: &'static str,
    /// Since when, on the run's clock.
    since: Option<Duration>,
    pauses: Retrying,
}

impl<'a> Patience<'a> {
    pub(super) fn new(attempt: &'a Attempt, without: &'static str) -> Self {
        Self { attempt, without, since: None, pauses: Retrying::up_to(Duration::from_secs(5)) }
    }

    /// Waits a little before the next try; false when that was done for long enough.
    pub(super) async fn lasts(&mut self, error: &EngineError) -> bool {
        let now = self.attempt.clock.elapsed();
        let since = *self.since.get_or_insert(now);
        self.attempt.out_of_sight(error, (self.pauses.tries() == 0).then_some(self.without));
        let at_once = *self.attempt.stop.borrow() == Some(Stop::Killed { at_once: true });
        if now.saturating_sub(since) >= if at_once { LITTLE_PATIENCE } else { PATIENCE } {
            return false;
        }
        self.pauses.pause().await;
        true
    }
}

impl Attempt {
    /// Lets the dispatcher know that the engine failed; with what to tell of the trial, should the engine be there.
    pub(super) fn out_of_sight(&self, error: &EngineError, without: Option<&str>) {
        let engine = self.launch.trial.engine;
        let because = error.chain();
        let warning = without.map(|without| format!("`{}` {without}: {because}", self.launch.trial.name));
        let _gone = self.messages.send(Message::OutOfSight { engine, because, warning });
    }

    /// Removes what a start may have left whose result nobody knows.
    pub(super) async fn sweep(&self, engine: &dyn Engine) {
        let keys = [label::RUN, label::TRIAL, label::ATTEMPT];
        let labels = keys.iter().filter_map(|key| Some(((*key).to_owned(), self.launch.labels.get(*key)?.clone())));
        let selector = Selector { labels: labels.collect() };
        let sweeping = async {
            for found in engine.find(&selector).await? {
                if found.standing == Standing::Running {
                    engine.stop(&found.handle, Duration::ZERO).await?;
                }
                engine.remove(&found.handle).await?;
            }
            Ok::<_, EngineError>(())
        };
        let problem = match timeout(LAST_TRY, sweeping).await {
            Ok(Ok(())) => return,
            Ok(Err(error)) => error.chain(),
            Err(_) => no_answer(),
        };
        let name = &self.launch.trial.name;
        self.warn(format!("`{name}` may have been started, and `combu kill` ends it: {problem}"));
    }

    /// Removes what is left of the ended attempt, also while the engine is away.
    pub(super) async fn remove(&self, engine: &dyn Engine, handle: &Handle) -> bool {
        let mut patience = Patience::new(self, "could not be removed and is removed again");
        while let Err(error) = engine.remove(handle).await {
            if !error.may_pass() || !patience.lasts(&error).await {
                self.warn(format!("`{}` was not removed: {}", self.launch.trial.name, error.chain()));
                return false;
            }
        }
        true
    }
}

pub(super) fn no_answer() -> String {
    format!("no answer in {} s", LAST_TRY.as_secs())
}
