//! What comes while the run goes on: trials that are run again, and new ones.

use std::sync::Arc;

use crate::model::name::Name;
use crate::model::outcome::Outcome;
use crate::model::retry::Repeats;
use crate::model::trial::{Condition, Dependency, Trial};
use crate::plan::Wait;
use crate::run::schedule::edges::Standing;
use crate::run::schedule::entry::Phase;
use crate::run::schedule::{Effect, Schedule};

impl Schedule {
    /// Runs an ended trial again in that form, with the services it needs and the trials that were skipped for it.
    pub(crate) fn retry(&mut self, place: usize, trial: Trial) -> Result<(), String> {
        self.refuse_if_closed("retried", &trial.name)?;
        if !matches!(self.entries[place].phase, Phase::Ended(_)) {
            return Err(format!("`{}` was not retried: it has not ended", trial.name));
        }
        self.entries[place].trial = Arc::new(trial);
        self.reopen(vec![place]);
        Ok(())
    }

    /// Adds a trial.
    pub(crate) fn submit(&mut self, trial: Arc<Trial>) -> Result<(), String> {
        self.refuse_if_closed("submitted", &trial.name)?;
        let refused = |because: String| Err(format!("`{}` was not submitted: {because}", trial.name));
        if self.places.contains_key(&trial.name) {
            return refused("the run has a trial of that name".to_owned());
        }
        let engine = trial.engine.unwrap_or_default();
        if !self.permits.knows(engine) {
            return refused(format!("no trial of the run's plan uses the engine {engine}"));
        }
        let mut waits = Vec::new();
        for dependency in &trial.depends {
            match self.wait_of(dependency) {
                Ok(wait) => waits.push(wait),
                Err(because) => return refused(because),
            }
        }
        let stopped = waits.iter().map(|wait| wait.on).filter(|on| self.revives(*on)).collect();
        let place = self.push(trial.clone(), trial.service == Some(true));
        // Counted as a user before the services come back, or they would see that nobody needs them.
        self.connect(place, waits);
        self.reopen(stopped);
        self.wait_again(place);
        Ok(())
    }

    /// A dependency of a new trial, checked as the plan checks those it knows.
    fn wait_of(&self, dependency: &Dependency) -> Result<Wait, String> {
        let name = &dependency.trial;
        let Some(on) = self.place(name) else {
            return Err(format!("it depends on `{name}`, which is not in the run"));
        };
        let entry = &self.entries[on];
        let probed = entry.trial.healthcheck.is_some();
        let condition = dependency.condition.unwrap_or(if probed { Condition::Healthy } else { Condition::Started });
        match condition {
            Condition::Completed if entry.service => {
                Err(format!("it waits for the service `{name}` to complete, but a service runs until nothing needs it"))
            }
            Condition::Healthy if !probed && !entry.healthy => {
                Err(format!("it waits until `{name}` is healthy, but `{name}` has no healthcheck"))
            }
            condition => Ok(Wait { on, condition }),
        }
    }

    fn refuse_if_closed(&self, what: &str, name: &Name) -> Result<(), String> {
        match &self.closed {
            Some(because) => Err(format!("`{name}` was not {what}: {because}")),
            None => Ok(()),
        }
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
            self.open_work += usize::from(!entry.service);
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
        if entry.service && matches!(entry.phase, Phase::Active { stopping: true, .. }) {
            entry.again = true;
        }
        matches!(entry.phase, Phase::Ended(Outcome::Stopped))
    }

    /// Whether a trial was skipped, and none of its prerequisites is a reason for it any more.
    fn is_skipped_for_nothing(&self, place: usize) -> bool {
        let entry = &self.entries[place];
        let hopeless = |on: usize, broken: bool| broken && self.entries[on].phase != Phase::Ended(Outcome::Stopped);
        matches!(entry.phase, Phase::Ended(Outcome::Skipped { .. }))
            && !entry.waits.iter().any(|wait| hopeless(wait.on, matches!(self.standing(*wait), Standing::Broken(_))))
    }
}
