//! Nesting: how deep values of users may go, so that whatever is written down can be read again.

use serde_json::Value;

/// Most lists and objects within each other. A reader of JSON stops at 128 ([`serde_json`]'s limit, and others' are near),
/// of which the rest is for what is around a value in a record.
pub const DEEPEST: usize = 100;

/// Whether a value goes no deeper than so many lists and objects.
pub fn fits(value: &Value, levels: usize) -> bool {
    match value {
        Value::Array(values) => levels > 0 && values.iter().all(|value| fits(value, levels - 1)),
        Value::Object(fields) => levels > 0 && fields.values().all(|value| fits(value, levels - 1)),
        _ => true,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::fits;

    #[test]
    fn lists_and_objects_count_and_what_is_in_them_does_not() {
        assert!(fits(&json!(1), 0) && !fits(&json!([]), 0));
        assert!(fits(&json!([{"a": 1}, 2]), 2) && !fits(&json!([{"a": [1]}, 2]), 2));
    }
}
