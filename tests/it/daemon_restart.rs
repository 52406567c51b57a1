//! A daemon of the test's own that is stopped, killed and started again while a run is in progress.

use std::fs;

use serde_json::Value;

use crate::daemon::apart;
use crate::harness::{Lab, Live, Said, eventually, named};
use crate::own_daemon::{self, End, OwnDaemon, lab};

/// Waits until so many attempts have started, in whatever order.
fn started(live: &mut Live, number: usize) {
    for _ in 0..number {
        live.line(r#""event":"attempt-started""#);
    }
}

/// The statuses of the attempts of that trial, in order.
fn attempts(events: &[Value], trial: &str) -> Vec<String> {
    let ends = named(events, "attempt-ended").into_iter().filter(|event| event["trial"] == trial);
    ends.map(|event| event["status"].as_str().unwrap().to_owned()).collect()
}

/// What the last attempt of that trial wrote.
fn log(lab: &Lab, events: &[Value], trial: &str) -> String {
    let mut ends = named(events, "attempt-ended").into_iter().filter(|event| event["trial"] == trial);
    lab.read(ends.next_back().unwrap()["logs"]["stdout"].as_str().unwrap())
}

fn sequence(lines: std::ops::RangeInclusive<usize>) -> String {
    lines.map(|line| format!("{line}\n")).collect()
}

/// Runs three trials whose first attempt runs until the daemon takes it along, and a fourth that is to be started then.
fn restarted(end: End) -> Option<Said> {
    let mut daemon = OwnDaemon::new(false)?;
    let spec = "
local line = 'seq 1 100; [ $COMBU_ATTEMPT -gt 1 ] || while true; do sleep 0.1; done; seq 101 200';
local trial(name, before) = { name: name, image: 'IMAGE', cmd: ['sh', '-c', before + line], networks: ['none'],
                              stop_grace: '1s' };
{ parallel: 3, trials: [
  trial('killed', ''),
  trial('polite', \"trap 'exit 0' TERM; echo $COMBU_ATTEMPT >/out; \") { outputs: ['/out'] }, trial('rude', \"trap 'exit 3' TERM; \"),
  trial('later', '[ $COMBU_ATTEMPT -gt 1 ] || exec seq 1 200; '),
] }";
    let lab = lab(&daemon, spec);
    let mut live = lab.start(&["run", "spec.jsonnet", "--progress", "json"]);
    started(&mut live, 3);
    daemon.end(end);
    live.line(r#""event":"engine-away""#);
    daemon.start().unwrap();
    let said = live.end();
    let events = said.events();
    for trial in ["killed", "polite", "rude"] {
        assert_eq!(attempts(&events, trial), ["lost", "succeeded"], "{end:?} {trial}\n{}", said.stdout);
        assert_eq!(log(&lab, &events, trial), sequence(1..=200), "{end:?} {trial}");
    }
    for (outputs, attempt) in [("polite/1/outputs", "1\n"), ("polite/outputs", "2\n")] {
        assert_eq!(lab.read(lab.only_run().join(outputs).join("out")), attempt, "{end:?} {outputs}");
    }
    assert_eq!(attempts(&events, "later"), ["succeeded"], "{end:?}\n{}", said.stdout);
    assert_eq!(log(&lab, &events, "later"), sequence(1..=200), "{end:?}");
    assert_eq!((named(&events, "engine-away").len(), named(&events, "engine-back").len()), (1, 1), "{}", said.stdout);
    assert_eq!(daemon.containers(), 0);
    Some(said.code(0))
}

#[test]
fn what_a_daemon_took_along_when_it_was_stopped_is_lost_and_runs_again() {
    restarted(End::Stop);
}

#[test]
fn what_a_daemon_took_along_when_it_crashed_is_lost_and_runs_again() {
    restarted(End::Crash);
}

#[test]
fn what_a_daemon_took_along_while_combu_was_dead_too_is_lost_and_runs_again() {
    let Some(mut daemon) = OwnDaemon::new(false) else { return };
    // The first attempt of `polite` ends with 0 when it is asked to, as programs do that save their work; `after` needs all
    // of it.
    let spec = "
local trial(name, cmd) = { name: name, image: 'IMAGE', cmd: ['sh', '-c', cmd], networks: ['none'], stop_grace: '1s' };
[ trial('polite', \"trap 'exit 0' TERM; seq 1 100; [ $COMBU_ATTEMPT -gt 1 ] || while true; do sleep 0.1; done; seq 101 200\"),
  trial('after', 'true') + { depends: [{ trial: 'polite', condition: 'completed' }] } ]";
    let lab = lab(&daemon, spec);
    let mut live = lab.start(&["run", "spec.jsonnet", "--progress", "json"]);
    started(&mut live, 1);
    live.signal(rustix::process::Signal::KILL);
    live.end();
    daemon.end(End::Stop);
    daemon.start().unwrap();
    lab.combu(&["resume"]).code(0);
    let events = lab.events();
    assert_eq!(attempts(&events, "polite"), ["lost", "succeeded"]);
    assert_eq!(attempts(&events, "after"), ["succeeded"]);
    assert_eq!(log(&lab, &events, "polite"), sequence(1..=200));
    let first = named(&events, "attempt-ended").into_iter().find(|event| event["trial"] == "polite").unwrap();
    assert_eq!(lab.read(first["logs"]["stdout"].as_str().unwrap()), sequence(1..=100), "its first log is kept");
}

#[test]
fn a_container_that_a_stranger_removes_is_lost_and_its_trial_runs_again() {
    let Some(daemon) = OwnDaemon::new(false) else { return };
    let spec = "[{ name: 'trial', image: 'IMAGE', networks: ['none'],
                   cmd: ['sh', '-c', '[ $COMBU_ATTEMPT -gt 1 ] || sleep 600'] }]";
    let lab = lab(&daemon, spec);
    let mut live = lab.start(&["run", "spec.jsonnet", "--progress", "json"]);
    started(&mut live, 1);
    let forced = bollard::query_parameters::RemoveContainerOptionsBuilder::new().force(true).build();
    apart(async { daemon.api().remove_container("trial", Some(forced)).await.unwrap() });
    let events = live.end().code(0).events();
    assert_eq!(attempts(&events, "trial"), ["lost", "succeeded"]);
}

#[test]
fn trials_that_outlive_their_daemon_are_followed_to_their_end() {
    for end in [End::Stop, End::Crash] {
        let Some(mut daemon) = OwnDaemon::new(true) else { return };
        // One ends while the daemon is away, one after it is back, one fails meanwhile.
        let spec = "
local line = 'seq 1 100; until [ -e /shared/%s ]; do sleep 0.05; done; seq 101 200; touch /shared/$COMBU_TRIAL; exit %d';
local trial(name, go, code) = { name: name, image: 'IMAGE', cmd: ['sh', '-c', line % [go, code]], networks: ['none'],
                                volumes: ['./shared:/shared'] };
{ parallel: 3, trials: [trial('away', 'gone', 0), trial('back', 'returned', 0), trial('failing', 'gone', 7)] }";
        let lab = lab(&daemon, spec);
        let mut live = lab.start(&["run", "spec.jsonnet", "--progress", "json"]);
        started(&mut live, 3);
        // What a daemon had not read yet when it ended is in nobody's log.
        let has_come = |trial| {
            let log = fs::read_to_string(lab.only_run().join(trial).join("1/stdout.log"));
            log.is_ok_and(|log| log == sequence(1..=100))
        };
        eventually("their first lines come", || ["away", "back", "failing"].into_iter().all(has_come));
        daemon.end(end);
        fs::write(lab.path("shared/gone"), "").unwrap();
        eventually("they go on without a daemon", || {
            ["away", "failing"].iter().all(|trial| lab.path(&format!("shared/{trial}")).exists())
        });
        live.line(r#""event":"engine-away""#);
        daemon.start().unwrap();
        live.line(r#""event":"engine-back""#);
        fs::write(lab.path("shared/returned"), "").unwrap();
        let said = live.end().code(100);
        let events = said.events();
        for (trial, status) in [("away", "succeeded"), ("back", "succeeded"), ("failing", "failed")] {
            assert_eq!(attempts(&events, trial), [status], "{end:?} {trial}\n{}", said.stdout);
            let warned = named(&events, "warned").into_iter().any(|event| {
                let message = event["message"].as_str().unwrap();
                message.contains(&format!("`{trial}`")) && message.contains("ended while the daemon was away")
            });
            // What is written without a daemon may be lost in the daemon; then that is said.
            assert_eq!(warned, trial != "back", "{end:?} {trial}\n{}", said.stdout);
            let expected = sequence(if trial == "back" { 1..=200 } else { 1..=100 });
            assert!(log(&lab, &events, trial).starts_with(&expected), "{end:?} {trial}");
        }
        // A failed one, and one whose log may lack something, are kept to be looked at.
        assert_eq!(daemon.containers(), 2);
    }
}

#[test]
fn what_runs_on_a_daemon_is_not_taken_for_gone_where_another_answers_or_none() {
    let (Some(daemon), Some(other)) = (OwnDaemon::new(false), OwnDaemon::new(false)) else { return };
    let spec = "
local trial(name) = { name: name, image: 'IMAGE', networks: ['none'], volumes: ['./shared:/shared'],
                      cmd: ['sh', '-c', 'echo $COMBU_TRIAL >>/shared/launched; until [ -e /shared/go ]; do sleep 0.05; done'] };
[trial('first'), trial('second')]";
    let mut lab = lab(&daemon, spec);
    let mut live = lab.start(&["run", "spec.jsonnet", "-j", "2", "--progress", "json"]);
    started(&mut live, 2);
    live.signal(rustix::process::Signal::KILL);
    live.end();
    let run = lab.only_run().file_name().unwrap().to_str().unwrap().to_owned();
    let forms: [&[&str]; 10] = [
        &["resume"],
        &["kill", &run],
        &["kill", "last"],
        &["kill", "--all"],
        &["kill", "last", "--engine", "docker"],
        &["kill", "spec.jsonnet"],
        &["kill", &run, "--trial", "first"],
        &["kill", "--all", "--where", "status == \"running\" || true"],
        &["rm", &run],
        &["gc", "--older-than", "1ms"],
    ];
    for (address, said) in [
        (
            other.address(),
            format!("the run used the daemon at {}, and the one at {} is another", daemon.address(), other.address()),
        ),
        ("unix:///nowhere.sock".to_owned(), "no docker engine answers at unix:///nowhere.sock".to_owned()),
    ] {
        lab.set("DOCKER_HOST", &address);
        for form in forms {
            let refused = lab.combu(form).code(125);
            assert!(refused.stderr.contains(&said), "{form:?} on {address}: {}", refused.stderr);
            assert!(!refused.stderr.contains("is left"), "{form:?} on {address}: {}", refused.stderr);
        }
    }
    assert_eq!((daemon.containers(), other.containers()), (2, 0));
    lab.set("DOCKER_HOST", daemon.address());
    let shown = lab.combu(&["show", &run, "-o", "json"]).code(0).json();
    assert_eq!(shown["daemons"][0]["address"].as_str(), Some(daemon.address().as_str()));
    fs::write(lab.path("shared/go"), "").unwrap();
    lab.combu(&["resume"]).code(0);
    let mut launched: Vec<String> = lab.read("shared/launched").lines().map(str::to_owned).collect();
    launched.sort_unstable();
    assert_eq!(launched, ["first", "second"], "each was launched once");
    // Nothing is left there now, whoever answers.
    lab.set("DOCKER_HOST", other.address());
    lab.combu(&["kill", &run]).code(0);
    lab.combu(&["rm", &run]).code(0);
}

#[test]
fn a_local_run_needs_no_docker_to_be_killed() {
    let mut lab = Lab::with(r#"[{ name: "one", engine: "local", cmd: "sleep 600" }]"#);
    lab.set("DOCKER_HOST", "unix:///nowhere.sock");
    let mut live = lab.start(&["run", "spec.jsonnet", "--progress", "json"]);
    live.event("attempt-started", "one");
    let said = lab.combu(&["kill", "last"]).code(0);
    assert!(said.stderr.starts_with("ended run "), "{}", said.stderr);
    live.end();
    for form in [["kill", "last"], ["kill", "--all"], ["kill", "spec.jsonnet"]] {
        lab.combu(&form).code(0);
    }
}

#[test]
fn a_service_whose_daemon_died_before_its_health_was_known_is_probed_all_the_same() {
    let Some(mut daemon) = OwnDaemon::new(true) else { return };
    let spec = "
local check = { test: 'test -e /shared/up', interval: '200ms', timeout: '1s', retries: 1000 };
[{ name: 'srv', image: 'IMAGE', cmd: 'sleep 600', networks: ['none'], volumes: ['./shared:/shared'], stop_grace: '0s',
   healthcheck: check },
 { name: 'trial', image: 'IMAGE', cmd: 'true', networks: ['none'], depends: ['srv'] }]";
    let lab = lab(&daemon, spec);
    let mut live = lab.start(&["run", "spec.jsonnet", "--progress", "json"]);
    started(&mut live, 1);
    daemon.end(End::Crash);
    live.line(r#""event":"engine-away""#);
    // With live-restore, Docker 20.10 goes on with the container and never probes it again.
    daemon.start().unwrap();
    live.line(r#""event":"engine-back""#);
    fs::write(lab.path("shared/up"), "").unwrap();
    let events = live.end().code(0).events();
    assert_eq!(attempts(&events, "srv"), ["stopped"]);
    assert_eq!(attempts(&events, "trial"), ["succeeded"]);
}

#[test]
fn a_daemon_that_is_frozen_is_said_to_be_away() {
    let Some(daemon) = OwnDaemon::new(false) else { return };
    let spec = "[{ name: 'trial', image: 'IMAGE', networks: ['none'], volumes: ['./shared:/shared'],
                   cmd: ['sh', '-c', 'until [ -e /shared/go ]; do sleep 0.05; done'] }]";
    let lab = lab(&daemon, spec);
    let mut live = lab.start(&["run", "spec.jsonnet", "--progress", "json"]);
    started(&mut live, 1);
    daemon.signal(rustix::process::Signal::STOP);
    let away = live.line(r#""event":"engine-away""#);
    assert!(away.contains("no answer in 10 s"), "{away}");
    let refused = own_daemon::lab(&daemon, spec).combu(&["run", "spec.jsonnet"]).code(125);
    assert!(refused.stderr.contains("does `docker version` answer?"), "{}", refused.stderr);
    daemon.signal(rustix::process::Signal::CONT);
    live.line(r#""event":"engine-back""#);
    fs::write(lab.path("shared/go"), "").unwrap();
    live.end().code(0);
}
