//! Fuzz targets: whatever stands in a spec, in an option, or in the evaluator's answers, reading it ends with a value or an
//! error, and what is written of a value reads back equal.

use std::borrow::Cow;
use std::fmt::{Debug, Display};
use std::path::{Path, PathBuf};

use serde::Serialize;
use serde::de::DeserializeOwned;
use serde_json::{Value, json};

use crate::fuzz::{check, literals, texts};
use crate::model::options::{Destination, Halt, Load, Parallel};
use crate::model::trial::Trial;
use crate::space::Point;
use crate::spec::document::{read_document, take_trials};
use crate::spec::evaluator::{Answers, EvaluationRequest, answer, parsed};
use crate::spec::fields::TRIALS;
use crate::spec::load;
use crate::spec::sources::{LoadOptions, Sources};
use crate::spec::template::Template;
use crate::spec::trial::tests::full;
use crate::spec::{budget, gpu_ids, limit, niceness, options, plain, pressure, reference, reserve, timeout, uuid};
use crate::spec::{cpu_number, duration, size, trial};

const FOLDER: &str = "/lab/maze";

/// The file that specs are evaluated as; imports are looked for beside it.
pub(super) fn spec() -> PathBuf {
    thread_local!(static FOLDER: tempfile::TempDir = tempfile::tempdir().unwrap());
    let path = FOLDER.with(|folder| folder.path().join("maze.jsonnet"));
    if !path.exists() {
        std::fs::write(&path, "").unwrap();
    }
    path.canonicalize().unwrap()
}

/// Whether the evaluator may make more of it than a test has time and memory for: it calls functions, extends objects by themselves, or
/// has a number that is large. Of combu, the process around the evaluator bounds that.
pub(super) fn may_take_long(text: &str) -> bool {
    const CALLS: [&str; 10] = ["function", "fold", "range", "repeat", "makeArray", ") =", ")=", "):", "self", "$"];
    let digits = |c: char| c.is_ascii_digit() || c == '_';
    let is_long = |number: &str| number.chars().filter(char::is_ascii_digit).count() > 3;
    let power = |at: usize| text[at + 1..].trim_start_matches(['+', ' ']).starts_with(|c: char| c.is_ascii_digit());
    CALLS.iter().any(|word| text.contains(word))
        || text.split(|c| !digits(c)).any(is_long)
        || text.match_indices(['e', 'E']).any(|(at, _)| power(at))
}

fn load_options() -> LoadOptions {
    LoadOptions {
        id: "abcdefghijkl".to_owned(),
        ext_str: vec![("who".to_owned(), "you".to_owned())],
        ext_code: vec![("n".to_owned(), "[1, {a: 2}]".to_owned())],
        ..LoadOptions::default()
    }
}

/// Reads the document with these trials, and each trial again from what is written of it.
fn read(document: &Value, trials: &mut dyn Iterator<Item = Value>) {
    let (_, mut asked, trials) = match read_document(document, trials, Path::new(FOLDER)) {
        Ok(parts) => parts,
        Err(problems) => return assert!(!problems.0.is_empty() && !problems.to_string().is_empty()),
    };
    if let Some(search) = asked.search.take() {
        let written = serde_json::to_value(&search).unwrap();
        assert_eq!(serde_json::from_value(written).ok(), Some(search));
    }
    let written = serde_json::to_value(&asked).unwrap();
    assert_eq!(options(written.as_object().unwrap()), Ok(asked.clone()), "{written}");
    assert_eq!(serde_json::from_value(written).ok(), Some(asked));
    for read in trials {
        let written = Value::Object(read.to_json());
        assert_eq!(trial(&written, Path::new("/elsewhere")).as_ref(), Ok(&*read), "{written}");
        let stored = serde_json::to_string(&*read).unwrap();
        assert_eq!(serde_json::from_str::<Trial>(&stored).ok().as_ref(), Some(&*read), "{stored}");
    }
}

#[test]
fn documents() {
    // Specs are written in jsonnet: what they evaluate to is where documents begin.
    let specs = texts(&["jsonnet", "libsonnet"]).filter(|text| text.contains('{') && !may_take_long(text));
    let evaluated = specs.filter_map(|text| {
        let whole = |mut document: Value, trials: &mut dyn Iterator<Item = Value>| {
            let trials = trials.collect();
            match &mut document {
                Value::Object(map) => _ = map.get_mut(TRIALS).map(|list| *list = trials),
                list => *list = trials,
            }
            document
        };
        load::evaluate(&spec(), &text, &load_options(), whole).ok().map(|document| document.to_string())
    });
    let evaluated: Vec<String> = evaluated.collect();
    assert!(evaluated.len() > 50, "specs of the repository are not found, or not evaluated");
    let full = Value::Object(full().to_json());
    let full = [full.to_string(), json!({"name": "m", "trials": [full.clone()]}).to_string()];
    check(evaluated.into_iter().chain(full), |input| {
        let Ok(mut document) = serde_json::from_slice::<Value>(input) else { return };
        if let Some(map) = document.as_object() {
            let _ = (options(map), budget(map));
        }
        let trials = take_trials(&mut document);
        read(&document, &mut trials.into_iter());
    });
}

#[test]
fn jsonnet() {
    let seeds = texts(&["jsonnet", "libsonnet", "json"]).filter(|text| text.contains(['{', '[']));
    check(seeds, |input| {
        let Ok(text) = std::str::from_utf8(input) else { return };
        let id = load_options().id;
        let replaced = uuid::replace(text, &id);
        assert!(replaced == text || replaced.contains(&id));
        if may_take_long(text) {
            return;
        }
        let evaluated = load::evaluate(&spec(), text, &load_options(), |document, trials| {
            let trials: Vec<Value> = trials.collect();
            read(&document, &mut trials.clone().into_iter());
            (document, trials)
        });
        // What is read without the evaluator is what that makes of it.
        if let Some(mut plain) = plain::parse(text)
            && !text.contains("UUID")
        {
            let trials = take_trials(&mut plain);
            assert_eq!(evaluated.unwrap_or_else(|error| panic!("{}", error.message)), (plain, trials));
        }
    });
}

