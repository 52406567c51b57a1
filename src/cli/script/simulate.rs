//! `combu script --simulate`: the script in virtual time, by a model or by a past run.

use std::path::Path;
use std::rc::Rc;
use std::sync::Arc;

use crate::cli::args::{JsonnetArgs, ProgressMode};
use crate::cli::config::file::options_below;
use crate::cli::context::SessionGuard;
use crate::cli::doors::Taken;
use crate::cli::error::{CliError, kill_command};
use crate::cli::exit;
use crate::cli::stage::signals;
use crate::cli::stage::simulated::SimulatedStage;
use crate::cli::ui::Ui;
use crate::cli::which::{no_events, runs};
use crate::model::options::Options;
use crate::run::session::Session;
use crate::run::session::interrupt::Interrupt;
use crate::run::simulation::{Model, ModelError, RecordedRun, Simulation, UnknownTrial};
use crate::script::{ScriptError, ScriptHost, ScriptModel, execute};
use crate::spec::Sources;

/// The id of whatever is loaded, which `"UUID"` stands for.
const ID: &str = "simulated000";

/// A script, and what it is given.
pub(super) struct SimulatedScript<'a> {
    pub(super) file: &'a Path,
    pub(super) words: Vec<String>,
    pub(super) options: Options,
    pub(super) load: &'a JsonnetArgs,
}

/// Plays the script; the exit code is what it would be.
pub(super) fn simulate(script: SimulatedScript<'_>, by: &str, mode: ProgressMode, ui: &Ui) -> Result<u8, CliError> {
    let SimulatedScript { file, words, options, load } = script;
    let interrupt = Interrupt::default();
    let simulation = Arc::new(Simulation::new(model(by, &interrupt, ui)?, interrupt.clone()));
    let session = Session::simulated(simulation.clone(), interrupt)
        .map_err(|error| CliError::new(exit::INTERNAL, format!("failed to start: {error}")))?;
    let _ending = SessionGuard(session.clone());
    signals::listen(&session, kill_command(file), ui)?;
    let stage = Rc::new(SimulatedStage::new(ui, mode));
    let load = load.load_noting(ID.to_owned(), Sources::default());
    let memory = ScriptHost::memory_limit();
    let (args, below) = (words, options_below()?);
    let (past, reuse) = (Vec::new(), false);
    let host =
        ScriptHost { session: session.clone(), args, options, below, load, memory, past, reuse, stage: stage.clone() };
    let finish = execute(file, host);
    session.join();
    if let Some(error) = simulation.error() {
        return Err(told(error));
    }
    let code = finish.map_err(|error| Taken::SCRIPT.explain(file, error.into()))?.code();
    let (took, _) = session.virtual_time().unwrap_or_default();
    stage.end(took, &simulation.played());
    Ok(u8::try_from(code.rem_euclid(256)).unwrap_or(exit::INTERNAL))
}

/// The model of that file, or the past run.
fn model(by: &str, interrupt: &Interrupt, ui: &Ui) -> Result<Box<dyn Model>, CliError> {
    let path = Path::new(by);
    if path.exists() || path.extension().is_some_and(|ending| ending == "rhai") {
        let said = ui.clone();
        let model = ScriptModel::load(path, interrupt.clone(), move |text| said.message(text))?;
        return Ok(Box::new(model));
    }
    let unknown = || {
        CliError::new(exit::USAGE, format!("`{by}` is no file, and no run here begins with it"))
            .hint("`--simulate` takes a model (`model.rhai`), or a past run of this project: `combu ls` lists them")
    };
    let Some(past) = runs(None, Some(by), ui)?.past.into_iter().next() else { return Err(unknown()) };
    let events = past.events()?;
    if events.is_empty() {
        return Err(no_events(&past));
    }
    Ok(Box::new(RecordedRun::new(past.record.run.clone(), &events)))
}

/// An error of a model, as people are told of it.
fn told(error: ModelError) -> CliError {
    match error.downcast::<ScriptError>() {
        Ok(error) => (*error).into(),
        Err(error) => match error.downcast::<UnknownTrial>() {
            Ok(unknown) => {
                let told = CliError::new(exit::USAGE, unknown.message);
                unknown.hint.into_iter().fold(told, CliError::hint)
            }
            Err(error) => CliError::new(exit::INTERNAL, error.to_string()),
        },
    }
}
