//! `combu kill`: trials are stopped and removed, found by the labels on their engine and by the store; either of them is
//! enough. Nothing without combu's labels is touched.

pub(crate) mod args;
mod dead;
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
use crate::cli::kill::dead::{Dead, Left, stays};
use crate::cli::kill::removal::{failed, report};
use crate::cli::kill::target::{Target, spec, target, unseen};
use crate::cli::stage::saving::Unsaved;
use crate::cli::ui::Ui;
use crate::engine::Found;
use crate::run::kill::Killed;

pub(crate) fn main(file: Option<&Path>, args: &KillArgs, ui: &Ui) -> Result<u8, CliError> {
    let session = session()?;
    let split;
    let args = match args.split(file, ui)? {
        Some(args) => {
            split = args;
            &split
        }
        None => args,
    };
    let (target, state) = target(file, args, &session, ui)?;
    state.check_original()?;
    if args.filter.is_some() || !args.trials.is_empty() {
        return trials::main(&session, &target, &state, args, ui);
    }
    let ended = end_live_runs(&state, |live| target.has_run(live), args.grace)?;
    for run in &ended {
        ui.message(&format!("ended run {run}"));
    }
    let mut all = Killed::default();
    let reached = session.reached(args.engine)?;
    let left = Left { session: &session, state: &state, target: &target, args, ui };
    let mut unsaved = Vec::new();
    let mut dead = if args.discard { Dead::default() } else { left.end()? };
    let selectors = target.selectors(&session, &reached.engines)?;
    if !args.discard {
        let mut found = Vec::new();
        for selector in &selectors {
            found.extend(session.find(selector, &reached.engines)?);
        }
        unsaved = left.unsaved(&found, &dead)?;
    }
    for selector in selectors {
        let spares = |found: &Found| unsaved.iter().any(|one: &Unsaved| one.found.handle == found.handle);
        all.add(session.kill_but(&selector, &reached.engines, args.grace, spares)?);
    }
    if args.discard {
        dead = left.end()?;
    }
    report(&all, ui);
    let unseen = unseen(&target, spec(&target, args).as_ref(), &state.past_runs()?.runs, reached)?;
    if let Some(error) = unseen {
        return Err(error.into());
    }
    if let Some(error) = dead.error {
        return Err(error);
    }
    if !unsaved.is_empty() {
        return Err(stays(&unsaved, dead.problems));
    }
    if ended.is_empty() && !dead.any && all == Killed::default() {
        if let Target::Spec { given, path, .. } = &target
            && !path.exists()
        {
            let message = format!("no file `{}`, and nothing was started from it", short_path(given));
            return Err(CliError::new(exit::USAGE, message));
        }
        ui.message(&format!("nothing of {} is left", target.text()));
    }
    failed(&all.problems)
}
