//! The final report of a run: what became of it in one line, what went wrong in a table, and what to do next.

use std::collections::HashMap;
use std::path::Path;

use crate::model::outcome::Outcome;
use crate::model::summary::{Summary, TrialResult};
use crate::report::style::{Style, clean, counted, shown, took};
use crate::report::table::list;
use crate::report::tail::telling;
use crate::report::teller::{how, why_early};

/// Failed trials in the table, reasons of skipped ones, warnings: beyond, only their number is of use.
const MOST: usize = 20;

/// What a user can do after the run, as far as the caller knows it.
#[derive(Debug, Clone, Copy, Default)]
pub struct NextCommands<'a> {
    /// Folder of the run, where its logs lie.
    pub folder: Option<&'a Path>,
    /// The command that removes the containers which were kept; absent when none were.
    pub kill: Option<&'a str>,
}

/// The final report. Ends with a newline.
pub fn summary(summary: &Summary, next: &NextCommands<'_>, style: &Style) -> String {
    let mut text = String::new();
    let mut say = |line: &str| {
        text.push_str(line);
        text.push('\n');
    };
    warnings(summary, style).iter().for_each(|line| say(line));
    skipped(summary, style).iter().for_each(|line| say(line));
    flaky(summary, style).iter().for_each(|line| say(line));
    lost(summary, style).iter().for_each(|line| say(line));
    let failed: Vec<&TrialResult> =
        summary.results.iter().filter(|result| result.outcome().is_some_and(Outcome::is_failure)).collect();
    if !failed.is_empty() {
        say(failures(&failed, next.folder, style).trim_end());
    }
    if let Some(early) = &summary.early {
        style.wrap(&style.yellow("ended early: "), &why_early(early), 2).iter().for_each(|line| say(line));
    }
    missing(summary, style).iter().for_each(|line| say(line));
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
fn counts(summary: &Summary, style: &Style) -> String {
    let counts = summary.counts();
    let parts = [
        (counts.succeeded, "succeeded"),
        (counts.failed, "failed"),
        (counts.skipped, "skipped"),
        (counts.killed, "killed"),
        (counts.running, "running"),
        (counts.waiting, "waiting"),
    ];
    let mut parts: Vec<String> =
        parts.iter().filter(|(number, _)| *number > 0).map(|(number, word)| format!("{number} {word}")).collect();
    let of_these = [(counts.flaky, "flaky"), (counts.reused, "in an earlier run")];
    let of_these: Vec<String> =
        of_these.iter().filter(|(number, _)| *number > 0).map(|(number, word)| format!("{number} {word}")).collect();
    if !of_these.is_empty() {
        // Whatever is flaky or was reused has succeeded, which comes first.
        parts[0].push_str(&format!(" ({})", of_these.join(", ")));
    }
    let verdict = if summary.ok() { style.green(&parts.join(", ")) } else { style.red(&parts.join(", ")) };
    let time = summary.elapsed.map(|elapsed| format!(" in {}", took(elapsed))).unwrap_or_default();
    format!("{}: {verdict}{time}", counted(counts.total, "trial"))
}

fn failures(failed: &[&TrialResult], folder: Option<&Path>, style: &Style) -> String {
    let columns = ["FAILED", "HOW", "ATTEMPTS", "TIME", "LOG"].map(str::to_owned);
    let rows: Vec<Vec<String>> = failed
        .iter()
        .take(MOST)
        .map(|result| {
            let log = result.logs.as_ref().and_then(telling);
            // Below the run's folder, which is named once for all of them.
            let log = log.map(|log| match folder.and_then(|folder| log.strip_prefix(folder).ok()) {
                Some(below) => below.display().to_string(),
                None => shown(log),
            });
            vec![
                result.trial.name.to_string(),
                result.outcome().map(how).unwrap_or_default(),
                result.attempts.to_string(),
                if result.elapsed.is_zero() { "-".to_owned() } else { took(result.elapsed) },
                log.unwrap_or_else(|| "-".to_owned()),
            ]
        })
        .collect();
    let more = match failed.len().saturating_sub(MOST) {
        0 => String::new(),
        more => format!("and {more} more\n"),
    };
    list(&columns, &rows, style) + more.as_str()
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

fn warnings(summary: &Summary, style: &Style) -> Vec<String> {
    let shown = summary.warnings.iter().take(MOST);
    let mut lines: Vec<String> =
        shown.flat_map(|warning| style.wrap(&style.yellow("warning: "), &clean(warning), 2)).collect();
    lines.extend(more(summary.warnings.len(), "warning"));
    lines
}

fn more(number: usize, noun: &str) -> Option<String> {
    let more = number.checked_sub(MOST).filter(|more| *more > 0)?;
    Some(format!("and {}", counted(more, &format!("more {noun}"))))
}
