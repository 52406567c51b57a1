//! Lists: Rhai's own `sort` takes an error of its closure for "equal" and a fraction for nothing; this one does not.

use std::cmp::Ordering;

use rhai::{Array, Dynamic, Engine, FnPtr, NativeCallContext};

use crate::script::fault::{Answer, fault, fault_with};

pub(crate) fn register(engine: &mut Engine) {
    engine.register_fn("sort", |list: &mut Array| sort(list, order)).register_fn(
        "sort",
        |context: NativeCallContext, list: &mut Array, closure: FnPtr| {
            sort(list, |one, other| {
                let said: Dynamic = closure.call_within_context(&context, (one.clone(), other.clone()))?;
                which(&said)
            })
        },
    );
}

/// Sorts a list; values that are equal keep their order. The first error ends it, and the list stays as it was.
fn sort(list: &mut Array, mut compare: impl FnMut(&Dynamic, &Dynamic) -> Answer<Ordering>) -> Answer<()> {
    let mut failed = None;
    let mut sorted = list.clone();
    sorted.sort_by(|one, other| {
        if failed.is_some() {
            return Ordering::Equal;
        }
        compare(one, other).unwrap_or_else(|error| {
            failed = Some(error);
            Ordering::Equal
        })
    });
    match failed {
        Some(error) => Err(error),
        None => {
            *list = sorted;
            Ok(())
        }
    }
}

/// What a closure says of two values: a number below zero, zero or above, or whether the first comes before the second.
fn which(said: &Dynamic) -> Answer<Ordering> {
    if let Ok(is_before) = said.as_bool() {
        return Ok(if is_before { Ordering::Less } else { Ordering::Greater });
    }
    match number(said) {
        Some(number) if !number.is_nan() => Ok(number.total_cmp(&0.0)),
        Some(_) => Err(fault("the closure of `sort` gives NaN, which is neither below nor above zero")),
        None => Err(fault_with(
            format!("the closure of `sort` gives {}, and no number or truth", said.type_name()),
            "write `|a, b| a.loss - b.loss` or `|a, b| a.loss < b.loss`",
        )),
    }
}

/// The order of two values that nobody compares: numbers, of whichever kind, texts, characters, truths.
fn order(one: &Dynamic, other: &Dynamic) -> Answer<Ordering> {
    if let (Some(one), Some(other)) = (number(one), number(other)) {
        return Ok(one.total_cmp(&other));
    }
    if let (Ok(one), Ok(other)) = (one.as_immutable_string_ref(), other.as_immutable_string_ref()) {
        return Ok(one.cmp(&other));
    }
    if let (Ok(one), Ok(other)) = (one.as_char(), other.as_char()) {
        return Ok(one.cmp(&other));
    }
    if let (Ok(one), Ok(other)) = (one.as_bool(), other.as_bool()) {
        return Ok(one.cmp(&other));
    }
    Err(fault_with(
        format!("{} and {} have no order", one.type_name(), other.type_name()),
        "say how to compare them: `list.sort(|a, b| a.loss < b.loss)`",
    ))
}

fn number(value: &Dynamic) -> Option<f64> {
    value.as_float().ok().or_else(|| value.as_int().ok().map(|whole| whole as f64))
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::script::harness::Lab;

    #[test]
    fn lists_are_sorted_by_numbers_and_truths_and_an_error_is_one() {
        let lab = Lab::new();
        let script = "let rows = [#{ l: 0.5 }, #{ l: 0.25 }, #{ l: 0.1 }];
            let sorted = rows; sorted.sort(|a, b| a.l - b.l); print(sorted);
            rows.sort(|a, b| a.l < b.l); print(rows);
            let mixed = [2, 0.5, 1]; mixed.sort(); print(mixed);
            let texts = [\"b\", \"a\"]; texts.sort(); print(texts);";
        assert_snapshot!(lab.output(script), @r#"
        [#{"l": 0.1}, #{"l": 0.25}, #{"l": 0.5}]
        [#{"l": 0.1}, #{"l": 0.25}, #{"l": 0.5}]
        [0.5, 1, 2]
        ["a", "b"]
        "#);
        for wrong in [
            "[#{ l: 1 }, #{ l: 2 }].sort(|a, b| a.typo - b.typo);",
            "[1, 2].sort(|a, b| \"no\");",
            "[1, \"a\"].sort();",
            "[1, 2].sort(|a| a);",
        ] {
            assert!(lab.execute(wrong).is_err(), "{wrong}");
        }
    }
}
