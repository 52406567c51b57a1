//! Specs that search: their trials follow from what those before came to, also after combu died.

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::Lab;

/// Searches for x = 0.3, one trial at a time.
const SPEC: &str = r#"
local combu = import 'combu.libsonnet';
{
  goal: 'min loss', parallel: 1,
  search: {
    space: { x: combu.uniform(0, 1) }, trials: 24,
    base: { name: 'fit', engine: 'local',
      cmd: ['sh', '-c', "awk 'BEGIN { printf \"::combu metric loss=%.5f\\n\", ({x} - 0.3) ^ 2 }'"] },
  },
}
"#;

/// The names and params of all trials of the last run.
fn points(lab: &Lab) -> Vec<(String, String)> {
    let rows = lab.combu(&["results", "-o", "json"]).code(0).json();
    let mut points: Vec<(String, String)> = rows
        .as_array()
        .unwrap()
        .iter()
        .map(|row| {
            assert_eq!(row["status"], "succeeded", "{row}");
            (row["name"].as_str().unwrap().to_owned(), row["params"]["x"].to_string())
        })
        .collect();
    points.sort();
    points
}

#[test]
fn a_search_that_is_killed_goes_on_with_the_same_points() {
    let lab = Lab::with(SPEC);
    let said = lab.combu(&["run", "spec.jsonnet", "-o", "json"]).code(0);
    let undisturbed = points(&lab);
    assert_eq!(undisturbed.len(), 24);
    assert!(said.stderr.contains("best: `fit-"), "{}", said.stderr);
    let plan = lab.combu(&["plan", "spec.jsonnet"]).code(0).stdout;
    assert!(plan.contains("search: 24 trials in all, by tpe"), "{plan}");

    let other = Lab::with(SPEC);
    let mut live = other.start(&["run", "spec.jsonnet", "--progress", "json"]);
    let ends =
        [("fit-004", Signal::KILL), ("fit-009", Signal::INT), ("fit-013", Signal::INT), ("fit-018", Signal::KILL)];
    for (trial, signal) in ends {
        live.event("trial-ended", trial);
        live.signal_if_alive(signal);
        live.end();
        live = other.start(&["resume", "--progress", "json"]);
    }
    live.end().code(0);
    assert_eq!(points(&other), undisturbed);
}

#[test]
fn a_search_ends_when_it_has_found_enough_and_is_not_filtered_or_compared() {
    let lab = Lab::with(&SPEC.replace("trials: 24,", "trials: 200, method: 'random', enough: 'loss < 0.01',"));
    let said = lab.combu(&["run", "spec.jsonnet", "-o", "json"]).code(0).json();
    let results = said["results"].as_array().unwrap();
    let is_enough = |result: &Value| result["metrics"]["loss"]["last"].as_f64().unwrap() < 0.01;
    assert!(results.len() < 100 && results.iter().any(is_enough), "{} trials", results.len());
    for (option, hint) in
        [("--resume", "`combu resume` goes on with a search"), ("--trial=fit-*", "`combu rerun` runs some")]
    {
        let said = lab.combu(&["run", "spec.jsonnet", option]).code(2);
        assert!(said.stderr.contains("makes them in a search") && said.stderr.contains(hint), "{}", said.stderr);
    }
    lab.write("use.rhai", "run(experiment(\"spec.jsonnet\"))");
    let said = lab.combu(&["script", "use.rhai"]).code(2);
    assert!(said.stderr.contains("`spec.jsonnet` makes its trials in a search"), "{}", said.stderr);
    lab.combu(&["rerun", "last/fit-000"]).code(0);
}
