//! `combu show`.

use std::path::Path;
use std::time::Duration;

use clap::Args;
use serde_json::{Value, json};

use crate::cli::args::OutputForm;
use crate::cli::chosen::{fitting, pattern};
use crate::cli::error::{CliError, short_path, typed};
use crate::cli::exit;
use crate::cli::look::shown::{ShownRun, counts, look};
use crate::cli::named;
use crate::cli::time::{now, second, utc};
use crate::cli::ui::Ui;
use crate::cli::unread;
use crate::model::capability::Daemon;
use crate::model::event::Logs;
use crate::model::history::{History, PastAttempt};
use crate::model::name::EngineName;
use crate::model::outcome::Outcome;
use crate::model::summary::TrialResult;
use crate::report::style::{bytes, clean, elapsed, took};
use crate::report::table::{Cut, lines};
use crate::report::{Style, how, why_early};
use crate::store::{Kinds, Provenance};

/// Show everything that is kept of a run, or of a trial and its attempts.
///
/// One word is a trial of the run that is live in this project, else of the last run; or else a run. Times are local ones; in JSON they are UTC.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  combu show                      the live run, or the last one
  combu show k3jd                 one run
  combu show solver-3             a trial of the live run, or of the last one
  combu show k3jd 'solver-*'      some trials of one run
  combu show k3jd -o json         for programs: also each trial's resolved form")]
pub(crate) struct ShowArgs {
    /// The run (the beginning of its id, or `last`), the trial (a name, or a pattern with `*`, `?` and `[a-z]`), or
    /// both, also as `RUN/TRIAL`.
    #[arg(value_name = "RUN|TRIAL")]
    what: Vec<String>,

    /// Print it in this form instead of the text.
    #[arg(short = 'o', long, value_name = "FORM")]
    output: Option<OutputForm>,
}

pub(crate) fn main(file: Option<&Path>, args: &ShowArgs, ui: &Ui) -> Result<u8, CliError> {
    let named = named::read_one(file, &args.what, ui)?;
    let shown = look(file, named.run.as_deref(), ui)?;
    let history = shown.run.history(Kinds::All)?;
    unread::warn(&history.unread, ui);
    if named.trials.is_empty() {
        let from = Provenance::read(&shown.run.path)?;
        match args.output {
            Some(OutputForm::Json) => ui.result(&format!("{:#}", run_json(&shown, &history, from.as_ref())))?,
            None => ui.result(&run_text(&shown, &history, from.as_ref(), ui.out()))?,
        }
        return Ok(exit::OK);
    }
    let mut results = Vec::new();
    for trial in &named.trials {
        results.extend(fitting(&pattern(trial)?, &shown.run, &history.summary)?);
    }
    match args.output {
        Some(OutputForm::Json) => {
            let trials = results.iter().map(|result| trial_json(&shown, &history, result));
            ui.result(&format!("{:#}", Value::Array(trials.collect())))?;
        }
        None => {
            let texts = results.iter().map(|result| trial_text(&shown, &history, result, ui.out()));
            ui.result(&texts.collect::<Vec<_>>().join("\n"))?;
        }
    }
    Ok(exit::OK)
}

/// Lines of a head and a text, one below the other.
struct Sheet<'a> {
    style: &'a Style,
    text: String,
}

impl Sheet<'_> {
    fn title(&mut self, text: &str) {
        self.text.push_str(&self.style.bold(text));
        self.text.push('\n');
    }

    fn line(&mut self, head: &str, text: &str) {
        for line in self.style.wrap(&format!("  {head:<12}"), text, 14) {
            self.text.push_str(&line);
            self.text.push('\n');
        }
    }

    /// A line that is there to be copied, and not broken: the terminal folds it where it has to.
    fn whole(&mut self, head: &str, text: &str) {
        self.text.push_str(&format!("  {head:<12}{text}\n"));
    }

    fn below(&mut self, text: &str) {
        text.lines().for_each(|line| self.text.push_str(&format!("  {line}\n")));
    }
}

