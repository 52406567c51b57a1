//! The summary: a fold over a run's events. The final table, the exit code and a script's result are made from it.

use std::collections::{BTreeMap, HashMap};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;
use serde_json::Value;

use crate::model::command::Command;
use crate::model::event::{Collected, Early, Event, Fact, Logs, Record, Usage, optional_path};
use crate::model::name::{EngineName, Name, RunId};
use crate::model::options::{Goal, Options, Sense};
use crate::model::outcome::Outcome;
use crate::model::span;
use crate::model::trial::settled::Settled;

/// What is known of a run after some of its events.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Summary {
    /// The run; absent before its first event.
    pub run: Option<RunId>,
    /// The experiment's name.
    pub experiment: String,
    /// One per trial, in the order of the plan.
    pub results: Vec<TrialResult>,
    /// Why the run ended early, if it did.
    pub early: Option<Early>,
    /// Seconds the run took; absent while it runs.
    #[serde(serialize_with = "span::optional::serialize")]
    pub elapsed: Option<Duration>,
    /// Warnings, in order.
    pub warnings: Vec<String>,
    /// Events that the store lacks.
    #[serde(skip)]
    pub unkept: usize,
    /// Ended attempts whose logs were removed with the store.
    #[serde(skip)]
    pub lost: usize,
    #[serde(skip)]
    places: HashMap<Name, usize>,
    /// Kept with each event: hooks ask for it at each.
    #[serde(skip)]
    counts: Counts,
    /// The options in force.
    #[serde(skip)]
    pub options: Box<Options>,
}

/// What is known of one trial.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TrialResult {
    /// The trial as it was last started.
    pub trial: Arc<Settled>,
    /// Whether it is a service.
    pub service: bool,
    /// What it is doing, or how it ended.
    pub state: State,
    /// Whether it stands still while it runs, until it is let go on.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub paused: bool,
    /// Attempts so far.
    pub attempts: u32,
    /// Whether it succeeded after an attempt that failed; one that the engine lost says nothing against it.
    pub flaky: bool,
    /// Whether an attempt has failed so far.
    #[serde(skip)]
    failed_before: bool,
    /// Attempts that its engine lost.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub lost_attempts: Vec<u32>,
    /// Seconds of its last attempt, once that ended.
    #[serde(serialize_with = "span::serialize")]
    pub elapsed: Duration,
    /// The run in which it succeeded, if it was not run again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reused: Option<RunId>,
    /// Logs of its last attempt.
    pub logs: Option<Logs>,
    /// Whether something of the logs or outputs of its last attempt could not be written.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub incomplete: bool,
    /// What its last attempt took of the machine, once that ended and where the engine could say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usage: Option<Usage>,
    /// What its last attempt told of each metric so far.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub metrics: BTreeMap<String, Metric>,
    /// The tags of its last attempt.
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    pub tags: BTreeMap<String, Value>,
    /// The files that its last attempt named, in order.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub artifacts: Vec<String>,
    /// Where the outputs of its last attempt lie, if it was asked for any.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_path")]
    pub outputs_folder: Option<PathBuf>,
    /// The files among them, by path.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub outputs: Vec<Collected>,
    /// Where they were sent, once they were.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outputs_url: Option<String>,
}

impl TrialResult {
    /// The value of the goal's metric that counts, if it was told.
    pub fn toward(&self, goal: &Goal) -> Option<f64> {
        let metric = self.metrics.get(&*goal.metric)?;
        Some(match (goal.over_all, goal.sense) {
            (false, _) => metric.last,
            (true, Sense::Min) => metric.min,
            (true, Sense::Max) => metric.max,
        })
    }

    /// The same of a trial that succeeded: the others do not count.
    pub fn reached(&self, goal: &Goal) -> Option<f64> {
        self.toward(goal).filter(|_| self.outcome().is_some_and(Outcome::is_success))
    }
}

/// What was told of a metric.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub struct Metric {
    /// The value told last.
    pub last: f64,
    /// The step it was told for, if one was said.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub step: Option<u64>,
    /// The smallest value.
    pub min: f64,
    /// The largest value.
    pub max: f64,
    /// How many values there were.
    pub count: u64,
}

