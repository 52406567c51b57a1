//! A run that is shown: its record, its process where that lives, and the words for its state and for its trials' status.

use std::borrow::Cow;
use std::path::Path;
use std::time::Duration;

use serde_json::Value;

use crate::cli::error::{CliError, typed_words};
use crate::cli::exit;
use crate::cli::time;
use crate::cli::ui::Ui;
use crate::cli::which::{Runs, last, runs};
use crate::model::event::Early;
use crate::model::history::History;
use crate::model::summary::{Summary, TrialResult};
use crate::page::PageHead;
use crate::report::style::{clean, counted, took};
use crate::store::{LiveRun, PastRun, Provenance};

/// A run that is shown.
#[derive(Debug)]
pub(crate) struct ShownRun {
    pub(crate) run: PastRun,
    /// The run's process, if that lives.
    pub(crate) live: Option<LiveRun>,
}

/// The run that is meant: the one that `named` begins, or `last`; else the live one that was started last, else the last.
/// With `file`, of that spec.
///
/// # Errors
/// When there is none, or several begin so.
pub(crate) fn look(file: Option<&Path>, named: Option<&str>, ui: &Ui) -> Result<ShownRun, CliError> {
    let mut runs = runs(file, named, ui)?;
    let live = runs.live.pop();
    let place = match &live {
        Some(live) => runs.past.iter().position(|run| live.record.run == run.record.run),
        None => last(&runs.past),
    };
    match place {
        Some(place) => Ok(ShownRun { run: runs.past.swap_remove(place), live }),
        None => Err(none_recorded(&runs)),
    }
}

/// The error that no recorded run fits.
pub(super) fn none_recorded(runs: &Runs) -> CliError {
    let error = CliError::new(exit::NOTHING, format!("no run{} is recorded", runs.asked));
    if runs.asked.is_empty() {
        error.hint("it is looked for in the project of the working folder: `.combu/` there, or above")
    } else {
        error.hint("`combu ls` lists the runs of this project")
    }
}

impl ShownRun {
    /// The state of the run, or its end, in a word or two.
    pub(crate) fn state(&self, summary: &Summary) -> &'static str {
        match (&summary.early, summary.elapsed) {
            (Some(Early::Halted(_)), _) => "halted",
            (Some(Early::Cancelled(_) | Early::Killed(_)), _) => "interrupted",
            (Some(Early::Unreachable(_)), _) => "engine lost",
            (None, Some(_)) if self.live.is_none() && self.run.dead_script().is_some() => "script died",
            (None, Some(_)) => "ended",
            (None, None) if self.live.is_some() => "running",
            (None, None) if summary.run.is_none() => "no events",
            (None, None) => "cut off",
        }
    }

    /// True while a combu is running it; its process lives a little longer than that.
    pub(crate) fn is_running(&self, summary: &Summary) -> bool {
        self.live.is_some() && summary.elapsed.is_none()
    }

    /// The word for a trial's status: `running`, `succeeded`; `open` where it had not ended when the run did.
    pub(crate) fn status(&self, result: &TrialResult, summary: &Summary) -> &'static str {
        if result.outcome().is_none() && !self.is_running(summary) { "open" } else { result.status() }
    }

    /// The time since its start: until now, its end, or its last event.
    pub(crate) fn elapsed(&self, summary: &Summary, last: u64) -> Duration {
        let started = self.run.record.started_ms;
        match summary.elapsed {
            Some(elapsed) => elapsed,
            None if self.live.is_some() => Duration::from_millis(time::now().saturating_sub(started)),
            None => {
                // Its last event of any kind, whatever part of them a verb has read.
                let last = self.run.last_at().ok().flatten().unwrap_or(last);
                Duration::from_millis(last.saturating_sub(started))
            }
        }
    }

    /// What the page shows of it beside its events.
    pub(crate) fn page_head(&self, history: &History) -> PageHead {
        let (record, summary) = (&self.run.record, &history.summary);
        let elapsed = self.elapsed(summary, history.last());
        let state = self.state(summary);
        // A word that combu gave itself is not to be typed.
        let command = typed_words(&record.command).filter(|word| word != "--detached");
        PageHead {
            run: record.run.to_string(),
            experiment: record.experiment.clone(),
            state,
            started: record.started_ms,
            ended: (state != "running").then(|| history.last()),
            elapsed: elapsed.as_secs_f64(),
            command: command.map(Cow::into_owned).collect(),
            spec: record.spec.display().to_string(),
            script: self.run.script().map(|(script, _)| script.file.clone()),
            repeats: record.repeats.as_ref().map(ToString::to_string),
        }
    }

    /// Where, from what and by whom it was started, as the page takes it.
    ///
    /// # Errors
    /// When that cannot be read.
    pub(crate) fn page_provenance(&self) -> Result<Value, CliError> {
        Ok(serde_json::to_value(Provenance::read(&self.run.path)?).unwrap_or_default())
    }

    /// `run k3jd8s0aq2xz of sweep, running for 3m 05s: 20 trials, 5 succeeded, 2 running, 13 waiting`
    pub(crate) fn headline(&self, summary: &Summary, last: u64) -> String {
        let record = &self.run.record;
        let time = took(self.elapsed(summary, last));
        let state = match self.state(summary) {
            "running" => format!("running for {time}"),
            state => format!("{state} after {time}"),
        };
        let trials = counted(summary.results.len(), "trial");
        let parts = counts(summary, self.is_running(summary));
        let counts = [trials, parts].iter().filter(|part| !part.is_empty()).cloned().collect::<Vec<_>>().join(", ");
        let rehearsal = if summary.is_rehearsal() { ", a rehearsal" } else { "" };
        format!("run {} of {}{rehearsal}, {state}: {counts}", record.run, clean(&record.experiment))
    }
}

/// `5 succeeded, 2 running, 13 waiting`
pub(super) fn counts(summary: &Summary, is_running: bool) -> String {
    let counts = summary.counts();
    let (running, paused, waiting, open) = match is_running {
        true => (counts.running - counts.paused, counts.paused, counts.waiting, 0),
        false => (0, 0, 0, counts.running + counts.waiting),
    };
    let parts = [
        (counts.succeeded, "succeeded"),
        (counts.failed, "failed"),
        (counts.skipped, "skipped"),
        (counts.killed, "killed"),
        (counts.pruned, "pruned"),
        (running, "running"),
        (paused, "paused"),
        (waiting, "waiting"),
        (open, "open"),
    ];
    let parts = parts.iter().filter(|(number, _)| *number > 0).map(|(number, word)| format!("{number} {word}"));
    parts.collect::<Vec<_>>().join(", ")
}
