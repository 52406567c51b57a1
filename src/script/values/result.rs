//! Results as scripts hold them: of one trial (also while its run goes on) and of a whole run.

use std::collections::{BTreeSet, HashSet};
use std::fmt;
use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use rhai::Dynamic;
use serde_json::Value;

use crate::model::event::{Early, Logs};
use crate::model::name::Name;
use crate::model::options::Goal;
use crate::model::outcome::Outcome;
use crate::model::summary::{Summary, TrialResult};
use crate::report::results::{ResultRow, known};
use crate::script::values::convert;
use crate::script::values::experiment::ScriptExperiment;
use crate::script::values::history::MetricHistory;
use crate::script::values::printed;
use crate::script::way::Way;

/// A trial's result so far; while its run goes on, also the way to act on it.
#[derive(Clone)]
pub(crate) struct TrialView {
    pub(crate) result: Rc<TrialResult>,
    pub(crate) way: Option<Way>,
    /// Folder at which relative paths in a changed trial start.
    pub(crate) folder: Rc<Path>,
    pub(crate) history: MetricHistory,
}

/// Result of a run.
#[derive(Clone)]
pub(crate) struct RunResult(pub(crate) Rc<Ran>);

/// A run that has ended.
pub(crate) struct Ran {
    pub(crate) experiment: ScriptExperiment,
    pub(crate) summary: Summary,
    pub(crate) folder: Rc<Path>,
    pub(crate) history: MetricHistory,
}

fn text(result: &TrialResult, path: impl Fn(&Logs) -> &Path) -> std::io::Result<String> {
    let Some(logs) = &result.logs else { return Ok(String::new()) };
    let path = path(logs);
    let bytes = if path == logs.stdout { logs.stdout_bytes } else { logs.stderr_bytes };
    // A file without a byte may not be there.
    if bytes == 0 { Ok(String::new()) } else { printed::text(path) }
}

/// The numbers behind that name in what a trial wrote to its standard output.
fn printed_numbers(result: &TrialResult, name: &str) -> std::io::Result<Vec<f64>> {
    Ok(printed::numbers(&text(result, |logs| &logs.stdout)?, name))
}

/// The last value of a metric of a trial: told, else printed.
///
/// # Errors
/// When its log cannot be read.
pub fn value(result: &TrialResult, metric: &str) -> std::io::Result<Option<f64>> {
    match result.metrics.get(metric) {
        Some(metric) => Ok(Some(metric.last)),
        None => Ok(printed_numbers(result, metric)?.last().copied()),
    }
}

/// The value that says how near a trial came to a goal: told, else printed.
///
/// # Errors
/// When its log cannot be read.
pub fn toward(result: &TrialResult, goal: &Goal) -> std::io::Result<Option<f64>> {
    if let Some(value) = result.toward(goal) {
        return Ok(Some(value));
    }
    let printed = printed_numbers(result, &goal.metric)?;
    let best = printed.iter().copied().min_by(|one, other| goal.order(*one, *other));
    Ok(if goal.over_all { best } else { printed.last().copied() })
}

impl TrialView {
    /// The result so far of a trial whose run goes on.
    pub(crate) fn live(result: &TrialResult, way: &Way, folder: &Rc<Path>) -> Self {
        let history = way.history.clone();
        Self { result: Rc::new(result.clone()), way: Some(way.clone()), folder: folder.clone(), history }
    }

    pub(crate) fn name(&self) -> &str {
        self.result.trial.name.as_str()
    }

    /// `waiting`, `starting`, `running`, or the outcome's word.
    pub(crate) fn status(&self) -> &'static str {
        self.result.status()
    }

    pub(crate) fn ok(&self) -> bool {
        self.result.outcome().is_some_and(Outcome::is_success)
    }

    /// The code a shell would show, where a process ended by itself.
    pub(crate) fn exit(&self) -> Option<i32> {
        self.result.outcome()?.exit_code()
    }

    /// A sentence on how it ended: `failed (exit code 3)`.
    pub(crate) fn message(&self) -> String {
        self.result.outcome().map_or_else(|| self.status().to_owned(), ToString::to_string)
    }

    /// Seconds of CPU time that its last attempt took, where that is known.
    pub(crate) fn cpu_seconds(&self) -> Option<f64> {
        self.result.usage?.cpu_seconds
    }

    /// Most bytes of memory that its last attempt held at one time, where that is known.
    pub(crate) fn peak_memory(&self) -> Option<u64> {
        self.result.usage?.peak_memory
    }

    /// The text of one of its streams, or the end of it.
    pub(crate) fn text(&self, path: impl Fn(&Logs) -> &Path) -> std::io::Result<String> {
        text(&self.result, path)
    }

    /// The last value of a metric; where none of that name was told, the last number behind it in what the trial wrote to its
    /// standard output.
    pub(crate) fn value(&self, key: &str) -> std::io::Result<Option<f64>> {
        value(&self.result, key)
    }

    /// The value that says how near it came to a goal: told, else printed.
    pub(crate) fn toward(&self, goal: &Goal) -> std::io::Result<Option<f64>> {
        toward(&self.result, goal)
    }

    /// The value in a column of a table: what every table of results shows, else a number it printed.
    pub(crate) fn column(&self, key: &str) -> std::io::Result<Value> {
        match self.row().value(key) {
            Some(value) => Ok(value),
            None => Ok(self.value(key)?.map_or(Value::Null, Value::from)),
        }
    }

    fn row(&self) -> ResultRow<'_> {
        ResultRow { result: &self.result, status: self.status(), origin: None }
    }

    pub(crate) fn to_json(&self) -> Value {
        self.row().to_json()
    }
}

impl fmt::Display for TrialView {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name(), self.message())
    }
}

