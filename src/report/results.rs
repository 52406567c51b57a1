//! Results of trials as rows: the value in each column, and tables, CSV and JSON of them. For `combu results` and scripts.

use std::io;

use serde_json::{Map, Value, json};

use crate::model::outcome::Outcome;
use crate::model::summary::TrialResult;
use crate::report::style::number;

/// Columns of every trial: first, after its params, of what it used, and those that are shown when they are asked for.
pub(crate) const FIRST: [&str; 1] = ["name"];
pub(crate) const LAST: [&str; 4] = ["status", "exit", "attempts", "elapsed"];
pub(crate) const USAGE: [&str; 2] = ["peak_memory", "cpu_seconds"];
const MORE: [&str; 5] = ["message", "flaky", "ok", "read_bytes", "written_bytes"];

/// The columns that every trial has.
pub(crate) fn facts() -> impl Iterator<Item = &'static str> {
    FIRST.into_iter().chain(LAST).chain(USAGE).chain(MORE)
}

/// A trial's result as a row.
#[derive(Debug, Clone, Copy)]
pub(crate) struct ResultRow<'a> {
    pub(crate) result: &'a TrialResult,
    /// The word for what it is doing, or how it ended; it depends on whether its run goes on.
    pub(crate) status: &'static str,
}

impl ResultRow<'_> {
    /// The value in a column: a fact of every trial, a param, a metric's last value, a tag, or a field of the trial. `None`
    /// where the trial has nothing of that name. `params.NAME`, `metrics.NAME` and `tags.NAME` name one of several.
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
        let metric = || result.metrics.get(name).filter(|_| is("metrics")).map(|metric| json!(metric.last));
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
            "elapsed" => json!(result.outcome().filter(|_| result.attempts > 0).map(|_| result.elapsed.as_secs_f64())),
            "message" => json!(result.outcome().map(ToString::to_string)),
            "flaky" => json!(result.flaky),
            "cpu_seconds" => json!(usage.and_then(|usage| usage.cpu_seconds)),
            "peak_memory" => json!(usage.and_then(|usage| usage.peak_memory)),
            "read_bytes" => json!(usage.and_then(|usage| usage.read_bytes)),
            "written_bytes" => json!(usage.and_then(|usage| usage.written_bytes)),
            _ => return None,
        })
    }

    /// The row as an object: its facts, and by group its params, metrics (last values), tags and artifacts.
    pub(crate) fn to_json(self) -> Value {
        let result = self.result;
        let mut row: Map<_, _> = facts().map(|name| (name.to_owned(), self.fact(name).unwrap_or_default())).collect();
        let metrics = result.metrics.iter().map(|(name, metric)| (name.clone(), json!(metric.last)));
        row.insert("params".to_owned(), Value::Object(result.trial.params.clone()));
        row.insert("metrics".to_owned(), Value::Object(metrics.collect()));
        row.insert("tags".to_owned(), json!(result.tags));
        row.insert("artifacts".to_owned(), json!(result.artifacts));
        Value::Object(row)
    }
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
fn plain(value: &Value) -> String {
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
