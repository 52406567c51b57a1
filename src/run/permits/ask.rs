//! An ask: what a trial wants of its host, in a form that can be compared. Trials that ask for the same fit or do not fit
//! alike, so only the first of them has to be looked at.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use crate::model::trial::settled::Settled;
use crate::model::trial::{Gpus, HostPort};

/// What a trial wants.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Ask {
    pub(super) host: usize,
    pub(super) service: bool,
    /// Whether the trial that has this is paused.
    pub(super) paused: bool,
    /// In thousandths; absent: it says nothing.
    pub(super) cpus: Option<u64>,
    pub(super) memory: u64,
    pub(super) cores: usize,
    pub(super) gpus: GpuAsk,
    pub(super) limits: BTreeMap<String, u32>,
    pub(super) ports: BTreeSet<HostPort>,
}

/// The GPUs that a trial wants.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) enum GpuAsk {
    /// That many, whichever.
    Count(usize),
    /// All that the run has.
    All,
    /// Those.
    Ids(Vec<String>),
}

impl Ask {
    pub(super) fn new(trial: &Settled, host: usize, publishes: bool) -> Self {
        let gpus = match trial.gpus.as_deref() {
            None => GpuAsk::Count(0),
            Some(Gpus::Count(count)) => GpuAsk::Count(*count as usize),
            Some(Gpus::Word(word)) if word == "all" => GpuAsk::All,
            Some(Gpus::Word(id)) => GpuAsk::Ids(vec![id.clone()]),
            Some(Gpus::Ids(ids)) => GpuAsk::Ids(ids.clone()),
        };
        Self {
            host,
            service: trial.service,
            paused: false,
            cpus: trial.cpus.map(millis),
            memory: trial.memory.unwrap_or(0),
            cores: if trial.pin { trial.cpus.unwrap_or(1.0).ceil() as usize } else { 0 },
            gpus,
            limits: trial.limits.iter().filter(|(_, amount)| **amount > 0).map(|(k, v)| (k.clone(), *v)).collect(),
            ports: trial.host_ports().filter(|_| publishes).collect(),
        }
    }

    pub(super) fn wants_gpus(&self) -> bool {
        self.gpus != GpuAsk::Count(0)
    }

    /// What a trial keeps while it is paused: all but its CPUs and its place among those that run.
    pub(super) fn paused(&self) -> Self {
        Self { paused: true, cpus: Some(0), ..self.clone() }
    }

    /// What it wants back to go on.
    pub(crate) fn to_go_on(&self) -> Self {
        Self {
            memory: 0,
            cores: 0,
            gpus: GpuAsk::Count(0),
            limits: BTreeMap::new(),
            ports: BTreeSet::new(),
            ..self.clone()
        }
    }

    /// How many it counts among the trials that run at once.
    pub(super) fn counts(&self) -> usize {
        usize::from(!self.service && !self.paused)
    }
}

impl fmt::Display for GpuAsk {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(1) => f.write_str("1 GPU"),
            Self::Count(count) => write!(f, "{count} GPUs"),
            Self::All => f.write_str("all GPUs"),
            Self::Ids(ids) => write!(f, "the GPUs {}", ids.join(", ")),
        }
    }
}

/// CPUs in thousandths.
pub(super) fn millis(cpus: f64) -> u64 {
    (cpus * 1000.0).round() as u64
}
