//! The schedule: which trial may start, and what an event means for the others. Pure: no clock, no channel, no engine.
//!
//! Edges decide waiting: a trial is ready while each of its prerequisites meets its condition. What is ready starts
//! services first, then in order of priority, then of the plan; room is kept for the first that does not fit (see `room`).
//! A service is started when the trials next in line need it.

mod again;
mod edges;
mod entry;
mod pausing;
mod restore;
mod room;
mod why;

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use crate::model::name::Name;
use crate::model::options::Options;
use crate::model::outcome::Outcome;
use crate::model::retry::{self, Next, Repeats};
use crate::model::trial::Condition;
use crate::model::trial::settled::Settled;
use crate::plan::admission::Scope;
use crate::plan::{Engines, Plan};
use crate::run::permits::{Ask, Permits};
use crate::run::schedule::entry::{Entry, Phase, Turn};

pub(crate) use crate::run::schedule::entry::Repetition;

/// What is known of every trial of a run.
#[derive(Debug)]
pub(crate) struct Schedule {
    entries: Vec<Entry>,
    places: HashMap<Name, usize>,
    /// Trials that lack nothing but room.
    ready: BTreeSet<Turn>,
    /// Everything that was ever asked for, and those of the ready trials that ask for it.
    shapes: Vec<Ask>,
    shape_of: HashMap<Ask, usize>,
    lines: Vec<BTreeSet<Turn>>,
    /// Trials, and services that may start, that lack nothing but services.
    candidates: BTreeSet<Turn>,
    permits: Permits,
    /// What trials are admitted to.
    scope: Scope,
    effects: VecDeque<Effect>,
    /// Ends to be carried out. A list, not recursion: a chain of 10,000 trials is skipped without 10,000 stack frames.
    ends: VecDeque<(usize, Outcome)>,
    ending: bool,
    /// Trials that have not ended.
    open: usize,
    /// Those of them that are no services.
    open_work: usize,
    /// Trials that are no services.
    work: usize,
    /// Why nothing more starts, if so.
    closed: Option<String>,
}

/// What has to be done because of something that happened.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Effect {
    /// Stop the attempt of that trial; nobody needs the service any more.
    StopService(usize),
    /// That trial ended.
    Ended(usize, Outcome),
    /// That trial had ended and waits again.
    Reopened(usize),
    /// That trial was paused and goes on.
    GoOn(usize),
    /// That trial is paused, and nothing can start beside what it keeps.
    InTheWay(usize, String),
}

impl Schedule {
    /// Every trial is in it, and none was looked at yet.
    fn unsettled(plan: &Plan, permits: Permits, scope: Scope) -> Self {
        let count = plan.trials.len();
        let mut schedule = Self {
            entries: Vec::with_capacity(count),
            places: HashMap::with_capacity(count),
            ready: BTreeSet::new(),
            shapes: Vec::new(),
            shape_of: HashMap::new(),
            lines: Vec::new(),
            candidates: BTreeSet::new(),
            permits,
            scope,
            effects: VecDeque::new(),
            ends: VecDeque::new(),
            ending: false,
            open: 0,
            open_work: 0,
            work: 0,
            closed: None,
        };
        for trial in &plan.trials {
            schedule.push(trial.clone());
        }
        for (place, waits) in plan.waits.iter().enumerate() {
            schedule.connect(place, waits.clone());
        }
        schedule
    }

    /// The options in force.
    pub(crate) fn options(&self) -> &Options {
        &self.scope.options
    }

    /// What the engines of the run can do.
    pub(crate) fn engines(&self) -> &Engines {
        &self.scope.engines
    }

    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    pub(crate) fn entry(&self, place: usize) -> &Entry {
        &self.entries[place]
    }

    pub(crate) fn entry_mut(&mut self, place: usize) -> &mut Entry {
        &mut self.entries[place]
    }

    pub(crate) fn permits_mut(&mut self) -> &mut Permits {
        &mut self.permits
    }

    pub(crate) fn place(&self, name: &Name) -> Option<usize> {
        self.places.get(name).copied()
    }

    /// The names of all trials.
    pub(crate) fn names(&self) -> impl Iterator<Item = &Name> + Clone {
        self.entries.iter().map(|entry| &entry.trial.name)
    }

    /// Whether the trial ended, and nothing went wrong.
    pub(crate) fn ended_fine(&self, place: usize) -> bool {
        matches!(&self.entries[place].phase, Phase::Ended(outcome) if outcome.is_fine())
    }

    /// Whether the trial has ended.
    pub(crate) fn has_ended(&self, place: usize) -> bool {
        matches!(self.entries[place].phase, Phase::Ended(_))
    }

    /// Whether some trial waits for that of this one.
    pub(crate) fn is_awaited(&self, place: usize, condition: Condition) -> bool {
        let mut dependants = self.entries[place].dependants.iter();
        dependants.any(|&(dependant, wait)| self.entries[dependant].waits[wait].condition == condition)
    }

    /// How many trials are no services.
    pub(crate) fn work(&self) -> usize {
        self.work
    }

