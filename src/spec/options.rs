//! Run options: at a spec's top level and in a script's `run()`, in the same forms.

use std::collections::BTreeMap;
use std::sync::Arc;

use serde_json::{Map, Value};

use crate::model::name::EngineName;
use crate::model::options::{
    Budget, Destination, Goal, Halt, Load, Occasion, OnEnd, Options, Parallel, Prefix, Prune, Remove, Reserve,
    TrialDefaults,
};
use crate::model::retry::{Backoff, On, Retries};
use crate::model::trial::{Pull, Timeout};
use crate::spec::error::Problems;
use crate::spec::fields;
use crate::spec::reader::{Item, Object, Report};
use crate::spec::units::{bytes, cpu_number, cpus, positive_span, size, span, timeout as read_timeout};

/// Reads run options; an unknown key is a problem.
///
/// # Errors
/// Everything that is wrong with them, with the place of each.
pub fn options(value: &Map<String, Value>) -> Result<Options, Problems> {
    let report = Report::default();
    let value = Value::Object(value.clone());
    let item = Item::root(&value, &report);
    let read = item.object("run options (an object)", fields::option_names()).map(|object| from(&object));
    report.finish(read)
}

/// Reads a change of a live run's budget, in the forms of run options; an unknown key is a problem.
///
/// # Errors
/// Everything that is wrong with it, with the place of each.
pub fn budget(value: &Map<String, Value>) -> Result<Budget, Problems> {
    let report = Report::default();
    let value = Value::Object(value.clone());
    let item = Item::root(&value, &report);
    let keys: Vec<_> = fields::BUDGET.iter().map(|option| option.name).collect();
    let read = item.object("a change of the budget (an object)", &keys).map(|object| budget_from(&object));
    report.finish(read)
}

/// The run options among an object's keys.
pub(super) fn from(object: &Object<'_>) -> Options {
    Options {
        budget: budget_from(object),
        defaults: TrialDefaults {
            retries: object.read("retries", retries).map(Arc::new),
            timeout: object.read("timeout", timeout),
            stop_grace: object.read("stop_grace", span),
            pull: object.read("pull", pull),
            engine: object.read("engine", engine),
            engine_of_all: None,
            nice: object.read("nice", nice),
            prefix: object.read("prefix", prefix),
        },
        reserve: object.read("reserve", |item| match item.value {
            Value::String(text) => item.check(reserve(text)),
            _ => {
                let object = item.object("what is left to others: {cpus, memory}", &["cpus", "memory"])?;
                let cpus = object.read("cpus", cpus).unwrap_or_default();
                Some(Reserve { cpus, memory: object.read("memory", bytes).unwrap_or_default() })
            }
        }),
        slow: object.read("slow", timeout),
        time_budget: object.read("time_budget", positive_span),
        delay: object.read("delay", span),
        halt: object.read("halt", |item| item.check(Halt::parse(item.text()?))),
        rm: object.read("rm", |item| item.word(&Remove::ALL.map(Remove::as_str), Remove::parse)),
        seed: object.read("seed", seed),
        goal: object.read("goal", |item| item.check(Goal::parse(item.text()?))),
        prune: object.read("prune", prune).unwrap_or_default(),
        // A key beside the options: in a script it is `search(..)`.
        search: None,
        outputs_to: object.read("outputs_to", |item| item.check(Destination::parse(item.text()?))),
        on_end: object.read("on_end", on_end).unwrap_or_default(),
    }
}

fn budget_from(object: &Object<'_>) -> Budget {
    Budget {
        parallel: object.read("parallel", parallel),
        cpus: object.read("cpus", cpus),
        memory: object.read("memory", bytes),
        gpus: object.read("gpus", devices),
        limits: object.read("limits", limits).unwrap_or_default(),
        load: object.read("load", |item| match item.value {
            Value::String(text) => item.check(Load::parse(text)),
            Value::Number(number) => item.check(Load::parse(&number.to_string())),
            _ => item.expected("a load: a number of processes, or a string such as \"80%\""),
        }),
        memfree: object.read("memfree", bytes),
        pressure: object.read("pressure", |item| match item.value {
            Value::String(text) => item.check(pressure(text)),
            Value::Number(number) => item.check(pressure(&number.to_string())),
            _ => item.expected("a pressure in percent, such as 20"),
        }),
    }
}

/// Reads what is left to others, as in `--reserve`: `cpus=1,memory=2g`, either of them.
///
/// # Errors
/// A sentence that says what is accepted.
pub fn reserve(text: &str) -> Result<Reserve, String> {
    let wrong = || format!("`{text}` is not what is left to others: write `cpus=1,memory=2g`, or one of the two");
    let mut reserve = Reserve::default();
    for part in text.split(',') {
        match part.trim().split_once('=') {
            Some(("cpus", number)) => reserve.cpus = cpu_number(number).ok_or_else(wrong)?,
            Some(("memory", bytes)) => reserve.memory = size(bytes)?,
            _ => return Err(wrong()),
        }
    }
    Ok(reserve)
}

