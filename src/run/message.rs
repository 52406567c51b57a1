//! Messages: what comes to the dispatcher from above and from attempts, and what it gives its follower.

use std::path::PathBuf;
use std::time::Duration;

use tokio::sync::oneshot;

use crate::engine::EngineError;
use crate::model::capability::Gpu;
use crate::model::command::Command;
use crate::model::event::{Collected, Event, Logs, Record, Usage};
use crate::model::handle::Handle;
use crate::model::name::{EngineName, Name};
use crate::model::outcome::Outcome;
use crate::plan::Problem;
use crate::run::uploads::Sent;

/// What comes from above.
#[derive(Debug)]
pub(crate) enum Request {
    /// A command, and who is to hear at once whether it is refused, beside the events.
    Do { command: Command, answer: Option<oneshot::Sender<Result<(), Refusal>>> },
    /// The run may end, if nothing came since it said for that time that nothing is left to do.
    Close { time: u64 },
    /// What that trial waits for; when it is not in the run, the trial with the nearest name.
    Why { trial: Name, answer: oneshot::Sender<Result<Vec<String>, Option<Name>>> },
}

/// What the dispatcher gives its follower.
#[derive(Debug)]
pub(crate) enum Notice {
    /// Facts, in order.
    Events(Vec<Event>),
    /// Nothing is left to do, for that time: the run ends when it is asked to with that number, unless a command is taken
    /// before.
    Drained(u64),
    /// A command was refused, and whoever sent it has heard so.
    Refused,
}

/// Why a run refuses a trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Refusal {
    /// A sentence that names the trial.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl Refusal {
    pub(crate) fn of(trial: &Name, what: &str, because: &str) -> Self {
        Self { message: format!("`{trial}` was not {what}: {because}"), hint: None }
    }

    /// The problems with a trial, each of which begins with its name.
    pub(crate) fn for_problems(trial: &Name, what: &str, problems: &[Problem]) -> Self {
        let name = format!("`{trial}` ");
        let clause = |problem: &Problem| {
            let text = problem.to_string();
            text.strip_prefix(&name).map_or_else(|| text.clone(), |rest| format!("it {rest}"))
        };
        let clauses: Vec<String> = problems.iter().map(clause).collect();
        let hint = problems.iter().find_map(Problem::hint);
        Self { hint, ..Self::of(trial, what, &clauses.join("; ")) }
    }
}

/// What an attempt tells the dispatcher.
#[derive(Debug)]
pub(crate) enum Message {
    /// About the attempt of the trial at that place.
    Attempt(usize, Stage),
    /// The delay after that attempt of the trial at that place is over.
    DelayOver(usize, u32),
    /// What an image's name stands for.
    Image { engine: EngineName, image: String, digest: String },
    /// The engine is preparing something.
    Preparing { engine: EngineName, object: String, state: String },
    /// The GPUs of an engine's host and who uses them, or why that is not known.
    Gpus(EngineName, Result<Vec<Gpu>, String>),
    /// That attempt of the trial at that place has ended and was not removed, because its end could not be kept.
    Unremoved(usize, u32),
    /// The outputs of the trial at that place were sent, or why not.
    Sent(usize, Result<Sent, String>),
    /// An engine did not answer an attempt; with what users should know if it is not away.
    OutOfSight { engine: EngineName, because: String, warning: Option<String> },
    /// An engine that did not answer was asked whether it is there.
    Sighted(EngineName, Result<(), String>),
    /// Something that users should know.
    Warning(String),
}

/// How far an attempt is.
#[derive(Debug)]
pub(crate) enum Stage {
    /// The engine started it.
    Started(Handle),
    /// It was started before, and is followed again.
    Adopted(Handle),
    /// It told something of itself.
    Recorded(Vec<Record>),
    /// Its healthcheck passed.
    Healthy,
    /// Its healthcheck failed for good, and whether it is being stopped for that.
    Unhealthy { stops: bool },
    /// It has run for so long that people are told.
    Slow(Duration),
    /// It is being stopped for its timeout, which is that long.
    TimedOut(Duration),
    /// Its outputs were copied into that folder, as far as they could be.
    Collected { folder: PathBuf, files: Vec<Collected> },
    /// It ended.
    Ended(End),
}

/// How an attempt ended.
#[derive(Debug)]
pub(crate) struct End {
    pub(crate) outcome: Outcome,
    pub(crate) elapsed: Duration,
    pub(crate) logs: Option<Logs>,
    pub(crate) usage: Option<Usage>,
    /// Whether another attempt could end otherwise.
    pub(crate) may_retry: bool,
    /// What the engine said, if it is out of reach.
    pub(crate) unreachable: Option<String>,
    /// Whether what is left of it stays on the engine.
    pub(crate) kept: bool,
    /// Whether something of its logs or outputs could not be written.
    pub(crate) incomplete: bool,
    /// Hears whether this end was kept: only then may what is left be removed.
    pub(crate) ack: Option<oneshot::Sender<bool>>,
}

impl End {
    pub(crate) fn bare(outcome: Outcome) -> Self {
        Self {
            outcome,
            elapsed: Duration::ZERO,
            logs: None,
            usage: None,
            may_retry: false,
            unreachable: None,
            kept: false,
            incomplete: false,
            ack: None,
        }
    }

    pub(crate) fn not_started(error: &EngineError) -> Self {
        let message = error.chain();
        if let EngineError::Lost { .. } = error {
            return Self { may_retry: true, ..Self::bare(Outcome::Lost { message }) };
        }
        let unreachable = matches!(error, EngineError::Unreachable { .. }).then(|| message.clone());
        let may_retry = matches!(error, EngineError::Call { .. });
        Self { may_retry, unreachable, ..Self::bare(Outcome::NotStarted { message }) }
    }
}