/// What a trial is doing, or how it ended.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It waits for prerequisites, room or a retry.
    Waiting,
    /// The engine is starting it.
    Starting,
    /// It runs, since that time (milliseconds since 1970-01-01 UTC).
    Running(u64),
    /// It ended so.
    Ended(Outcome),
}

impl State {
    /// The word for it: `waiting`, `starting`, `running`, or the outcome's.
    pub fn status(&self) -> &'static str {
        match self {
            Self::Waiting => "waiting",
            Self::Starting => "starting",
            Self::Running(_) => "running",
            Self::Ended(outcome) => outcome.status(),
        }
    }
}

impl TrialResult {
    /// Takes one more fact about it into account.
    fn add(&mut self, at: u64, fact: &Fact) {
        match fact {
            Fact::AttemptStarting { attempt, .. } => {
                self.state = State::Starting;
                self.attempts = *attempt;
                self.forget();
            }
            Fact::AttemptStarted { .. } => self.state = State::Running(at),
            // It has run since it was started, whoever saw that.
            Fact::AttemptAdopted { .. } => {
                if !matches!(self.state, State::Running(_)) {
                    self.state = State::Running(at);
                }
                self.forget();
            }
            Fact::Recorded { record, .. } => self.record(record),
            Fact::TrialPaused { .. } => self.paused = true,
            Fact::TrialUnpaused { .. } | Fact::Stopping { .. } => self.paused = false,
            Fact::OutputsCollected { folder, files, .. } => {
                self.outputs_folder = Some(folder.clone());
                self.outputs.clone_from(files);
            }
            Fact::OutputsSent { url, .. } => self.outputs_url = Some(url.clone()),
            Fact::AttemptEnded { attempt, outcome, elapsed, logs, usage, incomplete, .. } => {
                (self.state, self.paused) = (State::Waiting, false);
                self.lost_attempts.extend(matches!(outcome, Outcome::Lost { .. }).then_some(*attempt));
                self.incomplete = *incomplete;
                self.failed_before |= outcome.is_failure() && !matches!(outcome, Outcome::Lost { .. });
                self.elapsed = *elapsed;
                self.logs.clone_from(logs);
                self.usage = usage.as_deref().copied();
            }
            Fact::AttemptFetched { attempt, logs, .. } if *attempt == self.attempts => {
                self.incomplete = false;
                self.logs.clone_from(logs);
            }
            Fact::TrialEnded { outcome, elapsed, attempts, .. } => {
                self.state = State::Ended(outcome.clone());
                self.flaky = outcome.is_success() && self.failed_before;
                // Of one that was not run again there may be known what it took then.
                if self.reused.is_none() {
                    (self.attempts, self.elapsed) = (*attempts, *elapsed);
                }
            }
            Fact::RetryScheduled { memory: Some(memory), .. } => Arc::make_mut(&mut self.trial).memory = Some(*memory),
            Fact::TrialReused { from, .. } => self.reused = Some(from.clone()),
            Fact::TrialReopened { .. } => {
                self.reused = None;
                self.state = State::Waiting;
                self.flaky = false;
            }
            _ => {}
        }
    }

    /// Decides anew what the trial leaves to the run; it stays on its engine.
    fn settle(&mut self, options: &Options) {
        let Settled { written, engine, service, memory, .. } = (*self.trial).clone();
        let settled = Settled::new(written, &options.defaults, service);
        self.trial = Arc::new(Settled { engine, memory, ..settled });
    }

    /// An attempt begins, or is followed anew and tells everything again.
    fn forget(&mut self) {
        self.incomplete = false;
        self.usage = None;
        self.metrics.clear();
        self.tags.clear();
        self.artifacts.clear();
        self.outputs_folder = None;
        self.outputs.clear();
        self.outputs_url = None;
    }

    fn record(&mut self, record: &Record) {
        match record {
            Record::Metric { name, value, step } => {
                let (value, step) = (*value, *step);
                let first = Metric { last: value, step, min: value, max: value, count: 0 };
                let metric = self.metrics.entry(name.clone()).or_insert(first);
                let (min, max, count) = (metric.min.min(value), metric.max.max(value), metric.count + 1);
                *metric = Metric { last: value, step, min, max, count };
            }
            Record::Tag { name, value } => drop(self.tags.insert(name.clone(), value.clone())),
            Record::Artifact { path } if self.artifacts.contains(path) => {}
            Record::Artifact { path } => self.artifacts.push(path.clone()),
        }
    }

