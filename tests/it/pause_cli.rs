//! Ctrl-Z: combu pauses its trials and then stops; `fg`, Ctrl-C and `kill` still work.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::harness::{Lab, Live, eventually, is_alive, named};

/// A local trial that writes its process number to the pipe `ready`, then waits until somebody reads from the pipe `go`.
const WAITING: &str =
    r#"{engine: "local", trials: [{name: "one", cmd: "sh -c 'echo $$ > ready; echo go > go; echo done'"}]}"#;

fn lab() -> Lab {
    let lab = Lab::with(WAITING);
    lab.pipe("ready");
    lab.pipe("go");
    lab
}

/// combu with its trial running, and the trial's process number.
fn running(lab: &Lab) -> (Live, String) {
    let mut live = lab.start(&["run", "spec.jsonnet", "--progress", "json"]);
    let pid = lab.hear("ready");
    live.event("attempt-started", "one");
    (live, pid)
}

/// Whether a process was stopped by a signal.
fn stands_still(pid: &str) -> bool {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit_once(") ").is_some_and(|(_, rest)| rest.starts_with('T'))
}

fn send(pid: &str, signal: Signal) {
    kill_process(Pid::from_raw(pid.parse().unwrap()).unwrap(), signal).unwrap();
}

/// Presses Ctrl-Z for combu; its trial has to stand still before it does.
#[track_caller]
fn press_ctrl_z(combu: &str, trial: &str) {
    send(combu, Signal::TSTP);
    eventually("combu stands still", || stands_still(combu));
    assert!(stands_still(trial), "combu stopped and left its trial running");
}

fn commands(events: &[Value]) -> Vec<&str> {
    named(events, "command-taken").iter().map(|event| event["command"].as_str().unwrap()).collect()
}

#[test]
fn ctrl_z_pauses_the_trials_before_combu_stops_and_both_go_on_together() {
    let lab = lab();
    let (live, trial) = running(&lab);
    for _ in 0..2 {
        press_ctrl_z(&live.pid(), &trial);
        let said = lab.combu(&["why", "one"]).code(1).stderr.split_whitespace().collect::<Vec<_>>().join(" ");
        let hint = format!("hint: `fg` in its terminal, or `kill -CONT {}`, lets it go on", live.pid());
        assert!(said.contains("is suspended, as by Ctrl-Z, and does not answer") && said.contains(&hint), "{said}");
        live.signal(Signal::CONT);
        eventually("the trial goes on", || !stands_still(&trial));
    }
    assert_eq!(lab.hear("go"), "go");
    let said = live.end().code(0);
    assert_eq!(commands(&said.events()), ["suspend", "resume", "suspend", "resume"]);
    assert_eq!(lab.log("one"), "done\n");
}

#[test]
fn ctrl_c_ends_a_paused_run_once_it_goes_on() {
    let lab = lab();
    let (live, trial) = running(&lab);
    press_ctrl_z(&live.pid(), &trial);
    live.signal(Signal::INT);
    live.signal(Signal::CONT);
    let said = live.end().code(130);
    assert_eq!(named(&said.events(), "trial-ended")[0]["status"], "killed");
    assert!(!is_alive(&trial));
}

#[test]
fn kill_ends_a_paused_run() {
    let lab = lab();
    let (live, trial) = running(&lab);
    press_ctrl_z(&live.pid(), &trial);
    let said = lab.combu(&["-f", "spec.jsonnet", "kill"]).code(0);
    assert!(said.stderr.starts_with("ended run "), "{}", said.stderr);
    live.end().code(143);
    assert!(!is_alive(&trial));
}

#[test]
fn a_detached_run_is_paused_by_hand() {
    let lab = lab();
    lab.combu(&["-f", "spec.jsonnet", "run", "--detach"]).code(0);
    let trial = lab.hear("ready");
    let record: Value = serde_json::from_str(&lab.read(lab.only_run().join("run.json"))).unwrap();
    let combu = record["pid"].to_string();
    eventually("it is told that the trial runs", || !named(&lab.events(), "attempt-started").is_empty());
    press_ctrl_z(&combu, &trial);
    send(&combu, Signal::CONT);
    assert_eq!(lab.hear("go"), "go");
    eventually("the detached combu has ended", || !is_alive(&combu));
    assert!(lab.events().last().unwrap()["early"].is_null());
}
