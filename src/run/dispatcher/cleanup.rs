//! Cleanup: what a run leaves on its engines is removed where nobody needs it any more.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::time::Duration;

use tokio::time::{Instant, sleep};

use crate::engine::{EngineError, Selector, Standing};
use crate::model::event::Fact;
use crate::model::label;
use crate::model::name::{EngineName, Name};
use crate::run::context::RunContext;

/// How long removals may take that were begun by a process that died.
const REMOVALS_TAKE: Duration = Duration::from_secs(30);

/// Pause between two looks at what goes away by itself.
const LOOK: Duration = Duration::from_millis(100);

/// What is left of a run on its engines.
#[derive(Debug)]
pub(super) struct Cleanup {
    /// Ended attempts that are to be removed once the store can be written.
    leftovers: HashSet<(Name, u32)>,
    /// Ended attempts whose containers have logs or outputs that could not be written, and whether they go afterwards.
    unfetched: BTreeMap<(usize, u32), bool>,
    /// Whether an earlier life of the run may still be removing something.
    is_again: bool,
}

impl Cleanup {
    pub(super) fn new(is_again: bool) -> Self {
        Self { leftovers: HashSet::new(), unfetched: BTreeMap::new(), is_again }
    }

    /// An ended attempt is to be removed at the end.
    pub(super) fn leave(&mut self, trial: Name, attempt: u32) {
        self.leftovers.insert((trial, attempt));
    }

    /// The logs or outputs of an ended attempt are to be fetched at the end, and whether it is removed then.
    pub(super) fn fetch_later(&mut self, place: usize, attempt: u32, removes: bool) {
        self.unfetched.insert((place, attempt), removes);
    }

    /// The attempts whose logs or outputs are to be fetched.
    pub(super) fn take_unfetched(&mut self) -> BTreeMap<(usize, u32), bool> {
        std::mem::take(&mut self.unfetched)
    }

    /// Removes the ended attempts that waited for the store, of which so many events are missing. The facts to be said.
    pub(super) async fn sweep(
        &mut self,
        context: &RunContext,
        engines: &BTreeSet<EngineName>,
        unkept: usize,
    ) -> Vec<Fact> {
        if self.leftovers.is_empty() {
            return Vec::new();
        }
        if unkept > 0 {
            let count = self.leftovers.len();
            let message = format!("{count} ended containers stay because the store cannot be written");
            return vec![Fact::Warned { message }];
        }
        let leftovers = std::mem::take(&mut self.leftovers);
        let mut facts = Vec::new();
        for name in engines {
            if let Err(error) = sweep_on(context, *name, &leftovers).await {
                facts.push(Fact::Warned { message: format!("ended containers were left behind: {}", error.chain()) });
            }
        }
        facts
    }

    /// Removes the networks that the run made. The facts to be said.
    pub(super) async fn clean(&self, context: &RunContext, engines: &BTreeSet<EngineName>) -> Vec<Fact> {
        let mut facts = Vec::new();
        for name in engines {
            if let Err(error) = self.clean_on(context, *name).await {
                facts.push(Fact::Warned { message: format!("networks were left behind: {}", error.chain()) });
            }
        }
        facts
    }

    /// Removes the networks of the run from an engine. A removal that an earlier life of it began may still hold one.
    async fn clean_on(&self, context: &RunContext, name: EngineName) -> Result<(), EngineError> {
        let engine = context.engine(name).await?;
        let until = Instant::now() + REMOVALS_TAKE;
        while !engine.clean(&selector(context)).await?.kept.is_empty() && self.is_again && Instant::now() < until {
            sleep(LOOK).await;
        }
        Ok(())
    }
}

/// Removes those of the ended attempts on an engine.
async fn sweep_on(context: &RunContext, name: EngineName, leftovers: &HashSet<(Name, u32)>) -> Result<(), EngineError> {
    let engine = context.engine(name).await?;
    for found in engine.find(&selector(context)).await? {
        let attempt = found.attempt().unwrap_or_default();
        if found.standing != Standing::Running && leftovers.contains(&(found.trial.clone(), attempt)) {
            engine.remove(&found.handle).await?;
        }
    }
    Ok(())
}

/// Everything of the run.
pub(super) fn selector(context: &RunContext) -> Selector {
    Selector { labels: [(label::RUN.to_owned(), context.run.to_string())].into() }
}
