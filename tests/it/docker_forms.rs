//! The experiments people write: sweeps with and without a service, names with the UUID, and the first combu's own specs.

use std::path::Path;

use serde_json::Value;

use crate::daemon::ensure_stand_ins;
use crate::docker_lab::{DockerLab, docker_lab};
use crate::harness::{named, place};

/// Ten solvers ended well, and what each said is in its log.
#[track_caller]
fn assert_solved(lab: &DockerLab, says: impl Fn(u32, &str) -> (String, String)) {
    for id in 1..=5 {
        for mode in ["a", "b"] {
            let (name, text) = says(id, mode);
            assert_eq!(lab.lab.log(&lab.own(&name)), text, "{name}");
        }
    }
    lab.assert_empty();
}

#[test]
fn a_sweep_of_two_modes_and_five_mazes() {
    let Some(lab) = docker_lab(
        "local solver(id, mode) = {
           name: '@solver-%d-%s' % [id, mode],
           image: 'IMAGE',
           cmd: 'echo solve --id=%d --mode=%s' % [id, mode],
         };
         [solver(id, mode) for id in std.range(1, 5) for mode in ['a', 'b']]",
    ) else {
        return;
    };
    let said = lab.run(&[]).code(0);
    assert!(said.stderr.contains("10 trials: 10 succeeded in"), "{}", said.stderr);
    assert_solved(&lab, |id, mode| (format!("@solver-{id}-{mode}"), format!("solve --id={id} --mode={mode}\n")));
}

/// A loader that serves mazes to solvers by its name, and solvers that ask for theirs.
const SERVED: &str = "
    local loader = {
      name: '@loader',
      image: 'IMAGE',
      cmd: 'httpd -f -p 8000 -h /mazes',
      service: true,
      volumes: ['./mazes:/mazes:ro'],
      networks: ['@irl'],
      healthcheck: { test: 'wget -q -O - localhost:8000/1', interval: '100ms', retries: 100 },
      stop_grace: '1s',
    };
    [loader] + [
      {
        name: '@solver-%d-%s' % [id, mode],
        image: 'IMAGE',
        cmd: ['sh', '-c', 'wget -q -O - http://@loader:8000/%d; echo %s' % [id, mode]],
        networks: ['@irl'],
        depends: ['@loader'],
      }
      for id in std.range(1, 5)
      for mode in ['a', 'b']
    ]";

#[test]
fn solvers_find_their_service_by_name_and_it_is_stopped_after_the_last() {
    let Some(lab) = docker_lab(SERVED) else { return };
    for id in 1..=5 {
        lab.lab.write(&format!("mazes/{id}"), &format!("maze {id}\n"));
    }
    lab.run(&[]).code(0);
    assert_solved(&lab, |id, mode| (format!("@solver-{id}-{mode}"), format!("maze {id}\n{mode}\n")));
    let events = lab.lab.events();
    let loader = lab.own("@loader");
    let healthy = place(&events, "healthy", &loader);
    let ended = place(&events, "trial-ended", &loader);
    assert_eq!(events[ended]["status"], "stopped");
    let solvers = named(&events, "attempt-starting").len() - 1;
    assert_eq!(solvers, 10);
    for event in events.iter().filter(|event| event["trial"] != *loader && event["event"] == "attempt-starting") {
        let solver = event["trial"].as_str().unwrap();
        assert!(healthy < place(&events, "attempt-starting", solver), "{solver} waits until the loader is healthy");
        assert!(place(&events, "attempt-ended", solver) < ended, "the loader outlives {solver}");
    }
}

#[test]
fn names_with_the_uuid_keep_two_runs_apart() {
    let Some(lab) = docker_lab(
        "local uuid = \"UUID\";
         local solver(id, mode) = {
           name: '@solver-%d-%s-%s' % [id, mode, uuid],
           image: 'IMAGE',
           cmd: 'echo --id=%d --mode=%s --uuid=%s' % [id, mode, uuid],
         };
         [solver(id, mode) for id in std.range(1, 5) for mode in ['a', 'b']]",
    ) else {
        return;
    };
    lab.run(&["--rm", "never"]).code(0);
    let run = lab.lab.only_run().file_name().unwrap().to_str().unwrap().to_owned();
    assert_eq!(lab.containers().len(), 10);
    lab.kill().code(0);
    assert_solved(&lab, |id, mode| {
        (format!("@solver-{id}-{mode}-{run}"), format!("--id={id} --mode={mode} --uuid={run}\n"))
    });
}

/// One of the first combu's specs, with names of this test's own and `edit` besides.
fn first_combu(spec: &str, edit: impl FnOnce(String) -> String) -> Option<DockerLab> {
    let lab = docker_lab("[]")?;
    ensure_stand_ins(&lab.daemon);
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(format!("tests/specs/first-combu/{spec}.jsonnet"));
    let mut text = edit(std::fs::read_to_string(path).unwrap());
    for name in ["mzld", "irl", "web", "busybox-", "sample"] {
        text = text.replace(&format!("'{name}"), &format!("'@{name}"));
    }
    lab.spec(&text);
    Some(lab)
}

