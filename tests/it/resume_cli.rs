//! `combu resume`: runs whose combu was killed at any moment, on this machine and on a real daemon.

use std::collections::BTreeMap;
use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use rustix::process::Signal;
use serde_json::{Value, json};

use crate::docker_lab::{DockerLab, docker_lab};
use crate::harness::{Lab, eventually, fault_rounds, is_alive, named, steady, written};

/// Lines that each trial prints.
const LINES: usize = 60;

/// 40 trials in two layers, with a service that is probed; each prints a numbered sequence and takes up to a second.
fn forty() -> String {
    format!(
        "local seq(n) = 'i=0; while [ $i -lt {LINES} ]; do i=$((i+1)); echo line $i; [ $((i % 20)) -eq 0 ] && sleep 0.' + n + '; done; echo done';
        local run(n) = {{name: '@t' + n, image: 'IMAGE', cmd: ['sh', '-c', seq(n % 4)], networks: ['@net'],
            retries: 1, params: {{n: n}}}};
        [{{name: '@db', image: 'IMAGE', service: true, networks: ['@net'], cmd: ['sh', '-c', 'touch /up; sleep 600'],
            stop_grace: '0s', healthcheck: {{test: 'test -e /up', interval: '200ms'}}}}]
        + [run(n) {{depends: ['@db']}} for n in std.range(0, 19)]
        + [run(n) {{depends: [{{trial: '@t' + (n - 20), condition: 'completed'}}]}} for n in std.range(20, 38)]"
    )
}

/// How often each attempt was started by the engine, as the events of all lives tell.
fn starts(events: &[Value]) -> BTreeMap<(String, u64), usize> {
    let mut starts = BTreeMap::new();
    for event in named(events, "attempt-started") {
        let attempt = (event["trial"].as_str().unwrap().to_owned(), event["attempt"].as_u64().unwrap());
        *starts.entry(attempt).or_insert(0) += 1;
    }
    starts
}

/// Each trial has one end that counts and succeeded in one attempt; its log is whole.
#[track_caller]
fn check(lab: &DockerLab, seed: u64) {
    let events = lab.lab.events();
    let mut ends: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for event in &events {
        let trial = event["trial"].as_str().unwrap_or_default();
        match event["event"].as_str().unwrap() {
            "trial-ended" => ends.entry(trial).or_default().push(event["status"].as_str().unwrap()),
            "trial-reopened" => drop(ends.remove(trial)),
            _ => {}
        }
    }
    assert_eq!(ends.len(), 40, "seed {seed}");
    let whole: String = (1..=LINES).map(|line| format!("line {line}\n")).chain(["done\n".to_owned()]).collect();
    for n in 0..=38 {
        let name = lab.own(&format!("@t{n}"));
        assert_eq!(ends[name.as_str()], ["succeeded"], "seed {seed}: {name}");
        let attempts: Vec<_> =
            named(&events, "attempt-ended").into_iter().filter(|event| event["trial"] == name.as_str()).collect();
        assert_eq!(attempts.len(), 1, "seed {seed}: {attempts:?}");
        let log = written(&lab.lab.only_run().join(&name).join("1/stdout.log"));
        assert_eq!(String::from_utf8_lossy(&log), whole, "seed {seed}: the log of {name}");
    }
    for (attempt, count) in starts(&events) {
        assert_eq!(count, 1, "seed {seed}: {attempt:?} was started again");
    }
    lab.assert_empty();
}

#[test]
fn a_sweep_whose_combu_is_killed_again_and_again_ends_as_if_it_had_not_been() {
    let mut deaths = 0;
    for seed in 0..fault_rounds(2) {
        let Some(lab) = docker_lab(&forty()) else { return };
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let mut args = vec!["-f", "spec.jsonnet", "run", "-j", "8", "--progress", "json"];
        loop {
            let mut live = lab.lab.start(&args);
            // Some event from now on, and some milliseconds after it: any moment.
            for _ in 0..random.random_range(1..60) {
                if live.any_line().is_none() {
                    break;
                }
            }
            std::thread::sleep(Duration::from_millis(random.random_range(0..40)));
            live.signal_if_alive(Signal::KILL);
            let said = live.end();
            match said.code {
                // It was killed after its last event: nothing is left to do.
                Some(4) if args[0] == "resume" => break,
                Some(code) => {
                    let events = lab.lab.events();
                    let bad: Vec<_> = named(&events, "attempt-ended")
                        .into_iter()
                        .filter(|event| event["status"] != "succeeded" && event["status"] != "stopped")
                        .collect();
                    assert_eq!(code, 0, "seed {seed}: {bad:#?} {}", said.stderr);
                    break;
                }
                None => {}
            }
            deaths += 1;
            args = vec!["resume", "-j", "8", "--progress", "json"];
        }
        check(&lab, seed);
    }
    assert!(deaths > 0);
}

