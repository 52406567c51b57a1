//! `combu rerun`: a part of a run again, as a run of its own that is linked to it.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use clap::Args;

use crate::cli::args::{LimitArgs, NamePattern, OutputForm, ProgressArgs, check_streams};
use crate::cli::chosen::{none_fits, pattern};
use crate::cli::context::{SessionGuard, session};
use crate::cli::error::{CliError, kill_command};
use crate::cli::exit;
use crate::cli::named;
use crate::cli::stage::signals;
use crate::cli::stage::started::{begin, follow};
use crate::cli::stage::terminal::Terminal;
use crate::cli::ui::Ui;
use crate::cli::unread;
use crate::cli::which::runs;
use crate::model::history::History;
use crate::model::name::{Name, RunId};
use crate::model::outcome::Outcome;
use crate::model::summary::Summary;
use crate::model::trial::Trial;
use crate::run::session::new_id;
use crate::script::Where;
use crate::spec::Sources;
use crate::store::{Kinds, PastRun};

/// Examples below the options.
pub(crate) const HELP: &str = "Examples:
  combu rerun                             what has not succeeded in the last run, nor in a rerun of it
  combu rerun k3jd --failed --retries 2   what failed in a run, with two retries
  combu rerun last/'solver-*'             some trials, however they ended
  combu rerun --where 'status == \"oom\"'   what ran out of memory

Exit code 5: what was run succeeded, and other trials of the run have not yet.";

#[derive(Debug, Args)]
pub(crate) struct RerunArgs {
    /// The run: the beginning of its id, or `last` (the default; with `-f FILE`, of that spec). Trials of it, however they
    /// ended: names, or patterns with `*`, `?` and `[a-z]`, also as `RUN/TRIAL`. Default: those that have not succeeded.
    #[arg(value_name = "RUN|TRIAL")]
    what: Vec<String>,

    /// Only the trials that failed, not those that were killed, skipped or never ran.
    #[arg(long, conflicts_with = "filter")]
    failed: bool,

    /// Only the trials that this expression is true of; see `combu run`.
    #[arg(long = "where", value_name = "EXPR")]
    filter: Option<String>,

    /// Print the results on stdout in this form.
    #[arg(short = 'o', long, value_name = "FORM")]
    output: Option<OutputForm>,

    #[command(flatten)]
    limits: LimitArgs,

    #[command(flatten)]
    progress: ProgressArgs,
}

pub(crate) fn main(file: Option<&Path>, args: &RerunArgs, ui: &Ui) -> Result<u8, CliError> {
    check_streams(args.output, args.progress.progress)?;
    let named = named::read_one(file, &args.what, ui)?;
    if !named.trials.is_empty() && (args.failed || args.filter.is_some()) {
        let error = CliError::new(exit::USAGE, "trials are chosen twice: by name, and by `--failed` or `--where`");
        return Err(error.hint("leave one of them out"));
    }
    let trials = named.trials.iter().map(|trial| pattern(trial)).collect::<Result<Vec<_>, _>>()?;
    let (family, past) = family(file, named.run.as_deref(), ui)?;
    let first = &family[0];
    let last = ends(&family)?;
    let chosen = choose(args, &trials, &first.record.run, &past.summary, &last)?;
    let mut experiment = past.experiment(first.record.spec.clone(), first.record.id.clone());
    // The trials that it made are what is run again.
    experiment.options.search = None;
    let needed = with_prerequisites(&experiment.trials, &chosen);
    experiment.trials.retain(|trial| needed.contains(&trial.name));
    let is_service = |name: &Name| past.summary.get(name).is_some_and(|result| result.service);
    // What succeeded stays so; services are there for whoever needs them now.
    let kept = needed.iter().filter(|name| !chosen.contains(*name) && !is_service(name));
    let succeeded = |name: &&Name| matches!(last.get(*name), Some((Outcome::Succeeded, _)));
    let reused: BTreeMap<Name, RunId> =
        kept.filter(succeeded).map(|name| (name.clone(), last[name].1.clone())).collect();
    let session = session()?;
    let _ending = SessionGuard(session.clone());
    let spec = first.record.spec.clone();
    let prepared = session.prepare(experiment, args.limits.options())?;
    let terminal = Terminal::new(ui, args.progress.progress, &spec, false, &session, &Sources::default())?;
    signals::listen(&session, kill_command(&spec), ui)?;
    let run = RunId::from(new_id().as_str());
    let started = begin(&session, &terminal, prepared, run, reused, Some(first.record.run.clone()))?;
    ui.message(&format!("{} of run {} again", counted(chosen.len()), first.record.run));
    let code = follow(&session, &terminal, started, args.output, ui)?;
    if code != exit::OK {
        return Ok(code);
    }
    let left = last.iter().filter(|(name, (outcome, _))| !chosen.contains(*name) && !outcome.is_fine()).count();
    let is_unended = |name: &Name| !last.contains_key(name) && !chosen.contains(name) && !is_service(name);
    let unended = past.summary.results.iter().filter(|result| is_unended(&result.trial.name));
    match left + unended.count() {
        0 => Ok(exit::OK),
        outstanding => {
            ui.message(&format!(
                "{} of run {} outstanding: combu rerun {}",
                counted(outstanding),
                first.record.run,
                first.record.run
            ));
            Ok(exit::OUTSTANDING)
        }
    }
}

