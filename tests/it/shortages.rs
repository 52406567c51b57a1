//! Shortages pass: a trial that lacks what others use now waits, and says for what.

use std::net::TcpListener;

use crate::daemon::IMAGE;
use crate::docker_lab::docker_lab;
use crate::harness::{Lab, named};

fn warnings(events: &[serde_json::Value]) -> Vec<String> {
    named(events, "warned").into_iter().map(|event| event["message"].as_str().unwrap().to_owned()).collect()
}

#[test]
fn a_host_port_that_another_run_has_is_waited_for() {
    let free = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let spec = |name: &str, seconds: u8| {
        format!(
            "[{{name: '{name}', image: 'IMAGE', cmd: 'sleep {seconds}', ports: ['127.0.0.1:{free}:80'], networks: ['{name}']}}]"
        )
    };
    let Some(lab) = docker_lab(&spec("@a", 2)) else { return };
    let mut other = Lab::with(&lab.own(&spec("@b", 0)));
    other.set("DOCKER_HOST", crate::daemon::address(&lab.daemon.engine));
    let first = lab.start_until("@a");
    other.combu(&["run", "spec.jsonnet"]).code(0);
    first.end().code(0);
    let told = warnings(&other.events());
    assert_eq!(told.len(), 1, "{told:?}");
    assert!(told[0].contains("` waits: failed to start container `") && told[0].contains("port is already allocated"));
    lab.assert_empty();
}

#[test]
fn two_projects_whose_trials_have_the_same_names_wait_for_each_other() {
    let spec = "
local trial(name) = {name: name, image: 'IMAGE', cmd: 'sleep 0.2', networks: ['none']};
{parallel: 2, trials: [trial('@t%d' % n) for n in std.range(1, 5)]}";
    let Some(lab) = docker_lab(spec) else { return };
    let mut other = Lab::with(&lab.own(spec));
    other.set("DOCKER_HOST", crate::daemon::address(&lab.daemon.engine));
    // The second begins while the first has not made its last containers: not all of its names are taken yet.
    let options = ["run", "spec.jsonnet", "--progress", "json"];
    let mut first = lab.lab.start(&options);
    first.line(r#""event":"run-started""#);
    let second = other.start(&options);
    let (first, second) = (first.end(), second.end());
    first.code(0);
    // It may have come a moment too late: then it says what stands in the way, and starts nothing.
    if second.code == Some(2) {
        assert!(second.stderr.contains("is taken by a container of the experiment at"), "{}", second.stderr);
        other.combu(&options).code(0);
    } else {
        second.code(0);
    }
    lab.assert_empty();
}

#[test]
fn a_name_that_a_kept_container_has_is_said_with_the_command_that_frees_it() {
    let Some(lab) = docker_lab("[{name: '@a', image: 'IMAGE', cmd: 'false', networks: ['none']}]") else { return };
    lab.run(&[]).code(100);
    let name = lab.own("@a");
    let mut other = Lab::with(&format!("[{{name: '{name}', image: '{IMAGE}', cmd: 'true', networks: ['none']}}]"));
    other.set("DOCKER_HOST", crate::daemon::address(&lab.daemon.engine));
    let spec = lab.lab.path("spec.jsonnet");
    let refused = other.combu(&["run", "spec.jsonnet"]).code(2);
    let frees = format!("combu -f {} kill", spec.canonicalize().unwrap().display());
    let said = refused.stderr.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(said.contains(&format!("which has ended and is kept: `{frees}` frees it")), "{said}");
    lab.kill().code(0);
    other.combu(&["run", "spec.jsonnet"]).code(0);
}

#[test]
fn more_local_trials_than_there_are_files_for_run_one_after_the_other() {
    let lab = Lab::with(
        "{engine: 'local', parallel: 60, trials: [
            {name: 't%d' % n, cmd: ['sh', '-c', 'echo out; echo err >&2; sleep 0.2']} for n in std.range(1, 60)]}",
    );
    let combu = env!("CARGO_BIN_EXE_combu");
    let line = format!("ulimit -n 128; exec {combu} run spec.jsonnet");
    let output = lab.command("sh").args(["-c", &line]).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let events = lab.events();
    let ends = named(&events, "attempt-ended");
    assert_eq!(ends.len(), 60, "each was started once");
    for end in ends {
        for (stream, text) in [("stdout", "out\n"), ("stderr", "err\n")] {
            assert_eq!(lab.read(end["logs"][stream].as_str().unwrap()), text, "{end}");
        }
    }
    let told = warnings(&events);
    assert!(told.len() == 1 && told[0].contains("the limit of open files (`ulimit -n`) allows no more"), "{told:?}");
}
