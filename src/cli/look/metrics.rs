//! `combu metrics`: all that trials told of their metrics, step by step.

use std::collections::HashMap;
use std::path::Path;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::cli::chosen::TrialFilter;
use crate::cli::error::CliError;
use crate::cli::exit;
use crate::cli::look::gathered::Gathered;
use crate::cli::time::utc_millis;
use crate::cli::ui::Ui;
use crate::cli::which::runs;
use crate::model::event::{Fact, FactKind, Record};
use crate::model::name::{Name, RunId};
use crate::report::results::csv;
use crate::store::{Kinds, PastRun};

/// Events that tell of metrics, and that an attempt begins, which tells them anew.
const KINDS: [FactKind; 3] = [FactKind::AttemptStarting, FactKind::AttemptAdopted, FactKind::Recorded];

/// The columns, which are the keys in JSON.
const COLUMNS: [&str; 6] = ["run", "trial", "name", "step", "value", "at"];

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
    let mut told = Vec::new();
    let mut lenders: HashMap<RunId, HashMap<Name, Vec<Value>>> = HashMap::new();
    for (place, result) in gathered.results() {
        let shown = &gathered.runs[place].0.run;
        let run = result.reused.as_ref().unwrap_or(&shown.record.run);
        if !lenders.contains_key(run) {
            let past = if *run == shown.record.run {
                Some(shown.clone())
            } else {
                runs(file, Some(run.as_str()), ui)?.past.pop()
            };
            let values = past.map(|past| values(&past, &args.name)).transpose()?.unwrap_or_default();
            lenders.insert(run.clone(), values);
        }
        told.extend(lenders.get_mut(run).and_then(|run| run.remove(&result.trial.name)).unwrap_or_default());
    }
    if told.is_empty() {
        let of = args.name.first().map(|name| format!(" of `{name}`")).unwrap_or_default();
        return Err(CliError::new(exit::NOTHING, format!("no value{of} was told"))
            .hint("a trial tells one by printing `::combu metric loss=0.3 step=7`: `combu help metrics`"));
    }
    match args.output {
        MetricsForm::Csv => {
            let row = |value: &Value| COLUMNS.iter().map(|column| value[column].clone()).collect();
            let rows: Vec<Vec<Value>> = told.iter().map(row).collect();
            ui.result(&csv(&COLUMNS.map(str::to_owned), &rows)?)?;
        }
        MetricsForm::Json => {
            let lines: Vec<String> = told.iter().map(Value::to_string).collect();
            ui.result(&lines.join("\n"))?;
        }
    }
    Ok(exit::OK)
}

/// What the last attempt of each trial of a run told of metrics of those names; none named: of all.
fn values(run: &PastRun, names: &[String]) -> Result<HashMap<Name, Vec<Value>>, CliError> {
    let mut values: HashMap<Name, Vec<Value>> = HashMap::new();
    run.follow().read(Kinds::Only(&KINDS), |event| match event.fact {
        Fact::AttemptStarting { trial, .. } | Fact::AttemptAdopted { trial, .. } => drop(values.remove(&trial)),
        Fact::Recorded { trial, record: Record::Metric { name, value, step }, .. }
            if names.is_empty() || names.contains(&name) =>
        {
            let (run, at) = (&run.record.run, utc_millis(event.at));
            let row = json!({"run": run, "trial": trial, "name": name, "step": step, "value": value, "at": at});
            values.entry(trial).or_default().push(row);
        }
        _ => {}
    })?;
    Ok(values)
}
