//! Optuna's distributions: which values a param may have, and the number that stands for one in a journal.

use serde_json::{Value, json};

use crate::space::{Domain, Range};

/// Which values a param may have, as Optuna knows it.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Distribution {
    /// Fractions.
    Float(Range),
    /// Whole numbers.
    Int(Range),
    /// One of these: texts, numbers, truth values or nothing.
    Choice(Vec<Value>),
}

impl Distribution {
    /// That of a space; absent where it has no value at all.
    pub(super) fn of(domain: &Domain) -> Option<Self> {
        match domain {
            Domain::Choice(values) if values.is_empty() => None,
            Domain::Choice(values) => Some(Self::of_choices(values)),
            Domain::Range(range) if range.whole => Some(Self::Int(*range)),
            Domain::Range(range) => Some(Self::Float(*range)),
        }
    }

    /// That in which these values lie: a range of numbers from the smallest to the largest, else a choice.
    pub(super) fn seen(values: &[&Value]) -> Self {
        let numbers: Option<Vec<f64>> = values.iter().map(|value| value.as_f64()).collect();
        let Some(numbers) = numbers else {
            return Self::of_choices(&values.iter().map(|value| (*value).clone()).collect::<Vec<_>>());
        };
        let whole = values.iter().all(|value| value.is_i64() || value.is_u64());
        let from = numbers.iter().copied().fold(f64::INFINITY, f64::min);
        let to = numbers.iter().copied().fold(f64::NEG_INFINITY, f64::max);
        let range = Range { from, to, step: None, log: false, whole };
        if whole { Self::Int(range) } else { Self::Float(range) }
    }

    fn of_choices(values: &[Value]) -> Self {
        let mut choices: Vec<Value> = Vec::new();
        for value in values.iter().map(choice) {
            if !choices.contains(&value) {
                choices.push(value);
            }
        }
        Self::Choice(choices)
    }

    /// The number that stands for a value of it; absent where that is none of its values.
    pub(super) fn number(&self, value: &Value) -> Option<f64> {
        match self {
            Self::Float(range) => value.as_f64().filter(|number| is_within(range, *number)),
            Self::Int(range) => {
                value.as_f64().filter(|number| number.fract() == 0.0).filter(|number| is_within(range, *number))
            }
            Self::Choice(choices) => {
                let value = choice(value);
                choices.iter().position(|choice| *choice == value).map(|place| place as f64)
            }
        }
    }

    /// Its text in a journal.
    pub(super) fn text(&self) -> String {
        let written = match self {
            Self::Choice(choices) => json!({"name": "CategoricalDistribution", "attributes": {"choices": choices}}),
            Self::Float(range) => {
                let (low, high) = (range.from, last(range));
                let attributes = json!({"step": range.step, "low": low, "high": high, "log": range.log});
                json!({"name": "FloatDistribution", "attributes": attributes})
            }
            Self::Int(range) => {
                let (low, high) = (range.from as i64, last(range) as i64);
                let step = range.step.unwrap_or(1.0) as i64;
                let attributes = json!({"log": range.log, "step": step, "low": low, "high": high});
                json!({"name": "IntDistribution", "attributes": attributes})
            }
        };
        written.to_string()
    }
}

/// The largest value of a range: Optuna wants its end to be a whole number of steps away.
fn last(range: &Range) -> f64 {
    match (range.step, range.count()) {
        (Some(step), Some(count)) => range.from + step * count.saturating_sub(1) as f64,
        _ => range.to,
    }
}

fn is_within(range: &Range, number: f64) -> bool {
    let slack = range.step.unwrap_or(0.0) * 1e-6;
    (range.from - slack..=last(range) + slack).contains(&number)
}

/// A value that Optuna takes for a choice: lists and objects are written out.
fn choice(value: &Value) -> Value {
    match value {
        Value::Array(_) | Value::Object(_) => Value::String(value.to_string()),
        value => value.clone(),
    }
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;
    use serde_json::{Value, json};

    use super::Distribution;
    use crate::space::Space;

    #[test]
    fn a_space_is_a_distribution_each_param() {
        let written = json!({
            "depth": {"from": 1, "to": 8, "step": 2}, "lr": {"from": 1e-4, "to": 1.0, "log": true}, "mode": ["a", null, [1, 2]],
            "width": {"from": 1, "to": 9}, "x": {"from": 0.0, "to": 1.0, "step": 0.3},
        });
        let space = Space::read(written.as_object().unwrap()).unwrap();
        let of: Vec<_> =
            space.params().iter().map(|(name, domain)| (name, Distribution::of(domain).unwrap())).collect();
        let lines: Vec<String> = of.iter().map(|(name, of)| format!("{name} {}", of.text())).collect();
        assert_snapshot!(lines.join("\n"), @r#"
        depth {"name":"IntDistribution","attributes":{"log":false,"step":2,"low":1,"high":7}}
        lr {"name":"FloatDistribution","attributes":{"step":null,"low":0.0001,"high":1.0,"log":true}}
        mode {"name":"CategoricalDistribution","attributes":{"choices":["a",null,"[1,2]"]}}
        width {"name":"IntDistribution","attributes":{"log":false,"step":1,"low":1,"high":9}}
        x {"name":"FloatDistribution","attributes":{"step":0.3,"low":0.0,"high":0.8999999999999999,"log":false}}
        "#);
        let numbers = [
            (0, json!(3), Some(3.0)),
            (0, json!(9), None),
            (1, json!(0.01), Some(0.01)),
            (2, json!(null), Some(1.0)),
            (2, json!([1, 2]), Some(2.0)),
            (2, json!("b"), None),
            (4, json!(0.9), Some(0.9)),
        ];
        for (place, value, number) in numbers {
            assert_eq!(of[place].1.number(&value), number, "{value}");
        }
    }

    #[test]
    fn what_was_seen_is_a_range_or_a_choice() {
        let seen = |values: &[Value]| Distribution::seen(&values.iter().collect::<Vec<_>>()).text();
        let all = [
            seen(&[json!(3), json!(1)]),
            seen(&[json!(3), json!(1.5)]),
            seen(&[json!("a"), json!(1), json!("a"), json!({"b": 1})]),
        ];
        assert_snapshot!(all.join("\n"), @r#"
        {"name":"IntDistribution","attributes":{"log":false,"step":1,"low":1,"high":3}}
        {"name":"FloatDistribution","attributes":{"step":null,"low":1.5,"high":3.0,"log":false}}
        {"name":"CategoricalDistribution","attributes":{"choices":["a",1,"{\"b\":1}"]}}
        "#);
    }
}