#[test]
fn bases_of_trials() {
    let mut seeds = Vec::new();
    for found in literals(include_str!("template.rs")) {
        match found {
            Value::Object(base) => seeds.push(json!([base, {"lr": 0.1, "mode": "a {b}"}]).to_string()),
            Value::Array(points) => {
                seeds.push(Value::from_iter([json!({"name": "t-{a}"})].into_iter().chain(points)).to_string())
            }
            _ => {}
        }
    }
    check(seeds, |input| {
        let Ok(Value::Array(given)) = serde_json::from_slice(input) else { return };
        let mut objects = given.iter().filter_map(Value::as_object).cloned();
        let Some(base) = objects.next() else { return };
        let points: Vec<Point> = objects.collect();
        let template = Template::new(base.clone());
        let trials = match template.trials(&points) {
            Ok(trials) => trials,
            Err(error) => return assert!(!error.message.is_empty() && error.hint.is_some()),
        };
        assert_eq!(trials.len(), points.len());
        let named = template.named(&points).expect("the trials have names");
        for (place, (trial, point)) in trials.iter().zip(&points).enumerate() {
            assert_eq!((&trial["name"], &trial["params"]), (&json!(named[place].0), &json!(named[place].1)));
            assert!(point.iter().all(|(key, value)| trial["params"].get(key) == Some(value)));
            let has_brace = |value: &Value| value.to_string().contains('{');
            let stay =
                base.iter().filter(|(key, value)| !["name", "params"].contains(&key.as_str()) && !has_brace(value));
            stay.for_each(|(key, value)| assert_eq!(trial.get(key), Some(value)));
            // Only a name that says where its values stand can be the same for all.
            let numbered = template.numbered(place, point).expect("the trial is made");
            assert!(trial.iter().all(|(key, value)| key == "name" || numbered.get(key) == Some(value)));
            // A text in which nothing stands for a param is the same after it was filled.
            if !trial.values().any(has_brace) {
                let again = Template::new(trial.clone()).trials(&[Point::new()]);
                assert_eq!(again.expect("nothing is asked for")[0]["params"], trial["params"]);
            }
        }
    });
}

/// What is displayed reads back, and so does what is stored.
fn reads_back<T>(text: &str, read: impl Fn(&str) -> Result<T, String>)
where
    T: Debug + Display + PartialEq + Serialize + DeserializeOwned,
{
    match read(text) {
        Ok(value) => {
            assert_eq!(read(&value.to_string()).as_ref(), Ok(&value));
            let stored = serde_json::to_string(&value).unwrap();
            assert_eq!(serde_json::from_str::<T>(&stored).ok(), Some(value), "{stored}");
        }
        Err(message) => assert!(message.contains(text.trim())),
    }
}

#[test]
fn units_and_options() {
    let short = texts(&[]).filter(|text| text.len() < 60);
    check(short, |input| {
        let Ok(text) = std::str::from_utf8(input) else { return };
        reads_back(text, Parallel::parse);
        reads_back(text, Load::parse);
        reads_back(text, Halt::parse);
        reads_back(text, Destination::parse);
        if let Ok(read) = timeout(text) {
            let stored = serde_json::to_string(&read).unwrap();
            assert_eq!(serde_json::from_str(&stored).ok(), Some(read), "{stored}");
            let _ = (read.slow(), read.limit(Some(std::time::Duration::from_secs(9))));
        }
        let _ = (duration(text), size(text), cpu_number(text), limit(text), niceness(text), pressure(text));
        if let Ok(ids) = gpu_ids(text) {
            assert_eq!(gpu_ids(&ids.join(",")), Ok(ids));
        }
        if let Ok(read) = reserve(text) {
            let stored = serde_json::to_string(&read).unwrap();
            assert_eq!(serde_json::from_str(&stored).ok(), Some(read), "{stored}");
        }
        assert!(!reference().is_empty());
    });
}

#[test]
fn answers_of_the_evaluator() {
    let mut written = Vec::new();
    let values = texts(&["json"]).filter_map(|text| serde_json::from_str::<Value>(&text).ok());
    values.for_each(|value| answer(&mut written, b'v', &value).unwrap());
    let request = EvaluationRequest {
        path: Cow::Borrowed(Path::new(FOLDER)),
        text: Cow::Borrowed("[{name: 'aa'}]"),
        options: Cow::Owned(load_options()),
        parent: 1,
        traced: true,
    };
    let request = serde_json::to_vec(&request).unwrap();
    let others = [
        &b"v[]\nv{\"name\":\"aa\"}\ns{\"path\":\"/lab/a\",\"text\":\"1\"}\n.null\n"[..],
        b"v[]\ne{\"message\":\"no\",\"hint\":null,\"at\":\"\",\"frames\":[]}\n",
        &request,
        &written,
    ];
    check(others, |input| {
        if let Some(request) = parsed::<EvaluationRequest>(input) {
            let again = serde_json::to_vec(&request).unwrap();
            assert!(parsed::<EvaluationRequest>(&again).is_some_and(|again| again.text == request.text));
        }
        let sources = Sources::default();
        let mut answers = Answers { lines: input, sources: &sources, end: None };
        for value in answers.by_ref() {
            let mut line = Vec::new();
            answer(&mut line, b'v', &value).unwrap();
            let again = Answers { lines: &line[..], sources: &sources, end: None }.next();
            assert_eq!(again, Some(value));
        }
    });
}