fn run_text(shown: &ShownRun, history: &History, from: Option<&Provenance>, style: &Style) -> String {
    let (record, summary) = (&shown.run.record, &history.summary);
    let mut sheet = Sheet { style, text: String::new() };
    sheet.title(&format!("run {}: {}", record.run, shown.state(summary)));
    sheet.line("experiment", &clean(&record.experiment));
    sheet.line("spec", &clean(&short_path(&record.spec)));
    sheet.line("command", &clean(&typed(&record.command)));
    if let Some(run) = &record.repeats {
        sheet.line("repeats", &format!("run {run}"));
    }
    sheet.line("started", &second(record.started_ms));
    for at in &history.resumed {
        sheet.line("resumed", &second(*at));
    }
    let time = took(shown.elapsed(summary, history.last()));
    match &shown.live {
        Some(live) => sheet.line("time", &format!("{time} so far, process {}", live.record.pid)),
        None => sheet.line("time", &format!("{time}, until {}", second(history.last()))),
    }
    if let Some(early) = &summary.early {
        sheet.line("early", &why_early(early));
    }
    let parts = counts(summary, shown.is_running(summary));
    sheet.line("trials", &format!("{}: {parts}", summary.results.len()));
    if summary.is_rehearsal() {
        sheet.line("rehearsal", "nothing was really run");
    }
    sheet.line("at once", &history.parallel.to_string());
    sheet.line("seed", &history.seed.to_string());
    sheet.line("UUID", &record.id);
    let options = serde_json::to_value(&history.summary.options).unwrap_or_default();
    if options.as_object().is_some_and(|options| !options.is_empty()) {
        sheet.line("options", &clean(&options.to_string()));
    }
    for (engine, daemon) in &history.daemons {
        sheet.line("daemon", &clean(&format!("{} ({engine}, id {})", daemon.address, daemon.id)));
    }
    for (engine, image, digest) in &history.images {
        sheet.whole("image", &clean(&format!("{image} = {digest} ({engine})")));
    }
    if let Some(from) = from {
        origin(&mut sheet, from);
    }
    sheet.line("folder", &short_path(&shown.run.path));
    for warning in &summary.warnings {
        sheet.line("warning", &clean(warning));
    }
    sheet.text
}

/// The origin of the run: by whom, where and from what it was started.
fn origin(sheet: &mut Sheet<'_>, from: &Provenance) {
    let host = &from.host;
    sheet.line("by", &clean(&format!("{} on {}, {}, {} CPUs", host.user, host.name, host.kernel, host.cpus)));
    sheet.line("combu", &from.combu);
    for engine in &from.engines {
        sheet.line("engine", &clean(engine));
    }
    if let Some(git) = &from.git {
        sheet.line("git", &format!("{}{}", git.commit, if git.dirty { ", with changes" } else { "" }));
    }
    let files: Vec<String> = from.sources.keys().map(|path| short_path(Path::new(path))).collect();
    if !files.is_empty() {
        sheet.line("read", &clean(&format!("{} (kept in provenance.json)", files.join(", "))));
    }
}

fn trial_text(shown: &ShownRun, history: &History, result: &TrialResult, style: &Style) -> String {
    let mut sheet = Sheet { style, text: String::new() };
    let status = shown.status(result, &history.summary);
    sheet.title(&format!("{} in run {}: {status}", result.trial.name, shown.run.record.run));
    if let Some(outcome) = result.outcome() {
        sheet.line("end", &how(outcome));
    }
    let told = history.trial(&result.trial.name);
    let attempts = told.map_or(&[][..], |told| &told.attempts);
    if let Some(run) = &result.reused {
        sheet.line("reused", &format!("it succeeded in run {run}, and was not run again"));
    }
    if result.trial.prefix.is_some() {
        sheet.line("container", &result.trial.container());
    }
    if !attempts.is_empty() {
        const COLUMNS: [(&str, Cut); 7] = [
            ("ATTEMPT", Cut::Never),
            ("STARTED", Cut::Never),
            ("TIME", Cut::Never),
            ("CPU", Cut::Never),
            ("MEMORY", Cut::Never),
            ("OUTCOME", Cut::End),
            ("ON", Cut::End),
        ];
        let now = shown.is_running(&history.summary).then(now);
        let rows: Vec<Vec<String>> = attempts.iter().map(|attempt| row(attempt, now)).collect();
        let narrower = Style { width: style.width.saturating_sub(2), ..*style };
        sheet.below(&lines(&COLUMNS, &rows, &narrower, |_, _, cell| cell.to_owned()));
    }
    for (name, metric) in &result.metrics {
        let step = metric.step.map(|step| format!(" at step {step}")).unwrap_or_default();
        let (last, min, max, count) = (metric.last, metric.min, metric.max, metric.count);
        sheet.line("metric", &clean(&format!("{name} = {last}{step} (of {count}: {min} to {max})")));
    }
    for (name, value) in &result.tags {
        sheet.line("tag", &clean(&format!("{name} = {value}")));
    }
    for artifact in &result.artifacts {
        sheet.whole("artifact", &clean(artifact));
    }
    for place in told.iter().flat_map(|told| &told.outputs) {
        sheet.whole("outputs", &clean(place));
    }
    for (path, size) in result.logs.iter().flat_map(written) {
        sheet.whole("log", &format!("{} ({})", short_path(path), bytes(size)));
    }
    sheet.title("  resolved");
    sheet.below(&format!("{:#}", Value::Object(result.trial.resolved().to_json())));
    sheet.text
}

