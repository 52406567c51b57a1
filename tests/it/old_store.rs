//! A store that an older combu wrote, before events kept what was written beside what was decided: `old_store/`. One run of
//! it ended, with a service, a retry, a failure and metrics; the combu of the other was killed.

use std::fs;
use std::path::Path;

use serde_json::json;

use crate::harness::Lab;

const ENDED: &str = "nnkndvkd80jp";
const CUT_OFF: &str = "6pgawqqjjmwr";

fn lab() -> Lab {
    let mut lab = Lab::new();
    copy(&Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/old_store"), &lab.path("state"));
    for run in [ENDED, CUT_OFF] {
        lab.write(&format!("state/runs/{run}/lock"), "");
    }
    lab.set("COMBU_DIR", lab.path("state").to_string_lossy());
    lab
}

fn copy(from: &Path, to: &Path) {
    fs::create_dir_all(to).unwrap();
    for entry in fs::read_dir(from).unwrap().map(Result::unwrap) {
        match entry.path() {
            path if path.is_dir() => copy(&path, &to.join(entry.file_name())),
            path => drop(fs::copy(path, to.join(entry.file_name())).unwrap()),
        }
    }
}

#[test]
fn what_an_older_combu_stored_is_shown_as_it_was() {
    let lab = lab();
    let list = lab.combu(&["ls", "-o", "json"]).code(0).json();
    let states: Vec<_> = list.as_array().unwrap().iter().map(|run| (&run["run"], &run["state"])).collect();
    assert_eq!(states, [(&json!(CUT_OFF), &json!("cut off")), (&json!(ENDED), &json!("ended"))]);
    let results =
        lab.combu(&["results", ENDED, "-o", "csv", "--columns", "name,lr,題,status,exit,attempts,loss,flaky"]);
    insta::assert_snapshot!(results.code(0).stdout, @"
    name,lr,題,status,exit,attempts,loss,flaky
    solver-1,0.1,迷路,succeeded,0,1,0.1,false
    solver-2,0.2,迷路,succeeded,0,1,0.2,false
    solver-3,0.3,迷路,failed,3,2,0.3,false
    solver-4,0.4,迷路,succeeded,0,1,0.4,false
    ");
    // What was decided was taken for what was written.
    let trial = lab.combu(&["show", ENDED, "solver-3", "-o", "json"]).code(0).json()[0]["trial"].clone();
    let settled = ["engine", "retries", "timeout", "stop_grace", "memory"].map(|field| trial[field].to_string());
    assert_eq!(settled, ["\"fake\"", r#"{"count":1,"backoff":"fixed"}"#, "3600", "5", "67108864"], "{trial:#}");
    let why = lab.combu(&["why", "second", CUT_OFF]).code(0);
    assert!(why.stdout.starts_with("second: "), "{}", why.stdout);
}

#[test]
fn a_run_that_an_older_combu_left_goes_on_and_one_that_ended_is_run_again() {
    let lab = lab();
    lab.combu(&["resume", CUT_OFF]).code(100);
    let results = lab.combu(&["results", CUT_OFF, "-o", "csv", "--columns", "name,status,exit,attempts"]).code(0);
    insta::assert_snapshot!(results.stdout, @"
    name,status,exit,attempts
    first,succeeded,0,1
    second,succeeded,0,2
    third,failed,4,1
    ");
    // Its retries stand as if the spec had said them, so the option does not win.
    lab.combu(&["rerun", ENDED, "--failed", "--retries", "2"]).code(100);
    let results = lab.combu(&["results", "last", "-o", "csv", "--columns", "name,status,exit,attempts,loss"]).code(0);
    insta::assert_snapshot!(results.stdout, @"
    name,status,exit,attempts,loss
    solver-1,succeeded,0,1,0.1
    solver-2,succeeded,0,1,0.2
    solver-3,failed,3,2,0.3
    solver-4,succeeded,0,1,0.4
    ");
}
