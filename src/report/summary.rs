//! The final report of a run: what became of it in one line, what went wrong in a table, and what to do next.

use std::collections::{HashMap, HashSet};
use std::path::Path;

use crate::model::event::Early;
use crate::model::outcome::Outcome;
use crate::model::summary::{Summary, TrialResult};
use crate::report::alike::{FEW, Failure, how};
use crate::report::results::plain;
use crate::report::style::{Style, clean, counted, number, shown, took};
use crate::report::table::{Cut, lines};
use crate::report::teller::why_early;

/// Failed trials in the table, kinds of failures, reasons of skipped ones: beyond, only their number is of use.
const MOST: usize = 20;

/// What a user can do after the run, as far as the caller knows it.
#[derive(Debug, Clone, Copy, Default)]
pub struct NextCommands<'a> {
    /// Folder of the run, where its logs lie.
    pub folder: Option<&'a Path>,
    /// The command that removes the containers which were kept; absent when none were.
    pub kill: Option<&'a str>,
    /// How commands about the run begin: `combu`, or `combu -f sweep.jsonnet`; absent when nothing of it is kept.
    pub combu: Option<&'a str>,
    /// The run's id, where such commands would mean another run without it.
    pub run: Option<&'a str>,
}

impl NextCommands<'_> {
    /// A command about the run: `combu rerun --failed`.
    fn command(&self, verb: &str, rest: &str) -> Option<String> {
        let words = [Some(self.combu?), Some(verb), self.run, Some(rest).filter(|rest| !rest.is_empty())];
        Some(words.into_iter().flatten().collect::<Vec<_>>().join(" "))
    }

    /// The command that prints the log of a trial: `combu logs k3jd/solver-3`.
    fn log(&self, trial: &str) -> Option<String> {
        let run = self.run.map(|run| format!("{run}/")).unwrap_or_default();
        Some(format!("{} logs {run}{trial}", self.combu?))
    }
}

/// The final report. Ends with a newline.
pub fn summary(summary: &Summary, next: &NextCommands<'_>, style: &Style) -> String {
    let mut text = String::new();
    let mut say = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    skipped(summary, style).iter().for_each(|line| say(line));
    flaky(summary, style).iter().for_each(|line| say(line));
    lost(summary, style).iter().for_each(|line| say(line));
    let failed: Vec<&TrialResult> =
        summary.results.iter().filter(|result| result.outcome().is_some_and(Outcome::is_failure)).collect();
    let is_open =
        |result: &TrialResult| matches!(result.outcome(), None | Some(Outcome::Killed | Outcome::Skipped { .. }));
    let goes_on = matches!(&summary.early, Some(early) if !matches!(early, Early::Killed(_)))
        && summary.results.iter().any(is_open);
    if !failed.is_empty() {
        failures(&failed, style).iter().for_each(|line| say(line));
        let has_log =
            |result: &&&TrialResult| result.logs.as_ref().is_some_and(|logs| logs.stdout_bytes + logs.stderr_bytes > 0);
        let log = failed.iter().find(has_log).and_then(|result| next.log(result.trial.name.as_str()));
        log.iter().for_each(|log| say(&format!("see a log: {log}")));
        let again = next.command("rerun", "--failed").filter(|_| !goes_on && !summary.is_rehearsal());
        again.iter().for_each(|again| say(&format!("run the failed again: {again}")));
    }
    if let Some(early) = &summary.early {
        style.wrap(&style.yellow("ended early: "), &why_early(early), 2).iter().for_each(|line| say(line));
    }
    next.command("resume", "").filter(|_| goes_on).iter().for_each(|resume| say(&format!("go on with it: {resume}")));
    warnings(summary, next, style).iter().for_each(|line| say(line));
    missing(summary, style).iter().for_each(|line| say(line));
    best(summary, style).iter().for_each(|line| say(line));
    say(&counts(summary, style));
    if let Some(folder) = next.folder {
        say(&format!("logs: {}", shown(folder)));
    }
    if let Some(kill) = next.kill {
        say(&format!("containers were kept; remove them with: {kill}"));
    }
    text
}

