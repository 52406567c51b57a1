//! Trials that are not worth going on with, for now or at all: what the rules of a run and its commands say is done here.

use crate::model::event::{Cause, Fact};
use crate::model::pruning::PruneVerdict;
use crate::run::attempt::Stop;
use crate::run::dispatcher::Dispatcher;
use crate::run::dispatcher::journal::Order;

impl Dispatcher {
    /// Emits a fact of a trial, and does what the rules of the run make of it.
    pub(super) fn tell(&mut self, fact: Fact) {
        let verdicts = self.pruning.add(&fact);
        self.log.emit(fact);
        for (trial, verdict) in verdicts {
            let place = self.schedule.place(&trial).filter(|place| !self.schedule.entry(*place).trial.service);
            let Some(place) = place.filter(|_| self.purpose.starts()) else { continue };
            match verdict {
                PruneVerdict::Prune(because) => self.prune(place, because),
                PruneVerdict::Pause { because, hold } => {
                    let memory = self.schedule.entry(place).trial.memory.unwrap_or_default();
                    let held = self.schedule.memory_of_paused().saturating_add(memory);
                    match hold.is_none_or(|hold| held <= hold) {
                        true => self.pause(place, &because),
                        false => self.prune(place, because),
                    }
                }
                PruneVerdict::GoOn => drop(self.schedule.unpause(place)),
            }
        }
    }

    /// Pauses a running trial.
    pub(super) fn pause(&mut self, place: usize, because: &str) {
        if self.schedule.pause(place, because) {
            self.log.emit(Fact::TrialPaused { trial: self.name(place), because: because.to_owned() });
            self.log.order(Order::Pause(place, true));
        }
    }

    /// Nothing is left to do but for paused trials, and nobody lets them go on.
    pub(super) fn prune_paused(&mut self) {
        self.end.undrain();
        for (place, because) in self.schedule.at_rest() {
            self.prune(place, because);
        }
    }

    /// Ends a trial early because going on is not worth it. One that is being stopped already, or has ended, stays so.
    pub(super) fn prune(&mut self, place: usize, because: String) {
        if self.schedule.prune(place, &because) {
            let trial = self.name(place);
            self.log.emit(Fact::Stopping { trial, because, cause: Cause::Pruned });
            self.stop(place, Stop::Pruned);
        }
    }
}
