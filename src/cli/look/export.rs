//! `combu export`: what runs recorded, for other programs.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::{Args, ValueEnum};

use crate::cli::args::NamePattern;
use crate::cli::chosen::{TrialFilter, fitting, pattern};
use crate::cli::error::CliError;
use crate::cli::exit;
use crate::cli::look::exported::{ExportFile, GrowingExport};
use crate::cli::look::gathered::Gathered;
use crate::cli::look::shown::{ShownRun, look};
use crate::cli::look::told::{ToldMetrics, TrialCurves, curves, nothing_told};
use crate::cli::named;
use crate::cli::time;
use crate::cli::ui::Ui;
use crate::cli::unread;
use crate::export::chrome_trace::{ChromeTrace, chrome_trace};
use crate::export::optuna::{OptunaJournal, OptunaStudy};
use crate::export::trial::{ExportedTrial, ToldMetric};
use crate::model::history::History;
use crate::model::name::RunId;
use crate::model::options::Goal;
use crate::model::summary::TrialResult;
use crate::report::style::counted;
use crate::store::{Follower, Kinds};

/// Longest between two looks at a run that is followed.
const PAUSE: Duration = Duration::from_millis(500);

/// Write what runs recorded in a form that another program reads.
///
/// `optuna` is a journal file for Optuna's JournalStorage, `tensorboard` a folder for `tensorboard --logdir`, `chrome-trace`
/// a timeline for Perfetto (ui.perfetto.dev) and chrome://tracing, `jsonl` the rows of `combu metrics -o json`. Trials are
/// those of `combu results`; services are in the timeline alone. With `--follow`, the export goes on until the run has
/// ended. A rerun has the trials of the whole experiment, but for its timeline and with `--follow`, which show the one run.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  combu export --to optuna -o sweep.journal
  combu export --to tensorboard -o tb && tensorboard --logdir tb
  combu export last --to chrome-trace -o trace.json
  combu export --to jsonl --follow | my-tracker
  combu export --to optuna --goal 'min loss' --where 'params.mode == \"a\"' -o a.journal")]
pub(crate) struct ExportArgs {
    /// Runs, trials, or `RUN/TRIAL`: a run is the beginning of its id, or `last`; a trial is a name, or a pattern.
    #[arg(value_name = "RUN|TRIAL")]
    what: Vec<String>,

    /// The form.
    #[arg(long, value_name = "FORM")]
    to: ExportForm,

    /// The file, or for TensorBoard the folder; `-`, or none: the standard output.
    #[arg(short = 'o', long, value_name = "PATH")]
    output: Option<PathBuf>,

    /// Overwrite a file that is there.
    #[arg(long)]
    force: bool,

    /// Only the trials that this expression is true of; see `combu run`. `metrics.NAME` is a metric's last value.
    #[arg(long = "where", value_name = "EXPR")]
    filter: Option<String>,

    /// What an Optuna study looks for: `min loss`, `max acc`, `min best(loss)`. Without it, the run's own goal.
    #[arg(long, value_name = "GOAL", value_parser = Goal::parse)]
    goal: Option<Goal>,

    /// Go on with what comes, until the run has ended. A `chrome-trace` is written then.
    #[arg(long)]
    follow: bool,
}

/// The form of an export.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum ExportForm {
    /// A journal file for Optuna.
    Optuna,
    /// A folder of event files for TensorBoard.
    Tensorboard,
    /// A timeline for Perfetto and chrome://tracing.
    ChromeTrace,
    /// A JSON object a line for each value of a metric.
    Jsonl,
}

pub(crate) fn main(file: Option<&Path>, args: &ExportArgs, ui: &Ui) -> Result<u8, CliError> {
    if args.goal.is_some() && args.to != ExportForm::Optuna {
        return Err(CliError::new(exit::USAGE, "`--goal` is for `--to optuna`"));
    }
    let filter = TrialFilter::new(false, args.filter.as_deref())?;
    if args.to == ExportForm::ChromeTrace {
        return trace(file, args, &filter, ui);
    }
    if args.follow {
        return FollowedRun::new(file, args, ui)?.export(args, &filter, ui);
    }
    let gathered = Gathered::read(file, &args.what, &filter, ui)?;
    let curves = curves(file, &gathered, ui)?;
    let of = |((place, result), curves)| {
        let ((shown, history), curves): (_, &TrialCurves) = (&gathered.runs[place], curves);
        exported((shown, history), &curves.run, result, &curves.told)
    };
    let trials: Vec<_> = gathered.results().into_iter().zip(&curves).map(of).collect();
    let written = refuse_nothing(args, &trials)?;
    let asked = gathered.asked.iter().map(|place| &gathered.runs[*place]);
    growing(args, asked.map(|(shown, history)| (shown, history)), ui)?.add(&trials)?;
    tell(args, &written, ui);
    Ok(exit::OK)
}