/// `10 trials: 8 succeeded (1 flaky), 1 failed, 1 skipped in 12.3s`
pub(super) fn counts(summary: &Summary, style: &Style) -> String {
    let counts = summary.counts();
    let parts = [
        (counts.succeeded, "succeeded"),
        (counts.failed, "failed"),
        (counts.skipped, "skipped"),
        (counts.killed, "killed"),
        (counts.pruned, "pruned"),
        (counts.running - counts.paused, "running"),
        (counts.paused, "paused"),
        (counts.waiting, "waiting"),
    ];
    let of_these = [(counts.flaky, "flaky"), (counts.reused, "in an earlier run")];
    let of_these: Vec<String> =
        of_these.iter().filter(|(number, _)| *number > 0).map(|(number, word)| format!("{number} {word}")).collect();
    let part = |number: usize, word: &str| {
        let text = format!("{number} {word}");
        match word {
            // Whatever is flaky or was reused has succeeded.
            "succeeded" if !of_these.is_empty() => style.green(&format!("{text} ({})", of_these.join(", "))),
            "succeeded" => style.green(&text),
            "failed" => style.red(&text),
            _ => style.yellow(&text),
        }
    };
    let parts: Vec<String> =
        parts.iter().filter(|(number, _)| *number > 0).map(|(number, word)| part(*number, word)).collect();
    let time = summary.elapsed.map(|elapsed| format!(" in {}", took(elapsed))).unwrap_or_default();
    let rehearsal = if summary.is_rehearsal() { " (a rehearsal: nothing was really run)" } else { "" };
    format!("{}: {}{time}{rehearsal}", counted(counts.total, "trial"), parts.join(", "))
}

/// Failures that are one, each with its number and the first of its trials; the others in a table.
fn failures(failed: &[&TrialResult], style: &Style) -> Vec<String> {
    let (groups, single) = groups(failed);
    let mut text = Vec::new();
    for (failure, results) in groups.iter().take(MOST) {
        let names: Vec<&str> = results.iter().take(2).map(|result| result.trial.name.as_str()).collect();
        let words = format!("{} ({}, ...)", clean(&failure.text), names.join(", "));
        text.extend(style.wrap(&style.red(&format!("failed: {} x ", results.len())), &words, 2));
    }
    text.extend(more(groups.len(), "kind of failure"));
    let columns = [("FAILED", Cut::Middle), ("HOW", Cut::End), ("ATTEMPTS", Cut::Never), ("TIME", Cut::Never)];
    let row = |result: &&TrialResult| {
        vec![
            result.trial.name.to_string(),
            result.outcome().map(how).unwrap_or_default(),
            result.attempts.to_string(),
            if result.elapsed.is_zero() { "-".to_owned() } else { took(result.elapsed) },
        ]
    };
    let rows: Vec<Vec<String>> = single.iter().take(MOST).map(row).collect();
    if !rows.is_empty() {
        text.extend(lines(&columns, &rows, style, |_, _, cell| cell.to_owned()).lines().map(str::to_owned));
    }
    text.extend(more(single.len(), "failed trial"));
    text
}

