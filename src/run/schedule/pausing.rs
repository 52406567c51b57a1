//! Paused trials: they run and stand still, and others may have their CPUs meanwhile. They keep their memory, which a pause
//! does not free, and their GPUs.

use crate::model::history::TrialPause;
use crate::run::permits::Lack;
use crate::run::schedule::Schedule;
use crate::run::schedule::entry::{Entry, Phase};

impl Schedule {
    /// Whether a trial can be paused: it runs, and is no service.
    pub(crate) fn may_pause(&self, place: usize) -> bool {
        let entry = &self.entries[place];
        let runs = matches!(entry.phase, Phase::Active { started: true, stopping: false });
        runs && !entry.trial.service && !entry.is_paused()
    }

    /// Pauses a trial; false where it cannot be.
    pub(crate) fn pause(&mut self, place: usize, because: &str) -> bool {
        if !self.may_pause(place) {
            return false;
        }
        let entry = &mut self.entries[place];
        entry.paused = Some(TrialPause { because: because.to_owned(), may_end: false });
        match (entry.slot.take(), &mut entry.permit) {
            (Some(slot), _) => self.permits.give_back(slot),
            (None, Some(permit)) => self.permits.pause(permit),
            (None, None) => {}
        }
        true
    }

    /// Lets a paused trial go on once there is room for it; false where it is not paused, or is to go on already.
    pub(crate) fn unpause(&mut self, place: usize) -> bool {
        let Some(pause) = &mut self.entries[place].paused else { return false };
        if std::mem::replace(&mut pause.may_end, true) {
            return false;
        }
        self.line_up(place);
        true
    }

    /// Bytes of memory that paused trials keep, as far as they say how much they need.
    pub(crate) fn memory_of_paused(&self) -> u64 {
        self.entries.iter().filter(|entry| entry.is_paused()).filter_map(|entry| entry.trial.memory).sum()
    }

    /// The trials that are paused, and why, where nothing else is left to do before one of them goes on; else none.
    pub(crate) fn at_rest(&self) -> Vec<(usize, String)> {
        if self.permits.is_busy() || !self.permits.has_paused() || !self.ready.is_empty() {
            return Vec::new();
        }
        let mut paused = Vec::new();
        for (place, entry) in self.entries.iter().enumerate() {
            match (&entry.phase, &entry.paused) {
                (Phase::Active { .. }, Some(pause)) => paused.push((place, pause.because.clone())),
                (Phase::Active { started: true, stopping: false }, None)
                    if entry.trial.service && self.is_settled(place) => {}
                (Phase::Active { .. } | Phase::Delayed | Phase::Ready, None) => return Vec::new(),
                _ => {}
            }
        }
        paused
    }

    /// A paused trial that may keep what the first in line lacks, while nothing runs that gives something back, and why it
    /// cannot stay.
    pub(super) fn in_the_way(&self) -> Option<(usize, String)> {
        if self.permits.is_busy() || !self.permits.has_paused() {
            return None;
        }
        // One that is being stopped gives back what it has.
        if self.entries.iter().any(|entry| matches!(entry.phase, Phase::Active { stopping: true, .. })) {
            return None;
        }
        let lack = |place| self.permits.lacks(&self.ask(place), None, 1).into_iter().find(Lack::is_ours);
        let (first, lack) = self.ready.iter().find_map(|turn| Some(turn.2).zip(lack(turn.2)))?;
        let place = self.entries.iter().position(Entry::is_paused)?;
        Some((place, format!("it is paused, and `{}` needs {lack}", self.entries[first].trial.name)))
    }

    /// Whether a paused trial is to go on once there is room.
    pub(super) fn is_to_go_on(&self, place: usize) -> bool {
        self.entries[place].paused.as_ref().is_some_and(|pause| pause.may_end)
    }

    /// The trial is stopped, or has ended: it is paused no longer.
    pub(super) fn end_pause(&mut self, place: usize) {
        if self.entries[place].paused.take().is_some() {
            self.leave_line(place);
        }
    }
}
