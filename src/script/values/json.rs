//! Values of Rhai as JSON, also trials, params and results.

use std::sync::Arc;

use rhai::{Array, Dynamic, FnPtr, Map};
use serde_json::{Number, Value};

use crate::model::nesting::DEEPEST;
use crate::model::trial::Trial;
use crate::script::fault::{Answer, bounded, fault};
use crate::script::values::params::Params;
use crate::script::values::result::{RunResult, TrialView};

/// A script's value as JSON; NaN and the infinities become null, which is all JSON has for them.
///
/// # Errors
/// When it holds something without a JSON form; the message says where.
pub(crate) fn to_json(value: &Dynamic) -> Answer<Value> {
    json_at(value, &mut Vec::new())
}

/// A script's map as a JSON object.
///
/// # Errors
/// As for [`to_json`].
pub(crate) fn to_object(map: &Map) -> Answer<serde_json::Map<String, Value>> {
    object_at(map, &mut Vec::new())
}

fn object_at(map: &Map, path: &mut Vec<String>) -> Answer<serde_json::Map<String, Value>> {
    let mut fields = serde_json::Map::new();
    for (key, value) in map {
        path.push(key.to_string());
        fields.insert(key.to_string(), json_at(value, path)?);
        path.pop();
    }
    Ok(fields)
}

fn json_at(value: &Dynamic, path: &mut Vec<String>) -> Answer<Value> {
    if path.len() > DEEPEST {
        return Err(fault(format!("more than {DEEPEST} lists and maps within each other have no JSON form")));
    }
    // A variable that a closure captured is shared; JSON wants what is in it.
    let value = &value.clone().flatten();
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
        let mut list = Vec::with_capacity(values.len());
        for (index, value) in values.iter().enumerate() {
            path.push(index.to_string());
            list.push(json_at(value, path)?);
            path.pop();
        }
        return Ok(Value::Array(list));
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
        let at = if path.is_empty() { String::new() } else { format!("`{}`: ", path.join(".")) };
        let what = if value.is::<FnPtr>() { "a closure" } else { "a value of this type" };
        fault(format!("{at}{what} ({}) has no JSON form", value.type_name()))
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
