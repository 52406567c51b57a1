//! Room: which of the ready trials starts next.
//!
//! The first in line that fits. While the first does not fit, room is kept for it: those behind it start only with what
//! is left beside everything that it asks for, and so large trials are not starved by small ones. Room is kept for one
//! trial at a time, and only where trials of the run will give back what it lacks: nobody knows when a stranger leaves a
//! GPU. This is the backfilling of batch systems (EASY: one reservation, for the head of the line), without their guesses
//! of how long trials will run.

use crate::model::name::EngineName;
use crate::model::outcome::Outcome;
use crate::run::permits::{Ask, Lack, Permit};
use crate::run::schedule::entry::Phase;
use crate::run::schedule::entry::Turn;
use crate::run::schedule::{Effect, Schedule};

impl Schedule {
    /// Takes the room of the next trial that may start now.
    pub(super) fn next_in_line(&mut self) -> Option<(Turn, Permit)> {
        self.permits.look();
        if let Some(next) = self.first_that_fits() {
            return Some(next);
        }
        self.permits.looked();
        if let Some((place, because)) = self.in_the_way() {
            self.effects.push_back(Effect::InTheWay(place, because));
            return None;
        }
        let (place, because) = self.deadlocked()?;
        self.end(place, Outcome::Skipped { because });
        // Its end is told before anything starts that waited for it.
        None
    }

    /// The ready trial for which room is kept now, if there is one.
    pub(super) fn kept_for(&self) -> Option<usize> {
        self.firsts().into_iter().find(|turn| self.keeps_room(turn.2)).map(|turn| turn.2)
    }

    /// The engine whose GPUs a ready trial waits for, where strangers may have them.
    pub(crate) fn waits_for_strangers(&self) -> Option<EngineName> {
        let lined_up = self.lines.iter().zip(&self.shapes).filter_map(|(line, ask)| Some((line.first()?, ask)));
        let (turn, _) = lined_up.into_iter().find(|(_, ask)| self.permits.waits_for_strangers(ask))?;
        Some(self.entries[turn.2].trial.engine)
    }

    /// Nothing can start now, whatever room there is.
    pub(crate) fn stand_aside(&mut self) {
        self.permits.stand_aside();
    }

    /// Whether some trial is ready, or lacks nothing but services that may be started.
    pub(crate) fn has_ready(&self) -> bool {
        !self.ready.is_empty() || !self.candidates.is_empty()
    }

    /// Whether that trial lacks nothing but room.
    pub(crate) fn is_ready(&self, place: usize) -> bool {
        self.entries[place].phase == Phase::Ready
    }

    /// What a trial asks for.
    pub(super) fn ask(&self, place: usize) -> Ask {
        let entry = &self.entries[place];
        let ask = self.permits.ask(&entry.trial);
        if entry.is_paused() { ask.to_go_on() } else { ask }
    }

    /// Puts a trial in its line, with those that ask for the same.
    pub(super) fn line_up(&mut self, place: usize) {
        let turn = self.entries[place].turn(place);
        if !self.ready.insert(turn) {
            return;
        }
        let ask = self.ask(place);
        let shapes = self.shapes.len();
        let shape = *self.shape_of.entry(ask.clone()).or_insert(shapes);
        if shape == shapes {
            self.shapes.push(ask);
            self.lines.push(std::collections::BTreeSet::new());
        }
        self.lines[shape].insert(turn);
        self.entries[place].shape = shape;
    }

    /// Takes a trial out of its line.
    pub(super) fn leave_line(&mut self, place: usize) {
        let turn = self.entries[place].turn(place);
        if self.ready.remove(&turn) {
            self.lines[self.entries[place].shape].remove(&turn);
        }
    }

    fn first_that_fits(&mut self) -> Option<(Turn, Permit)> {
        let first = *self.ready.first()?;
        let look_at = |turn: Turn| (self.entries[turn.2].shape, turn.1.0);
        let (shape, priority) = look_at(first);
        if let Some(permit) = self.permits.take(&self.shapes[shape], priority, None) {
            return Some((first, permit));
        }
        if self.permits.free() == 0 && first.0 {
            return None;
        }
        let mut kept = None;
        for turn in self.firsts() {
            let (shape, priority) = look_at(turn);
            let kept_ask = kept.map(|shape: usize| &self.shapes[shape]);
            if let Some(permit) = self.permits.take(&self.shapes[shape], priority, kept_ask) {
                return Some((turn, permit));
            }
            if kept.is_none() && self.keeps_room(turn.2) {
                kept = Some(shape);
            }
        }
        None
    }

    /// The first of each line, in order: those behind it ask for the same and do not fit either.
    fn firsts(&self) -> Vec<Turn> {
        let mut firsts: Vec<Turn> = self.lines.iter().filter_map(|line| line.first().copied()).collect();
        firsts.sort_unstable();
        firsts
    }

    fn keeps_room(&self, place: usize) -> bool {
        let lacks = self.permits.lacks(&self.shapes[self.entries[place].shape], None, usize::MAX);
        !lacks.is_empty() && lacks.iter().all(Lack::is_ours)
    }

    /// A trial that waits for what only services have, while nothing else runs: it would wait for ever.
    fn deadlocked(&self) -> Option<(usize, String)> {
        if self.permits.is_busy() {
            return None;
        }
        let first = self.ready.iter().find(|turn| turn.0)?;
        let (ask, priority) = (self.ask(first.2), first.1.0);
        let lacks = self.permits.lacks(&ask, None, usize::MAX);
        let own = lacks.into_iter().find(|lack| lack.is_exclusive() && lack.is_ours());
        if own.is_none() && !self.permits.is_shared() {
            return None;
        }
        let may_change = |place: usize| match &self.entries[place].phase {
            Phase::Delayed => true,
            Phase::Active { started, stopping } => !started || *stopping || !self.is_settled(place),
            _ => false,
        };
        if (0..self.entries.len()).any(may_change) {
            return None;
        }
        let lack = own.or_else(|| self.permits.lacks_for_ever(&ask, priority))?;
        Some((first.2, format!("it needs {lack}, and only services run, which keep theirs")))
    }

    /// Whether a running service has nothing more to say: it is probed, or nobody waits for that.
    pub(super) fn is_settled(&self, place: usize) -> bool {
        let entry = &self.entries[place];
        entry.healthy || entry.unhealthy || !self.is_awaited(place, crate::model::trial::Condition::Healthy)
    }
}
