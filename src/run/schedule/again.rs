//! What comes while the run goes on: trials that are run again, and new ones.

use std::sync::Arc;

use crate::model::name::Name;
use crate::model::outcome::Outcome;
use crate::model::retry::Repeats;
use crate::model::trial::settled::Settled;
use crate::plan::admission::{Prerequisite, admit, admit_again};
use crate::run::message::Refusal;
use crate::run::schedule::edges::WaitState;
use crate::run::schedule::entry::Phase;
use crate::run::schedule::{Effect, Schedule};

impl Schedule {
    /// Runs an ended trial again in that form, with the services it needs and the trials that were skipped for it.
    ///
    /// # Errors
    /// Why it is refused.
    pub(crate) fn retry(&mut self, place: usize, trial: Settled) -> Result<(), Refusal> {
        let refused = |because| Refusal::of(&trial.name, "retried", because);
        if let Some(because) = &self.closed {
            return Err(refused(because));
        }
        if !matches!(self.entries[place].phase, Phase::Ended(_)) {
            return Err(refused("it has not ended"));
        }
        admit_again(&trial, &self.scope)
            .map_err(|problems| Refusal::for_problems(&trial.name, "retried", &problems))?;
        self.entries[place].trial = Arc::new(trial);
        self.reopen(vec![place]);
        Ok(())
    }

    /// Adds a trial.
    ///
    /// # Errors
    /// Why it is refused.
    pub(crate) fn submit(&mut self, trial: Settled) -> Result<(), Refusal> {
        let refused = |because| Refusal::of(&trial.name, "submitted", because);
        if let Some(because) = &self.closed {
            return Err(refused(because));
        }
        if self.places.contains_key(&trial.name) {
            let hint = "give it another name, or run the old one again with `t.retry()`".to_owned();
            return Err(Refusal { hint: Some(hint), ..refused("the run has a trial of that name") });
        }
        let find = |name: &Name| {
            let place = self.place(name)?;
            let entry = &self.entries[place];
            Some(Prerequisite { place, trial: &entry.trial, probes: entry.healthy })
        };
        let waits = admit(&trial, &self.scope, find, self.names())
            .map_err(|problems| Refusal::for_problems(&trial.name, "submitted", &problems))?;
        let stopped = waits.iter().map(|wait| wait.on).filter(|on| self.revives(*on)).collect();
        let place = self.push(Arc::new(trial));
        // Counted as a user before the services come back, or they would see that nobody needs them.
        self.connect(place, waits);
        self.reopen(stopped);
        self.wait_again(place);
        Ok(())
    }

    /// Reopens ended trials, the stopped services they need, and the trials that were skipped for them alone. First all
    /// of them are waiting again, then each is looked at: none is skipped for one that is about to be reopened.
    pub(super) fn reopen(&mut self, places: Vec<usize>) {
        let (mut look, mut reopened) = (places, Vec::new());
        while let Some(place) = look.pop() {
            if !matches!(self.entries[place].phase, Phase::Ended(_)) {
                continue;
            }
            let entry = &mut self.entries[place];
            entry.phase = Phase::Waiting;
            (entry.repeats, entry.last, entry.healthy, entry.unhealthy) = (Repeats::default(), None, false, false);
            self.open += 1;
            self.open_work += usize::from(!entry.trial.service);
            self.effects.push_back(Effect::Reopened(place));
            reopened.push(place);
            for index in 0..self.entries[place].waits.len() {
                let on = self.entries[place].waits[index].on;
                self.entries[on].users += 1;
                if self.revives(on) {
                    look.push(on);
                }
            }
            let skipped = self.entries[place].dependants.iter().map(|(dependant, _)| *dependant);
            look.extend(skipped.filter(|dependant| self.is_skipped_for_nothing(*dependant)));
        }
        for &place in &reopened {
            self.wait_again(place);
            self.refresh(place);
        }
        // A service that was retried though nobody came back with it.
        for &place in &reopened {
            self.stop_if_unneeded(place);
        }
    }

    /// Whether the service comes back when it is needed again. One that is being stopped is noted for it.
    fn revives(&mut self, place: usize) -> bool {
        let entry = &mut self.entries[place];
        if entry.trial.service && matches!(entry.phase, Phase::Active { stopping: true, .. }) {
            entry.again = true;
        }
        matches!(entry.phase, Phase::Ended(Outcome::Stopped))
    }

    /// Whether a trial was skipped, and none of its prerequisites is a reason for it any more.
    fn is_skipped_for_nothing(&self, place: usize) -> bool {
        let entry = &self.entries[place];
        let hopeless = |on: usize, broken: bool| broken && self.entries[on].phase != Phase::Ended(Outcome::Stopped);
        matches!(entry.phase, Phase::Ended(Outcome::Skipped { .. }))
            && !entry.waits.iter().any(|wait| hopeless(wait.on, matches!(self.standing(*wait), WaitState::Broken(..))))
    }
}
