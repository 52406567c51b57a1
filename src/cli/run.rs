//! `combu run`.

use std::collections::BTreeMap;
use std::path::Path;

use clap::Args;

use crate::cli::args::{JsonnetArgs, LimitArgs, OutputForm, ProgressArgs, ProgressMode, SpecArgs, check_streams};
use crate::cli::before::unchanged;
use crate::cli::chosen::select;
use crate::cli::config::file::options_below;
use crate::cli::context::{SessionGuard, SpecSource, real, session, spec_path, state};
use crate::cli::error::{CliError, kill_command};
use crate::cli::exit;
use crate::cli::plan::{self, PlanArgs};
use crate::cli::stage::started::{StartedRun, begin, follow};
use crate::cli::stage::terminal::Terminal;
use crate::cli::stage::{detach, signals};
use crate::cli::ui::Ui;
use crate::cli::unread;
use crate::model::experiment::Experiment;
use crate::model::history::History;
use crate::model::name::{Name, RunId};
use crate::model::outcome::Outcome;
use crate::model::trial::settled::Settled;
use crate::plan::Plan;
use crate::plan::identity::Triggers;
use crate::report::style::counted;
use crate::run::session::new_id;
use crate::spec::Sources;
use crate::store::{Kinds, RunRecord};

/// Examples below the options.
pub(crate) const HELP: &str = "Examples:
  combu run sweep.jsonnet                         every trial, as many at once as fit the machine
  combu run sweep.jsonnet -j 4 --timeout 2h       four at once, each two hours at most
  combu run sweep.jsonnet --resume                only what is new, changed, or has not succeeded
  combu run sweep.jsonnet --where 'params.lr > 0.1'
  combu run sweep.jsonnet --engine fake           a rehearsal: nothing is started
  combu run sweep.jsonnet --detach                in the background; `combu ps` and `combu logs -f` look at it
  combu run sweep.jsonnet --max-fail 3            start nothing more once three trials failed";

#[derive(Debug, Args)]
pub(crate) struct RunArgs {
    #[command(flatten)]
    pub(crate) spec: SpecArgs,

    /// Print the plan and start nothing; the same as `combu plan`.
    #[arg(long)]
    pub(crate) dry_run: bool,

    /// Run only what is new or changed, or has not succeeded: other trials stay as the last run of this spec left them.
    ///
    /// "UUID" stands for the same characters as in that run. Files that a command reads are not looked at: after an edit of a
    /// program or of data, run without --resume, or give the trials a param such as a version.
    #[arg(long)]
    pub(crate) resume: bool,

    /// Changes that count for --resume, of image, cmd, env, mounts, limits, params and seed. Default: all of them.
    #[arg(long, value_name = "WHAT", value_parser = Triggers::parse, requires = "resume")]
    pub(crate) rerun_triggers: Option<Triggers>,

    /// Return once the run is handed to a combu in the background, which survives the terminal.
    #[arg(short = 'd', long, conflicts_with_all = ["dry_run", "output"])]
    pub(crate) detach: bool,

    /// Print the results on stdout in this form.
    #[arg(short = 'o', long, value_name = "FORM")]
    pub(crate) output: Option<OutputForm>,

    #[command(flatten)]
    pub(crate) jsonnet: JsonnetArgs,

    #[command(flatten)]
    pub(crate) limits: LimitArgs,

    #[command(flatten)]
    pub(crate) progress: ProgressArgs,
}

pub(crate) fn main(file: Option<&Path>, args: RunArgs, detached: bool, ui: &Ui) -> Result<u8, CliError> {
    if args.dry_run {
        let args = PlanArgs { spec: args.spec, jsonnet: args.jsonnet, limits: args.limits, output: args.output };
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
    let source = SpecSource::of(path)?;
    let path = source.path(&args.jsonnet.load_options(id.clone()))?;
    let before = if args.resume { before(&path)? } else { Vec::new() };
    let sources = Sources::default();
    let load_id = before.first().map_or_else(|| id.clone(), |(record, _)| record.id.clone());
    let experiment = source.load(&args.jsonnet.load_noting(load_id, sources.clone()))?;
    let experiment = select(experiment, &args.spec, &path)?;
    if args.resume && experiment.options.search.is_some() {
        let message =
            "`--resume` compares the trials of a spec with those of its last run, and this one makes them in a search";
        return Err(
            CliError::new(exit::USAGE, message).hint("`combu resume` goes on with a search that was ended early")
        );
    }
    let experiment = Experiment { options: experiment.options.over(options_below()?), ..experiment };
    let session = session()?;
    let _ending = SessionGuard(session.clone());
    let mut options = args.limits.options();
    if let Some((_, last)) = before.first() {
        // Without a seed of its own, it is the same sweep.
        options.seed = options.seed.or(experiment.options.seed).or(Some(last.seed));
    }
    let prepared = session.prepare(experiment, options)?;
    let reused = if args.resume {
        let seed = prepared.plan.experiment.options.seed.unwrap_or_default();
        let triggers = args.rerun_triggers.clone().unwrap_or_default();
        let runs = before.iter().map(|(_, run)| run);
        unchanged(&prepared.plan, &session.survey(&prepared)?.digests, seed, runs, &triggers)
    } else {
        BTreeMap::new()
    };
    if let Some((last, _)) = before.first().filter(|(_, last)| args.is_done(&prepared.plan, last, &reused)) {
        let (trials, run) = (counted(reused.len(), "trial"), &last.run);
        ui.message(&format!("nothing to do: {trials} succeeded before, unchanged since; run {run} has the results"));
        return Ok(exit::OK);
    }
    let terminal = Terminal::new(ui, args.progress.progress, &path, detached, &session, &sources)?;
    signals::listen(&session, kill_command(&path), ui)?;
    let run = RunId::from(id.as_str());
    let started = StartedRun { detached, ..begin(&session, &terminal, prepared, run, reused, None)? };
    follow(&session, &terminal, started, args.output, ui)
}

impl RunArgs {
    /// Whether nothing is to be run and the last run of the spec has every result already: another would only repeat it.
    fn is_done(&self, plan: &Plan, last: &History, reused: &BTreeMap<Name, RunId>) -> bool {
        let has = |trial: &Settled| {
            let end = last.summary.get(&trial.name).and_then(|result| result.outcome());
            reused.contains_key(&trial.name) && end.is_some_and(Outcome::is_success)
        };
        let is_told = self.output.is_some() || self.progress.progress == ProgressMode::Json;
        !is_told && !reused.is_empty() && plan.trials.iter().filter(|trial| !trial.service).all(|trial| has(trial))
    }
}

/// The earlier runs of a spec, but rehearsals, the last first: what each was, and what it says of its trials.
fn before(path: &Path) -> Result<Vec<(RunRecord, History)>, CliError> {
    let spec = real(path)?;
    let mut before = Vec::new();
    for run in state(path)?.past_runs()?.runs.iter().filter(|run| run.record.spec == spec) {
        if !run.is_rehearsal()? {
            let history = run.history(Kinds::WITHOUT_RECORDS)?;
            unread::refuse(&run.record.run, &history.unread)?;
            before.push((run.record.clone(), history));
        }
    }
    before.retain(|(_, run)| !run.summary.results.is_empty());
    Ok(before)
}
