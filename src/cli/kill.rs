//! `combu kill`.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use crate::cli::args::KillArgs;
use crate::cli::error::{CliError, shown};
use crate::cli::exit;
use crate::cli::stage::{POLITE, end_live_runs, real, state};
use crate::cli::ui::Ui;
use crate::cli::{session, spec_path};
use crate::engine::{EngineError, Selector};
use crate::model::label;
use crate::model::name::EngineName;
use crate::model::options::Options;
use crate::plan;
use crate::run::session::new_id;

/// Time between the stop signal and the kill of a trial that no combu runs any more.
const GRACE: Duration = Duration::from_secs(5);

pub(crate) fn main(file: Option<&Path>, args: &KillArgs, ui: &Ui) -> Result<u8, CliError> {
    let given = spec_path(file, args.spec.spec.as_deref())?;
    let path = real(&given)?;
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

/// Where to look.
struct Where {
    names: Vec<EngineName>,
    /// Whether the spec said so; else an engine that is out of reach is passed over.
    sure: bool,
}

/// The engines the spec names; every real one where the file cannot say (a script, a spec that is gone or broken).
fn engines(path: &Path, args: &KillArgs) -> Where {
    if let Some(engine) = args.engine {
        return Where { names: vec![engine], sure: true };
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
            Where { names: names.into_iter().filter(|name| *name != EngineName::Fake).collect(), sure: true }
        }
        _ => Where { names: vec![EngineName::Docker, EngineName::Local], sure: false },
    }
}
