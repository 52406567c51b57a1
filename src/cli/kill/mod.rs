//! `combu kill`: what was started is stopped and removed, by the labels on its engine and by what the store knows; either
//! of them is enough. Never touches what does not carry our labels.

mod some;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use clap::Args;

use crate::cli::args::{JsonnetArgs, engine};
use crate::cli::error::{CliError, shown};
use crate::cli::exit;
use crate::cli::live::here;
use crate::cli::stage::{end_live_runs, real, state};
use crate::cli::ui::Ui;
use crate::cli::{session, spec_path};
use crate::engine::{Found, Selector};
use crate::model::experiment::Experiment;
use crate::model::label;
use crate::model::name::{EngineName, RunId};
use crate::model::trial::Settled;
use crate::run::kill::{Killed, Reach};
use crate::run::session::{Session, new_id};
use crate::store::{LiveRun, PastRun, StateDir};

/// What stands below its options.
pub(crate) const HELP: &str = "Examples:
  combu -f experiment.jsonnet kill       everything that was started from a spec
  combu kill k3jd                        everything of one run
  combu kill k3jd --trial 'solver-*'     some trials of it; its combu goes on with the others
  combu kill --all                       everything of this project";

#[derive(Debug, Args)]
pub(crate) struct KillArgs {
    /// The spec, instead of `-f FILE`; or a run: the beginning of its id, or `last`.
    #[arg(value_name = "FILE|RUN")]
    target: Option<String>,

    /// Only the trials of that name, in which `*`, `?` and `[a-z]` stand for others; repeatable.
    #[arg(short = 't', long = "trial", value_name = "NAME")]
    trials: Vec<String>,

    /// Only the trials that this expression is true of, as they were recorded when they were started; see `combu run`.
    #[arg(long = "where", value_name = "EXPR", conflicts_with = "trials")]
    filter: Option<String>,

    /// Everything that was started in this project: from a spec or script below the folder that `.combu/` lies in, or
    /// recorded there.
    #[arg(long, conflicts_with_all = ["target", "file"])]
    all: bool,

    /// Time between the stop signal and the kill. Default: each trial's own `stop_grace`.
    #[arg(long, value_name = "TIME", value_parser = crate::spec::duration)]
    grace: Option<Duration>,

    /// Look on this engine only, instead of on those the spec names.
    #[arg(long, value_name = "ENGINE", value_parser = engine)]
    engine: Option<EngineName>,

    #[command(flatten)]
    jsonnet: JsonnetArgs,
}

/// What is to be killed.
enum Target {
    /// What was started from that file.
    Spec {
        given: PathBuf,
        path: PathBuf,
    },
    Run(RunId),
    /// What was started below that folder, or is recorded.
    Project {
        root: PathBuf,
        runs: BTreeSet<RunId>,
    },
}

pub(crate) fn main(file: Option<&Path>, args: &KillArgs, ui: &Ui) -> Result<u8, CliError> {
    let session = session()?;
    let (target, state) = target(file, args, &session)?;
    if args.filter.is_some() || !args.trials.is_empty() {
        return some::main(&session, &target, &state, args, ui);
    }
    let ended = end_live_runs(&state, |live| target.has_run(live), args.grace)?;
    let Where { reach, .. } = reach(&target, args);
    let mut all = Killed::default();
    for selector in target.selectors(&session, &state, &reach)? {
        all.add(session.kill(&selector, &reach, args.grace)?);
    }
    for run in &ended {
        ui.message(&format!("ended run {run}"));
    }
    tell(&all, ui);
    if ended.is_empty() && all == Killed::default() {
        if let Target::Spec { given, path } = &target
            && !path.exists()
        {
            let message = format!("no file `{}`, and nothing was started from it", shown(given));
            return Err(CliError::new(exit::USAGE, message));
        }
        ui.message(&format!("nothing of {} is left", target.text()));
    }
    failed(&all.problems)
}

/// Says what was removed and what stays.
pub(crate) fn tell(killed: &Killed, ui: &Ui) {
    let trials: BTreeSet<_> = killed.trials.iter().collect();
    for removed in trials.into_iter().chain(&killed.others) {
        ui.message(&format!("removed {removed}"));
    }
    for thing in &killed.kept {
        ui.message(&format!("kept {thing}: others still use it"));
    }
}

/// The code, or what could not be removed.
pub(crate) fn failed(problems: &[String]) -> Result<u8, CliError> {
    let Some((first, rest)) = problems.split_first() else { return Ok(exit::OK) };
    let mut error = CliError::new(exit::ENGINE, format!("not everything was removed: {first}"));
    error.details.extend_from_slice(rest);
    Err(error)
}

