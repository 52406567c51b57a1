//! `combu ps`.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use clap::{Args, ValueEnum};
use serde_json::{Value, json};

use crate::cli::chosen::{TrialFilter, fitting, pattern};
use crate::cli::error::CliError;
use crate::cli::exit;
use crate::cli::look::shown::{ShownRun, look};
use crate::cli::named;
use crate::cli::time::{now, utc};
use crate::cli::ui::Ui;
use crate::cli::unread;
use crate::cli::which::no_events;
use crate::model::history::{History, TrialHistory};
use crate::model::outcome::{Exit, Outcome, signal_name};
use crate::model::summary::{State, TrialResult};
use crate::model::trial::Condition;
use crate::report::style::{elapsed, took};
use crate::report::table::{Cut, lines};
use crate::report::{Style, how};

/// List the trials of a run, also while it runs in another shell.
///
/// The run is the one that is named; else the one that is live in this project, else the last. Of a live run, what runs
/// and what failed is listed; of one that is over, every trial.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  combu ps                        what runs now, and what failed so far
  combu ps -a                     what waits and what succeeded, too
  combu ps k3jd --failed          what failed in one run
  combu ps last/'solver-*'        some trials of one run
  combu ps --where 'params.lr > 0.1' -o json
  combu why solver-3              what a single trial waits for")]
pub(crate) struct PsArgs {
    /// The run (the beginning of its id, or `last`), trials of it (names, or patterns), or `RUN/TRIAL`.
    #[arg(value_name = "RUN|TRIAL")]
    what: Vec<String>,

    /// List every trial.
    #[arg(short = 'a', long)]
    all: bool,

    /// List trials that failed.
    #[arg(long)]
    failed: bool,

    /// List trials that run, or are being started.
    #[arg(long)]
    running: bool,

    /// List trials of that status, such as `waiting`, `succeeded`, `timed-out` or `open` (it had not ended when the run did);
    /// repeatable.
    #[arg(long, value_name = "STATUS", value_parser = status)]
    status: Vec<String>,

    /// Only trials that this expression is true of; see `combu run`.
    #[arg(long = "where", value_name = "EXPR")]
    filter: Option<String>,

    /// The form.
    #[arg(short = 'o', long, value_name = "FORM", default_value = "table")]
    output: PsForm,
}

/// A form of the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PsForm {
    /// A line for each trial.
    Table,
    /// JSON.
    Json,
}

/// The words for a trial's status.
const STATUSES: [&str; 16] = [
    "waiting",
    "starting",
    "running",
    "paused",
    "open",
    "succeeded",
    "failed",
    "oom",
    "timed-out",
    "unhealthy",
    "not-started",
    "lost",
    "stopped",
    "killed",
    "pruned",
    "skipped",
];

fn status(word: &str) -> Result<String, String> {
    match STATUSES.contains(&word) {
        true => Ok(word.to_owned()),
        false => Err(format!("write one of: {}", STATUSES.join(", "))),
    }
}

/// The trials of a run, and the moment they are listed.
struct TrialList<'a> {
    shown: &'a ShownRun,
    history: &'a History,
    now: u64,
}

pub(crate) fn main(file: Option<&Path>, args: &PsArgs, ui: &Ui) -> Result<u8, CliError> {
    let filter = TrialFilter::new(false, args.filter.as_deref())?;
    let named = named::read_one(file, &args.what, ui)?;
    let shown = look(file, named.run.as_deref(), ui)?;
    let history = shown.run.history(filter.kinds())?;
    unread::warn(&history.unread, ui);
    if !history.has_begun() && history.unread.is_empty() && shown.live.is_none() {
        return Err(no_events(&shown.run));
    }
    let list = TrialList { shown: &shown, history: &history, now: now() };
    let mut named_trials = BTreeSet::new();
    for trial in &named.trials {
        let found = fitting(&pattern(trial)?, &shown.run, &history.summary)?;
        named_trials.extend(found.iter().map(|result| &result.trial.name));
    }
    let mut results = Vec::new();
    for result in &history.summary.results {
        let is_named = named_trials.contains(&result.trial.name);
        let is_asked_for = if named.trials.is_empty() { list.is_asked_for(args, result) } else { is_named };
        if is_asked_for && filter.has(result, shown.status(result, &history.summary))? {
            results.push(result);
        }
    }
    match args.output {
        PsForm::Json => {
            let rows: Vec<Value> = results.iter().map(|result| list.json(result)).collect();
            ui.result(&format!("{:#}", Value::Array(rows)))?;
        }
        PsForm::Table => {
            if !results.is_empty() {
                ui.result(&list.table(&results, ui.out()))?;
            }
            ui.message(&shown.headline(&history.summary, history.last()));
            let hidden = history.summary.results.len() - results.len();
            if hidden > 0 && args.asks_for_nothing() && named.trials.is_empty() {
                ui.message(&format!("{hidden} of them are not listed; `-a` lists all"));
            }
        }
    }
    Ok(exit::OK)
}

impl PsArgs {
    fn asks_for_nothing(&self) -> bool {
        !self.all && !self.failed && !self.running && self.status.is_empty() && self.filter.is_none()
    }
}

