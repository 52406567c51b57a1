//! `combu rm` and `combu gc`: runs that have ended are forgotten, with all that is left of them.

use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use clap::Args;

use crate::cli::context::{session, state_or_here};
use crate::cli::error::CliError;
use crate::cli::exit;
use crate::cli::kill::elsewhere::elsewhere;
use crate::cli::kill::removal::{failed, report};
use crate::cli::named;
use crate::cli::ui::Ui;
use crate::cli::which::runs;
use crate::engine::{Engine, Selector, Standing};
use crate::model::label;
use crate::run::session::Session;
use crate::store::{PastRun, StateDir};

/// Examples below the options of `rm`.
pub(crate) const RM_HELP: &str = "Examples:
  combu rm k3jd        forget one run: its events, logs, outputs, and containers that were kept
  combu rm last k3jd   forget two";

/// Examples below the options of `gc`.
pub(crate) const GC_HELP: &str = "Examples:
  combu gc                              forget what began more than 30 days ago
  combu gc --older-than 7d --dry-run    show what a week would remove";

#[derive(Debug, Args)]
pub(crate) struct RmArgs {
    /// The runs: the beginnings of their ids, or `last`.
    #[arg(value_name = "RUN", required = true)]
    runs: Vec<String>,
}

#[derive(Debug, Args)]
pub(crate) struct GcArgs {
    /// Runs that began longer ago are forgotten, such as `30d` or `12h`.
    #[arg(long, value_name = "TIME", default_value = "30d", value_parser = crate::spec::duration)]
    older_than: Duration,

    /// Show what would be forgotten, and forget nothing.
    #[arg(short = 'n', long)]
    dry_run: bool,
}

pub(crate) fn main(file: Option<&Path>, args: &RmArgs, ui: &Ui) -> Result<u8, CliError> {
    let mut chosen = Vec::new();
    for text in &args.runs {
        let meant = named::whole(file, Some(text), ui)?;
        let Some(run) = meant.past.first() else {
            let error = CliError::new(exit::NOTHING, format!("no run{} is recorded", meant.asked));
            return Err(error.hint("`combu ls` lists the runs of this project"));
        };
        if meant.live.iter().any(|live| live.record.run == run.record.run) {
            let error = CliError::new(exit::USAGE, format!("run {} is alive", run.record.run));
            return Err(error.hint(format!("end it first: combu kill {}", run.record.run)));
        }
        chosen.push(run.clone());
    }
    let state = state_or_here(file)?;
    let session = session()?;
    let mut problems = Vec::new();
    for run in chosen {
        problems.extend(forget(&session, &state, &run, ui)?);
    }
    state.shrink()?;
    failed(&problems)
}

pub(crate) fn gc(file: Option<&Path>, args: &GcArgs, ui: &Ui) -> Result<u8, CliError> {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let limit = u64::try_from(now.saturating_sub(args.older_than).as_millis()).unwrap_or(u64::MAX);
    let meant = runs(file, None, ui)?;
    let is_live = |run: &PastRun| meant.live.iter().any(|live| live.record.run == run.record.run);
    let state = state_or_here(file)?;
    let session = session()?;
    let (mut count, mut problems) = (0, Vec::new());
    for run in meant.past.iter().filter(|run| run.record.started_ms < limit && !is_live(run)) {
        let id = &run.record.run;
        let engines = match engines(&session, run) {
            Ok(engines) => engines,
            Err(error) if error.code == exit::ENGINE => {
                problems.push(format!("run {id} is not forgotten: {}", error.message));
                continue;
            }
            Err(error) => return Err(error),
        };
        if runs_still(&session, run, &engines)? {
            ui.warn(&format!(
                "run {id} has trials that run: `combu resume {id}` goes on with it, `combu kill {id}` ends it"
            ));
            continue;
        }
        count += 1;
        if args.dry_run {
            ui.message(&format!("would forget run {id} of {}", run.record.experiment));
        } else {
            problems.extend(forget(&session, &state, run, ui)?);
        }
    }
    if count > 0 && !args.dry_run {
        state.shrink()?;
    }
    if count == 0 && problems.is_empty() {
        ui.message("nothing is old enough");
    }
    failed(&problems)
}

fn selector(run: &PastRun) -> Selector {
    Selector { labels: [(label::RUN.to_owned(), run.record.run.to_string())].into() }
}

/// True where an attempt of the run still runs, though its combu is gone.
fn runs_still(session: &Session, run: &PastRun, engines: &[Arc<dyn Engine>]) -> Result<bool, CliError> {
    let found = session.find(&selector(run), engines)?;
    Ok(found.iter().any(|found| found.standing == Standing::Running))
}

/// The engines that answer.
///
/// # Errors
/// When something of the run may be on one that does not, or on another daemon.
fn engines(session: &Session, run: &PastRun) -> Result<Vec<Arc<dyn Engine>>, CliError> {
    let mut reached = session.reached(None)?;
    match reached.why_not(&run.engines()?) {
        Some(error) => Err(error.into()),
        None => elsewhere([run], &mut reached)?.map_or(Ok(reached.engines), |error| Err(error.into())),
    }
}

/// Removes what is left of a run: first on its engines, then what is known of it. What could not be removed is told, and
/// then the run is still known. What ran on an engine that is out of reach stays known too: it may be there for good.
fn forget(session: &Session, state: &StateDir, run: &PastRun, ui: &Ui) -> Result<Vec<String>, CliError> {
    let all = session.kill(&selector(run), &engines(session, run)?, None)?;
    report(&all, ui);
    if all.problems.is_empty() {
        state.forget(run)?;
        ui.message(&format!("forgot run {} of {}", run.record.run, run.record.experiment));
    }
    Ok(all.problems)
}
