//! Events: facts that happened in a run, in order. Everything shown, stored or hooked is made from them.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use serde::{Serialize, Serializer};

use crate::model::command::Command;
use crate::model::handle::Handle;
use crate::model::name::{EngineName, Name, RunId};
use crate::model::outcome::Outcome;
use crate::model::trial::{Trial, seconds};

/// A fact and when it happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Event {
    /// Milliseconds since 1970-01-01 UTC.
    pub at: u64,
    /// The run it happened in.
    pub run: RunId,
    /// What happened.
    #[serde(flatten)]
    pub fact: Fact,
}

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum Fact {
    /// The first event of a run.
    RunStarted {
        /// The experiment's name.
        experiment: String,
        /// Its trials, in the order of the plan.
        trials: Vec<Arc<Trial>>,
        /// Names of the trials that are services.
        services: Vec<Name>,
        /// Most trials at once.
        parallel: usize,
        /// Seed of the run.
        seed: u64,
        /// Where logs lie; absent: nowhere.
        #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_path")]
        folder: Option<PathBuf>,
    },
    /// Something the engine does before a trial can start: a pull, a network.
    Preparing {
        /// The engine.
        engine: EngineName,
        /// What for: `image busybox`, `network irl`.
        object: String,
        /// Human text: `pulling, 3 of 7 layers`, `created`. As long as its first word ends in `ing`, more will follow.
        state: String,
    },
    /// An attempt is handed to the engine.
    AttemptStarting {
        /// The trial.
        trial: Name,
        /// From 1.
        attempt: u32,
        /// Cores of its own, if it is pinned.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        cores: Vec<u32>,
        /// GPUs of its own.
        #[serde(skip_serializing_if = "Vec::is_empty")]
        gpus: Vec<String>,
    },
    /// The engine started it.
    AttemptStarted {
        /// The trial.
        trial: Name,
        /// From 1.
        attempt: u32,
        /// The engine's name for it.
        handle: Handle,
    },
    /// Its healthcheck passed for the first time.
    Healthy {
        /// The trial.
        trial: Name,
    },
    /// Its healthcheck failed for good.
    Unhealthy {
        /// The trial.
        trial: Name,
    },
    /// It runs for long: the user may want to look at it before its timeout.
    Slow {
        /// The trial.
        trial: Name,
        /// Seconds it has been running.
        #[serde(serialize_with = "seconds")]
        elapsed: Duration,
    },
    /// It is being stopped.
    Stopping {
        /// The trial.
        trial: Name,
        /// Why, as a clause: "it ran longer than 2s".
        because: String,
    },
    /// An attempt ended.
    AttemptEnded {
        /// The trial.
        trial: Name,
        /// From 1.
        attempt: u32,
        /// How.
        #[serde(flatten)]
        outcome: Outcome,
        /// Seconds from the start to the end.
        #[serde(serialize_with = "seconds")]
        elapsed: Duration,
        /// Its logs; absent: none were kept.
        #[serde(skip_serializing_if = "Option::is_none")]
        logs: Option<Logs>,
    },
    /// A failed attempt will be repeated.
    RetryScheduled {
        /// The trial.
        trial: Name,
        /// The attempt to come, from 2.
        attempt: u32,
        /// Seconds until then.
        #[serde(serialize_with = "seconds")]
        delay: Duration,
        /// Bytes of memory it gets then, if that changes.
        #[serde(skip_serializing_if = "Option::is_none")]
        memory: Option<u64>,
    },
    /// A trial ended, after its last attempt or without one. A retry on request may open it again.
    TrialEnded {
        /// The trial.
        trial: Name,
        /// Attempts it took.
        attempts: u32,
        /// How it ended.
        #[serde(flatten)]
        outcome: Outcome,
        /// Seconds its last attempt ran.
        #[serde(serialize_with = "seconds")]
        elapsed: Duration,
    },
    /// A trial that had ended waits again: it, or one it belongs to, was retried.
    TrialReopened {
        /// The trial.
        trial: Name,
    },
    /// A trial was added while running.
    TrialSubmitted {
        /// The trial.
        trial: Arc<Trial>,
    },
    /// A command was taken.
    CommandTaken {
        /// The command.
        #[serde(flatten)]
        command: Command,
    },
    /// A command was refused.
    CommandRefused {
        /// The command.
        #[serde(flatten)]
        command: Command,
        /// Why, as a sentence without its full stop.
        message: String,
    },
    /// Nothing new is started for now, because of the machine's load.
    HeldBack {
        /// Why, as a clause: "the load is 5, above 4".
        because: String,
    },
    /// Trials are started again.
    Released {
        /// Seconds they were held back.
        #[serde(serialize_with = "seconds")]
        elapsed: Duration,
    },
    /// The halt policy was reached.
    Halted {
        /// Why, as a clause: "3 trials failed (`soon,fail=3`)".
        because: String,
    },
    /// Something that users should know, which stops nothing.
    Warned {
        /// A sentence without its full stop.
        message: String,
    },
    /// The last event of a run.
    RunEnded {
        /// Why it ended early, if it did.
        #[serde(skip_serializing_if = "Option::is_none")]
        early: Option<Early>,
        /// Seconds from the first event.
        #[serde(serialize_with = "seconds")]
        elapsed: Duration,
    },
}

/// Why a run ended before its work was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case", tag = "by", content = "message")]
pub enum Early {
    /// The halt policy was reached; what was counted.
    Halted(String),
    /// It was cancelled; by whom.
    Cancelled(String),
    /// The engine is out of reach; what it said.
    Unreachable(String),
}

/// Where an attempt's logs lie and how large they are.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Logs {
    /// File with what it wrote to its standard output.
    #[serde(serialize_with = "path")]
    pub stdout: PathBuf,
    /// Bytes in it.
    pub stdout_bytes: u64,
    /// File with what it wrote to its standard error.
    #[serde(serialize_with = "path")]
    pub stderr: PathBuf,
    /// Bytes in it.
    pub stderr_bytes: u64,
}

/// Something that consumes events: a store, a report.
pub trait Sink {
    /// What messages call it: `progress`, `events file`.
    fn name(&self) -> &'static str;

    /// Takes one event.
    ///
    /// # Errors
    /// A failing sink is dropped with one warning; it never fails the run.
    fn consume(&mut self, event: &Event) -> std::io::Result<()>;
}

/// Paths need not be UTF-8 and JSON must be: an unreadable character is better than no event.
fn path<S: Serializer>(path: &Path, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.collect_str(&path.display())
}

fn optional_path<S: Serializer>(folder: &Option<PathBuf>, serializer: S) -> Result<S::Ok, S::Error> {
    match folder {
        Some(folder) => path(folder, serializer),
        None => serializer.serialize_none(),
    }
}
