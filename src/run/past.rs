//! The past of a run: what the events of its earlier lives tell whoever goes on with it. Pure.
//!
//! A life is what one process saw of a run. It ends with `RunEnded`, or in the middle of something when that process is
//! killed; since events are kept before anything follows from them, what was begun is known either way.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::model::command::Command;
use crate::model::event::{Cause, Collected, Early, Event, Fact};
use crate::model::experiment::Experiment;
use crate::model::handle::Handle;
use crate::model::name::{Name, RunId};
use crate::model::options::{Budget, Options};
use crate::model::outcome::Outcome;
use crate::model::retry::{Next, Repeats};
use crate::model::trial::Trial;
use crate::model::trial::settled::Settled;

/// What the earlier lives of a run tell.
#[derive(Debug, Clone)]
pub struct Past {
    /// The run.
    pub run: RunId,
    /// The experiment's name.
    pub experiment: String,
    /// The options it ran with.
    pub options: Options,
    pub(crate) seed: u64,
    pub(crate) trials: Vec<PastTrial>,
    places: HashMap<Name, usize>,
    /// Changes of its budget, in order.
    pub(crate) changes: Vec<Budget>,
    /// Whether its attempts stood still at the end.
    pub(crate) paused: bool,
    /// Why the last life ended early, or was about to.
    early: Option<Early>,
    has_ended: bool,
    /// Milliseconds since 1970-01-01 UTC: the first and the last event of the last life.
    life: (u64, u64),
    /// Time of the lives before that.
    lived: Duration,
    /// Ended attempts of which something stays on the engine.
    kept: HashSet<(Name, u32)>,
    /// What was collected of trials and not sent anywhere.
    unsent: HashMap<Name, Vec<Collected>>,
}

/// What is known of one of its trials.
#[derive(Debug, Clone)]
pub(crate) struct PastTrial {
    pub(crate) trial: Arc<Settled>,
    pub(crate) was: Was,
    pub(crate) attempts: u32,
    pub(crate) repeats: Repeats,
    /// How its last attempt ended, if another was to follow.
    pub(crate) last: Option<Outcome>,
    pub(crate) elapsed: Duration,
    pub(crate) healthy: bool,
    pub(crate) unhealthy: bool,
    /// Whether someone asked to kill just this one.
    pub(crate) killed: bool,
    /// How its last attempt ended.
    ended_so: Option<Outcome>,
    /// Whether it ended because the run did, though another attempt was to follow.
    cut: bool,
}

/// What a trial was doing at the end.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Was {
    /// It waited.
    Open,
    /// An attempt was handed to the engine.
    Active(Active),
    /// It waited for its next attempt until that time, in milliseconds since 1970-01-01 UTC.
    Delayed { due: u64 },
    /// It had ended.
    Ended(Outcome),
}

/// An attempt that may still run.
#[derive(Debug, Clone, Default, PartialEq)]
pub(crate) struct Active {
    /// What the engine calls it, and when it said so; absent: whether it was started is not known.
    pub(crate) started: Option<(Handle, u64)>,
    pub(crate) cores: Vec<u32>,
    pub(crate) gpus: Vec<String>,
    /// Why it was being stopped.
    pub(crate) cause: Option<Cause>,
}

impl Past {
    /// What these events of one run tell; nothing where it never began.
    pub fn of(events: &[Event]) -> Option<Self> {
        let first = events.first()?;
        let Fact::RunStarted { experiment, trials, seed, options, .. } = &first.fact else { return None };
        let mut past = Self {
            run: first.run.clone(),
            experiment: experiment.clone(),
            options: (**options).clone(),
            seed: *seed,
            trials: Vec::with_capacity(trials.len()),
            places: HashMap::with_capacity(trials.len()),
            changes: Vec::new(),
            paused: false,
            early: None,
            has_ended: false,
            life: (first.at, first.at),
            lived: Duration::ZERO,
            kept: HashSet::new(),
            unsent: HashMap::new(),
        };
        trials.iter().for_each(|trial| past.enter(trial));
        for event in &events[1..] {
            past.life.1 = past.life.1.max(event.at);
            past.add(event);
        }
        Some(past)
    }

