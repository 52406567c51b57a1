//! Every exit code of the manual's table, as a shell sees it.

use std::fs;

use rustix::process::{Pid, Signal, kill_process};

use crate::harness::{Lab, Live, eventually, is_alive, named, steady};

/// A local trial that says its process numbers through the pipe `ready`, and lives until it is ended.
const LONG: &str = r#"{engine: "local", trials: [{name: "long", cmd: "sh -c 'sleep 600 & echo $$ $! > ready; wait'", stop_grace: "1h"}]}"#;

/// The same, deaf to the stop signal.
const DEAF: &str = r#"{engine: "local", trials: [{name: "deaf", stop_grace: "1h",
    cmd: "sh -c \"trap '' TERM; echo $$ > ready; while :; do sleep 600; done\""}]}"#;

/// Starts the spec's trial and waits until it runs; returns its process number too.
fn running(lab: &Lab, trial: &str) -> (Live, String) {
    lab.pipe("ready");
    let mut live = lab.start(&["run", "spec.jsonnet", "--progress", "json"]);
    let pid = lab.hear("ready");
    live.event("attempt-started", trial);
    assert!(is_alive(&pid));
    (live, pid)
}

#[test]
fn zero_when_every_trial_succeeded() {
    let lab = Lab::with(r#"{engine: "local", trials: [{name: "one", cmd: "true"}, {name: "two", cmd: "true"}]}"#);
    lab.combu(&["run", "spec.jsonnet"]).code(0);
}

#[test]
fn one_when_combu_itself_failed() {
    let mut lab = Lab::with(r#"{engine: "local", trials: [{name: "one", cmd: "touch started"}]}"#);
    lab.write("file", "");
    lab.set("COMBU_DIR", "file/state");
    let said = lab.combu(&["run", "spec.jsonnet"]).code(1);
    let _steady = steady(&lab);
    insta::assert_snapshot!(said.stderr, @"error: cannot read `[LAB]/file/state` in the state folder; set COMBU_DIR to another folder: Not a directory (os error 20)");
    assert!(!lab.path("started").exists());
}

#[test]
fn two_when_nothing_could_be_started() {
    let lab = Lab::with("[{name: 'one'");
    lab.combu(&["run", "spec.jsonnet"]).code(2);
    lab.combu(&["run", "no.jsonnet"]).code(2);
    lab.combu(&["run"]).code(2);
    lab.combu(&["walk"]).code(2);
    lab.combu::<&str>(&[]).code(2);
    assert!(!lab.path(".combu").exists());
}

#[test]
fn four_when_there_is_no_trial() {
    let lab = Lab::with("[]");
    for verb in ["run", "plan"] {
        let said = lab.combu(&[verb, "spec.jsonnet"]).code(4);
        insta::allow_duplicates! {
            insta::assert_snapshot!(said.stderr, @"error: nothing to run: the experiment `spec` has no trials");
        }
        assert!(!lab.path(".combu").exists());
    }
}

#[test]
fn a_hundred_when_some_trial_failed() {
    let lab = Lab::with(r#"{engine: "local", trials: [{name: "one", cmd: "false"}, {name: "two", cmd: "true"}]}"#);
    lab.combu(&["run", "spec.jsonnet"]).code(100);
    let lab = Lab::with(r#"{engine: "local", trials: [{name: "one", cmd: "no-such-program"}]}"#);
    lab.combu(&["run", "spec.jsonnet"]).code(100);
}

#[test]
fn a_hundred_and_one_when_its_policy_halted_the_run() {
    let lab =
        Lab::with(r#"{engine: "local", trials: [{name: "bad", cmd: "false"}, {name: "long", cmd: "sleep 600"}]}"#);
    let said = lab.combu(&["run", "spec.jsonnet", "--halt", "now,fail=1", "--progress", "json", "-j", "2"]).code(101);
    let events = said.events();
    assert_eq!(named(&events, "halted").len(), 1);
    assert_eq!(events.last().unwrap()["early"]["by"], "halted");
}

#[test]
fn a_hundred_and_twenty_five_when_no_docker_answers() {
    let lab = Lab::with(r#"[{name: "one", image: "busybox"}]"#);
    let said = lab.combu(&["run", "spec.jsonnet"]).code(125);
    insta::assert_snapshot!(said.stderr, @r#"
    error: no docker engine answers at unix:///nonexistent: no such file: /nonexistent (is the daemon running? DOCKER_HOST or `docker context use` choose another one)
    hint: `docker info` tells whether you may use it; trials with `engine: "local"` need no Docker
    "#);
    assert!(!lab.path(".combu").exists());
    lab.combu(&["-f", "spec.jsonnet", "kill"]).code(125);
}

#[test]
fn a_hundred_and_thirty_after_ctrl_c_with_every_trial_stopped() {
    let lab = Lab::with(LONG);
    let (live, pid) = running(&lab, "long");
    live.signal(Signal::INT);
    let said = live.end().code(130);
    assert!(!is_alive(&pid));
    let events = said.events();
    assert_eq!(named(&events, "trial-ended")[0]["status"], "killed");
    let taken = named(&events, "command-taken");
    assert_eq!((&taken[0]["command"], &taken[0]["by"]), (&"cancel".into(), &"SIGINT".into()));
}

#[test]
fn a_hundred_and_forty_three_after_kill_with_every_trial_stopped() {
    for signal in [Signal::TERM, Signal::HUP] {
        let lab = Lab::with(LONG);
        let (live, pid) = running(&lab, "long");
        live.signal(signal);
        live.end().code(143);
        assert!(!is_alive(&pid));
    }
}

#[test]
fn a_second_ctrl_c_kills_a_trial_that_will_not_stop() {
    let lab = Lab::with(DEAF);
    let (mut live, pid) = running(&lab, "deaf");
    live.signal(Signal::INT);
    live.line(r#""event":"command-taken","command":"cancel","by":"SIGINT""#);
    assert!(is_alive(&pid));
    live.signal(Signal::INT);
    let said = live.end().code(130);
    assert!(!is_alive(&pid));
    assert_eq!(named(&said.events(), "trial-ended")[0]["status"], "killed");
}

#[test]
fn a_third_signal_ends_combu_whatever_keeps_it() {
    let mut lab =
        Lab::with(r#"{engine: "fake", trials: [{name: "t-%d" % n, image: "x"} for n in std.range(1, 1000)]}"#);
    lab.keep_state_in_memory();
    for (signal, code) in [(Signal::INT, 130), (Signal::TERM, 143)] {
        // A reader that does not read, as a pager would: combu cannot write its events.
        let (unread, stdout) = std::io::pipe().unwrap();
        let mut command = lab.command(env!("CARGO_BIN_EXE_combu"));
        command.args(["run", "spec.jsonnet", "--progress", "json"]).stdout(stdout);
        let child = command.spawn().unwrap();
        drop(command);
        eventually("it writes", || !lab.runs().is_empty());
        let pid = Pid::from_child(&child);
        // Signals that come close together may count as one.
        eventually("it has ended", || {
            let _gone = kill_process(pid, signal);
            !is_alive(&pid.as_raw_nonzero().to_string())
        });
        let output = child.wait_with_output().unwrap();
        assert_eq!(output.status.code(), Some(code));
        let stderr = String::from_utf8(output.stderr).unwrap();
        insta::allow_duplicates! {
            insta::assert_snapshot!(stderr, @"
            error: ended by a third signal; trials may be left
            hint: `combu -f spec.jsonnet kill` removes what is left
            ");
        }
        drop(unread);
        fs::remove_dir_all(&lab.runs()[0]).unwrap();
    }
}

#[test]
fn signals_that_were_ignored_at_the_start_are_not_listened_to() {
    let lab = Lab::with(r#"{engine: "local", trials: [{name: "one", cmd: "sh -c 'echo $$ > ready; echo go > go'"}]}"#);
    lab.pipe("ready");
    lab.pipe("go");
    let line = format!("trap '' HUP INT; exec {} run spec.jsonnet --progress json", env!("CARGO_BIN_EXE_combu"));
    let mut live = Live::new(lab.command("sh").args(["-c", &line]).spawn().unwrap());
    lab.hear("ready");
    live.event("attempt-started", "one");
    live.signal(Signal::HUP);
    live.signal(Signal::INT);
    let status = fs::read_to_string(format!("/proc/{}/status", live.pid())).unwrap();
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:")).unwrap();
    assert_eq!(u64::from_str_radix(mask.trim(), 16).unwrap() & 0b11, 0b11, "both are ignored still");
    assert_eq!(lab.hear("go"), "go");
    let said = live.end().code(0);
    assert!(named(&said.events(), "command-taken").is_empty());
    // SIGTERM is listened to all the same: `kill` needs it.
    let mut live = Live::new(lab.command("sh").args(["-c", &line]).spawn().unwrap());
    lab.hear("ready");
    live.event("attempt-started", "one");
    live.signal(Signal::TERM);
    live.end().code(143);
}

#[test]
fn the_manual_lists_these_codes() {
    let manual = combu::cli::reference();
    let (_, table) = manual.split_once("## Exit codes").unwrap();
    let codes: Vec<&str> = table.lines().filter_map(|line| line.strip_prefix("| ")?.split(' ').next()).collect();
    assert_eq!(codes, ["code", "---", "0", "1", "2", "4", "5", "100", "101", "125", "130", "143"]);
}
