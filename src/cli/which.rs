//! Runs of a project that a command line means.

use std::path::Path;

use crate::cli::context::{real, state_or_here};
use crate::cli::error::{CliError, short_path};
use crate::cli::exit;
use crate::cli::ui::Ui;
use crate::model::name::RunId;
use crate::store::{LiveRun, PastRun};

/// The runs that a command line may mean.
pub(crate) struct Runs {
    /// The live ones that fit, the first started first.
    pub(crate) live: Vec<LiveRun>,
    /// All that fit, the last started first.
    pub(crate) past: Vec<PastRun>,
    /// The words that were asked for, for messages: ` of spec.jsonnet`; empty: nothing.
    pub(crate) asked: String,
    /// Live ones that do not fit.
    others: Vec<RunId>,
}

/// The runs of this project that fit: those of `file`, where given, and of those the one that `run` names: the beginning
/// of its id, or `last`.
///
/// # Errors
/// When `run` fits several.
pub(crate) fn runs(file: Option<&Path>, run: Option<&str>, ui: &Ui) -> Result<Runs, CliError> {
    let state = state_or_here(file)?;
    let (live, past) = (state.live_runs()?, state.past_runs()?);
    for warning in live.warnings.iter().chain(&past.warnings) {
        ui.warn(warning);
    }
    let (mut live, mut past) = (live.runs, past.runs);
    let all: Vec<RunId> = live.iter().map(|run| run.record.run.clone()).collect();
    let mut asked = String::new();
    if let Some(file) = file {
        let spec = real(file)?;
        live.retain(|run| run.record.spec == spec);
        past.retain(|run| run.record.spec == spec);
        asked = format!(" of {}", file.display());
    }
    match run {
        None => {}
        Some("last") => {
            past = last(&past).map(|place| past.swap_remove(place)).into_iter().collect();
            live.retain(|run| past.iter().any(|last| last.record.run == run.record.run));
            asked = format!(" `last`{asked}");
        }
        Some(beginning) => {
            let fits = |id: &RunId| id.as_str().starts_with(beginning);
            live.retain(|run| fits(&run.record.run));
            past.retain(|run| fits(&run.record.run));
            if past.len() > 1 {
                let message = format!("`{beginning}` is the beginning of {} runs", past.len());
                return Err(CliError::new(exit::USAGE, message).hint("write more of the run's id"));
            }
            asked = format!(" `{beginning}`{asked}");
        }
    }
    let others = all.into_iter().filter(|id| live.iter().all(|run| run.record.run != *id)).collect();
    Ok(Runs { live, past, asked, others })
}

/// The place of the run that was started last, a rehearsal only where there is nothing else; `runs`, the last first.
pub(crate) fn last(runs: &[PastRun]) -> Option<usize> {
    // One that cannot be read is none that is known.
    let is_real = |run: &PastRun| !run.is_rehearsal().unwrap_or(false);
    runs.iter().position(is_real).or_else(|| (!runs.is_empty()).then_some(0))
}

/// The error that no event of a run is known, so that nothing can be said of it.
pub(crate) fn no_events(run: &PastRun) -> CliError {
    let id = &run.record.run;
    if !run.has_trials() {
        return CliError::new(exit::NOTHING, format!("run {id} was never started"));
    }
    let message = format!("the database knows nothing of run {id}: `combu.db` was removed or replaced since");
    CliError::new(exit::NOTHING, message).hint(format!("its logs are in {}", short_path(&run.path)))
}

impl Runs {
    /// The one live run.
    ///
    /// # Errors
    /// When none is alive, or several are.
    pub(crate) fn one_live(mut self) -> Result<LiveRun, CliError> {
        match self.live.len() {
            1 => Ok(self.live.remove(0)),
            0 => Err(self.none_live()),
            count => {
                let mut error = CliError::new(exit::USAGE, format!("{count} runs are live"));
                for live in &self.live {
                    let record = &live.record;
                    error.details.push(format!("{}  {}  {}", record.run, record.experiment, record.spec.display()));
                }
                Err(error.hint("name one of them by the beginning of its id, or the last one with `last`"))
            }
        }
    }

    fn none_live(&self) -> CliError {
        let error = CliError::new(exit::NOTHING, format!("no run{} is live", self.asked));
        match self.past.first() {
            Some(past) if !self.asked.is_empty() => error.hint(format!("run {} has ended", past.record.run)),
            _ if !self.others.is_empty() => {
                let others: Vec<_> = self.others.iter().map(ToString::to_string).collect();
                error.hint(format!("live here: {}", others.join(", ")))
            }
            _ => error.hint("it is looked for in the project of the working folder: `.combu/` there, or above"),
        }
    }
}