/// What is written of these trials: `12 trials; 3 that have not begun are left out`.
///
/// # Errors
/// When none has begun, or none has told what the form is about.
fn refuse_nothing(args: &ExportArgs, trials: &[ExportedTrial<'_>]) -> Result<String, CliError> {
    if args.to == ExportForm::Jsonl && trials.iter().all(|trial| trial.told.is_empty()) {
        return Err(nothing_told(None, std::iter::empty()));
    }
    let begun = trials.iter().filter(|trial| trial.has_begun()).count();
    let left = trials.len() - begun;
    match (begun, left) {
        (0, _) => Err(nothing_begun(args)),
        (_, 0) => Ok(counted(begun, "trial")),
        _ => Ok(format!("{}; {left} that did not begin left out", counted(begun, "trial"))),
    }
}

fn nothing_begun(args: &ExportArgs) -> CliError {
    let of = args.filter.as_ref().map(|filter| format!(" of which `{filter}` is true")).unwrap_or_default();
    CliError::new(exit::NOTHING, format!("nothing to export: no trial{of} has begun"))
}

/// Says what was written, where that was not to the standard output.
fn tell(args: &ExportArgs, written: &str, ui: &Ui) {
    if let Some(path) = args.output.as_deref().filter(|path| *path != Path::new("-")) {
        ui.message(&format!("exported to {}: {written}", path.display()));
    }
}

/// The export that these runs are written to.
fn growing<'a>(
    args: &ExportArgs,
    runs: impl Iterator<Item = (&'a ShownRun, &'a History)>,
    ui: &Ui,
) -> Result<GrowingExport, CliError> {
    let open = || ExportFile::open(args.output.as_deref(), args.force, ui);
    Ok(match args.to {
        ExportForm::Optuna => {
            let studies = studies(args, runs)?;
            GrowingExport::Journal { out: open()?, journal: OptunaJournal::new(studies, time::utc_offset).into() }
        }
        ExportForm::Tensorboard => {
            let Some(folder) = args.output.clone().filter(|path| path != Path::new("-")) else {
                let error = CliError::new(exit::USAGE, "TensorBoard reads a folder: say which one");
                return Err(error.hint("`combu export --to tensorboard -o tb`"));
            };
            GrowingExport::EventFiles { folder, may_overwrite: args.force, files: HashMap::new() }
        }
        ExportForm::Jsonl | ExportForm::ChromeTrace => GrowingExport::Rows { out: open()?, progress: HashMap::new() },
    })
}

/// A study for each experiment.
///
/// # Errors
/// When it is not known what it looks for.
fn studies<'a>(
    args: &ExportArgs,
    runs: impl Iterator<Item = (&'a ShownRun, &'a History)>,
) -> Result<Vec<OptunaStudy>, CliError> {
    let mut goals: BTreeMap<&str, (Goal, OptunaStudy)> = BTreeMap::new();
    for (shown, history) in runs {
        let experiment = shown.run.record.experiment.as_str();
        let options = &history.summary.options;
        let Some(goal) = args.goal.as_ref().or(options.goal.as_ref()) else {
            let message =
                format!("run {} of `{experiment}` has no goal, and a study looks for something", shown.run.record.run);
            return Err(CliError::new(exit::USAGE, message).hint("say it: `--goal 'min loss'`"));
        };
        let study = || OptunaStudy::new(experiment, goal.clone(), options.search.as_deref());
        let (first, _) = goals.entry(experiment).or_insert_with(|| (goal.clone(), study()));
        if first != goal {
            let message = format!("runs of `{experiment}` look for different things: `{first}` and `{goal}`");
            return Err(CliError::new(exit::USAGE, message).hint("say which one counts: `--goal 'min loss'`"));
        }
    }
    Ok(goals.into_values().map(|(_, study)| study).collect())
}

/// Writes the timeline of the runs that are asked for; where one is followed, once it has ended.
fn trace(file: Option<&Path>, args: &ExportArgs, filter: &TrialFilter, ui: &Ui) -> Result<u8, CliError> {
    let open = || ExportFile::open(args.output.as_deref(), args.force, ui);
    let mut named = named::read(file, &args.what, ui)?;
    let mut out = None;
    if args.follow {
        let followed = FollowedRun::new(file, args, ui)?;
        out = Some(open()?);
        while followed.shown.live.as_ref().is_some_and(|live| !live.wait_end(Duration::MAX)) {}
        // Another one may be the last by now.
        named.iter_mut().for_each(|named| named.run = Some(followed.shown.run.record.run.to_string()));
    }
    let mut entries = Vec::new();
    for (place, named) in named.iter().enumerate() {
        let shown = look(file, named.run.as_deref(), ui)?;
        let history = shown.run.history(Kinds::All)?;
        unread::warn(&history.unread, ui);
        let all: Vec<&TrialResult> = history.summary.results.iter().collect();
        let mut asked = if named.trials.is_empty() { all } else { Vec::new() };
        for trial in &named.trials {
            asked.extend(fitting(&pattern(trial)?, &shown.run, &history.summary)?);
        }
        let mut chosen = HashSet::new();
        for result in asked {
            if filter.has(result, shown.status(result, &history.summary))? {
                chosen.insert(result.trial.name.clone());
            }
        }
        let record = &shown.run.record;
        let mut trace = ChromeTrace::new(place + 1, &format!("run {} of {}", record.run, record.experiment), chosen);
        shown.run.follow().read(Kinds::WITHOUT_RECORDS, |event| trace.add(&event))?;
        entries.extend(trace.entries(shown.is_running(&history.summary).then(time::now)));
    }
    let begun = entries.iter().filter(|entry| entry["cat"] == "attempt").count();
    if begun == 0 {
        return Err(nothing_begun(args));
    }
    out.map_or_else(open, Ok)?.write(chrome_trace(&entries).as_bytes())?;
    tell(args, &counted(begun, "attempt"), ui);
    Ok(exit::OK)
}

