//! The history of a run: everything that its events tell, for looks at it and for whoever goes on with it. Pure.
//!
//! A life is what one process saw of a run. It ends with `RunEnded`, or in the middle of something when that process is
//! killed; since events are kept before anything follows from them, what was begun is known either way.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::model::capability::Daemon;
use crate::model::command::Command;
use crate::model::event::{Cause, Collected, Early, Event, Fact, Logs, Usage};
use crate::model::experiment::Experiment;
use crate::model::handle::Handle;
use crate::model::name::{EngineName, Name, RunId};
use crate::model::options::{Budget, Options};
use crate::model::outcome::Outcome;
use crate::model::pruning::{PruneVerdict, Pruning};
use crate::model::retry::{Next, Repeats};
use crate::model::summary::{Summary, TrialResult};
use crate::model::trial::Trial;
use crate::model::trial::settled::Settled;

/// What the events of a run tell, in all its lives so far.
#[derive(Debug, Clone, Default)]
pub struct History {
    /// Its trials, their states and results.
    pub summary: Summary,
    /// Its seed.
    pub seed: u64,
    /// Most trials at once.
    pub parallel: usize,
    /// The daemons on which its trials ran, in order.
    pub daemons: Vec<(EngineName, Daemon)>,
    /// Engine, image and digest.
    pub images: Vec<(EngineName, String, String)>,
    /// Milliseconds since 1970-01-01 UTC, of each time that another process went on with it.
    pub resumed: Vec<u64>,
    /// Rows of the store that tell something of it and that could not be read.
    pub unread: Vec<UnreadRow>,
    /// Changes of its budget, in order.
    pub(crate) changes: Vec<Budget>,
    /// Whether its attempts stood still at the end.
    pub(crate) paused: bool,
    /// Whether the last life ended early, or was about to.
    pub(crate) stopped: bool,
    /// What its rules know, by which trials end early.
    pub(crate) pruning: Pruning,
    /// One for each result of the summary.
    trials: Vec<TrialHistory>,
    /// Milliseconds since 1970-01-01 UTC: the first and the last event of the last life.
    life: (u64, u64),
    /// Time of the lives before that.
    lived: Duration,
}

/// A row of the store that cannot be read: it is damaged, or another version of combu wrote it. The others count without it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct UnreadRow {
    /// The run.
    pub run: RunId,
    /// Its number in the table of events.
    pub row: i64,
    /// The kind of event, as it says itself.
    pub kind: String,
    /// Why it cannot be read.
    pub problem: String,
}

impl fmt::Display for UnreadRow {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { run, row, kind, problem } = self;
        // Whatever stands there, it moves no cursor.
        let (kind, problem) = (kind.escape_debug(), problem.escape_debug());
        write!(
            f,
            "row {row} of run {run} in the store (`{kind}`) cannot be read and is left out: it is damaged, or another version \
             of combu wrote it: {problem}"
        )
    }
}

/// What is known of a trial beyond its result.
#[derive(Debug, Clone)]
pub struct TrialHistory {
    /// The trial as it was planned, or submitted.
    pub planned: Arc<Settled>,
    /// In order.
    pub attempts: Vec<PastAttempt>,
    /// When its next attempt is due, in milliseconds since 1970-01-01 UTC; absent: none is waited for.
    pub due: Option<u64>,
    /// Where its outputs lie: on this machine, or where they were sent to.
    pub outputs: Vec<String>,
    pub(crate) repeats: Repeats,
    /// How its last attempt ended, if another was to follow.
    pub(crate) last: Option<Outcome>,
    pub(crate) healthy: bool,
    pub(crate) unhealthy: bool,
    /// Why its attempt was being pruned.
    pub(crate) pruned: Option<String>,
    /// That it stands still for itself, if it does.
    pub(crate) paused: Option<TrialPause>,
    /// Whether someone asked to kill just this one.
    pub(crate) killed: bool,
    /// Whether it ended because the run did, though another attempt was to follow.
    cut: bool,
}

