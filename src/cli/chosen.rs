//! Trials that a command line chooses: by patterns of their names, or by an expression after `--where`.

use std::collections::HashMap;
use std::path::Path;

use crate::cli::args::{NamePattern, SpecArgs};
use crate::cli::context::state;
use crate::cli::ends::last_ends;
use crate::cli::error::CliError;
use crate::cli::exit;
use crate::model::experiment::Experiment;
use crate::model::name::Name;
use crate::model::outcome::Outcome;
use crate::model::suggest::did_you_mean;
use crate::model::summary::{Summary, TrialResult};
use crate::model::trial::Trial;
use crate::script::{Where, with_prerequisites};
use crate::store::{Kinds, PastRun};

/// The experiment with the trials that `--trial` and `--where` select and all that those depend on; without either, as it is.
pub(crate) fn select(experiment: Experiment, args: &SpecArgs, file: &Path) -> Result<Experiment, CliError> {
    let expression = args.filter.as_deref().map(Where::parse).transpose()?;
    if expression.is_none() && args.trials.is_empty() {
        return Ok(experiment);
    }
    if experiment.options.search.is_some() {
        let message = "`--trial` and `--where` choose among the trials of a spec, and this one makes them in a search";
        return Err(CliError::new(exit::USAGE, message).hint("`combu rerun` runs some of them again"));
    }
    if let Some(expression) = &expression {
        expression.check_params(experiment.trials.iter().map(|trial| &**trial))?;
    }
    let last = if expression.as_ref().is_some_and(Where::asks_for_ends) {
        let of = (&*experiment.spec, &*experiment.name, &*experiment.id);
        last_ends(&state(file)?, of, &experiment.trials)?
    } else {
        HashMap::new()
    };
    for pattern in &args.trials {
        if !experiment.trials.iter().any(|trial| pattern.fits(&trial.name)) {
            let error = none_fits(pattern.text(), &format!("no trial of `{}`", experiment.name));
            let hint = did_you_mean(pattern.text(), experiment.trials.iter().map(|trial| trial.name.as_str()));
            return Err(CliError { hints: hint.into_iter().collect(), ..error });
        }
    }
    let is_named = |trial: &Trial| args.trials.is_empty() || args.trials.iter().any(|one| one.fits(&trial.name));
    let mut keep = Vec::with_capacity(experiment.trials.len());
    for trial in &experiment.trials {
        let holds = |expression: &Where| expression.holds(trial, last.get(&trial.name));
        keep.push(is_named(trial) && expression.as_ref().map_or(Ok(true), holds)?);
    }
    // An experiment without trials is reported as such.
    if !keep.is_empty() && !keep.contains(&true) {
        let text = args.filter.as_deref().unwrap_or_default();
        let count = experiment.trials.len();
        return Err(none_fits(text, &format!("none of the {count} trials of `{}`", experiment.name)));
    }
    Ok(with_prerequisites(experiment, &keep))
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

    /// Whether it chooses that trial; `status` is the word for what the trial is doing, or how it ended.
    pub(crate) fn has(&self, result: &TrialResult, status: &str) -> Result<bool, CliError> {
        if self.failed && !result.outcome().is_some_and(Outcome::is_failure) {
            return Ok(false);
        }
        match &self.expression {
            Some(expression) => Ok(expression.holds_of(result, status)?),
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
