//! `combu kill`.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use futures_util::StreamExt;

use crate::cli::args::KillArgs;
use crate::cli::error::{CliError, shown};
use crate::cli::exit;
use crate::cli::live::select::{Past, none};
use crate::cli::live::wire::{Answer, Ask, ask};
use crate::cli::stage::{POLITE, end_live_runs, real, state};
use crate::cli::ui::Ui;
use crate::cli::{session, spec_path};
use crate::engine::{Engine, EngineError, Found, Selector, Standing};
use crate::model::experiment::Experiment;
use crate::model::label;
use crate::model::name::EngineName;
use crate::model::options::Options;
use crate::plan;
use crate::run::session::new_id;
use crate::store::LiveRun;

/// Time between the stop signal and the kill of a trial that no combu runs any more.
const GRACE: Duration = Duration::from_secs(5);

/// How many containers are stopped at once: a daemon is no faster with more.
const KILLS_AT_ONCE: usize = 16;

pub(crate) fn main(file: Option<&Path>, args: &KillArgs, ui: &Ui) -> Result<u8, CliError> {
    let given = spec_path(file, args.spec.spec.as_deref())?;
    let path = real(&given)?;
    if let Some(text) = &args.spec.filter {
        return some(text, &given, &path, args, ui);
    }
    let ended = end_live_runs(&state(&path)?, &path, args.grace.unwrap_or(POLITE))?;
    let labels = [(label::SPEC.to_owned(), path.to_string_lossy().into_owned())].into();
    let selector = Selector { labels };
    let session = session()?;
    let (mut trials, mut others, mut kept, mut problems) = (BTreeSet::new(), Vec::new(), Vec::new(), Vec::new());
    let engines = engines(&path, args);
    for engine in &engines.names {
        match session.kill(&selector, *engine, args.grace.unwrap_or(GRACE)) {
            Ok(killed) => {
                trials.extend(killed.trials);
                others.extend(killed.others);
                kept.extend(killed.kept);
                problems.extend(killed.problems);
            }
            Err(EngineError::Unreachable { .. }) if !engines.sure => {}
            Err(error) => return Err(error.into()),
        }
    }
    for run in &ended {
        ui.message(&format!("ended run {run}"));
    }
    for trial in &trials {
        ui.message(&format!("removed {trial}"));
    }
    for other in &others {
        ui.message(&format!("removed {other}"));
    }
    for thing in &kept {
        ui.message(&format!("kept {thing}: others still use it"));
    }
    if ended.is_empty() && kept.is_empty() && trials.is_empty() && others.is_empty() && problems.is_empty() {
        if !path.exists() {
            return Err(CliError::new(
                exit::USAGE,
                format!("no file `{}`, and nothing was started from it", shown(&given)),
            ));
        }
        ui.message(&format!("nothing of {} is left", shown(&given)));
    }
    if let Some((first, rest)) = problems.split_first() {
        let mut error = CliError::new(exit::ENGINE, format!("not everything was removed: {first}"));
        error.details.extend_from_slice(rest);
        return Err(error);
    }
    Ok(exit::OK)
}

/// Kills the trials that an expression is true of, and nothing else: a combu that runs them goes on with the others.
fn some(text: &str, given: &Path, path: &Path, args: &KillArgs, ui: &Ui) -> Result<u8, CliError> {
    let state = state(path)?;
    let mut past = Past::new(text, &state, path)?;
    let session = session()?;
    let mut any = false;
    for live in state.live_runs()?.runs {
        if live.record.spec == path {
            any |= ask_to_kill(&live, &mut past, args.grace.unwrap_or(POLITE), ui)?;
        }
    }
    let labels = [(label::SPEC.to_owned(), path.to_string_lossy().into_owned())].into();
    let selector = Selector { labels };
    let engines = engines(path, args);
    let mut problems = Vec::new();
    for name in &engines.names {
        let engine = match session.engine(*name) {
            Err(EngineError::Unreachable { .. }) if !engines.sure => continue,
            engine => engine?,
        };
        let mut found = Vec::new();
        for one in session.tokio().block_on(engine.find(&selector))? {
            let run = one.labels.get(label::RUN).map_or("", String::as_str);
            let fits = match &engines.experiment {
                Some(experiment) if !past.knows(run) => past.fits(experiment, &one.trial)?,
                _ => past.fitting(run)?.contains(&one.trial),
            };
            found.extend(fits.then_some(one));
        }
        any |= !found.is_empty();
        problems.extend(session.tokio().block_on(remove(&*engine, found, args.grace.unwrap_or(GRACE), ui)));
    }
    if let Some((first, rest)) = problems.split_first() {
        let mut error = CliError::new(exit::ENGINE, format!("not everything was removed: {first}"));
        error.details.extend_from_slice(rest);
        return Err(error);
    }
    if any { Ok(exit::OK) } else { Err(none(past.text(), &format!("nothing that is left of {}", shown(given)))) }
}