fn counted(trials: usize) -> String {
    if trials == 1 { "1 trial".to_owned() } else { format!("{trials} trials") }
}

/// The run that is repeated and its reruns so far, in the order they began, and the first one's past.
fn family(file: Option<&Path>, run: Option<&str>, ui: &Ui) -> Result<(Vec<PastRun>, History), CliError> {
    let all = runs(file, None, ui)?.past;
    let meant = runs(file, Some(run.unwrap_or("last")), ui)?;
    let Some(mut first) = meant.past.first() else {
        let error = CliError::new(exit::NOTHING, format!("no run{} is recorded", meant.asked));
        return Err(error.hint("`combu ls` lists the runs of this project"));
    };
    while let Some(repeated) = first.record.repeats.as_ref()
        && let Some(run) = all.iter().find(|run| run.record.run == *repeated)
    {
        first = run;
    }
    let id = &first.record.run;
    if let Some(live) = meant.live.iter().find(|live| live.record.run == *id) {
        let message = format!("run {} is alive", live.record.run);
        return Err(CliError::new(exit::USAGE, message).hint("wait for its end, or end it with `combu kill`"));
    }
    let past = first.history(Kinds::WITHOUT_RECORDS)?;
    unread::refuse(&first.record.run, &past.unread)?;
    if !past.has_begun() {
        return Err(CliError::new(exit::NOTHING, format!("run {id} was never started")));
    }
    let mut family: Vec<PastRun> = all.iter().filter(|run| run.record.repeats.as_ref() == Some(id)).cloned().collect();
    family.push(first.clone());
    family.sort_by_key(|run| run.record.started_ms);
    Ok((family, past))
}

/// The last end of each trial, and the run of it.
fn ends(family: &[PastRun]) -> Result<HashMap<Name, (Outcome, RunId)>, CliError> {
    let mut last = HashMap::new();
    for run in family {
        let history = run.history(Kinds::WITHOUT_RECORDS)?;
        unread::refuse(&run.record.run, &history.unread)?;
        for result in history.summary.results {
            if let Some(outcome) = result.outcome() {
                let run = result.reused.as_ref().unwrap_or(&run.record.run).clone();
                last.insert(result.trial.name.clone(), (outcome.clone(), run));
            }
        }
    }
    Ok(last)
}

/// The trials that are run again.
fn choose(
    args: &RerunArgs,
    trials: &[NamePattern],
    run: &RunId,
    past: &Summary,
    last: &HashMap<Name, (Outcome, RunId)>,
) -> Result<BTreeSet<Name>, CliError> {
    let expression = args.filter.as_deref().map(Where::parse).transpose()?;
    let mut chosen = BTreeSet::new();
    for trial in past.results.iter().map(|result| &result.trial) {
        let end = last.get(&trial.name).map(|(outcome, _)| outcome);
        let is_meant = if let Some(expression) = &expression {
            expression.holds(&trial.resolved(), end)?
        } else if args.failed {
            end.is_some_and(Outcome::is_failure)
        } else if trials.is_empty() {
            !trial.service && end.is_none_or(|end| !end.is_fine())
        } else {
            trials.iter().any(|pattern| pattern.fits(&trial.name))
        };
        if is_meant {
            chosen.insert(trial.name.clone());
        }
    }
    if let Some(pattern) = trials.iter().find(|pattern| !chosen.iter().any(|name| pattern.fits(name))) {
        return Err(CliError::new(exit::NOTHING, format!("run {run} has no trial `{}`", pattern.text())));
    }
    if chosen.is_empty() {
        return Err(match &args.filter {
            Some(text) => none_fits(text, &format!("no trial of run {run}")),
            None => CliError::new(exit::NOTHING, format!("nothing to repeat: no trial of run {run} failed")),
        });
    }
    Ok(chosen)
}

/// The chosen trials and all that they depend on.
fn with_prerequisites(trials: &[Arc<Trial>], chosen: &BTreeSet<Name>) -> BTreeSet<Name> {
    let depends: HashMap<&Name, &Vec<_>> = trials.iter().map(|trial| (&trial.name, &trial.depends)).collect();
    let mut needed = BTreeSet::new();
    let mut look: Vec<&Name> = chosen.iter().collect();
    while let Some(name) = look.pop() {
        if needed.insert(name.clone()) {
            look.extend(depends.get(name).into_iter().flat_map(|depends| depends.iter().map(|on| &on.trial)));
        }
    }
    needed
}
