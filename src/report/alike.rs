//! Failures that are one: trials that failed in the same way, which are told once and counted.

use crate::model::event::Logs;
use crate::model::name::Name;
use crate::model::outcome::Outcome;
use crate::report::style::clean;
use crate::report::tail::{tail, telling};

/// Trials that failed alike from which on they are counted and no longer told one by one.
pub(crate) const FEW: usize = 3;

/// What a trial failed of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Failure {
    /// For people: `exit code 1: ModuleNotFoundError: No module named 'torch'`.
    pub(crate) text: String,
    /// The same for all failures that differ in nothing but numbers and the trial's own name.
    pub(crate) kind: String,
}

impl Failure {
    /// What the outcome says, and the last line of the log where the program itself ended with it.
    pub(crate) fn of(trial: &Name, outcome: &Outcome, logs: Option<&Logs>) -> Self {
        let mut text = how(outcome);
        let has_ended = matches!(outcome, Outcome::Failed { .. });
        if let Some(log) = logs.filter(|_| has_ended).and_then(telling)
            && let Some(last) = tail(log, 1).ok().and_then(|mut lines| lines.pop())
        {
            text = format!("{text}: {}", last.trim());
        }
        let kind = kind(&text.replace(trial.as_str(), "@"));
        Self { text, kind }
    }
}

/// How it ended, short: the word before it already says whether it failed or was skipped.
pub(crate) fn how(outcome: &Outcome) -> String {
    match outcome {
        Outcome::Failed { exit } => exit.to_string(),
        Outcome::Skipped { because } => clean(because),
        outcome => clean(&outcome.to_string()),
    }
}

/// The text with `#` for each number, address and id. The exit, which stands first, stays.
fn kind(text: &str) -> String {
    let (exit, rest) = text.split_once(':').unwrap_or((text, ""));
    let mut kind = exit.to_owned();
    let mut word = String::new();
    for c in rest.chars().chain([' ']) {
        if c.is_ascii_alphanumeric() {
            word.push(c);
            continue;
        }
        kind.push_str(&without_digits(&word));
        kind.push(c);
        word.clear();
    }
    kind
}

fn without_digits(word: &str) -> String {
    let is_id = word.len() >= 12 && word.chars().all(|c| c.is_ascii_hexdigit());
    if is_id || word.starts_with("0x") {
        return "#".to_owned();
    }
    let mut text = String::new();
    for c in word.chars() {
        match c.is_ascii_digit() {
            true if text.ends_with('#') => {}
            true => text.push('#'),
            false => text.push(c),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{Failure, kind};
    use crate::model::event::Logs;
    use crate::model::outcome::{Exit, Outcome};
    use crate::report::tests::name;

    #[test]
    fn failures_that_differ_in_numbers_and_names_are_of_one_kind() {
        let alike = [
            (
                "exit code 1: ValueError: lr 0.1 in step 30 at 0x7f33ab",
                "exit code 1: ValueError: lr 0.25 in step 4 at 0x1",
            ),
            ("could not be started: no image x: 500: port 40312", "could not be started: no image x: 500: port 9"),
            ("exit code 1: container deadbeef0123 is gone", "exit code 1: container 0123456789ab is gone"),
        ];
        for (one, other) in alike {
            assert_eq!(kind(one), kind(other));
        }
        for (one, other) in [("exit code 1: a", "exit code 2: a"), ("exit code 1: a1b", "exit code 1: a1c"), ("x", "y")]
        {
            assert_ne!(kind(one), kind(other));
        }
    }

    #[test]
    fn what_a_trial_failed_of_is_its_end_and_its_last_words() {
        let folder = tempfile::tempdir().unwrap();
        let path = |file: &str| folder.path().join(file);
        std::fs::write(path("err"), "Traceback\n  File \"x.py\"\nValueError: t-1 is bad\n::combu metric loss=1\n\n")
            .unwrap();
        let logs = Logs { stdout: path("out"), stdout_bytes: 0, stderr: path("err"), stderr_bytes: 9 };
        let outcome = Outcome::Failed { exit: Exit::Code(3) };
        let failure = Failure::of(&name("t-1"), &outcome, Some(&logs));
        assert_eq!(failure.text, "exit code 3: ValueError: t-1 is bad");
        assert_eq!(failure.kind.trim(), "exit code 3 ValueError: @ is bad");
        assert_eq!(Failure::of(&name("t-1"), &outcome, None).text, "exit code 3");
        assert_eq!(Failure::of(&name("t-1"), &Outcome::TimedOut, Some(&logs)).text, "timed out");
    }
}
