//! Results of trials as rows: the value in each column, and tables, CSV and JSON of them. For `combu results` and scripts.

use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::io;

use console::measure_text_width;

use serde_json::{Map, Value, json};

use crate::model::outcome::Outcome;
use crate::model::summary::TrialResult;
use crate::report::style::{Style, number};
use crate::report::table::{Cut, NO_ROOM, lines};

/// Columns that a name keeps in a narrow table, before others are left out for it.
const NAME: usize = 16;

/// Columns of every trial: first, after its params, of what it used, and those that are shown when they are asked for.
pub(crate) const FIRST: [&str; 1] = ["name"];
pub(crate) const LAST: [&str; 4] = ["status", "exit", "attempts", "elapsed"];
pub(crate) const USAGE: [&str; 2] = ["peak_memory", "cpu_seconds"];
/// Of the run that a row is from, for those who put rows of several together.
pub(crate) const ORIGIN: [&str; 4] = ["run", "experiment", "started", "ended"];
const MORE: [&str; 5] = ["message", "flaky", "ok", "read_bytes", "written_bytes"];

/// Columns that a narrow table does without, the first of them first.
const DISPENSABLE: [&str; 8] =
    ["cpu_seconds", "peak_memory", "attempts", "exit", "elapsed", "started", "ended", "experiment"];

/// The columns that every trial has.
pub(crate) fn facts() -> impl Iterator<Item = &'static str> {
    FIRST.into_iter().chain(LAST).chain(USAGE).chain(ORIGIN).chain(MORE)
}

/// The columns that these trials have: facts, fields, and their params, metrics and tags, by name and with their group.
pub(crate) fn known<'a>(results: impl Iterator<Item = &'a TrialResult>) -> BTreeSet<String> {
    let mut known: BTreeSet<String> = facts().map(str::to_owned).collect();
    let mut add = |group: &str, name: &str| {
        if !known.contains(&format!("{group}.{name}")) {
            known.extend([name.to_owned(), format!("{group}.{name}")]);
            let of_metric = ["min", "max", "count", "step"].into_iter().filter(|_| group == "metrics");
            known.extend(of_metric.flat_map(|what| [format!("{name}.{what}"), format!("metrics.{name}.{what}")]));
        }
    };
    let mut fields = None;
    for result in results {
        result.trial.params.keys().for_each(|name| add("params", name));
        result.metrics.keys().for_each(|name| add("metrics", name));
        result.tags.keys().for_each(|name| add("tags", name));
        // All trials have the same.
        fields.get_or_insert_with(|| result.trial.fields().map(|field| field.name.to_owned()));
    }
    known.extend(fields.into_iter().flatten());
    known
}

/// The run that a row is from, and the times of the trial's last attempt there, in the form that the caller chose.
#[derive(Debug, Clone, Default)]
pub(crate) struct RowOrigin {
    pub(crate) run: String,
    pub(crate) experiment: String,
    pub(crate) started: Option<String>,
    pub(crate) ended: Option<String>,
}

/// A trial's result as a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResultRow<'a> {
    pub(crate) result: &'a TrialResult,
    /// The word for what it is doing, or how it ended; it depends on whether its run goes on.
    pub(crate) status: &'static str,
    /// Absent where nobody asks for it: a script has its run at hand.
    pub(crate) origin: Option<&'a RowOrigin>,
}

