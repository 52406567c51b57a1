//! Arguments that say how a run is shown, and in which form its results are printed.

use clap::{Args, ValueEnum};

use crate::cli::error::CliError;
use crate::cli::exit;

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Display")]
pub(crate) struct ProgressArgs {
    /// The display of the run on stderr; `json` prints its events on stdout, a line each.
    #[arg(long, value_name = "DISPLAY", default_value = "auto")]
    pub(crate) progress: ProgressMode,
}

/// Displays of a run.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressMode {
    /// Bars on a terminal, else lines; lines too where `CI` is set.
    Auto,
    /// Bars.
    Bar,
    /// A line for each trial that ended, and where nothing ends for 5 minutes one that says how far the run is.
    Plain,
    /// The events, a JSON line each, on stdout.
    Json,
    /// No display.
    None,
}

/// A form of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum OutputForm {
    /// JSON.
    Json,
}

/// Refuses events and results on one stream.
pub(crate) fn check_streams(output: Option<OutputForm>, progress: ProgressMode) -> Result<(), CliError> {
    if output.is_some() && progress == ProgressMode::Json {
        let error = CliError::new(exit::USAGE, "`--progress json` and `--output json` both print on stdout");
        return Err(error.hint("the last event says the same as the results"));
    }
    Ok(())
}
