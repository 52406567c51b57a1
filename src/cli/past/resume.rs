//! `combu resume`.

use std::path::Path;
use std::time::Duration;

use clap::Args;

use crate::cli::args::{LimitArgs, OutputForm, ProgressArgs, check_streams};
use crate::cli::context::{SessionGuard, session};
use crate::cli::error::{CliError, kill_command, short_path, typed};
use crate::cli::exit;
use crate::cli::named;
use crate::cli::script::resume::go_on;
use crate::cli::stage::searching::{RunningSearch, is_unfinished};
use crate::cli::stage::started::{StartedRun, follow};
use crate::cli::stage::terminal::{OpenRun, Terminal};
use crate::cli::stage::{detach, on_end, signals};
use crate::cli::time::now;
use crate::cli::ui::Ui;
use crate::cli::unread;
use crate::cli::which::{last, no_events};
use crate::model::event::Early;
use crate::model::history::History;
use crate::model::options::Options;
use crate::report::style::{counted, elapsed};
use crate::run::session::start::Start;
use crate::spec::Sources;
use crate::store::{Kinds, PastRun, ScriptHead};

/// Examples below the options.
pub(crate) const HELP: &str = "Examples:
  combu resume                     go on with the last run
  combu resume k3jd -j 2           with another run, and two trials at once
  combu -f sweep.jsonnet resume    with the last one of that spec";

#[derive(Debug, Args)]
pub(crate) struct ResumeArgs {
    /// The run: the beginning of its id, or `last`. Default: the last one in this project (with `-f FILE`, of that spec).
    /// Where that is finished and an earlier one is not, combu names it and asks for its id.
    #[arg(value_name = "RUN")]
    run: Option<String>,

    /// Return once the run is handed to a combu in the background, which survives the terminal.
    #[arg(short = 'd', long, conflicts_with = "output")]
    detach: bool,

    /// Print the results on stdout in this form.
    #[arg(short = 'o', long, value_name = "FORM")]
    output: Option<OutputForm>,

    /// Of a run that a script started which died: go on with the trials of this run alone, not with the script.
    #[arg(long)]
    without_script: bool,

    #[command(flatten)]
    limits: LimitArgs,

    #[command(flatten)]
    progress: ProgressArgs,
}

pub(crate) fn main(file: Option<&Path>, args: &ResumeArgs, detached: bool, ui: &Ui) -> Result<u8, CliError> {
    check_streams(args.output, args.progress.progress)?;
    if args.limits.engine.is_some() || args.limits.seed.is_some() {
        let error = CliError::new(exit::USAGE, "a run goes on with the engine and the seed that it began with");
        return Err(error.hint("leave `--engine` and `--seed` out"));
    }
    let (run, past) = choose(file, args, ui)?;
    let record = &run.record;
    if !args.without_script
        && let Some(head) = run.dead_script_head()
    {
        return go_on_with_script(&run, &head, args, detached);
    }
    if args.detach && !detached {
        return detach::hand_over(&record.spec, ui);
    }
    if detached {
        detach::leave_terminal()?;
    }
    let spec = short_path(&record.spec);
    let is_cut_off = tell_of_script(&run, ui);
    ui.message(&format!("resuming `{}` ({spec}){}", record.experiment, age(record.started_ms)));
    let session = session()?;
    let _ending = SessionGuard(session.clone());
    let experiment = past.experiment(record.spec.clone(), record.id.clone());
    let prepared = session.prepare(experiment, args.limits.options())?;
    on_end::warn(&prepared.plan.experiment.options, ui);
    let terminal = Terminal::new(ui, args.progress.progress, &record.spec, detached, &session, &Sources::default())?;
    signals::listen(&session, kill_command(&record.spec), ui)?;
    let OpenRun { folder, journal, mut sinks, control } = terminal.reopen(&run)?;
    // Read again now that no other process can go on with it.
    let (mut past, mut recalled) = (History::default(), Ok(()));
    let mut search = RunningSearch::of(&prepared.plan.experiment)?;
    let mut follower = run.follow();
    follower.read(Kinds::All, |event| {
        past.add(&event);
        sinks.iter_mut().for_each(|sink| sink.recall(&event));
        if let Some(search) = search.as_mut().filter(|_| recalled.is_ok()) {
            recalled = search.recall(&event, &past.summary);
        }
    })?;
    recalled?;
    // Of what trials told of themselves: it decides nothing.
    unread::warn(&follower.unread(), ui);
    let summary = past.summary.clone();
    let id = record.run.clone();
    let start = Start { journal, past: Some(past), ..Start::unkept(id.clone(), Some(folder.path().to_path_buf())) };
    let live = session.start(prepared, start)?;
    let started = StartedRun { run: id, live, folder, sinks, control, summary, search, detached };
    match follow(&session, &terminal, started, args.output, ui)? {
        exit::OK if is_cut_off => Ok(exit::OUTSTANDING),
        code => Ok(code),
    }
}

/// Goes on with the script that started the run and died. Returns only where that fails.
fn go_on_with_script(run: &PastRun, head: &ScriptHead, args: &ResumeArgs, detached: bool) -> Result<u8, CliError> {
    let is_plain = args.limits.options() == Options::default() && args.output.is_none() && !args.detach && !detached;
    if !is_plain {
        let file = short_path(Path::new(&head.file));
        let message =
            format!("run {} belongs to the script {file}, which died: `resume` goes on with both", run.record.run);
        return Err(CliError::new(exit::USAGE, message).hint(format!(
            "options are the script's: `combu script --resume {file} ..`; `--without-script` goes on with this run alone"
        )));
    }
    match go_on(head)? {}
}

