//! How far a run is, kept up to date event by event so that no report counts 10,000 trials again for each line.

use std::collections::{HashMap, HashSet};

use crate::model::event::{Event, Fact};
use crate::model::name::Name;

/// How far a run is. Agrees with [`crate::model::summary::Summary::counts`], which counts anew.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// All trials, services too.
    pub(crate) total: usize,
    /// Those that ended badly.
    pub(crate) failed: usize,
    /// Those that ended, and whether badly.
    ended: HashMap<Name, bool>,
    services: HashSet<Name>,
}

impl Tally {
    pub(crate) fn add(&mut self, event: &Event) {
        match &event.fact {
            Fact::RunStarted { trials, services, .. } => {
                self.total = trials.len();
                self.services = services.iter().cloned().collect();
            }
            Fact::TrialSubmitted { trial } => {
                self.total += 1;
                if trial.service {
                    self.services.insert(trial.name.clone());
                }
            }
            // An ended trial starts again when a hook asked for it.
            Fact::AttemptStarting { trial, .. } => {
                let before = self.ended.remove(trial);
                self.failed -= usize::from(before == Some(true));
            }
            Fact::TrialEnded { trial, outcome, .. } => {
                let before = self.ended.insert(trial.clone(), outcome.is_failure());
                self.failed -= usize::from(before == Some(true));
                self.failed += usize::from(outcome.is_failure());
            }
            _ => {}
        }
    }

    pub(crate) fn done(&self) -> usize {
        self.ended.len()
    }

    pub(crate) fn is_service(&self, trial: &Name) -> bool {
        self.services.contains(trial)
    }

    /// Services that have not ended.
    pub(crate) fn services_left(&self) -> usize {
        self.services.iter().filter(|service| !self.ended.contains_key(*service)).count()
    }
}

/// Whether `Preparing` will be heard of again for the same object: `pulling, 3 of 7 layers` goes on, `created` does not.
pub(crate) fn goes_on(state: &str) -> bool {
    let word = state.split(|c: char| !c.is_alphanumeric()).next().unwrap_or_default();
    word.ends_with("ing")
}