impl ResultRow<'_> {
    /// The value in a column: a fact of every trial, a param, a metric's last value, a tag, or a field of the trial. `None`
    /// where the trial has nothing of that name. `params.NAME`, `metrics.NAME` and `tags.NAME` name one of several; behind
    /// a metric's name, `.min`, `.max`, `.count` and `.step` are what they say.
    pub(crate) fn value(&self, column: &str) -> Option<Value> {
        if let Some(fact) = self.fact(column) {
            return Some(fact);
        }
        let result = self.result;
        let (group, name) = match column.split_once('.') {
            Some((group @ ("params" | "metrics" | "tags"), name)) => (group, name),
            _ => ("", column),
        };
        let is = |one: &str| group.is_empty() || group == one;
        let param = || result.trial.params.get(name).filter(|_| is("params")).cloned();
        let metric = || metric(result, name).filter(|_| is("metrics"));
        let tag = || result.tags.get(name).filter(|_| is("tags")).cloned();
        let field = || if group.is_empty() { result.trial.resolved().to_json().remove(name) } else { None };
        param().or_else(metric).or_else(tag).or_else(field)
    }

    fn fact(&self, column: &str) -> Option<Value> {
        let result = self.result;
        let usage = result.usage.as_ref();
        Some(match column {
            "name" => json!(result.trial.name),
            "status" => json!(self.status),
            "ok" => json!(result.outcome().is_some_and(Outcome::is_success)),
            "exit" => json!(result.outcome().and_then(Outcome::exit_code)),
            "attempts" => json!(result.attempts),
            "elapsed" => {
                let ran = result.outcome().filter(|_| result.attempts > 0);
                json!(ran.map(|_| micros(result.elapsed.as_secs_f64())))
            }
            "message" => json!(result.outcome().map(ToString::to_string)),
            "flaky" => json!(result.flaky),
            "cpu_seconds" => json!(usage.and_then(|usage| usage.cpu_seconds).map(micros)),
            "peak_memory" => json!(usage.and_then(|usage| usage.peak_memory)),
            "read_bytes" => json!(usage.and_then(|usage| usage.read_bytes)),
            "written_bytes" => json!(usage.and_then(|usage| usage.written_bytes)),
            "run" => json!(self.origin?.run),
            "experiment" => json!(self.origin?.experiment),
            "started" => json!(self.origin?.started),
            "ended" => json!(self.origin?.ended),
            _ => return None,
        })
    }

    /// The row as an object: its facts, and by group its params, metrics (last values), tags and artifacts.
    pub(crate) fn to_json(self) -> Value {
        let result = self.result;
        let facts = facts().filter(|name| self.origin.is_some() || !ORIGIN.contains(name));
        let mut row: Map<_, _> = facts.map(|name| (name.to_owned(), self.fact(name).unwrap_or_default())).collect();
        let metrics = result.metrics.iter().map(|(name, metric)| (name.clone(), json!(metric.last)));
        row.insert("params".to_owned(), Value::Object(result.trial.params.clone()));
        row.insert("metrics".to_owned(), Value::Object(metrics.collect()));
        row.insert("tags".to_owned(), json!(result.tags));
        row.insert("artifacts".to_owned(), json!(result.artifacts));
        Value::Object(row)
    }
}

/// A number of seconds without the noise of its last digits.
fn micros(seconds: f64) -> f64 {
    (seconds * 1e6).round() / 1e6
}

/// The last value of a metric, or of `NAME.min` and its like what was told of it in all steps.
fn metric(result: &TrialResult, name: &str) -> Option<Value> {
    if let Some(metric) = result.metrics.get(name) {
        return Some(json!(metric.last));
    }
    let (name, what) = name.rsplit_once('.')?;
    let metric = result.metrics.get(name)?;
    Some(match what {
        "min" => json!(metric.min),
        "max" => json!(metric.max),
        "count" => json!(metric.count),
        "step" => json!(metric.step),
        _ => return None,
    })
}

/// Rows in the order of one column: numbers before texts, the smallest first, and last those that have nothing there.
pub(crate) fn order(one: &Value, other: &Value, descending: bool) -> Ordering {
    let turned = |order: Ordering| if descending { order.reverse() } else { order };
    match (one, other) {
        (Value::Null, Value::Null) => Ordering::Equal,
        (Value::Null, _) => Ordering::Greater,
        (_, Value::Null) => Ordering::Less,
        (one, other) => match (one.as_f64(), other.as_f64()) {
            (Some(one), Some(other)) => turned(one.total_cmp(&other)),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => turned(plain(one).cmp(&plain(other))),
        },
    }
}