/// Asks a live run to kill the trials that fit and have not ended, and waits for their ends.
fn ask_to_kill(live: &LiveRun, past: &mut Past, within: Duration, ui: &Ui) -> Result<bool, CliError> {
    let run = &live.record.run;
    let trials = past.open(run.as_str())?;
    if trials.is_empty() {
        return Ok(false);
    }
    match ask(live, Ask::Kill { trials, within: within.as_secs_f64() }, within)? {
        Answer::Killed { ended, left, refused } => {
            for trial in ended {
                ui.message(&format!("killed {trial} in run {run}"));
            }
            for trial in left {
                ui.warn(&format!("{trial} in run {run} was asked to end and has not yet"));
            }
            for message in refused {
                ui.warn(&message);
            }
            Ok(true)
        }
        Answer::Refused { message } => Err(CliError::new(exit::USAGE, format!("run {run} kills no trial: {message}"))),
        other => unreachable!("no answer to a kill: {other:?}"),
    }
}

/// Stops and removes attempts; gives what could not be removed.
async fn remove(engine: &dyn Engine, found: Vec<Found>, grace: Duration, ui: &Ui) -> Vec<String> {
    let ends = futures_util::stream::iter(found).map(|found| async move {
        if found.standing == Standing::Running {
            engine.stop(&found.handle, grace).await?;
        }
        engine.remove(&found.handle).await?;
        Ok::<_, EngineError>(found.trial)
    });
    let ends: Vec<_> = ends.buffer_unordered(KILLS_AT_ONCE).collect().await;
    let (mut removed, mut problems) = (BTreeSet::new(), Vec::new());
    for end in ends {
        match end {
            Ok(trial) => drop(removed.insert(trial)),
            Err(error) => problems.push(error.chain()),
        }
    }
    for trial in removed {
        ui.message(&format!("removed {trial}"));
    }
    problems
}

/// Where to look.
struct Where {
    /// The spec, where it can be read.
    experiment: Option<Experiment>,
    names: Vec<EngineName>,
    /// Whether the spec said so; else an engine that is out of reach is passed over.
    sure: bool,
}

/// The engines the spec names; every real one where the file cannot say (a script, a spec that is gone or broken).
fn engines(path: &Path, args: &KillArgs) -> Where {
    if let Some(engine) = args.engine {
        return Where { experiment: None, names: vec![engine], sure: true };
    }
    let is_script = path.extension().is_some_and(|ending| ending == "rhai");
    let loaded =
        (!is_script).then(|| crate::spec::load(path, &args.spec.jsonnet.load_options(new_id()))).and_then(Result::ok);
    match loaded {
        Some(experiment) if !experiment.trials.is_empty() => {
            let none = Options::default();
            let named = experiment.trials.iter().map(|trial| plan::engine_of(trial, &none, &experiment.options));
            let names: BTreeSet<_> = named.collect();
            // `--engine local` may have run what says docker.
            let names = names.into_iter().chain([EngineName::Local]).collect::<BTreeSet<_>>();
            let names = names.into_iter().filter(|name| *name != EngineName::Fake).collect();
            Where { experiment: Some(experiment), names, sure: true }
        }
        _ => Where { experiment: None, names: vec![EngineName::Docker, EngineName::Local], sure: false },
    }
}
