//! `--where`: the trials of a spec, or of what was started from it, that an expression is true of.

use std::collections::HashMap;
use std::path::Path;

use crate::cli::error::CliError;
use crate::cli::exit;
use crate::cli::stage::state;
use crate::model::experiment::Experiment;
use crate::script::Where;

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
