//! `--where`: the trials of a spec, or of what was started from it, that an expression is true of.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use crate::cli::error::CliError;
use crate::cli::exit;
use crate::cli::stage::state;
use crate::model::experiment::Experiment;
use crate::model::name::Name;
use crate::script::Where;
use crate::store::{PastRun, StateDir};

/// The experiment with the trials that `--where` selects and all that those depend on; without `--where`, as it is.
pub(crate) fn select(experiment: Experiment, text: Option<&str>, file: &Path) -> Result<Experiment, CliError> {
    let Some(text) = text else { return Ok(experiment) };
    let expression = Where::parse(text)?;
    let last = if expression.asks_for_ends() {
        let names = experiment.trials.iter().map(|trial| &trial.name);
        state(file)?.last_ends(&experiment.spec, &experiment.name, names)?
    } else {
        HashMap::new()
    };
    // An experiment without trials is told as such.
    let is_empty = experiment.trials.is_empty();
    let (name, count) = (experiment.name.clone(), experiment.trials.len());
    let selected = expression.select(experiment, &last)?;
    if selected.trials.is_empty() && !is_empty {
        return Err(none(text, &format!("none of the {count} trials of `{name}`")));
    }
    Ok(selected)
}

/// Nothing fits the expression.
pub(crate) fn none(text: &str, of: &str) -> CliError {
    CliError::new(exit::NOTHING, format!("nothing selected: {of} fits `{text}`"))
}

/// Which trials of earlier runs of a spec fit an expression.
pub(crate) struct Past {
    expression: Where,
    runs: Vec<PastRun>,
    /// Looked up so far: run -> trials that fit.
    fitting: HashMap<String, BTreeSet<Name>>,
}

impl Past {
    /// # Errors
    /// When it is no expression, or the state folder cannot be read.
    pub(crate) fn new(text: &str, state: &StateDir, spec: &Path) -> Result<Self, CliError> {
        let expression = Where::parse(text)?;
        let mut runs = state.past_runs()?.runs;
        runs.retain(|run| run.record.spec == spec);
        Ok(Self { expression, runs, fitting: HashMap::new() })
    }

    /// The expression as it was written.
    pub(crate) fn text(&self) -> &str {
        self.expression.text()
    }

    /// The trials of a run that fit, as it was recorded: its names may hold that run's own UUID.
    pub(crate) fn fitting(&mut self, run: &str) -> Result<&BTreeSet<Name>, CliError> {
        if !self.fitting.contains_key(run) {
            let fits = match self.runs.iter().find(|past| past.record.run.as_str() == run) {
                Some(past) => fits(&self.expression, past)?,
                None => BTreeSet::new(),
            };
            self.fitting.insert(run.to_owned(), fits);
        }
        Ok(&self.fitting[run])
    }

    /// Those of them that have not ended there.
    pub(crate) fn open(&mut self, run: &str) -> Result<Vec<Name>, CliError> {
        let ends = match self.runs.iter().find(|past| past.record.run.as_str() == run) {
            Some(past) => past.ends()?.of,
            None => HashMap::new(),
        };
        Ok(self.fitting(run)?.iter().filter(|name| !ends.contains_key(*name)).cloned().collect())
    }

    /// Whether that run was recorded.
    pub(crate) fn knows(&self, run: &str) -> bool {
        self.runs.iter().any(|past| past.record.run.as_str() == run)
    }

    /// Whether it is true of a trial of the spec as it is now, which is all that tells of runs without a record.
    pub(crate) fn fits(&self, experiment: &Experiment, name: &Name) -> Result<bool, CliError> {
        match experiment.trials.iter().find(|trial| trial.name == *name) {
            Some(trial) => Ok(self.expression.holds(trial, None)?),
            None => Ok(false),
        }
    }
}

fn fits(expression: &Where, past: &PastRun) -> Result<BTreeSet<Name>, CliError> {
    let mut fits = BTreeSet::new();
    for result in past.summary()?.results {
        if expression.holds(&result.trial, result.outcome())? {
            fits.insert(result.trial.name.clone());
        }
    }
    Ok(fits)
}
