//! Values that lie evenly between two ends.

use serde_json::{Number, Value};

use crate::space::error::{BadSpace, MOST};

/// `from`, `from + step`, .. up to and with `to`, where the steps arrive there: whole numbers where all three are.
///
/// # Errors
/// When the step is 0, or there would be more than a million values.
pub fn range(from: &Value, to: &Value, step: &Value) -> Result<Vec<Value>, BadSpace> {
    if let (Some(from), Some(to), Some(step)) = (from.as_i64(), to.as_i64(), step.as_i64()) {
        return whole_range(from, to, step);
    }
    let (from, to, step) = (number(from)?, number(to)?, number(step)?);
    if step == 0.0 {
        return Err(BadSpace::only("a step of 0 never arrives"));
    }
    let count = steps(from, to, step) + 1.0;
    if count > MOST as f64 {
        return Err(BadSpace::only(format!("more than {MOST} values are not made")));
    }
    let values = (0..count.max(0.0) as usize).map(|place| from + place as f64 * step);
    Ok(values.map(|value| fraction(tidy(value, 14))).collect())
}

/// The same of whole numbers, all of which are exact.
fn whole_range(from: i64, to: i64, step: i64) -> Result<Vec<Value>, BadSpace> {
    let way = i128::from(to) - i128::from(from);
    let Some(steps) = way.checked_div(step.into()) else {
        return Err(BadSpace::only("a step of 0 never arrives"));
    };
    if steps >= MOST as i128 {
        return Err(BadSpace::only(format!("more than {MOST} values are not made")));
    }
    // Whole numbers that lie the other way, the division takes for none.
    let steps = if way != 0 && (way < 0) != (step < 0) { -1 } else { steps };
    Ok((0..=steps).map(|place| Value::from((i128::from(from) + place * i128::from(step)) as i64)).collect())
}

/// That many values from `from` to `to`, both included, evenly spaced.
///
/// # Errors
/// When the count is negative or above a million.
pub fn linspace(from: f64, to: f64, count: i64) -> Result<Vec<Value>, BadSpace> {
    Ok(spaced(from, to, count)?.map(|value| fraction(tidy(value, 14))).collect())
}

/// That many powers of ten, from 10^`from` to 10^`to`, as numpy has them.
///
/// # Errors
/// As for [`linspace`], and when a power is no number.
pub fn logspace(from: f64, to: f64, count: i64) -> Result<Vec<Value>, BadSpace> {
    if from.max(to) > 308.0 {
        return Err(BadSpace::new(
            format!("10 to the power of {} is no number", from.max(to)),
            "the ends of `logspace` are exponents; for values, write `geomspace`",
        ));
    }
    Ok(spaced(from, to, count)?.map(|exponent| fraction(tidy(10_f64.powf(exponent), 12))).collect())
}

/// That many values from `from` to `to`, both included, each the same multiple of the one before.
///
/// # Errors
/// As for [`linspace`], and when an end is not above 0.
pub fn geomspace(from: f64, to: f64, count: i64) -> Result<Vec<Value>, BadSpace> {
    if from <= 0.0 || to <= 0.0 {
        return Err(BadSpace::new(
            "the ends of `geomspace` are values above 0",
            "for exponents, write `logspace(-3, -1, 3)`",
        ));
    }
    let last = count.saturating_sub(1);
    // The ends are given back as they came, not as rounding leaves them.
    let value = |(place, exponent): (i64, f64)| match place {
        0 => from,
        place if place == last => to,
        _ => tidy(exponent.exp(), 12),
    };
    Ok((0..).zip(spaced(from.ln(), to.ln(), count)?).map(value).map(fraction).collect())
}

/// How many whole steps lead from one number to another.
pub(super) fn steps(from: f64, to: f64, step: f64) -> f64 {
    // A millionth of a step forgives what 0.1 + 0.1 + 0.1 is off.
    ((to - from) / step + 1e-6).floor()
}

fn spaced(from: f64, to: f64, count: i64) -> Result<impl Iterator<Item = f64>, BadSpace> {
    if !usize::try_from(count).is_ok_and(|count| count <= MOST) {
        return Err(BadSpace::only(format!("{count} values cannot be made")));
    }
    let gaps = (count - 1).max(1) as f64;
    Ok((0..count).map(move |place| from + (to - from) * place as f64 / gaps))
}

fn number(value: &Value) -> Result<f64, BadSpace> {
    let found = value.as_f64().filter(|number| number.is_finite());
    found.ok_or_else(|| BadSpace::only(format!("a number belongs here, not {value}")))
}

/// A finite number as a value.
pub(super) fn fraction(number: f64) -> Value {
    Number::from_f64(number).map_or(Value::Null, Value::Number)
}

/// Takes away what binary fractions leave behind (0.30000000000000004) after that many digits.
pub(super) fn tidy(value: f64, digits: usize) -> f64 {
    format!("{value:.digits$e}").parse().unwrap_or(value)
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::{geomspace, linspace, logspace, range};

    #[test]
    fn values_are_spaced_as_numpy_does() {
        let list = |values: Result<Vec<Value>, _>| Value::Array(values.unwrap());
        assert_eq!(list(range(&json!(0), &json!(1), &json!(0.25))), json!([0.0, 0.25, 0.5, 0.75, 1.0]));
        assert_eq!(list(range(&json!(5), &json!(1), &json!(-2))), json!([5, 3, 1]));
        assert_eq!(list(range(&json!(0), &json!(0.3), &json!(0.1)))[3], json!(0.3));
        assert_eq!(list(range(&json!(2), &json!(1), &json!(1))), json!([]));
        assert_eq!(list(range(&json!(2), &json!(1), &json!(5))), json!([]));
        assert_eq!(
            list(range(&json!(9_007_199_254_740_993_i64), &json!(9_007_199_254_740_996_i64), &json!(2))),
            json!([9_007_199_254_740_993_i64, 9_007_199_254_740_995_i64])
        );
        assert_eq!(list(range(&json!(i64::MIN), &json!(i64::MAX), &json!(i64::MAX)))[2], json!(i64::MAX - 1));
        assert_eq!(list(linspace(0.0, 1.0, 3)), json!([0.0, 0.5, 1.0]));
        assert_eq!(list(linspace(3.0, 4.0, 1)), json!([3.0]));
        assert_eq!(list(logspace(-3.0, -1.0, 3)), json!([0.001, 0.01, 0.1]));
        assert_eq!(list(geomspace(0.001, 1.0, 4)), json!([0.001, 0.01, 0.1, 1.0]));
        assert_eq!(list(geomspace(0.001, 100.0, 8))[7], json!(100.0));
        for wrong in [
            range(&json!(0), &json!(1), &json!(0)),
            range(&json!(0), &json!(1), &json!(1e-9)),
            range(&json!("a"), &json!(1), &json!(1)),
            linspace(0.0, 1.0, -1),
            geomspace(1.0, 2.0, i64::MIN),
            logspace(0.1, 400.0, 3),
            geomspace(0.0, 1.0, 3),
        ] {
            assert!(wrong.is_err());
        }
    }
}
