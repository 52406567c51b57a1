//! `combu export`: what other programs read, read with those programs.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::{fs, thread};

use serde_json::{Value, json};

use crate::harness::{Lab, Said};

/// Three trials with params and curves: one succeeds, one at the second try, one fails.
const SPEC: &str = r#"{
  goal: 'min loss',
  trials: [
    {name: 'good', engine: 'local', params: {lr: 0.1, mode: 'a'}, cmd: ['sh', '-c',
      'for i in 1 2 3; do echo "::combu metric loss=0.$((5 - i)) step=$i"; done; echo ::combu metric acc=0.5; echo ::combu tag host=here']},
    {name: 'again', engine: 'local', params: {lr: 0.5, mode: 'b'}, retries: 1, cmd: ['sh', '-c',
      'echo "::combu metric loss=0.$COMBU_ATTEMPT step=1"; [ $COMBU_ATTEMPT = 2 ]']},
    {name: 'fails', engine: 'local', params: {lr: 1, mode: 'a'}, cmd: ['sh', '-c', 'echo ::combu metric loss=7 step=1; exit 3']},
    {name: 'after', engine: 'local', depends: [{trial: 'fails', condition: 'completed'}], cmd: 'true'},
  ],
}"#;

/// Python with optuna and tensorboard. Where it is missing, the test is skipped aloud, or fails if
/// `COMBU_TEST_EXPORTS=required`.
fn python() -> Option<PathBuf> {
    let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/exports/bin/python");
    if program.exists() {
        return Some(program);
    }
    let test = thread::current().name().unwrap_or("a test").to_owned();
    let is_required = std::env::var("COMBU_TEST_EXPORTS").is_ok_and(|wish| wish == "required");
    assert!(!is_required, "COMBU_TEST_EXPORTS=required, but there is no target/exports");
    let line = "python3 -m venv target/exports && target/exports/bin/pip install optuna tensorboard";
    writeln!(std::io::stderr(), "SKIPPED (no exports): {test}: {line}").expect("stderr can be written");
    None
}

/// What a program prints, as JSON.
#[track_caller]
fn read(python: &Path, lab: &Lab, program: &str) -> Value {
    let mut command = Command::new(python);
    command.args(["-W", "error", "-c", program]).current_dir(lab.path("")).stdin(Stdio::null());
    let out = command.env("TF_CPP_MIN_LOG_LEVEL", "3").output().unwrap();
    assert!(out.status.success(), "{}", String::from_utf8_lossy(&out.stderr));
    serde_json::from_slice(&out.stdout).unwrap()
}

fn ran(spec: &str) -> Lab {
    let lab = Lab::with(spec);
    lab.combu(&["run", "spec.jsonnet"]).code(100);
    lab
}

/// The trials of a journal in `file`.
const STUDY: &str = r#"
import json, optuna
from optuna.storages import JournalStorage
from optuna.storages.journal import JournalFileBackend
study = optuna.load_study(study_name=None, storage=JournalStorage(JournalFileBackend("sweep.journal")))
def told(trial):
    return {
        "name": trial.user_attrs["combu_name"], "state": trial.state.name, "value": trial.value, "params": trial.params,
        "steps": trial.intermediate_values, "status": trial.user_attrs.get("combu_status"),
        "took": trial.duration is not None and trial.duration.total_seconds() >= 0,
        "kinds": {name: type(of).__name__ for name, of in trial.distributions.items()},
    }
trials = sorted(map(told, study.trials), key=lambda trial: trial["name"])
best = study.best_trial.user_attrs["combu_name"] if any(t["state"] == "COMPLETE" for t in trials) else None
print(json.dumps({"study": study.study_name, "direction": study.direction.name, "best": best, "trials": trials}))
"#;

