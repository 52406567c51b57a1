//! `combu ls`.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use crate::cli::args::OutputForm;
use crate::cli::error::{CliError, short_path};
use crate::cli::exit;
use crate::cli::look::shown::{ShownRun, none_recorded};
use crate::cli::time::{minute, utc};
use crate::cli::ui::Ui;
use crate::cli::unread;
use crate::cli::which::runs;
use crate::model::event::FactKind;
use crate::model::summary::{Counts, Summary};
use crate::report::style::took;
use crate::report::table::{Cut, lines};
use crate::store::Kinds;

/// Events that show how far a run is; the rest may be many.
const KINDS: [FactKind; 8] = [
    FactKind::RunStarted,
    FactKind::RunResumed,
    FactKind::RunEnded,
    FactKind::TrialSubmitted,
    FactKind::TrialReused,
    FactKind::TrialEnded,
    FactKind::TrialReopened,
    FactKind::AttemptStarted,
];

/// List the runs of this project, the newest first.
///
/// STATE is `running`, `ended`, `interrupted` (by a signal or `kill`), `halted` (by its policy), `engine lost` (it was out
/// of reach), `script died` (all of it was done, and the script that started it died), `cut off` (its combu died: `combu resume` goes on with it) or `no events` (`combu.db` was removed). OK is the number of trials that succeeded, of
/// all; FAIL the number that failed; NAME the experiment's. STARTED is a local time. A `rehearsal` is a run on the
/// fake engine, which runs nothing; `last` means one only where there is no other run.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  combu ls                       the last 20 runs
  combu ls -n 0                  all of them
  combu -f sweep.jsonnet ls      those of a spec
  combu ls -o json               with the command line, for programs")]
pub(crate) struct LsArgs {
    /// Show N runs at most; 0: all.
    #[arg(short = 'n', long = "last", value_name = "N", default_value_t = 20)]
    last: usize,

    /// Print them in this form instead of the table.
    #[arg(short = 'o', long, value_name = "FORM")]
    output: Option<OutputForm>,
}

/// A run in the list.
struct RunRow {
    shown: ShownRun,
    summary: Summary,
    counts: Counts,
    elapsed: Duration,
}

pub(crate) fn main(file: Option<&Path>, args: &LsArgs, ui: &Ui) -> Result<u8, CliError> {
    let runs = runs(file, None, ui)?;
    if runs.past.is_empty() {
        return Err(none_recorded(&runs));
    }
    let most = if args.last == 0 { runs.past.len() } else { args.last };
    let (mut list, mut older) = (Vec::new(), 0);
    for run in runs.past.iter().cloned() {
        if list.len() == most {
            older += 1;
            continue;
        }
        let live = runs.live.iter().find(|live| live.record.run == run.record.run).cloned();
        let row = RunRow::read(ShownRun { run, live }, ui)?;
        if row.has_begun() {
            list.push(row);
        }
    }
    if list.is_empty() && args.output.is_none() {
        return Err(none_recorded(&runs));
    }
    match args.output {
        Some(OutputForm::Json) => {
            let list: Vec<Value> = list.iter().map(RunRow::json).collect();
            ui.result(&format!("{:#}", Value::Array(list)))?;
        }
        None => {
            ui.result(&table(&list, ui))?;
            if older > 0 {
                ui.message(&format!("and {older} older; `-n 0` lists them too"));
            }
        }
    }
    Ok(exit::OK)
}

fn table(list: &[RunRow], ui: &Ui) -> String {
    const COLUMNS: [(&str, Cut); 8] = [
        ("RUN", Cut::Never),
        ("STATE", Cut::Never),
        ("OK", Cut::Never),
        ("FAIL", Cut::Never),
        ("STARTED", Cut::Never),
        ("TIME", Cut::Never),
        ("NAME", Cut::End),
        ("SPEC", Cut::Start),
    ];
    let rows: Vec<Vec<String>> = list.iter().map(RunRow::row).collect();
    let style = ui.out();
    lines(&COLUMNS, &rows, style, |row, column, cell| match (COLUMNS[column].0, cell) {
        ("STATE", "running") => style.green(cell),
        ("STATE", "ended") => cell.to_owned(),
        ("STATE", "rehearsal") => style.dim(cell),
        ("STATE", _) => style.yellow(cell),
        ("FAIL", _) if list[row].counts.failed > 0 => style.red(cell),
        _ => cell.to_owned(),
    })
}

impl RunRow {
    fn read(shown: ShownRun, ui: &Ui) -> Result<Self, CliError> {
        let (mut summary, mut last) = (Summary::default(), 0);
        let mut follower = shown.run.follow();
        follower.read(Kinds::Only(&KINDS), |event| {
            summary.add(&event);
            last = last.max(event.at);
        })?;
        unread::warn(&follower.unread(), ui);
        let elapsed = shown.elapsed(&summary, last);
        Ok(Self { counts: summary.counts(), shown, summary, elapsed })
    }

    /// Whether anything of the run is there but its record.
    fn has_begun(&self) -> bool {
        self.summary.run.is_some() || self.shown.live.is_some() || self.shown.run.has_trials()
    }

    fn row(&self) -> Vec<String> {
        let record = &self.shown.run.record;
        let Counts { succeeded, total, failed, .. } = self.counts;
        vec![
            record.run.to_string(),
            match self.shown.state(&self.summary) {
                "ended" if self.summary.is_rehearsal() => "rehearsal".to_owned(),
                state if self.summary.is_rehearsal() => format!("{state}, rehearsal"),
                state => state.to_owned(),
            },
            format!("{succeeded}/{total}"),
            failed.to_string(),
            minute(record.started_ms),
            took(self.elapsed),
            record.experiment.clone(),
            short_path(&record.spec),
        ]
    }

    fn json(&self) -> Value {
        let record = &self.shown.run.record;
        json!({
            "run": record.run,
            "experiment": record.experiment,
            "spec": record.spec.display().to_string(),
            "state": self.shown.state(&self.summary),
            "rehearsal": self.summary.is_rehearsal(),
            "script": self.shown.run.script().map(|(script, state)| json!({"file": script.file, "state": state})),
            "early": self.summary.early,
            "counts": self.counts,
            "started": utc(record.started_ms),
            "elapsed": self.elapsed.as_secs_f64(),
            "command": record.command,
            "pid": self.shown.live.as_ref().map(|live| live.record.pid),
            "folder": self.shown.run.path.display().to_string(),
        })
    }
}
