//! Events: facts that happened in a run, in order. Everything shown, stored or hooked is made from them.

mod files;
mod record;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::command::Command;
use crate::model::handle::Handle;
use crate::model::name::{EngineName, Name, RunId};
use crate::model::options::Options;
use crate::model::outcome::Outcome;
use crate::model::span;
use crate::model::trial::settled::Settled;

pub use files::{Collected, Logs};
pub use record::{Record, Usage};

pub(in crate::model) use files::optional_path;

/// A fact and when it happened.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
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
    },
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
            | Self::Stopping { trial, .. }
            | Self::AttemptEnded { trial, .. }
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
}

/// Keeps a run's events before anything follows from them: what was launched can be found again after a crash.
pub trait Journal: fmt::Debug + Send {
    /// Keeps these events, all or none of them, after those before.
    ///
    /// # Errors
    /// When they could not be kept; the same events are brought again, with those that came since.
    fn keep(&mut self, events: &[Event]) -> std::io::Result<()>;
}

/// Something that consumes events: a report, a hook.
pub trait Sink {
    /// What messages call it: `progress`.
    fn name(&self) -> &'static str;

    /// Takes an event of an earlier life of the run, which was told then.
    fn recall(&mut self, _event: &Event) {}

    /// Takes one event.
    ///
    /// # Errors
    /// A failing sink is dropped with one warning; it never fails the run.
    fn consume(&mut self, event: &Event) -> std::io::Result<()>;
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use serde_json::json;

    use super::{Cause, Collected, Early, Event, Fact, Logs, Record, Usage};
    use crate::model::command::Command;
    use crate::model::handle::Handle;
    use crate::model::name::{EngineName, Name};
    use crate::model::options::{Budget, Halt, Options, Parallel};
    use crate::model::outcome::{Exit, Outcome};
    use crate::model::retry::{On, Retries};
    use crate::model::trial::{Timeout, Trial};

    fn name(text: &str) -> Name {
        Name::parse(text).unwrap()
    }

    fn trial() -> Trial {
        Trial {
            params: serde_json::from_value(json!({"学習率": 1e-5, "layers": [1, {"a": null}]})).unwrap(),
            timeout: Some(Timeout::OfMedian(300.0)),
            retries: Some(Retries {
                on: vec![On::Oom, On::Code(3)],
                delay: Duration::from_millis(1500),
                ..Retries::count(2)
            }),
            ..Trial::new(name("a1"))
        }
    }

    fn facts() -> Vec<Fact> {
        let (aa, attempt, elapsed) = (name("a1"), 2, Duration::from_millis(1_234));
        let handle = Handle { engine: EngineName::Docker, id: "0123".to_owned() };
        let logs = Logs { stdout: "/x/out".into(), stdout_bytes: 1, stderr: "/x/err".into(), stderr_bytes: u64::MAX };
        let usage = Usage { cpu_seconds: Some(1.25), peak_memory: Some(7), ..Usage::default() };
        let options = Options {
            budget: Budget { parallel: Some(Parallel::AllBut(1)), ..Budget::default() },
            halt: Halt::parse("soon,fail=10%").ok(),
            time_budget: Some(Duration::from_secs(1 << 60)),
            ..Options::default()
        };
        let metric = Record::Metric { name: "loss".to_owned(), value: 0.31, step: Some(4) };
        let tag = Record::Tag { name: "phase".to_owned(), value: json!("暖機") };
        let change = Budget { parallel: Some(Parallel::Percent(50.0)), ..Budget::default() };
        vec![
            Fact::RunStarted {
                experiment: "粒子法".to_owned(),
                trials: vec![Arc::new(trial().into())],
                services: vec![aa.clone()],
                parallel: 2,
                seed: u64::MAX,
                folder: Some("/state/runs/x".into()),
                options: Box::new(options),
            },
            Fact::AttemptStarting { trial: aa.clone(), attempt, cores: vec![3], gpus: vec!["0".to_owned()] },
            Fact::AttemptStarted { trial: aa.clone(), attempt, handle: handle.clone() },
            Fact::AttemptAdopted { trial: aa.clone(), attempt, handle },
            Fact::Recorded { trial: aa.clone(), attempt, record: metric },
            Fact::Recorded { trial: aa.clone(), attempt, record: tag },
            Fact::Stopping { trial: aa.clone(), because: "late".to_owned(), cause: Cause::TimedOut },
            Fact::AttemptEnded {
                trial: aa.clone(),
                attempt,
                outcome: Outcome::Failed { exit: Exit::Signal(9) },
                elapsed,
                logs: Some(logs),
                usage: Some(Box::new(usage)),
                kept: true,
            },
            Fact::OutputsCollected {
                trial: aa.clone(),
                attempt,
                folder: "/x/outputs".into(),
                files: vec![Collected { path: "a/b".to_owned(), bytes: 3, sha256: None }],
            },
            Fact::RetryScheduled { trial: aa.clone(), attempt: 3, delay: elapsed, memory: Some(1 << 40) },
            Fact::TrialEnded { trial: aa, attempts: 2, outcome: Outcome::Lost { message: "gone".to_owned() }, elapsed },
            Fact::CommandTaken { command: Command::Retry { trial: Box::new(trial()) } },
            Fact::CommandRefused { command: Command::Set { change: Box::new(change) }, message: "no".to_owned() },
            Fact::RunEnded { early: Some(Early::Cancelled("SIGINT".to_owned())), elapsed },
            Fact::RunEnded { early: None, elapsed: Duration::from_secs(3) },
        ]
    }

    #[test]
    fn every_event_reads_back_from_what_is_stored_of_it() {
        for fact in facts() {
            let event = Event { at: 1_795_000_000_000, run: "aaaaaaaaaaaa".into(), fact };
            let text = serde_json::to_string(&event).unwrap();
            match serde_json::from_str::<Event>(&text) {
                Ok(read) => assert_eq!(read, event, "{text}"),
                Err(error) => panic!("{error}: {text}"),
            }
        }
    }
}