#[test]
fn optuna_opens_a_journal() {
    let Some(python) = python() else { return };
    let lab = ran(SPEC);
    let said = lab.combu(&["export", "--to", "optuna", "-o", "sweep.journal"]).code(0);
    assert_eq!(said.stderr, "exported to sweep.journal: 3 trials; 1 that did not begin left out\n");
    let study = read(&python, &lab, STUDY);
    assert_eq!(
        (&study["study"], &study["direction"], &study["best"]),
        (&json!("spec"), &json!("MINIMIZE"), &json!("good"))
    );
    let kinds = json!({"lr": "FloatDistribution", "mode": "CategoricalDistribution"});
    let trial = |name: &str, state: &str, status: &str, value: Value, lr: f64, mode: &str, steps: Value| {
        json!({"name": name, "state": state, "value": value, "params": {"lr": lr, "mode": mode}, "steps": steps,
            "status": status, "took": true, "kinds": kinds})
    };
    let steps = json!({"1": 0.4, "2": 0.3, "3": 0.2});
    assert_eq!(study["trials"][0], trial("again", "COMPLETE", "succeeded", json!(0.2), 0.5, "b", json!({"1": 0.2})));
    assert_eq!(study["trials"][1], trial("fails", "FAIL", "failed", json!(null), 1.0, "a", json!({"1": 7.0})));
    assert_eq!(study["trials"][2], trial("good", "COMPLETE", "succeeded", json!(0.2), 0.1, "a", steps));
    // A part of it, with another goal.
    let args = ["export", "last/g*", "--to", "optuna", "--goal", "max best(loss)", "--force", "-o", "sweep.journal"];
    lab.combu(&args).code(0);
    let study = read(&python, &lab, STUDY);
    assert_eq!((&study["direction"], &study["trials"][0]["value"]), (&json!("MAXIMIZE"), &json!(0.4)));
}

