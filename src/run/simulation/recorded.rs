//! A past run as a model: a trial goes as the one with the same params went then. What nobody saw is not made up.

use std::collections::HashMap;
use std::time::Duration;

use serde_json::{Map, Value};

use crate::engine::Launch;
use crate::engine::fake::{Saying, Scene};
use crate::model::event::{Event, Fact, Record};
use crate::model::name::{Name, RunId};
use crate::model::outcome::{Exit, Outcome};
use crate::model::trial::Trial;
use crate::plan::identity::sorted;
use crate::run::simulation::model::{Model, ModelError};

/// What a past run tells of its trials.
#[derive(Debug)]
pub struct RecordedRun {
    run: RunId,
    trials: Vec<RecordedTrial>,
    places: HashMap<Name, usize>,
}

#[derive(Debug)]
struct RecordedTrial {
    name: Name,
    params: Map<String, Value>,
    service: bool,
    attempts: Vec<RecordedAttempt>,
}

#[derive(Debug, Default)]
struct RecordedAttempt {
    started: u64,
    told: Vec<(Duration, Record)>,
    end: Option<(Outcome, Duration)>,
}

/// A trial that a past run tells nothing of.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct UnknownTrial {
    /// What is wrong.
    pub message: String,
    /// What is nearest.
    pub hint: Option<String>,
}

impl RecordedRun {
    /// What the events of that run tell.
    pub fn new<'a>(run: RunId, events: impl IntoIterator<Item = &'a Event>) -> Self {
        let mut recorded = Self { run, trials: Vec::new(), places: HashMap::new() };
        events.into_iter().for_each(|event| recorded.add(event));
        recorded
    }

    fn add(&mut self, event: &Event) {
        match &event.fact {
            Fact::RunStarted { trials, .. } => trials.iter().for_each(|trial| self.enter(trial, trial.service)),
            Fact::TrialSubmitted { trial } => self.enter(trial, trial.service),
            Fact::AttemptStarted { trial, .. } => {
                let attempt = RecordedAttempt { started: event.at, ..RecordedAttempt::default() };
                self.change(trial, |trial| trial.attempts.push(attempt));
            }
            // It tells everything again.
            Fact::AttemptAdopted { trial, .. } => self.last(trial, |attempt| attempt.told.clear()),
            Fact::Recorded { trial, record, .. } => self.last(trial, |attempt| {
                let after = Duration::from_millis(event.at.saturating_sub(attempt.started));
                attempt.told.push((after, record.clone()));
            }),
            Fact::AttemptEnded { trial, outcome, elapsed, .. } => {
                self.last(trial, |attempt| attempt.end = Some((outcome.clone(), *elapsed)));
            }
            _ => {}
        }
    }

    fn enter(&mut self, trial: &Trial, service: bool) {
        self.places.insert(trial.name.clone(), self.trials.len());
        let (name, params) = (trial.name.clone(), trial.params.clone());
        self.trials.push(RecordedTrial { name, params, service, attempts: Vec::new() });
    }

    fn change(&mut self, name: &Name, change: impl FnOnce(&mut RecordedTrial)) {
        if let Some(place) = self.places.get(name) {
            change(&mut self.trials[*place]);
        }
    }

    fn last(&mut self, name: &Name, change: impl FnOnce(&mut RecordedAttempt)) {
        self.change(name, |trial| trial.attempts.last_mut().map(change).unwrap_or_default());
    }

    /// The trial with the same params that ran: the one of the same name, where several have them, and else the first. Without
    /// params, names alone tell trials apart.
    fn same(&self, trial: &Trial) -> Option<&RecordedTrial> {
        let wanted = text(&trial.params);
        let fits = |one: &&RecordedTrial| !one.attempts.is_empty() && text(&one.params) == wanted;
        let named = self.places.get(&trial.name).map(|place| &self.trials[*place]).filter(fits);
        named.or_else(|| self.trials.iter().filter(|_| !trial.params.is_empty()).find(fits))
    }

    fn unknown(&self, trial: &Trial) -> UnknownTrial {
        let ran = self.trials.iter().filter(|one| !one.attempts.is_empty());
        let nearest = ran.min_by(|one, other| {
            distance(&one.params, &trial.params).total_cmp(&distance(&other.params, &trial.params))
        });
        UnknownTrial {
            message: format!(
                "the run {} has no trial with the params of `{}`: {}",
                self.run,
                trial.name,
                said(&trial.params)
            ),
            hint: Some(match nearest {
                Some(nearest) => format!("the nearest that ran is `{}`: {}", nearest.name, said(&nearest.params)),
                None => "no trial of that run was started".to_owned(),
            }),
        }
    }
}

impl Model for RecordedRun {
    fn scene(&self, launch: &Launch) -> Result<Scene, ModelError> {
        let trial = self.same(&launch.trial.written).ok_or_else(|| self.unknown(&launch.trial.written))?;
        // A service goes on for as long as it is needed.
        if trial.service {
            return Ok(Scene::default());
        }
        let place = (launch.attempt as usize).min(trial.attempts.len()).saturating_sub(1);
        Ok(trial.attempts[place].scene())
    }
}

impl RecordedAttempt {
    fn scene(&self) -> Scene {
        let last = self.told.last().map(|(after, _)| *after).unwrap_or_default();
        let (outcome, run_for) = self.end.clone().unwrap_or((Outcome::Killed, last));
        let (exit, start_error, cut) = match outcome {
            Outcome::Succeeded => (Exit::Code(0), None, false),
            Outcome::Failed { exit } => (exit, None, false),
            Outcome::Oom => (Exit::Oom, None, false),
            Outcome::NotStarted { message } => (Exit::Code(0), Some(message), false),
            // Somebody ended it: how it would have gone on is unknown.
            _ => (Exit::Signal(15), None, true),
        };
        let saying = |(after, record): &(Duration, Record)| ((*after).min(run_for), Saying::Record(record.clone()));
        let later = self.told.iter().map(saying).collect();
        Scene { run_for, exit, start_error, cut, later, ..Scene::default() }
    }
}

/// Params as a text, the same in whatever order they stand.
fn text(params: &Map<String, Value>) -> String {
    sorted(Value::Object(params.clone())).to_string()
}

/// Params in a message: `lr=0.1, mode=a`.
fn said(params: &Map<String, Value>) -> String {
    let value = |value: &Value| value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let pairs: Vec<String> = params.iter().map(|(name, one)| format!("{name}={}", value(one))).collect();
    if pairs.is_empty() { "no params".to_owned() } else { pairs.join(", ") }
}

/// How far two points are from each other: one for each param that only one has or that is another text; of numbers, which part
/// of the larger the difference is.
fn distance(one: &Map<String, Value>, other: &Map<String, Value>) -> f64 {
    let apart = |name: &String| match (one.get(name), other.get(name)) {
        (one, other) if one == other => 0.0,
        (Some(one), Some(other)) => match one.as_f64().zip(other.as_f64()) {
            Some((one, other)) => (one - other).abs() / one.abs().max(other.abs()),
            None => 1.0,
        },
        _ => 1.0,
    };
    let alone = other.keys().filter(|name| !one.contains_key(*name));
    one.keys().chain(alone).map(apart).sum()
}