    /// Whether the run came to its end.
    pub fn has_ended(&self) -> bool {
        self.has_ended
    }

    /// Its trials as they were last asked for.
    pub fn trials(&self) -> impl Iterator<Item = &Settled> {
        self.trials.iter().map(|past| &*past.trial)
    }

    /// How many of its trials are such.
    pub fn trials_that(&self, are: impl Fn(&Name) -> bool) -> usize {
        self.trials.iter().filter(|past| are(&past.trial.name)).count()
    }

    /// Whether that trial is still to be run.
    pub(crate) fn is_open(&self, name: &Name) -> bool {
        self.get(name).is_none_or(|trial| !matches!(trial.was, Was::Ended(_)) || self.reopens(trial))
    }

    /// How many trials are still to be run: those that have not ended, and those that did only because the run was ended
    /// early.
    pub fn open(&self) -> usize {
        self.trials.iter().filter(|trial| !matches!(trial.was, Was::Ended(_)) || self.reopens(trial)).count()
    }

    /// Of how many trials outputs were collected and not sent anywhere.
    pub fn unsent(&self) -> usize {
        self.unsent.len()
    }

    /// The outputs of that trial that were not sent anywhere.
    pub(crate) fn unsent_of(&self, trial: &Name) -> Option<&[Collected]> {
        self.unsent.get(trial).map(Vec::as_slice)
    }

    /// The experiment as it was, to be planned again; `spec` and `id` are what its record says.
    pub fn experiment(&self, spec: PathBuf, id: String) -> Experiment {
        let trials = self.trials.iter().map(|past| {
            // Both are said and not found out again: trials that were added since, or other options, may say otherwise.
            let (engine, service) = (Some(past.trial.engine), Some(past.trial.service));
            Arc::new(Trial { engine, service, ..past.trial.to_ask_again() })
        });
        let options = Options { seed: Some(self.seed), ..self.options.clone() };
        Experiment { name: self.experiment.clone(), id, spec, options, trials: trials.collect() }
    }

    /// Time of all its lives so far.
    pub(crate) fn lived(&self) -> Duration {
        self.lived + Duration::from_millis(self.life.1.saturating_sub(self.life.0))
    }

    /// Ended attempts of which something was to stay on the engine.
    pub(crate) fn kept(&self) -> &HashSet<(Name, u32)> {
        &self.kept
    }

    pub(crate) fn get(&self, name: &Name) -> Option<&PastTrial> {
        self.places.get(name).map(|place| &self.trials[*place])
    }

    /// Whether the last life was being ended early.
    pub(crate) fn was_stopped(&self) -> bool {
        self.early.is_some()
    }

    /// Whether that trial ended only because the run was ended early.
    pub(crate) fn reopens(&self, trial: &PastTrial) -> bool {
        self.was_stopped()
            && match &trial.was {
                Was::Ended(Outcome::Killed) => !trial.killed,
                Was::Ended(Outcome::Skipped { .. }) => true,
                Was::Ended(_) => trial.cut,
                _ => false,
            }
    }

    fn enter(&mut self, trial: &Arc<Settled>) {
        self.places.insert(trial.name.clone(), self.trials.len());
        self.trials.push(PastTrial {
            trial: trial.clone(),
            was: Was::Open,
            attempts: 0,
            repeats: Repeats::default(),
            last: None,
            elapsed: Duration::ZERO,
            healthy: false,
            unhealthy: false,
            killed: false,
            ended_so: None,
            cut: false,
        });
    }

