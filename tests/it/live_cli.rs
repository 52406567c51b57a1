//! Runs that live while another combu is called: refused seconds, `kill`, `--detach`, and what a killed combu leaves.

use std::fs;
use std::path::Path;

use rustix::process::Signal;
use serde_json::Value;

use crate::harness::{Lab, Live, eventually, is_alive, named, steady};

/// A local trial that writes its process numbers to the pipe `ready`, and lives until it is ended.
const LONG: &str =
    r#"{engine: "local", trials: [{name: "long", cmd: "sh -c 'sleep 600 & echo $$ $! > ready; wait'"}]}"#;

/// The same, until someone reads from the pipe `go`.
const WAITING: &str =
    r#"{engine: "local", trials: [{name: "one", cmd: "sh -c 'echo $$ > ready; echo go > go; echo done'"}]}"#;

fn running(lab: &Lab) -> (Live, String) {
    lab.pipe("ready");
    let mut live = lab.start(&["run", "spec.jsonnet", "--progress", "json"]);
    let pid = lab.hear("ready");
    live.event("attempt-started", "long");
    (live, pid)
}

/// The process that runs the only run.
fn process(lab: &Lab) -> String {
    record(&lab.only_run())["pid"].to_string()
}

fn record(run: &Path) -> Value {
    serde_json::from_str(&fs::read_to_string(run.join("run.json")).unwrap()).unwrap()
}

#[test]
fn a_second_run_is_refused_while_the_first_one_lives() {
    let lab = Lab::with(LONG);
    let (live, pid) = running(&lab);
    let said = lab.combu(&["-f", "spec.jsonnet", "run"]).code(2);
    assert_eq!(said.stdout, "");
    {
        let _steady = steady(&lab);
        insta::assert_snapshot!(said.stderr, @"
        error: the experiment `spec` is running: run [RUN], process [PID]
        hint: wait for it, or end it with `combu -f spec.jsonnet kill`
        ");
    }
    assert_eq!(lab.runs().len(), 1, "the refused run leaves no folder");
    assert!(is_alive(&pid), "the first goes on");
    let other = r#"{engine: "local", trials: [{name: "long", cmd: "true"}]}"#;
    lab.write("other.jsonnet", other);
    lab.combu(&["-f", "other.jsonnet", "run"]).code(0);
    live.signal(Signal::INT);
    live.end().code(130);
    lab.write("spec.jsonnet", other);
    lab.combu(&["-f", "spec.jsonnet", "run"]).code(0);
}

#[test]
fn kill_ends_the_combu_that_runs_the_spec_and_its_trials() {
    let lab = Lab::with(LONG);
    let (live, pid) = running(&lab);
    let killed = lab.combu(&["-f", "spec.jsonnet", "kill"]).code(0);
    assert_eq!(killed.stdout, "");
    let _steady = steady(&lab);
    insta::assert_snapshot!(killed.stderr, @"ended run [RUN]");
    let said = live.end().code(143);
    assert_eq!(named(&said.events(), "trial-ended")[0]["status"], "killed");
    assert!(!is_alive(&pid));
    insta::assert_snapshot!(lab.combu(&["-f", "spec.jsonnet", "kill"]).code(0).stderr, @"nothing of spec.jsonnet is left");
}

#[test]
fn kill_needs_neither_the_specs_text_nor_its_working_folder() {
    let lab = Lab::with(LONG);
    fs::create_dir(lab.path("below")).unwrap();
    let (live, pid) = running(&lab);
    lab.write("spec.jsonnet", "broken");
    let mut elsewhere = lab.command(env!("CARGO_BIN_EXE_combu"));
    elsewhere.current_dir(lab.path("below")).args(["-f", "../spec.jsonnet", "kill"]);
    Live::new(elsewhere.spawn().unwrap()).end().code(0);
    live.end().code(143);
    assert!(!is_alive(&pid));
}

#[test]
fn kill_waits_out_its_grace_and_then_kills() {
    let lab = Lab::with(
        r#"{engine: "local", trials: [{name: "long", stop_grace: "1h",
            cmd: "sh -c \"trap '' TERM; echo $$ > ready; while :; do sleep 600; done\""}]}"#,
    );
    let (live, pid) = running(&lab);
    lab.combu(&["-f", "spec.jsonnet", "kill", "--grace", "100ms"]).code(0);
    live.end().code(143);
    assert!(!is_alive(&pid));
}

#[test]
fn kill_finds_nothing_where_nothing_was_started() {
    let lab = Lab::with(LONG);
    let said = lab.combu(&["-f", "spec.jsonnet", "kill"]).code(0);
    insta::assert_snapshot!(said.stderr, @"nothing of spec.jsonnet is left");
    assert!(!lab.path(".combu").exists());
}

