//! The log of GNU parallel: a line for each trial that was launched and has ended, with its columns and their meaning.

use crate::model::history::History;
use crate::model::outcome::{Exit, Outcome};
use crate::model::shell::quoted;
use crate::model::summary::TrialResult;

/// The first line of GNU parallel's log.
const HEAD: &str = "Seq\tHost\tStarttime\tJobRuntime\tSend\tReceive\tExitval\tSignal\tCommand\n";

/// The codes of GNU parallel for a job that it ended because of its time, or lost.
const ENDED_BY_US: (i32, i32) = (-1, 15);

/// The log of those trials. `Seq` is the place of the trial in the plan, `Receive` the bytes of its standard output.
pub(crate) fn text(history: &History, results: &[&TrialResult]) -> String {
    let mut text = HEAD.to_owned();
    for (index, result) in history.summary.results.iter().enumerate() {
        if !results.iter().any(|one| one.trial.name == result.trial.name) {
            continue;
        }
        let last = history.trial(&result.trial.name).and_then(|told| told.attempts.last());
        let (Some(attempt), Some(outcome)) = (last, result.outcome()) else { continue };
        let (exit, signal) = ended(outcome);
        let started = attempt.started.unwrap_or(attempt.starting);
        let bytes = attempt.logs.as_ref().map_or(0, |logs| logs.stdout_bytes);
        text.push_str(&format!(
            "{}\t:\t{}.{:03}\t{:10.3}\t0\t{bytes}\t{exit}\t{signal}\t{}\n",
            index + 1,
            started / 1000,
            started % 1000,
            attempt.elapsed.as_secs_f64(),
            command(result)
        ));
    }
    text
}

/// The logs of several runs as one.
pub(crate) fn joined(logs: impl Iterator<Item = String>) -> String {
    let rows = logs.map(|log| log.strip_prefix(HEAD).map_or(log.clone(), str::to_owned));
    HEAD.to_owned() + rows.collect::<String>().as_str()
}

/// Exit code and signal: a process that a signal ended has no code of its own.
fn ended(outcome: &Outcome) -> (i32, i32) {
    match outcome {
        Outcome::Succeeded | Outcome::Stopped => (0, 0),
        Outcome::Failed { exit: Exit::Code(code) } => (*code, 0),
        Outcome::Failed { exit: Exit::Signal(signal) } => (0, *signal),
        Outcome::Failed { exit: Exit::Oom } | Outcome::Oom => (0, 9),
        Outcome::TimedOut | Outcome::Unhealthy | Outcome::Killed | Outcome::Pruned { .. } => ENDED_BY_US,
        Outcome::NotStarted { .. } | Outcome::Lost { .. } | Outcome::Skipped { .. } => (-1, 0),
    }
}

/// The trial's command as a shell would take it; of an image's own command, the image. Newlines become NUL, as in GNU
/// parallel.
fn command(result: &TrialResult) -> String {
    let trial = &result.trial;
    let words = trial.entrypoint.iter().chain(&trial.cmd).flatten();
    let words: Vec<String> = words.map(|word| quoted(word)).collect();
    let line = if words.is_empty() { trial.image.clone().unwrap_or_default() } else { words.join(" ") };
    line.replace('\n', "\0")
}

#[cfg(test)]
mod tests {
    use super::ended;
    use crate::model::outcome::{Exit, Outcome};

    #[test]
    fn ends_have_the_codes_of_gnu_parallel() {
        let known = [
            (Outcome::Succeeded, (0, 0)),
            (Outcome::Failed { exit: Exit::Code(3) }, (3, 0)),
            (Outcome::Failed { exit: Exit::Signal(11) }, (0, 11)),
            (Outcome::Oom, (0, 9)),
            (Outcome::TimedOut, (-1, 15)),
            (Outcome::Killed, (-1, 15)),
            (Outcome::NotStarted { message: String::new() }, (-1, 0)),
        ];
        for (outcome, numbers) in known {
            assert_eq!(ended(&outcome), numbers, "{outcome}");
        }
    }
}