#[test]
fn optuna_goes_on_with_a_search_of_a_spec() {
    let Some(python) = python() else { return };
    let lab = Lab::with(
        r#"local combu = import 'combu.libsonnet';
        {goal: 'max score', search: {trials: 6, space: {x: combu.uniform(0, 1), n: {from: 1, to: 8}, kind: ['p', 'q']},
          base: {name: 'fit', engine: 'local', cmd: ['sh', '-c', 'echo ::combu metric score={n}']}}}"#,
    );
    lab.combu(&["run", "spec.jsonnet"]).code(0);
    lab.combu(&["export", "--to", "optuna", "-o", "sweep.journal"]).code(0);
    let program = format!(
        "{STUDY}
of = study.trials[0].distributions
study.optimize(lambda trial: trial.suggest_float('x', 0, 1) + trial.suggest_int('n', 1, 8) \
            + len(trial.suggest_categorical('kind', ['p', 'q'])), n_trials=2)
print(json.dumps([len(study.trials), of['x'].high, of['n'].high, list(of['kind'].choices)]))"
    );
    let mut command = Command::new(&python);
    let out = command.args(["-c", &program]).current_dir(lab.path("")).output().unwrap();
    let said = String::from_utf8(out.stdout).unwrap();
    assert_eq!(said.lines().last(), Some(r#"[8, 1.0, 8, ["p", "q"]]"#), "{}", String::from_utf8_lossy(&out.stderr));
}

#[test]
fn tensorboard_reads_the_curves_and_params() {
    let Some(python) = python() else { return };
    let lab = ran(SPEC);
    lab.combu(&["export", "--to", "tensorboard", "-o", "tb"]).code(0);
    let program = r#"
import glob, json, os
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator
from tensorboard.plugins.hparams import metadata, plugin_data_pb2
runs = {}
for file in sorted(glob.glob("tb/*/*/*tfevents*")):
    events = EventAccumulator(os.path.dirname(file)).Reload()
    curves = {tag: [[e.step, round(e.value, 3)] for e in events.Scalars(tag)] for tag in events.Tags()["scalars"]}
    assert all(e.wall_time > 1.6e9 for tag in curves for e in events.Scalars(tag))
    content = events.SummaryMetadata("_hparams_/session_start_info").plugin_data.content
    start = metadata.parse_session_start_info_plugin_data(content)
    params = {name: value.string_value or value.number_value for name, value in start.hparams.items()}
    content = events.SummaryMetadata("_hparams_/session_end_info").plugin_data.content
    end = metadata.parse_session_end_info_plugin_data(content)
    runs[file.split("/")[2]] = {"curves": curves, "params": params, "end": end.status}
print(json.dumps(runs))
"#;
    let runs = read(&python, &lab, program);
    let curve = json!({"loss": [[1, 0.4], [2, 0.3], [3, 0.2]], "acc": [[0, 0.5]]});
    assert_eq!(runs["good"], json!({"curves": curve, "params": {"lr": 0.1, "mode": "a"}, "end": 1}));
    assert_eq!(runs["again"]["curves"], json!({"loss": [[1, 0.2]]}));
    assert_eq!((&runs["fails"]["end"], runs.as_object().unwrap().len()), (&json!(2), 3));
    // What is there is not overwritten unasked.
    let said = lab.combu(&["export", "--to", "tensorboard", "-o", "tb"]).code(2);
    assert!(
        said.stderr.contains("is there already; nothing was exported\nhint: `--force` overwrites it"),
        "{}",
        said.stderr
    );
    lab.combu(&["export", "--to", "tensorboard", "-o", "tb", "--force"]).code(0);
    assert_eq!(read(&python, &lab, program), runs);
}

#[test]
fn rows_are_those_of_metrics_and_a_trace_has_every_attempt() {
    let lab = ran(SPEC);
    let rows = lab.combu(&["export", "--to", "jsonl"]).code(0).stdout;
    assert_eq!(rows, lab.combu(&["metrics", "-o", "json"]).code(0).stdout);
    let said =
        lab.combu(&["export", "--to", "chrome-trace", "--where", "params.mode == 'b'".replace('\'', "\"").as_str()]);
    let trace = said.code(0).json();
    let of = |kind: &str| {
        let entries = trace["traceEvents"].as_array().unwrap().iter().filter(|entry| entry["cat"] == kind);
        entries.map(|entry| entry["args"].clone()).collect::<Vec<_>>()
    };
    assert_eq!(of("retry")[0]["attempt"], 2);
    let attempts: Vec<_> = of("attempt").iter().map(|args| (args["attempt"].clone(), args["status"].clone())).collect();
    assert_eq!(attempts, [(json!(1), json!("failed")), (json!(2), json!("succeeded"))]);
    assert_eq!(of("phase").len(), 2);
}

#[test]
fn what_cannot_be_exported_is_told() {
    let lab = Lab::new();
    let said = |args: &[&str], code: i32| -> String {
        let said: Said = lab.combu(&[&["export"], args].concat()).code(code);
        said.stderr.lines().take(2).collect::<Vec<_>>().join("\n")
    };
    assert!(said(&["--to", "optuna"], 4).starts_with("error: no run is recorded"));
    lab.write("spec.jsonnet", "[{name: 'quiet', engine: 'local', params: {a: 1}, cmd: 'true'}]");
    lab.combu(&["run", "spec.jsonnet"]).code(0);
    insta::with_settings!({filters => vec![("run [a-z0-9]{12}", "run [RUN]")]}, {
        insta::assert_snapshot!(said(&["--to", "optuna"], 2), @"
        error: run [RUN] of `spec` has no goal, and a study looks for something
        hint: say it: `--goal 'min loss'`
        ");
    });
    insta::assert_snapshot!(said(&["--to", "jsonl"], 4), @"
    error: no value was told
    hint: a trial tells one by printing `::combu metric loss=0.3 step=7`: `combu help metrics`
    ");
    insta::assert_snapshot!(said(&["--to", "tensorboard"], 2), @"
    error: TensorBoard reads a folder: say which one
    hint: `combu export --to tensorboard -o tb`
    ");
    insta::assert_snapshot!(said(&["--to", "optuna", "--goal", "less loss"], 2), @"error: invalid value 'less loss' for '--goal <GOAL>': `less loss` is no goal: write `min loss`, `max acc`, or `min best(loss)` for the best of all steps");
    insta::assert_snapshot!(said(&["--to", "optuna", "--where", "params.a > 1", "--goal", "min loss"], 4), @"error: nothing to export: no trial of which `params.a > 1` is true has begun");
    insta::assert_snapshot!(said(&["--to", "chrome-trace", "-o", "no/such/folder.json"], 2), @"error: `no/such/folder.json` cannot be written: No such file or directory (os error 2)");
    lab.write("there", "mine");
    insta::assert_snapshot!(said(&["--to", "chrome-trace", "-o", "there"], 2), @"
    error: `there` is there already; nothing was exported
    hint: `--force` overwrites it
    ");
    assert_eq!(lab.read("there"), "mine");
    lab.combu(&["export", "--to", "chrome-trace", "-o", "there", "--force"]).code(0);
    assert!(lab.read("there").starts_with("{\"displayTimeUnit\""));
}

#[test]
fn an_export_follows_a_run_to_its_end() {
    let lab = Lab::with(
        r#"{goal: 'min loss', trials: [{name: 'train', engine: 'local', params: {lr: 1}, cmd: ['sh', '-c',
            'echo ::combu metric loss=3 step=1; cat ready; echo ::combu metric loss=2 step=2']}]}"#,
    );
    lab.pipe("ready");
    let mut run = lab.start(&["run", "spec.jsonnet", "--progress", "json"]);
    run.line(r#""kind":"metric""#);
    let mut rows = lab.start(&["export", "--to", "jsonl", "--follow"]);
    let mut journal = lab.start(&["export", "--to", "optuna", "--follow", "-o", "-"]);
    let tensorboard = lab.start(&["export", "--to", "tensorboard", "--follow", "-o", "tb"]);
    let trace = lab.start(&["export", "--to", "chrome-trace", "--follow", "-o", "trace.json"]);
    rows.line(r#""name":"loss","step":1,"value":3.0"#);
    journal.line(r#""intermediate_value":3.0"#);
    fs::write(lab.path("ready"), "").unwrap();
    run.end().code(0);
    rows.line(r#""name":"loss","step":2,"value":2.0"#);
    rows.end().code(0);
    journal.line(r#""intermediate_value":2.0"#);
    let said = journal.end().code(0);
    assert!(said.stdout.lines().last().unwrap().contains(r#""state":1,"values":[2.0]"#), "{}", said.stdout);
    lab.write("sweep.journal", &said.stdout);
    assert_eq!(tensorboard.end().code(0).stderr, "exported to tb: 1 trial\n");
    trace.end().code(0);
    assert!(lab.read("trace.json").contains(r#""status":"succeeded""#));
    // The same as an export afterwards.
    lab.combu(&["export", "--to", "optuna", "-o", "after.journal"]).code(0);
    assert_eq!(lab.read("after.journal"), said.stdout);
    lab.combu(&["export", "--to", "tensorboard", "-o", "after"]).code(0);
    let file = format!("{}/train/events.out.tfevents.combu", lab.only_run().file_name().unwrap().to_str().unwrap());
    let bytes = |folder: &str| fs::read(lab.path(folder).join(&file)).unwrap();
    assert_eq!(bytes("tb"), bytes("after"));
}

#[test]
fn the_python_of_the_manual_is_python() {
    let page = include_str!("../../docs/exports.md");
    let blocks: Vec<&str> = page.split("```python\n").skip(1).filter_map(|rest| rest.split("```").next()).collect();
    assert_eq!(blocks.len(), 3);
    let Some(python) = python() else { return };
    for block in blocks {
        let mut command = Command::new(&python);
        command.args(["-c", "import ast, sys; ast.parse(sys.argv[1])", block]);
        let out = command.output().unwrap();
        assert!(out.status.success(), "{block}\n{}", String::from_utf8_lossy(&out.stderr));
    }
}
