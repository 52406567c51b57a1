//! Ends: of trials, with what follows from them, and of the run before its time.

use crate::model::event::{Cause, Early, Fact};
use crate::model::options::{Halt, When};
use crate::model::outcome::Outcome;
use crate::run::attempt::Stop;
use crate::run::dispatcher::keeping::Order;
use crate::run::dispatcher::tally::Tally;
use crate::run::dispatcher::{Dispatcher, in_seconds};
use crate::run::schedule::Effect;

impl Dispatcher {
    /// Carries out what follows from what happened.
    pub(super) fn settle(&mut self) {
        while let Some(effect) = self.schedule.next_effect() {
            match effect {
                Effect::StopService(place) => {
                    let trial = self.schedule.entry(place).trial.name.clone();
                    self.emit(Fact::Stopping {
                        trial,
                        because: "nothing needs it any more".to_owned(),
                        cause: Cause::Unneeded,
                    });
                    self.stop(place, Stop::Unneeded);
                }
                Effect::Reopened(place) => {
                    self.tally.take_back(place);
                    let trial = self.schedule.entry(place).trial.name.clone();
                    self.emit(Fact::TrialReopened { trial });
                }
                Effect::Ended(place, outcome) => {
                    let entry = self.schedule.entry(place);
                    let (trial, attempts, elapsed) = (entry.trial.name.clone(), entry.attempts, entry.elapsed);
                    if !entry.trial.service && (outcome.is_success() || outcome.is_failure()) {
                        self.tally.add(place, outcome.is_success());
                    }
                    if !entry.trial.service && outcome == Outcome::Succeeded {
                        self.median.add(elapsed);
                        self.median_now.send_replace(self.median.get());
                    }
                    self.emit(Fact::TrialEnded { trial, attempts, outcome, elapsed });
                    self.send_outputs(place);
                    self.check_halt();
                }
            }
        }
    }

    fn check_halt(&mut self) {
        let Some(halt) = self.scope.options.halt else { return };
        if self.early.is_some() || !halt.reached(self.tally.succeeded, self.tally.failed, self.schedule.work()) {
            return;
        }
        self.halt(reached(&halt, &self.tally), halt.when);
    }

    /// The run has taken all the time it may.
    pub(super) fn time_is_up(&mut self) {
        let budget = in_seconds(self.scope.options.time_budget.unwrap_or_default());
        self.halt(format!("the time budget of {budget} is used up"), When::Now);
    }

    fn halt(&mut self, because: String, when: When) {
        self.early = Some(Early::Halted(because.clone()));
        self.emit(Fact::Halted { because: because.clone() });
        match when {
            When::Now => self.stop_everything(&because, false),
            When::Soon => self.schedule.close(&because),
        }
    }

    /// A run that is paused goes on for it: nothing would be left that stands still.
    pub(super) fn stop_everything(&mut self, because: &str, at_once: bool) {
        self.clock.set(false);
        self.schedule.close(because);
        for place in self.schedule.active() {
            self.stop(place, Stop::Killed { at_once });
        }
    }

    /// Stops an attempt. What was asked before is never weakened.
    pub(super) fn stop(&mut self, place: usize, stop: Stop) {
        if self.stops.contains_key(&place) {
            self.schedule.stopping(place, stop != Stop::Unneeded);
            self.order(Order::Stop(place, stop));
        }
    }

    pub(super) fn ask(&self, place: usize, stop: Stop) {
        if let Some(sender) = self.stops.get(&place) {
            sender.send_if_modified(|asked| {
                let stronger = asked.is_none_or(|asked| stop > asked);
                if stronger {
                    *asked = Some(stop);
                }
                stronger
            });
        }
    }

    /// Nobody listens any more: stops everything, and ends without asking.
    pub(super) fn abandon(&mut self) {
        if !std::mem::replace(&mut self.abandoned, true) {
            self.early.get_or_insert(Early::Cancelled("combu".to_owned()));
            self.stop_everything("nobody follows the run any more", false);
            self.sending.give_up();
        }
    }
}

fn reached(halt: &Halt, tally: &Tally) -> String {
    let (succeeded, failed) = (tally.succeeded, tally.failed);
    format!("the halt policy `{halt}` was reached: {succeeded} succeeded, {failed} failed")
}