    /// The trials with an attempt in flight.
    pub(crate) fn active(&self) -> Vec<usize> {
        (0..self.entries.len()).filter(|&place| matches!(self.entries[place].phase, Phase::Active { .. })).collect()
    }

    /// Whether every trial has ended.
    pub(crate) fn is_done(&self) -> bool {
        self.open == 0
    }

    /// What has to be done next because of what happened.
    pub(crate) fn next_effect(&mut self) -> Option<Effect> {
        self.effects.pop_front()
    }

    /// Whether something has to be done before anything is waited for.
    pub(crate) fn has_effects(&self) -> bool {
        !self.effects.is_empty()
    }

    /// Takes the next trial that may start now, and the room it needs.
    pub(crate) fn next_launch(&mut self) -> Option<usize> {
        self.demand_services();
        let (turn, permit) = self.next_in_line()?;
        let place = turn.2;
        self.leave_line(place);
        let entry = &mut self.entries[place];
        if entry.paused.take().is_some() {
            entry.slot = Some(permit);
            // Its going on is told before anything else starts.
            self.effects.push_back(Effect::GoOn(place));
            return None;
        }
        entry.permit = Some(permit);
        entry.phase = Phase::Active { started: false, stopping: false };
        entry.attempts += 1;
        (entry.healthy, entry.unhealthy, entry.unserved, entry.pruned) = (false, false, None, None);
        Some(place)
    }

    /// The engine started the attempt.
    pub(crate) fn started(&mut self, place: usize) {
        if let Phase::Active { started, .. } = &mut self.entries[place].phase {
            *started = true;
            self.refresh(place);
        }
        self.stop_if_unneeded(place);
    }

    /// The attempt's healthcheck decided.
    pub(crate) fn probed(&mut self, place: usize, healthy: bool) {
        let entry = &mut self.entries[place];
        if matches!(entry.phase, Phase::Active { .. }) {
            (entry.healthy, entry.unhealthy) = (healthy, !healthy);
            self.refresh(place);
        }
    }

    /// The attempt is being stopped: it will not be retried. One that is killed is not started again either, though
    /// others need it.
    pub(crate) fn stopping(&mut self, place: usize, killed: bool) {
        self.end_pause(place);
        let entry = &mut self.entries[place];
        if let Phase::Active { stopping, .. } = &mut entry.phase {
            *stopping = true;
            entry.again &= !killed;
            self.refresh(place);
        }
    }

    /// The end of an attempt as it counts for the run. A service ends when nothing needs it any more: one that was lost
    /// then has ended as it would have, and one that ended before, by itself or because somebody made it, was lost to those
    /// who need it. One that is a service only because it has no command of its own may do its work and end. A trial that
    /// fails after its service was lost to it was lost, too: it may have begun when the service was gone already.
    pub(crate) fn judged(&self, place: usize, outcome: Outcome) -> Outcome {
        let entry = &self.entries[place];
        if let (Outcome::Pruned { .. }, Some(because)) = (&outcome, &entry.pruned) {
            return Outcome::Pruned { because: because.clone() };
        }
        if self.closed.is_some() {
            return outcome;
        }
        if !entry.trial.service {
            return match (outcome, entry.unserved) {
                (Outcome::Failed { exit }, Some(service)) => {
                    let service = &self.entries[service].trial.name;
                    Outcome::Lost { message: format!("it failed ({exit}) after its service `{service}` was lost") }
                }
                (outcome, _) => outcome,
            };
        }
        let stopping = matches!(entry.phase, Phase::Active { stopping: true, .. });
        let serves = entry.trial.written.service == Some(true) || self.is_awaited(place, Condition::Healthy);
        match outcome {
            Outcome::Lost { .. } if !self.is_needed(place) => Outcome::Stopped,
            _ if stopping || !self.is_needed(place) => outcome,
            Outcome::Succeeded if serves => Outcome::Lost { message: "it ended while trials need it".to_owned() },
            Outcome::Failed { exit } if exit.was_asked_for() => {
                Outcome::Lost { message: format!("something else ended it ({exit}) while trials need it") }
            }
            outcome => outcome,
        }
    }

    /// The attempt ended. Says how, if there will be another one: `delayed_is_due` is then to be called after the delay.
    pub(crate) fn attempt_ended(&mut self, place: usize, outcome: Outcome, may_retry: bool) -> Option<Repetition> {
        let is_open = self.closed.is_none();
        if matches!(outcome, Outcome::Lost { .. }) && self.entries[place].trial.service {
            self.lose_service(place);
        }
        let most = self.permits.memory(self.entries[place].trial.engine);
        self.end_pause(place);
        let entry = &mut self.entries[place];
        for permit in entry.permit.take().into_iter().chain(entry.slot.take()) {
            self.permits.give_back(permit);
        }
        let stopping = matches!(entry.phase, Phase::Active { stopping: true, .. });
        if std::mem::take(&mut entry.again) && is_open {
            entry.repeats = Repeats::default();
            self.wait_again(place);
            return None;
        }
        let next = match may_retry && !stopping && is_open {
            true => retry::next(&entry.trial.retries, entry.trial.memory, &outcome, entry.repeats, most),
            false => Next::Nothing,
        };
        if next == Next::Nothing {
            self.end(place, outcome);
            return None;
        }
        let again = entry.repeat(next, outcome);
        self.refresh(place);
        Some(again)
    }

