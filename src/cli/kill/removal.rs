//! Reporting what was removed from the engines, for `kill`, `rm` and `gc`.

use std::collections::BTreeSet;

use crate::cli::error::CliError;
use crate::cli::exit;
use crate::cli::ui::Ui;
use crate::run::kill::Killed;

/// Says what was removed and what stays.
pub(crate) fn report(killed: &Killed, ui: &Ui) {
    let trials: BTreeSet<_> = killed.trials.iter().collect();
    for removed in trials.into_iter().chain(&killed.others) {
        ui.message(&format!("removed {removed}"));
    }
    for thing in &killed.kept {
        ui.message(&format!("kept {thing}: others still use it"));
    }
}

/// The code, or what could not be removed.
pub(crate) fn failed(problems: &[String]) -> Result<u8, CliError> {
    let Some((first, rest)) = problems.split_first() else { return Ok(exit::OK) };
    let mut error = CliError::new(exit::ENGINE, format!("not everything was removed: {first}"));
    error.details.extend_from_slice(rest);
    Err(error)
}
