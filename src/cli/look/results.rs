//! `combu results`.

use std::collections::hash_map::Entry;
use std::collections::{BTreeSet, HashMap};
use std::path::Path;

use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::cli::chosen::TrialFilter;
use crate::cli::error::CliError;
use crate::cli::exit;
use crate::cli::look::shown::{ShownRun, look};
use crate::cli::look::{joblog, junit};
use crate::cli::ui::Ui;
use crate::cli::unread;
use crate::cli::which::runs;
use crate::model::history::History;
use crate::model::name::RunId;
use crate::model::suggest::did_you_mean;
use crate::model::summary::TrialResult;
use crate::report::results::{FIRST, LAST, ResultRow, USAGE, cells, csv, facts};
use crate::report::results_table;
use crate::store::Kinds;

/// Print one row for each trial of a run: its params, end, time, usage and metrics.
///
/// The run is the one that is named; else the one that is live in this project, else the last. Services have no row. Times
/// are seconds, sizes bytes; a trial that was not run again has the figures of the run in which it succeeded. Of a metric,
/// its last value in the trial's last attempt is shown. `joblog` is the log of GNU parallel's `--joblog`, `junit` is for CI
/// services. There is no Parquet, which would take a heavy dependency: pandas, polars and DuckDB read the CSV and the JSON
/// as well.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  combu results
  combu results k3jd --columns name,lr,loss,peak_memory
  combu results last -o csv > results.csv
  combu results --failed -o json
  combu results -o junit > junit.xml
  combu results -o joblog > joblog.tsv")]
pub(crate) struct ResultsArgs {
    /// The run: the beginning of its id, or `last`.
    #[arg(value_name = "RUN")]
    run: Option<String>,

    /// The form.
    #[arg(short = 'o', long, value_name = "FORM", default_value = "table")]
    output: ResultsForm,

    /// Columns of a table or CSV, in their order: `name`, `status`, `exit`, `attempts`, `elapsed`, `message`, `flaky`,
    /// `cpu_seconds`, `peak_memory`, `read_bytes`, `written_bytes`; a param, metric, tag or field of the trial by its name,
    /// or where two have one name by `params.NAME`, `metrics.NAME`, `tags.NAME`.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    columns: Vec<String>,

    /// Only the trials that failed.
    #[arg(long)]
    failed: bool,

    /// Only the trials that this expression is true of; see `combu run`.
    #[arg(long = "where", value_name = "EXPR")]
    filter: Option<String>,
}

/// A form of the results.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ResultsForm {
    /// A table for people.
    Table,
    /// Comma-separated values, with a line of headings.
    Csv,
    /// A list of objects.
    Json,
    /// The log of GNU parallel.
    Joblog,
    /// JUnit XML.
    Junit,
}

pub(crate) fn main(file: Option<&Path>, args: &ResultsArgs, ui: &Ui) -> Result<u8, CliError> {
    let has_columns = matches!(args.output, ResultsForm::Table | ResultsForm::Csv);
    if !args.columns.is_empty() && !has_columns {
        return Err(CliError::new(exit::USAGE, "`--columns` is for `-o table` and `-o csv`"));
    }
    let filter = TrialFilter::new(args.failed, args.filter.as_deref())?;
    let shown = look(file, args.run.as_deref(), ui)?;
    let mut history = shown.run.history(Kinds::All)?;
    unread::warn(&history.unread, ui);
    lend(&mut history, file, ui)?;
    let mut results = Vec::new();
    for result in history.summary.results.iter().filter(|result| !result.service) {
        if filter.has(result)? {
            results.push(result);
        }
    }
    let rows = ResultRows { shown: &shown, history: &history, results };
    match args.output {
        ResultsForm::Table if rows.results.is_empty() => {}
        ResultsForm::Table => {
            let columns = rows.columns(&args.columns)?;
            ui.result(&results_table(&columns, &cells(&rows.values(&columns)), ui.out()))?;
        }
        ResultsForm::Csv => {
            let columns = rows.columns(&args.columns)?;
            ui.result(&csv(&columns, &rows.values(&columns))?)?;
        }
        ResultsForm::Json => {
            let all = rows.results.iter().map(|result| rows.row(result).to_json()).collect();
            ui.result(&format!("{:#}", Value::Array(all)))?;
        }
        ResultsForm::Joblog => ui.result(&joblog::text(&history, &rows.results))?,
        ResultsForm::Junit => ui.result(&junit::text(&shown, &history, &rows.results))?,
    }
    if args.output == ResultsForm::Table {
        ui.message(&shown.headline(&history.summary, history.last()));
    }
    Ok(exit::OK)
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

/// The results that are printed.
struct ResultRows<'a> {
    shown: &'a ShownRun,
    history: &'a History,
    results: Vec<&'a TrialResult>,
}

