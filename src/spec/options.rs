//! Run options: at a spec's top level and in a script's `run()`, in the same forms.

use serde_json::{Map, Value};

use crate::model::name::EngineName;
use crate::model::options::{Halt, Options, Parallel, Remove};
use crate::model::retry::{Backoff, Retries};
use crate::model::trial::Pull;
use crate::spec::error::Problems;
use crate::spec::fields;
use crate::spec::reader::{Item, Object, Report};
use crate::spec::units::{positive_span, span};

/// Reads run options; an unknown key is a problem.
///
/// # Errors
/// Everything that is wrong with them, with the place of each.
pub fn options(value: &Map<String, Value>) -> Result<Options, Problems> {
    let report = Report::default();
    let value = Value::Object(value.clone());
    let item = Item::root(&value, &report);
    let keys: Vec<_> = fields::OPTIONS.iter().map(|option| option.name).collect();
    let read = item.object("run options (an object)", &keys).map(|object| from(&object));
    report.finish(read)
}

/// The run options among an object's keys.
pub(super) fn from(object: &Object<'_>) -> Options {
    Options {
        parallel: object.read("parallel", parallel),
        retries: object.read("retries", retries),
        timeout: object.read("timeout", positive_span),
        stop_grace: object.read("stop_grace", span),
        halt: object.read("halt", |item| item.check(Halt::parse(item.text()?))),
        pull: object.read("pull", pull),
        engine: object.read("engine", engine),
        rm: object.read("rm", |item| item.word(&Remove::ALL.map(Remove::as_str), Remove::parse)),
        seed: object.read("seed", seed),
    }
}

/// An engine's name.
pub(super) fn engine(item: Item<'_>) -> Option<EngineName> {
    item.word(&EngineName::ALL.map(EngineName::as_str), EngineName::parse)
}

/// A pull policy.
pub(super) fn pull(item: Item<'_>) -> Option<Pull> {
    item.word(&Pull::ALL.map(Pull::as_str), Pull::parse)
}

/// A number of repetitions, or an object with their delays.
pub(super) fn retries(item: Item<'_>) -> Option<Retries> {
    if item.value.is_number() {
        return item.count().map(Retries::count);
    }
    let keys = ["count", "delay", "backoff", "max_delay", "jitter"];
    let object = item.object("a number of retries, or {count, delay, ..}", &keys)?;
    Some(Retries {
        delay: object.read("delay", span).unwrap_or_default(),
        backoff: object.read("backoff", backoff).unwrap_or_default(),
        max_delay: object.read("max_delay", positive_span),
        jitter: object.read("jitter", |item| item.boolean()).unwrap_or_default(),
        ..Retries::count(object.need("count", |item| item.count())?)
    })
}

fn backoff(item: Item<'_>) -> Option<Backoff> {
    item.word(&["fixed", "exponential"], |word| match word {
        "fixed" => Some(Backoff::Fixed),
        "exponential" => Some(Backoff::Exponential),
        _ => None,
    })
}

fn parallel(item: Item<'_>) -> Option<Parallel> {
    match item.value {
        Value::String(text) => item.check(Parallel::parse(text)),
        Value::Number(_) => {
            let number = item.integer(i32::MIN.into(), i32::MAX.into())?;
            item.check(Parallel::parse(&number.to_string()))
        }
        _ => item.expected("a number of trials, or a string such as \"50%\""),
    }
}

fn seed(item: Item<'_>) -> Option<u64> {
    if let Some(seed) = item.value.as_u64() {
        return Some(seed);
    }
    item.integer(0, i64::MAX).and_then(|seed| u64::try_from(seed).ok())
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::options;
    use crate::model::options::Options;

    fn read(value: Value) -> Result<Options, String> {
        let Value::Object(map) = value else { panic!("an object") };
        options(&map).map_err(|problems| problems.to_string())
    }

    #[test]
    fn what_options_write_reads_back() {
        let read_once = read(json!({
            "parallel": "50%", "retries": {"count": 2, "delay": "1s", "backoff": "exponential", "jitter": true},
            "timeout": "30m", "stop_grace": 0, "halt": "soon,fail=10%", "pull": "never", "engine": "local",
            "rm": "always", "seed": 7,
        }))
        .unwrap();
        let written = serde_json::to_value(&read_once).unwrap();
        insta::assert_snapshot!(written, @r#"{"parallel":"50%","retries":{"count":2,"delay":1,"backoff":"exponential","jitter":true},"timeout":1800,"stop_grace":0,"halt":"soon,fail=10%","pull":"never","engine":"local","rm":"always","seed":7}"#);
        assert_eq!(read(written), Ok(read_once));
        assert_eq!(read(json!({})), Ok(Options::default()));
        assert_eq!(read(json!({"parallel": null})), Ok(Options::default()));
    }

    #[test]
    fn parallel_is_a_number_or_a_text() {
        for (value, written) in [(json!(4), "4"), (json!(4.0), "4"), (json!(-1), "-1"), (json!("8"), "8")] {
            assert_eq!(read(json!({"parallel": value})).unwrap().parallel.unwrap().to_string(), written);
        }
    }

    #[test]
    fn each_wrong_option_is_told() {
        let wrong = read(json!({
            "paralell": 4, "parallel": 0, "retries": "many", "timeout": 0, "halt": "never", "pull": "allways",
            "engine": "podman", "rm": true, "seed": -1,
        }));
        insta::assert_snapshot!(wrong.unwrap_err(), @r#"
        unknown key `paralell`; did you mean `parallel`?
        parallel: `0` is not a number of trials: write `4`, `50%` (of the host's CPUs) or `-1` (all but one)
        retries: expected a number of retries, or {count, delay, ..}, found the string "many"
        timeout: a duration of zero; leave it out for the default
        halt: `never` is not a halt policy: write `now` or `soon`, a comma, and `fail`, `success` or `done` with `=N` or `=N%`, such as `soon,fail=10%`
        pull: `allways` is none of `always`, `missing`, `never`; did you mean `always`?
        engine: `podman` is none of `docker`, `local`, `fake`
        rm: expected a string, found true
        seed: -1 is too small or too large: at least 0
        "#);
        let wrong = read(json!({"retries": {"delay": "x", "backoff": "linear", "cuont": 1}}));
        insta::assert_snapshot!(wrong.unwrap_err(), @"
        retries: unknown key `cuont`; did you mean `count`?
        retries.delay: `x` is not a duration: write `30m`, `1h 30m`, `90s`, `500ms` or seconds
        retries.backoff: `linear` is none of `fixed`, `exponential`
        retries: `count` is missing
        ");
    }
}