    /// `paused`, or the word for its state.
    pub fn status(&self) -> &'static str {
        if self.paused { "paused" } else { self.state.status() }
    }

    /// How it ended, if it did.
    pub fn outcome(&self) -> Option<&Outcome> {
        match &self.state {
            State::Ended(outcome) => Some(outcome),
            _ => None,
        }
    }
}

/// How many trials are in which state.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
pub struct Counts {
    /// All of them.
    pub total: usize,
    /// Succeeded, or services that were stopped.
    pub succeeded: usize,
    /// Those of them that are flaky.
    pub flaky: usize,
    /// Those of them that succeeded in an earlier run and were not run again.
    pub reused: usize,
    /// Ended badly.
    pub failed: usize,
    /// Never started.
    pub skipped: usize,
    /// Stopped on request.
    pub killed: usize,
    /// Ended early because going on was not worth it.
    pub pruned: usize,
    /// Starting or running.
    pub running: usize,
    /// Those of them that stand still until they are let go on.
    pub paused: usize,
    /// Still to come.
    pub waiting: usize,
}

impl Counts {
    /// The numbers in which a trial is counted.
    fn of(&mut self, result: &TrialResult) -> impl Iterator<Item = &mut usize> {
        let Self { total, succeeded, flaky, reused, failed, skipped, killed, pruned, running, paused, waiting } = self;
        let state = match &result.state {
            State::Waiting => waiting,
            State::Starting | State::Running(_) => running,
            State::Ended(Outcome::Killed) => killed,
            State::Ended(Outcome::Pruned { .. }) => pruned,
            State::Ended(Outcome::Skipped { .. }) => skipped,
            State::Ended(outcome) if outcome.is_success() => succeeded,
            State::Ended(_) => failed,
        };
        let flaky = result.flaky.then_some(flaky);
        let reused = result.reused.is_some().then_some(reused);
        let paused = result.paused.then_some(paused);
        [Some(total), Some(state), flaky, reused, paused].into_iter().flatten()
    }
}

impl Summary {
    /// Takes one more event into account.
    pub fn add(&mut self, event: &Event) {
        if let Fact::AttemptStarting { trial, .. } | Fact::AttemptAdopted { trial, .. } = &event.fact {
            self.change(trial, TrialResult::forget);
        }
        match &event.fact {
            Fact::RunStarted { experiment, trials, options, .. } => {
                self.run = Some(event.run.clone());
                self.experiment.clone_from(experiment);
                self.options.clone_from(options);
                trials.iter().for_each(|trial| self.enter(trial));
            }
            Fact::RunResumed { options, .. } => {
                (self.early, self.elapsed) = (None, None);
                // A run may have had hundreds of lives: only other defaults decide anything anew.
                if let Some(options) = options.as_ref().filter(|options| options.defaults != self.options.defaults) {
                    self.results.iter_mut().for_each(|result| result.settle(options));
                }
                if let Some(options) = options {
                    self.options.clone_from(options);
                }
            }
            Fact::TrialSubmitted { trial } => self.enter(trial),
            Fact::CommandTaken { command: Command::Retry { trial } } => {
                let (written, options) = (Arc::new((**trial).clone()), self.options.clone());
                self.change(&trial.name, |result| {
                    result.trial = Arc::new(Settled::new(written, &options.defaults, result.service));
                });
            }
            Fact::Warned { message } | Fact::CommandRefused { message, .. } => self.warnings.push(message.clone()),
            Fact::StoreRestored { lost } => self.lost += lost,
            Fact::RunEnded { early, elapsed, unkept } => {
                self.early.clone_from(early);
                self.elapsed = Some(*elapsed);
                self.unkept = *unkept;
            }
            fact => {
                if let Some(name) = fact.trial() {
                    self.change(name, |result| result.add(event.at, fact));
                }
            }
        }
    }

    /// Whether trials of it were only rehearsed, by the fake engine.
    pub fn is_rehearsal(&self) -> bool {
        self.results.iter().any(|result| result.trial.engine == EngineName::Fake)
    }

