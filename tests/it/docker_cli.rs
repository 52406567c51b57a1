//! `combu run` and `combu kill` on a real daemon: whose containers are touched, what stays, and what is left behind.

use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::process::Command;

use bollard::models::{ContainerCreateBody, NetworkCreateRequest};
use bollard::query_parameters::CreateContainerOptionsBuilder;
use rustix::process::Signal;
use serde_json::json;

use crate::daemon::{IMAGE, apart};
use crate::docker_lab::docker_lab;
use crate::harness::{eventually, named};

const LONG: &str = "[{name: '@long', image: 'IMAGE', cmd: 'sleep 600', stop_grace: '1h', networks: ['@net']}]";

/// Ends when asked to.
const POLITE: &str = "[{name: '@long', image: 'IMAGE', networks: ['@net'],
    cmd: ['sh', '-c', 'trap \"exit 0\" TERM; sleep 600 & wait']}]";

fn exited(names: &[&str]) -> BTreeMap<String, String> {
    names.iter().map(|name| ((*name).to_owned(), "exited".to_owned())).collect()
}

#[test]
fn a_failed_trial_stays_with_its_log_until_kill() {
    let Some(lab) = docker_lab(
        "[{name: '@good', image: 'IMAGE', cmd: 'echo fine', networks: ['@net']},
          {name: '@bad', image: 'IMAGE', cmd: \"sh -c 'echo lost in the maze; exit 3'\", networks: ['@net']}]",
    ) else {
        return;
    };
    let said = lab.run(&[]).code(100);
    assert!(
        said.stderr.contains("containers were kept; remove them with: combu -f spec.jsonnet kill"),
        "{}",
        said.stderr
    );
    assert_eq!(lab.containers(), exited(&["bad"]));
    assert_eq!(lab.docker_logs("@bad"), "lost in the maze\n");
    assert_eq!(lab.lab.log(&lab.own("@bad")), "lost in the maze\n");
    let said = lab.kill().code(0);
    assert_eq!(said.stderr, lab.own("removed @bad\nremoved network @net\n"));
    lab.assert_empty();
}

#[test]
fn the_next_run_replaces_what_an_earlier_one_left() {
    let Some(lab) = docker_lab("[{name: '@one', image: 'IMAGE', cmd: 'false'}]") else { return };
    lab.run(&[]).code(100);
    let first = lab.inspect("@one").id;
    let planned = lab.lab.combu(&["plan", "spec.jsonnet"]).code(0);
    assert!(planned.stdout.contains(&lab.own("replace finished container @one")), "{}", planned.stdout);
    lab.run(&[]).code(100);
    assert_ne!(lab.inspect("@one").id, first);
    lab.spec("[{name: '@one', image: 'IMAGE', cmd: 'true'}]");
    lab.run(&["--rm", "never"]).code(0);
    assert_eq!(lab.containers(), exited(&["one"]));
    lab.run(&["--rm", "always"]).code(0);
    lab.assert_empty();
}

#[test]
fn a_run_is_refused_while_its_trials_run() {
    let Some(lab) = docker_lab(LONG) else { return };
    let live = lab.start_until("@long");
    let refused = lab.run(&[]).code(2);
    assert!(refused.stderr.starts_with("error: the experiment `spec` is running: run "), "{}", refused.stderr);
    // Nobody waits for the container any more, but it still runs.
    live.signal(Signal::KILL);
    live.end();
    assert_eq!(lab.containers()["long"], "running");
    let refused = lab.run(&[]).code(2);
    assert!(refused.stderr.contains("something stands in the way; nothing was started"), "{}", refused.stderr);
    assert!(refused.stderr.contains(&lab.own("`@long`")), "{}", refused.stderr);
    lab.kill().code(0);
    lab.assert_empty();
}

#[test]
fn what_others_made_is_never_touched() {
    let Some(lab) = docker_lab(
        "[{name: '@taken', image: 'IMAGE', cmd: 'true'},
          {name: '@one', image: 'IMAGE', cmd: 'true', networks: ['@theirs']}]",
    ) else {
        return;
    };
    let (container, network) = (lab.own("@taken"), lab.own("@theirs"));
    apart(async {
        let api = &lab.daemon.api;
        let body = ContainerCreateBody {
            image: Some(IMAGE.to_owned()),
            cmd: Some(vec!["true".to_owned()]),
            ..Default::default()
        };
        let options = CreateContainerOptionsBuilder::new().name(&container).build();
        api.create_container(Some(options), body).await.unwrap();
        api.create_network(NetworkCreateRequest { name: network, ..Default::default() }).await.unwrap();
    });
    let before = lab.inspect("@taken").id;
    let refused = lab.run(&[]).code(2);
    assert!(refused.stderr.contains("combu never touches what is not its own"), "{}", refused.stderr);
    assert_eq!(lab.containers(), BTreeMap::from([("taken".to_owned(), "created".to_owned())]));
    lab.kill().code(0);
    lab.spec("[{name: '@one', image: 'IMAGE', cmd: 'true', networks: ['@theirs']}]");
    lab.run(&["--rm", "never"]).code(0);
    assert_eq!(lab.kill().code(0).stderr, lab.own("removed @one\n"));
    assert_eq!(lab.inspect("@taken").id, before);
    assert_eq!(lab.networks(), ["theirs"]);
}

#[test]
fn ctrl_c_leaves_nothing_running() {
    let Some(lab) = docker_lab(POLITE) else { return };
    let live = lab.start_until("@long");
    live.signal(Signal::INT);
    let said = live.end().code(130);
    assert_eq!(named(&said.events(), "trial-ended")[0]["status"], "killed");
    assert_eq!(lab.containers(), exited(&["long"]));
    lab.kill().code(0);
    lab.assert_empty();
}