/// Reads a pressure in percent, above 0 and at most 100: `20` or `20%`.
///
/// # Errors
/// A sentence that says what is accepted.
pub fn pressure(text: &str) -> Result<f64, String> {
    match text.trim().trim_end_matches('%').parse::<f64>() {
        Ok(percent) if percent > 0.0 && percent <= 100.0 => Ok(percent),
        _ => Err(format!("`{text}` is not a pressure: write a share of the time in percent, such as `20`")),
    }
}

/// Reads a named limit: `license=2`.
///
/// # Errors
/// A sentence that says what is accepted.
pub fn limit(text: &str) -> Result<(String, u32), String> {
    let read = text.split_once('=').and_then(|(name, number)| Some((name.trim(), number.trim().parse().ok()?)));
    match read {
        Some((name, number)) if !name.is_empty() => Ok((name.to_owned(), number)),
        _ => Err(format!("`{text}` is not a named limit: write `NAME=NUMBER`, such as `license=2`")),
    }
}

/// Reads GPU ids separated by commas: `0,1`.
///
/// # Errors
/// A sentence that says what is accepted.
pub fn gpu_ids(text: &str) -> Result<Vec<String>, String> {
    let ids: Vec<String> = text.split(',').map(|id| id.trim().to_owned()).filter(|id| !id.is_empty()).collect();
    let twice = ids.iter().enumerate().find(|(place, id)| ids[..*place].contains(id));
    match twice {
        Some((_, id)) => Err(format!("the GPU `{id}` is named twice")),
        None if ids.is_empty() => Err("no GPU is named: write their ids, such as `0,1`".to_owned()),
        None => Ok(ids),
    }
}

fn devices(item: Item<'_>) -> Option<Vec<String>> {
    match item.value {
        Value::String(_) => item.check(gpu_ids(item.text()?)),
        _ => {
            let ids = item.list("a list of GPU ids, or a string such as \"0,1\"", |item| item.scalar())?;
            item.check(gpu_ids(&ids.join(",")))
        }
    }
}

/// One rule to end trials by, or a list of them.
fn prune(item: Item<'_>) -> Option<Vec<Prune>> {
    let rule = |item: Item<'_>| item.check(Prune::parse(item.text()?));
    match item.value {
        Value::Array(_) => item.list("a list of rules, such as [\"asha(from=1, keep=3)\"]", rule),
        _ => rule(item).map(|rule| vec![rule]),
    }
}

/// What is done when a run has ended, or a list of that.
fn on_end(item: Item<'_>) -> Option<Vec<OnEnd>> {
    match item.value {
        Value::Array(_) => item.list("a list of webhooks, commands and mails", one_on_end),
        _ => one_on_end(item).map(|one| vec![one]),
    }
}

fn one_on_end(item: Item<'_>) -> Option<OnEnd> {
    if item.value.is_string() {
        return item.check(OnEnd::parse(item.text()?));
    }
    let what = "what is done at the end: a text, or {webhook}, {command} or {mail}";
    let object = item.object(what, &["webhook", "command", "mail", "when"])?;
    let words = Occasion::ALL.map(Occasion::as_str);
    let when = object.read("when", |item| item.word(&words, Occasion::parse)).unwrap_or_default();
    let said: Vec<&str> = OnEnd::WHO.into_iter().filter(|who| object.get(who).is_some()).collect();
    let [who] = said[..] else {
        return item.fail("one of `webhook`, `command` and `mail` says what is done, and each has an entry of its own");
    };
    let one = object.read(who, |item| item.check(OnEnd::of(who, item.text()?)))?;
    Some(OnEnd { when, ..one })
}

/// Named limits: name -> whole number.
pub(super) fn limits(item: Item<'_>) -> Option<BTreeMap<String, u32>> {
    item.table("an object of limits, such as {license: 1}", |_, item| item.count())
}

/// How much a trial gives way to others: `true` for what nice(1) takes by itself, or a number.
pub(super) fn nice(item: Item<'_>) -> Option<u8> {
    match item.value {
        Value::Bool(true) => Some(NICE),
        Value::Bool(false) => Some(0),
        _ => item.integer(0, MOST_NICE.into()).and_then(|nice| u8::try_from(nice).ok()),
    }
}

/// Reads how much trials give way to others: 0 to 19.
///
/// # Errors
/// A sentence that says what is accepted.
pub fn niceness(text: &str) -> Result<u8, String> {
    let nice = text.trim().parse().ok().filter(|nice| *nice <= MOST_NICE);
    nice.ok_or_else(|| format!("`{text}` is not a niceness: write a whole number from 0 to {MOST_NICE}"))
}

/// What nice(1) takes where no number is given.
pub const NICE: u8 = 10;

/// The largest value of nice(1).
const MOST_NICE: u8 = 19;

/// A time, or a share of the median such as `"300%"`.
pub(super) fn timeout(item: Item<'_>) -> Option<Timeout> {
    match item.value {
        Value::String(text) if text.trim_end().ends_with('%') => item.check(read_timeout(text)),
        _ => positive_span(item).map(Timeout::After),
    }
}