/// What is meant, and the state folder it belongs to.
fn target(file: Option<&Path>, args: &KillArgs, session: &Session) -> Result<(Target, StateDir), CliError> {
    if args.all {
        let state = here()?;
        let root = state.path().parent().unwrap_or(Path::new("/")).to_owned();
        let runs = state.past_runs()?.runs.into_iter().map(|run| run.record.run).collect();
        return Ok((Target::Project { root, runs }, state));
    }
    let is_file = |text: &str| Path::new(text).exists() || text.contains(['/', '.']);
    match &args.target {
        Some(text) if !is_file(text) => {
            let state = match file {
                Some(file) => state(file)?,
                None => here()?,
            };
            let past = state.past_runs()?.runs;
            Ok((Target::Run(run(text, &past, args, session)?), state))
        }
        text => {
            let given = spec_path(file, text.as_deref().map(Path::new))?;
            let path = real(&given)?;
            let state = state(&path)?;
            Ok((Target::Spec { given, path }, state))
        }
    }
}

/// The run that is meant: one of the store's, or one that only the labels on an engine still know.
fn run(text: &str, past: &[PastRun], args: &KillArgs, session: &Session) -> Result<RunId, CliError> {
    if text == "last" {
        let last = past.first().map(|run| run.record.run.clone());
        return last.ok_or_else(|| CliError::new(exit::NOTHING, "no run is recorded"));
    }
    let mut fits: BTreeSet<String> = past.iter().map(|run| run.record.run.to_string()).collect();
    if !fits.iter().any(|id| id.starts_with(text)) {
        let reach = Reach { only: args.engine, ..Reach::default() };
        let found = session.find(&Selector::default(), &reach)?;
        fits.extend(found.iter().filter_map(|found| found.labels.get(label::RUN).cloned()));
    }
    fits.retain(|id| id.starts_with(text));
    match fits.len() {
        1 => Ok(RunId::from(fits.pop_first().unwrap_or_default().as_str())),
        0 => Err(CliError::new(exit::NOTHING, format!("there is no run `{text}`, and no file of that name"))
            .hint("`combu ls` lists the runs of this project")),
        count => Err(CliError::new(exit::USAGE, format!("`{text}` is the beginning of {count} runs"))
            .hint("write more of the run's id")),
    }
}

impl Target {
    fn has_run(&self, live: &LiveRun) -> bool {
        match self {
            Self::Spec { path, .. } => live.record.spec == *path,
            Self::Run(run) => live.record.run == *run,
            Self::Project { .. } => true,
        }
    }

    fn has(&self, found: &Found) -> bool {
        let value = |key| found.labels.get(key).map(String::as_str);
        match self {
            Self::Spec { path, .. } => value(label::SPEC) == Some(&*path.to_string_lossy()),
            Self::Run(run) => value(label::RUN) == Some(run.as_str()),
            Self::Project { root, runs } => {
                value(label::SPEC).is_some_and(|spec| Path::new(spec).starts_with(root))
                    || value(label::RUN).is_some_and(|run| runs.contains(&RunId::from(run)))
            }
        }
    }

    /// What finds it on the engines.
    fn selectors(&self, session: &Session, state: &StateDir, reach: &Reach) -> Result<Vec<Selector>, CliError> {
        let one = |key: &str, value: String| Selector { labels: [(key.to_owned(), value)].into() };
        match self {
            Self::Spec { path, .. } => Ok(vec![one(label::SPEC, path.to_string_lossy().into_owned())]),
            Self::Run(run) => Ok(vec![one(label::RUN, run.to_string())]),
            Self::Project { .. } => {
                let found = session.find(&Selector::default(), reach)?;
                let found = found.iter().filter(|found| self.has(found));
                let mut runs: BTreeSet<String> =
                    found.filter_map(|found| found.labels.get(label::RUN).cloned()).collect();
                // Of these, networks may be left.
                runs.extend(state.past_runs()?.runs.into_iter().map(|run| run.record.run.to_string()));
                Ok(runs.into_iter().map(|run| one(label::RUN, run)).collect())
            }
        }
    }

    fn text(&self) -> String {
        match self {
            Self::Spec { given, .. } => shown(given),
            Self::Run(run) => format!("run {run}"),
            Self::Project { root, .. } => format!("the project {}", root.display()),
        }
    }
}

/// Where to look.
struct Where {
    /// The spec, where it can be read.
    experiment: Option<Experiment>,
    reach: Reach,
}

/// All engines; those that the spec names have to answer.
fn reach(target: &Target, args: &KillArgs) -> Where {
    let loaded = match target {
        Target::Spec { path, .. } if path.extension().is_none_or(|ending| ending != "rhai") => {
            crate::spec::load(path, &args.jsonnet.load_options(new_id())).ok()
        }
        _ => None,
    };
    let named = |experiment: &Experiment| {
        let trials = experiment.trials.iter();
        trials.map(|trial| Settled::engine_of(trial, &experiment.options.defaults)).collect()
    };
    let must = loaded.as_ref().map(named).unwrap_or_default();
    Where { experiment: loaded, reach: Reach { only: args.engine, must } }
}
