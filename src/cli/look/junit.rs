//! JUnit XML, as CI services read it: a suite for each run, a case for each trial.

use std::fmt::{self, Write};

use crate::cli::look::shown::ShownRun;
use crate::cli::time::utc;
use crate::model::history::History;
use crate::model::outcome::Outcome;
use crate::model::summary::TrialResult;
use crate::report::tail::tail;

/// Lines of the standard error that stand in a failed case.
const LINES: usize = 40;

/// The count that a case belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Verdict {
    Passed,
    /// The trial failed.
    Failure,
    /// The trial never had its chance: the engine's fault.
    Error,
    Skipped,
}

/// What is said of one run.
pub(crate) struct Suite {
    numbers: Numbers,
    /// The experiment's name, escaped.
    name: String,
    text: String,
}

/// The figures of a suite, and of all together.
#[derive(Clone, Copy, Default)]
struct Numbers {
    tests: usize,
    failures: usize,
    errors: usize,
    skipped: usize,
    seconds: f64,
}

impl fmt::Display for Numbers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { tests, failures, errors, skipped, seconds } = self;
        write!(f, r#"tests="{tests}" failures="{failures}" errors="{errors}" skipped="{skipped}" time="{seconds:.3}""#)
    }
}

impl Suite {
    /// The suite of those trials of a run.
    pub(crate) fn new(shown: &ShownRun, history: &History, results: &[&TrialResult]) -> Self {
        let count = |verdict| results.iter().filter(|result| self::verdict(result) == verdict).count();
        let numbers = Numbers {
            tests: results.len(),
            failures: count(Verdict::Failure),
            errors: count(Verdict::Error),
            skipped: count(Verdict::Skipped),
            seconds: shown.elapsed(&history.summary, history.last()).as_secs_f64(),
        };
        let record = &shown.run.record;
        let name = escaped(&record.experiment);
        let mut text = format!(
            "  <testsuite name=\"{name}\" id=\"{}\" {numbers} timestamp=\"{}\">\n",
            escaped(record.run.as_str()),
            utc(record.started_ms).trim_end_matches('Z'),
        );
        for result in results {
            case(&mut text, &name, shown.status(result, &history.summary), result);
        }
        text.push_str("  </testsuite>\n");
        Self { numbers, name, text }
    }
}

/// The report on those runs.
pub(crate) fn text(suites: &[Suite]) -> String {
    let all = suites.iter().fold(Numbers::default(), |sum, Suite { numbers, .. }| Numbers {
        tests: sum.tests + numbers.tests,
        failures: sum.failures + numbers.failures,
        errors: sum.errors + numbers.errors,
        skipped: sum.skipped + numbers.skipped,
        seconds: sum.seconds + numbers.seconds,
    });
    let mut names: Vec<&str> = suites.iter().map(|suite| suite.name.as_str()).collect();
    names.dedup();
    let suites: String = suites.iter().map(|suite| suite.text.as_str()).collect();
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"{}\" {all}>\n{suites}</testsuites>\n",
        names.join(", ")
    )
}

fn case(text: &mut String, suite: &str, status: &str, result: &TrialResult) {
    let mut say = |line: std::fmt::Arguments<'_>| {
        let _infallible = text.write_fmt(line);
    };
    let (name, seconds) = (escaped(result.trial.name.as_str()), result.elapsed.as_secs_f64());
    say(format_args!("    <testcase name=\"{name}\" classname=\"{suite}\" time=\"{seconds:.3}\">\n"));
    let params = result
        .trial
        .params
        .iter()
        .map(|(name, value)| (name, value.as_str().map_or_else(|| value.to_string(), str::to_owned)));
    let metrics = result.metrics.iter().map(|(name, metric)| (name, metric.last.to_string()));
    let properties: Vec<_> = params.chain(metrics).collect();
    if !properties.is_empty() {
        say(format_args!("      <properties>\n"));
        for (name, value) in properties {
            let (name, value) = (escaped(name), escaped(&value));
            say(format_args!("        <property name=\"{name}\" value=\"{value}\"/>\n"));
        }
        say(format_args!("      </properties>\n"));
    }
    let message = escaped(&result.outcome().map_or_else(|| "it has not ended".to_owned(), ToString::to_string));
    let end = format!("message=\"{message}\" type=\"{status}\"");
    match verdict(result) {
        Verdict::Passed => {}
        Verdict::Skipped => say(format_args!("      <skipped message=\"{message}\"/>\n")),
        Verdict::Failure => say(format_args!("      <failure {end}>{message}</failure>\n")),
        Verdict::Error => say(format_args!("      <error {end}>{message}</error>\n")),
    }
    if matches!(verdict(result), Verdict::Failure | Verdict::Error)
        && let Some(logs) = result.logs.as_ref().filter(|logs| logs.stderr_bytes > 0)
    {
        let lines = match tail(&logs.stderr, LINES) {
            Ok(lines) => lines,
            Err(error) => vec![format!("{}: {error}", logs.stderr.display())],
        };
        let lines: Vec<String> = lines.iter().map(|line| escaped(line)).collect();
        say(format_args!("      <system-err>{}</system-err>\n", lines.join("\n")));
    }
    say(format_args!("    </testcase>\n"));
}

fn verdict(result: &TrialResult) -> Verdict {
    match result.outcome() {
        None | Some(Outcome::Skipped { .. } | Outcome::Killed | Outcome::Pruned { .. }) => Verdict::Skipped,
        Some(Outcome::NotStarted { .. } | Outcome::Lost { .. }) => Verdict::Error,
        Some(outcome) if outcome.is_failure() => Verdict::Failure,
        Some(_) => Verdict::Passed,
    }
}

/// Text for an element or an attribute. What XML 1.0 has no way to write becomes U+FFFD.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            // As they are, an attribute would turn them into blanks.
            '\n' | '\r' | '\t' => {
                let _infallible = write!(escaped, "&#{};", u32::from(c));
            }
            '\0'..='\u{1f}' | '\u{fffe}' | '\u{ffff}' => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn what_xml_cannot_say_is_replaced() {
        assert_eq!(escaped("a < \"b\" & 'c' > 失敗"), "a &lt; &quot;b&quot; &amp; 'c' &gt; 失敗");
        assert_eq!(escaped("\0\u{1b}[31m\n\t\u{fffe}\u{7f}"), "\u{fffd}\u{fffd}[31m&#10;&#9;\u{fffd}\u{7f}");
    }
}
