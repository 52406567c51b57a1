//! Spaces: which values each param may have.

use serde_json::{Map, Value};

use crate::model::suggest::did_you_mean;
use crate::space::error::{BadSpace, MOST};
use crate::space::spaced::{fraction, steps, tidy};

/// A point of a space: a value for each param.
pub type Point = Map<String, Value>;

/// What the ends of a range are called, its distance, and its scale.
const KEYS: [&str; 5] = ["from", "to", "step", "log", "whole"];

/// Largest whole number of a range: up to here a fraction tells each from the next.
const EXACT: f64 = 999_999_999_999_999.0;

/// A space of params, in alphabetical order of their names.
#[derive(Debug, Clone, PartialEq)]
pub struct Space(Vec<(String, Domain)>);

/// The values that a param may have.
#[derive(Debug, Clone, PartialEq)]
pub enum Domain {
    /// One of these.
    Choice(Vec<Value>),
    /// A number between two ends, both included.
    Range(Range),
}

/// A range of numbers: finite ends of which `to` is not below `from`, with `log` both above 0.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Range {
    /// The lower end.
    pub from: f64,
    /// The upper end.
    pub to: f64,
    /// The distance between two values, above 0; absent: all numbers, or all whole ones.
    pub step: Option<f64>,
    /// Whether equal ratios are equally likely, not equal distances.
    pub log: bool,
    /// Whether the values are whole numbers.
    pub whole: bool,
}

impl Space {
    /// A space from its written form: for each param a list of values, a range, or one value.
    ///
    /// # Errors
    /// When a range has a mistyped key, lacks an end, or holds no number.
    pub fn read(written: &Map<String, Value>) -> Result<Self, BadSpace> {
        let mut params = written
            .iter()
            .map(|(name, value)| Ok((name.clone(), Domain::read(name, value)?)))
            .collect::<Result<Vec<_>, BadSpace>>()?;
        params.sort_by(|one, other| one.0.cmp(&other.0));
        Ok(Self(params))
    }

    /// The params with their values, in alphabetical order.
    pub fn params(&self) -> &[(String, Domain)] {
        &self.0
    }

    /// Every combination of the values; the first param changes slowest.
    ///
    /// # Errors
    /// When a range has no separate values, or there would be more than a million points.
    pub fn grid(&self) -> Result<Vec<Point>, BadSpace> {
        let mut points = vec![Point::new()];
        for (name, domain) in &self.0 {
            let values = domain.values(name)?;
            if points.len().saturating_mul(values.len()) > MOST {
                return Err(BadSpace::only(format!("a grid of more than {MOST} points is not made")));
            }
            let with = |point: &Point, value: &Value| {
                let mut point = point.clone();
                point.insert(name.clone(), value.clone());
                point
            };
            points = points.iter().flat_map(|point| values.iter().map(move |value| with(point, value))).collect();
        }
        Ok(points)
    }

    /// The first value of each param together, then the second; a single value stands beside each.
    ///
    /// # Errors
    /// When the params differ in their number of values, or a range has no separate ones.
    pub fn zip(&self) -> Result<Vec<Point>, BadSpace> {
        let lists = self
            .0
            .iter()
            .map(|(name, domain)| Ok((name, domain.values(name)?)))
            .collect::<Result<Vec<_>, BadSpace>>()?;
        let Some(longest) = lists.iter().map(|(_, values)| values.len()).max() else { return Ok(Vec::new()) };
        if lists.iter().any(|(_, values)| values.len() != longest && values.len() != 1) {
            let lengths: Vec<_> = lists.iter().map(|(name, values)| format!("{name} has {}", values.len())).collect();
            return Err(BadSpace::only(format!("the lists differ in length: {}", lengths.join(", "))));
        }
        let point = |place: usize| {
            let value = |values: &[Value]| values.get(place).or(values.first()).cloned().unwrap_or_default();
            lists.iter().map(|(name, values)| ((*name).clone(), value(values))).collect()
        };
        Ok((0..longest).map(point).collect())
    }
}

