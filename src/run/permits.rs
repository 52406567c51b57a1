//! Permits: whether a trial fits beside those that run. Pure arithmetic over counts, CPUs and memory.
//!
//! Services take what they ask for but are never held back: trials that hold permits may be waiting for them
//! (docker/compose#5864 is what happens otherwise). And where nothing but services runs, the first trial always fits,
//! or nothing would ever start.

use std::collections::BTreeMap;

use crate::model::budget::Change;
use crate::model::name::EngineName;
use crate::model::options::Parallel;
use crate::model::trial::Trial;
use crate::plan::Engines;

/// The room of a run: how many trials, and what they may take of each engine's host.
#[derive(Debug)]
pub(crate) struct Permits {
    hosts: BTreeMap<EngineName, Host>,
    /// Most trials at once, if someone said a number.
    parallel: Option<Parallel>,
    limit: Option<usize>,
    running: usize,
    cpus: f64,
}

#[derive(Debug, Default)]
struct Host {
    /// In thousandths of a CPU: sums must come back to zero.
    cpus: Room,
    memory: Room,
    running: usize,
}

#[derive(Debug, Default)]
struct Room {
    all: u64,
    taken: u64,
}

impl Permits {
    pub(crate) fn new(engines: &Engines, parallel: Option<Parallel>) -> Self {
        let host = |cpus: f64, memory| Host {
            cpus: Room { all: millis(cpus), taken: 0 },
            memory: Room { all: memory, taken: 0 },
            running: 0,
        };
        let cpus = engines.values().map(|engine| engine.cpus).fold(1.0, f64::max);
        Self {
            hosts: engines.iter().map(|(name, engine)| (*name, host(engine.cpus, engine.memory))).collect(),
            parallel,
            limit: parallel.map(|parallel| parallel.on(cpus)),
            running: 0,
            cpus,
        }
    }

    /// Most trials at once; without a number, as many as the hosts have CPUs.
    pub(crate) fn most(&self) -> usize {
        self.limit.unwrap_or(self.cpus.floor() as usize).max(1)
    }

    /// How many more trials the count allows now.
    pub(crate) fn free(&self) -> usize {
        self.most().saturating_sub(self.running)
    }

    /// Whether the engine's host is known.
    pub(crate) fn knows(&self, engine: EngineName) -> bool {
        self.hosts.contains_key(&engine)
    }

    /// Changes the budget.
    pub(crate) fn set(&mut self, change: &Change) {
        if let Some(parallel) = change.parallel {
            self.limit = Some(parallel.on(self.cpus));
            self.parallel = Some(parallel);
        }
    }

    /// Takes the room for a trial, if there is some.
    pub(crate) fn take(&mut self, trial: &Trial, service: bool) -> Option<Permit> {
        if !service && self.limit.is_some_and(|limit| self.running >= limit) {
            return None;
        }
        // A trial that says nothing counts one CPU, unless someone said how many trials run at once.
        let unsaid = if service || self.parallel.is_some() { 0 } else { 1000 };
        let permit = Permit {
            engine: trial.engine.unwrap_or_default(),
            cpus: trial.cpus.map_or(unsaid, millis),
            memory: trial.memory.unwrap_or(0),
            counts: usize::from(!service),
        };
        let host = self.hosts.entry(permit.engine).or_default();
        if !service && host.running > 0 && !(host.cpus.fits(permit.cpus) && host.memory.fits(permit.memory)) {
            return None;
        }
        host.cpus.taken += permit.cpus;
        host.memory.taken += permit.memory;
        host.running += permit.counts;
        self.running += permit.counts;
        Some(permit)
    }

    /// Gives back what `take` took.
    pub(crate) fn give_back(&mut self, permit: Permit) {
        let host = self.hosts.entry(permit.engine).or_default();
        host.cpus.taken -= permit.cpus;
        host.memory.taken -= permit.memory;
        host.running -= permit.counts;
        self.running -= permit.counts;
    }
}

/// The room a running trial holds.
#[derive(Debug)]
pub(crate) struct Permit {
    engine: EngineName,
    cpus: u64,
    memory: u64,
    counts: usize,
}

impl Room {
    fn fits(&self, amount: u64) -> bool {
        self.taken.saturating_add(amount) <= self.all
    }
}

fn millis(cpus: f64) -> u64 {
    (cpus * 1000.0).round() as u64
}