/// An engine's name.
pub(super) fn engine(item: Item<'_>) -> Option<EngineName> {
    item.word(&EngineName::ALL.map(EngineName::as_str), EngineName::parse)
}

/// What the names of containers begin with; `true` is the name of the experiment.
fn prefix(item: Item<'_>) -> Option<Prefix> {
    match item.value {
        Value::Bool(true) => Some(Prefix::Experiment),
        _ => item.check(Prefix::parse(item.text()?)),
    }
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
    let keys = ["count", "delay", "backoff", "max_delay", "jitter", "on", "crash_limit", "memory_factor", "memory_max"];
    let object = item.object("a number of retries, or {count, delay, ..}", &keys)?;
    // What follows a loss, or a lack of memory, has counts of its own.
    let other = ["crash_limit", "memory_factor"].into_iter().any(|key| object.get(key).is_some());
    let count = if other {
        Some(object.read("count", |item| item.count()).unwrap_or_default())
    } else {
        object.need("count", |item| item.count())
    };
    Some(Retries {
        delay: object.read("delay", span).unwrap_or_default(),
        backoff: object.read("backoff", backoff).unwrap_or_default(),
        max_delay: object.read("max_delay", positive_span),
        jitter: object.read("jitter", |item| item.boolean()).unwrap_or_default(),
        on: object.read("on", |item| item.list("a list of ends", on)).unwrap_or_default(),
        crash_limit: object.read("crash_limit", |item| item.count()),
        memory_factor: object.read("memory_factor", factor),
        memory_max: object.read("memory_max", bytes),
        ..Retries::count(count?)
    })
}

fn on(item: Item<'_>) -> Option<On> {
    if item.value.is_number() {
        return item.integer(1, u8::MAX.into()).and_then(|code| u8::try_from(code).ok()).map(On::Code);
    }
    let words = On::WORDS.map(|(word, _)| word);
    item.word(&words, |word| On::WORDS.into_iter().find(|(other, _)| *other == word).map(|(_, on)| on))
}

fn factor(item: Item<'_>) -> Option<f64> {
    match item.value.as_f64() {
        Some(factor) if factor > 1.0 && factor.is_finite() => Some(factor),
        _ => item.fail(format!("{} is not a factor above 1", item.value)),
    }
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
        insta::assert_snapshot!(written, @r#"{"parallel":"50%","retries":{"count":2,"delay":1,"backoff":"exponential","jitter":true},"timeout":1800,"stop_grace":0,"pull":"never","engine":"local","halt":"soon,fail=10%","rm":"always","seed":7}"#);
        assert_eq!(read(written), Ok(read_once));
        assert_eq!(read(json!({})), Ok(Options::default()));
        assert_eq!(read(json!({"parallel": null})), Ok(Options::default()));
    }

    #[test]
    fn a_change_reads_back_and_takes_nothing_else() {
        let Value::Object(fields) = json!({
            "parallel": -1, "cpus": 2, "memory": "1g", "gpus": "0,1", "limits": {"license": 2}, "load": "80%",
            "memfree": "4g", "pressure": 20,
        }) else {
            panic!("an object")
        };
        let change = super::budget(&fields).unwrap();
        assert_eq!(
            fields.keys().map(String::as_str).collect::<Vec<_>>(),
            super::fields::BUDGET.iter().map(|option| option.name).collect::<Vec<_>>()
        );
        let Ok(Value::Object(written)) = serde_json::to_value(&change) else { panic!("an object") };
        assert_eq!((super::budget(&written).unwrap(), written.len()), (change, fields.len()));
        let Value::Object(wrong) = json!({"seed": 1, "paralel": 2, "cpus": 0}) else { panic!("an object") };
        insta::assert_snapshot!(super::budget(&wrong).unwrap_err(), @"
        unknown key `seed`; `combu help fields` lists the known ones
        unknown key `paralel`; did you mean `parallel`?
        cpus: 0 is not a number of CPUs; write a number above zero, such as 2 or 0.5
        ");
    }

    #[test]
    fn parallel_is_a_number_or_a_text() {
        for (value, written) in [(json!(4), "4"), (json!(4.0), "4"), (json!(-1), "-1"), (json!("8"), "8")] {
            assert_eq!(read(json!({"parallel": value})).unwrap().budget.parallel.unwrap().to_string(), written);
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
        pull: `allways` is none of `always`, `missing`, `never`; did you mean `always`?
        engine: `podman` is none of `docker`, `local`, `fake`
        halt: `never` is not a halt policy: write `now` or `soon`, a comma, and `fail`, `success` or `done` with `=N` or `=N%`, such as `soon,fail=10%`
        rm: expected a string, found true
        seed: -1 is too small or too large: at least 0
        "#);
        let wrong = read(json!({"retries": {"delay": "x", "backoff": "linear", "cuont": 1}}));
        insta::assert_snapshot!(wrong.unwrap_err(), @"
        retries: unknown key `cuont`; did you mean `count`?
        retries: `count` is missing
        retries.delay: `x` is not a duration: write `30m`, `1h 30m`, `90s`, `500ms` or seconds
        retries.backoff: `linear` is none of `fixed`, `exponential`
        ");
    }
}
