//! `combu kill`: trials are stopped and removed, found by the labels on their engine and by the store; either of them is
//! enough. Nothing without combu's labels is touched.

pub(crate) mod args;
pub(crate) mod elsewhere;
pub(crate) mod removal;
mod target;
mod trials;

use std::path::Path;

use crate::cli::context::session;
use crate::cli::control::process::end_live_runs;
use crate::cli::error::{CliError, short_path};
use crate::cli::exit;
use crate::cli::kill::args::KillArgs;
use crate::cli::kill::removal::{failed, report};
use crate::cli::kill::target::{Target, spec, target, unseen};
use crate::cli::ui::Ui;
use crate::run::kill::Killed;

pub(crate) fn main(file: Option<&Path>, args: &KillArgs, ui: &Ui) -> Result<u8, CliError> {
    let session = session()?;
    let (target, state) = target(file, args, &session)?;
    if args.filter.is_some() || !args.trials.is_empty() {
        return trials::main(&session, &target, &state, args, ui);
    }
    let ended = end_live_runs(&state, |live| target.has_run(live), args.grace)?;
    let mut all = Killed::default();
    let reached = session.reached(args.engine)?;
    for selector in target.selectors(&session, &reached.engines)? {
        all.add(session.kill(&selector, &reached.engines, args.grace)?);
    }
    for run in &ended {
        ui.message(&format!("ended run {run}"));
    }
    report(&all, ui);
    let unseen = unseen(&target, spec(&target, args).as_ref(), &state.past_runs()?.runs, reached)?;
    if let Some(error) = unseen {
        return Err(error.into());
    }
    if ended.is_empty() && all == Killed::default() {
        if let Target::Spec { given, path } = &target
            && !path.exists()
        {
            let message = format!("no file `{}`, and nothing was started from it", short_path(given));
            return Err(CliError::new(exit::USAGE, message));
        }
        ui.message(&format!("nothing of {} is left", target.text()));
    }
    failed(&all.problems)
}