/// One attempt.
#[derive(Debug, Clone, Default)]
pub struct PastAttempt {
    /// From 1.
    pub number: u32,
    /// When it was handed to the engine, in milliseconds since 1970-01-01 UTC.
    pub starting: u64,
    /// When the engine had started it; absent: whether it was started is not known.
    pub started: Option<u64>,
    /// When it ended.
    pub ended: Option<u64>,
    /// What the engine calls it.
    pub handle: Option<Handle>,
    /// Cores of its own.
    pub cores: Vec<u32>,
    /// GPUs of its own.
    pub gpus: Vec<String>,
    /// Why it was being stopped, if nobody asked for that.
    pub cause: Option<Cause>,
    /// How it ended.
    pub outcome: Option<Outcome>,
    /// From the start to the end.
    pub elapsed: Duration,
    /// Its logs, once it ended.
    pub logs: Option<Logs>,
    /// What it took of the machine.
    pub usage: Option<Usage>,
    /// What is worth a look: that it is slow, or being stopped.
    pub note: Option<String>,
    /// Whether what is left of it was to stay on the engine.
    pub kept: bool,
    /// Whether something of its logs or outputs could not be written.
    pub incomplete: bool,
}

/// That a trial stands still while it runs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct TrialPause {
    /// Why, as a clause.
    pub(crate) because: String,
    /// Whether it is to go on once there is room.
    pub(crate) may_end: bool,
}

impl History {
    /// Takes one more event into account.
    pub fn add(&mut self, event: &Event) {
        self.summary.add(event);
        // Who is to end or to stand still was told so, or is when it goes on; who is to go on may wait for room.
        for (trial, verdict) in self.pruning.add(&event.fact) {
            if verdict == PruneVerdict::GoOn {
                self.goes_on(&trial);
            }
        }
        self.life.1 = self.life.1.max(event.at);
        match &event.fact {
            Fact::RunStarted { trials, seed, parallel, options, .. } => {
                self.pruning = Pruning::new(options);
                (self.seed, self.parallel, self.life.0) = (*seed, *parallel, event.at);
                self.trials.extend(trials.iter().map(TrialHistory::new));
            }
            Fact::RunResumed { parallel, .. } => {
                (self.lived, self.parallel) = (self.lived(), *parallel);
                // What lies between two lives was nobody's time.
                self.life = (event.at, event.at);
                self.resumed.push(event.at);
                (self.stopped, self.paused) = (false, false);
            }
            Fact::DaemonReached { engine, daemon } => self.daemons.push((*engine, daemon.clone())),
            Fact::ImageResolved { engine, image, digest } => {
                self.images.push((*engine, image.clone(), digest.clone()));
            }
            Fact::TrialSubmitted { trial } => self.trials.push(TrialHistory::new(trial)),
            Fact::CommandTaken { command } => self.take(command),
            Fact::Halted { .. } => self.stopped = true,
            // What was killed is not to go on.
            Fact::RunEnded { early, .. } => self.stopped = !matches!(early, None | Some(Early::Killed(_))),
            fact => {
                let stopped = self.stopped;
                if let Some(place) = fact.trial().and_then(|name| self.summary.place(name)) {
                    self.trials[place].add(event.at, fact, stopped);
                }
            }
        }
    }

    /// A paused trial goes on once there is room.
    fn goes_on(&mut self, trial: &Name) {
        let trial = self.summary.place(trial).map(|place| &mut self.trials[place]);
        trial.and_then(|trial| trial.paused.as_mut()).into_iter().for_each(|pause| pause.may_end = true);
    }

    fn take(&mut self, command: &Command) {
        match command {
            Command::Cancel { .. } | Command::Drain { .. } => (self.stopped, self.paused) = (true, false),
            Command::Kill { trial, .. } => {
                if let Some(place) = self.summary.place(trial) {
                    self.trials[place].killed = true;
                }
            }
            Command::Set { change } => self.changes.push((**change).clone()),
            Command::Pause { .. } => self.paused = true,
            Command::Unpause { .. } => self.paused = false,
            // The summary takes the first into account; the others are told as events of their own.
            Command::Retry { .. } | Command::Submit { .. } | Command::Prune { .. } | Command::PauseTrial { .. } => {}
            Command::UnpauseTrial { trial } => self.goes_on(trial),
        }
    }

    /// The last daemon on which the trials of that engine were run.
    pub fn daemon(&self, engine: EngineName) -> Option<&Daemon> {
        self.daemons.iter().rev().find(|(name, _)| *name == engine).map(|(_, daemon)| daemon)
    }

    /// Whether something may be left of it on its engines.
    pub fn may_have_left_something(&self) -> bool {
        !self.left_on().is_empty()
    }

    /// The engines on which something may be left of it: an attempt that has not ended, or one that was kept.
    pub fn left_on(&self) -> BTreeSet<EngineName> {
        let is_left = |attempt: &PastAttempt| attempt.outcome.is_none() || attempt.kept;
        self.trials
            .iter()
            .filter(|trial| trial.attempts.iter().any(is_left))
            .map(|trial| trial.planned.engine)
            .collect()
    }

