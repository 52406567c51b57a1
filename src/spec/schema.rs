//! The JSON Schema of a spec, made from the list of the keys: for editors, which complete and check with it.

use serde_json::{Map, Value, json};

use crate::spec::fields::{FIELDS, Key, SEARCH, TOP, TRIALS, options};
use crate::spec::shape::or_null;

/// The schema of the document that a spec evaluates to.
pub fn schema() -> Value {
    let trial = properties(FIELDS.iter());
    let mut defaults = trial.clone();
    // No default name can be unique.
    defaults.insert("name".to_owned(), json!({"type": "null"}));
    let mut experiment = properties(TOP.iter().chain(options()));
    experiment.insert(TRIALS.to_owned(), described(TRIALS, json!({"$ref": "#/$defs/trials"})));
    experiment.insert("defaults".to_owned(), described("defaults", or_null(json!({"$ref": "#/$defs/defaults"}))));
    json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": "A spec of combu",
        "anyOf": [{"$ref": "#/$defs/trials"}, {"$ref": "#/$defs/experiment"}],
        "$defs": {
            "trials": {"type": "array", "items": {"$ref": "#/$defs/trial"}},
            "experiment": with_any_of(object(experiment, &[]), &[TRIALS, SEARCH]),
            "trial": object(trial, &["name"]),
            "defaults": object(defaults, &[]),
        },
    })
}

fn object(properties: Map<String, Value>, needed: &[&str]) -> Value {
    json!({"type": "object", "properties": properties, "required": needed, "additionalProperties": false})
}

/// The schema of an object that has one of those keys.
fn with_any_of(mut schema: Value, keys: &[&str]) -> Value {
    schema["anyOf"] = keys.iter().map(|key| json!({"required": [key]})).collect();
    schema
}

fn properties(keys: impl Iterator<Item = &'static Key>) -> Map<String, Value> {
    keys.map(|key| {
        let schema = key.shape.schema();
        let schema = if key.name == "name" && key.meaning.contains("Required") { schema } else { or_null(schema) };
        (key.name.to_owned(), with_meaning(key, schema))
    })
    .collect()
}

fn described(name: &str, schema: Value) -> Value {
    match TOP.iter().find(|key| key.name == name) {
        Some(key) => with_meaning(key, schema),
        None => schema,
    }
}

/// The schema with what the manual says of the key.
fn with_meaning(key: &Key, mut schema: Value) -> Value {
    if let Value::Object(map) = &mut schema {
        map.insert("description".to_owned(), key.meaning.into());
    }
    schema
}

#[cfg(test)]
mod tests {
    use std::io::Write;
    use std::path::{Path, PathBuf};
    use std::process::{Command, Stdio};

    use serde_json::{Map, Value, json};

    use super::schema;
    use crate::fuzz::texts;
    use crate::spec::document::{read_document, take_trials};
    use crate::spec::fields::{FIELDS, TOP, TRIALS, options};
    use crate::spec::fuzz::{may_take_long, spec};
    use crate::spec::load;

    /// Says for each document whether the schema accepts it; Python's jsonschema reads it.
    const PROGRAM: &str = "\
import json, sys
from jsonschema import Draft202012Validator as Validator
given = json.load(sys.stdin)
Validator.check_schema(given['schema'])
validator = Validator(given['schema'])
print(json.dumps([validator.is_valid(document) for document in given['documents']]))
";

    /// A Python that has jsonschema. Where there is none the test is skipped aloud, or fails if `COMBU_TEST_SCHEMA=required`.
    fn python() -> Option<PathBuf> {
        let own = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/moto/bin/python");
        let has = |python: &PathBuf| {
            let asked = Command::new(python).args(["-c", "import jsonschema"]).stderr(Stdio::null()).status();
            asked.is_ok_and(|status| status.success())
        };
        let found = [own, PathBuf::from("python3")].into_iter().find(has);
        if found.is_none() {
            let is_required = std::env::var("COMBU_TEST_SCHEMA").is_ok_and(|wish| wish == "required");
            assert!(!is_required, "COMBU_TEST_SCHEMA=required, but no Python has jsonschema");
            let line = "python3 -m venv target/moto && target/moto/bin/pip install jsonschema";
            writeln!(std::io::stderr(), "SKIPPED (no jsonschema): {line}").expect("stderr can be written");
        }
        found
    }

    fn accepted(python: &Path, documents: &[Value]) -> Vec<bool> {
        let mut child =
            Command::new(python).args(["-c", PROGRAM]).stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().unwrap();
        let given = json!({"schema": schema(), "documents": documents}).to_string();
        child.stdin.take().unwrap().write_all(given.as_bytes()).unwrap();
        let said = child.wait_with_output().unwrap();
        assert!(said.status.success());
        serde_json::from_slice(&said.stdout).unwrap()
    }

