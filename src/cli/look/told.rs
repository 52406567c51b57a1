//! All that trials told of their metrics, as rows: for `combu metrics`, exports and curves.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use serde_json::{Value, json};

use crate::cli::error::CliError;
use crate::cli::exit;
use crate::cli::look::gathered::Gathered;
use crate::cli::time::utc_millis;
use crate::cli::ui::Ui;
use crate::cli::which::runs;
use crate::export::trial::ToldMetric;
use crate::model::event::{Event, Fact, FactKind, Record};
use crate::model::name::{Name, RunId};
use crate::model::suggest::did_you_mean;
use crate::store::{Kinds, PastRun};

/// Events that tell of metrics, and that an attempt begins, which tells them anew.
const KINDS: [FactKind; 3] = [FactKind::AttemptStarting, FactKind::AttemptAdopted, FactKind::Recorded];

/// The columns, which are the keys in JSON.
pub(super) const COLUMNS: [&str; 6] = ["run", "trial", "name", "step", "value", "at"];

/// What the last attempt of each trial of a run told of its metrics.
#[derive(Debug, Default)]
pub(super) struct ToldMetrics(HashMap<Name, Vec<ToldMetric>>);

impl ToldMetrics {
    /// Takes one more event of the run into account.
    pub(super) fn add(&mut self, event: &Event) {
        match &event.fact {
            Fact::AttemptStarting { trial, .. } | Fact::AttemptAdopted { trial, .. } => drop(self.0.remove(trial)),
            Fact::Recorded { trial, record: Record::Metric { name, value, step }, .. } => {
                let told = ToldMetric { name: name.clone(), step: *step, value: *value, at: event.at };
                self.0.entry(trial.clone()).or_default().push(told);
            }
            _ => {}
        }
    }

    pub(super) fn get(&self, trial: &Name) -> &[ToldMetric] {
        self.0.get(trial).map(Vec::as_slice).unwrap_or_default()
    }

    fn read(run: &PastRun) -> Result<Self, CliError> {
        let mut told = Self::default();
        run.follow().read(Kinds::Only(&KINDS), |event| told.add(&event))?;
        Ok(told)
    }
}

/// What a trial that is shown told, and in which run.
pub(super) struct TrialCurves {
    pub(super) run: RunId,
    pub(super) trial: Name,
    pub(super) told: Vec<ToldMetric>,
}

impl TrialCurves {
    /// The metric of each value.
    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.told.iter().map(|told| told.name.as_str())
    }

    /// Its values as objects with the columns as keys.
    pub(super) fn rows(&self) -> impl Iterator<Item = Value> {
        self.told.iter().map(|told| row(&self.run, &self.trial, told))
    }
}

/// What each of the results that are gathered told, in their order: that of the run in which it ran.
pub(super) fn curves(file: Option<&Path>, gathered: &Gathered, ui: &Ui) -> Result<Vec<TrialCurves>, CliError> {
    let mut told = Vec::new();
    let mut lenders: HashMap<RunId, ToldMetrics> = HashMap::new();
    for (place, result) in gathered.results() {
        let shown = &gathered.runs[place].0.run;
        let run = result.reused.as_ref().unwrap_or(&shown.record.run);
        if !lenders.contains_key(run) {
            let past = if *run == shown.record.run {
                Some(shown.clone())
            } else {
                runs(file, Some(run.as_str()), ui)?.past.pop()
            };
            let values = past.map(|past| ToldMetrics::read(&past)).transpose()?.unwrap_or_default();
            lenders.insert(run.clone(), values);
        }
        let trial = result.trial.name.clone();
        let values = lenders.get_mut(run).and_then(|run| run.0.remove(&trial)).unwrap_or_default();
        told.push(TrialCurves { run: run.clone(), trial, told: values });
    }
    Ok(told)
}

/// A value as an object with the columns as keys.
pub(super) fn row(run: &RunId, trial: &Name, told: &ToldMetric) -> Value {
    let ToldMetric { name, step, value, at } = told;
    json!({"run": run, "trial": trial, "name": name, "step": step, "value": value, "at": utc_millis(*at)})
}

/// The error that there is no value, of that metric if one was asked for; `known` are the metrics that were told.
pub(super) fn nothing_told<'a>(metric: Option<&String>, known: impl Iterator<Item = &'a str>) -> CliError {
    let of = metric.map(|name| format!(" of `{name}`")).unwrap_or_default();
    let known: BTreeSet<&str> = known.collect();
    let hint = match metric.and_then(|name| did_you_mean(name, known.iter().copied())) {
        Some(hint) => hint,
        None if known.is_empty() => {
            "a trial tells one by printing `::combu metric loss=0.3 step=7`: `combu help metrics`".to_owned()
        }
        None => format!("there are {}", known.into_iter().collect::<Vec<_>>().join(", ")),
    };
    CliError::new(exit::NOTHING, format!("no value{of} was told")).hint(hint)
}
