//! `combu results`.

use std::collections::{BTreeSet, HashMap};
use std::path::Path;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::Value;

use crate::cli::chosen::TrialFilter;
use crate::cli::error::CliError;
use crate::cli::exit;
use crate::cli::look::gathered::Gathered;
use crate::cli::look::joblog;
use crate::cli::look::junit::{self, Suite};
use crate::cli::look::plot::{ToldTrial, draw};
use crate::cli::look::told::curves;
use crate::cli::time::{second, utc};
use crate::cli::ui::Ui;
use crate::model::suggest::did_you_mean;
use crate::model::summary::TrialResult;
use crate::report::results::{
    FIRST, LAST, ORIGIN, ResultRow, RowOrigin, USAGE, cells, csv, facts, known, order, results_lines,
};
use crate::report::style::{bytes, counted, took};

/// Print one row for each trial of a run: its params, end, time, usage and metrics.
///
/// The run is the one that is named; else the one that is live in this project, else the last. Results of a rerun are those
/// of the whole experiment, the newest of each trial; of several runs that are named, one after the other. Services have no
/// row. In CSV and JSON, times are seconds, sizes bytes, and moments UTC; a trial that was not run again has the figures of
/// the run in which it succeeded. Of a metric, its last value in the trial's last attempt is shown, and as `NAME.min` and
/// `NAME.max` its smallest and largest; `combu metrics` has them all. A table too wide for the terminal leaves out what says
/// least, and names it. `joblog` is the log of GNU parallel's `--joblog`, `junit` is for CI services. There is no Parquet,
/// which would take a heavy dependency: pandas, polars and DuckDB read the CSV and the JSON as well.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  combu results
  combu results --sort loss                        the smallest first; -r: the largest
  combu results --where 'metrics.loss < 0.01'
  combu results k3jd --columns name,lr,loss,loss.min,peak_memory
  combu results k3jd a81x -o csv > results.csv     two runs
  combu results last/'solver-*'                    some trials
  combu results --plot loss                        curves of a metric, in the terminal
  combu results -o junit > junit.xml
  combu results -o joblog > joblog.tsv")]
pub(crate) struct ResultsArgs {
    /// Runs, trials, or `RUN/TRIAL`: a run is the beginning of its id, or `last`; a trial is a name, or a pattern.
    #[arg(value_name = "RUN|TRIAL")]
    what: Vec<String>,

    /// The form.
    #[arg(short = 'o', long, value_name = "FORM", default_value = "table")]
    output: ResultsForm,

    /// Columns of a table or CSV, in their order: `name`, `status`, `exit`, `attempts`, `elapsed`, `message`, `flaky`,
    /// `cpu_seconds`, `peak_memory`, `read_bytes`, `written_bytes`, `run`, `experiment`, `started`, `ended`; a param, metric,
    /// tag or field of the trial by its name, or where two have one name by `params.NAME`, `metrics.NAME`, `tags.NAME`; of a
    /// metric also `NAME.min`, `NAME.max`, `NAME.count`, `NAME.step`.
    #[arg(long, value_name = "NAMES", value_delimiter = ',')]
    columns: Vec<String>,

    /// Sort by this column, the smallest first. Without it, the results of a run with a goal begin with the best.
    #[arg(long, value_name = "NAME")]
    sort: Option<String>,

    /// The largest first.
    #[arg(short = 'r', long, requires = "sort")]
    reverse: bool,

    /// Draw the curves of this metric in place of a table, or bars where each trial told it once; repeatable.
    #[arg(long, value_name = "METRIC", conflicts_with_all = ["output", "columns"])]
    plot: Vec<String>,

    /// Only the trials that failed.
    #[arg(long)]
    failed: bool,