    /// Notes with the attempts that need the service that it was lost to them.
    fn lose_service(&mut self, place: usize) {
        for index in 0..self.entries[place].dependants.len() {
            let (dependant, wait) = self.entries[place].dependants[index];
            let entry = &mut self.entries[dependant];
            let needs = matches!(entry.waits[wait].condition, Condition::Started | Condition::Healthy);
            if needs && matches!(entry.phase, Phase::Active { .. }) {
                entry.unserved = Some(place);
            }
        }
    }

    /// The delay after that attempt is over.
    pub(crate) fn delayed_is_due(&mut self, place: usize, attempt: u32) {
        let entry = &self.entries[place];
        if entry.phase == Phase::Delayed && entry.attempts == attempt {
            self.wait_again(place);
        }
    }

    /// Nothing more starts. Every trial that is not active ends: as it last failed, or skipped because of that.
    pub(crate) fn close(&mut self, because: &str) {
        if self.closed.is_some() {
            return;
        }
        self.closed = Some(because.to_owned());
        // All of them before any is carried out, so that each has this reason and not its prerequisite's.
        for place in 0..self.entries.len() {
            if !matches!(self.entries[place].phase, Phase::Active { .. } | Phase::Ended(_)) {
                let skipped = Outcome::Skipped { because: because.to_owned() };
                let outcome = self.entries[place].last.take().unwrap_or(skipped);
                self.ends.push_back((place, outcome));
            }
        }
        self.carry_out_ends();
    }

    /// Ends a trial that is not active, as pruned. True when it is active and to be stopped for that.
    pub(crate) fn prune(&mut self, place: usize, because: &str) -> bool {
        let entry = &mut self.entries[place];
        match entry.phase {
            Phase::Active { stopping: false, .. } => {
                entry.pruned = Some(because.to_owned());
                return true;
            }
            Phase::Active { .. } | Phase::Ended(_) => {}
            Phase::Waiting | Phase::Ready | Phase::Delayed => {
                self.end(place, Outcome::Pruned { because: because.to_owned() });
            }
        }
        false
    }

    /// Ends a trial that is not active, as killed.
    pub(crate) fn kill_waiting(&mut self, place: usize) {
        if !matches!(self.entries[place].phase, Phase::Active { .. } | Phase::Ended(_)) {
            self.end(place, Outcome::Killed);
        }
    }

    fn end(&mut self, place: usize, outcome: Outcome) {
        self.ends.push_back((place, outcome));
        self.carry_out_ends();
    }

    fn carry_out_ends(&mut self) {
        if std::mem::replace(&mut self.ending, true) {
            return;
        }
        while let Some((place, outcome)) = self.ends.pop_front() {
            if !matches!(self.entries[place].phase, Phase::Ended(_)) {
                self.end_one(place, outcome);
            }
        }
        self.ending = false;
    }

    fn end_one(&mut self, place: usize, outcome: Outcome) {
        let turn = self.entries[place].turn(place);
        self.leave_line(place);
        self.candidates.remove(&turn);
        let entry = &mut self.entries[place];
        entry.phase = Phase::Ended(outcome.clone());
        entry.demanded = false;
        let service = entry.trial.service;
        self.open -= 1;
        self.open_work -= usize::from(!service);
        self.effects.push_back(Effect::Ended(place, outcome));
        self.refresh(place);
        for index in 0..self.entries[place].waits.len() {
            let on = self.entries[place].waits[index].on;
            self.entries[on].users -= 1;
            self.stop_if_unneeded(on);
        }
        if !service && self.open_work == 0 {
            for service in 0..self.entries.len() {
                self.stop_if_unneeded(service);
            }
        }
    }

    /// Whether anything needs the service: one of its dependants has not ended; without dependants, some trial that is no
    /// service has not.
    fn is_needed(&self, place: usize) -> bool {
        let entry = &self.entries[place];
        if entry.dependants.is_empty() { self.open_work > 0 || self.work == 0 } else { entry.users > 0 }
    }

    /// Stops a service that nothing needs.
    fn stop_if_unneeded(&mut self, place: usize) {
        let entry = &self.entries[place];
        if !entry.trial.service || self.is_needed(place) {
            return;
        }
        match entry.phase {
            Phase::Active { started: true, stopping: false } => {
                self.stopping(place, false);
                self.effects.push_back(Effect::StopService(place));
            }
            Phase::Waiting | Phase::Ready | Phase::Delayed => self.end(place, Outcome::Stopped),
            Phase::Active { .. } | Phase::Ended(_) => {}
        }
    }

    fn push(&mut self, trial: Arc<Settled>) -> usize {
        let (place, service) = (self.entries.len(), trial.service);
        self.places.insert(trial.name.clone(), place);
        self.open += 1;
        self.open_work += usize::from(!service);
        self.work += usize::from(!service);
        self.entries.push(Entry::new(trial));
        place
    }
}
