//! `combu metrics`: all that trials told of their metrics, step by step.

use std::path::Path;

use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::cli::chosen::TrialFilter;
use crate::cli::error::CliError;
use crate::cli::exit;
use crate::cli::look::gathered::Gathered;
use crate::cli::look::told::{COLUMNS, TrialCurves, curves, nothing_told};
use crate::cli::ui::Ui;
use crate::report::results::csv;

/// Print every value that trials told of their metrics: the learning curves.
///
/// A row for each value, in the order in which they were told: its run, trial, name, step (where one was said), value, and
/// when combu heard of it (UTC). Of each trial, those of its last attempt, from the runs that `combu results` shows.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  combu metrics > curves.csv
  combu metrics solver-3 --name loss
  combu metrics last/'solver-*' -o json
  combu metrics --where 'params.lr > 0.1'")]
pub(crate) struct MetricsArgs {
    /// Runs, trials, or `RUN/TRIAL`: a run is the beginning of its id, or `last`; a trial is a name, or a pattern.
    #[arg(value_name = "RUN|TRIAL")]
    what: Vec<String>,

    /// Only this metric; repeatable.
    #[arg(long, value_name = "NAME")]
    name: Vec<String>,

    /// The form.
    #[arg(short = 'o', long, value_name = "FORM", default_value = "csv")]
    output: MetricsForm,

    /// Only the trials that this expression is true of; see `combu run`. `metrics.NAME` is a metric's last value.
    #[arg(long = "where", value_name = "EXPR")]
    filter: Option<String>,
}

/// A form of the values.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum MetricsForm {
    /// Comma-separated values, with a line of headings.
    Csv,
    /// An object a line.
    Json,
}

pub(crate) fn main(file: Option<&Path>, args: &MetricsArgs, ui: &Ui) -> Result<u8, CliError> {
    let filter = TrialFilter::new(false, args.filter.as_deref())?;
    let gathered = Gathered::read(file, &args.what, &filter, ui)?;
    let mut curves = curves(file, &gathered, ui)?;
    let is_meant = |name: &str| args.name.is_empty() || args.name.iter().any(|meant| meant == name);
    if !curves.iter().flat_map(TrialCurves::names).any(is_meant) {
        return Err(nothing_told(args.name.first(), curves.iter().flat_map(TrialCurves::names)));
    }
    curves.iter_mut().for_each(|trial| trial.told.retain(|told| is_meant(&told.name)));
    let rows = curves.iter().flat_map(TrialCurves::rows);
    match args.output {
        MetricsForm::Csv => {
            let row = |value: Value| COLUMNS.iter().map(|column| value[column].clone()).collect();
            let rows: Vec<Vec<Value>> = rows.map(row).collect();
            ui.result(&csv(&COLUMNS.map(str::to_owned), &rows)?)?;
        }
        MetricsForm::Json => {
            let lines: Vec<String> = rows.map(|row| row.to_string()).collect();
            ui.result(&lines.join("\n"))?;
        }
    }
    Ok(exit::OK)
}
