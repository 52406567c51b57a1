//! Ending a live run through its process: with signals, as `kill` and a shell do.

use std::time::Duration;

use crate::cli::error::CliError;
use crate::cli::exit;
use crate::model::trial::settled::Settled;
use crate::store::{Kinds, LiveRun, StateDir};

/// Time for a combu to clean up after its trials have ended.
const CLEANUP: Duration = Duration::from_secs(5);

/// Time for a combu to end after the second request.
const IMPATIENT: Duration = Duration::from_secs(30);

/// Time for a live run to end when it is asked to: the longest `stop_grace` of its trials, and its cleanup. After that it
/// is asked again, which kills its trials at once.
pub(crate) fn time_to_end(state: &StateDir, live: &LiveRun) -> Duration {
    let past =
        state.past_runs().ok().and_then(|past| past.runs.into_iter().find(|run| run.record.run == live.record.run));
    // Where the events cannot be read, the default counts.
    let grace = past.and_then(|run| run.history(Kinds::WITHOUT_RECORDS).ok()).and_then(|history| {
        let open = history.summary.results.iter().filter(|result| result.outcome().is_none());
        open.map(|result| result.trial.stop_grace).max()
    });
    grace.unwrap_or(Settled::STOP_GRACE) + CLEANUP
}

/// Asks every other combu that has such a run to end, twice if need be, and waits for it: `grace`, or as long as its trials
/// may take.
pub(crate) fn end_live_runs(
    state: &StateDir,
    is_meant: impl Fn(&LiveRun) -> bool,
    grace: Option<Duration>,
) -> Result<Vec<String>, CliError> {
    let mut ended = Vec::new();
    for live in state.live_runs()?.runs {
        if !is_meant(&live) || live.record.pid == std::process::id() {
            continue;
        }
        state.check_owner()?;
        if !live.is_here {
            return Err(CliError::new(
                exit::USAGE,
                format!("run {} lives on another machine or in a container", live.record.run),
            )
            .hint("end it there"));
        }
        terminate(&live);
        if !live.wait_end(grace.unwrap_or_else(|| time_to_end(state, &live))) {
            terminate(&live);
            if !live.wait_end(IMPATIENT) {
                let (run, pid) = (&live.record.run, live.record.pid);
                return Err(CliError::new(exit::INTERNAL, format!("run {run} (process {pid}) does not end")));
            }
        }
        ended.push(live.record.run.to_string());
    }
    Ok(ended)
}

/// Asks a live run's process to end.
fn terminate(live: &LiveRun) {
    let pid = i32::try_from(live.record.pid).ok().and_then(rustix::process::Pid::from_raw);
    if let Some(pid) = pid {
        // The process may end by itself just now; the wait that follows shows it.
        let _gone = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        // A process that was stopped by Ctrl-Z takes no signal before it goes on.
        let _gone = rustix::process::kill_process(pid, rustix::process::Signal::CONT);
    }
}
