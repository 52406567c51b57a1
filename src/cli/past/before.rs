//! What earlier runs say of trials: what each was, and how it ended. For `run --resume`, `rerun` and `diff`.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use crate::cli::error::CliError;
use crate::model::event::Fact;
use crate::model::name::{Name, RunId};
use crate::model::outcome::Outcome;
use crate::model::trial::Trial;
use crate::model::trial::settled::Settled;
use crate::plan::Plan;
use crate::plan::identity::{Triggers, identity};
use crate::store::PastRun;

/// What a run says of its trials.
pub(crate) struct Before {
    pub(crate) run: RunId,
    pub(crate) seed: u64,
    /// In the order of the plan, as each was asked for.
    pub(crate) trials: Vec<Arc<Settled>>,
    /// How each trial ended.
    ends: HashMap<Name, Outcome>,
    /// Trials that were not run in it, and the run in which each succeeded.
    reused: HashMap<Name, RunId>,
    /// What the names of images stood for.
    pub(crate) digests: BTreeMap<String, String>,
}

impl Before {
    /// # Errors
    /// When its events cannot be read. A run that never began has no trials.
    pub(crate) fn of(run: &PastRun) -> Result<Self, CliError> {
        let mut before = Self {
            run: run.record.run.clone(),
            seed: 0,
            trials: Vec::new(),
            ends: HashMap::new(),
            reused: HashMap::new(),
            digests: BTreeMap::new(),
        };
        for event in run.events()? {
            match event.fact {
                Fact::RunStarted { trials, seed, .. } => {
                    (before.trials, before.seed) = (trials, seed);
                }
                Fact::TrialSubmitted { trial } => before.trials.push(trial),
                Fact::ImageResolved { image, digest, .. } => drop(before.digests.insert(image, digest)),
                Fact::TrialReopened { trial } => drop(before.ends.remove(&trial)),
                Fact::TrialReused { trial, from } => drop(before.reused.insert(trial, from)),
                Fact::TrialEnded { trial, outcome, .. } => drop(before.ends.insert(trial, outcome)),
                _ => {}
            }
        }
        Ok(before)
    }

    /// How that trial ended, and the run in which it did.
    pub(crate) fn end(&self, name: &Name) -> Option<(&Outcome, &RunId)> {
        let from = self.reused.get(name).unwrap_or(&self.run);
        self.ends.get(name).map(|outcome| (outcome, from))
    }

    /// How that trial ended, if it ran in this run.
    fn own_end(&self, name: &Name) -> Option<&Outcome> {
        self.ends.get(name).filter(|_| !self.reused.contains_key(name))
    }

    pub(crate) fn is_service(&self, name: &Name) -> bool {
        self.trials.iter().any(|trial| trial.name == *name && trial.service)
    }

    pub(crate) fn identity(&self, trial: &Settled, triggers: &Triggers) -> String {
        identity(trial, digest(trial, &self.digests), self.seed, triggers)
    }
}

fn digest<'a>(trial: &Trial, digests: &'a BTreeMap<String, String>) -> Option<&'a str> {
    digests.get(trial.image.as_deref()?).map(String::as_str)
}

/// The trials of a plan that succeeded unchanged before, by the last of those runs in which each ran: `runs`, the last
/// first. One that waits for the end of a trial that runs again runs again too. `digests` says what images are now.
pub(crate) fn unchanged(
    plan: &Plan,
    digests: &BTreeMap<String, String>,
    seed: u64,
    runs: &[Before],
    triggers: &Triggers,
) -> BTreeMap<Name, RunId> {
    let mut reused = BTreeMap::new();
    let names = runs.iter().map(|run| {
        let trials = run.trials.iter().map(|trial| (&trial.name, trial));
        (run, trials.collect::<HashMap<_, _>>())
    });
    let runs: Vec<_> = names.collect();
    for trial in plan.trials.iter().filter(|trial| !trial.service) {
        let last =
            runs.iter().find_map(|(run, trials)| Some((run, run.own_end(&trial.name)?, trials.get(&trial.name)?)));
        let Some((run, Outcome::Succeeded, then)) = last else { continue };
        if run.identity(then, triggers) == identity(trial, digest(trial, digests), seed, triggers) {
            reused.insert(trial.name.clone(), run.run.clone());
        }
    }
    // In the order of depth, so that each prerequisite is decided before those that wait for it.
    for place in plan.groups.iter().flatten() {
        let runs_again = plan.waits[*place].iter().any(|wait| {
            let on = &plan.trials[wait.on];
            !on.service && !reused.contains_key(&on.name)
        });
        if runs_again {
            reused.remove(&plan.trials[*place].name);
        }
    }
    reused
}