impl Domain {
    fn read(name: &str, value: &Value) -> Result<Self, BadSpace> {
        match value {
            Value::Array(values) => Ok(Self::Choice(values.clone())),
            // An object without an end is a value like others: the settings of an optimiser.
            Value::Object(keys) if keys.contains_key("from") || keys.contains_key("to") => {
                Range::read(name, keys).map(Self::Range)
            }
            value => Ok(Self::Choice(vec![value.clone()])),
        }
    }

    /// All values, where they can be counted.
    fn values(&self, name: &str) -> Result<Vec<Value>, BadSpace> {
        match self {
            Self::Choice(values) => Ok(values.clone()),
            Self::Range(range) => {
                let Some(count) = range.count() else {
                    let hint = format!(
                        "list them, `{name}: linspace({}, {}, 5)`, give a step, or take points with `sample`",
                        range.from, range.to
                    );
                    return Err(BadSpace::new(format!("`{name}` is a range, which has no separate values"), hint));
                };
                if count > MOST {
                    return Err(BadSpace::only(format!("`{name}` has more than {MOST} values")));
                }
                Ok((0..count).map(|place| range.number(range.nth(place))).collect())
            }
        }
    }

    /// The value that lies at a share of the way, 0 to 1 (1 apart), through the domain; absent where it has none.
    pub fn at(&self, share: f64) -> Option<Value> {
        match self {
            Self::Choice(values) => {
                let place = (share * values.len() as f64) as usize;
                values.get(place.min(values.len().saturating_sub(1))).cloned()
            }
            Self::Range(range) => Some(range.number(range.at(share))),
        }
    }
}

impl Range {
    fn read(name: &str, keys: &Map<String, Value>) -> Result<Self, BadSpace> {
        if let Some(unknown) = keys.keys().find(|key| !KEYS.contains(&key.as_str())) {
            let hint = did_you_mean(unknown, KEYS).unwrap_or_else(|| format!("there are {}", KEYS.join(", ")));
            return Err(BadSpace::new(format!("the range of `{name}` has an unknown key `{unknown}`"), hint));
        }
        let number = |key: &str| match keys.get(key) {
            None => Ok(None),
            Some(value) => match value.as_f64().filter(|number| number.is_finite()) {
                Some(number) => Ok(Some(number)),
                None => Err(BadSpace::only(format!("`{key}` of the range of `{name}` is a number, not {value}"))),
            },
        };
        let truth = |key: &str| match keys.get(key) {
            None => Ok(None),
            Some(Value::Bool(truth)) => Ok(Some(*truth)),
            Some(value) => {
                Err(BadSpace::only(format!("`{key}` of the range of `{name}` is true or false, not {value}")))
            }
        };
        let end = |key: &str| {
            number(key)?.ok_or_else(|| {
                BadSpace::new(format!("the range of `{name}` has no `{key}`"), "a range has both ends: `from` and `to`")
            })
        };
        let (from, to, step, log) = (end("from")?, end("to")?, number("step")?, truth("log")?.unwrap_or(false));
        let is_whole = |key: &str| keys.get(key).is_none_or(|value| value.is_i64() || value.is_u64());
        let whole = truth("whole")?.unwrap_or_else(|| ["from", "to", "step"].into_iter().all(is_whole));
        let range = Self { from, to, step, log, whole };
        range.check(name).map(|()| range)
    }

