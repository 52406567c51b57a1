//! `combu kill --trial` and `--where`: some trials and nothing else; a combu that runs them goes on with the others.

use std::collections::HashMap;
use std::time::Duration;

use crate::cli::args::NamePattern;
use crate::cli::chosen::none_fits;
use crate::cli::control::process::time_to_end;
use crate::cli::control::wire::{ControlReply, ControlRequest, ask};
use crate::cli::error::CliError;
use crate::cli::exit;
use crate::cli::kill::args::KillArgs;
use crate::cli::kill::dead::{Dead, Left, stays};
use crate::cli::kill::removal::{failed, report};
use crate::cli::kill::target::{Target, spec, unseen};
use crate::cli::stage::saving::Unsaved;
use crate::cli::ui::Ui;
use crate::cli::unread;
use crate::engine::{Found, Selector};
use crate::model::label;
use crate::model::name::Name;
use crate::model::outcome::Outcome;
use crate::model::trial::Trial;
use crate::run::session::Session;
use crate::script::Where;
use crate::store::{Kinds, LiveRun, PastRun, StateDir};

/// The choice of trials: by an expression or by names.
enum TrialChoice {
    Expression(Box<Where>),
    Names(Vec<NamePattern>),
}

impl TrialChoice {
    fn of(args: &KillArgs) -> Result<Self, CliError> {
        Ok(match &args.filter {
            Some(text) => Self::Expression(Box::new(Where::parse(text)?)),
            None => Self::Names(args.trials.clone()),
        })
    }

    fn has(&self, trial: &Trial, last: Option<&Outcome>) -> Result<bool, CliError> {
        match self {
            Self::Expression(expression) => Ok(expression.holds(trial, last)?),
            Self::Names(patterns) => Ok(Self::named(patterns, &trial.name)),
        }
    }

    fn named(patterns: &[NamePattern], name: &Name) -> bool {
        patterns.iter().any(|pattern| pattern.fits(name))
    }

    fn text(&self) -> String {
        match self {
            Self::Expression(expression) => expression.text().to_owned(),
            Self::Names(patterns) => patterns.iter().map(NamePattern::text).collect::<Vec<_>>().join(" "),
        }
    }
}

/// The trials of recorded runs that are meant.
struct Fitting {
    which: TrialChoice,
    runs: HashMap<String, PastRun>,
    /// Runs looked up so far, with their chosen trials and whether each has ended.
    known: HashMap<String, HashMap<Name, bool>>,
}

impl Fitting {
    fn of(&mut self, run: &str) -> Result<&HashMap<Name, bool>, CliError> {
        if !self.known.contains_key(run) {
            let mut fits = HashMap::new();
            if let Some(past) = self.runs.get(run) {
                let history = past.history(Kinds::WITHOUT_RECORDS)?;
                unread::refuse(&past.record.run, &history.unread)?;
                for result in history.summary.results {
                    if self.which.has(&result.trial.resolved(), result.outcome())? {
                        fits.insert(result.trial.name.clone(), result.outcome().is_some());
                    }
                }
            }
            self.known.insert(run.to_owned(), fits);
        }
        Ok(&self.known[run])
    }

    /// The chosen trials of a run that have not ended.
    fn open(&mut self, run: &str) -> Result<Vec<Name>, CliError> {
        let mut open: Vec<_> =
            self.of(run)?.iter().filter(|(_, ended)| !**ended).map(|(name, _)| name.clone()).collect();
        open.sort_unstable();
        Ok(open)
    }
}

pub(super) fn main(
    session: &Session,
    target: &Target,
    state: &StateDir,
    args: &KillArgs,
    ui: &Ui,
) -> Result<u8, CliError> {
    let past = state.past_runs()?.runs.into_iter().map(|run| (run.record.run.to_string(), run));
    let mut fitting = Fitting { which: TrialChoice::of(args)?, runs: past.collect(), known: HashMap::new() };
    let mut any = false;
    let live = state.live_runs()?.runs;
    for live in live.iter().filter(|live| target.has_run(live)) {
        any |= ask_to_kill(live, &mut fitting, args.grace, state, ui)?;
    }
    let experiment = spec(target, args);
    let left = Left { session, state, target, args, ui };
    let mut dead = Dead::default();
    for run in state.past_runs()?.runs.iter().filter(|run| !args.discard && target.has_recorded(run)) {
        let is_live = live.iter().any(|live| live.record.run == run.record.run);
        if is_live || run.has_ended()? {
            continue;
        }
        let open = fitting.open(run.record.run.as_str())?;
        if !open.is_empty() {
            left.kill(run, open.into_iter().collect(), &mut dead);
        }
    }
    any |= dead.any;
    let reached = session.reached(args.engine)?;
    let mut found = Vec::new();
    for one in session.find(&Selector::default(), &reached.engines)? {
        let run = one.labels.get(label::RUN).cloned().unwrap_or_default();
        let fits = target.has(&one)
            && match (&experiment, &fitting.which) {
                _ if fitting.runs.contains_key(&run) => fitting.of(&run)?.contains_key(&one.trial),
                (_, TrialChoice::Names(patterns)) => TrialChoice::named(patterns, &one.trial),
                // The spec as it is now is all that is known of runs without a record.
                (Some(experiment), which) => match experiment.trials.iter().find(|trial| trial.name == one.trial) {
                    Some(trial) => which.has(trial, None)?,
                    None => false,
                },
                (None, _) => false,
            };
        found.extend(fits.then_some(one));
    }
    any |= !found.is_empty();
    let unsaved = if args.discard { Vec::new() } else { left.unsaved(&found, &dead)? };
    let spares = |found: &Found| unsaved.iter().any(|one: &Unsaved| one.found.handle == found.handle);
    let killed = session.remove_but(found, args.grace, spares)?;
    report(&killed, ui);
    let code = failed(&killed.problems)?;
    let past: Vec<PastRun> = fitting.runs.into_values().collect();
    let unseen = unseen(target, experiment.as_ref(), &past, reached)?;
    if let Some(error) = unseen {
        return Err(error.into());
    }
    if let Some(error) = dead.error {
        return Err(error);
    }
    if !unsaved.is_empty() {
        return Err(stays(&unsaved, dead.problems));
    }
    let nothing = || none_fits(&fitting.which.text(), &format!("nothing that is left of {}", target.text()));
    if any { Ok(code) } else { Err(nothing()) }
}

/// Asks a live run to kill the trials that fit and have not ended, and waits for their ends: for `grace`, else as long as their
/// own may take; no time at all ends them at once.
fn ask_to_kill(
    live: &LiveRun,
    fitting: &mut Fitting,
    grace: Option<Duration>,
    state: &StateDir,
    ui: &Ui,
) -> Result<bool, CliError> {
    let run = &live.record.run;
    let trials = fitting.open(run.as_str())?;
    if trials.is_empty() {
        return Ok(false);
    }
    let at_once = grace == Some(Duration::ZERO);
    let within = grace.filter(|_| !at_once).unwrap_or_else(|| time_to_end(state, live));
    match ask(live, ControlRequest::Kill { trials, within: within.as_secs_f64(), at_once }, within)? {
        ControlReply::Killed { ended, left, refused } => {
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
        ControlReply::Refused { message } => {
            Err(CliError::new(exit::USAGE, format!("run {run} kills no trial: {message}")))
        }
        other => unreachable!("no answer to a kill: {other:?}"),
    }
}
