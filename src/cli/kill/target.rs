//! The target of `combu kill`: a spec's runs, one run, or a whole project.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use crate::cli::context::{here, real, spec_path, state, state_or_here};
use crate::cli::error::{CliError, short_path};
use crate::cli::exit;
use crate::cli::kill::args::KillArgs;
use crate::cli::kill::elsewhere::elsewhere;
use crate::cli::named::run_of_trial;
use crate::cli::ui::Ui;
use crate::cli::which::last;
use crate::engine::{Engine, EngineError, Found, Selector};
use crate::model::experiment::Experiment;
use crate::model::label;
use crate::model::name::{EngineName, RunId};
use crate::model::trial::settled::Settled;
use crate::run::connections::Reached;
use crate::run::session::{Session, new_id};
use crate::store::{LiveRun, PastRun, StateDir};

/// The target of a kill.
pub(super) enum Target {
    /// Trials started from that file.
    Spec {
        given: PathBuf,
        path: PathBuf,
        /// Its recorded runs: those of a project that was moved have another path on their engines.
        runs: BTreeSet<RunId>,
    },
    Run(RunId),
    /// Trials started below that folder, or recorded there.
    Project {
        root: PathBuf,
        runs: BTreeSet<RunId>,
    },
}

/// The target that the command line means, and the state folder it belongs to.
pub(super) fn target(
    file: Option<&Path>,
    args: &KillArgs,
    session: &Session,
    ui: &Ui,
) -> Result<(Target, StateDir), CliError> {
    if args.all {
        let state = here()?;
        let root = state.path().parent().unwrap_or(Path::new("/")).to_owned();
        let runs = state.past_runs()?.runs.into_iter().map(|run| run.record.run).collect();
        return Ok((Target::Project { root, runs }, state));
    }
    let is_file = |text: &str| Path::new(text).exists() || text.contains(['/', '.']);
    match &args.target {
        Some(text) if !is_file(text) => {
            let state = state_or_here(file)?;
            let past = state.past_runs()?.runs;
            let is_run = |text: &str| text == "last" || past.iter().any(|run| run.record.run.as_str().starts_with(text));
            if !is_run(text)
                && let Some(run) = run_of_trial(file, text, ui)?
            {
                let error = CliError::new(exit::USAGE, format!("`{text}` is a trial, and its run has to be named"));
                return Err(error.hint(format!("combu kill {run}/{text}")));
            }
            Ok((Target::Run(run(text, &past, args, session)?), state))
        }
        None if file.is_none() => Err(CliError::new(exit::USAGE, "nothing is named that is to be stopped")
            .hint("name a spec, `combu kill experiment.jsonnet`, or a run, `combu kill last`; all of the project: `combu kill --all`")),
        text => {
            let given = spec_path(file, text.as_deref().map(Path::new))?;
            let path = real(&given)?;
            let state = state(&path)?;
            let recorded = state.past_runs()?.runs.into_iter().filter(|run| run.record.spec == path);
            let runs = recorded.map(|run| run.record.run).collect();
            Ok((Target::Spec { given, path, runs }, state))
        }
    }
}