/// Says what is not gone on with where a script that died started the run; whether one did.
fn tell_of_script(run: &PastRun, ui: &Ui) -> bool {
    let Some(script) = run.dead_script() else { return false };
    let file = short_path(Path::new(&script.file));
    ui.warn(&format!(
        "run {} was started by the script {file}, which died: only the trials of this run go on, not the script. Its \
         hooks (`on_complete`, `on_fail`), trials that it would still have submitted, the code after `run()` and its \
         further runs are left out; {}",
        run.record.run,
        match run.dead_script_head() {
            Some(_) => format!("`combu script --resume {file}` goes on with it"),
            None => format!("to run it again: {}", typed(&run.record.command)),
        }
    ));
    true
}

/// The run that is meant, with its past.
fn choose(file: Option<&Path>, args: &ResumeArgs, ui: &Ui) -> Result<(PastRun, History), CliError> {
    let word = args.run.as_deref();
    let runs = named::whole(file, word, ui)?;
    let is_live = |run: &PastRun| runs.live.iter().any(|live| live.record.run == run.record.run);
    if runs.past.is_empty() {
        return Err(CliError::new(exit::NOTHING, format!("no run{} is recorded", runs.asked))
            .hint("it is looked for in the project of the working folder: `.combu/` there, or above"));
    }
    if let (Some(_), [one]) = (word, &runs.past[..])
        && is_live(one)
    {
        let message = format!("run {} is alive: another combu runs it", one.record.run);
        return Err(CliError::new(exit::USAGE, message).hint("`combu kill` ends it, and then it can be resumed"));
    }
    for (place, run) in runs.past.iter().filter(|run| !is_live(run)).enumerate() {
        let past = run.history(Kinds::WITHOUT_RECORDS)?;
        unread::refuse(&run.record.run, &past.unread)?;
        let summary = &past.summary;
        let sends = summary.options.outputs_to.is_some() || args.limits.outputs_to.is_some();
        let is_unsent = sends && summary.results.iter().any(|result| result.unsent().is_some());
        // A run that could not be started has no events.
        // Of an old run nobody means the script, unless they name it.
        let has_script = !args.without_script && (word.is_some() || place == 0) && run.dead_script_head().is_some();
        let is_open =
            past.open() > 0 || summary.elapsed.is_none() || is_unsent || past.has_unfetched() || is_unfinished(&past);
        if past.has_begun() && (is_open || has_script) {
            if word.is_none()
                && let Some(later) = later(run, &runs.past)
            {
                return Err(not_the_last(run, later, past.open()));
            }
            return Ok((run.clone(), past));
        }
    }
    let message = match &runs.past[..] {
        [one] if is_live(one) => format!("run {} is alive: another combu runs it", one.record.run),
        [one] => return Err(nothing_left(one)?),
        all => format!("none of {} runs{} is unfinished", all.len(), runs.asked),
    };
    let mut error = CliError::new(exit::NOTHING, message);
    if runs.past.len() == 1 {
        return Err(error);
    }
    for live in &runs.live {
        let (id, pid) = (&live.record.run, live.record.pid);
        error.details.push(format!("run {id} is running (process {pid}): there is nothing to go on with"));
    }
    Err(match runs.live.first() {
        Some(live) => error.hint(format!("`combu ps {0}` shows it, and `combu kill {0}` ends it", live.record.run)),
        None => error,
    })
}

/// `, begun 31m 05s ago`; nothing where it has just begun.
fn age(started: u64) -> String {
    let age = Duration::from_millis(now().saturating_sub(started));
    if age < Duration::from_secs(60) { String::new() } else { format!(", begun {} ago", elapsed(age)) }
}

/// The run that was started last, if that is another one. Rehearsals do not count, nor runs that could not be started.
fn later<'a>(run: &PastRun, past: &'a [PastRun]) -> Option<&'a PastRun> {
    let begun: Vec<PastRun> = past.iter().filter(|run| run.has_trials()).cloned().collect();
    let last = begun.get(last(&begun)?)?;
    past.iter().find(|one| one.record.run == last.record.run && one.record.run != run.record.run)
}

/// The error that the run which is not finished is not the last one: a person may mean the last.
fn not_the_last(run: &PastRun, later: &PastRun, open: usize) -> CliError {
    let (old, new) = (&run.record, &later.record);
    let message = format!("the last run has nothing left to do: run {} of `{}`", new.run, new.experiment);
    let (spec, age, open) = (short_path(&old.spec), age(old.started_ms), counted(open, "trial"));
    let unfinished = format!("unfinished is run {} of `{}` ({spec}){age}, with {open} left", old.run, old.experiment);
    CliError { details: vec![unfinished], ..CliError::new(exit::USAGE, message) }
        .hint(format!("to go on with that one: `combu resume {}`", old.run))
}

/// The error that a run has nothing left to do.
fn nothing_left(run: &PastRun) -> Result<CliError, CliError> {
    let (id, past) = (&run.record.run, run.history(Kinds::WITHOUT_RECORDS)?);
    if !past.has_begun() {
        return Ok(no_events(run));
    }
    Ok(match &past.summary.early {
        Some(Early::Killed(by)) => CliError::new(exit::NOTHING, format!("run {id} has ended: it was killed by `{by}`"))
            .hint(format!("`combu rerun {id}` runs again what has not succeeded")),
        _ => match run.dead_script() {
            None => CliError::new(exit::NOTHING, format!("nothing to resume: all trials of run {id} have finished")),
            Some(script) => {
                let file = short_path(Path::new(&script.file));
                let message = format!("every trial of run {id} has ended; the script {file}, which started it, died");
                CliError::new(exit::NOTHING, message).hint(match run.dead_script_head() {
                    Some(_) => format!("`combu script --resume {file}` goes on with it"),
                    None => format!("to run it again: {}", typed(&run.record.command)),
                })
            }
        },
    })
}
