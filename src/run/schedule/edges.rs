//! Edges: what a trial waits for, and what its prerequisites' changes mean for it.

use std::cmp::Reverse;

use crate::model::outcome::Outcome;
use crate::model::trial::Condition;
use crate::plan::Wait;
use crate::run::schedule::{Phase, Schedule};

impl Schedule {
    pub(super) fn connect(&mut self, place: usize, waits: Vec<Wait>) {
        for (index, wait) in waits.iter().enumerate() {
            self.entries[wait.on].dependants.push((place, index));
            self.entries[wait.on].users += 1;
        }
        self.entries[place].waits = waits;
        self.wait_again(place);
    }

    /// Puts a trial back to waiting and counts anew what it waits for.
    pub(super) fn wait_again(&mut self, place: usize) {
        let met: Vec<bool> = self.entries[place].waits.iter().map(|wait| self.is_met(*wait)).collect();
        let entry = &mut self.entries[place];
        entry.unmet = met.iter().filter(|met| !**met).count();
        entry.met = met;
        entry.phase = Phase::Waiting;
        if let Some(because) = self.hopeless(place) {
            self.end(place, Outcome::Skipped { because });
        } else if self.entries[place].unmet == 0 {
            self.make_ready(place);
        }
    }

    pub(super) fn is_met(&self, wait: Wait) -> bool {
        match (&self.entries[wait.on].phase, wait.condition) {
            (Phase::Active { started, stopping: false, .. }, Condition::Started) => *started,
            (Phase::Active { healthy, stopping: false, .. }, Condition::Healthy) => *healthy,
            (Phase::Ended(outcome), Condition::Started | Condition::Completed) => *outcome == Outcome::Succeeded,
            _ => false,
        }
    }

    /// Why a waiting trial can never start, if one of its prerequisites has ended without meeting its condition.
    pub(super) fn hopeless(&self, place: usize) -> Option<String> {
        self.entries[place].waits.iter().find_map(|wait| self.breaks(*wait))
    }

    pub(super) fn breaks(&self, wait: Wait) -> Option<String> {
        let on = &self.entries[wait.on];
        match &on.phase {
            Phase::Ended(Outcome::Succeeded) if wait.condition == Condition::Healthy => {
                Some(format!("`{}` ended before it was healthy", on.trial.name))
            }
            Phase::Ended(Outcome::Succeeded) => None,
            Phase::Ended(Outcome::Skipped { .. }) => Some(format!("`{}` was skipped", on.trial.name)),
            Phase::Ended(Outcome::Killed) => Some(format!("`{}` was killed", on.trial.name)),
            Phase::Ended(outcome) => Some(format!("`{}` {outcome}", on.trial.name)),
            _ => None,
        }
    }

    pub(super) fn make_ready(&mut self, place: usize) {
        self.entries[place].phase = Phase::Ready;
        self.ready.insert((Reverse(self.entries[place].trial.priority), place));
    }

    pub(super) fn tell_dependants(&mut self, place: usize) {
        for index in 0..self.entries[place].dependants.len() {
            let (dependant, wait) = self.entries[place].dependants[index];
            let entry = &self.entries[dependant];
            if entry.phase == Phase::Waiting && !entry.met[wait] && self.is_met(entry.waits[wait]) {
                let entry = &mut self.entries[dependant];
                entry.met[wait] = true;
                entry.unmet -= 1;
                if entry.unmet == 0 {
                    self.make_ready(dependant);
                }
            }
        }
    }
}