    /// What the reader of specs finds wrong with a document.
    fn problems(document: &Value) -> Vec<String> {
        let mut rest = document.clone();
        let trials = take_trials(&mut rest);
        match read_document(&rest, &mut trials.into_iter(), Path::new("/lab")) {
            Ok(_) => Vec::new(),
            Err(problems) => problems.0.into_iter().map(|problem| problem.message).collect(),
        }
    }

    /// True for a problem with the type of a value, or with a key: such that a schema can tell.
    fn is_of_type(problem: &str) -> bool {
        ["expected ", "unknown key ", "a default name "].iter().any(|begin| problem.starts_with(begin))
            || problem.contains("is missing")
            || problem.contains(" is none of ")
    }

    /// Values of every type, and some within each other.
    fn values() -> Vec<Value> {
        let plain = [json!(true), json!(1), json!(0.5), json!("x"), json!("1"), json!([]), json!({}), json!(null)];
        let mut values = plain.to_vec();
        for inner in &plain {
            values.push(json!([inner]));
            values.push(json!({"x": inner}));
        }
        values.push(json!({"host": 1, "container": true}));
        values.push(json!({"trial": "one", "condition": "never"}));
        values.push(json!({"test": ["CMD", "true"], "interval": []}));
        values.push(json!({"count": 1, "on": ["never"]}));
        values
    }

    /// Documents of each key with each value, and with values of its own forms.
    fn documents() -> Vec<Value> {
        let mut documents = Vec::new();
        for field in FIELDS {
            for value in values() {
                let mut trial: Map<String, Value> = json!({"name": "one"}).as_object().unwrap().clone();
                trial.insert(field.name.to_owned(), value.clone());
                documents.push(json!([trial]));
                documents.push(json!({"trials": [{"name": "one"}], "defaults": {field.name: value}}));
            }
        }
        for key in TOP.iter().chain(options()) {
            for value in values() {
                let mut top: Map<String, Value> = json!({"trials": [{"name": "one"}]}).as_object().unwrap().clone();
                top.insert(key.name.to_owned(), value);
                documents.push(Value::Object(top));
            }
        }
        documents.extend(values());
        documents
    }

    /// Specs of the tests and the manual that are JSON, and what those that are jsonnet come to.
    fn specs() -> Vec<Value> {
        let mut specs: Vec<Value> = texts(&["json", "jsonnet"]).filter_map(|text| evaluated(&text)).collect();
        for field in FIELDS {
            for form in field.forms {
                let name = if field.name == "name" { "" } else { "name: 'some', " };
                specs.extend(evaluated(&format!("[{{ {name}{}: {form} }}]", field.name)));
            }
        }
        for key in TOP.iter().chain(options()) {
            for form in key.forms {
                let trials = if key.name == "trials" { "" } else { "trials: [], " };
                specs.extend(evaluated(&format!("{{ {trials}'{}': {form} }}", key.name)));
            }
        }
        specs.retain(|spec| problems(spec).is_empty());
        specs
    }

    /// The document that a spec comes to, where it is one without imports.
    fn evaluated(text: &str) -> Option<Value> {
        if may_take_long(text) {
            return None;
        }
        let options = crate::spec::LoadOptions { id: "abcdefghijkl".to_owned(), ..Default::default() };
        let whole = |mut document: Value, trials: &mut dyn Iterator<Item = Value>| {
            let trials: Vec<Value> = trials.collect();
            match &mut document {
                Value::Array(list) => *list = trials,
                Value::Object(map) if map.contains_key(TRIALS) && !trials.is_empty() => {
                    map.insert(TRIALS.to_owned(), trials.into());
                }
                _ => {}
            }
            document
        };
        load::evaluate(&spec(), text, &options, whole).ok()
    }

    #[test]
    fn the_schema_accepts_every_spec_and_refuses_every_wrong_type() {
        let Some(python) = python() else { return };
        let specs = specs();
        assert!(specs.len() > 150, "{}", specs.len());
        for (spec, is_accepted) in specs.iter().zip(accepted(&python, &specs)) {
            assert!(is_accepted, "the schema refuses {spec}");
        }
        let documents = documents();
        let (mut good, mut bad) = (0, 0);
        for (document, is_accepted) in documents.iter().zip(accepted(&python, &documents)) {
            let problems = problems(document);
            if problems.is_empty() {
                assert!(is_accepted, "the schema refuses {document}");
                good += 1;
            } else if problems.iter().any(|problem| is_of_type(problem)) {
                assert!(!is_accepted, "the schema accepts {document}: {problems:?}");
                bad += 1;
            }
        }
        assert!(good > 300 && bad > 1000, "{good} good, {bad} bad");
    }
}
