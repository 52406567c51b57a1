//! `combu run` on local and fake trials: what it prints where, what it leaves on disk, what a trial is given.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};

use crate::harness::{Lab, Live, named, place, steady};

const MIXED: &str = r#"{engine: "local", trials: [
    {name: "good", cmd: "echo fine"},
    {name: "bad", cmd: "sh -c 'echo no such maze >&2; exit 3'", depends: [{trial: "good", condition: "completed"}]},
    {name: "after", cmd: "true", depends: [{trial: "bad", condition: "completed"}]},
]}"#;

#[test]
fn lines_and_the_final_report_go_to_stderr() {
    let lab = Lab::with(MIXED);
    let said = lab.combu(&["run", "spec.jsonnet", "-j", "2"]).code(100);
    assert_eq!(said.stdout, "", "no results were asked for");
    let _steady = steady(&lab);
    insta::assert_snapshot!(said.stderr, @"
    spec: 3 trials, at most 2 at once, run [RUN]
    logs: .combu/runs/[RUN]
    [1/3] ok      good [TIME]
    [2/3] FAIL    bad  exit code 3, [TIME]
          | no such maze
          log: .combu/runs/[RUN]/bad/1/stderr.log
    [3/3] skip    after  `bad` failed (exit code 3)
    skipped: `after` because `bad` failed (exit code 3)
    FAILED  HOW          ATTEMPTS  TIME
    bad     exit code 3         1 [TIME]
    see a log: combu logs bad
    run the failed again: combu rerun --failed
    3 trials: 1 succeeded, 1 failed, 1 skipped in [TIME]
    logs: .combu/runs/[RUN]
    ");
}

#[test]
fn json_events_go_to_stdout_and_are_those_on_disk() {
    let lab = Lab::with(MIXED);
    let said = lab.combu(&["run", "spec.jsonnet", "--progress", "json"]).code(100);
    assert_eq!(said.stderr, "");
    assert_eq!(said.events(), lab.events());
    let events = said.events();
    let name = |event: &Value| event["event"].as_str().unwrap().to_owned();
    assert_eq!(name(&events[0]), "run-started");
    assert_eq!(name(events.last().unwrap()), "run-ended");
    let run = lab.only_run().file_name().unwrap().to_str().unwrap().to_owned();
    assert!(events.iter().all(|event| event["run"] == *run && event["at"].is_u64()));
    assert!(place(&events, "trial-ended", "good") < place(&events, "attempt-starting", "bad"));
    assert_eq!(events[place(&events, "trial-ended", "after")]["because"], "`bad` failed (exit code 3)");
}

#[test]
fn without_a_terminal_lines_are_what_is_shown_by_itself() {
    let _steady = steady(&Lab::new());
    for how in ["auto", "plain"] {
        let lab = Lab::with(r#"{engine: "local", trials: [{name: "one", cmd: "true"}]}"#);
        let said = lab.combu(&["run", "spec.jsonnet", "-j", "1", "--progress", how]).code(0);
        insta::allow_duplicates! {
            insta::assert_snapshot!(said.stderr, @"
            spec: 1 trial, at most 1 at once, run [RUN]
            logs: .combu/runs/[RUN]
            [1/1] ok      one [TIME]
            1 trial: 1 succeeded in [TIME]
            logs: .combu/runs/[RUN]
            ");
        }
    }
}

#[test]
fn progress_none_is_silent() {
    let lab = Lab::with(MIXED);
    let said = lab.combu(&["run", "spec.jsonnet", "--progress", "none"]).code(100);
    assert_eq!((said.stdout.as_str(), said.stderr.as_str()), ("", ""));
}

#[test]
fn trials_are_chosen_by_their_names_with_what_they_depend_on() {
    let lab = Lab::with(
        r#"{engine: "local", trials: [{name: "data", cmd: "true"}] + [
            {name: n, cmd: "true", depends: [{trial: "data", condition: "completed"}]} for n in ["sgd-1", "sgd-2", "adam-1"]]}"#,
    );
    let names = |args: &[&str]| {
        let said = lab.combu(args).code(0);
        let results = said.json()["results"].as_array().unwrap().clone();
        results.iter().map(|result| result["trial"]["name"].as_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(names(&["run", "spec.jsonnet", "--trial", "sgd-*", "-o", "json"]), "data sgd-1 sgd-2");
    assert_eq!(names(&["run", "spec.jsonnet", "-t", "sgd-1", "-t", "adam-?", "-o", "json"]), "data sgd-1 adam-1");
    let said = lab.combu(&["run", "spec.jsonnet", "--trial", "sdg-1"]).code(4);
    assert!(said.stderr.contains("did you mean `sgd-1`?"), "{}", said.stderr);
}

#[test]
fn results_are_one_json_document_on_stdout() {
    let lab = Lab::with(MIXED);
    let said = lab.combu(&["run", "spec.jsonnet", "-o", "json"]).code(100);
    let result = said.json();
    let state = |place: usize| result["results"][place]["state"]["ended"].clone();
    assert_eq!(state(0), json!({"status": "succeeded"}));
    assert_eq!(state(1), json!({"status": "failed", "exit": {"code": 3}}));
    assert_eq!(state(2), json!({"status": "skipped", "because": "`bad` failed (exit code 3)"}));
    assert_eq!(result["experiment"], "spec");
    assert_eq!(result["results"][0]["logs"]["stdout_bytes"], 5);
    assert!(said.stderr.contains("3 trials: 1 succeeded, 1 failed, 1 skipped"), "{}", said.stderr);
}

#[test]
fn a_reader_that_leaves_early_is_no_error() {
    let mut lab =
        Lab::with(r#"{engine: "fake", trials: [{name: "t-%d" % n, image: "x"} for n in std.range(1, 3000)]}"#);
    lab.keep_state_in_memory();
    let combu = env!("CARGO_BIN_EXE_combu");
    let line =
        format!("{combu} plan spec.jsonnet -o json | head -n 1; {combu} run spec.jsonnet --progress json | head -n 1");
    let said = crate::harness::Live::new(lab.command("sh").args(["-c", &line]).spawn().unwrap()).end().code(0);
    assert_eq!(said.stdout.lines().count(), 2);
    assert!(!said.stderr.contains("panic"), "{}", said.stderr);
}

#[test]
fn logs_hold_the_bytes_as_they_were_written() {
    let lab = Lab::with(
        r#"{engine: "local", trials: [{name: "raw", cmd: "sh -c 'cat bytes; cat bytes bytes >&2'"},
                                      {name: "silent", cmd: "true"}]}"#,
    );
    let bytes: Vec<u8> = (0..300_000u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8).collect();
    std::fs::write(lab.path("bytes"), &bytes).unwrap();
    lab.combu(&["run", "spec.jsonnet"]).code(0);
    let log = |below: &str| std::fs::read(lab.only_run().join(below)).unwrap();
    assert!(log("raw/1/stdout.log") == bytes, "the standard output differs");
    assert!(log("raw/1/stderr.log") == [bytes.as_slice(), &bytes].concat(), "the standard error differs");
    assert!(!lab.only_run().join("silent").exists(), "what wrote nothing leaves no files");
}

#[test]
fn a_trial_finds_its_run_its_params_and_its_seed_in_its_environment() {
    let lab = Lab::with(
        r#"// パラメータ
        {name: "迷路", engine: "local", trials: [{name: "one", cpus: 1, cmd: "sh -c 'env | grep -E \"COMBU|OMP|MINE\"'",
            params: {"learning-rate": 0.1, mode: "難しい", layers: [64, 64]}, env: {MINE: 3, COMBU_SEED: "own"}}]}"#,
    );
    let options = ["--seed", "42", "--engine", "local"];
    lab.combu(&[&["run", "spec.jsonnet"][..], &options].concat()).code(0);
    let log = lab.log("one");
    // What the lab sets for itself, and what differs each time.
    let others = ["COMBU_WATCH=", "COMBU_LABELS=", "COMBU_MACHINE_CONFIG="];
    let mut lines: Vec<&str> = log.lines().filter(|line| !others.iter().any(|other| line.starts_with(other))).collect();
    lines.sort_unstable();
    let run = lab.only_run().file_name().unwrap().to_str().unwrap().to_owned();
    let text = lines.join("\n").replace(&run, "[RUN]").replace(&lab.path("").display().to_string(), "[LAB]/");
    insta::assert_snapshot!(text, @r#"
    COMBU=1
    COMBU_ATTEMPT=1
    COMBU_CPUS=1
    COMBU_EXPERIMENT=迷路
    COMBU_METRICS=[LAB]/.combu/runs/[RUN]/.metrics/one-1.jsonl
    COMBU_PARAMS={"layers":[64,64],"learning-rate":0.1,"mode":"難しい"}
    COMBU_PARAM_LAYERS=[64,64]
    COMBU_PARAM_LEARNING_RATE=0.1
    COMBU_PARAM_MODE=難しい
    COMBU_RUN_ID=[RUN]
    COMBU_SEED=own
    COMBU_TRIAL=one
    MINE=3
    OMP_NUM_THREADS=1
    "#);
}

#[test]
fn a_seed_gives_each_trial_its_own_and_the_same_again() {
    let lab = Lab::with(
        r#"{engine: "local", trials: [{name: "t-%d" % n, cmd: "sh -c 'echo $COMBU_SEED'"} for n in std.range(1, 5)]}"#,
    );
    let seeds = |args: &[&str]| {
        let result = lab.combu(&[&["run", "spec.jsonnet", "-o", "json"][..], args].concat()).code(0).json();
        let logs = result["results"].as_array().unwrap().iter().map(|one| one["logs"]["stdout"].as_str().unwrap());
        logs.map(|log| lab.read(log).trim().parse::<u32>().unwrap()).collect::<Vec<_>>()
    };
    let first = seeds(&["--seed", "42"]);
    assert_eq!(first.iter().collect::<BTreeSet<_>>().len(), 5);
    assert_eq!(seeds(&["--seed", "42", "-j", "1"]), first);
    assert_ne!(seeds(&["--seed", "43"]), first);
    assert_ne!(seeds(&[]), seeds(&[]));
}

#[test]
fn a_failed_trial_is_repeated_and_every_attempt_keeps_its_logs() {
    let lab = Lab::with(
        r#"{engine: "local", trials: [
            {name: "third", cmd: "sh -c 'echo attempt $COMBU_ATTEMPT; test $COMBU_ATTEMPT = 3'", retries: 3},
            {name: "never", cmd: "false"},
            {name: "own", cmd: "false", retries: 0},
        ]}"#,
    );
    let said = lab.combu(&["run", "spec.jsonnet", "--retries", "1", "-o", "json"]).code(100);
    let result = said.json();
    let attempts = |place: usize| result["results"][place]["attempts"].as_u64().unwrap();
    assert_eq!([attempts(0), attempts(1), attempts(2)], [3, 2, 1]);
    for attempt in 1..=3 {
        let log = lab.only_run().join(format!("third/{attempt}/stdout.log"));
        assert_eq!(lab.read(log), format!("attempt {attempt}\n"));
    }
    assert_eq!(named(&lab.events(), "retry-scheduled").len(), 3);
}

#[test]
fn a_trial_that_runs_too_long_is_stopped() {
    let lab = Lab::with(
        r#"{engine: "local", trials: [{name: "long", cmd: "sleep 600"}, {name: "own", cmd: "true", timeout: "1h"}]}"#,
    );
    let said = lab.combu(&["run", "spec.jsonnet", "--timeout", "100ms", "-o", "json"]).code(100);
    assert_eq!(said.json()["results"][0]["state"]["ended"]["status"], "timed-out");
    let because = named(&lab.events(), "stopping")[0]["because"].clone();
    assert!(because.as_str().unwrap().starts_with("it ran longer than"), "{because}");
}

#[test]
fn a_halt_policy_ends_the_run_early() {
    let lab = Lab::with(
        r#"{engine: "fake", trials: [{name: "t-%d" % n, image: "x", cmd: "exit %d" % (n % 2)} for n in std.range(1, 9)]}"#,
    );
    let said = lab.combu(&["run", "spec.jsonnet", "-j", "1", "--halt", "soon,fail=3"]).code(101);
    assert!(said.stderr.contains("9 trials: 2 succeeded, 3 failed, 4 skipped"), "{}", said.stderr);
    assert_eq!(
        named(&lab.events(), "halted")[0]["because"],
        "the halt policy `soon,fail=3` was reached: 2 succeeded, 3 failed"
    );
    let first =
        lab.combu(&["run", "spec.jsonnet", "-j", "1", "--halt", "now,success=1", "-o", "json"]).code(101).json();
    assert_eq!(first["early"]["by"], "halted");
}

/// Most trials that ran at once, by their events.
fn peak(events: &[Value]) -> usize {
    let (mut running, mut peak) = (0, 0);
    for event in events {
        match event["event"].as_str().unwrap() {
            "attempt-starting" => running += 1,
            "attempt-ended" => running -= 1,
            _ => {}
        }
        peak = peak.max(running);
    }
    peak
}

#[test]
fn as_many_trials_run_at_once_as_are_asked_for() {
    let lab = Lab::with(
        r#"{engine: "fake", trials: [{name: "t-%d" % n, image: "x", cmd: "sleep 0.05"} for n in std.range(1, 12)]}"#,
    );
    for (jobs, expected) in [("1", 1), ("3", 3), ("50%", 2), ("-1", 3), ("100", 12)] {
        let said = lab.combu(&["run", "spec.jsonnet", "--progress", "json", "-j", jobs]).code(0);
        assert_eq!(peak(&said.events()), expected, "-j {jobs}");
    }
    let lab = Lab::with(
        r#"{engine: "fake", parallel: 5, trials: [{name: "t-%d" % n, cpus: 2, image: "x", cmd: "sleep 0.05"} for n in std.range(1, 12)]}"#,
    );
    let said = lab.combu(&["run", "spec.jsonnet", "--progress", "json"]).code(0);
    assert_eq!(peak(&said.events()), 2, "the fake host has four CPUs");
}

#[test]
fn the_fake_engine_rehearses_a_docker_spec_without_docker() {
    let specs = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/specs/first-combu");
    let mut trials = BTreeMap::new();
    for spec in ["config", "irl", "irl-uuid", "complex-dep", "hard-sample"] {
        let lab = Lab::with(&std::fs::read_to_string(specs.join(format!("{spec}.jsonnet"))).unwrap());
        let said = lab.combu(&["-f", "spec.jsonnet", "run", "--engine", "fake", "-o", "json"]).code(0);
        let results = said.json()["results"].as_array().unwrap().clone();
        assert!(results.iter().all(|one| one["trial"]["engine"] == "fake"));
        trials.insert(spec, results.len());
    }
    let expected = [("complex-dep", 9), ("config", 4), ("hard-sample", 21), ("irl", 103), ("irl-uuid", 7)];
    assert_eq!(trials, BTreeMap::from(expected));
}

#[test]
fn a_thousand_local_trials_all_run_and_leave_their_logs() {
    let mut lab =
        Lab::with(r#"{engine: "local", trials: [{name: "t-%d" % n, cmd: "echo %d" % n} for n in std.range(1, 1000)]}"#);
    lab.keep_state_in_memory();
    let said = lab.combu(&["run", "spec.jsonnet"]).code(0);
    assert!(said.stderr.contains("1000 trials: 1000 succeeded in"), "{}", said.stderr);
    let run = lab.only_run();
    assert!((1..=1000).all(|n| lab.read(run.join(format!("t-{n}/1/stdout.log"))) == format!("{n}\n")));
}

#[test]
fn ten_thousand_trials_are_rehearsed() {
    let mut lab =
        Lab::with(r#"{engine: "fake", trials: [{name: "t-%d" % n, image: "x"} for n in std.range(1, 10000)]}"#);
    lab.keep_state_in_memory();
    let said = lab.combu(&["run", "spec.jsonnet", "-j", "500", "--progress", "json"]).code(0);
    let ended: BTreeSet<String> =
        named(&said.events(), "trial-ended").iter().map(|event| event["trial"].to_string()).collect();
    assert_eq!(ended.len(), 10_000);
    assert_eq!(lab.events().len(), said.events().len());
}

#[test]
fn state_lies_in_the_project_or_where_combu_dir_says() {
    let mut lab = Lab::new();
    lab.write("project/specs/one.jsonnet", r#"{engine: "local", trials: [{name: "one", cmd: "pwd"}]}"#);
    lab.combu(&["run", "project/specs/one.jsonnet"]).code(0);
    assert!(lab.path(".combu/.gitignore").exists(), "made in the working folder above the spec");
    std::fs::create_dir(lab.path("project/.combu")).unwrap();
    lab.combu(&["run", "project/specs/one.jsonnet"]).code(0);
    let run = std::fs::read_dir(lab.path("project/.combu/runs")).unwrap().next().unwrap().unwrap().path();
    let here = lab.path("project/specs").canonicalize().unwrap();
    assert_eq!(lab.read(run.join("one/1/stdout.log")), format!("{}\n", here.display()), "runs beside its spec");
    lab.set("COMBU_DIR", "elsewhere/state");
    lab.combu(&["run", "project/specs/one.jsonnet"]).code(0);
    assert!(lab.path("elsewhere/state/runs").is_dir());
}

#[test]
fn results_that_cannot_be_written_are_an_error_and_a_reader_that_left_is_none() {
    let lab = Lab::with("[{ name: 't1', engine: 'local', cmd: 'true' }]");
    for line in ["run spec.jsonnet -o json", "plan spec.jsonnet", "script print.rhai"] {
        lab.write("print.rhai", "print(1);");
        let full = format!("exec \"$0\" {line} >/dev/full");
        let said = Live::new(lab.command("sh").args(["-c", &full, env!("CARGO_BIN_EXE_combu")]).spawn().unwrap()).end();
        assert!(said.code(1).stderr.contains("cannot write to stdout: No space left"), "{line}");
        let left = format!("\"$0\" {line} | true");
        Live::new(lab.command("sh").args(["-c", &left, env!("CARGO_BIN_EXE_combu")]).spawn().unwrap()).end().code(0);
    }
}

#[test]
fn two_forms_on_one_stream_are_refused() {
    let lab = Lab::with("[{ name: 't1', engine: 'local', cmd: 'true' }]");
    let said = lab.combu(&["run", "spec.jsonnet", "-o", "json", "--progress", "json"]).code(2);
    assert!(said.stderr.contains("both print on stdout"), "{}", said.stderr);
    assert!(lab.runs().is_empty());
}
