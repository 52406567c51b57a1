//! The schedule: which trial may start, and what an event means for the others. Pure: no clock, no channel, no engine.
//!
//! Edges decide waiting: a trial is ready when each of its prerequisites has met its condition. What is ready starts in
//! order of priority, then of the plan; the first that does not fit holds back those behind it, so that a large trial is
//! never starved by small ones.

mod again;
mod edges;

use std::cmp::Reverse;
use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use crate::model::name::Name;
use crate::model::outcome::Outcome;
use crate::model::trial::{Condition, Trial};
use crate::plan::{Plan, Wait};
use crate::run::permits::{Permit, Permits};

/// What is known of every trial of a run.
#[derive(Debug)]
pub(crate) struct Schedule {
    entries: Vec<Entry>,
    places: HashMap<Name, usize>,
    ready: BTreeSet<(Reverse<i32>, usize)>,
    permits: Permits,
    effects: VecDeque<Effect>,
    /// Trials in each phase that keeps the run going.
    open: usize,
    /// Trials that are no services and have not ended.
    open_work: usize,
    /// Trials that are no services.
    work: usize,
    /// Why nothing more starts, if so.
    closed: Option<String>,
}

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) trial: Arc<Trial>,
    pub(crate) service: bool,
    pub(crate) phase: Phase,
    pub(crate) attempts: u32,
    /// How long its last attempt took.
    pub(crate) elapsed: Duration,
    /// Failed attempts since the trial was last asked for; what its retries are counted against.
    failures: u32,
    waits: Vec<Wait>,
    met: Vec<bool>,
    unmet: usize,
    /// Who waits for this trial, and with which of its waits.
    dependants: Vec<(usize, usize)>,
    /// Dependants that have not ended.
    users: usize,
    permit: Option<Permit>,
    /// Wanted again while it was being stopped.
    again: bool,
}

/// What a trial is doing.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Phase {
    /// Prerequisites are missing.
    Waiting,
    /// Only room is missing.
    Ready,
    /// It failed with that outcome and waits for its next attempt.
    Delayed(Outcome),
    /// An attempt is being prepared, started or runs.
    Active { started: bool, healthy: bool, stopping: bool },
    /// It ended.
    Ended(Outcome),
}

/// What has to be done because of something that happened.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Effect {
    /// Stop the attempt of that trial; nobody needs the service any more.
    StopService(usize),
    /// That trial ended.
    Ended(usize, Outcome),
}

