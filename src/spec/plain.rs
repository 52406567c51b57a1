//! Ordered JSON, read without the evaluator, to the value that jsonnet would make of it.

use std::collections::BTreeMap;
use std::fmt;

use serde::de::{Deserialize, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// The value of a text that is plain JSON. `None` for any other text, and where jsonnet would find fault with it: jsonnet
/// has the better messages.
pub(super) fn parse(text: &str) -> Option<Value> {
    serde_json::from_str(text).ok().map(|Ordered(value)| value)
}

/// Jsonnet has one kind of number; whole ones that it holds exactly are integers of JSON.
pub(super) fn whole(number: f64) -> Value {
    const EXACT: f64 = 9_007_199_254_740_992.0;
    if number.fract() == 0.0 && number.abs() <= EXACT { Value::from(number as i64) } else { Value::from(number) }
}

/// A value with the keys of its objects in order, as jsonnet has them.
struct Ordered(Value);

impl<'de> Deserialize<'de> for Ordered {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(PlainVisitor).map(Ordered)
    }
}

struct PlainVisitor;

impl<'de> Visitor<'de> for PlainVisitor {
    type Value = Value;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_unit<E>(self) -> Result<Value, E> {
        Ok(Value::Null)
    }

    fn visit_bool<E>(self, truth: bool) -> Result<Value, E> {
        Ok(Value::Bool(truth))
    }

    fn visit_i64<E>(self, number: i64) -> Result<Value, E> {
        Ok(whole(number as f64))
    }

    fn visit_u64<E>(self, number: u64) -> Result<Value, E> {
        Ok(whole(number as f64))
    }

    fn visit_f64<E>(self, number: f64) -> Result<Value, E> {
        Ok(whole(number))
    }

    fn visit_str<E>(self, text: &str) -> Result<Value, E> {
        Ok(Value::from(text))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Value, A::Error> {
        let mut list = Vec::new();
        while let Some(Ordered(element)) = elements.next_element()? {
            list.push(element);
        }
        Ok(Value::Array(list))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut fields: A) -> Result<Value, A::Error> {
        let mut map = BTreeMap::new();
        while let Some((key, Ordered(value))) = fields.next_entry::<String, Ordered>()? {
            if map.insert(key, value).is_some() {
                return Err(A::Error::custom("a key that stands twice"));
            }
        }
        Ok(Value::Object(map.into_iter().collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::parse;

    #[test]
    fn numbers_and_keys_are_jsonnets() {
        let value = parse(r#"{"b": [1.0, 1.5, -0.0, 9007199254740993, 1e20, 0.1], "a": {"d": null, "c": "\u00e9"}}"#);
        insta::assert_snapshot!(value.unwrap(), @r#"{"a":{"c":"é","d":null},"b":[1,1.5,0,9007199254740992,1e+20,0.1]}"#);
        assert_eq!(parse("0.3333333333333333148"), Some((1.0 / 3.0).into()));
    }

    #[test]
    fn what_jsonnet_would_refuse_or_read_otherwise_is_left_to_it() {
        for text in [r#"{"a": 1, "a": 2}"#, "[1, 2,]", "// x\n[]", "[1e999]", "", "[] []", r#""\ud800""#] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