    fn check(&self, name: &str) -> Result<(), BadSpace> {
        let Self { from, to, step, log, whole } = *self;
        if from > to {
            return Err(BadSpace::new(
                format!("the range of `{name}` ends below its beginning: from {from} to {to}"),
                "write the smaller number first",
            ));
        }
        if log && from <= 0.0 {
            return Err(BadSpace::new(
                format!("the range of `{name}` is on a scale of powers, which has no {from}"),
                "begin above 0: `1e-6`",
            ));
        }
        if log && step.is_some() {
            return Err(BadSpace::only(format!("the range of `{name}` has a step or a scale of powers, not both")));
        }
        if step.is_some_and(|step| step <= 0.0) {
            return Err(BadSpace::only(format!("the step of `{name}` is above 0")));
        }
        if whole && [Some(from), Some(to), step].into_iter().flatten().any(|number| number.fract() != 0.0) {
            return Err(BadSpace::only(format!("the range of `{name}` has whole numbers, so its ends are whole")));
        }
        if whole && from.abs().max(to.abs()) > EXACT {
            return Err(BadSpace::only(format!("the whole numbers of `{name}` have at most 15 digits")));
        }
        Ok(())
    }

    /// Its distance, where its values can be counted.
    pub fn distance(&self) -> Option<f64> {
        self.step.or(self.whole.then_some(1.0))
    }

    /// The number of its values, where they can be counted.
    pub fn count(&self) -> Option<usize> {
        self.distance().map(|distance| (steps(self.from, self.to, distance) as usize).saturating_add(1))
    }

    /// The value at a place among those that can be counted.
    fn nth(&self, place: usize) -> f64 {
        tidy(self.from + place as f64 * self.distance().unwrap_or(0.0), 14)
    }

    fn at(&self, share: f64) -> f64 {
        if self.log {
            // Of whole numbers each has its share, also the first and the last.
            let (from, to) = if self.whole { (self.from - 0.5, self.to + 0.5) } else { (self.from, self.to) };
            let value = (from.ln() + (to.ln() - from.ln()) * share).exp();
            return if self.whole { value.round() } else { value }.clamp(self.from, self.to);
        }
        match self.count() {
            Some(count) => self.nth(((share * count as f64) as usize).min(count - 1)),
            None => (self.from + (self.to - self.from) * share).clamp(self.from, self.to),
        }
    }

    /// Where a number lies on the way through the range, as two shares from 0 to 1: the same for all numbers of a range without
    /// gaps, else the part that belongs to it. Absent outside of the range.
    pub fn share(&self, number: f64) -> Option<(f64, f64)> {
        if !(self.from..=self.to).contains(&number) {
            return None;
        }
        let way = |number: f64, from: f64, to: f64| match self.log {
            true => (number.ln() - from.ln()) / (to.ln() - from.ln()),
            false => (number - from) / (to - from),
        };
        let Some(distance) = self.distance() else {
            let share = if self.from < self.to { way(number, self.from, self.to) } else { 0.5 };
            return Some((share, share));
        };
        let half = distance / 2.0;
        let last = self.from + self.count().unwrap_or(1).saturating_sub(1) as f64 * distance;
        let (from, to) = (self.from - half, last + half);
        Some((way(number - half, from, to).clamp(0.0, 1.0), way(number + half, from, to).clamp(0.0, 1.0)))
    }

