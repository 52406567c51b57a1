//! Facts: what can happen in a run.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::capability::Daemon;
use crate::model::command::Command;
use crate::model::event::files::{self, Collected, Logs, optional_path};
use crate::model::event::record::{Record, Usage};
use crate::model::handle::Handle;
use crate::model::name::{EngineName, Name, RunId};
use crate::model::options::Options;
use crate::model::outcome::Outcome;
use crate::model::span;
use crate::model::trial::settled::Settled;

/// What happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "event")]
pub enum Fact {
    /// The first event of a run.
    RunStarted {
        /// The experiment's name.
        experiment: String,
        /// Its trials, in the order of the plan.
        trials: Vec<Arc<Settled>>,
        /// Names of the trials that are services.
        services: Vec<Name>,
        /// Most trials at once.
        parallel: usize,
        /// Seed of the run.
        seed: u64,
        /// Where logs lie; absent: nowhere.
        #[serde(skip_serializing_if = "Option::is_none", default, serialize_with = "optional_path")]
        folder: Option<PathBuf>,
        /// The options in force.
        #[serde(default)]
        options: Box<Options>,
    },
    /// Another process goes on with the run, which the one before left behind or ended early.
    RunResumed {
        /// Most trials at once.
        parallel: usize,
        /// Trials that are to be run, or whose attempts are to be found.
        open: usize,
        /// The options in force from now on; absent: those of before.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        options: Option<Box<Options>>,
    },
    /// The daemon on which the trials of an engine run from now on.
    DaemonReached {
        /// The engine.
        engine: EngineName,
        /// Who it is and where.
        #[serde(flatten)]
        daemon: Daemon,
    },
    /// What an image's name stands for in this run.
    ImageResolved {
        /// The engine.
        engine: EngineName,
        /// The image as the spec names it.
        image: String,
        /// The id of its content: `sha256:...`.
        digest: String,
    },
    /// The engine does not answer; the run waits for it.
    EngineAway {
        /// The engine.
        engine: EngineName,
        /// What was heard last, as a clause.
        because: String,
    },
    /// The engine answers again.
    EngineBack {
        /// The engine.
        engine: EngineName,
        /// Seconds it was away.
        #[serde(with = "span")]
        elapsed: Duration,
    },
    /// A trial is not run, because it succeeded unchanged before.
    TrialReused {
        /// The trial.
        trial: Name,
        /// The run in which it succeeded.
        from: RunId,
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
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
        cores: Vec<u32>,
        /// GPUs of its own.
        #[serde(skip_serializing_if = "Vec::is_empty", default)]
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
    /// An attempt that was started in an earlier life of the run was found on its engine, running or ended.
    AttemptAdopted {
        /// The trial.
        trial: Name,
        /// From 1.
        attempt: u32,
        /// The engine's name for it.
        handle: Handle,
    },
    /// An attempt told something of itself.
    Recorded {
        /// The trial.
        trial: Name,
        /// From 1.
        attempt: u32,
        /// What.
        #[serde(flatten)]
        record: Record,
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
        #[serde(with = "span")]
        elapsed: Duration,
    },
    /// It stands still until it is let go on; others may have its CPUs.
    TrialPaused {
        /// The trial.
        trial: Name,
        /// Why, as a clause.
        because: String,
    },
    /// It goes on.
    TrialUnpaused {
        /// The trial.
        trial: Name,
    },
    /// It is being stopped.
    Stopping {
        /// The trial.
        trial: Name,
        /// Why, as a clause: "it ran longer than 2s".
        because: String,
        /// What that makes of its end.
        cause: Cause,
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
        #[serde(with = "span")]
        elapsed: Duration,
        /// Its logs; absent: none were kept.
        #[serde(skip_serializing_if = "Option::is_none")]
        logs: Option<Logs>,
        /// What it took of the machine, where the engine can say.
        #[serde(skip_serializing_if = "Option::is_none", default)]
        usage: Option<Box<Usage>>,
        /// Whether what is left of it stays on the engine, for `kill`.
        #[serde(skip_serializing_if = "std::ops::Not::not", default)]
        kept: bool,
        /// Whether something of its logs or outputs could not be written: a full disk.
        #[serde(skip_serializing_if = "std::ops::Not::not", default)]
        incomplete: bool,
    },
    /// What could not be written of an ended attempt's logs and outputs was fetched from what was kept of it.
    AttemptFetched {
        /// The trial.
        trial: Name,
        /// From 1.
        attempt: u32,
        /// Its logs; absent: none were kept.
        #[serde(skip_serializing_if = "Option::is_none")]
        logs: Option<Logs>,
        /// Whether what is left of it stays on the engine still.
        #[serde(skip_serializing_if = "std::ops::Not::not", default)]
        kept: bool,
    },
    /// An attempt's outputs were copied out of it, as far as they could be.
    OutputsCollected {
        /// The trial.
        trial: Name,
        /// From 1.
        attempt: u32,
        /// The folder they lie in.
        #[serde(serialize_with = "files::path")]
        folder: PathBuf,
        /// The files, by path.
        files: Vec<Collected>,
    },
    /// A trial's outputs were sent to where they were asked to go.
    OutputsSent {
        /// The trial.
        trial: Name,
        /// Where they lie now: `s3://bucket/prefix/experiment/run/trial/`.
        url: String,
        /// Files that were sent.
        files: usize,
        /// Bytes in them.
        bytes: u64,
    },
    /// A failed attempt will be repeated.
    RetryScheduled {
        /// The trial.
        trial: Name,
        /// The attempt to come, from 2.
        attempt: u32,
        /// Seconds until then.
        #[serde(with = "span")]
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
        #[serde(with = "span")]
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
        trial: Arc<Settled>,
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
        #[serde(with = "span")]
        elapsed: Duration,
    },
    /// The halt policy was reached.
    Halted {
        /// Why, as a clause: "3 trials failed (`soon,fail=3`)".
        because: String,
    },
    /// The store was removed or replaced while the run goes on, and was made again with what is known of the run.
    StoreRestored {
        /// Ended attempts whose logs went with it.
        lost: usize,
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
        #[serde(with = "span")]
        elapsed: Duration,
        /// Events before it that the store lacks.
        #[serde(skip_serializing_if = "is_zero", default)]
        unkept: usize,
    },
}

fn is_zero(number: &usize) -> bool {
    *number == 0
}

impl Fact {
    /// The trial it is about, if it is about one.
    pub fn trial(&self) -> Option<&Name> {
        match self {
            Self::TrialReused { trial, .. }
            | Self::AttemptStarting { trial, .. }
            | Self::AttemptStarted { trial, .. }
            | Self::AttemptAdopted { trial, .. }
            | Self::Recorded { trial, .. }
            | Self::Healthy { trial }
            | Self::Unhealthy { trial }
            | Self::Slow { trial, .. }
            | Self::TrialPaused { trial, .. }
            | Self::TrialUnpaused { trial }
            | Self::Stopping { trial, .. }
            | Self::AttemptEnded { trial, .. }
            | Self::AttemptFetched { trial, .. }
            | Self::OutputsCollected { trial, .. }
            | Self::OutputsSent { trial, .. }
            | Self::RetryScheduled { trial, .. }
            | Self::TrialEnded { trial, .. }
            | Self::TrialReopened { trial } => Some(trial),
            Self::TrialSubmitted { trial } => Some(&trial.name),
            _ => None,
        }
    }
}

/// Why an attempt is stopped that nobody asked to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Cause {
    /// Nothing needs the service any more.
    Unneeded,
    /// It ran for too long.
    TimedOut,
    /// Going on was not worth it.
    Pruned,
}

/// Why a run ended before its work was done.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "by", content = "message")]
pub enum Early {
    /// The halt policy was reached; what was counted.
    Halted(String),
    /// It was cancelled; by whom.
    Cancelled(String),
    /// The engine is out of reach; what it said.
    Unreachable(String),
    /// It was killed when its combu was dead already, and is not to go on; by what.
    Killed(String),
}