/// The run that is meant: one of the store's, or one that only the labels on an engine still know.
fn run(text: &str, past: &[PastRun], args: &KillArgs, session: &Session) -> Result<RunId, CliError> {
    if text == "last" {
        let last = last(past).map(|place| past[place].record.run.clone());
        return last.ok_or_else(|| CliError::new(exit::NOTHING, "no run is recorded"));
    }
    let mut fits: BTreeSet<String> = past.iter().map(|run| run.record.run.to_string()).collect();
    if !fits.iter().any(|id| id.starts_with(text)) {
        let mut reached = session.reached(args.engine)?;
        let found = session.find(&Selector::default(), &reached.engines)?;
        fits.extend(found.iter().filter_map(|found| found.labels.get(label::RUN).cloned()));
        if !fits.iter().any(|id| id.starts_with(text))
            && let Some(error) = reached.out_of_reach.pop()
        {
            return Err(error.into());
        }
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
    pub(super) fn has_run(&self, live: &LiveRun) -> bool {
        match self {
            Self::Spec { path, .. } => live.record.spec == *path,
            Self::Run(run) => live.record.run == *run,
            Self::Project { .. } => true,
        }
    }

    pub(super) fn has_recorded(&self, run: &PastRun) -> bool {
        match self {
            Self::Spec { path, .. } => run.record.spec == *path,
            Self::Run(id) => run.record.run == *id,
            Self::Project { .. } => true,
        }
    }

    pub(super) fn has(&self, found: &Found) -> bool {
        let value = |key| found.labels.get(key).map(String::as_str);
        match self {
            Self::Spec { path, runs, .. } => {
                value(label::SPEC) == Some(&*path.to_string_lossy())
                    || value(label::RUN).is_some_and(|run| runs.contains(&RunId::from(run)))
            }
            Self::Run(run) => value(label::RUN) == Some(run.as_str()),
            Self::Project { root, runs } => {
                value(label::SPEC).is_some_and(|spec| Path::new(spec).starts_with(root))
                    || value(label::RUN).is_some_and(|run| runs.contains(&RunId::from(run)))
            }
        }
    }

    /// Selectors that find the target on the engines.
    pub(super) fn selectors(&self, session: &Session, engines: &[Arc<dyn Engine>]) -> Result<Vec<Selector>, CliError> {
        let one = |key: &str, value: String| Selector { labels: [(key.to_owned(), value)].into() };
        match self {
            Self::Spec { path, .. } => {
                let path = path.to_string_lossy().into_owned();
                let found = session.find(&Selector::default(), engines)?;
                let elsewhere =
                    found.iter().filter(|found| self.has(found) && found.labels.get(label::SPEC) != Some(&path));
                let runs: BTreeSet<&String> = elsewhere.filter_map(|found| found.labels.get(label::RUN)).collect();
                let moved: Vec<Selector> = runs.into_iter().map(|run| one(label::RUN, run.clone())).collect();
                Ok([vec![one(label::SPEC, path)], moved].concat())
            }
            Self::Run(run) => Ok(vec![one(label::RUN, run.to_string())]),
            Self::Project { runs: recorded, .. } => {
                let found = session.find(&Selector::default(), engines)?;
                let found = found.iter().filter(|found| self.has(found));
                let mut runs: BTreeSet<String> =
                    found.filter_map(|found| found.labels.get(label::RUN).cloned()).collect();
                // Of these, networks may be left.
                runs.extend(recorded.iter().map(ToString::to_string));
                Ok(runs.into_iter().map(|run| one(label::RUN, run)).collect())
            }
        }
    }

    pub(super) fn text(&self) -> String {
        match self {
            Self::Spec { given, .. } => short_path(given),
            Self::Run(run) => format!("run {run}"),
            Self::Project { root, .. } => format!("the project {}", root.display()),
        }
    }
}

/// The spec that is the target, where it can be read.
pub(super) fn spec(target: &Target, args: &KillArgs) -> Option<Experiment> {
    match target {
        Target::Spec { path, .. } if path.extension().is_none_or(|ending| ending != "rhai") => {
            crate::spec::load(path, &args.jsonnet.load_options(new_id())).ok()
        }
        _ => None,
    }
}

/// Why something of the target may be left where this combu does not see it: on an engine that is out of reach, or on
/// another daemon.
///
/// What the runs that are recorded used counts, and what the spec names; where neither is known, every engine.
pub(super) fn unseen(
    target: &Target,
    spec: Option<&Experiment>,
    past: &[PastRun],
    mut reached: Reached,
) -> Result<Option<EngineError>, CliError> {
    let runs: Vec<&PastRun> = past.iter().filter(|run| target.has_recorded(run)).collect();
    let named = |experiment: &Experiment| {
        let trials = experiment.trials.iter();
        trials.map(|trial| Settled::engine_of(trial, &experiment.options.defaults)).collect()
    };
    // A path that nothing was ever at is a misspelt one.
    let is_misspelt = matches!(target, Target::Spec { path, .. } if !path.exists());
    let all = || if runs.is_empty() && !is_misspelt { EngineName::ALL.into() } else { BTreeSet::new() };
    match reached.why_not(&spec.map_or_else(all, named)) {
        Some(error) => Ok(Some(error)),
        None => elsewhere(runs, &mut reached),
    }
}
