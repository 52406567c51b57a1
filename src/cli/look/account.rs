//! What a run's events tell beyond its summary: its options and images, and each attempt of its trials.

use std::collections::HashMap;
use std::time::Duration;

use crate::model::event::{Event, Fact, Logs, Usage};
use crate::model::handle::Handle;
use crate::model::name::{EngineName, Name};
use crate::model::options::Options;
use crate::model::outcome::Outcome;
use crate::model::summary::Summary;
use crate::store::{Kinds, PastRun, StoreError};

/// What trials told of themselves may be a hundred times as much as everything else.
const TOLD: [&str; 1] = ["recorded"];

/// What is known of a run.
#[derive(Debug, Default)]
pub(crate) struct Account {
    pub(crate) summary: Summary,
    pub(crate) options: Options,
    pub(crate) seed: u64,
    /// Most trials at once.
    pub(crate) parallel: usize,
    /// Engine, image and digest.
    pub(crate) images: Vec<(EngineName, String, String)>,
    /// Milliseconds since 1970-01-01 UTC, of each time that another process went on with it.
    pub(crate) resumed: Vec<u64>,
    /// Milliseconds since 1970-01-01 UTC, of its last event.
    pub(crate) last: u64,
    trials: HashMap<Name, Lives>,
}

/// What is known of a trial's attempts.
#[derive(Debug, Default)]
pub(crate) struct Lives {
    /// In order.
    pub(crate) attempts: Vec<PastAttempt>,
    /// When its next attempt is due, in milliseconds since 1970-01-01 UTC.
    pub(crate) due: Option<u64>,
    /// Where its outputs lie: on this machine, or where they were sent to.
    pub(crate) outputs: Vec<String>,
}

/// One attempt.
#[derive(Debug)]
pub(crate) struct PastAttempt {
    /// From 1.
    pub(crate) number: u32,
    /// When it was handed to the engine, and when the engine had started it.
    pub(crate) starting: u64,
    pub(crate) started: Option<u64>,
    pub(crate) ended: Option<u64>,
    pub(crate) handle: Option<Handle>,
    pub(crate) gpus: Vec<String>,
    pub(crate) outcome: Option<Outcome>,
    /// From the start to the end.
    pub(crate) elapsed: Duration,
    pub(crate) logs: Option<Logs>,
    pub(crate) usage: Option<Usage>,
    /// What is worth a look: that it is slow, or being stopped.
    pub(crate) note: Option<String>,
}

impl Account {
    /// Everything that is known of a run.
    pub(crate) fn of(run: &PastRun) -> Result<Self, StoreError> {
        Self::read(run, Kinds::All)
    }

    /// Without what its trials told, and much faster where they told much.
    pub(crate) fn without_records(run: &PastRun) -> Result<Self, StoreError> {
        Self::read(run, Kinds::But(&TOLD))
    }

    fn read(run: &PastRun, kinds: Kinds<'_>) -> Result<Self, StoreError> {
        let mut account = Self::default();
        run.follow().read(kinds, |event| account.add(&event))?;
        Ok(account)
    }

    /// What is known of a trial's attempts; nothing where it had none.
    pub(crate) fn lives(&self, trial: &Name) -> Option<&Lives> {
        self.trials.get(trial)
    }

    fn add(&mut self, event: &Event) {
        self.summary.add(event);
        self.last = self.last.max(event.at);
        match &event.fact {
            Fact::RunStarted { options, seed, parallel, .. } => {
                (self.options, self.seed, self.parallel) = ((**options).clone(), *seed, *parallel);
            }
            Fact::RunResumed { parallel, .. } => {
                self.parallel = *parallel;
                self.resumed.push(event.at);
            }
            Fact::ImageResolved { engine, image, digest } => {
                self.images.push((*engine, image.clone(), digest.clone()));
            }
            fact => {
                if let Some(trial) = fact.trial() {
                    if !self.trials.contains_key(trial) {
                        self.trials.insert(trial.clone(), Lives::default());
                    }
                    if let Some(lives) = self.trials.get_mut(trial) {
                        lives.add(event.at, fact);
                    }
                }
            }
        }
    }
}

impl Lives {
    fn add(&mut self, at: u64, fact: &Fact) {
        match fact {
            Fact::AttemptStarting { attempt, gpus, .. } => {
                self.due = None;
                let gpus = gpus.clone();
                self.attempts.push(PastAttempt { gpus, ..PastAttempt::new(*attempt, at) });
            }
            Fact::AttemptStarted { handle, .. } | Fact::AttemptAdopted { handle, .. } => {
                self.change(|attempt| {
                    // It has run since it was started, whoever saw that.
                    attempt.started.get_or_insert(at);
                    attempt.handle = Some(handle.clone());
                });
            }
            Fact::Slow { .. } => self.note("slow"),
            Fact::Unhealthy { .. } => self.note("unhealthy"),
            Fact::Stopping { because, .. } => self.note(&format!("stopping: {because}")),
            Fact::AttemptEnded { outcome, elapsed, logs, usage, .. } => self.change(|attempt| {
                attempt.ended = Some(at);
                attempt.outcome = Some(outcome.clone());
                attempt.elapsed = *elapsed;
                attempt.logs.clone_from(logs);
                attempt.usage = usage.as_deref().copied();
                attempt.note = None;
            }),
            Fact::RetryScheduled { delay, .. } => {
                self.due = Some(at.saturating_add(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)));
            }
            Fact::TrialEnded { .. } => self.due = None,
            Fact::OutputsCollected { folder, .. } => self.outputs.push(folder.display().to_string()),
            Fact::OutputsSent { url, .. } => self.outputs.push(url.clone()),
            _ => {}
        }
    }

    fn note(&mut self, note: &str) {
        self.change(|attempt| attempt.note = Some(note.to_owned()));
    }

    fn change(&mut self, change: impl FnOnce(&mut PastAttempt)) {
        if let Some(attempt) = self.attempts.last_mut() {
            change(attempt);
        }
    }
}

impl PastAttempt {
    fn new(number: u32, starting: u64) -> Self {
        Self {
            number,
            starting,
            started: None,
            ended: None,
            handle: None,
            gpus: Vec::new(),
            outcome: None,
            elapsed: Duration::ZERO,
            logs: None,
            usage: None,
            note: None,
        }
    }
}