    /// Whether it has begun.
    pub fn has_begun(&self) -> bool {
        self.summary.run.is_some()
    }

    /// When its last event happened, in milliseconds since 1970-01-01 UTC.
    pub fn last(&self) -> u64 {
        self.life.1
    }

    /// Time of all its lives so far.
    pub(crate) fn lived(&self) -> Duration {
        self.lived + Duration::from_millis(self.life.1.saturating_sub(self.life.0))
    }

    /// What is known of the trial of that name beyond its result.
    pub fn trial(&self, name: &Name) -> Option<&TrialHistory> {
        self.summary.place(name).map(|place| &self.trials[place])
    }

    /// Its trials as they were planned, or submitted.
    pub fn planned(&self) -> impl Iterator<Item = &Settled> {
        self.trials.iter().map(|trial| &*trial.planned)
    }

    /// All that is known of the trial of that name.
    pub(crate) fn get(&self, name: &Name) -> Option<(&TrialResult, &TrialHistory)> {
        self.summary.get(name).zip(self.trial(name))
    }

    /// The contents that the run used of images, by engine and name.
    pub fn contents(&self) -> BTreeMap<(EngineName, String), String> {
        let contents = self.images.iter();
        contents.map(|(engine, image, digest)| ((*engine, image.clone()), digest.clone())).collect()
    }

    /// What the names of images stood for.
    pub fn digests(&self) -> BTreeMap<String, String> {
        self.images.iter().map(|(_, image, digest)| (image.clone(), digest.clone())).collect()
    }

    /// Whether that trial is still to be run: it has not ended, or did only because the run was ended early.
    pub(crate) fn is_open(&self, name: &Name) -> bool {
        self.summary.get(name).is_none_or(|result| result.outcome().is_none()) || self.reopens(name)
    }

    /// How many trials are still to be run.
    pub fn open(&self) -> usize {
        self.summary.results.iter().filter(|result| self.is_open(&result.trial.name)).count()
    }

    /// Whether that trial ended only because the run was ended early.
    pub(crate) fn reopens(&self, name: &Name) -> bool {
        self.stopped
            && self.get(name).is_some_and(|(result, trial)| match result.outcome() {
                Some(Outcome::Killed) => !trial.killed,
                Some(Outcome::Skipped { .. }) => true,
                Some(_) => trial.cut,
                None => false,
            })
    }

    /// Whether something of that ended attempt was to stay on the engine.
    pub(crate) fn keeps(&self, name: &Name, number: u32) -> bool {
        let is_kept = |attempt: &PastAttempt| attempt.number == number && attempt.kept;
        self.trial(name).is_some_and(|trial| trial.attempts.iter().any(is_kept))
    }

    /// Whether an ended attempt that is left on its engine has something that is not kept here: its end, or a part of its
    /// logs or outputs.
    pub fn needs(&self, name: &Name, number: u32) -> bool {
        let attempts = self.trial(name).map(|trial| trial.attempts.as_slice()).unwrap_or_default();
        let attempt = attempts.iter().rev().find(|attempt| attempt.number == number);
        attempt.is_none_or(|attempt| attempt.outcome.is_none() || attempt.incomplete)
    }

    /// Whether containers may be left that hold logs or outputs which could not be written.
    pub fn has_unfetched(&self) -> bool {
        self.trials
            .iter()
            .any(|trial| trial.planned.image.is_some() && trial.attempts.iter().any(PastAttempt::is_unfetched))
    }

    /// The experiment as it was, to be planned again; `spec` and `id` are what its record says.
    pub fn experiment(&self, spec: PathBuf, id: String) -> Experiment {
        let trials = self.summary.results.iter().map(|TrialResult { trial, .. }| {
            // Both are said and not found out again: trials that were added since, or other options, may say otherwise.
            let (engine, service) = (Some(trial.engine), Some(trial.service));
            Arc::new(Trial { engine, service, ..trial.to_ask_again() })
        });
        let options = Options { seed: Some(self.seed), ..(*self.summary.options).clone() };
        Experiment { name: self.summary.experiment.clone(), id, spec, options, trials: trials.collect() }
    }
}

impl TrialResult {
    /// Its outputs, if they were not sent anywhere.
    pub fn unsent(&self) -> Option<&[Collected]> {
        let is_unsent = self.outputs_url.is_none() && self.outputs.iter().any(Collected::is_file);
        is_unsent.then_some(&self.outputs)
    }
}

