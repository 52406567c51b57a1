//! Every option that is documented to reach a trial reaches it: each option, each way to say it, each verb that runs trials.

use combu::model::options::TrialDefaults;
use serde_json::{Map, Value, json};

use crate::harness::Lab;

/// Two trials, one after the other; the second is what is looked at.
const TRIALS: &str = "{name: 'first', engine: 'local', cmd: 'false', retries: 0}, {name: 'probe', cmd: 'true'}";

/// An option: its flag, two values of it, how a spec says them, and what is decided.
type Row = (&'static str, [&'static str; 2], [Value; 2], [Value; 2]);

/// Some values of every option, as the command line has them and as a spec has them.
fn options(second: bool) -> (Vec<String>, Map<String, Value>, Map<String, Value>) {
    let rows: [Row; 7] = [
        (
            "--retries",
            ["1", "2"],
            [json!(1), json!(2)],
            [1, 2].map(|count| json!({"count": count, "backoff": "fixed"})),
        ),
        ("--timeout", ["61s", "62s"], [json!("61s"), json!("62s")], [json!(61), json!(62)]),
        ("--stop-grace", ["5s", "6s"], [json!("5s"), json!("6s")], [json!(5), json!(6)]),
        ("--pull", ["never", "always"], [json!("never"), json!("always")], [json!("never"), json!("always")]),
        ("--nice", ["3", "4"], [json!(3), json!(4)], [json!(3), json!(4)]),
        ("--prefix", ["lab", "user_"], [json!("lab"), json!("user_")], [json!("lab-"), json!("user_")]),
        ("--engine", ["local", "local"], [json!("local"), json!("local")], [json!("local"), json!("local")]),
    ];
    let (mut args, mut said, mut decided) = (Vec::new(), Map::new(), Map::new());
    for (flag, words, values, resolved) in rows {
        let key = flag.trim_start_matches("--").replace('-', "_");
        let which = usize::from(second);
        args.push(format!("{flag}={}", words[which]));
        said.insert(key.clone(), values[which].clone());
        decided.insert(key, resolved[which].clone());
    }
    // An option that is added is to be tried here: this does not compile before it has its row.
    let TrialDefaults {
        retries: _,
        timeout: _,
        stop_grace: _,
        pull: _,
        engine: _,
        engine_of_all: _,
        nice: _,
        prefix: _,
    } = TrialDefaults::default();
    (args, said, decided)
}

/// What the last run decided for the trial.
fn decided(lab: &Lab) -> Map<String, Value> {
    let said = lab.combu(&["show", "last", "probe", "-o", "json"]).code(0);
    let shown: Value = serde_json::from_str(&said.stdout).unwrap();
    let mut decided = shown[0]["trial"].as_object().unwrap_or_else(|| panic!("no trial: {}", said.stdout)).clone();
    decided.insert("prefix".to_owned(), shown[0]["prefix"].clone());
    decided
}

#[track_caller]
fn reached(lab: &Lab, way: &str, expected: &Map<String, Value>) {
    let decided = decided(lab);
    for (key, value) in expected {
        assert_eq!(decided.get(key), Some(value), "`{key}` by {way}");
    }
}

fn run(lab: &Lab, words: &[&str], options: &[String]) {
    let words: Vec<String> = words.iter().map(|word| (*word).to_owned()).chain(options.iter().cloned()).collect();
    let said = lab.combu(&words);
    assert!(matches!(said.code, Some(0 | 5 | 100 | 101)), "{words:?}: {}", said.stderr);
}

#[test]
fn every_option_reaches_a_trial_by_every_way_and_verb() {
    let (args, said, expected) = options(false);
    let (later_args, _, later) = options(true);
    let keys = serde_json::to_string(&said).unwrap();

    let lab = Lab::with(&format!("[{TRIALS}]"));
    run(&lab, &["run", "spec.jsonnet", "-j1"], &args);
    reached(&lab, "an option of `run`", &expected);
    run(&lab, &["rerun", "last", "probe"], &later_args);
    reached(&lab, "an option of `rerun`", &later);
    run(&lab, &["run", "spec.jsonnet", "--resume", "--rerun-triggers", "image"], &later_args);
    run(&lab, &["rerun", "last", "probe"], &args);
    reached(&lab, "an option of `rerun` after `run --resume`", &expected);

    let lab = Lab::with(&format!("{keys} + {{trials: [{TRIALS}]}}"));
    run(&lab, &["run", "spec.jsonnet", "-j1"], &[]);
    reached(&lab, "a key of the spec", &expected);
    run(&lab, &["run", "spec.jsonnet", "-j1"], &later_args);
    reached(&lab, "an option over a key of the spec", &later);
    run(&lab, &["run", "spec.jsonnet", "--resume"], &later_args);
    reached(&lab, "an option of `run --resume`", &later);

    let (mut of_trial, mut expected_of_trial) = (said.clone(), expected.clone());
    // It is the run's alone.
    of_trial.remove("prefix");
    expected_of_trial.remove("prefix");
    let of_trial = serde_json::to_string(&of_trial).unwrap();
    let lab = Lab::with(&format!("{{trials: [{TRIALS} + {of_trial}]}}"));
    run(&lab, &["run", "spec.jsonnet", "-j1"], &later_args);
    reached(&lab, "a key of the trial, over an option", &expected_of_trial);
    run(&lab, &["rerun", "last", "probe"], &later_args);
    reached(&lab, "a key of the trial, over an option of `rerun`", &expected_of_trial);

    let lab = Lab::with(&format!("[{TRIALS}]"));
    lab.write("sweep.rhai", &format!("run(experiment(\"spec.jsonnet\"), #{keys});"));
    run(&lab, &["script", "sweep.rhai"], &[]);
    reached(&lab, "a script's `run()`", &expected);
    let mut words = vec!["script".to_owned()];
    words.extend(later_args.iter().cloned());
    words.push("sweep.rhai".to_owned());
    run(&lab, &[], &words);
    reached(&lab, "an option of `script` over a script's `run()`", &later);
    lab.write(
        "submit.rhai",
        "let live = start(experiment(\"spec.jsonnet\").only([\"first\"]), #{ engine: \"local\" });
        live.submit(trial(#{ name: \"probe\", cmd: \"true\" })); live.wait();",
    );
    let submit = words.iter().map(|word| word.replace("sweep", "submit")).collect::<Vec<_>>();
    run(&lab, &[], &submit);
    reached(&lab, "an option of `script`, for a submitted trial", &later);
}

#[test]
fn options_of_resume_reach_what_is_still_to_run() {
    let (args, _, _) = options(false);
    let (later_args, _, later) = options(true);
    let lab = Lab::with(&format!("[{TRIALS}]"));
    run(&lab, &["run", "spec.jsonnet", "-j1", "--halt", "now,fail=1"], &args);
    let fixed = |arg: &&String| !arg.starts_with("--engine");
    let later_args: Vec<String> = later_args.iter().filter(fixed).cloned().collect();
    run(&lab, &["resume", "last"], &later_args);
    reached(&lab, "an option of `resume`", &later);
}