impl TrialList<'_> {
    fn status(&self, result: &TrialResult) -> &'static str {
        self.shown.status(result, &self.history.summary)
    }

    fn is_asked_for(&self, args: &PsArgs, result: &TrialResult) -> bool {
        let runs = || matches!(self.status(result), "running" | "starting");
        let failed = || result.outcome().is_some_and(Outcome::is_failure);
        let is_any = args.failed && failed()
            || args.running && runs()
            || args.status.iter().any(|status| status == self.status(result));
        let none_asked = !args.failed && !args.running && args.status.is_empty();
        let by_itself = !args.asks_for_nothing() || !self.shown.is_running(&self.history.summary) || runs() || failed();
        args.all || is_any || none_asked && by_itself
    }

    fn table(&self, results: &[&TrialResult], style: &Style) -> String {
        const COLUMNS: [(&str, Cut); 6] = [
            ("TRIAL", Cut::Middle),
            ("STATUS", Cut::Never),
            ("ATTEMPT", Cut::Never),
            ("TIME", Cut::Never),
            ("EXIT", Cut::Never),
            ("DETAIL", Cut::End),
        ];
        let rows: Vec<Vec<String>> = results.iter().map(|result| self.row(result)).collect();
        lines(&COLUMNS, &rows, style, |row, column, cell| match (COLUMNS[column].0, results[row].outcome()) {
            ("STATUS", Some(outcome)) if outcome.is_failure() => style.red(cell),
            ("STATUS", Some(outcome)) if outcome.is_success() => cell.to_owned(),
            ("STATUS", None) if cell == "running" => style.green(cell),
            ("STATUS", _) => style.yellow(cell),
            _ => cell.to_owned(),
        })
    }

    fn row(&self, result: &TrialResult) -> Vec<String> {
        let dash = || "-".to_owned();
        let exit = match result.outcome() {
            Some(Outcome::Succeeded) => "0".to_owned(),
            Some(Outcome::Failed { exit: Exit::Code(code) }) => code.to_string(),
            Some(Outcome::Failed { exit: Exit::Signal(signal) }) => {
                signal_name(*signal).map_or_else(|| format!("signal {signal}"), |name| format!("SIG{name}"))
            }
            _ => dash(),
        };
        let time = match self.time(result) {
            Some(time) if result.outcome().is_some() => took(time),
            Some(time) => elapsed(time),
            None => dash(),
        };
        let attempt = if result.attempts == 0 { dash() } else { result.attempts.to_string() };
        vec![
            result.trial.name.to_string(),
            self.status(result).to_owned(),
            attempt,
            time,
            exit,
            self.detail(result).unwrap_or_default(),
        ]
    }

    /// The time that its last attempt ran, or has been running.
    fn time(&self, result: &TrialResult) -> Option<Duration> {
        match result.state {
            State::Ended(_) => Some(result.elapsed).filter(|time| !time.is_zero()),
            State::Running(since) if self.shown.is_running(&self.history.summary) => {
                Some(Duration::from_millis(self.now.saturating_sub(since)))
            }
            _ => None,
        }
    }

    /// The reason for its status, where status and exit do not show it.
    fn detail(&self, result: &TrialResult) -> Option<String> {
        let told = self.history.trial(&result.trial.name);
        match &result.state {
            State::Ended(Outcome::Succeeded) => match &result.reused {
                Some(run) => Some(format!("succeeded in run {run}")),
                None => result.flaky.then(|| "flaky: an attempt failed before".to_owned()),
            },
            State::Ended(Outcome::Failed { .. } | Outcome::Killed) => None,
            State::Ended(outcome) => Some(how(outcome)),
            _ if !self.shown.is_running(&self.history.summary) => {
                let what = if result.attempts == 0 { "it was not started" } else { "it had not ended" };
                Some(format!("{what}; `combu resume` goes on"))
            }
            State::Waiting => self.waits(result, told),
            State::Starting => None,
            State::Running(_) => told?.attempts.last()?.note.clone(),
        }
    }

    /// The thing it waits for, as far as the events show it.
    fn waits(&self, result: &TrialResult, told: Option<&TrialHistory>) -> Option<String> {
        if let Some(due) = told.and_then(|told| told.due) {
            let left = Duration::from_millis(due.saturating_sub(self.now));
            return Some(format!("attempt {} in {}", result.attempts + 1, elapsed(left)));
        }
        let is_missing = |name, condition| {
            let Some(other) = self.history.summary.get(name) else { return false };
            match other.state {
                State::Waiting | State::Starting => true,
                State::Running(_) => matches!(condition, Some(Condition::Completed | Condition::Ended)),
                State::Ended(_) => false,
            }
        };
        let missing =
            result.trial.depends.iter().find(|dependency| is_missing(&dependency.trial, dependency.condition));
        missing.map(|dependency| format!("after {}", dependency.trial))
    }

    fn json(&self, result: &TrialResult) -> Value {
        let attempt = self.history.trial(&result.trial.name).and_then(|told| told.attempts.last());
        let started = attempt.and_then(|attempt| attempt.started).map(utc);
        json!({
            "name": result.trial.name,
            "status": self.status(result),
            "attempt": result.attempts,
            "started": started,
            "elapsed": self.time(result).map(|time| time.as_secs_f64()),
            "exit": result.outcome().and_then(Outcome::exit_code),
            "detail": self.detail(result),
            "service": result.service,
            "params": result.trial.params,
            "engine": attempt.and_then(|attempt| attempt.handle.as_ref()).map(|handle| handle.engine),
            "handle": attempt.and_then(|attempt| attempt.handle.as_ref()).map(|handle| handle.id.clone()),
        })
    }
}