    /// Only the trials that this expression is true of; see `combu run`. `metrics.NAME` is a metric's last value.
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
    let gathered = Gathered::read(file, &args.what, &filter, ui)?;
    let mut rows = ResultRows::new(&gathered, args.output == ResultsForm::Table);
    if let Some(column) = &args.sort {
        rows.sort(column, args.reverse)?;
    } else {
        rows.rank();
    }
    if !args.plot.is_empty() {
        return rows.draw(file, &args.plot, ui);
    }
    match args.output {
        ResultsForm::Table if rows.rows.is_empty() => {}
        ResultsForm::Table => {
            let columns = rows.columns(&args.columns, false)?;
            ui.result(&results_lines(&columns, &rows.cells(&columns), ui.out()))?;
        }
        ResultsForm::Csv => {
            let columns = rows.columns(&args.columns, true)?;
            ui.result(&csv(&columns, &rows.values(&columns))?)?;
        }
        ResultsForm::Json => {
            let all = rows.rows.iter().map(|row| row.as_row().to_json()).collect();
            ui.result(&format!("{:#}", Value::Array(all)))?;
        }
        ResultsForm::Joblog => {
            let parts = rows.by_run().map(|(run, results)| joblog::text(&gathered.runs[run].1, &results));
            ui.result(&joblog::joined(parts))?;
        }
        ResultsForm::Junit => {
            let suites = rows.by_run().map(|(run, results)| {
                let (shown, history) = &gathered.runs[run];
                Suite::new(shown, history, &results)
            });
            ui.result(&junit::text(&suites.collect::<Vec<_>>()))?;
        }
    }
    if args.output == ResultsForm::Table {
        for place in &gathered.asked {
            let (shown, history) = &gathered.runs[*place];
            ui.message(&shown.headline(&history.summary, history.last()));
        }
        rows.tell_of_lent(ui);
    }
    Ok(exit::OK)
}

/// A result that is printed.
struct PrintedRow<'a> {
    run: usize,
    result: &'a TrialResult,
    status: &'static str,
    origin: RowOrigin,
}

impl PrintedRow<'_> {
    fn as_row(&self) -> ResultRow<'_> {
        ResultRow { result: self.result, status: self.status, origin: Some(&self.origin) }
    }
}

/// The results that are printed.
struct ResultRows<'a> {
    gathered: &'a Gathered,
    rows: Vec<PrintedRow<'a>>,
}

impl<'a> ResultRows<'a> {
    /// The rows, with moments for people in their own zone.
    fn new(gathered: &'a Gathered, for_people: bool) -> Self {
        let moment = |ms: u64| if for_people { second(ms) } else { utc(ms) };
        let row = |(run, result): (usize, &'a TrialResult)| {
            let (shown, history) = &gathered.runs[run];
            let last = history.trial(&result.trial.name).and_then(|told| told.attempts.last());
            let record = &shown.run.record;
            let origin = RowOrigin {
                run: result.reused.as_ref().unwrap_or(&record.run).to_string(),
                experiment: record.experiment.clone(),
                started: last.and_then(|attempt| attempt.started).map(moment),
                ended: last.and_then(|attempt| attempt.ended).map(moment),
            };
            PrintedRow { run, result, status: shown.status(result, &history.summary), origin }
        };
        Self { gathered, rows: gathered.results().into_iter().map(row).collect() }
    }

    /// The results of each run, by its place.
    fn by_run(&self) -> impl Iterator<Item = (usize, Vec<&'a TrialResult>)> {
        let of = |run| self.rows.iter().filter(|row| row.run == run).map(|row| row.result).collect::<Vec<_>>();
        (0..self.gathered.runs.len()).map(move |run| (run, of(run))).filter(|(_, results)| !results.is_empty())
    }

    fn sort(&mut self, column: &str, descending: bool) -> Result<(), CliError> {
        self.columns(&[column.to_owned()], false)?;
        let value = |row: &PrintedRow<'_>| row.as_row().value(column).unwrap_or_default();
        self.rows.sort_by(|one, other| order(&value(one), &value(other), descending));
        Ok(())
    }

    /// Draws metrics, the trials in the order of the rows.
    fn draw(&self, file: Option<&Path>, metrics: &[String], ui: &Ui) -> Result<u8, CliError> {
        let curves = curves(file, self.gathered, ui)?;
        let known = self.gathered.results().into_iter().zip(&curves);
        let known: HashMap<_, _> = known.map(|((run, result), curves)| ((run, &result.trial.name), curves)).collect();
        let told = |row: &PrintedRow<'a>| Some((row.result, *known.get(&(row.run, &row.result.trial.name))?));
        let trials: Vec<ToldTrial<'_>> = self.rows.iter().filter_map(told).collect();
        let goal = match &self.gathered.asked[..] {
            [place] => self.gathered.runs[*place].1.summary.options.goal.as_ref(),
            _ => None,
        };
        draw(metrics, &trials, goal, ui)?;
        Ok(exit::OK)
    }

