//! Run options: what a spec's top level, a script's `run()` and the command line can say about a run.

mod bound;
mod budget;
mod destination;
mod goal;
mod halt;
mod on_end;
mod prefix;
mod prune;
mod search;

use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::name::EngineName;
use crate::model::retry::Retries;
use crate::model::span;
use crate::model::trial::{Pull, Timeout};

pub use bound::{Bound, Relation};
pub use budget::{Budget, HostBudget, Load, Parallel, Reserve};
pub use destination::Destination;
pub use goal::{Goal, Sense};
pub use halt::{Halt, Limit, What, When};
pub use on_end::{Occasion, OnEnd, Recipient, Webhook};
pub use prefix::Prefix;
pub use prune::{AshaPause, Prune};
pub use search::SpecSearch;

/// Options of a run; everything absent means the default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// What the run may take of the machine.
    #[serde(flatten)]
    pub budget: Budget,
    /// What trials are given that do not say it themselves.
    #[serde(flatten)]
    pub defaults: TrialDefaults,
    /// What of the host is left to the people at the machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reserve: Option<Reserve>,
    /// When a trial is announced as slow; absent: after three quarters of its timeout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slow: Option<Timeout>,
    /// Longest the whole run may take, in seconds; then it is halted.
    #[serde(skip_serializing_if = "Option::is_none", default, with = "span::optional")]
    pub time_budget: Option<Duration>,
    /// Shortest time between two starts, in seconds.
    #[serde(skip_serializing_if = "Option::is_none", default, with = "span::optional")]
    pub delay: Option<Duration>,
    /// When the run ends early.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub halt: Option<Halt>,
    /// What the run is to find: its best trial comes first.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub goal: Option<Goal>,
    /// Rules by which trials end early that are not worth going on with.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub prune: Vec<Prune>,
    /// The search that the run carries out; only a spec states one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub search: Option<Box<SpecSearch>>,
    /// Which containers are removed once they ended and their logs are safe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rm: Option<Remove>,
    /// Seed of the run, from which every trial's `COMBU_SEED` is derived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// Where the outputs of trials are sent, beside being kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outputs_to: Option<Destination>,
    /// What is done when the run has ended.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub on_end: Vec<OnEnd>,
}

/// What a run gives to trials that do not say it themselves; [`crate::model::trial::settled::Settled`] is what comes of it.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct TrialDefaults {
    /// How often and when a failed attempt is repeated.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<Arc<Retries>>,
    /// Longest an attempt may run; services are spared.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Timeout>,
    /// Seconds between stop signal and kill.
    #[serde(skip_serializing_if = "Option::is_none", default, with = "span::optional")]
    pub stop_grace: Option<Duration>,
    /// When the image is pulled.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull: Option<Pull>,
    /// The engine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineName>,
    /// The engine of every trial, whatever it says itself: that of the command line, or of a script's `run()`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine_of_all: Option<EngineName>,
    /// How much trials give way to other work of the machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nice: Option<u8>,
    /// What the names of containers begin with; absent: nothing.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub prefix: Option<Prefix>,
}

impl Options {
    /// These options where they say something, else those of `below`; named limits are merged name by name.
    pub fn over(self, below: Self) -> Self {
        // Not by way of JSON, in which a webhook has no secret part.
        let on_end = if self.on_end.is_empty() { below.on_end.clone() } else { self.on_end.clone() };
        Self { on_end, ..budget::over(&self, &below) }
    }
}

/// Which containers are removed once they ended and their logs are safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Remove {
    /// Those of trials that succeeded or were pruned; the others stay until `kill`.
    #[default]
    Success,
    /// All of them.
    Always,
    /// None: all stay until `kill`.
    Never,
}

impl Remove {
    /// Every policy, in the order of the manual.
    pub const ALL: [Self; 3] = [Self::Success, Self::Always, Self::Never];

    /// The word in specs and options.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Always => "always",
            Self::Never => "never",
        }
    }

    /// The policy a word names, if any.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|remove| remove.as_str() == word)
    }
}