/// Runs the spec to a good end; every dependant was started after its prerequisites.
#[track_caller]
fn assert_runs_in_order(lab: &DockerLab, trials: usize) -> Vec<Value> {
    lab.run(&[]).code(0);
    let events = lab.lab.events();
    let run = &events[0]["trials"];
    assert_eq!(run.as_array().unwrap().len(), trials);
    for trial in run.as_array().unwrap() {
        let starting = place(&events, "attempt-starting", trial["name"].as_str().unwrap());
        for needed in trial["depends"].as_array().into_iter().flatten() {
            let started = place(&events, "attempt-started", needed["trial"].as_str().unwrap());
            assert!(started < starting, "{trial} was started before what it depends on");
        }
    }
    assert_eq!(named(&events, "trial-ended").len(), trials);
    lab.assert_empty();
    events
}

/// How the trial of that name ended.
fn status(lab: &DockerLab, events: &[Value], trial: &str) -> String {
    events[place(events, "trial-ended", &lab.own(trial))]["status"].as_str().unwrap().to_owned()
}

#[test]
fn the_first_combus_irl_runs() {
    // A tenth of its mazes: all of them are rehearsed on the fake engine.
    let Some(lab) = first_combu("irl", |text| text.replace("std.range(0, 50)", "std.range(0, 4)")) else { return };
    let events = assert_runs_in_order(&lab, 11);
    assert_eq!(lab.lab.log(&lab.own("@irl-soft-3")), "made simulate MODE=soft MAZE_ID=3\n");
    assert_eq!(status(&lab, &events, "@mzld"), "stopped");
}

#[test]
fn the_first_combus_irl_with_the_uuid_runs() {
    let Some(lab) = first_combu("irl-uuid", |text| text) else { return };
    assert_runs_in_order(&lab, 7);
    let run = lab.lab.only_run().file_name().unwrap().to_str().unwrap().to_owned();
    let said = lab.lab.log(&lab.own("@irl-hard-2"));
    assert_eq!(said, format!("made parallel MODE=hard MAZE_ID=2 --uuid={run}\n"));
}

#[test]
fn the_first_combus_spec_with_two_prerequisites_runs() {
    let Some(lab) = first_combu("complex-dep", |text| text) else { return };
    let events = assert_runs_in_order(&lab, 9);
    assert_eq!(status(&lab, &events, "@mzld"), "stopped");
    assert_eq!(status(&lab, &events, "@irl-hard-1"), "succeeded", "what has a command is no service");
}

#[test]
fn the_first_combus_sample_runs() {
    let Some(lab) = first_combu("hard-sample", |text| text.replace("std.range(2, 20)", "std.range(7, 12)")) else {
        return;
    };
    assert_runs_in_order(&lab, 8);
    let run = lab.lab.only_run().file_name().unwrap().to_str().unwrap().to_owned();
    assert_eq!(lab.lab.log(&lab.own("@busybox-b-9")), format!("{run}\n"));
}

#[test]
fn the_first_combus_ports_are_published() {
    // Ports of this process's own, so that another suite on the daemon is not in the way.
    let base = 20_000 + std::process::id() % 4000 * 10;
    let Some(lab) = first_combu("config", |text| text.replace("22220", &base.to_string())) else { return };
    lab.run(&["--rm", "never"]).code(0);
    for n in 0..4 {
        let bindings = lab.inspect(&format!("@web-{n}")).host_config.unwrap().port_bindings.unwrap();
        let port = |inside: &str| bindings[inside].as_ref().unwrap()[0].host_port.clone().unwrap();
        let expected = [base + 2 * n, base + 2 * n + 1].map(|port| port.to_string());
        assert_eq!([port("80/tcp"), port("443/tcp")], expected);
    }
    lab.kill().code(0);
    lab.assert_empty();
}

#[test]
fn a_prefix_is_in_the_names_of_containers_only() {
    let trials = "[
      { name: '@loader', image: 'IMAGE', cmd: 'httpd -f -p 8000 -h /etc', service: true, networks: ['@irl'],
        healthcheck: { test: 'wget -q -O - localhost:8000/hosts', interval: '100ms', retries: 100 }, stop_grace: '0s' },
      { name: '@solver', image: 'IMAGE', cmd: 'wget -q -O - http://@loader:8000/hosts', networks: ['@irl'],
        depends: ['@loader'] },
    ]";
    let Some(lab) = docker_lab(&format!("{{name: '@lab', prefix: 'experiment', trials: {trials}}}")) else { return };
    lab.run(&["--rm", "never"]).code(0);
    let mut names: Vec<_> = lab.containers().into_keys().collect();
    assert_eq!(names, ["lab-@loader", "lab-@solver"].map(|name| lab.own(name)));
    assert!(lab.lab.log(&lab.own("@solver")).contains("localhost"));
    let shown = lab.lab.combu(&["show", &lab.own("last/@solver")]).code(0).stdout;
    assert!(shown.contains(&lab.own("container   @lab-@solver")), "{shown}");

    // Nobody else's names are taken, and what was run is what it was.
    let done = lab.run(&["--resume", "--prefix", &lab.own("@other")]).code(0);
    assert!(done.stderr.contains("nothing to do"), "{}", done.stderr);
    lab.run(&["--rm", "never", "--prefix", &lab.own("@other")]).code(0);
    names.extend(["other-@loader", "other-@solver"].map(|name| lab.own(name)));
    assert_eq!(lab.containers().into_keys().collect::<Vec<_>>(), names);
    lab.kill().code(0);
    lab.assert_empty();

    lab.spec(&format!("{{name: '粒子法', prefix: true, trials: {trials}}}"));
    let refused = lab.run(&[]).code(2);
    assert!(refused.stderr.contains("write another text, such as `lab`"), "{}", refused.stderr);
}
