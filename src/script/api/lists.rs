//! Lists: their order, and what is said of their numbers.
//!
//! Rhai's own `sort` takes an error of its closure for "equal" and a fraction for nothing; this one does not.

use std::cmp::Ordering;
use std::collections::HashSet;

use rhai::{Array, Dynamic, Engine, FnPtr, FuncRegistration, Map, NativeCallContext};

use crate::script::fault::{Answer, fault, fault_with};
use crate::script::values::convert::{as_number, from_json};
use crate::script::values::json::to_json;
use crate::script::values::result::TrialView;
use crate::script::values::series::{kind, plain};
use crate::stats::{deviation, mean};

pub(crate) fn register(engine: &mut Engine) {
    // What nobody may change is not sorted either.
    let changing = || FuncRegistration::new("sort").with_purity(false);
    changing().register_into_engine(engine, |list: &mut Array| sort(list, order));
    changing().register_into_engine(engine, |context: NativeCallContext, list: &mut Array, closure: FnPtr| {
        sort(list, |one, other| {
            let said: Dynamic = closure.call_within_context(&context, (one.clone(), other.clone()))?;
            which(&said)
        })
    });
}

/// Lists of rows: maps, or results of trials.
pub(super) fn register_rows(engine: &mut Engine) {
    engine
        .register_fn("sort_by", |list: &mut Array, key: &str| sorted_by(list, key, false))
        .register_fn("sort_by", |list: &mut Array, key: &str, way: &str| match way {
            "asc" | "desc" => sorted_by(list, key, way == "desc"),
            _ => Err(fault_with(format!("`{way}` is no order"), "write \"asc\" or \"desc\"")),
        })
        .register_fn("group_by", |list: &mut Array, key: &str| -> Answer<Map> {
            let mut groups = Map::new();
            for row in list.iter() {
                let group = groups.entry(cell(row, key)?.to_string().into()).or_insert_with(|| Array::new().into());
                group.write_lock::<Array>().expect("each group is an array").push(row.clone());
            }
            Ok(groups)
        })
        .register_fn("unique", |list: &mut Array| -> Answer<Array> {
            let (mut seen, mut kept) = (HashSet::new(), Array::new());
            for value in list.iter() {
                if seen.insert(to_json(value)?.to_string()) {
                    kept.push(value.clone());
                }
            }
            Ok(kept)
        });
}

/// What a row has under a key; nothing where it lacks that.
fn cell(row: &Dynamic, key: &str) -> Answer<Dynamic> {
    if let Some(map) = row.read_lock::<Map>() {
        return Ok(map.get(key).cloned().unwrap_or(Dynamic::UNIT));
    }
    if let Some(view) = row.read_lock::<TrialView>() {
        let value = view.column(key).map_err(|error| fault(format!("cannot read the logs: {error}")))?;
        return Ok(from_json(&value));
    }
    Err(fault_with(
        format!("a row is a map or the result of a trial, not {}", kind(row)),
        "`result.rows()` and `result.trials` have rows",
    ))
}

fn sorted_by(list: &Array, key: &str, descending: bool) -> Answer<Array> {
    let mut keyed = Vec::with_capacity(list.len());
    for row in list {
        keyed.push(Dynamic::from_array(vec![cell(row, key)?, row.clone()]));
    }
    let key = |pair: &Dynamic| pair.read_lock::<Array>().map_or(Dynamic::UNIT, |pair| pair[0].clone());
    sort(&mut keyed, |one, other| {
        let (one, other) = (key(one), key(other));
        match (one.is_unit(), other.is_unit()) {
            (false, false) => order(&one, &other).map(|order| if descending { order.reverse() } else { order }),
            (one, other) => Ok(one.cmp(&other)),
        }
    })?;
    Ok(keyed.into_iter().map(|pair| pair.cast::<Array>().remove(1)).collect())
}