#[test]
fn a_second_ctrl_c_kills_a_container_that_will_not_stop() {
    let Some(lab) = docker_lab(LONG) else { return };
    let mut live = lab.start_until("@long");
    live.signal(Signal::INT);
    live.line(r#""event":"command-taken","command":"cancel""#);
    live.signal(Signal::INT);
    live.end().code(130);
    assert_eq!(lab.containers(), exited(&["long"]));
}

#[test]
fn kill_ends_a_detached_run_and_removes_everything_of_it() {
    let Some(lab) = docker_lab(POLITE) else { return };
    let said = lab.run(&["--detach"]).code(0);
    eventually("its container runs", || lab.containers().get("long").is_some_and(|state| state == "running"));
    let killed = lab.kill().code(0);
    let lines = format!("ended run {}removed @long\nremoved network @net\n", said.stdout);
    assert_eq!(killed.stderr, lab.own(&lines));
    lab.assert_empty();
}

#[test]
fn kill_needs_no_names_also_when_they_hold_the_uuid_and_the_spec_was_edited() {
    let spec = "local uuid = \"UUID\";
        [{name: '@%s-%d' % [uuid, n], image: 'IMAGE', cmd: 'false', networks: ['@net-' + uuid]} for n in [1, 2]]";
    let Some(lab) = docker_lab(spec) else { return };
    lab.run(&[]).code(100);
    lab.run(&[]).code(100);
    assert_eq!((lab.containers().len(), lab.networks().len()), (4, 2), "two runs, two UUIDs");
    lab.spec("[{name: '@other', image: 'IMAGE'}]");
    lab.kill().code(0);
    lab.assert_empty();
}

#[test]
fn a_hundred_megabytes_reach_the_log_as_they_were_written() {
    let line = "{ seq 1 20000000 | head -c 100000000 | tee /dev/fd/3 | md5sum >&2; } 3>&1";
    let Some(lab) = docker_lab(&format!("[{{name: '@loud', image: 'IMAGE', cmd: ['sh', '-c', '{line}']}}]")) else {
        return;
    };
    let result = lab.run(&["-o", "json"]).code(0).json();
    let logs = &result["results"][0]["logs"];
    assert_eq!(logs["stdout_bytes"], 100_000_000);
    let sum =
        Command::new("md5sum").stdin(std::fs::File::open(logs["stdout"].as_str().unwrap()).unwrap()).output().unwrap();
    assert_eq!(lab.lab.read(logs["stderr"].as_str().unwrap()), String::from_utf8(sum.stdout).unwrap());
}

#[test]
fn ends_are_told_apart() {
    let Some(lab) = docker_lab(
        "[{name: '@oom', image: 'IMAGE', cmd: 'tail /dev/zero', memory: '16m'},
          {name: '@137', image: 'IMAGE', cmd: \"sh -c 'exit 137'\"},
          {name: '@long', image: 'IMAGE', cmd: 'sleep 600', timeout: '300ms', stop_grace: '100ms'},
          {name: '@missing', image: 'IMAGE', cmd: 'no-such-program'}]",
    ) else {
        return;
    };
    let result = lab.run(&["-o", "json"]).code(100).json();
    let state = |place: usize| result["results"][place]["state"]["ended"].clone();
    assert_eq!(state(0), json!({"status": "oom"}));
    // Docker tells no difference between this and the signal.
    assert_eq!(state(1), json!({"status": "failed", "exit": {"signal": 9}}));
    assert_eq!(state(2), json!({"status": "timed-out"}));
    assert_eq!(state(3)["status"], "not-started");
    assert!(state(3)["message"].as_str().unwrap().contains("no-such-program"), "{}", state(3));
    assert!(lab.containers().values().all(|state| state != "running"));
}

#[test]
fn an_image_that_may_not_be_pulled_is_missed_before_anything_starts() {
    let Some(lab) = docker_lab(
        "[{name: '@one', image: 'combu-test/no-such-image', cmd: 'true'}, {name: '@two', image: 'IMAGE', cmd: 'true'}]",
    ) else {
        return;
    };
    for verb in ["run", "plan"] {
        let said = lab.lab.combu(&[verb, "spec.jsonnet", "--pull", "never"]).code(2);
        assert!(said.stderr.contains("combu-test/no-such-image"), "{}", said.stderr);
        assert!(said.stderr.contains("--pull missing"), "{}", said.stderr);
    }
    assert!(lab.lab.runs().is_empty());
    lab.assert_empty();
}

#[test]
fn a_path_is_mounted_from_the_specs_folder_and_its_files_are_the_callers() {
    let Some(lab) = docker_lab("[]") else { return };
    lab.lab.write("specs/data/maze", "an easy maze\n");
    lab.lab.write("specs/out/.keep", "");
    lab.lab.write(
        "specs/spec.jsonnet",
        &lab.own(
            "[{name: '@one', image: 'IMAGE', user: 'host', cmd: \"sh -c 'cp /data/maze /out; id -u; id -g; ! touch /data/x'\",
               volumes: ['./data:/data:ro', {host: './out', container: '/out'}]}]",
        ),
    );
    let result = lab.lab.combu(&["run", "specs/spec.jsonnet", "-o", "json"]).code(0).json();
    assert_eq!(lab.lab.read("specs/out/maze"), "an easy maze\n");
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    let made = std::fs::metadata(lab.lab.path("specs/out/maze")).unwrap();
    assert_eq!((made.uid(), made.gid()), (uid, gid));
    assert_eq!(lab.lab.read(result["results"][0]["logs"]["stdout"].as_str().unwrap()), format!("{uid}\n{gid}\n"));
}
