//! JUnit XML, as CI services read it: a suite for the run, a case for each trial.

use std::fmt::Write;

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

/// The report on those trials.
pub(crate) fn text(shown: &ShownRun, history: &History, results: &[&TrialResult]) -> String {
    let count = |verdict| results.iter().filter(|result| self::verdict(result) == verdict).count();
    let numbers = format!(
        r#"tests="{}" failures="{}" errors="{}" skipped="{}" time="{:.3}""#,
        results.len(),
        count(Verdict::Failure),
        count(Verdict::Error),
        count(Verdict::Skipped),
        shown.elapsed(&history.summary, history.last()).as_secs_f64(),
    );
    let record = &shown.run.record;
    let name = escaped(&record.experiment);
    let mut text = format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"{name}\" {numbers}>\n  <testsuite name=\"{name}\" \
         id=\"{}\" {numbers} timestamp=\"{}\">\n",
        escaped(record.run.as_str()),
        utc(record.started_ms).trim_end_matches('Z'),
    );
    for result in results {
        case(&mut text, &name, shown.status(result, &history.summary), result);
    }
    text.push_str("  </testsuite>\n</testsuites>\n");
    text
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
        None | Some(Outcome::Skipped { .. } | Outcome::Killed) => Verdict::Skipped,
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