/// The table of results for people: a line for each row, the name elided in its middle, and the columns that say least left
/// out where there is no room. Ends with a newline.
pub(crate) fn results_lines(columns: &[String], cells: &[Vec<String>], style: &Style) -> String {
    let wide = |column: usize| {
        let cells = cells.iter().map(|row| measure_text_width(&row[column]));
        cells.max().unwrap_or_default().max(measure_text_width(&columns[column]))
    };
    let needs = |column: usize| if columns[column] == "name" { wide(column).min(NAME) } else { wide(column) };
    let mut shown: Vec<usize> = (0..columns.len()).collect();
    let mut dropped = Vec::new();
    for least in DISPENSABLE {
        let total: usize = shown.iter().map(|column| needs(*column) + 2).sum();
        if total <= style.width.saturating_add(2) {
            break;
        }
        if let Some(place) = shown.iter().position(|column| columns[*column] == least).filter(|_| shown.len() > 1) {
            dropped.push(columns[shown.remove(place)].as_str());
        }
    }
    let heads: Vec<(&str, Cut)> = shown
        .iter()
        .map(|column| (columns[*column].as_str(), if columns[*column] == "name" { Cut::Middle } else { Cut::End }))
        .collect();
    let rows: Vec<Vec<String>> =
        cells.iter().map(|row| shown.iter().map(|column| row[*column].clone()).collect()).collect();
    let mut text = lines(&heads, &rows, style, |_, _, cell| cell.to_owned());
    if !dropped.is_empty() {
        let and = text.lines().last().filter(|line| line.starts_with(NO_ROOM)).map(str::to_owned);
        match and {
            Some(line) => text = text.replace(&format!("{line}\n"), &format!("{line}, {}\n", dropped.join(", "))),
            None => text.push_str(&format!("{NO_ROOM}{}\n", dropped.join(", "))),
        }
    }
    text
}

/// The cells of a table for people: fractions with the six digits that count.
pub(crate) fn cells(rows: &[Vec<Value>]) -> Vec<Vec<String>> {
    rows.iter().map(|row| row.iter().map(short).collect()).collect()
}

/// Headings and rows as CSV, with every digit.
///
/// # Errors
/// When a row has fewer or more values than there are headings.
pub(crate) fn csv(columns: &[String], rows: &[Vec<Value>]) -> io::Result<String> {
    let mut writer = csv::Writer::from_writer(Vec::new());
    writer.write_record(columns)?;
    for row in rows {
        writer.write_record(row.iter().map(plain))?;
    }
    let bytes = writer.into_inner().map_err(|error| io::Error::other(error.to_string()))?;
    String::from_utf8(bytes).map_err(io::Error::other)
}

/// Texts without quotes, numbers as they are, nothing for null.
pub(super) fn plain(value: &Value) -> String {
    match value {
        Value::Null => String::new(),
        Value::String(text) => text.clone(),
        value => value.to_string(),
    }
}

fn short(value: &Value) -> String {
    value.as_f64().filter(|_| value.is_f64()).map_or_else(|| plain(value), number)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use serde_json::json;

    use super::{cells, csv};
    use crate::report::style::Style;
    use crate::report::table::list;

    #[test]
    fn tables_align_numbers_and_csv_quotes_text() {
        let columns = ["name".to_owned(), "loss".to_owned(), "exit".to_owned()];
        let rows = vec![
            vec![json!("short"), json!(0.1 + 0.2), json!(0)],
            vec![json!("longer, name"), json!(1234567.25), json!(null)],
            vec![json!("tiny"), json!(1.5e-9), json!(137)],
        ];
        assert_snapshot!(list(&columns, &cells(&rows), &Style::PLAIN), @"
        name             loss  exit
        short             0.3     0
        longer, name  1234567
        tiny           1.5e-9   137
        ");
        assert_snapshot!(csv(&columns, &rows).unwrap(), @r#"
        name,loss,exit
        short,0.30000000000000004,0
        "longer, name",1234567.25,
        tiny,1.5e-9,137
        "#);
    }
}
