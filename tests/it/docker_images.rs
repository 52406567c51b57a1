//! The image of a run on a real daemon: one content, whatever its name stands for later.

use bollard::query_parameters::RemoveImageOptionsBuilder;
use rustix::process::Signal;
use serde_json::Value;

use crate::daemon::{apart, import};
use crate::docker_lab::{DockerLab, docker_lab};
use crate::harness::{eventually, named};

/// One trial after the other; each says which version of the image it runs, and waits.
const SPEC: &str = "
local trial(name) = { name: '@' + name, image: '@ver:1', networks: ['none'], stop_grace: '0s', volumes: ['./shared:/shared'],
                      cmd: ['sh', '-c', 'echo $VERSION; until [ -e /shared/%s ]; do sleep 0.05; done' % name] };
{ parallel: 1, trials: [trial('a'), trial('b'), trial('c')] }";

/// Makes the image of the test, or moves its tag to another content.
fn make(lab: &DockerLab, version: &str) {
    let (repository, change) = (lab.own("@ver"), format!("ENV VERSION={version}"));
    apart(async { import(&lab.daemon.api, &repository, "1", &change).await });
}

fn content(lab: &DockerLab) -> String {
    apart(async { lab.daemon.api.inspect_image(&lab.own("@ver:1")).await.unwrap().id.unwrap() })
}

/// The contents that the run used, as `show` tells.
fn shown(lab: &DockerLab) -> Vec<Value> {
    let shown = lab.lab.combu(&["show", "last", "-o", "json"]).code(0).json();
    shown["images"].as_array().unwrap().iter().map(|image| image["digest"].clone()).collect()
}

#[test]
fn a_tag_that_moves_changes_nothing_of_a_run_that_goes_on() {
    let Some(lab) = docker_lab(SPEC) else { return };
    make(&lab, "1");
    let first = content(&lab);
    std::fs::create_dir(lab.lab.path("shared")).unwrap();
    let mut live = lab.start_until("@a");
    make(&lab, "2");
    assert_ne!(content(&lab), first);
    lab.lab.write("shared/a", "");
    live.event("attempt-started", &lab.own("@b"));
    live.signal(Signal::KILL);
    live.end();
    lab.lab.write("shared/b", "");
    lab.lab.write("shared/c", "");
    lab.lab.combu(&["resume"]).code(0);
    for trial in ["@a", "@b", "@c"] {
        assert_eq!(lab.lab.log(&lab.own(trial)), "1\n", "{trial}");
    }
    assert_eq!(shown(&lab), [Value::from(first)]);
    // A new run uses what the name stands for then, and reuses nothing of another content.
    let said = lab.run(&["--resume", "--rm", "never"]).code(0);
    assert!(!said.stderr.contains("earlier run"), "{}", said.stderr);
    assert_eq!(lab.docker_logs("@c"), "2\n");
    assert_eq!(shown(&lab), [Value::from(content(&lab))]);
    let container = lab.inspect("@c");
    assert_eq!(container.image.as_ref(), Some(&content(&lab)));
    let labels = container.config.unwrap().labels.unwrap();
    assert_eq!(labels["combu.image"], lab.own("@ver:1"), "its name is there, though it is made from the id");
    lab.kill().code(0);
}

#[test]
fn an_image_that_cannot_be_had_is_told_once_before_anything_starts() {
    let Some(lab) = docker_lab(
        "[{name: '@t' + n, image: 'localhost:1/no/such:image', networks: ['@net']} for n in std.range(1, 40)]
         + [{name: '@fine', image: 'IMAGE', cmd: 'true'}]",
    ) else {
        return;
    };
    let said = lab.run(&[]).code(125);
    let lines: Vec<&str> = said.stderr.lines().collect();
    assert_eq!(
        lines[..2],
        ["image localhost:1/no/such:image: pulling", "error: an image cannot be had; nothing was started"]
    );
    assert!(lines[2].starts_with("  no image `localhost:1/no/such:image`: "), "{}", said.stderr);
    assert!(said.stderr.contains("needed by 40 trials: "), "{}", said.stderr);
    assert!(lines.len() < 8, "{}", said.stderr);
    assert!(lab.lab.runs().is_empty() && lab.containers().is_empty());
}

#[test]
fn a_run_whose_image_was_removed_goes_on_with_no_other() {
    let Some(lab) = docker_lab(SPEC) else { return };
    make(&lab, "1");
    let first = content(&lab);
    std::fs::create_dir(lab.lab.path("shared")).unwrap();
    let live = lab.start_until("@a");
    live.signal(Signal::KILL);
    live.end();
    lab.lab.write("shared/a", "");
    eventually("the container ends", || lab.containers()["a"] == "exited");
    make(&lab, "2");
    let forced = RemoveImageOptionsBuilder::new().force(true).build();
    apart(async { lab.daemon.api.remove_image(&first, Some(forced), None).await.unwrap() });
    lab.lab.combu(&["resume"]).code(100);
    let events = lab.lab.events();
    let ends = named(&events, "attempt-ended");
    let statuses: Vec<_> = ends.iter().map(|event| event["status"].clone()).collect();
    assert_eq!(statuses, ["succeeded", "not-started", "not-started"]);
    let why = ends[1]["message"].as_str().unwrap();
    let text = format!("the run began with its content {first}, which was removed since, and the name stands for");
    assert!(why.contains(&text), "{why}");
}
