//! Parsing of one line into records. Pure.

use serde_json::{Map, Value};

use crate::model::event::Record;

/// Beginning of the lines of a standard output that are for combu.
pub(super) const MARK: &[u8] = b"::combu ";

/// Longest name, in bytes: a name is a column of a table.
const LONGEST_NAME: usize = 256;

/// A line of the standard output, from behind its mark: `metric loss=0.31 step=4`, `tag phase=warmup`,
/// `artifact /out/model.pt`.
///
/// # Errors
/// A clause about what is wrong with the line.
pub(super) fn marked(line: &[u8]) -> Result<Vec<Record>, String> {
    let line = std::str::from_utf8(line).map_err(|_| format!("`{}` is not UTF-8", shown(line)))?.trim();
    let (verb, rest) = line.split_once(char::is_whitespace).unwrap_or((line, ""));
    match verb {
        "metric" => metric(rest),
        "tag" => tag(rest),
        "artifact" if rest.trim().is_empty() => Err("an artifact is a path".to_owned()),
        "artifact" => Ok(vec![Record::Artifact { path: rest.trim().to_owned() }]),
        _ => Err(format!("`{verb}` is none of `metric`, `tag` and `artifact`")),
    }
}

fn metric(text: &str) -> Result<Vec<Record>, String> {
    let mut values = Vec::new();
    let mut at = None;
    for pair in text.split_ascii_whitespace() {
        let (name, value) = split(pair)?;
        let value = number(value).ok_or_else(|| format!("`{pair}`: a metric is a finite number"))?;
        match name {
            "step" => at = Some(count(value).ok_or_else(|| format!("`{pair}`: a step is a whole number"))?),
            _ => values.push((name.to_owned(), value)),
        }
    }
    if values.is_empty() {
        return Err("a metric is `name=value`".to_owned());
    }
    Ok(metrics(values, at))
}

fn tag(text: &str) -> Result<Vec<Record>, String> {
    let words = shlex::split(text).ok_or_else(|| format!("`{text}`: a quote is open"))?;
    if words.is_empty() {
        return Err("a tag is `name=value`".to_owned());
    }
    let tag = |word: &String| {
        let (name, value) = split(word)?;
        let value = match value {
            "true" => Value::Bool(true),
            "false" => Value::Bool(false),
            // Only what reads back as it was written: a version `1.10` and an id `007` are texts.
            text => serde_json::from_str::<Value>(text)
                .ok()
                .filter(|value| {
                    let again = value.to_string();
                    value.is_number() && again == text
                })
                .unwrap_or_else(|| Value::String(text.to_owned())),
        };
        Ok(Record::Tag { name: name.to_owned(), value })
    };
    words.iter().map(tag).collect()
}

/// A line of the file: an object whose numbers are metrics, all of the same `step` if it has one, and whose texts and
/// truth values are tags.
///
/// # Errors
/// A clause about what is wrong with the line.
pub(super) fn json(line: &[u8]) -> Result<Vec<Record>, String> {
    let object: Map<String, Value> =
        serde_json::from_slice(line).map_err(|error| format!("`{}` is no JSON object: {error}", shown(line)))?;
    let (mut values, mut tags, mut at) = (Vec::new(), Vec::new(), None);
    for (name, value) in object {
        check(&name)?;
        match (name.as_str(), value.as_f64()) {
            ("step", _) => {
                let step = value.as_u64().or_else(|| value.as_f64().and_then(count));
                at = Some(step.ok_or_else(|| format!("`step` {value}: a step is a whole number"))?);
            }
            (_, Some(number)) => values.push((name, number)),
            (_, None) if value.is_string() || value.is_boolean() => tags.push(Record::Tag { name, value }),
            (_, None) => return Err(format!("`{name}` is neither a number, a text nor a truth value")),
        }
    }
    if values.is_empty() && tags.is_empty() {
        return Err(format!("`{}` names no metric", shown(line)));
    }
    tags.extend(metrics(values, at));
    Ok(tags)
}

/// A finite number.
pub(super) fn number(text: &str) -> Option<f64> {
    text.parse().ok().filter(|number: &f64| number.is_finite())
}

fn metrics(values: Vec<(String, f64)>, step: Option<u64>) -> Vec<Record> {
    values.into_iter().map(|(name, value)| Record::Metric { name, value, step }).collect()
}

