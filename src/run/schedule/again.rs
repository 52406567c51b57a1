//! What comes while the run goes on: trials that are run again, and new ones.

use std::sync::Arc;

use crate::model::name::Name;
use crate::model::outcome::Outcome;
use crate::model::trial::{Condition, Trial};
use crate::plan::Wait;
use crate::run::schedule::{Phase, Schedule};

impl Schedule {
    /// Runs an ended trial again in that form, with the services it needs and the trials that were skipped for it.
    pub(crate) fn retry(&mut self, place: usize, trial: Trial) -> Result<(), String> {
        self.refuse_if_closed("retried", &trial.name)?;
        if !matches!(self.entries[place].phase, Phase::Ended(_)) {
            return Err(format!("`{}` was not retried: it has not ended", trial.name));
        }
        self.entries[place].trial = Arc::new(trial);
        self.reopen(place);
        Ok(())
    }

    /// Adds a trial.
    pub(crate) fn submit(&mut self, trial: Arc<Trial>) -> Result<(), String> {
        self.refuse_if_closed("submitted", &trial.name)?;
        if self.places.contains_key(&trial.name) {
            return Err(format!("`{}` was not submitted: the run has a trial of that name", trial.name));
        }
        let mut waits = Vec::new();
        for dependency in &trial.depends {
            let Some(on) = self.place(&dependency.trial) else {
                return Err(format!(
                    "`{}` was not submitted: it depends on `{}`, which is not in the run",
                    trial.name, dependency.trial
                ));
            };
            let probed = self.entries[on].trial.healthcheck.is_some();
            let condition =
                dependency.condition.unwrap_or(if probed { Condition::Healthy } else { Condition::Started });
            waits.push(Wait { on, condition });
        }
        let service = trial.service == Some(true);
        let place = self.push(trial, service);
        for wait in &waits {
            self.revive_service(wait.on);
        }
        self.connect(place, waits);
        Ok(())
    }

    fn refuse_if_closed(&self, what: &str, name: &Name) -> Result<(), String> {
        match &self.closed {
            Some(because) => Err(format!("`{name}` was not {what}: {because}")),
            None => Ok(()),
        }
    }

    fn reopen(&mut self, place: usize) {
        if !matches!(self.entries[place].phase, Phase::Ended(_)) {
            return;
        }
        self.open += 1;
        self.open_work += usize::from(!self.entries[place].service);
        self.entries[place].failures = 0;
        // Until it waits again it is none of the phases that its neighbours look at.
        self.entries[place].phase = Phase::Waiting;
        for index in 0..self.entries[place].waits.len() {
            let on = self.entries[place].waits[index].on;
            self.entries[on].users += 1;
            self.revive_service(on);
        }
        self.wait_again(place);
        for index in 0..self.entries[place].dependants.len() {
            let (dependant, _) = self.entries[place].dependants[index];
            if matches!(self.entries[dependant].phase, Phase::Ended(Outcome::Skipped { .. })) {
                self.reopen(dependant);
            }
        }
    }

    /// A service that was stopped, or is being stopped, because nothing needed it is needed again.
    fn revive_service(&mut self, place: usize) {
        let entry = &mut self.entries[place];
        match &entry.phase {
            Phase::Ended(Outcome::Stopped) => self.reopen(place),
            Phase::Active { stopping: true, .. } if entry.service => entry.again = true,
            _ => {}
        }
    }
}
