//! JSON as values of Rhai: the form that every trial, option and event has in a script.

use rhai::{Dynamic, Map};
use serde_json::Value;

use crate::script::fault::{Answer, fault};
use crate::script::values::series::kind;

/// A JSON value as a script sees it: null is `()`, whole numbers are integers.
pub(crate) fn from_json(value: &Value) -> Dynamic {
    match value {
        Value::Null => Dynamic::UNIT,
        Value::Bool(truth) => (*truth).into(),
        Value::Number(number) => match number.as_i64() {
            Some(whole) => whole.into(),
            None => number.as_f64().unwrap_or(f64::NAN).into(),
        },
        Value::String(text) => text.as_str().into(),
        Value::Array(values) => Dynamic::from_array(values.iter().map(from_json).collect()),
        Value::Object(fields) => from_object(fields).into(),
    }
}

/// A JSON object as a script sees it.
pub(crate) fn from_object(fields: &serde_json::Map<String, Value>) -> Map {
    fields.iter().map(|(key, value)| (key.as_str().into(), from_json(value))).collect()
}

/// A number of a script, whole or not.
pub(crate) fn number(value: &Dynamic) -> Answer<f64> {
    as_number(value).ok_or_else(|| fault(format!("a number belongs here, not {}", kind(value))))
}

/// The same, where something else is no error.
pub(crate) fn as_number(value: &Dynamic) -> Option<f64> {
    value.as_float().ok().or_else(|| value.as_int().ok().map(|whole| whole as f64))
}