impl RunResult {
    pub(crate) fn ok(&self) -> bool {
        self.0.summary.ok()
    }

    pub(crate) fn halted(&self) -> bool {
        matches!(self.0.summary.early, Some(Early::Halted(_)))
    }

    /// The result of the trial of that name.
    pub(crate) fn view(&self, name: &str) -> Option<TrialView> {
        let result = self.0.summary.get(&Name::parse(name).ok()?)?;
        let (folder, history) = (self.0.folder.clone(), self.0.history.clone());
        Some(TrialView { result: Rc::new(result.clone()), way: None, folder, history })
    }

    /// Every trial's result, in the order of the experiment; services too.
    pub(crate) fn views(&self) -> impl DoubleEndedIterator<Item = TrialView> {
        let ran = self.0.clone();
        (0..ran.summary.results.len()).map(move |place| TrialView {
            result: Rc::new(ran.summary.results[place].clone()),
            way: None,
            folder: ran.folder.clone(),
            history: ran.history.clone(),
        })
    }

    /// The results that tables and files show: those of trials that are no services.
    pub(crate) fn shown(&self) -> impl DoubleEndedIterator<Item = TrialView> {
        self.views().filter(|view| !view.result.service)
    }

    /// The goal that the run was given.
    pub(crate) fn goal(&self) -> Option<&Goal> {
        self.0.summary.options.goal.as_ref()
    }

    /// How many values of the goal's metric its trials told, in their last attempts.
    pub(crate) fn steps(&self) -> u64 {
        let told = |result: &TrialResult| result.metrics.get(&*self.goal()?.metric).map(|metric| metric.count);
        self.0.summary.results.iter().filter_map(told).sum()
    }

    /// The results of trials that succeeded and have a value toward the goal, the best one first.
    pub(crate) fn ranked(&self, goal: &Goal) -> std::io::Result<Vec<TrialView>> {
        let mut ranked = Vec::new();
        for view in self.shown().filter(TrialView::ok) {
            if let Some(value) = view.toward(goal)? {
                ranked.push((view, value));
            }
        }
        ranked.sort_by(|(_, one), (_, other)| goal.order(*one, *other));
        Ok(ranked.into_iter().map(|(view, _)| view).collect())
    }

    /// The results that tables show, in their order: with a goal the best first, and then those that have no value.
    fn in_order(&self) -> std::io::Result<Vec<TrialView>> {
        let Some(goal) = self.goal() else { return Ok(self.shown().collect()) };
        let mut ranked = self.ranked(goal)?;
        let known: HashSet<String> = ranked.iter().map(|view| view.name().to_owned()).collect();
        ranked.extend(self.shown().filter(|view| !known.contains(view.name())));
        Ok(ranked)
    }

    /// Trials that failed, those skipped for it and, after an early end, those that it stopped; with all they depend on.
    pub(crate) fn failed(&self) -> ScriptExperiment {
        let summary = &self.0.summary;
        let again = |result: &TrialResult| match result.outcome() {
            Some(Outcome::Skipped { .. }) => true,
            Some(Outcome::Killed) => summary.early.is_some(),
            Some(outcome) => outcome.is_failure(),
            None => true,
        };
        // As they were written, so that the next run's options reach them.
        let trials = summary.results.iter().map(|result| Arc::new(result.trial.to_ask_again()));
        let all = self.0.experiment.with_trials(trials.collect());
        let keep: Vec<bool> = summary.results.iter().map(again).collect();
        all.keep(&keep, false)
    }

    /// The columns of a table where none are named.
    pub(crate) fn columns(&self) -> Vec<String> {
        let mut columns: Vec<String> = ["name", "status", "exit", "elapsed", "attempts"].map(str::to_owned).into();
        for view in self.shown() {
            for key in view.result.trial.params.keys().chain(view.result.metrics.keys()) {
                if !columns.contains(key) {
                    columns.push(key.clone());
                }
            }
        }
        columns
    }

    /// A column that no trial has, though some succeeded, and those that there are.
    pub(crate) fn unknown(&self, columns: &[String]) -> std::io::Result<Option<(String, BTreeSet<String>)>> {
        let views: Vec<TrialView> = self.shown().collect();
        if !views.iter().any(TrialView::ok) {
            return Ok(None);
        }
        let known = known(views.iter().map(|view| &*view.result));
        for column in columns.iter().filter(|column| !known.contains(*column)) {
            let mut printed = false;
            for view in &views {
                printed = printed || !printed_numbers(&view.result, column)?.is_empty();
            }
            if !printed {
                return Ok(Some((column.clone(), known)));
            }
        }
        Ok(None)
    }

    /// Rows of a table, one for each shown result.
    pub(crate) fn rows(&self, columns: &[String]) -> std::io::Result<Vec<Vec<Value>>> {
        let row = |view: &TrialView| columns.iter().map(|column| view.column(column)).collect();
        self.in_order()?.iter().map(row).collect()
    }

    pub(crate) fn to_json(&self) -> Value {
        Value::Array(self.shown().map(|view| view.to_json()).collect())
    }

    /// The number of trials in each state, as a script's map.
    pub(crate) fn counts(&self) -> Dynamic {
        let counts = serde_json::to_value(self.0.summary.counts()).unwrap_or_default();
        convert::from_json(&counts)
    }
}

impl fmt::Display for RunResult {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let counts = self.0.summary.counts();
        write!(f, "{}: {} of {} succeeded", self.0.experiment.name(), counts.succeeded, counts.total)?;
        for (count, word) in [
            (counts.failed, "failed"),
            (counts.skipped, "skipped"),
            (counts.killed, "killed"),
            (counts.pruned, "pruned"),
        ] {
            if count > 0 {
                write!(f, ", {count} {word}")?;
            }
        }
        Ok(())
    }
}