/// Failures of which there are a few alike, the most frequent first, and the others.
fn groups<'a>(failed: &[&'a TrialResult]) -> (Vec<(Failure, Vec<&'a TrialResult>)>, Vec<&'a TrialResult>) {
    let mut groups: Vec<(Failure, Vec<&TrialResult>)> = Vec::new();
    let mut places: HashMap<String, usize> = HashMap::new();
    for result in failed {
        let Some(outcome) = result.outcome() else { continue };
        let failure = Failure::of(&result.trial.name, outcome, result.logs.as_ref());
        let place = *places.entry(failure.kind.clone()).or_insert(groups.len());
        if place == groups.len() {
            groups.push((failure, Vec::new()));
        }
        groups[place].1.push(result);
    }
    groups.retain(|(_, results)| results.len() >= FEW);
    groups.sort_by_key(|(_, results)| std::cmp::Reverse(results.len()));
    let grouped: HashSet<&str> =
        groups.iter().flat_map(|(_, results)| results.iter().map(|result| result.trial.name.as_str())).collect();
    let single = failed.iter().filter(|result| !grouped.contains(result.trial.name.as_str())).copied().collect();
    (groups, single)
}

/// What of the run is not there.
fn missing(summary: &Summary, style: &Style) -> Vec<String> {
    let mut parts = Vec::new();
    if summary.unkept > 0 {
        parts.push(format!("the store lacks {} of this run", counted(summary.unkept, "event")));
    }
    let incomplete: Vec<_> = summary.results.iter().filter(|result| result.incomplete).collect();
    if let Some(first) = incomplete.first() {
        let in_containers = incomplete.iter().any(|result| result.trial.image.is_some());
        let rest = if in_containers { "; containers have them, and `combu resume` fetches them" } else { "" };
        let (trials, first) = (counted(incomplete.len(), "trial"), &first.trial.name);
        parts.push(format!("logs or outputs of {trials}, such as `{first}`, are not complete{rest}"));
    }
    if summary.lost > 0 {
        let attempts = counted(summary.lost, "attempt");
        parts.push(format!("logs or outputs of {attempts} were removed with the state folder"));
    }
    parts.iter().flat_map(|part| style.wrap(&style.red("missing: "), part, 2)).collect()
}

fn skipped(summary: &Summary, style: &Style) -> Vec<String> {
    let mut reasons: Vec<(&str, Vec<&TrialResult>)> = Vec::new();
    let mut places = HashMap::new();
    for result in &summary.results {
        if let Some(Outcome::Skipped { because }) = result.outcome() {
            let place = *places.entry(because.as_str()).or_insert_with(|| {
                reasons.push((because, Vec::new()));
                reasons.len() - 1
            });
            reasons[place].1.push(result);
        }
    }
    let mut lines = Vec::new();
    for (because, results) in reasons.iter().take(MOST) {
        let who = match results.as_slice() {
            [only] => format!("`{}`", only.trial.name),
            many => format!("{} (`{}`, ...)", counted(many.len(), "trial"), many[0].trial.name),
        };
        lines.extend(style.wrap(&style.yellow("skipped: "), &format!("{who} because {}", clean(because)), 2));
    }
    lines.extend(more(reasons.len(), "reason"));
    lines
}

/// Which trials are flaky, and the attempt that succeeded.
fn flaky(summary: &Summary, style: &Style) -> Vec<String> {
    let flaky: Vec<&TrialResult> = summary.results.iter().filter(|result| result.flaky).collect();
    let names: Vec<String> = flaky
        .iter()
        .take(MOST)
        .map(|result| format!("`{}` (attempt {})", result.trial.name, result.attempts))
        .collect();
    if names.is_empty() {
        return Vec::new();
    }
    let mut lines = style.wrap(&style.yellow("flaky: "), &names.join(", "), 2);
    lines.extend(more(flaky.len(), "flaky trial"));
    lines
}

/// The trial that comes nearest to the run's goal, with its params.
pub(super) fn best(summary: &Summary, style: &Style) -> Vec<String> {
    let Some(goal) = &summary.options.goal else { return Vec::new() };
    let Some((result, value)) = summary.best(goal) else {
        let text = format!("no trial that succeeded told the metric `{}`: `combu help metrics` says how", goal.metric);
        return style.wrap(&style.yellow("best: "), &text, 2);
    };
    let params = &result.trial.params;
    let params: Vec<_> = params.iter().map(|(name, value)| format!("{name}={}", plain(value))).collect();
    let with = if params.is_empty() { String::new() } else { format!(" ({})", params.join(", ")) };
    let text = format!("`{}` with {} {}{with}", result.trial.name, goal.metric, number(value));
    style.wrap(&style.green("best: "), &text, 2)
}

/// Which trials ran again because their engine lost an attempt of theirs.
fn lost(summary: &Summary, style: &Style) -> Vec<String> {
    let ran_again = |result: &&TrialResult| result.lost_attempts.iter().any(|attempt| *attempt < result.attempts);
    let lost: Vec<&TrialResult> = summary.results.iter().filter(ran_again).collect();
    let name = |result: &&TrialResult| {
        let attempts = result.lost_attempts.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
        format!("`{}` (attempt {attempts})", result.trial.name)
    };
    let names: Vec<String> = lost.iter().take(MOST).map(name).collect();
    if names.is_empty() {
        return Vec::new();
    }
    let mut lines = style.wrap(&style.yellow("lost and run again: "), &names.join(", "), 2);
    lines.extend(more(lost.len(), "lost trial"));
    lines
}

/// How many warnings there were, in all lives of the run: each was told when it came.
fn warnings(summary: &Summary, next: &NextCommands<'_>, style: &Style) -> Option<String> {
    let number = summary.warnings.len();
    let shows = next.command("show", "").map(|show| format!(": {show}")).unwrap_or_default();
    (number > 0).then(|| format!("{}{shows}", style.yellow(&counted(number, "warning"))))
}

fn more(number: usize, noun: &str) -> Option<String> {
    let more = number.checked_sub(MOST).filter(|more| *more > 0)?;
    Some(format!("and {}", counted(more, &format!("more {noun}"))))
}