/// What is said of the numbers of a list; of none of them it is nothing, but for the sum.
pub(crate) fn register_statistics(engine: &mut Engine) {
    engine
        .register_fn("sum", |list: &mut Array| -> Answer<Dynamic> {
            let total = numbers(list)?.iter().sum::<f64>();
            let whole = list.iter().try_fold(0_i64, |sum, value| sum.checked_add(value.as_int().ok()?));
            Ok(whole.map_or_else(|| total.into(), Dynamic::from))
        })
        .register_fn("mean", |list: &mut Array| said_of(list, mean))
        .register_fn("sd", |list: &mut Array| said_of(list, deviation))
        .register_fn("median", |list: &mut Array| said_of(list, |numbers| quantile(numbers, 0.5)))
        .register_fn("quantile", |list: &mut Array, share: f64| -> Answer<Dynamic> {
            if !(0.0..=1.0).contains(&share) {
                return Err(fault_with(
                    format!("{share} is no share"),
                    "write a fraction from 0.0 to 1.0: `list.quantile(0.9)`",
                ));
            }
            said_of(list, |numbers| quantile(numbers, share))
        })
        .register_fn("min", |list: &mut Array| extreme(list, Ordering::Less))
        .register_fn("max", |list: &mut Array| extreme(list, Ordering::Greater))
        .register_fn("join", |list: &mut Array, between: &str| {
            list.iter().map(|value| plain(value).to_string()).collect::<Vec<_>>().join(between)
        });
}

fn said_of(list: &Array, what: impl Fn(&[f64]) -> f64) -> Answer<Dynamic> {
    let numbers = numbers(list)?;
    Ok(if numbers.is_empty() { Dynamic::UNIT } else { what(&numbers).into() })
}

fn numbers(list: &Array) -> Answer<Vec<f64>> {
    let each = list.iter().enumerate().map(|(place, value)| {
        as_number(value).ok_or_else(|| {
            let hint = "take what has one: `list.filter(|x| x != ())`";
            fault_with(format!("[{place}] is {}, and no number", described(value)), hint)
        })
    });
    each.collect()
}

fn described(value: &Dynamic) -> &str {
    if value.is_unit() { "nothing, `()`" } else { kind(value) }
}

/// The number below which that share of them lies, between two in proportion, as numpy has it.
fn quantile(numbers: &[f64], share: f64) -> f64 {
    let mut sorted = numbers.to_vec();
    sorted.sort_by(f64::total_cmp);
    let place = share * (sorted.len() - 1) as f64;
    let (below, above) = (sorted[place.floor() as usize], sorted[place.ceil() as usize]);
    below + (above - below) * place.fract()
}

/// The first of the least or greatest values, in the order that `sort` gives.
fn extreme(list: &Array, which: Ordering) -> Answer<Dynamic> {
    let Some((first, rest)) = list.split_first() else { return Ok(Dynamic::UNIT) };
    let mut found = first;
    for value in rest {
        if order(value, found)? == which {
            found = value;
        }
    }
    Ok(found.clone())
}

/// Sorts a list; values that are equal keep their order. The first error ends it, and the list stays as it was.
fn sort(list: &mut Array, mut compare: impl FnMut(&Dynamic, &Dynamic) -> Answer<Ordering>) -> Answer<()> {
    *list = merged(list.clone(), &mut compare)?;
    Ok(())
}

/// A merge sort: the standard library's panics where a closure contradicts itself, as `|a, b| a < b` does of equal values.
fn merged(mut list: Array, compare: &mut impl FnMut(&Dynamic, &Dynamic) -> Answer<Ordering>) -> Answer<Array> {
    if list.len() < 2 {
        return Ok(list);
    }
    let second = list.split_off(list.len() / 2);
    let mut first = merged(list, compare)?.into_iter().peekable();
    let mut second = merged(second, compare)?.into_iter().peekable();
    let mut sorted = Array::with_capacity(first.len() + second.len());
    while let (Some(one), Some(other)) = (first.peek(), second.peek()) {
        let next = if compare(other, one)?.is_lt() { second.next() } else { first.next() };
        sorted.extend(next);
    }
    sorted.extend(first.chain(second));
    Ok(sorted)
}

