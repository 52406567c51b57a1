//! Killing without a run: what carries our labels on an engine is stopped and removed, whoever started it.

use std::time::Duration;

use futures_util::StreamExt;

use crate::engine::{Engine, EngineError, Found, Selector, Standing};

/// How many containers `kill` stops at once: the daemon is no faster with more.
const KILLS_AT_ONCE: usize = 16;

/// What `kill` did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Killed {
    /// Trials whose containers or processes were removed.
    pub trials: Vec<String>,
    /// Other things that were removed, as lines: `network irl`.
    pub others: Vec<String>,
    /// Other things that stay because others still use them.
    pub kept: Vec<String>,
    /// What could not be removed, as sentences.
    pub problems: Vec<String>,
}

impl Killed {
    /// Takes what was done elsewhere into account.
    pub fn add(&mut self, other: Self) {
        self.trials.extend(other.trials);
        self.others.extend(other.others);
        self.kept.extend(other.kept);
        self.problems.extend(other.problems);
    }
}

/// Stops and removes all that carries the labels, and what was made for it beside containers.
pub(super) async fn kill(engine: &dyn Engine, selector: &Selector, grace: Duration) -> Result<Killed, EngineError> {
    let mut killed = remove(engine, engine.find(selector).await?, grace).await;
    let cleaned = engine.clean(selector).await?;
    (killed.others, killed.kept) = (cleaned.removed, cleaned.kept);
    Ok(killed)
}

/// Stops and removes those attempts.
pub async fn remove(engine: &dyn Engine, found: Vec<Found>, grace: Duration) -> Killed {
    let mut killed = Killed::default();
    let ends = futures_util::stream::iter(found).map(|found| async move {
        if found.standing == Standing::Running {
            engine.stop(&found.handle, grace).await?;
        }
        engine.remove(&found.handle).await?;
        Ok::<_, EngineError>(found.trial.to_string())
    });
    let mut ends = ends.buffer_unordered(KILLS_AT_ONCE);
    while let Some(end) = ends.next().await {
        match end {
            Ok(trial) => killed.trials.push(trial),
            Err(error) => killed.problems.push(error.chain()),
        }
    }
    killed.trials.sort_unstable();
    killed
}
