//! Restoring: the schedule of a run as its last life left it.

use std::collections::BTreeMap;

use crate::model::event::Cause;
use crate::model::history::{History, PastAttempt, TrialPause};
use crate::model::name::{Name, RunId};
use crate::model::outcome::Outcome;
use crate::model::summary::State;
use crate::plan::Plan;
use crate::plan::admission::Scope;
use crate::run::permits::Permits;
use crate::run::schedule::Schedule;
use crate::run::schedule::entry::Phase;

impl Schedule {
    /// The schedule of a plan that was made again from a run's past. What ended only because the run was ended early waits
    /// again if it `reopens`, and what is being stopped for that will.
    pub(crate) fn restored(plan: &Plan, permits: Permits, scope: Scope, past: &History, reopens: bool) -> Self {
        let mut schedule = Self::unsettled(plan, permits, scope);
        for place in 0..schedule.len() {
            schedule.recall(place, past);
        }
        let is_waiting = |schedule: &Self, place: usize| matches!(schedule.entries[place].phase, Phase::Waiting);
        let waiting: Vec<_> = (0..schedule.len()).filter(|place| is_waiting(&schedule, *place)).collect();
        let again = (0..schedule.len()).filter(|place| reopens && past.reopens(&plan.trials[*place].name));
        schedule.reopen(again.collect());
        for place in waiting {
            if is_waiting(&schedule, place) {
                schedule.wait_again(place);
            }
            let delayed = past.trial(&plan.trials[place].name).is_some_and(|trial| trial.due.is_some());
            if delayed && matches!(schedule.entries[place].phase, Phase::Waiting | Phase::Ready) {
                schedule.delay(place);
            }
        }
        for place in 0..schedule.len() {
            schedule.stop_if_unneeded(place);
        }
        schedule
    }

    /// The schedule of a new run in which those trials are not run: they succeeded before.
    pub(crate) fn reusing(plan: &Plan, permits: Permits, scope: Scope, reused: &BTreeMap<Name, RunId>) -> Self {
        let mut schedule = Self::unsettled(plan, permits, scope);
        for place in 0..schedule.len() {
            if reused.contains_key(&schedule.entries[place].trial.name) {
                // Whoever waits until it is healthy has nothing more to wait for.
                schedule.entries[place].healthy = true;
                schedule.recall_end(place, Outcome::Succeeded);
            }
        }
        for place in 0..schedule.len() {
            schedule.wait_again(place);
        }
        for place in 0..schedule.len() {
            schedule.stop_if_unneeded(place);
        }
        schedule
    }

    /// Puts a trial where it was.
    fn recall(&mut self, place: usize, past: &History) {
        let Some((result, trial)) = past.get(&self.entries[place].trial.name) else { return };
        let entry = &mut self.entries[place];
        (entry.attempts, entry.elapsed) = (result.attempts, result.elapsed);
        (entry.repeats, entry.last) = (trial.repeats, trial.last.clone());
        match (&result.state, trial.attempts.last()) {
            (State::Starting | State::Running(_), Some(active)) => {
                (entry.healthy, entry.unhealthy) = (trial.healthy, trial.unhealthy);
                // One that timed out had its end coming, whoever asked for it as well.
                let timed_out = active.cause == Some(Cause::TimedOut);
                let stopped = past.stopped && !timed_out;
                let stopping = trial.killed || stopped || matches!(active.cause, Some(Cause::Unneeded | Cause::Pruned));
                entry.pruned.clone_from(&trial.pruned);
                entry.phase = Phase::Active { started: active.started.is_some(), stopping };
                entry.again = stopped && !trial.killed;
                entry.demanded = entry.trial.service;
                self.claim(place, active);
                if let Some(TrialPause { because, may_end }) = &trial.paused {
                    self.pause(place, because);
                    if *may_end {
                        self.unpause(place);
                    }
                }
            }
            (State::Ended(outcome), _) => {
                (entry.healthy, entry.unhealthy) = (trial.healthy, trial.unhealthy);
                self.recall_end(place, outcome.clone());
            }
            _ => {}
        }
    }

    /// A trial that ended before this schedule was made.
    fn recall_end(&mut self, place: usize, outcome: Outcome) {
        let entry = &mut self.entries[place];
        entry.phase = Phase::Ended(outcome);
        self.open -= 1;
        self.open_work -= usize::from(!entry.trial.service);
        for index in 0..self.entries[place].waits.len() {
            let on = self.entries[place].waits[index].on;
            self.entries[on].users -= 1;
        }
    }

    /// Takes a trial that waits for active: that attempt of it is on its engine, though no event tells of it.
    pub(crate) fn take_up(&mut self, place: usize, attempt: u32) {
        self.delay(place);
        let entry = &mut self.entries[place];
        (entry.phase, entry.attempts) = (Phase::Active { started: false, stopping: false }, attempt);
        self.claim(place, &PastAttempt::default());
    }

    fn claim(&mut self, place: usize, active: &PastAttempt) {
        let ask = self.ask(place);
        let permit = self.permits.claim(ask, active.cores.clone(), active.gpus.clone());
        self.entries[place].permit = Some(permit);
    }

    /// A trial that waits for its next attempt, until `delayed_is_due`.
    fn delay(&mut self, place: usize) {
        let turn = self.entries[place].turn(place);
        self.leave_line(place);
        self.candidates.remove(&turn);
        self.entries[place].phase = Phase::Delayed;
    }
}