    /// Whether everything of the run is there: its events, and the logs and outputs of its trials.
    pub fn is_whole(&self) -> bool {
        self.unkept == 0 && self.lost == 0 && self.results.iter().all(|result| !result.incomplete)
    }

    /// The result of the trial of that name.
    pub fn get(&self, name: &Name) -> Option<&TrialResult> {
        self.place(name).map(|place| &self.results[place])
    }

    /// The place of the trial of that name among the results.
    pub(super) fn place(&self, name: &Name) -> Option<usize> {
        self.places.get(name).copied()
    }

    /// How many trials are in which state.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The trial that came nearest to the goal, and its value; services apart.
    pub fn best(&self, goal: &Goal) -> Option<(&TrialResult, f64)> {
        let trials = self.results.iter().filter(|result| !result.service);
        let reached = trials.filter_map(|result| Some((result, result.reached(goal)?)));
        reached.min_by(|(_, one), (_, other)| goal.order(*one, *other))
    }

    /// Whether every trial succeeded or was pruned, and the run was not ended early.
    pub fn ok(&self) -> bool {
        let counts = self.counts();
        self.early.is_none() && counts.succeeded + counts.pruned == counts.total
    }

    fn enter(&mut self, trial: &Arc<Settled>) {
        self.counts.total += 1;
        self.counts.waiting += 1;
        self.places.insert(trial.name.clone(), self.results.len());
        self.results.push(TrialResult {
            trial: trial.clone(),
            service: trial.service,
            state: State::Waiting,
            paused: false,
            attempts: 0,
            flaky: false,
            failed_before: false,
            lost_attempts: Vec::new(),
            elapsed: Duration::ZERO,
            reused: None,
            logs: None,
            incomplete: false,
            usage: None,
            metrics: BTreeMap::new(),
            tags: BTreeMap::new(),
            artifacts: Vec::new(),
            outputs_folder: None,
            outputs: Vec::new(),
            outputs_url: None,
        });
    }

    fn change(&mut self, name: &Name, change: impl FnOnce(&mut TrialResult)) {
        if let Some(place) = self.place(name) {
            let result = &mut self.results[place];
            self.counts.of(result).for_each(|count| *count -= 1);
            change(result);
            self.counts.of(result).for_each(|count| *count += 1);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use super::Summary;
    use crate::model::event::{Event, Fact, Record, Usage};
    use crate::model::handle::Handle;
    use crate::model::name::{EngineName, Name};
    use crate::model::outcome::Outcome;
    use crate::model::trial::Trial;

    #[test]
    fn an_attempt_that_is_followed_anew_tells_everything_again() {
        let (trial, attempt) = (Name::parse("a1").unwrap(), 1);
        let told = |value| Fact::Recorded {
            trial: trial.clone(),
            attempt,
            record: Record::Metric { name: "loss".to_owned(), value, step: None },
        };
        let file = Fact::Recorded { trial: trial.clone(), attempt, record: Record::Artifact { path: "/x".to_owned() } };
        let handle = Handle { engine: EngineName::Docker, id: "0123".to_owned() };
        let usage = Usage { cpu_seconds: Some(2.0), ..Usage::default() };
        let facts = [
            Fact::TrialSubmitted { trial: Arc::new(Trial::new(trial.clone()).into()) },
            Fact::AttemptStarting { trial: trial.clone(), attempt, cores: Vec::new(), gpus: Vec::new() },
            told(3.0),
            file.clone(),
            told(5.0),
            Fact::AttemptAdopted { trial: trial.clone(), attempt, handle },
            told(3.0),
            file,
            Fact::AttemptEnded {
                trial: trial.clone(),
                attempt,
                outcome: Outcome::Succeeded,
                elapsed: Duration::ZERO,
                logs: None,
                usage: Some(Box::new(usage)),
                kept: false,
                incomplete: false,
            },
        ];
        let mut summary = Summary::default();
        facts.into_iter().for_each(|fact| summary.add(&Event { at: 0, run: "r1".into(), fact }));
        let result = summary.get(&trial).unwrap();
        let loss = result.metrics["loss"];
        assert_eq!((loss.last, loss.max, loss.count), (3.0, 3.0, 1));
        assert_eq!((result.artifacts.as_slice(), result.usage), (["/x".to_owned()].as_slice(), Some(usage)));
    }
}
