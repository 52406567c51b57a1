//! `combu run`.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::path::Path;

use crate::cli::args::{Form, PlanArgs, ProgressMode, RunArgs};
use crate::cli::error::{CliError, kill_command};
use crate::cli::exit;
use crate::cli::live::control::Control;
use crate::cli::live::select::select;
use crate::cli::past::before::{Before, unchanged};
use crate::cli::stage::{Open, Terminal, real, state};
use crate::cli::ui::Ui;
use crate::cli::{Ending, detach, plan, session, signals, spec_path};
use crate::model::event::Sink;
use crate::model::name::{EngineName, Name, RunId};
use crate::model::summary::Summary;
use crate::run::session::live::Live;
use crate::run::session::observer::observe;
use crate::run::session::start::Start;
use crate::run::session::{Prepared, Session, new_id};
use crate::spec::Sources;
use crate::store::{RunDir, RunRecord};

pub(crate) fn main(file: Option<&Path>, args: RunArgs, detached: bool, ui: &Ui) -> Result<u8, CliError> {
    if args.dry_run {
        let args = PlanArgs { spec: args.spec, limits: args.limits, output: args.output };
        return plan::main(file, &args, ui);
    }
    check_streams(args.output, args.progress.progress)?;
    let path = spec_path(file, args.spec.spec.as_deref())?;
    if args.detach && !detached {
        return detach::hand_over(&path, ui);
    }
    if detached {
        detach::leave_terminal()?;
    }
    // The run's own id is what "UUID" stands for, so that either finds the other.
    let id = new_id();
    let before = if args.resume { before(&path)? } else { Vec::new() };
    let sources = Sources::default();
    let load_id = before.first().map_or_else(|| id.clone(), |(record, _)| record.id.clone());
    let experiment = crate::spec::load(&path, &args.spec.jsonnet.load_noting(load_id, sources.clone()))?;
    let experiment = select(experiment, args.spec.filter.as_deref(), &path)?;
    let session = session()?;
    let _ending = Ending(session.clone());
    let mut options = args.limits.options();
    if let Some((_, last)) = before.first() {
        // Without a seed of its own, it is the same sweep.
        options.seed = options.seed.or(experiment.options.seed).or(Some(last.seed));
    }
    let prepared = session.prepare(experiment, options)?;
    let reused = if args.resume {
        let runs: Vec<_> = before.into_iter().map(|(_, run)| run).collect();
        let seed = prepared.plan.experiment.options.seed.unwrap_or_default();
        let triggers = args.rerun_triggers.unwrap_or_default();
        unchanged(&prepared.plan, &session.survey(&prepared)?.digests, seed, &runs, &triggers)
    } else {
        BTreeMap::new()
    };
    let terminal = Terminal::new(ui, args.progress.progress, &path, detached, &session, &sources)?;
    signals::listen(&session, kill_command(&path), ui)?;
    let run = RunId::from(id.as_str());
    let following = Following { detached, ..begin(&session, &terminal, prepared, run, reused, None)? };
    follow(&session, &terminal, following, args.output, ui)
}

/// Opens and starts a new run. One that cannot be started leaves nothing.
pub(crate) fn begin(
    session: &Session,
    terminal: &Terminal,
    prepared: Prepared,
    run: RunId,
    reused: BTreeMap<Name, RunId>,
    repeats: Option<RunId>,
) -> Result<Following, CliError> {
    let Open { folder, journal, sinks, control } = terminal.open(&prepared.plan, &run, repeats)?;
    let start = Start { run: run.clone(), folder: Some(folder.path().to_path_buf()), journal, reused, past: None };
    let live = match session.start(prepared, start) {
        Ok(live) => live,
        Err(error) => {
            folder.discard()?;
            return Err(error.into());
        }
    };
    Ok(Following { run, live, folder, sinks, control, summary: Summary::default(), detached: false })
}

/// The earlier runs of a spec, but rehearsals, the last first: what each was, and what it says of its trials.
fn before(path: &Path) -> Result<Vec<(RunRecord, Before)>, CliError> {
    let spec = real(path)?;
    let mut before = Vec::new();
    for run in state(path)?.past_runs()?.runs.iter().filter(|run| run.record.spec == spec) {
        if !run.engines()?.contains(&EngineName::Fake) {
            before.push((run.record.clone(), Before::of(run)?));
        }
    }
    before.retain(|(_, run)| !run.trials.is_empty());
    Ok(before)
}

/// Refuses two things on one stream.
pub(crate) fn check_streams(output: Option<Form>, progress: ProgressMode) -> Result<(), CliError> {
    if output.is_some() && progress == ProgressMode::Json {
        let error = CliError::new(exit::USAGE, "`--progress json` and `--output json` both print on stdout");
        return Err(error.hint("the last event says the same as the results"));
    }
    Ok(())
}

/// A run that has started.
pub(crate) struct Following {
    pub(crate) run: RunId,
    pub(crate) live: Live,
    pub(crate) folder: RunDir,
    pub(crate) sinks: Vec<Box<dyn Sink>>,
    pub(crate) control: Control,
    /// What earlier lives of it told.
    pub(crate) summary: Summary,
    pub(crate) detached: bool,
}

/// Follows a run to its end, reports it, and says with which code combu ends.
pub(crate) fn follow(
    session: &Session,
    terminal: &Terminal,
    following: Following,
    output: Option<Form>,
    ui: &Ui,
) -> Result<u8, CliError> {
    let Following { run, mut live, folder, mut sinks, control, summary, detached } = following;
    terminal.listen(&control, &folder, live.commands());
    let seen = if detached {
        // Until here, what is said goes to the foreground half.
        terminal.redirect(&folder).and_then(|log| detach::report_ready(&run, &log, ui))
    } else {
        Ok(())
    };
    if seen.is_err() {
        session.interrupt().fire("the end of its foreground half");
    }
    let Ok(summary) = observe(summary, &mut live, &mut sinks, |_, _, _| Ok::<(), Infallible>(()));
    session.join();
    drop(control);
    terminal.close(&summary);
    seen?;
    let code = exit::of_summary(&summary);
    if output == Some(Form::Json) {
        let text = serde_json::to_string_pretty(&summary)
            .map_err(|error| CliError::new(exit::INTERNAL, format!("the results are no JSON: {error}")))?;
        if let Err(error) = ui.result(&text) {
            let error = CliError::from(error);
            if code == exit::OK {
                return Err(error);
            }
            // What became of the run says more than that it could not be written.
            ui.message(&error.render(ui.err()));
        }
    }
    Ok(code)
}
