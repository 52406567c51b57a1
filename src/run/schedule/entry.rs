//! An entry: what the schedule knows of one trial.

use std::cmp::Reverse;
use std::sync::Arc;
use std::time::Duration;

use crate::model::history::TrialPause;
use crate::model::outcome::Outcome;
use crate::model::retry::{Next, Repeats};
use crate::model::trial::settled::Settled;
use crate::plan::Wait;
use crate::run::permits::Permit;

/// The order in which trials start: services first, then by priority, then by place.
pub(super) type Turn = (bool, Reverse<i32>, usize);

#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) trial: Arc<Settled>,
    pub(crate) attempts: u32,
    /// How long its last attempt took.
    pub(crate) elapsed: Duration,
    pub(super) phase: Phase,
    /// Attempts that ended badly since the trial was last asked for; what its retries are counted against.
    pub(super) repeats: Repeats,
    /// How the last of them ended.
    pub(super) last: Option<Outcome>,
    /// What the healthcheck of its last attempt decided.
    pub(super) healthy: bool,
    pub(super) unhealthy: bool,
    pub(super) waits: Vec<Wait>,
    /// For each wait, whether it is met now.
    pub(super) met: Vec<bool>,
    /// How many are not.
    pub(super) unmet: usize,
    /// How many of those are not for services.
    pub(super) unmet_work: usize,
    /// Who waits for this trial, and with which of its waits.
    pub(super) dependants: Vec<(usize, usize)>,
    /// Dependants that have not ended, a dependant counting once per wait.
    pub(super) users: usize,
    pub(super) permit: Option<Permit>,
    /// The CPUs with which it goes on after a pause.
    pub(super) slot: Option<Permit>,
    /// That it stands still for itself, if it does.
    pub(super) paused: Option<TrialPause>,
    /// Which of the schedule's asks is its own, while it is ready.
    pub(super) shape: usize,
    /// Wanted again while it was being stopped.
    pub(super) again: bool,
    /// Why its attempt is being pruned.
    pub(super) pruned: Option<String>,
    /// The service that was lost to its attempt.
    pub(super) unserved: Option<usize>,
    /// A service that may start.
    pub(super) demanded: bool,
}

/// Another attempt of a trial.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Repetition {
    /// Which repetition it is since the trial was last asked for, from 1.
    pub(crate) repeat: u32,
    /// Bytes of memory it gets, if that changes.
    pub(crate) memory: Option<u64>,
}

/// What a trial is doing.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Phase {
    /// Prerequisites are missing, or nobody needs the service yet.
    Waiting,
    /// Only room is missing.
    Ready,
    /// It failed and waits for its next attempt.
    Delayed,
    /// An attempt is being prepared, started or runs.
    Active { started: bool, stopping: bool },
    /// It ended.
    Ended(Outcome),
}

impl Entry {
    pub(super) fn new(trial: Arc<Settled>) -> Self {
        Self {
            trial,
            attempts: 0,
            elapsed: Duration::ZERO,
            phase: Phase::Waiting,
            repeats: Repeats::default(),
            last: None,
            healthy: false,
            unhealthy: false,
            waits: Vec::new(),
            met: Vec::new(),
            unmet: 0,
            unmet_work: 0,
            dependants: Vec::new(),
            users: 0,
            permit: None,
            slot: None,
            paused: None,
            shape: 0,
            again: false,
            pruned: None,
            unserved: None,
            demanded: false,
        }
    }

    /// Notes that another attempt follows the one that ended so.
    pub(super) fn repeat(&mut self, next: Next, outcome: Outcome) -> Repetition {
        let mut memory = None;
        self.repeats.count(next);
        if let Next::WithMemory(more) = next {
            memory = Some(more);
            Arc::make_mut(&mut self.trial).memory = memory;
        }
        self.last = Some(outcome);
        self.phase = Phase::Delayed;
        Repetition { repeat: self.repeats.all(), memory }
    }

    /// Whether it stands still for itself.
    pub(crate) fn is_paused(&self) -> bool {
        self.paused.is_some()
    }

    /// The cores and GPUs that it has of its own.
    pub(crate) fn given(&self) -> (Vec<u32>, Vec<String>) {
        self.permit.as_ref().map(|permit| (permit.cores.clone(), permit.gpus.clone())).unwrap_or_default()
    }

    /// Its turn among those that are ready.
    pub(super) fn turn(&self, place: usize) -> Turn {
        (!self.trial.service, Reverse(self.trial.priority), place)
    }
}
