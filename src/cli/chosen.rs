//! Trials that a command line chooses: by patterns of their names, or by an expression after `--where`.

use std::collections::HashMap;
use std::path::Path;

use crate::cli::args::NamePattern;
use crate::cli::context::state;
use crate::cli::error::CliError;
use crate::cli::exit;
use crate::model::experiment::Experiment;
use crate::model::name::Name;
use crate::model::outcome::Outcome;
use crate::model::suggest::did_you_mean;
use crate::model::summary::{Summary, TrialResult};
use crate::script::Where;
use crate::store::{Kinds, PastRun};

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
    // An experiment without trials is reported as such.
    let is_empty = experiment.trials.is_empty();
    let (name, count) = (experiment.name.clone(), experiment.trials.len());
    let selected = expression.select(experiment, &last)?;
    if selected.trials.is_empty() && !is_empty {
        return Err(none_fits(text, &format!("none of the {count} trials of `{name}`")));
    }
    Ok(selected)
}

/// The error that no trial fits an expression.
pub(crate) fn none_fits(text: &str, of: &str) -> CliError {
    CliError::new(exit::NOTHING, format!("nothing selected: {of} fits `{text}`"))
}

/// A choice among the trials of a run, by `--failed` and `--where`.
pub(crate) struct TrialFilter {
    failed: bool,
    expression: Option<Where>,
}

impl TrialFilter {
    pub(crate) fn new(failed: bool, expression: Option<&str>) -> Result<Self, CliError> {
        Ok(Self { failed, expression: expression.map(Where::parse).transpose()? })
    }

    pub(crate) fn has(&self, result: &TrialResult) -> Result<bool, CliError> {
        if self.failed && !result.outcome().is_some_and(Outcome::is_failure) {
            return Ok(false);
        }
        match &self.expression {
            Some(expression) => Ok(expression.holds_with(&result.trial, result.outcome(), Some(&result.metrics))?),
            None => Ok(true),
        }
    }

    /// The events that it takes to choose.
    pub(crate) fn kinds(&self) -> Kinds<'static> {
        match self.expression.as_ref().is_some_and(Where::asks_for_metrics) {
            true => Kinds::All,
            false => Kinds::WITHOUT_RECORDS,
        }
    }
}

/// A pattern of trial names, as it stands on the command line.
///
/// # Errors
/// When it cannot be read.
pub(crate) fn pattern(text: &str) -> Result<NamePattern, CliError> {
    NamePattern::parse(text).map_err(|message| CliError::new(exit::USAGE, message))
}

/// The trials of a run whose names fit a pattern, in the order of the plan.
///
/// # Errors
/// When there is none.
pub(crate) fn fitting<'a>(
    pattern: &NamePattern,
    run: &PastRun,
    summary: &'a Summary,
) -> Result<Vec<&'a TrialResult>, CliError> {
    let found: Vec<_> = summary.results.iter().filter(|result| pattern.fits(&result.trial.name)).collect();
    if found.is_empty() {
        return Err(no_trial(pattern.text(), run, summary.results.iter().map(|result| &result.trial.name)));
    }
    Ok(found)
}

/// The error that no trial fits, with the nearest name.
fn no_trial<'a>(pattern: &str, run: &PastRun, names: impl Iterator<Item = &'a Name>) -> CliError {
    let id = &run.record.run;
    let error = CliError::new(exit::NOTHING, format!("there is no trial `{pattern}` in run {id}"));
    let hint = did_you_mean(pattern, names.map(Name::as_str));
    error.hint(hint.unwrap_or_else(|| format!("`combu ps {id} --all` lists its trials, `combu ls` the runs")))
}
