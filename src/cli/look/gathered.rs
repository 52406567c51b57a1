//! Results of several runs side by side: of those that are named, and for a rerun those of the whole experiment.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};
use std::path::Path;

use crate::cli::chosen::{TrialFilter, fitting, pattern};
use crate::cli::error::CliError;
use crate::cli::look::shown::{ShownRun, look};
use crate::cli::named;
use crate::cli::ui::Ui;
use crate::cli::unread;
use crate::cli::which::runs;
use crate::model::history::History;
use crate::model::name::{Name, RunId};
use crate::model::summary::TrialResult;
use crate::store::Kinds;

/// Runs, and which of their results are shown.
pub(super) struct Gathered {
    pub(super) runs: Vec<(ShownRun, History)>,
    /// The run, by its place, and the name of the trial: a row each.
    rows: Vec<(usize, Name)>,
    /// The places of the runs that were asked for: the others only lend results.
    pub(super) asked: Vec<usize>,
}

impl Gathered {
    /// The runs and trials that words name.
    ///
    /// # Errors
    /// When there is none, or several may be meant.
    pub(super) fn read(file: Option<&Path>, words: &[String], filter: &TrialFilter, ui: &Ui) -> Result<Self, CliError> {
        let mut gathered = Self { runs: Vec::new(), rows: Vec::new(), asked: Vec::new() };
        for named in named::read(file, words, ui)? {
            let shown = look(file, named.run.as_deref(), ui)?;
            let family = family(file, &shown, ui)?;
            let history = read(&shown, file, ui)?;
            let mut wanted: Option<HashSet<Name>> = None;
            for trial in &named.trials {
                // In a rerun, a trial of the run that is repeated is meant as well.
                let all = family.last().map_or(&history.summary, |(_, first)| &first.summary);
                let found =
                    fitting(&pattern(trial)?, &shown.run, if family.is_empty() { &history.summary } else { all })?;
                wanted.get_or_insert_default().extend(found.iter().map(|result| result.trial.name.clone()));
            }
            gathered.asked.push(gathered.runs.len());
            gathered.add((shown, history), family, wanted.as_ref(), filter)?;
        }
        Ok(gathered)
    }

    /// Adds a run, and of those that it repeats the results that it lacks, in the order of the first.
    fn add(
        &mut self,
        run: (ShownRun, History),
        family: Vec<(ShownRun, History)>,
        wanted: Option<&HashSet<Name>>,
        filter: &TrialFilter,
    ) -> Result<(), CliError> {
        let first = self.runs.len();
        self.runs.push(run);
        self.runs.extend(family);
        let mut known = HashSet::new();
        // The last of them is the first run, which has every trial; the others come in the order of their age.
        for oldest in (first..self.runs.len()).rev() {
            for result in &self.runs[oldest].1.summary.results {
                let name = &result.trial.name;
                if result.service || !known.insert(name.clone()) || wanted.is_some_and(|wanted| !wanted.contains(name))
                {
                    continue;
                }
                let newest = (first..self.runs.len()).find(|place| self.runs[*place].1.summary.get(name).is_some());
                let newest = newest.unwrap_or(oldest);
                let (shown, history) = &self.runs[newest];
                if let Some(result) = history.summary.get(name)
                    && filter.has(result, shown.status(result, &history.summary))?
                {
                    self.rows.push((newest, name.clone()));
                }
            }
        }
        Ok(())
    }

    /// The results, each with the place of its run.
    pub(super) fn results(&self) -> Vec<(usize, &TrialResult)> {
        let get = |(run, name): &(usize, Name)| Some((*run, self.runs[*run].1.summary.get(name)?));
        self.rows.iter().filter_map(get).collect()
    }
}

/// The runs that a rerun repeats, the last first: reruns of the same run before it, and that run.
fn family(file: Option<&Path>, shown: &ShownRun, ui: &Ui) -> Result<Vec<(ShownRun, History)>, CliError> {
    let Some(first) = &shown.run.record.repeats else { return Ok(Vec::new()) };
    let all = runs(file, None, ui)?;
    let record = &shown.run.record;
    let mut family = Vec::new();
    for run in all.past {
        let is_before = run.record.started_ms <= record.started_ms && run.record.run != record.run;
        if is_before && (run.record.run == *first || run.record.repeats.as_ref() == Some(first)) {
            let live = all.live.iter().find(|live| live.record.run == run.record.run).cloned();
            let shown = ShownRun { run, live };
            let history = read(&shown, file, ui)?;
            family.push((shown, history));
        }
    }
    Ok(family)
}

fn read(shown: &ShownRun, file: Option<&Path>, ui: &Ui) -> Result<History, CliError> {
    let mut history = shown.run.history(Kinds::All)?;
    unread::warn(&history.unread, ui);
    lend(&mut history, file, ui)?;
    Ok(history)
}

/// Gives trials that were not run again the figures of the run in which they succeeded, where that is still there.
fn lend(history: &mut History, file: Option<&Path>, ui: &Ui) -> Result<(), CliError> {
    let mut lenders: HashMap<RunId, Option<History>> = HashMap::new();
    for result in &mut history.summary.results {
        let Some(from) = result.reused.clone() else { continue };
        let lender = match lenders.entry(from) {
            Entry::Occupied(known) => known.into_mut(),
            Entry::Vacant(new) => {
                let run = runs(file, Some(new.key().as_str()), ui)?.past.pop();
                new.insert(run.map(|run| run.history(Kinds::All)).transpose()?)
            }
        };
        if let Some(lent) = lender.as_ref().and_then(|lender| lender.summary.get(&result.trial.name)) {
            (result.attempts, result.elapsed, result.usage) = (lent.attempts, lent.elapsed, lent.usage);
            (result.metrics, result.tags) = (lent.metrics.clone(), lent.tags.clone());
            (result.artifacts, result.logs) = (lent.artifacts.clone(), lent.logs.clone());
        }
    }
    Ok(())
}
