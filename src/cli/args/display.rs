//! Arguments that say how a run is shown, and in which form its results are printed.

use clap::{Args, ValueEnum};

use crate::cli::error::CliError;
use crate::cli::exit;

#[derive(Debug, Clone, Args)]
#[command(next_help_heading = "Display")]
pub(crate) struct ProgressArgs {
    /// How to show the run on stderr; `json` prints its events on stdout, a line each.
    #[arg(long, value_name = "HOW", default_value = "auto")]
    pub(crate) progress: ProgressMode,
}

/// How a run is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum ProgressMode {
    /// Bars on a terminal, else lines.
    Auto,
    /// Bars.
    Bar,
    /// A line for each trial that ended.
    Plain,
    /// The events, a JSON line each, on stdout.
    Json,
    /// Nothing.
    None,
}

/// A form of output.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum Form {
    /// JSON.
    Json,
}

/// Refuses two things on one stream.
pub(crate) fn check_streams(output: Option<Form>, progress: ProgressMode) -> Result<(), CliError> {
    if output.is_some() && progress == ProgressMode::Json {
        let error = CliError::new(exit::USAGE, "`--progress json` and `--output json` both print on stdout");
        return Err(error.hint("the last event says the same as the results"));
    }
    Ok(())
}
