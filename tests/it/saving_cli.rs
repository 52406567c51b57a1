//! What ended containers hold that a combu left which died: it is saved before they go, and runs that are killed have ended.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use rustix::process::Signal;
use serde_json::json;

use crate::docker_lab::{DockerLab, docker_lab};
use crate::harness::{Lab, eventually, named, steady, stored};

/// Two trials that end once they may, well and badly, one that goes on, and one that waits for that.
const SPEC: &str = "local base = {image: 'IMAGE', networks: ['none'], volumes: ['.:/lab'], stop_grace: '0s'};
    local ends(name, code) = base {name: name, outputs: ['/out'], cmd: ['sh', '-c', 'mkdir /out; echo result > /out/result;
        until test -e /lab/end; do sleep 0.05; done; echo ::combu metric x=4; exit ' + code]};
    [ends('@good', '0'), ends('@bad', '3'),
     base {name: '@long', cmd: ['sh', '-c', 'test -e /lab/go || exec sleep 600']},
     base {name: '@later', cmd: 'true', depends: [{trial: '@long', condition: 'completed'}]}]";

/// A lab whose combu died while its trials ran; two of them have ended since.
fn left() -> Option<DockerLab> {
    let lab = docker_lab(SPEC)?;
    let mut live = lab.lab.start(&["run", "spec.jsonnet", "-j", "3", "--progress", "json"]);
    for _ in 0..3 {
        live.line("\"event\":\"attempt-started\"");
    }
    live.signal(Signal::KILL);
    live.end();
    lab.lab.write("end", "");
    eventually("two containers end", || {
        let containers = lab.containers();
        ["good", "bad"].iter().all(|name| containers[*name] == "exited")
    });
    Some(lab)
}

fn id(run: &Path) -> String {
    run.file_name().unwrap().to_str().unwrap().to_owned()
}

/// How each trial of a run ended, by its short name.
fn ends(lab: &DockerLab, run: &Path) -> BTreeMap<String, String> {
    let events = stored(run);
    let ends = named(&events, "trial-ended").into_iter().map(|event| {
        let trial = event["trial"].as_str().unwrap().replacen(&lab.own("@"), "", 1);
        (trial, event["status"].as_str().unwrap().to_owned())
    });
    ends.collect()
}

/// Fails unless everything that the two trials left is in the run.
#[track_caller]
fn assert_saved(lab: &DockerLab, run: &Path) {
    let ends = ends(lab, run);
    assert_eq!((ends["good"].as_str(), ends["bad"].as_str()), ("succeeded", "failed"));
    for name in ["@good", "@bad"].map(|name| lab.own(name)) {
        assert_eq!(fs::read_to_string(run.join(&name).join("1/stdout.log")).unwrap(), "::combu metric x=4\n");
        assert_eq!(fs::read_to_string(run.join(&name).join("outputs/out/result")).unwrap(), "result\n");
    }
    let events = stored(run);
    let ended = named(&events, "attempt-ended").into_iter().find(|event| event["trial"] == lab.own("@bad").as_str());
    assert_eq!(ended.unwrap()["exit"], json!({"code": 3}));
    assert_eq!(named(&events, "recorded").len(), 2);
}

#[test]
fn a_kill_saves_what_had_ended_and_the_run_has_ended() {
    let Some(lab) = left() else { return };
    let run = lab.lab.only_run();
    let said = lab.lab.combu(&["kill", "last"]).code(0);
    assert!(said.stderr.contains("saved how 2 trials of run "), "{}", said.stderr);
    lab.assert_empty();
    assert_saved(&lab, &run);
    let ends = ends(&lab, &run);
    assert_eq!((ends["long"].as_str(), ends["later"].as_str()), ("killed", "skipped"));
    assert_eq!(lab.lab.combu(&["ls", "-o", "json"]).code(0).json()[0]["state"], "interrupted");
    let why = lab.lab.combu(&["why", &lab.own("@long")]).code(0).stdout;
    assert!(why.contains(": killed; run ") && why.contains("killed by `combu kill`"), "{why}");
    let resumed = lab.lab.combu(&["resume", "last"]).code(4).stderr;
    assert!(resumed.contains("has ended: it was killed by `combu kill`"), "{resumed}");
    assert_eq!(named(&stored(&run), "attempt-started").len(), 3, "nothing was started");
    let again = lab.lab.combu(&["kill", "last"]).code(0).stderr;
    assert!(again.starts_with("nothing of run "), "{again}");
}

#[test]
fn a_kill_that_discards_saves_nothing() {
    let Some(lab) = left() else { return };
    let run = lab.lab.only_run();
    lab.lab.combu(&["kill", "spec.jsonnet", "--discard"]).code(0);
    lab.assert_empty();
    let ends = ends(&lab, &run);
    let ends: Vec<_> = ends.iter().map(|(name, end)| format!("{name} {end}")).collect();
    assert_eq!(ends, ["bad killed", "good killed", "later skipped", "long killed"]);
    assert!(!run.join(lab.own("@good/outputs")).exists());
}

#[test]
fn a_kill_of_some_trials_saves_those_and_leaves_the_others_to_a_resume() {
    let Some(lab) = left() else { return };
    let run = lab.lab.only_run();
    lab.lab.combu(&["kill", "last", "--trial", &lab.own("@*o*")]).code(0);
    assert_eq!(lab.containers().keys().collect::<Vec<_>>(), ["bad"]);
    let first = ends(&lab, &run);
    let first: Vec<_> = first.iter().map(|(name, end)| format!("{name} {end}")).collect();
    assert_eq!(first, ["good succeeded", "later skipped", "long killed"]);
    assert_eq!(lab.lab.combu(&["ls", "-o", "json"]).code(0).json()[0]["state"], "cut off");
    lab.lab.combu(&["resume"]).code(100);
    assert_saved(&lab, &run);
    assert_eq!(ends(&lab, &run)["long"], "killed");
    lab.kill().code(0);
    lab.assert_empty();
}

#[test]
fn the_next_run_saves_what_it_replaces() {
    let Some(lab) = left() else { return };
    let first = lab.lab.only_run();
    let said = lab.run(&[]).code(2);
    assert!(said.stderr.contains(&lab.own("`@long` is still running")), "{}", said.stderr);
    assert_saved(&lab, &first);
    // Only what had ended: the rest can go on.
    lab.lab.write("go", "");
    lab.spec("[{name: '@' + n, image: 'IMAGE', networks: ['none'], cmd: 'true'} for n in ['good', 'bad']]");
    lab.run(&[]).code(0);
    assert_eq!(lab.containers().keys().collect::<Vec<_>>(), ["long"]);
    lab.lab.combu(&["kill", "--all"]).code(0);
    lab.assert_empty();
}

#[test]
fn a_script_saves_what_it_replaces() {
    let Some(lab) = left() else { return };
    let first = lab.lab.only_run();
    lab.lab.write("again.rhai", &lab.own("run(experiment(\"spec.jsonnet\").only([\"@good\", \"@bad\"])); exit(0);"));
    let said = lab.lab.combu(&["script", "again.rhai"]).code(0);
    assert!(said.stderr.contains("saved how 2 trials"), "{}", said.stderr);
    assert_saved(&lab, &first);
    lab.lab.combu(&["kill", "--all"]).code(0);
    lab.assert_empty();
}

#[test]
fn what_no_record_knows_stays_until_it_is_discarded() {
    let Some(lab) = docker_lab("[{name: '@one', image: 'IMAGE', networks: ['none'], cmd: 'false'}]") else { return };
    lab.run(&[]).code(100);
    fs::remove_dir_all(lab.lab.path(".combu")).unwrap();
    let said = lab.run(&[]).code(2);
    assert!(said.stderr.contains("nothing was started") && said.stderr.contains("kill --discard"), "{}", said.stderr);
    assert!(lab.lab.runs().is_empty());
    let said = lab.kill().code(1);
    assert!(said.stderr.contains("its logs and outputs may be nowhere else"), "{}", said.stderr);
    assert_eq!(lab.containers()["one"], "exited");
    lab.lab.combu(&["kill", "spec.jsonnet", "--discard"]).code(0);
    lab.assert_empty();
}

#[test]
fn a_run_that_never_began_leaves_no_folder_and_no_row() {
    let Some(lab) =
        docker_lab("[{name: '@one', image: 'IMAGE', networks: ['none'], cmd: 'sleep 600', stop_grace: '0s'}]")
    else {
        return;
    };
    lab.lab.write("sweep.rhai", &lab.own("run(experiment(\"other\", [#{name: \"@one\", image: \"IMAGE\"}]));"));
    let live = lab.start_until("@one");
    live.signal(Signal::KILL);
    live.end();
    let said = lab.lab.combu(&["script", "sweep.rhai"]).code(2);
    assert!(said.stderr.contains("is taken by"), "{}", said.stderr);
    assert_eq!(lab.lab.runs().len(), 1);
    lab.kill().code(0);
}

#[test]
fn a_run_without_events_is_not_said_to_have_ended() {
    let lab = Lab::with("[{name: 'one', engine: 'local', cmd: 'echo one'}]");
    lab.combu(&["run", "spec.jsonnet"]).code(0);
    for file in ["combu.db", "combu.db-wal", "combu.db-shm"] {
        let _absent = fs::remove_file(lab.path(".combu").join(file));
    }
    let _steady = steady(&lab);
    assert_eq!(lab.combu(&["ls", "-o", "json"]).code(0).json()[0]["state"], "no events");
    for verb in ["ps", "resume"] {
        insta::allow_duplicates! {
            insta::assert_snapshot!(lab.combu(&[verb, "last"]).code(4).stderr, @"
            error: the database knows nothing of run [RUN]: `combu.db` was removed or replaced since
            hint: its logs are in .combu/runs/[RUN]
            ");
        }
    }
    // As a combu leaves it that died before its first event.
    let run = lab.only_run();
    fs::remove_dir_all(run.join("one")).unwrap();
    insta::assert_snapshot!(lab.combu(&["resume", "last"]).code(4).stderr, @"error: run [RUN] was never started");
    lab.combu(&["ls"]).code(4);
    assert_eq!(lab.combu(&["resume", &id(&run)]).code(4).stdout, "");
}