    fn add(&mut self, event: &Event) {
        match &event.fact {
            Fact::RunResumed { options, .. } => {
                self.options = options.as_deref().unwrap_or(&self.options).clone();
                self.lived += Duration::from_millis(self.life.1.saturating_sub(self.life.0));
                // What lies between two lives was nobody's time.
                self.life = (event.at, event.at);
                (self.early, self.has_ended, self.paused) = (None, false, false);
            }
            Fact::TrialSubmitted { trial } => self.enter(trial),
            Fact::CommandTaken { command } => self.take(command),
            Fact::Halted { because } => self.early = Some(Early::Halted(because.clone())),
            Fact::RunEnded { early, .. } => (self.early, self.has_ended) = (early.clone(), true),
            fact => {
                let stopped = self.was_stopped();
                if let Fact::AttemptEnded { trial, attempt, kept: true, .. } = fact {
                    self.kept.insert((trial.clone(), *attempt));
                }
                let Some(name) = fact.trial() else { return };
                match fact {
                    Fact::OutputsCollected { files, .. } if files.iter().any(Collected::is_file) => {
                        self.unsent.insert(name.clone(), files.clone());
                    }
                    // Each attempt's outputs replace those before.
                    Fact::OutputsCollected { .. } | Fact::OutputsSent { .. } | Fact::AttemptStarting { .. } => {
                        self.unsent.remove(name);
                    }
                    _ => {}
                }
                if let Some(place) = self.places.get(name) {
                    self.trials[*place].add(event.at, fact, stopped);
                }
            }
        }
    }

    fn take(&mut self, command: &Command) {
        match command {
            Command::Cancel { by } | Command::Drain { by } => {
                self.early.get_or_insert_with(|| Early::Cancelled(by.clone()));
                self.paused = false;
            }
            Command::Kill { trial } => self.change(trial, |past| past.killed = true),
            Command::Retry { trial } => {
                let (written, defaults) = (Arc::new((**trial).clone()), self.options.defaults.clone());
                self.change(&trial.name, |past| {
                    past.trial = Arc::new(Settled::new(written, &defaults, past.trial.service));
                });
            }
            Command::Set { change } => self.changes.push((**change).clone()),
            Command::Pause { .. } => self.paused = true,
            Command::Unpause { .. } => self.paused = false,
            // It is told as an event of its own.
            Command::Submit { .. } => {}
        }
    }

    fn change(&mut self, name: &Name, change: impl FnOnce(&mut PastTrial)) {
        if let Some(place) = self.places.get(name) {
            change(&mut self.trials[*place]);
        }
    }
}

impl PastTrial {
    fn add(&mut self, at: u64, fact: &Fact, stopped: bool) {
        match fact {
            Fact::AttemptStarting { attempt, cores, gpus, .. } => {
                self.attempts = *attempt;
                (self.healthy, self.unhealthy) = (false, false);
                let active = Active { cores: cores.clone(), gpus: gpus.clone(), ..Active::default() };
                self.was = Was::Active(active);
            }
            Fact::AttemptStarted { handle, .. } | Fact::AttemptAdopted { handle, .. } => {
                if let Was::Active(active) = &mut self.was {
                    let since = active.started.as_ref().map_or(at, |(_, since)| *since);
                    active.started = Some((handle.clone(), since));
                }
            }
            Fact::Healthy { .. } => self.healthy = true,
            Fact::Unhealthy { .. } => self.unhealthy = true,
            Fact::Stopping { cause, .. } => {
                if let Was::Active(active) = &mut self.was {
                    active.cause = Some(*cause);
                }
            }
            Fact::AttemptEnded { outcome, elapsed, .. } => {
                (self.was, self.elapsed) = (Was::Open, *elapsed);
                self.ended_so = Some(outcome.clone());
            }
            Fact::RetryScheduled { delay, memory, .. } => {
                let next = match (memory, &self.ended_so) {
                    (Some(memory), _) => {
                        Arc::make_mut(&mut self.trial).memory = Some(*memory);
                        Next::WithMemory(*memory)
                    }
                    (None, Some(Outcome::Lost { .. })) => Next::AfterLoss,
                    (None, _) => Next::AfterFailure,
                };
                self.repeats.count(next);
                self.last.clone_from(&self.ended_so);
                self.was =
                    Was::Delayed { due: at.saturating_add(u64::try_from(delay.as_millis()).unwrap_or(u64::MAX)) };
            }
            Fact::TrialEnded { outcome, elapsed, .. } => {
                self.cut = stopped && matches!(self.was, Was::Delayed { .. });
                (self.was, self.elapsed) = (Was::Ended(outcome.clone()), *elapsed);
            }
            Fact::TrialReopened { .. } => {
                self.was = Was::Open;
                (self.repeats, self.last, self.killed, self.cut) = (Repeats::default(), None, false, false);
                (self.healthy, self.unhealthy) = (false, false);
            }
            _ => {}
        }
    }
}