    /// A number of this range as a value.
    fn number(&self, number: f64) -> Value {
        if self.whole { Value::from(number as i64) } else { fraction(number) }
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{BadSpace, Domain, Point, Space};

    fn space(written: &Value) -> Result<Space, BadSpace> {
        Space::read(written.as_object().unwrap())
    }

    fn text(points: Vec<Point>) -> String {
        Value::from_iter(points).to_string()
    }

    #[test]
    fn a_grid_has_every_combination_and_the_first_param_changes_slowest() {
        let made = space(&json!({"b": [true, null], "a": {"from": 1, "to": 3}, "c": "one", "d": {"name": "adam"}}));
        let points = made.unwrap().grid().unwrap();
        assert_eq!(points.len(), 6);
        assert_eq!(points[1], *json!({"a": 1, "b": null, "c": "one", "d": {"name": "adam"}}).as_object().unwrap());
        assert_eq!(points[5]["a"], json!(3));
        let steps = space(&json!({"x": {"from": 0, "to": 1, "step": 0.1}})).unwrap().grid().unwrap();
        assert_eq!((steps.len(), &steps[3]["x"], &steps[10]["x"]), (11, &json!(0.3), &json!(1.0)));
        assert_eq!(text(space(&json!({})).unwrap().grid().unwrap()), "[{}]");
        assert_eq!(text(space(&json!({"a": [], "b": [1]})).unwrap().grid().unwrap()), "[]");
    }

    #[test]
    fn a_number_has_its_share_of_a_range() {
        for written in [
            json!({"from": 0.5, "to": 2.0}),
            json!({"from": 1e-4, "to": 1.0, "log": true}),
            json!({"from": 1, "to": 8}),
            json!({"from": 1, "to": 1000, "log": true}),
            json!({"from": 0, "to": 1, "step": 0.25}),
        ] {
            let space = space(&json!({"x": written})).unwrap();
            let Domain::Range(range) = &space.params()[0].1 else { panic!("a range") };
            for share in [0.0, 0.1, 0.37, 0.5, 0.99] {
                let value = range.at(share);
                let (from, to) = range.share(value).unwrap();
                assert!(from - 1e-9 <= share && share <= to + 1e-9, "{written} {share}: {value} {from} {to}");
            }
            assert_eq!(range.share(range.to + 1.0), None);
        }
    }

    #[test]
    fn a_zip_takes_the_values_side_by_side() {
        let zipped = |written| space(&written).unwrap().zip();
        assert_eq!(text(zipped(json!({"a": [1, 2], "b": "x"})).unwrap()), r#"[{"a":1,"b":"x"},{"a":2,"b":"x"}]"#);
        assert_eq!(text(zipped(json!({})).unwrap()), "[]");
        let error = zipped(json!({"a": [1, 2], "b": [1, 2, 3]})).unwrap_err();
        assert_eq!(error.to_string(), "the lists differ in length: a has 2, b has 3");
    }

    #[test]
    fn what_is_no_space_is_told() {
        for (written, message) in [
            (json!({"a": {"from": 1, "to": 2, "lgo": true}}), "unknown key `lgo`; did you mean `log`?"),
            (json!({"a": {"form": 1, "to": 2}}), "unknown key `form`; did you mean `from`?"),
            (json!({"a": {"from": 1}}), "has no `to`"),
            (json!({"a": {"from": 2, "to": 1}}), "ends below its beginning"),
            (json!({"a": {"from": 0, "to": 1, "log": true}}), "which has no 0"),
            (json!({"a": {"from": 1, "to": 2, "log": 1}}), "true or false, not 1"),
            (json!({"a": {"from": "x", "to": 2}}), "is a number, not \"x\""),
            (json!({"a": {"from": 0, "to": 2, "step": 0}}), "above 0"),
            (json!({"a": {"from": 1, "to": 2, "step": 1, "log": true}}), "not both"),
            (json!({"a": {"from": 1.5, "to": 2, "whole": true}}), "whole"),
            (json!({"a": {"from": 0, "to": 9007199254740993_i64}}), "at most 15 digits"),
            (json!({"a": {"from": 1e300, "to": 1e301, "whole": true}}), "at most 15 digits"),
        ] {
            let error = space(&written).unwrap_err().to_string();
            assert!(error.contains(message), "{written}: {error}");
        }
        for written in [json!({"lr": {"from": 0.5, "to": 1}}), json!({"lr": {"from": 0, "to": 1, "whole": false}})] {
            let error = space(&written).unwrap().grid().unwrap_err().to_string();
            assert!(error.starts_with("`lr` is a range, which has no separate values; list them"), "{error}");
        }
        for (from, to, step) in [
            (json!(1), json!(1e9), json!(1)),
            (json!(i64::MIN), json!(i64::MAX), json!(1)),
            (json!(0), json!(1e300), json!(1e-300)),
        ] {
            let written = json!({"a": {"from": from, "to": to, "step": step}, "b": [1, 2]});
            assert!(space(&written).and_then(|space| space.grid()).is_err());
        }
    }
}