/// The logs in which something is.
fn written(logs: &Logs) -> impl Iterator<Item = (&Path, u64)> {
    let all = [(logs.stdout.as_path(), logs.stdout_bytes), (logs.stderr.as_path(), logs.stderr_bytes)];
    all.into_iter().filter(|(_, size)| *size > 0)
}

/// An attempt of a run that is over, or that runs `now`.
fn row(attempt: &PastAttempt, now: Option<u64>) -> Vec<String> {
    let usage = attempt.usage.unwrap_or_default();
    let dash = || "-".to_owned();
    let time = match (&attempt.outcome, attempt.started, now) {
        (Some(_), ..) => took(attempt.elapsed),
        (None, Some(started), Some(now)) => elapsed(Duration::from_millis(now.saturating_sub(started))),
        _ => dash(),
    };
    let outcome = match (&attempt.outcome, &attempt.note) {
        (Some(outcome), _) => outcome.to_string(),
        (None, Some(note)) => note.clone(),
        (None, None) if attempt.started.is_some() => "started".to_owned(),
        (None, None) => "starting".to_owned(),
    };
    vec![
        attempt.number.to_string(),
        second(attempt.started.unwrap_or(attempt.starting)),
        time,
        usage.cpu_seconds.map_or_else(dash, |seconds| format!("{seconds:.1}s")),
        usage.peak_memory.map_or_else(dash, bytes),
        outcome,
        attempt.handle.as_ref().map_or_else(dash, |handle| format!("{} {}", handle.engine, short(&handle.id))),
    ]
}

/// The id of a container as `docker ps` shows it; others as they are.
fn short(id: &str) -> &str {
    let is_long = id.len() == 64 && id.bytes().all(|byte| byte.is_ascii_hexdigit());
    if is_long { &id[..12] } else { id }
}

fn run_json(shown: &ShownRun, history: &History, from: Option<&Provenance>) -> Value {
    let (record, summary) = (&shown.run.record, &history.summary);
    let images: Vec<Value> = history
        .images
        .iter()
        .map(|(engine, image, digest)| json!({"engine": engine, "image": image, "digest": digest}))
        .collect();
    let daemon =
        |(engine, daemon): &(EngineName, Daemon)| json!({"engine": engine, "id": daemon.id, "address": daemon.address});
    let daemons: Vec<Value> = history.daemons.iter().map(daemon).collect();
    let resumed: Vec<String> = history.resumed.iter().map(|at| utc(*at)).collect();
    json!({
        "run": record.run,
        "experiment": record.experiment,
        "spec": record.spec.display().to_string(),
        "command": record.command,
        "folder": shown.run.path.display().to_string(),
        "state": shown.state(summary),
        "started": utc(record.started_ms),
        "resumed": resumed,
        "elapsed": shown.elapsed(summary, history.last()).as_secs_f64(),
        "early": summary.early,
        "counts": summary.counts(),
        "parallel": history.parallel,
        "seed": history.seed,
        "uuid": record.id,
        "options": history.summary.options,
        "daemons": daemons,
        "images": images,
        "repeats": record.repeats,
        "provenance": from,
        "warnings": summary.warnings,
        "trials": summary.results.iter().map(|result| trial_json(shown, history, result)).collect::<Vec<_>>(),
    })
}

fn trial_json(shown: &ShownRun, history: &History, result: &TrialResult) -> Value {
    let told = history.trial(&result.trial.name);
    let attempts: Vec<Value> = told.iter().flat_map(|told| &told.attempts).map(attempt_json).collect();
    json!({
        "run": shown.run.record.run,
        "name": result.trial.name,
        "status": shown.status(result, &history.summary),
        "exit": result.outcome().and_then(Outcome::exit_code),
        "message": result.outcome().map(ToString::to_string),
        "flaky": result.flaky,
        "service": result.service,
        "reused_from": result.reused,
        "attempts": attempts,
        "metrics": result.metrics,
        "tags": result.tags,
        "artifacts": result.artifacts,
        "outputs": told.map(|told| &told.outputs),
        "prefix": result.trial.prefix,
        "trial": result.trial.resolved().to_json(),
    })
}

fn attempt_json(attempt: &PastAttempt) -> Value {
    json!({
        "attempt": attempt.number,
        "started": attempt.started.map(utc),
        "ended": attempt.ended.map(utc),
        "elapsed": attempt.outcome.as_ref().map(|_| attempt.elapsed.as_secs_f64()),
        "outcome": attempt.outcome,
        "usage": attempt.usage,
        "logs": attempt.logs,
        "gpus": attempt.gpus,
        "handle": attempt.handle,
    })
}
