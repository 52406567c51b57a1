//! Names of trials that say their point: short, distinct, and what Docker takes.

use std::collections::HashMap;

use serde_json::Value;
use sha2::{Digest, Sha256};

use crate::space::domain::Point;

/// Most letters: what is left of the 63 of a host name has room for a prefix.
const LONGEST: usize = 60;

/// Letters of a hash that keep names apart.
const HASH: usize = 6;

/// Most digits of a fraction that stands in a name.
const DIGITS: usize = 6;

/// The name of one point: the prefix and all values in the order of their keys.
pub fn name(prefix: &str, point: &Point) -> String {
    let (made, changed) = joined(prefix, &sorted(point).map(|(_, value)| value).collect::<Vec<_>>());
    if changed { hashed(&made, point) } else { made }
}

/// Names of points: the prefix and the values that vary, in the order of their keys; of values that make no short name, as a
/// sample has them, the prefix and a number. Names that would be alike end in six letters of a hash.
pub fn names(prefix: &str, points: &[Point]) -> Vec<String> {
    let varying = varying(points);
    let values = |point: &Point| -> Vec<Value> {
        varying.iter().map(|key| point.get(*key).cloned().unwrap_or(Value::Null)).collect()
    };
    if points.iter().any(|point| values(point).iter().any(is_long)) {
        return (0..points.len()).map(|place| numbered(prefix, place)).collect();
    }
    let made: Vec<String> =
        points.iter().map(|point| joined(prefix, &values(point).iter().collect::<Vec<_>>()).0).collect();
    let mut times: HashMap<&str, usize> = HashMap::new();
    for name in &made {
        *times.entry(name).or_default() += 1;
    }
    let alone = |name: &str| times.get(name) == Some(&1);
    made.iter().zip(points).map(|(name, point)| if alone(name) { name.clone() } else { hashed(name, point) }).collect()
}

/// The name of one of a series.
pub fn numbered(prefix: &str, number: usize) -> String {
    joined(&format!("{prefix}-{number:03}"), &[]).0
}

fn sorted(point: &Point) -> impl Iterator<Item = (&String, &Value)> {
    let mut pairs: Vec<_> = point.iter().collect();
    pairs.sort_by_key(|(key, _)| *key);
    pairs.into_iter()
}

/// The keys whose values are not the same in all points, in alphabetical order; of one point, all.
fn varying(points: &[Point]) -> Vec<&str> {
    let Some(first) = points.first() else { return Vec::new() };
    let mut keys: Vec<&str> = points.iter().flat_map(Point::keys).map(String::as_str).collect();
    keys.sort_unstable();
    keys.dedup();
    keys.retain(|key| points.len() == 1 || points.iter().any(|point| point.get(*key) != first.get(*key)));
    keys
}

/// Whether a value has no short form: a fraction of many digits.
fn is_long(value: &Value) -> bool {
    value.is_f64() && text(value).chars().filter(char::is_ascii_digit).count() > DIGITS + 1
}

/// The prefix and the values, in letters that Docker takes, and whether anything was changed for that.
fn joined(prefix: &str, values: &[&Value]) -> (String, bool) {
    let mut changed = false;
    let mut made = String::new();
    for part in std::iter::once(prefix.to_owned()).chain(values.iter().map(|value| text(value))) {
        let (clean, is_alike) = cleaned(&part);
        changed |= is_alike;
        if !made.is_empty() {
            made.push('-');
        }
        made.push_str(&clean);
    }
    let begun = made.trim_start_matches(['_', '.', '-']);
    changed |= begun.len() != made.len() || begun.len() > LONGEST;
    (begun.to_owned(), changed)
}

/// A name that cannot be another point's.
fn hashed(name: &str, point: &Point) -> String {
    let pairs = Point::from_iter(sorted(point).map(|(key, value)| (key.clone(), value.clone())));
    let kept: String = name.chars().take(LONGEST - HASH - 1).collect();
    format!("{kept}-{}", hash(&Value::Object(pairs).to_string()))
}

