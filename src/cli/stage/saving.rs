//! Saving: what ended containers hold that a dead combu left is kept in the record of its run before they are removed.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use crate::cli::error::{CliError, short_path};
use crate::cli::exit;
use crate::cli::ui::Ui;
use crate::cli::unread;
use crate::engine::{Found, Standing};
use crate::model::event::Fact;
use crate::model::history::History;
use crate::model::label;
use crate::model::name::RunId;
use crate::model::outcome::Outcome;
use crate::report::style::counted;
use crate::run::purpose::Purpose;
use crate::run::session::Session;
use crate::run::session::observer::observe;
use crate::run::session::start::Start;
use crate::store::{Kinds, PastRun, RunRecord, StateDir};

/// An ended container that holds what is nowhere else.
#[derive(Debug, Clone)]
pub(crate) struct Unsaved {
    pub(crate) found: Found,
    /// The reason, as a clause.
    pub(crate) because: String,
}

impl Unsaved {
    /// The error that such containers keep something from being done.
    pub(crate) fn error(all: &[Self], message: &str) -> CliError {
        let mut error = CliError::new(exit::USAGE, message);
        error.details = all.iter().map(|one| format!("container `{}` {}", one.found.trial, one.because)).collect();
        error
    }
}

/// Takes up a run whose combu is dead, for a purpose that starts nothing. What there is to say of it is said.
///
/// # Errors
/// When it lives, an engine of its trials is out of reach, or its store cannot be written.
pub(crate) fn take_up(
    session: &Session,
    state: &StateDir,
    run: &PastRun,
    purpose: Purpose,
    grace: Option<Duration>,
    ui: &Ui,
) -> Result<(), CliError> {
    let record = RunRecord { pid: std::process::id(), ..run.record.clone() };
    let journal = Box::new(state.journal(&record)?);
    let folder = state.reopen_run(&record, |_| false)?;
    // Read once no other process can go on with it.
    let past = run.history(Kinds::All)?;
    unread::refuse(&record.run, &past.unread)?;
    let mut experiment = past.experiment(record.spec.clone(), record.id.clone());
    if grace.is_some() {
        experiment.trials.iter_mut().for_each(|trial| Arc::make_mut(trial).stop_grace = grace);
    }
    let prepared = session.recall(experiment)?;
    let (id, summary, ends) = (record.run, past.summary.clone(), purpose.ends_the_run());
    let start =
        Start { journal, past: Some(past), purpose, ..Start::unkept(id.clone(), Some(folder.path().to_path_buf())) };
    let mut live = session.start(prepared, start)?;
    let mut saved = 0;
    observe(summary, &mut live, &mut Vec::new(), |event, _, _| match &event.fact {
        Fact::AttemptEnded { outcome, incomplete: false, .. } if *outcome != Outcome::Killed => saved += 1,
        Fact::Warned { message } => ui.warn(message),
        _ => {}
    });
    if ends && !run.has_ended()? {
        let message = format!("how the trials of run {id} ended could not be kept");
        return Err(CliError::new(exit::INTERNAL, message).hint("give its disk some room, and try again"));
    }
    if saved > 0 {
        let trials = counted(saved, "trial");
        ui.message(&format!("saved how {trials} of run {id} ended while no combu ran it, with logs and outputs"));
    }
    Ok(())
}

/// Saves what ended containers of dead combus hold; those that hold something afterwards that is nowhere else.
///
/// # Errors
/// As for [`take_up`].
pub(crate) fn save(session: &Session, state: &StateDir, found: &[Found], ui: &Ui) -> Result<Vec<Unsaved>, CliError> {
    let mut of_runs: BTreeMap<String, Vec<&Found>> = BTreeMap::new();
    for one in found.iter().filter(|one| one.standing == Standing::Ended) {
        of_runs.entry(one.labels.get(label::RUN).cloned().unwrap_or_default()).or_default().push(one);
    }
    if of_runs.is_empty() {
        return Ok(Vec::new());
    }
    let past = state.past_runs()?.runs;
    let live: BTreeSet<RunId> = state.live_runs()?.runs.into_iter().map(|live| live.record.run).collect();
    let mut unsaved = Vec::new();
    for (id, found) in of_runs {
        let run = past.iter().find(|run| run.record.run.as_str() == id);
        let mut history = run.map_or_else(|| Ok(History::default()), |run| run.history(Kinds::WITHOUT_RECORDS))?;
        let needs = |history: &History, one: &Found| history.needs(&one.trial, one.attempt().unwrap_or_default());
        let because = match run.filter(|_| history.has_begun()) {
            None => {
                let state = short_path(state.path());
                format!("is of run {id}, which `{state}` does not know: its logs and outputs may be nowhere else")
            }
            Some(run) => {
                let trials: BTreeSet<_> =
                    found.iter().filter(|one| needs(&history, one)).map(|one| one.trial.clone()).collect();
                if !trials.is_empty() && history.unread.is_empty() && !live.contains(&run.record.run) {
                    take_up(session, state, run, Purpose::Save(trials), None, ui)?;
                    history = run.history(Kinds::WITHOUT_RECORDS)?;
                }
                format!("has logs or outputs of run {id} that could not be saved")
            }
        };
        let left = found.into_iter().filter(|one| needs(&history, one));
        unsaved.extend(left.map(|found| Unsaved { found: found.clone(), because: because.clone() }));
    }
    Ok(unsaved)
}
