//! Outputs that are sent to a bucket of a real S3 server.

use std::fs;

use rustix::process::Signal;
use serde_json::{Value, json};

use crate::harness::{Lab, Live, named};
use crate::moto::{Moto, moto};

const SPEC: &str = r#"[{name: 'train', engine: 'local', outputs: ['out'], cmd: ['sh', '-c', |||
    mkdir -p 'out/a b'; printf small > 'out/a b/c#d'; ln -sf large out/link; : > out/empty
    head -c 20000000 /dev/zero > out/large
|||]}]"#;

/// A trial that ends when the pipe `ready` is closed.
const WAITS: &str =
    "[{name: 'train', engine: 'local', outputs: ['out'], cmd: ['sh', '-c', 'echo x > out; cat ready']}]";

fn send(lab: &Lab) -> Value {
    lab.combu(&["run", "spec.jsonnet", "--outputs-to", "s3://lab/some/prefix", "-o", "json"]).code(0).json()
}

#[test]
fn outputs_lie_in_the_bucket_below_experiment_run_and_trial() {
    let Some(moto) = moto(&[]) else { return };
    let mut lab = Lab::with(SPEC);
    moto.introduce(&mut lab);
    let result = send(&lab);
    let base = format!("some/prefix/spec/{}/train", result["run"].as_str().unwrap());
    // Links are not sent; signs that trouble names of objects are written as in URLs.
    let keys = ["out/a b/c%23d", "out/empty", "out/large"].map(|key| format!("{base}/{key}"));
    assert_eq!(moto.keys(), keys);
    assert_eq!(moto.ask("GET", &format!("/lab/{base}/out/a%20b/c%2523d")), b"small");
    let large = moto.ask("GET", &format!("/lab/{base}/out/large"));
    assert!(large.len() == 20_000_000 && large.iter().all(|byte| *byte == 0), "{} bytes", large.len());
    assert_eq!(result["results"][0]["outputs_url"], json!(format!("s3://lab/{base}/")));
    assert_eq!(result["warnings"], json!([]));
    let events = lab.events();
    let sent = named(&events, "outputs-sent");
    assert_eq!((sent.len(), &sent[0]["files"], &sent[0]["bytes"]), (1, &json!(3), &json!(20_000_005)));
    assert_eq!(events.last().unwrap()["event"], "run-ended");
}

#[test]
fn what_could_not_be_sent_is_a_warning_and_resume_sends_it() {
    let Some(moto) = moto(&[]) else { return };
    let mut lab = Lab::with(
        "[{name: 'train', engine: 'local', outputs: ['out'], cmd: ['sh', '-c', 'echo x > out; cat ready; exit 3']}]",
    );
    moto.introduce(&mut lab);
    lab.pipe("ready");
    let live = lab.start(&["run", "spec.jsonnet", "--outputs-to", "s3://lab", "-o", "json"]);
    // The trial runs: the bucket was there when the run began.
    fs::OpenOptions::new()
        .write(true)
        .open(lab.path("ready"))
        .map(|pipe| (moto.ask("POST", "/moto-api/reset"), pipe))
        .unwrap();
    let result = live.end().code(100).json();
    let warning = result["warnings"][0].as_str().unwrap();
    assert!(warning.starts_with("1 of 1 outputs of `train` were not sent to s3://lab/spec/"), "{warning}");
    assert!(warning.ends_with("`combu resume` sends them"), "{warning}");
    assert_eq!(result["results"][0]["outputs"][0]["path"], "out");
    // Where the bucket is still missing, that is said before anything happens.
    let said = lab.combu(&["resume"]).code(2);
    assert!(said.stderr.contains("cannot be sent to `s3://lab`: there is no such bucket"), "{}", said.stderr);
    moto.ask("PUT", "/lab");
    let result = lab.combu(&["resume", "-o", "json"]).code(100).json();
    assert_eq!(moto.keys(), [format!("spec/{}/train/out", result["run"].as_str().unwrap())]);
    assert_eq!(result["results"][0]["attempts"], 1, "the trial itself is not run again");
    lab.combu(&["resume"]).code(4);
}

/// A run whose trial has ended while the server does not answer.
fn sending_to_a_server_that_stands_still(moto: &Moto) -> (Lab, Live) {
    let mut lab = Lab::with(WAITS);
    moto.introduce(&mut lab);
    lab.pipe("ready");
    let mut live = lab.start(&["run", "spec.jsonnet", "--outputs-to", "s3://lab", "--progress", "json"]);
    let pipe = fs::OpenOptions::new().write(true).open(lab.path("ready")).unwrap();
    moto.signal(Signal::STOP);
    drop(pipe);
    live.event("trial-ended", "train");
    (lab, live)
}

#[test]
fn a_combu_that_is_killed_while_it_sends_leaves_it_to_resume() {
    let Some(moto) = moto(&[]) else { return };
    let (lab, live) = sending_to_a_server_that_stands_still(&moto);
    live.signal(Signal::KILL);
    live.end();
    moto.signal(Signal::CONT);
    assert!(named(&lab.events(), "outputs-sent").is_empty());
    let result = lab.combu(&["resume", "-o", "json"]).code(0).json();
    assert_eq!((moto.keys().len(), named(&lab.events(), "outputs-sent").len()), (1, 1));
    assert_eq!(result["results"][0]["attempts"], 1, "the trial itself is not run again");
}

#[test]
fn a_bucket_that_cannot_be_written_is_told_before_anything_starts() {
    let Some(moto) = moto(&[("INITIAL_NO_AUTH_ACTION_COUNT", "1")]) else { return };
    let mut lab = Lab::with(SPEC);
    moto.introduce(&mut lab);
    let said = |url: &str| {
        let said = lab.combu(&["run", "spec.jsonnet", "--outputs-to", url]).code(2).stderr;
        said.lines().next().unwrap_or_default().to_owned()
    };
    assert_eq!(
        said("s3://lab"),
        "error: outputs cannot be sent to `s3://lab`: the credentials are not accepted, or may not write there"
    );
    assert!(lab.runs().is_empty() && !lab.path("out").exists());
}

#[test]
fn a_run_waits_for_what_is_sent_until_it_is_stopped_twice() {
    let Some(moto) = moto(&[]) else { return };
    let (lab, mut live) = sending_to_a_server_that_stands_still(&moto);
    live.signal(Signal::INT);
    live.line("command-taken");
    live.signal(Signal::INT);
    let said = live.end().code(130);
    moto.signal(Signal::CONT);
    let events = said.events();
    let messages: Vec<_> = named(&events, "warned").iter().map(|event| event["message"].clone()).collect();
    assert_eq!(messages, ["the outputs of 1 trial were not sent; `combu resume` sends them"]);
    assert!(named(&events, "outputs-sent").is_empty());
    lab.combu(&["resume"]).code(0);
    assert_eq!((moto.keys().len(), named(&lab.events(), "outputs-sent").len()), (1, 1));
}