#[test]
fn an_interrupted_run_goes_on_and_a_finished_one_has_nothing_left() {
    let lab = Lab::with(
        "{engine: 'local', trials: [
            {name: 'quick', cmd: 'echo quick'},
            {name: 'held', cmd: ['sh', '-c', 'test -e go || exec sleep 600; echo went'],
                depends: [{trial: 'quick', condition: 'completed'}]},
            {name: 'later', cmd: 'echo later', depends: [{trial: 'held', condition: 'completed'}]}]}",
    );
    let mut live = lab.start(&["run", "spec.jsonnet", "--progress", "json"]);
    live.event("attempt-started", "held");
    live.signal(Signal::INT);
    live.end().code(130);
    lab.write("go", "");
    let _steady = steady(&lab);
    let said = lab.combu(&["resume"]).code(0);
    insta::assert_snapshot!(said.stderr, @"
    resuming `spec` (spec.jsonnet)
    run [RUN] of spec goes on: 2 of 3 trials left, at most 2 at once
    [2/3] ok      held [TIME], attempt 2
    [3/3] ok      later [TIME]
    3 trials: 3 succeeded in [TIME]
    logs: .combu/runs/[RUN]
    ");
    assert_eq!(lab.read(lab.only_run().join("held/2/stdout.log")), "went\n");
    assert_eq!(named(&lab.events(), "attempt-started").len(), 4, "what had succeeded did not run again");
    let said = lab.combu(&["resume"]).code(4);
    insta::assert_snapshot!(said.stderr, @"error: nothing to resume: all trials of run [RUN] have finished");
}

#[test]
fn an_older_run_that_is_not_finished_is_named_and_not_taken_for_the_last() {
    let lab = Lab::with("{name: 'old', engine: 'local', trials: [{name: 'a1', cmd: 'sleep 600', stop_grace: '0s'}]}");
    lab.write("new.jsonnet", "{engine: 'local', trials: [{name: 'b1', cmd: 'echo new'}]}");
    let _steady = steady(&lab);
    let mut live = lab.start(&["run", "spec.jsonnet", "--progress", "json"]);
    live.event("attempt-started", "a1");
    live.signal(Signal::TERM);
    live.end().code(143);
    lab.combu(&["run", "new.jsonnet"]).code(0);
    // A rehearsal is no run that a person means.
    lab.combu(&["run", "new.jsonnet", "--engine", "fake"]).code(0);
    let said = lab.combu(&["resume"]).code(2);
    insta::assert_snapshot!(said.stderr, @"
    error: the last run has nothing left to do: run [RUN] of `new`
      unfinished is run [RUN] of `old` (spec.jsonnet), with 1 trial left
    hint: to go on with that one: `combu resume [RUN]`
    ");
    lab.write("spec.jsonnet", "gone");
    assert_eq!(lab.combu(&["-f", "new.jsonnet", "resume"]).code(4).stdout, "");
    let mut live = lab.start(&["-f", "spec.jsonnet", "resume", "--progress", "json"]);
    live.event("attempt-started", "a1");
    live.signal(Signal::INT);
    live.end().code(130);
}

#[test]
fn a_local_trial_dies_with_its_combu_is_lost_and_runs_again() {
    let lab = Lab::with(
        "{engine: 'local', trials: [{name: 'a1', cmd: ['sh', '-c', 'echo $$ > pid; test -e go || exec sleep 600']}]}",
    );
    let mut live = lab.start(&["run", "spec.jsonnet", "--progress", "json"]);
    live.event("attempt-started", "a1");
    eventually("the trial writes its number", || lab.path("pid").metadata().is_ok_and(|file| file.len() > 1));
    let pid = lab.read("pid").trim().to_owned();
    live.signal(Signal::KILL);
    live.end();
    eventually("the trial ends with its combu", || !is_alive(&pid));
    lab.write("go", "");
    let said = lab.combu(&["resume", "-o", "json"]).code(0);
    let result = &said.json()["results"][0];
    assert_eq!((&result["state"]["ended"]["status"], &result["attempts"]), (&json!("succeeded"), &json!(2)));
    let ends = lab.events();
    assert_eq!(named(&ends, "attempt-ended")[0]["status"], "lost");
}

#[test]
fn what_cannot_be_resumed_says_why() {
    let lab = Lab::with("{engine: 'local', trials: [{name: 'a1', cmd: 'sleep 600', stop_grace: '0s'}]}");
    let _steady = steady(&lab);
    insta::assert_snapshot!(lab.combu(&["resume"]).code(4).stderr, @"
    error: no run is recorded
    hint: it is looked for in the project of the working folder: `.combu/` there, or above
    ");
    let mut live = lab.start(&["run", "spec.jsonnet", "--progress", "json"]);
    live.event("attempt-started", "a1");
    insta::assert_snapshot!(lab.combu(&["resume"]).code(4).stderr, @"error: run [RUN] is alive: another combu runs it");
    insta::assert_snapshot!(lab.combu(&["resume", "last"]).code(2).stderr, @"
    error: run [RUN] is alive: another combu runs it
    hint: `combu kill` ends it, and then it can be resumed
    ");
    insta::assert_snapshot!(lab.combu(&["resume", "--engine", "fake"]).code(2).stderr, @"
    error: a run goes on with the engine and the seed that it began with
    hint: leave `--engine` and `--seed` out
    ");
    live.signal(Signal::TERM);
    live.end().code(143);
}

#[test]
fn a_container_that_ended_while_nobody_looked_is_taken_as_it_ended() {
    let Some(lab) =
        docker_lab("[{name: '@one', image: 'IMAGE', cmd: ['sh', '-c', 'echo begun; sleep 1; echo ended; exit 3']}]")
    else {
        return;
    };
    let live = lab.start_until("@one");
    live.signal(Signal::KILL);
    live.end();
    eventually("the container ends", || lab.containers()["one"] == "exited");
    let said = lab.lab.combu(&["resume", "-o", "json", "--rm", "always"]).code(100);
    let result = &said.json()["results"][0];
    assert_eq!((&result["state"]["ended"]["exit"]["code"], &result["attempts"]), (&json!(3), &json!(1)));
    assert!(result["elapsed"].as_f64().is_some_and(|elapsed| (0.9..60.0).contains(&elapsed)), "{result}");
    assert_eq!(lab.lab.log(&lab.own("@one")), "begun\nended\n");
    lab.assert_empty();
}