fn hash(text: &str) -> String {
    let digits = Sha256::digest(text.as_bytes());
    digits.iter().take(HASH / 2).map(|byte| format!("{byte:02x}")).collect()
}

/// A value as it stands in a name: in letters that Docker takes.
pub fn legal(value: &Value) -> String {
    cleaned(&text(value)).0
}

/// A part of a name in letters that Docker takes, and whether another one may look like it.
fn cleaned(part: &str) -> (String, bool) {
    let clean: String =
        part.chars().map(|c| if c.is_ascii_alphanumeric() || "_.-".contains(c) { c } else { '_' }).collect();
    // Of a text in other letters nothing is left: it is told by its hash.
    let is_empty = !clean.chars().any(|c| c.is_ascii_alphanumeric());
    let is_alike = !is_empty && clean != part;
    (if is_empty { hash(part) } else { clean }, is_alike)
}

/// A value in a name: lists and objects by their values.
fn text(value: &Value) -> String {
    match value {
        Value::Null => "none".to_owned(),
        Value::String(text) => text.clone(),
        Value::Number(number) => match number.as_f64() {
            Some(float) if number.is_f64() => format!("{float:?}").trim_end_matches(".0").to_owned(),
            _ => number.to_string(),
        },
        Value::Bool(truth) => truth.to_string(),
        Value::Array(values) => values.iter().map(text).collect::<Vec<_>>().join("-"),
        Value::Object(fields) => fields.values().map(text).collect::<Vec<_>>().join("-"),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{name, names};
    use crate::model::name::Name;
    use crate::space::domain::Point;

    fn points(list: Value) -> Vec<Point> {
        list.as_array().unwrap().iter().map(|point| point.as_object().unwrap().clone()).collect()
    }

    fn named(list: Value) -> Vec<String> {
        let names = names("train", &points(list));
        for name in &names {
            assert!(Name::parse(name).is_ok(), "{name}");
            assert_eq!(names.iter().filter(|other| *other == name).count(), 1, "{name}");
        }
        names
    }

    #[test]
    fn a_name_has_the_values_that_vary() {
        assert_eq!(
            named(json!([{"lr": 0.1, "wd": 0, "k": 1}, {"lr": 1e-5, "wd": 0, "k": 2}])),
            ["train-1-0.1", "train-2-1e-5"]
        );
        assert_eq!(named(json!([{"lr": 0.5, "mode": "a"}])), ["train-0.5-a"]);
        assert_eq!(named(json!([{"a": [64, 64]}, {"a": {"x": true}}])), ["train-64-64", "train-true"]);
        assert_eq!(named(json!([{"a": 1}, {}])), ["train-1", "train-none"]);
        assert_eq!(named(json!([{}])), ["train"]);
        assert_eq!(named(json!([])), Vec::<String>::new());
    }

    #[test]
    fn names_that_would_be_alike_are_not() {
        let made = named(json!([{"m": "a b"}, {"m": "a_b"}, {"m": "c"}]));
        assert!(
            made[0].starts_with("train-a_b-") && made[1].starts_with("train-a_b-") && made[2] == "train-c",
            "{made:?}"
        );
        let made = named(json!([{"text": "日本"}, {"text": "迷路"}, {"text": ""}]));
        assert!(made.iter().all(|name| name.len() == "train-123456".len()), "{made:?}");
        named(json!([{"t": "x".repeat(200)}, {"t": "x".repeat(201)}, {"t": "-"}]));
    }

    #[test]
    fn points_of_a_sample_are_numbered() {
        assert_eq!(named(json!([{"lr": 0.016328645090501016}, {"lr": 0.1}])), ["train-000", "train-001"]);
    }

    #[test]
    fn one_point_has_a_name_of_its_own() {
        let of = |point: Value| name("solver", point.as_object().unwrap());
        assert_eq!(of(json!({"seed": 1, "mode": "a"})), "solver-a-1");
        assert_ne!(of(json!({"m": "a b"})), of(json!({"m": "a_b"})));
        assert!(of(json!({"m": "x".repeat(100)})).len() <= 60);
        assert!(of(json!({"lr": 0.016328645090501016})).starts_with("solver-0.0163"));
    }
}