#[test]
fn a_combu_that_is_killed_leaves_no_local_trial() {
    let lab = Lab::with(LONG);
    let (live, pid) = running(&lab);
    live.signal(Signal::KILL);
    assert_eq!(live.end().code, None);
    eventually("the trial has ended", || !is_alive(&pid));
    lab.write("spec.jsonnet", r#"{engine: "local", trials: [{name: "long", cmd: "true"}]}"#);
    lab.combu(&["-f", "spec.jsonnet", "run"]).code(0);
}

#[test]
fn a_detached_run_goes_on_without_its_parent_and_ends_by_itself() {
    let lab = Lab::with(WAITING);
    lab.pipe("ready");
    lab.pipe("go");
    let said = lab.combu(&["-f", "spec.jsonnet", "run", "--detach"]).code(0);
    let pid = lab.hear("ready");
    let run = lab.only_run();
    assert_eq!(said.stdout.trim_end(), run.file_name().unwrap().to_str().unwrap());
    {
        let _steady = steady(&lab);
        insta::assert_snapshot!(said.stderr, @"
        run [RUN] goes on in the background
          progress: tail -f [LAB]/.combu/runs/[RUN]/combu.log
          end it:   combu -f spec.jsonnet kill
        ");
    }
    let combu = process(&lab);
    assert!(is_alive(&combu) && is_alive(&pid));
    lab.combu(&["-f", "spec.jsonnet", "run"]).code(2);
    assert_eq!(lab.hear("go"), "go");
    eventually("the detached combu has ended", || !is_alive(&combu));
    assert_eq!(lab.log("one"), "done\n");
    assert!(lab.events().last().unwrap()["early"].is_null());
    let log = lab.read(run.join("combu.log"));
    assert!(log.contains("[1/1] ok      one") && log.contains("1 trial: 1 succeeded in"), "{log}");
}

#[test]
fn a_detached_run_outlives_its_terminal() {
    let lab = Lab::with(LONG);
    lab.pipe("ready");
    // The shell leads a session of its own, as a terminal's does, and takes its whole group with it.
    let line = format!("{} run -d spec.jsonnet; kill -HUP 0", env!("CARGO_BIN_EXE_combu"));
    let shell = lab.command("setsid").args(["--wait", "sh", "-c", &line]).spawn().unwrap();
    assert_ne!(Live::new(shell).end().code, Some(0));
    let pid = lab.hear("ready");
    let combu = process(&lab);
    assert!(is_alive(&combu) && is_alive(&pid));
    lab.combu(&["-f", "spec.jsonnet", "kill"]).code(0);
    assert!(!is_alive(&combu) && !is_alive(&pid));
}

#[test]
fn kill_ends_a_detached_run() {
    let lab = Lab::with(LONG);
    lab.pipe("ready");
    lab.combu(&["run", "spec.jsonnet", "-d", "--progress", "json"]).code(0);
    let (pid, combu) = (lab.hear("ready"), process(&lab));
    let said = lab.combu(&["kill", "spec.jsonnet"]).code(0);
    assert!(said.stderr.starts_with("ended run "), "{}", said.stderr);
    assert!(!is_alive(&pid));
    eventually("the detached combu has ended", || !is_alive(&combu));
    assert_eq!(named(&lab.events(), "trial-ended")[0]["status"], "killed");
}

#[test]
fn a_detached_start_that_fails_says_why_and_with_which_code() {
    let lab = Lab::with("[{name: 'one'");
    let attached = lab.combu(&["run", "spec.jsonnet"]).code(2);
    let detached = lab.combu(&["run", "spec.jsonnet", "--detach"]).code(2);
    assert_eq!((detached.stdout.as_str(), detached.stderr), ("", attached.stderr));
    lab.write("spec.jsonnet", r#"[{name: "one", image: "busybox"}]"#);
    let detached = lab.combu(&["run", "spec.jsonnet", "--detach"]).code(125);
    assert!(detached.stderr.contains("no docker engine answers"), "{}", detached.stderr);
    assert_eq!(detached.stdout, "");
    assert!(!lab.path(".combu").exists());
}

#[test]
fn a_full_disk_costs_logs_and_no_trial() {
    let lab = Lab::with(
        r#"{engine: "local", trials: [{name: "loud", cmd: "sh -c 'head -c 3000000 /dev/zero; touch done'"}]}"#,
    );
    // The shell's limit on file sizes stands in for a full disk; its signal is ignored, so that writing fails instead.
    let line = format!("trap '' XFSZ; ulimit -f 1024; exec {} run spec.jsonnet -o json", env!("CARGO_BIN_EXE_combu"));
    let said = Live::new(lab.command("sh").args(["-c", &line]).spawn().unwrap()).end().code(0);
    assert!(lab.path("done").exists());
    assert!(said.stderr.contains("the logs of `loud` are not complete"), "{}", said.stderr);
    assert_eq!(said.json()["results"][0]["state"]["ended"]["status"], "succeeded");
}