    /// Puts the best first, where there is one run and it has a goal.
    fn rank(&mut self) {
        let [(_, history)] = &self.gathered.runs[..] else { return };
        let Some(goal) = &history.summary.options.goal else { return };
        self.rows.sort_by(|one, other| match (one.result.reached(goal), other.result.reached(goal)) {
            (Some(one), Some(other)) => goal.order(one, other),
            (one, other) => one.is_none().cmp(&other.is_none()),
        });
    }

    /// Says where the results of a rerun are from.
    fn tell_of_lent(&self, ui: &Ui) {
        let is_asked = |run: &usize| self.gathered.asked.contains(run);
        let lent: Vec<String> = self
            .by_run()
            .filter(|(run, _)| !is_asked(run))
            .map(|(run, results)| format!("{} of run {}", results.len(), self.gathered.runs[run].0.run.record.run))
            .collect();
        if !lent.is_empty() {
            ui.message(&format!(
                "{} shown: {} from before the rerun",
                counted(self.rows.len(), "trial"),
                lent.join(", ")
            ));
        }
    }

    /// The columns that are asked for, or all that say something.
    ///
    /// # Errors
    /// When no trial has one of that name.
    fn columns(&self, asked: &[String], with_origin: bool) -> Result<Vec<String>, CliError> {
        if asked.is_empty() {
            let (mut params, mut metrics) = (Vec::new(), BTreeSet::new());
            for result in self.results() {
                for param in result.trial.params.keys().filter(|param| !params.contains(*param)).collect::<Vec<_>>() {
                    params.push(param.clone());
                }
                metrics.extend(result.metrics.keys().cloned());
            }
            let fixed: Vec<&str> = facts().collect();
            let is_used = |name: &&str| {
                let value = |row: &PrintedRow<'_>| row.as_row().value(name);
                self.rows.iter().filter_map(value).any(|value| !value.is_null())
            };
            let mut columns: Vec<String> = FIRST.map(str::to_owned).into();
            let several = self.gathered.asked.len() > 1;
            columns.extend((several && !with_origin).then(|| "run".to_owned()));
            // One that another hides goes by its longer name.
            let hidden = |name: &String, before: &[String]| fixed.contains(&name.as_str()) || before.contains(name);
            let long = |group: &str, name: String, is_hidden| if is_hidden { format!("{group}.{name}") } else { name };
            columns.extend(params.iter().map(|name| long("params", name.clone(), hidden(name, &[]))));
            columns.extend(LAST.map(str::to_owned));
            columns.extend(metrics.into_iter().map(|name| long("metrics", name.clone(), hidden(&name, &params))));
            columns.extend(USAGE.iter().filter(|name| is_used(name)).map(|name| (*name).to_owned()));
            columns.extend(ORIGIN.iter().filter(|_| with_origin).map(|name| (*name).to_owned()));
            return Ok(columns);
        }
        let known = known(self.results());
        match asked.iter().find(|name| !known.contains(*name) && !self.rows.is_empty()) {
            Some(name) => Err(unknown_column(name, &known)),
            None => Ok(asked.to_vec()),
        }
    }

    fn results(&self) -> impl Iterator<Item = &'a TrialResult> {
        self.rows.iter().map(|row| row.result)
    }

    fn values(&self, columns: &[String]) -> Vec<Vec<Value>> {
        let value = |row: &PrintedRow<'_>, column: &String| row.as_row().value(column).unwrap_or_default();
        self.rows.iter().map(|row| columns.iter().map(|column| value(row, column)).collect()).collect()
    }

    /// The values for people: times and sizes with their units.
    fn cells(&self, columns: &[String]) -> Vec<Vec<String>> {
        let values = self.values(columns);
        let mut all = cells(&values);
        for (row, texts) in values.iter().zip(&mut all) {
            for ((column, value), text) in columns.iter().zip(row).zip(texts) {
                let seconds = value.as_f64().and_then(|value| Duration::try_from_secs_f64(value).ok());
                match (column.as_str(), seconds, value.as_u64()) {
                    ("elapsed" | "cpu_seconds", Some(seconds), _) => *text = took(seconds),
                    ("peak_memory" | "read_bytes" | "written_bytes", _, Some(size)) => *text = bytes(size),
                    _ => {}
                }
            }
        }
        all
    }
}

fn unknown_column(name: &str, known: &BTreeSet<String>) -> CliError {
    let error = CliError::new(exit::USAGE, format!("no trial has a column `{name}`"));
    let hint = did_you_mean(name, known.iter().map(String::as_str));
    error.hint(hint.unwrap_or_else(|| "`combu results -o json` shows what there is".to_owned()))
}
