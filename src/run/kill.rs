//! Killing without a run: what carries our labels on an engine is stopped and removed, whoever started it.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt;

use crate::engine::{Engine, EngineError, Found, Selector, Standing};
use crate::model::name::EngineName;
use crate::model::trial::settled::Settled;
use crate::run::connections::Reached;
use crate::run::session::Session;

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

impl Session {
    /// The engines to look on, and those that are out of reach: all of them, so that none is forgotten, or only one.
    ///
    /// # Errors
    /// When the only one cannot be reached, or one fails in another way.
    pub fn reached(&self, only: Option<EngineName>) -> Result<Reached, EngineError> {
        let mut reached = Reached::default();
        for name in EngineName::ALL.into_iter().filter(|name| only.is_none_or(|only| only == *name)) {
            match self.engine(name) {
                Ok(engine) => reached.engines.push(engine),
                Err(error) if only.is_none() && error.out_of_reach().is_some() => reached.out_of_reach.push(error),
                Err(error) => return Err(error),
            }
        }
        Ok(reached)
    }

    /// Attempts of ours on those engines that carry the labels.
    ///
    /// # Errors
    /// When one of the engines fails.
    pub fn find(&self, selector: &Selector, engines: &[Arc<dyn Engine>]) -> Result<Vec<Found>, EngineError> {
        let mut found = Vec::new();
        for engine in engines {
            found.extend(self.wait_for(engine.find(selector))?);
        }
        Ok(found)
    }

    /// Stops and removes everything on those engines that carries the labels; each attempt has its own time to end, unless
    /// `grace` is said.
    ///
    /// # Errors
    /// As for [`Session::find`]. What could not be removed is listed in the value.
    pub fn kill(
        &self,
        selector: &Selector,
        engines: &[Arc<dyn Engine>],
        grace: Option<Duration>,
    ) -> Result<Killed, EngineError> {
        self.kill_but(selector, engines, grace, |_| false)
    }

    /// Does what [`Session::kill`] does, but for attempts that are spared: they are stopped, and stay.
    ///
    /// # Errors
    /// As for [`Session::kill`].
    pub fn kill_but(
        &self,
        selector: &Selector,
        engines: &[Arc<dyn Engine>],
        grace: Option<Duration>,
        spares: impl Fn(&Found) -> bool,
    ) -> Result<Killed, EngineError> {
        let mut killed = self.remove_but(self.find(selector, engines)?, grace, spares)?;
        for engine in engines {
            let cleaned = self.wait_for(engine.clean(selector))?;
            killed.others.extend(cleaned.removed);
            killed.kept.extend(cleaned.kept);
        }
        Ok(killed)
    }

    /// Stops those attempts, each with its own time to end, unless `grace` is said, and removes those that are not spared.
    ///
    /// # Errors
    /// When an engine of theirs cannot be reached. What could not be removed is listed in the value.
    pub fn remove_but(
        &self,
        found: Vec<Found>,
        grace: Option<Duration>,
        spares: impl Fn(&Found) -> bool,
    ) -> Result<Killed, EngineError> {
        let mut of: BTreeMap<EngineName, Vec<(Found, bool)>> = BTreeMap::new();
        for found in found {
            let is_spared = spares(&found);
            of.entry(found.handle.engine).or_default().push((found, is_spared));
        }
        let mut killed = Killed::default();
        for (name, found) in of {
            let engine = self.engine(name)?;
            self.wait_for(remove(engine.as_ref(), found, grace, &mut killed));
        }
        killed.trials.sort_unstable();
        Ok(killed)
    }
}

/// Stops those attempts, and removes those that are not spared.
async fn remove(engine: &dyn Engine, found: Vec<(Found, bool)>, grace: Option<Duration>, killed: &mut Killed) {
    let ends = futures_util::stream::iter(found).map(|(found, is_spared)| async move {
        if found.standing == Standing::Running {
            let own = found.stop_grace().unwrap_or(Settled::STOP_GRACE);
            engine.stop(&found.handle, grace.unwrap_or(own)).await?;
        }
        if is_spared {
            return Ok(None);
        }
        engine.remove(&found.handle).await?;
        Ok::<_, EngineError>(Some(found.trial.to_string()))
    });
    let mut ends = ends.buffer_unordered(KILLS_AT_ONCE);
    while let Some(end) = ends.next().await {
        match end {
            Ok(trial) => killed.trials.extend(trial),
            Err(error) => killed.problems.push(error.chain()),
        }
    }
}
