//! `combu why`.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use crate::cli::args::OutputForm;
use crate::cli::control::wire::{ControlReply, ControlRequest, ask};
use crate::cli::error::CliError;
use crate::cli::exit;
use crate::cli::named;
use crate::cli::ui::Ui;
use crate::cli::unread;
use crate::cli::which::{Runs, runs};
use crate::model::event::Early;
use crate::model::name::Name;
use crate::model::suggest::did_you_mean;
use crate::model::summary::Summary;
use crate::report::why_early;
use crate::store::Kinds;

/// Examples below the options.
pub(crate) const HELP: &str = "Examples:
  combu why solver-3
  combu why last/solver-3 -o json";

#[derive(Debug, Args)]
pub(crate) struct WhyArgs {
    /// The trial's name; its run, the beginning of its id or `last`, besides or as `RUN/TRIAL`. Default: the runs that are
    /// live in this project (with `-f FILE`, of that spec), else the last one.
    #[arg(value_name = "RUN|TRIAL", required = true)]
    what: Vec<String>,

    /// Print the answer in this form instead of the text.
    #[arg(short = 'o', long, value_name = "FORM")]
    output: Option<OutputForm>,
}

pub(crate) fn main(file: Option<&Path>, args: &WhyArgs, ui: &Ui) -> Result<u8, CliError> {
    let named = named::read_one(file, &args.what, ui)?;
    let [trial] = &named.trials[..] else {
        let run = named.run.as_deref().unwrap_or("last");
        let what =
            if named.trials.is_empty() { "a run is named, and no trial of it" } else { "several trials are named" };
        return Err(CliError::new(exit::USAGE, what).hint(format!("write one trial: `combu why {run}/TRIAL`")));
    };
    let runs = runs(file, named.run.as_deref(), ui)?;
    let Ok(trial) = Name::parse(trial) else { return Err(unknown(trial, &runs)) };
    let answers = if runs.live.is_empty() { ended(&trial, &runs, ui)? } else { live(&trial, &runs)? };
    for (text, json) in answers {
        match args.output {
            Some(OutputForm::Json) => ui.result(&format!("{json:#}"))?,
            None => ui.result(&text)?,
        }
    }
    Ok(exit::OK)
}

/// Answers of live runs; those that do not have the trial give none.
fn live(trial: &Name, runs: &Runs) -> Result<Vec<(String, Value)>, CliError> {
    let mut answers = Vec::new();
    for run in &runs.live {
        let id = &run.record.run;
        match ask(run, ControlRequest::Why { trial: trial.clone() }, Duration::ZERO)? {
            ControlReply::Why { lines } => {
                let head = lines.first().cloned().unwrap_or_else(|| format!("`{trial}` is in run {id}"));
                let text = std::iter::once(head).chain(lines.iter().skip(1).map(|line| format!("  {line}")));
                let text = text.collect::<Vec<_>>().join("\n");
                answers.push((text, json!({"run": id, "trial": trial, "live": true, "why": lines})));
            }
            ControlReply::Refused { message } => {
                return Err(CliError::new(exit::USAGE, format!("run {id} does not answer: {message}")));
            }
            _ => {}
        }
    }
    if answers.is_empty() { Err(unknown(trial.as_str(), runs)) } else { Ok(answers) }
}

/// Limit of the runs that are looked into: each may be large.
const RUNS: usize = 20;

/// The end of the trial in the last run that it was in.
fn ended(trial: &Name, runs: &Runs, ui: &Ui) -> Result<Vec<(String, Value)>, CliError> {
    if runs.past.is_empty() {
        return Err(CliError::new(exit::NOTHING, format!("no run{} is live, and none is recorded", runs.asked))
            .hint("it is looked for in the project of the working folder: `.combu/` there, or above"));
    }
    let mut found = None;
    for run in runs.past.iter().take(RUNS) {
        let history = run.history(Kinds::WITHOUT_RECORDS)?;
        unread::warn(&history.unread, ui);
        let summary = history.summary;
        if summary.get(trial).is_some() {
            found = Some((run, summary));
            break;
        }
    }
    let Some((run, summary)) = found else { return Err(unknown(trial.as_str(), runs)) };
    let id = &run.record.run;
    let mut json = json!({"run": id, "trial": trial, "live": false});
    let ended = summary.get(trial).and_then(|result| Some((result, result.outcome()?)));
    let text = match ended {
        Some((result, outcome)) => {
            json["outcome"] = serde_json::to_value(outcome).unwrap_or_default();
            json["attempts"] = result.attempts.into();
            json["elapsed"] = result.elapsed.as_secs_f64().into();
            let attempts = match result.attempts {
                0 | 1 => String::new(),
                count => format!(", after {count} attempts"),
            };
            format!("{trial}: {}{attempts}; run {id} has ended", outcome)
        }
        None => {
            format!(
                "{trial}: it had not ended when run {id} was cut off: its combu was killed, or the machine went down"
            )
        }
    };
    let early = summary.early.map(|early| {
        let text = match &early {
            Early::Halted(text) | Early::Cancelled(text) | Early::Unreachable(text) => text.clone(),
            killed @ Early::Killed(_) => why_early(killed),
        };
        json["early"] = text.as_str().into();
        format!("\n  the run was ended early: {text}")
    });
    Ok(vec![(format!("{text}{}", early.unwrap_or_default()), json)])
}

/// The error that no run has a trial of that name, with the nearest of those they have.
fn unknown(trial: &str, runs: &Runs) -> CliError {
    let ids: Vec<&str> = match &runs.live[..] {
        [] => runs.past.first().map(|run| run.record.run.as_str()).into_iter().collect(),
        live => live.iter().map(|run| run.record.run.as_str()).collect(),
    };
    let summaries: Vec<Summary> = runs
        .past
        .iter()
        .filter(|run| ids.contains(&run.record.run.as_str()))
        .filter_map(|run| Some(run.history(Kinds::WITHOUT_RECORDS).ok()?.summary))
        .collect();
    let of = if ids.is_empty() { String::new() } else { format!(" in run {}", ids.join(", ")) };
    let error = CliError::new(exit::NOTHING, format!("there is no trial `{trial}`{of}"));
    let results = summaries.iter().flat_map(|summary| &summary.results);
    let names = results.map(|result| result.trial.name.as_str());
    CliError { hints: did_you_mean(trial, names).into_iter().collect(), ..error }
}
