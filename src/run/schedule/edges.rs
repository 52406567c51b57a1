//! Edges: what a trial waits for, and what its prerequisites' changes mean for it.

use crate::model::outcome::Outcome;
use crate::model::trial::Condition;
use crate::plan::Wait;
use crate::run::schedule::Schedule;
use crate::run::schedule::entry::Phase;

/// How a wait stands now.
pub(super) enum WaitState {
    Met,
    Open,
    /// It can never be met; why, as a clause, and whether that is because the other was pruned.
    Broken(String, bool),
}

impl Schedule {
    /// Joins a trial to its prerequisites; `wait_again` has to follow.
    pub(super) fn connect(&mut self, place: usize, waits: Vec<Wait>) {
        for (index, wait) in waits.iter().enumerate() {
            self.entries[wait.on].dependants.push((place, index));
            self.entries[wait.on].users += 1;
        }
        self.entries[place].met = vec![false; waits.len()];
        self.entries[place].waits = waits;
        self.forget_what_is_met(place);
    }

    /// Puts a trial back to waiting and counts anew what it waits for. One that has ended in the meantime, because what it
    /// waits for has, stays so.
    pub(super) fn wait_again(&mut self, place: usize) {
        if matches!(self.entries[place].phase, Phase::Ended(_)) {
            return;
        }
        self.entries[place].phase = Phase::Waiting;
        self.forget_what_is_met(place);
        for index in 0..self.entries[place].waits.len() {
            self.refresh_wait(place, index);
        }
        self.settle(place);
    }

    fn forget_what_is_met(&mut self, place: usize) {
        let on_work = self.entries[place].waits.iter().filter(|wait| !self.entries[wait.on].trial.service).count();
        let entry = &mut self.entries[place];
        (entry.unmet, entry.unmet_work) = (entry.waits.len(), on_work);
        entry.met.fill(false);
    }

    /// Looks again at every trial that waits for this one.
    pub(super) fn refresh(&mut self, place: usize) {
        for index in 0..self.entries[place].dependants.len() {
            let (dependant, wait) = self.entries[place].dependants[index];
            self.refresh_wait(dependant, wait);
            self.settle(dependant);
        }
    }

    pub(super) fn standing(&self, wait: Wait) -> WaitState {
        let on = &self.entries[wait.on];
        let met = match (&on.phase, wait.condition) {
            (phase, Condition::Ended) => matches!(phase, Phase::Ended(_)),
            (Phase::Active { .. }, Condition::Healthy) if on.unhealthy => {
                return WaitState::Broken(format!("`{}` is unhealthy", on.trial.name), false);
            }
            (Phase::Active { stopping: true, .. }, _) => false,
            (Phase::Active { started, .. }, Condition::Started) => *started,
            (Phase::Active { .. }, Condition::Healthy) => on.healthy,
            (Phase::Ended(Outcome::Succeeded), Condition::Healthy) if !on.healthy => {
                return WaitState::Broken(format!("`{}` ended before it was healthy", on.trial.name), false);
            }
            (Phase::Ended(Outcome::Succeeded), _) => true,
            (Phase::Ended(outcome), _) => {
                let pruned = matches!(outcome, Outcome::Pruned { .. });
                return WaitState::Broken(why(on.trial.name.as_str(), outcome), pruned);
            }
            _ => false,
        };
        if met { WaitState::Met } else { WaitState::Open }
    }

    fn refresh_wait(&mut self, place: usize, index: usize) {
        let entry = &self.entries[place];
        if matches!(entry.phase, Phase::Active { .. } | Phase::Ended(_)) {
            return;
        }
        let wait = entry.waits[index];
        let met = match self.standing(wait) {
            WaitState::Met => true,
            WaitState::Open => false,
            WaitState::Broken(because, pruned) => {
                // What builds on a trial that was not worth it is not worth it either: nothing failed.
                let ended = if pruned { Outcome::Pruned { because } } else { Outcome::Skipped { because } };
                let outcome = self.entries[place].last.take().unwrap_or(ended);
                return self.end(place, outcome);
            }
        };
        let on_work = usize::from(!self.entries[wait.on].trial.service);
        let entry = &mut self.entries[place];
        match (std::mem::replace(&mut entry.met[index], met), met) {
            (false, true) => (entry.unmet, entry.unmet_work) = (entry.unmet - 1, entry.unmet_work - on_work),
            (true, false) => (entry.unmet, entry.unmet_work) = (entry.unmet + 1, entry.unmet_work + on_work),
            _ => {}
        }
    }

    /// Moves a trial between waiting and ready, as its waits now stand.
    fn settle(&mut self, place: usize) {
        let entry = &self.entries[place];
        let turn = entry.turn(place);
        let waits = matches!(entry.phase, Phase::Waiting | Phase::Ready);
        let wanted = !entry.trial.service || entry.demanded || entry.dependants.is_empty();
        let ready = waits && entry.unmet == 0 && wanted;
        let candidate = waits && wanted && entry.unmet > 0 && entry.unmet_work == 0;
        if waits {
            self.entries[place].phase = if ready { Phase::Ready } else { Phase::Waiting };
        }
        if ready {
            self.line_up(place);
        } else {
            self.leave_line(place);
        }
        if candidate {
            self.candidates.insert(turn);
        } else {
            self.candidates.remove(&turn);
        }
    }

    /// Lets the services start that the next trials in line need: as many trials as there is free room for, and one
    /// more. A thousand pairs of a service and its trial must not start a thousand services at once.
    pub(super) fn demand_services(&mut self) {
        let mut missing = self.permits.free().max(1).saturating_sub(self.ready.len());
        let mut needed = Vec::new();
        for &(work, _, place) in &self.candidates {
            if missing == 0 && work {
                break;
            }
            let unmet = || self.unmet(place);
            if unmet().all(|service| self.is_startable(service)) {
                // What a wanted service needs is wanted whatever the room.
                missing -= usize::from(work);
                needed.extend(unmet());
            }
        }
        while let Some(service) = needed.pop() {
            if !std::mem::replace(&mut self.entries[service].demanded, true) {
                needed.extend(self.unmet(service).filter(|on| self.entries[*on].trial.service));
                self.settle(service);
            }
        }
    }

    fn unmet(&self, place: usize) -> impl Iterator<Item = usize> {
        let entry = &self.entries[place];
        entry.waits.iter().zip(&entry.met).filter(|(_, met)| !**met).map(|(wait, _)| wait.on)
    }

    /// Whether a service runs, is on its way, or lacks nothing but such services.
    fn is_startable(&self, service: usize) -> bool {
        let entry = &self.entries[service];
        entry.phase != Phase::Waiting
            || (entry.unmet_work == 0 && self.unmet(service).all(|service| self.is_startable(service)))
    }
}

fn why(name: &str, outcome: &Outcome) -> String {
    match outcome {
        Outcome::Skipped { .. } => format!("`{name}` was skipped"),
        Outcome::Killed => format!("`{name}` was killed"),
        Outcome::Pruned { .. } => format!("`{name}` was pruned"),
        // What the engine said was told where it happened; a hundred dependants need not repeat it.
        Outcome::NotStarted { .. } => format!("`{name}` could not be started"),
        Outcome::Lost { .. } => format!("`{name}` was lost"),
        outcome => format!("`{name}` {outcome}"),
    }
}
