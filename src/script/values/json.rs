//! Values of Rhai as JSON, also trials, params and results.

use std::fmt;
use std::sync::Arc;

use rhai::{Array, Dynamic, FnPtr, Map};
use serde_json::{Number, Value};

use crate::model::nesting::DEEPEST;
use crate::model::trial::Trial;
use crate::script::fault::{Answer, bounded, fault};
use crate::script::values::params::Params;
use crate::script::values::result::{RunResult, TrialView};
use crate::script::values::series::{kind, plain};

/// A script's value as JSON; NaN and the infinities become null, which is all JSON has for them.
///
/// # Errors
/// When it holds something without a JSON form; the message says where.
pub(crate) fn to_json(value: &Dynamic) -> Answer<Value> {
    json_at(value, &ValuePath::Root)
}

/// A script's map as a JSON object.
///
/// # Errors
/// As for [`to_json`].
pub(crate) fn to_object(map: &Map) -> Answer<serde_json::Map<String, Value>> {
    object_at(map, &ValuePath::Root)
}

/// The path to a value, from the leaf to the root; written out only when the value has no JSON form.
enum ValuePath<'a> {
    Root,
    Key(&'a Self, &'a str),
    Index(&'a Self, usize),
}

impl ValuePath<'_> {
    /// How many lists and maps are around it.
    fn depth(&self) -> usize {
        match self {
            Self::Root => 0,
            Self::Key(up, _) | Self::Index(up, _) => 1 + up.depth(),
        }
    }
}

impl fmt::Display for ValuePath<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let dot = |up: &Self| if matches!(up, Self::Root) { "" } else { "." };
        match self {
            Self::Root => Ok(()),
            Self::Key(up, key) => write!(f, "{up}{}{key}", dot(up)),
            Self::Index(up, index) => write!(f, "{up}{}{index}", dot(up)),
        }
    }
}

fn object_at(map: &Map, path: &ValuePath<'_>) -> Answer<serde_json::Map<String, Value>> {
    let mut fields = serde_json::Map::with_capacity(map.len());
    for (key, value) in map {
        fields.insert(key.to_string(), json_at(value, &ValuePath::Key(path, key))?);
    }
    Ok(fields)
}

fn json_at(value: &Dynamic, path: &ValuePath<'_>) -> Answer<Value> {
    if path.depth() > DEEPEST {
        return Err(fault(format!("more than {DEEPEST} lists and maps within each other have no JSON form")));
    }
    let value = &*plain(value);
    if value.is_unit() {
        return Ok(Value::Null);
    }
    if let Ok(truth) = value.as_bool() {
        return Ok(Value::Bool(truth));
    }
    if let Ok(whole) = value.as_int() {
        return Ok(Value::Number(whole.into()));
    }
    if let Ok(number) = value.as_float() {
        return Ok(Number::from_f64(number).map_or(Value::Null, Value::Number));
    }
    if value.is_string() || value.is_char() {
        return Ok(Value::String(value.to_string()));
    }
    if let Some(map) = value.read_lock::<Map>() {
        return Ok(Value::Object(object_at(&map, path)?));
    }
    if let Some(values) = value.read_lock::<Array>() {
        let items = values.iter().enumerate();
        let list = items.map(|(index, value)| json_at(value, &ValuePath::Index(path, index)));
        return Ok(Value::Array(list.collect::<Answer<_>>()?));
    }
    if let Some(range) = value.read_lock::<std::ops::Range<i64>>() {
        return bounded(range.end.saturating_sub(range.start))
            .map(|_| Value::Array(range.clone().map(Value::from).collect()));
    }
    if let Some(range) = value.read_lock::<std::ops::RangeInclusive<i64>>() {
        let length = range.end().saturating_sub(*range.start());
        return bounded(length).map(|_| Value::Array(range.clone().map(Value::from).collect()));
    }
    own_type(value).ok_or_else(|| {
        let at = if matches!(path, ValuePath::Root) { String::new() } else { format!("`{path}`: ") };
        let what = if value.is::<FnPtr>() { "a closure" } else { "a value of this type" };
        fault(format!("{at}{what} ({}) has no JSON form", kind(value)))
    })
}

fn own_type(value: &Dynamic) -> Option<Value> {
    if let Some(trial) = value.read_lock::<Arc<Trial>>() {
        return Some(Value::Object(trial.to_json()));
    }
    if let Some(params) = value.read_lock::<Params>() {
        return to_object(&params.values).ok().map(Value::Object);
    }
    if let Some(view) = value.read_lock::<TrialView>() {
        return Some(view.to_json());
    }
    value.read_lock::<RunResult>().map(|result| result.to_json())
}