impl Schedule {
    pub(crate) fn new(plan: &Plan, permits: Permits) -> Self {
        let mut schedule = Self {
            entries: Vec::with_capacity(plan.trials.len()),
            places: HashMap::with_capacity(plan.trials.len()),
            ready: BTreeSet::new(),
            permits,
            effects: VecDeque::new(),
            open: 0,
            open_work: 0,
            work: 0,
            closed: None,
        };
        for (place, trial) in plan.trials.iter().enumerate() {
            schedule.push(trial.clone(), plan.services[place]);
        }
        for (place, waits) in plan.waits.iter().enumerate() {
            schedule.connect(place, waits.clone());
        }
        schedule
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

    /// Whether the trial ended, and well.
    pub(crate) fn succeeded(&self, place: usize) -> bool {
        matches!(&self.entries[place].phase, Phase::Ended(outcome) if outcome.is_success())
    }

    /// Whether some trial waits for that of this one.
    pub(crate) fn is_awaited(&self, place: usize, condition: Condition) -> bool {
        self.entries[place]
            .dependants
            .iter()
            .any(|&(dependant, wait)| self.entries[dependant].waits[wait].condition == condition)
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

    /// Takes the next trial that may start now, and the room it needs.
    pub(crate) fn next_launch(&mut self) -> Option<usize> {
        let &(priority, place) = self.ready.first()?;
        let entry = &self.entries[place];
        let permit = self.permits.take(&entry.trial, entry.service)?;
        self.ready.remove(&(priority, place));
        let entry = &mut self.entries[place];
        entry.permit = Some(permit);
        entry.phase = Phase::Active { started: false, healthy: false, stopping: false };
        entry.attempts += 1;
        Some(place)
    }

    /// The engine started the attempt.
    pub(crate) fn started(&mut self, place: usize) {
        if let Phase::Active { started, .. } = &mut self.entries[place].phase {
            *started = true;
            self.tell_dependants(place);
        }
        if self.entries[place].service {
            self.stop_if_unneeded(place);
        }
    }

    /// The attempt's healthcheck passed.
    pub(crate) fn healthy(&mut self, place: usize) {
        if let Phase::Active { healthy, .. } = &mut self.entries[place].phase {
            *healthy = true;
            self.tell_dependants(place);
        }
    }

    /// The attempt is being stopped: it will not be retried.
    pub(crate) fn stopping(&mut self, place: usize) {
        if let Phase::Active { stopping, .. } = &mut self.entries[place].phase {
            *stopping = true;
        }
    }

    /// The attempt ended; true when the trial's retries allow another one, which `delayed_is_due` then starts.
    pub(crate) fn attempt_ended(&mut self, place: usize, outcome: Outcome, may_retry: bool) -> Option<u32> {
        let entry = &mut self.entries[place];
        if let Some(permit) = entry.permit.take() {
            self.permits.give_back(permit);
        }
        let stopping = matches!(entry.phase, Phase::Active { stopping: true, .. });
        if std::mem::take(&mut entry.again) && self.closed.is_none() {
            self.wait_again(place);
            return None;
        }
        let entry = &mut self.entries[place];
        if outcome.is_failure() && may_retry && !stopping && self.closed.is_none() {
            entry.failures += 1;
            if entry.failures <= entry.trial.retries.as_ref().map_or(0, |retries| retries.count) {
                entry.phase = Phase::Delayed(outcome);
                return Some(entry.failures);
            }
        }
        self.end(place, outcome);
        None
    }

    /// A retry's delay is over.
    pub(crate) fn delayed_is_due(&mut self, place: usize) {
        if matches!(self.entries[place].phase, Phase::Delayed(_)) {
            self.make_ready(place);
        }
    }

    /// Nothing more starts. Every trial that is not active ends, skipped because of that.
    pub(crate) fn close(&mut self, because: &str) {
        if self.closed.is_some() {
            return;
        }
        self.closed = Some(because.to_owned());
        for place in 0..self.entries.len() {
            match &self.entries[place].phase {
                Phase::Waiting | Phase::Ready => self.end(place, Outcome::Skipped { because: because.to_owned() }),
                Phase::Delayed(outcome) => {
                    let outcome = outcome.clone();
                    self.end(place, outcome);
                }
                Phase::Active { .. } | Phase::Ended(_) => {}
            }
        }
    }

    /// Ends a trial that is not active, as killed.
    pub(crate) fn kill_waiting(&mut self, place: usize) {
        if matches!(self.entries[place].phase, Phase::Waiting | Phase::Ready | Phase::Delayed(_)) {
            self.end(place, Outcome::Killed);
        }
    }

    fn push(&mut self, trial: Arc<Trial>, service: bool) -> usize {
        let place = self.entries.len();
        self.places.insert(trial.name.clone(), place);
        self.open += 1;
        self.open_work += usize::from(!service);
        self.work += usize::from(!service);
        self.entries.push(Entry {
            trial,
            service,
            phase: Phase::Waiting,
            attempts: 0,
            elapsed: Duration::ZERO,
            failures: 0,
            waits: Vec::new(),
            met: Vec::new(),
            unmet: 0,
            dependants: Vec::new(),
            users: 0,
            permit: None,
            again: false,
        });
        place
    }

    fn end(&mut self, place: usize, outcome: Outcome) {
        // A list, not recursion: a chain of 10,000 trials is skipped without 10,000 stack frames.
        let mut ends = VecDeque::from([(place, outcome)]);
        while let Some((place, outcome)) = ends.pop_front() {
            let entry = &mut self.entries[place];
            if matches!(entry.phase, Phase::Ended(_)) {
                continue;
            }
            self.ready.remove(&(Reverse(entry.trial.priority), place));
            entry.phase = Phase::Ended(outcome.clone());
            self.open -= 1;
            self.open_work -= usize::from(!entry.service);
            self.effects.push_back(Effect::Ended(place, outcome));
            self.tell_dependants(place);
            for index in 0..self.entries[place].dependants.len() {
                let (dependant, wait) = self.entries[place].dependants[index];
                let entry = &self.entries[dependant];
                // A dependant that was started once does not need the start of its prerequisite any more.
                if matches!(entry.phase, Phase::Waiting | Phase::Ready)
                    && entry.failures == 0
                    && let Some(because) = self.breaks(entry.waits[wait])
                {
                    ends.push_back((dependant, Outcome::Skipped { because }));
                }
            }
            for index in 0..self.entries[place].waits.len() {
                let on = self.entries[place].waits[index].on;
                self.entries[on].users -= 1;
                self.stop_if_unneeded(on);
            }
            if self.open_work == 0 && self.work > 0 {
                for service in 0..self.entries.len() {
                    self.stop_if_unneeded(service);
                }
            }
        }
    }

    /// Stops a service once all its dependants ended; one without dependants, once all trials but services ended.
    fn stop_if_unneeded(&mut self, place: usize) {
        let entry = &self.entries[place];
        let needed = if entry.dependants.is_empty() { self.open_work > 0 || self.work == 0 } else { entry.users > 0 };
        if !entry.service || needed {
            return;
        }
        match entry.phase {
            Phase::Active { started: true, stopping: false, .. } => {
                self.stopping(place);
                self.effects.push_back(Effect::StopService(place));
            }
            Phase::Waiting | Phase::Ready | Phase::Delayed(_) => self.end(place, Outcome::Stopped),
            _ => {}
        }
    }
}
