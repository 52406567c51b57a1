//! Durations, sizes and numbers as people write them.

use std::time::Duration;

use serde_json::Value;

pub use crate::model::size::size;
use crate::model::trial::Timeout;
use crate::spec::reader::Item;

/// Reads `30m`, `1h 30m`, `90s`, `500ms`, or a bare number of seconds.
///
/// # Errors
/// A sentence that says what is accepted.
pub fn duration(text: &str) -> Result<Duration, String> {
    let text = text.trim();
    let read = match text.parse::<f64>() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_) => humantime::parse_duration(text).ok().and_then(as_stored),
    };
    read.ok_or_else(|| format!("`{text}` is not a duration: write `30m`, `1h 30m`, `90s`, `500ms` or seconds"))
}

/// The duration as it reads back from its JSON form, in which parts of a second make it a fraction.
fn as_stored(span: Duration) -> Option<Duration> {
    if span.subsec_nanos() == 0 { Some(span) } else { Duration::try_from_secs_f64(span.as_secs_f64()).ok() }
}

/// Reads a duration, or a share of the median of the successes so far: `300%`.
///
/// # Errors
/// A sentence that says what is accepted.
pub fn timeout(text: &str) -> Result<Timeout, String> {
    let Some(percent) = text.trim().strip_suffix('%') else { return duration(text).map(Timeout::After) };
    match percent.trim().parse::<f64>() {
        Ok(percent) if percent > 0.0 && percent.is_finite() => Ok(Timeout::OfMedian(percent)),
        _ => Err(format!("`{text}` is not a share of the median: write a number above zero and `%`, such as `300%`")),
    }
}

/// A duration: a string, or seconds.
pub(super) fn span(item: Item<'_>) -> Option<Duration> {
    match item.value {
        Value::String(text) => item.check(duration(text)),
        Value::Number(number) => {
            let span = number.as_f64().and_then(|seconds| Duration::try_from_secs_f64(seconds).ok());
            span.or_else(|| item.fail(format!("{number} is not a number of seconds")))
        }
        _ => item.expected("a duration such as \"30m\", or seconds"),
    }
}

/// A duration that is not zero.
pub(super) fn positive_span(item: Item<'_>) -> Option<Duration> {
    match span(item)? {
        Duration::ZERO => item.fail_with("a duration of zero", "leave it out for the default"),
        span => Some(span),
    }
}

/// Bytes, more than none: a string with a suffix, or a number.
pub(super) fn bytes(item: Item<'_>) -> Option<u64> {
    let bytes = match item.value {
        Value::String(text) => item.check(size(text))?,
        Value::Number(number) if number.is_u64() => number.as_u64()?,
        Value::Number(_) => u64::try_from(item.integer(1, i64::MAX)?).ok()?,
        _ => return item.expected("a size such as \"512m\", or bytes"),
    };
    if bytes == 0 { item.fail("a size of zero") } else { Some(bytes) }
}

/// A number of CPUs, more than none: a number, or one in a string.
pub(super) fn cpus(item: Item<'_>) -> Option<f64> {
    let number = match item.value {
        Value::Number(number) => number.as_f64(),
        Value::String(text) => cpu_number(text),
        _ => return item.expected("a number of CPUs"),
    };
    match number {
        Some(number) if number > 0.0 && number.is_finite() => Some(number),
        _ => item.fail_with(
            format!("{} is not a number of CPUs", item.value),
            "write a number above zero, such as 2 or 0.5",
        ),
    }
}

/// A number of CPUs in a text, if it is one above zero.
pub fn cpu_number(text: &str) -> Option<f64> {
    text.trim().parse().ok().filter(|number: &f64| *number > 0.0 && number.is_finite())
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::duration;

    #[test]
    fn durations_have_units_or_are_seconds() {
        let seconds = |text| duration(text).map(|span| span.as_secs_f64());
        assert_eq!(seconds("30m"), Ok(1800.0));
        assert_eq!(seconds("1h 30m"), Ok(5400.0));
        assert_eq!(seconds("90s"), Ok(90.0));
        assert_eq!(seconds("90"), Ok(90.0));
        assert_eq!(seconds("1.5"), Ok(1.5));
        assert_eq!(duration("500ms"), Ok(Duration::from_millis(500)));
        for wrong in ["", "-1", "-1s", "nan", "inf", "1e300", "1x", "m", "s30"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
        assert!(duration("18446744073709551614s 500ms").is_err(), "as a fraction it is more than there is");
        let long = duration("90180151s 515ms").unwrap();
        assert_eq!(Duration::from_secs_f64(long.as_secs_f64()), long);
        insta::assert_snapshot!(duration("soon").unwrap_err(), @"`soon` is not a duration: write `30m`, `1h 30m`, `90s`, `500ms` or seconds");
    }
}