/// A number that counts something, also as `1e3`.
fn count(number: f64) -> Option<u64> {
    (number.fract() == 0.0 && (0.0..1e18).contains(&number)).then_some(number as u64)
}

fn split(pair: &str) -> Result<(&str, &str), String> {
    let (name, value) =
        pair.split_once('=').ok_or_else(|| format!("`{}` is not `name=value`", shown(pair.as_bytes())))?;
    check(name)?;
    Ok((name, value))
}

fn check(name: &str) -> Result<(), String> {
    match name.len() {
        0 => Err("a name is not empty".to_owned()),
        1..=LONGEST_NAME => Ok(()),
        length => Err(format!("a name of {length} bytes is too long")),
    }
}

/// The beginning of a line as people are shown it.
fn shown(line: &[u8]) -> String {
    let text = String::from_utf8_lossy(&line[..line.len().min(240)]);
    let mut short: String = text.chars().take(60).collect();
    if short.len() < line.len() {
        short.push('…');
    }
    short
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::{json, marked};
    use crate::engine::records::recorder::tests::lines;
    use crate::model::event::Record;

    fn all(lines_in: &[&str], read: impl Fn(&[u8]) -> Result<Vec<Record>, String>) -> String {
        let one = |line: &&str| match read(line.as_bytes()) {
            Ok(records) => lines(&records),
            Err(because) => format!("! {because}"),
        };
        lines_in.iter().map(one).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn marked_lines_are_read() {
        let long = format!("metric {}=1", "x".repeat(257));
        let read = all(
            &[
                "metric loss=0.31 acc=9e-1 step=4",
                "metric 損失=-1",
                "tag phase=warmup ok=true version=1.10 layers=3 note=\"two words\"",
                "artifact /out/the model.pt ",
                "metric loss=inf",
                "metric loss=1 acc=x",
                "metric step=4",
                "metric loss=1 step=-1",
                "metric loss",
                "metric =1",
                &long,
                "tag a='b",
                "tag",
                "artifact",
                "metrics loss=1",
                "",
            ],
            marked,
        );
        assert_snapshot!(read, @r#"
        loss=0.31 at 4
        acc=0.9 at 4
        損失=-1
        tag phase="warmup"
        tag ok=true
        tag version="1.10"
        tag layers=3
        tag note="two words"
        artifact /out/the model.pt
        ! `loss=inf`: a metric is a finite number
        ! `acc=x`: a metric is a finite number
        ! a metric is `name=value`
        ! `step=-1`: a step is a whole number
        ! `loss` is not `name=value`
        ! a name is not empty
        ! a name of 257 bytes is too long
        ! `a='b`: a quote is open
        ! a tag is `name=value`
        ! an artifact is a path
        ! `metrics` is none of `metric`, `tag` and `artifact`
        ! `` is none of `metric`, `tag` and `artifact`
        "#);
        assert!(marked(b"tag a=\xff").unwrap_err().contains("is not UTF-8"));
    }

    #[test]
    fn lines_of_the_file_are_read() {
        let read = all(
            &[
                r#"{"loss": 0.31, "step": 4, "phase": "train", "best": true}"#,
                r#"{"n": 12345678901234567890, "step": 1e3}"#,
                r#"{"loss": NaN}"#,
                r#"{"loss": null}"#,
                r#"{"loss": 1e999}"#,
                r#"{"loss": [1]}"#,
                r#"{"loss": 1, "step": 1.5}"#,
                r#"{"step": 1}"#,
                r#"{"": 1}"#,
                "[1]",
                r#"{"loss": 0.3"#,
            ],
            json,
        );
        assert_snapshot!(read, @r#"
        tag phase="train"
        tag best=true
        loss=0.31 at 4
        n=12345678901234567000 at 1000
        ! `{"loss": NaN}` is no JSON object: expected value at line 1 column 10
        ! `loss` is neither a number, a text nor a truth value
        ! `{"loss": 1e999}` is no JSON object: number out of range at line 1 column 14
        ! `loss` is neither a number, a text nor a truth value
        ! `step` 1.5: a step is a whole number
        ! `{"step": 1}` names no metric
        ! a name is not empty
        ! `[1]` is no JSON object: invalid type: sequence, expected a map at line 1 column 0
        ! `{"loss": 0.3` is no JSON object: EOF while parsing an object at line 1 column 12
        "#);
    }
}