/// A trial with what is known of it; `run` is the one that its values are from.
fn exported<'a>(
    (shown, history): (&'a ShownRun, &'a History),
    run: &'a RunId,
    result: &'a TrialResult,
    told: &'a [ToldMetric],
) -> ExportedTrial<'a> {
    let attempt = history.trial(&result.trial.name).and_then(|told| told.attempts.last());
    ExportedTrial {
        run,
        experiment: &shown.run.record.experiment,
        result,
        status: shown.status(result, &history.summary),
        started: attempt.and_then(|attempt| attempt.started),
        ended: attempt.and_then(|attempt| attempt.ended),
        last: history.last(),
        told,
    }
}

/// A run that is exported while it goes on.
struct FollowedRun {
    shown: ShownRun,
    follower: Follower,
    patterns: Vec<NamePattern>,
    history: History,
    told: ToldMetrics,
}

impl FollowedRun {
    fn new(file: Option<&Path>, args: &ExportArgs, ui: &Ui) -> Result<Self, CliError> {
        let named = named::read_one(file, &args.what, ui)?;
        let shown = look(file, named.run.as_deref(), ui)?;
        let patterns = named.trials.iter().map(|trial| pattern(trial)).collect::<Result<Vec<_>, _>>()?;
        let follower = shown.run.follow();
        let mut run = Self { shown, follower, patterns, history: History::default(), told: ToldMetrics::default() };
        run.read(ui)?;
        for pattern in &run.patterns {
            fitting(pattern, &run.shown.run, &run.history.summary)?;
        }
        Ok(run)
    }

    /// Takes what came since the last time into account.
    fn read(&mut self, ui: &Ui) -> Result<(), CliError> {
        let Self { history, told, follower, .. } = self;
        follower.read(Kinds::All, |event| {
            history.add(&event);
            told.add(&event);
        })?;
        unread::warn(&follower.unread(), ui);
        Ok(())
    }

    /// Writes what comes until the run has ended.
    fn export(mut self, args: &ExportArgs, filter: &TrialFilter, ui: &Ui) -> Result<u8, CliError> {
        let mut growing = growing(args, std::iter::once((&self.shown, &self.history)), ui)?;
        loop {
            // Asked first: what it wrote last is read below.
            let is_gone = self.shown.live.as_ref().is_none_or(|live| live.wait_end(Duration::ZERO));
            self.read(ui)?;
            if is_gone {
                self.shown.live = None;
            }
            let is_over = !self.shown.is_running(&self.history.summary);
            let run = self.shown.run.record.run.clone();
            let trials = self.trials(&run, filter)?;
            growing.add(&trials)?;
            if is_over {
                let written = refuse_nothing(args, &trials)?;
                tell(args, &written, ui);
                self.tell_of_reused(ui);
                return Ok(exit::OK);
            }
            // Not a whole pause where it ends before.
            let _is_gone = self.shown.live.as_ref().is_none_or(|live| live.wait_end(PAUSE));
        }
    }

    fn trials<'a>(&'a self, run: &'a RunId, filter: &TrialFilter) -> Result<Vec<ExportedTrial<'a>>, CliError> {
        let Self { shown, history, told, patterns, .. } = self;
        let mut trials = Vec::new();
        for result in &history.summary.results {
            let name = &result.trial.name;
            let is_asked = patterns.is_empty() || patterns.iter().any(|one| one.fits(name));
            if result.service || result.reused.is_some() || !is_asked {
                continue;
            }
            if !filter.has(result, shown.status(result, &history.summary))? {
                continue;
            }
            trials.push(exported((shown, history), run, result, told.get(name)));
        }
        Ok(trials)
    }

    fn tell_of_reused(&self, ui: &Ui) {
        let reused = self.history.summary.results.iter().filter(|result| result.reused.is_some()).count();
        if reused > 0 {
            let reused = counted(reused, "trial");
            ui.message(&format!("{reused} of earlier runs left out, which an export without `--follow` has"));
        }
    }
}