impl ResultRows<'_> {
    /// The columns that are asked for, or all that say something.
    ///
    /// # Errors
    /// When no trial has one of that name.
    fn columns(&self, asked: &[String]) -> Result<Vec<String>, CliError> {
        let (mut params, mut metrics, mut tags) = (Vec::new(), BTreeSet::new(), BTreeSet::new());
        for result in &self.results {
            for param in result.trial.params.keys().filter(|param| !params.contains(*param)).collect::<Vec<_>>() {
                params.push(param.clone());
            }
            metrics.extend(result.metrics.keys().cloned());
            tags.extend(result.tags.keys().cloned());
        }
        let fixed: Vec<&str> = facts().collect();
        if asked.is_empty() {
            let is_used = |name: &&str| {
                let value = |result: &&TrialResult| self.row(result).value(name);
                self.results.iter().filter_map(value).any(|value| !value.is_null())
            };
            let mut columns: Vec<String> = FIRST.map(str::to_owned).into();
            // One that another hides goes by its longer name.
            let hidden = |name: &String, before: &[String]| fixed.contains(&name.as_str()) || before.contains(name);
            let long = |group: &str, name: String, is_hidden| if is_hidden { format!("{group}.{name}") } else { name };
            columns.extend(params.iter().map(|name| long("params", name.clone(), hidden(name, &[]))));
            columns.extend(LAST.map(str::to_owned));
            columns.extend(metrics.into_iter().map(|name| long("metrics", name.clone(), hidden(&name, &params))));
            columns.extend(USAGE.iter().filter(|name| is_used(name)).map(|name| (*name).to_owned()));
            return Ok(columns);
        }
        let fields = self.results.iter().flat_map(|result| result.trial.fields().map(|field| field.name));
        let mut known: BTreeSet<String> = fixed.iter().map(|name| (*name).to_owned()).collect();
        known.extend(fields.map(str::to_owned));
        for (group, names) in [("params", params), ("metrics", Vec::from_iter(metrics)), ("tags", Vec::from_iter(tags))]
        {
            known.extend(names.iter().map(|name| format!("{group}.{name}")));
            known.extend(names);
        }
        match asked.iter().find(|name| !known.contains(*name) && !self.results.is_empty()) {
            Some(name) => Err(unknown_column(name, &known)),
            None => Ok(asked.to_vec()),
        }
    }

    fn values(&self, columns: &[String]) -> Vec<Vec<Value>> {
        let value = |result, column: &String| self.row(result).value(column).unwrap_or_default();
        self.results.iter().map(|result| columns.iter().map(|column| value(result, column)).collect()).collect()
    }

    fn row<'b>(&self, result: &'b TrialResult) -> ResultRow<'b> {
        ResultRow { result, status: self.shown.status(result, &self.history.summary) }
    }
}

fn unknown_column(name: &str, known: &BTreeSet<String>) -> CliError {
    let error = CliError::new(exit::USAGE, format!("no trial has a column `{name}`"));
    let hint = did_you_mean(name, known.iter().map(String::as_str));
    error.hint(hint.unwrap_or_else(|| "`combu results -o json` shows what there is".to_owned()))
}