/// What a closure says of two values: a number below zero, zero or above, or whether the first comes before the second.
fn which(said: &Dynamic) -> Answer<Ordering> {
    if let Ok(is_before) = said.as_bool() {
        return Ok(if is_before { Ordering::Less } else { Ordering::Greater });
    }
    match as_number(said) {
        Some(number) if !number.is_nan() => Ok(number.total_cmp(&0.0)),
        Some(_) => Err(fault("the closure of `sort` gives NaN, which is neither below nor above zero")),
        None => Err(fault_with(
            format!("the closure of `sort` gives {}, and no number or truth", kind(said)),
            "write `|a, b| a.loss - b.loss` or `|a, b| a.loss < b.loss`",
        )),
    }
}

/// The order of two values that nobody compares: numbers, of whichever kind, texts, characters, truths.
fn order(one: &Dynamic, other: &Dynamic) -> Answer<Ordering> {
    if let (Some(one), Some(other)) = (as_number(one), as_number(other)) {
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
        format!("{} and {} have no order", kind(one), kind(other)),
        "say how to compare them: `list.sort(|a, b| a.loss < b.loss)`",
    ))
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use crate::script::harness::Lab;

    #[test]
    fn numbers_of_a_list_are_summed_up() {
        let lab = Lab::new();
        let script = "let a = [3, 1, 2]; print([a.sum(), a.mean(), a.median(), a.min(), a.max(), a.sd()]);
            let b = [0.5, 1, 4]; print([b.sum(), b.median(), b.quantile(0.75), b.min(), b.max()]);
            print([[].sum(), [].mean(), [].min(), [7].sd()]); print([\"x\", \"a\"].max()); print([1, \"a\", ()].join(\", \"));";
        assert_snapshot!(lab.output(script), @"
        [6, 2.0, 2.0, 1, 3, 1.0]
        [5.5, 1.0, 2.5, 0.5, 4]
        [0, (), (), 0.0]
        x
        1, a,
        ");
        assert_snapshot!(lab.output("[1, ()].mean();"), @"
        script.rhai:1:9: [1] is nothing, `()`, and no number
          | [1, ()].mean();
          = take what has one: `list.filter(|x| x != ())`
        ");
        assert!(lab.execute("[1].quantile(2.0);").is_err());
    }

    #[test]
    fn rows_are_sorted_and_grouped_by_a_key() {
        let script = "let rows = [#{ a: 2, m: \"x\" }, #{ a: 0.5, m: \"y\" }, #{ m: \"x\" }, #{ a: 1, m: \"x\" }];
            print(rows.sort_by(\"a\").map(|r| get(r, \"a\", ()))); print(rows.sort_by(\"a\", \"desc\").map(|r| get(r, \"a\", ())));
            print(rows.group_by(\"m\").keys()); print(rows.group_by(\"m\").x.len()); print([1, 2, 1, \"1\"].unique());
            let r = run([#{ name: \"aa\", cmd: \"echo loss=2\" }, #{ name: \"bb\", cmd: \"echo loss=1\" }]); print(r.trials.sort_by(\"loss\"));";
        assert_snapshot!(Lab::new().output(script), @r#"
        [0.5, 1, 2, ()]
        [2, 1, 0.5, ()]
        ["x", "y"]
        3
        [1, 2, "1"]
        closed script 2/2
        [bb succeeded, aa succeeded]
        "#);
        assert!(Lab::new().execute("[1].sort_by(\"a\")").is_err());
        assert!(Lab::new().execute("[#{ a: 1 }].sort_by(\"a\", \"up\")").is_err());
    }

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
        // Closures that contradict themselves.
        let same = "let same = []; same.pad(500, 1); same.sort(|a, b| a < b); same.sort(|a, b| 1); print(same.len());
            let source = random(1); same.sort(|a, b| source.float() - 0.5); print(same.len());";
        assert_snapshot!(lab.output(same), @"
        500
        500
        ");
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
