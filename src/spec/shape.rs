//! The shapes of values in a spec: which types they have, and which words. What a value means is left to its reader.

use serde_json::{Map, Value, json};

/// The shape of a value.
#[derive(Debug, Clone, Copy)]
pub enum Shape {
    /// Whatever JSON has.
    Any,
    /// A string.
    Text,
    /// True or false.
    Truth,
    /// A number.
    Number,
    /// A whole number; 3.0 is one.
    Whole,
    /// One of the words.
    Word(fn() -> Vec<&'static str>),
    /// A value of one of the shapes.
    Either(&'static [Shape]),
    /// A list of values of a shape.
    List(&'static Shape),
    /// An object whose keys are the user's own.
    Table(&'static Shape),
    /// An object with these keys, and those of them that it must have.
    Object(&'static [(&'static str, Shape)], &'static [&'static str]),
}

/// A string, or a number or truth value that becomes one.
pub(super) const SCALAR: Shape = Shape::Either(&[Shape::Text, Shape::Number, Shape::Truth]);
/// A number, or a string with a unit.
pub(super) const QUANTITY: Shape = Shape::Either(&[Shape::Number, Shape::Text]);
/// Words of a command, or a line that is split into them.
pub(super) const COMMAND: Shape = Shape::Either(&[Shape::Text, Shape::List(&SCALAR)]);
/// A list of strings.
pub(super) const TEXTS: Shape = Shape::List(&Shape::Text);
/// A string, or a list of them.
pub(super) const TEXT_OR_TEXTS: Shape = Shape::Either(&[Shape::Text, TEXTS]);

impl Shape {
    /// The shape as a JSON Schema.
    pub(super) fn schema(self) -> Value {
        match self {
            Self::Any => json!({}),
            Self::Text => json!({"type": "string"}),
            Self::Truth => json!({"type": "boolean"}),
            Self::Number => json!({"type": "number"}),
            Self::Whole => json!({"type": "integer"}),
            Self::Word(words) => json!({"enum": words()}),
            Self::Either(shapes) => {
                let shapes: Vec<Value> = shapes.iter().map(|shape| shape.schema()).collect();
                json!({"anyOf": shapes})
            }
            Self::List(shape) => json!({"type": "array", "items": shape.schema()}),
            Self::Table(shape) => json!({"type": "object", "additionalProperties": or_null(shape.schema())}),
            Self::Object(keys, needed) => {
                let properties = keys.iter().map(|(key, shape)| {
                    let schema = shape.schema();
                    ((*key).to_owned(), if needed.contains(key) { schema } else { or_null(schema) })
                });
                let properties: Map<String, Value> = properties.collect();
                json!({
                    "type": "object", "properties": properties, "required": needed, "additionalProperties": false,
                })
            }
        }
    }
}

/// A schema that allows null as well: it is as good as absent.
pub(super) fn or_null(schema: Value) -> Value {
    let absent = json!({"type": "null"});
    match schema {
        Value::Object(map) if map.is_empty() => Value::Object(map),
        Value::Object(mut map) if map.contains_key("anyOf") => {
            if let Some(Value::Array(shapes)) = map.get_mut("anyOf") {
                shapes.push(absent);
            }
            Value::Object(map)
        }
        schema => json!({"anyOf": [schema, absent]}),
    }
}