impl PastAttempt {
    fn end(&mut self, at: u64, fact: &Fact) {
        let Fact::AttemptEnded { outcome, elapsed, logs, usage, kept, incomplete, .. } = fact else { return };
        self.ended = Some(at);
        self.outcome = Some(outcome.clone());
        self.elapsed = *elapsed;
        self.logs.clone_from(logs);
        self.usage = usage.as_deref().copied();
        self.note = None;
        (self.kept, self.incomplete) = (*kept, *incomplete);
    }

    /// Whether what is left of it has logs or outputs that could not be written.
    pub(crate) fn is_unfetched(&self) -> bool {
        self.outcome.is_some() && self.kept && self.incomplete
    }
}

impl TrialHistory {
    fn new(planned: &Arc<Settled>) -> Self {
        Self {
            planned: planned.clone(),
            attempts: Vec::new(),
            due: None,
            outputs: Vec::new(),
            repeats: Repeats::default(),
            last: None,
            healthy: false,
            unhealthy: false,
            pruned: None,
            paused: None,
            killed: false,
            cut: false,
        }
    }

    fn add(&mut self, at: u64, fact: &Fact, stopped: bool) {
        match fact {
            Fact::AttemptStarting { attempt, cores, gpus, .. } => {
                (self.due, self.pruned, self.paused) = (None, None, None);
                (self.healthy, self.unhealthy) = (false, false);
                let (cores, gpus) = (cores.clone(), gpus.clone());
                self.attempts.push(PastAttempt {
                    number: *attempt,
                    starting: at,
                    cores,
                    gpus,
                    ..PastAttempt::default()
                });
            }
            Fact::AttemptStarted { handle, .. } | Fact::AttemptAdopted { handle, .. } => {
                self.change(|attempt| {
                    // It has run since it was started, whoever saw that.
                    attempt.started.get_or_insert(at);
                    attempt.handle = Some(handle.clone());
                });
            }
            Fact::Healthy { .. } => self.healthy = true,
            Fact::Unhealthy { .. } => {
                self.unhealthy = true;
                self.change(|attempt| attempt.note = Some("unhealthy".to_owned()));
            }
            Fact::Slow { .. } => self.change(|attempt| attempt.note = Some("slow".to_owned())),
            Fact::TrialPaused { because, .. } => self.pause(Some(because)),
            Fact::TrialUnpaused { .. } => self.pause(None),
            Fact::Stopping { because, cause, .. } => {
                self.paused = None;
                self.pruned = (*cause == Cause::Pruned).then(|| because.clone());
                self.change(|attempt| {
                    attempt.note = Some(format!("stopping: {because}"));
                    attempt.cause = Some(*cause);
                });
            }
            Fact::AttemptEnded { .. } => {
                self.paused = None;
                self.change(|attempt| attempt.end(at, fact));
            }
            Fact::AttemptFetched { attempt: number, logs, kept, .. } => {
                for attempt in self.attempts.iter_mut().filter(|attempt| attempt.number == *number) {
                    attempt.logs.clone_from(logs);
                    (attempt.incomplete, attempt.kept) = (false, *kept);
                }
            }
            Fact::RetryScheduled { delay, memory, .. } => self.is_to_run_again(at, *delay, *memory),
            Fact::TrialEnded { .. } => {
                self.cut = stopped && self.due.is_some();
                self.due = None;
            }
            Fact::TrialReopened { .. } => {
                (self.repeats, self.last, self.killed, self.cut) = (Repeats::default(), None, false, false);
                (self.healthy, self.unhealthy) = (false, false);
            }
            Fact::OutputsCollected { folder, .. } => self.outputs.push(folder.display().to_string()),
            Fact::OutputsSent { url, .. } => self.outputs.push(url.clone()),
            _ => {}
        }
    }

    fn is_to_run_again(&mut self, at: u64, delay: Duration, memory: Option<u64>) {
        self.last = self.attempts.last().and_then(|attempt| attempt.outcome.clone());
        self.repeats.count(match (memory, &self.last) {
            (Some(memory), _) => Next::WithMemory(memory),
            (None, Some(Outcome::Lost { .. })) => Next::AfterLoss,
            (None, _) => Next::AfterFailure,
        });
        self.due = Some(at.saturating_add(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)));
    }

    /// It stands still for that reason, or goes on.
    fn pause(&mut self, because: Option<&String>) {
        self.paused = because.map(|because| TrialPause { because: because.clone(), may_end: false });
        self.change(|attempt| attempt.note = because.map(|because| format!("paused: {because}")));
    }

    fn change(&mut self, change: impl FnOnce(&mut PastAttempt)) {
        if let Some(attempt) = self.attempts.last_mut() {
            change(attempt);
        }
    }
}
