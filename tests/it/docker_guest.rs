//! A run as a guest on a real daemon: what runs together, and what each trial is held to, as the daemon itself tells it.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use crate::docker_lab::{DockerLab, docker_lab};
use crate::harness::named;

/// When each container ran, as the daemon says: its start and its end, as the text of the same clock.
fn spans(lab: &DockerLab, names: &[String]) -> Vec<(String, String)> {
    names
        .iter()
        .map(|name| {
            let state = lab.inspect(name).state.unwrap();
            (precise(&state.started_at.unwrap()), precise(&state.finished_at.unwrap()))
        })
        .collect()
}

/// A time with nine places behind the second, so that texts sort as times: Docker leaves out zeros at the end.
fn precise(time: &str) -> String {
    let (second, part) = time.trim_end_matches('Z').split_once('.').unwrap_or((time.trim_end_matches('Z'), ""));
    format!("{second}.{part:0<9}")
}

/// The most of the weights that were in use at one moment.
fn most_at_once(spans: &[(String, String)], weights: &[u64]) -> u64 {
    let used = |moment: &String| {
        let running = spans.iter().zip(weights).filter(|((start, end), _)| start <= moment && moment < end);
        running.map(|(_, weight)| weight).sum()
    };
    spans.iter().map(|(start, _)| used(start)).max().unwrap_or(0)
}

fn names(count: usize) -> Vec<String> {
    (1..=count).map(|place| format!("@t{place}")).collect()
}

#[test]
fn forty_trials_of_one_cpu_run_two_at_once_on_two_cpus_and_each_is_held_to_one() {
    let Some(lab) = docker_lab(
        "[{name: '@t%d' % i, image: 'IMAGE', cmd: 'sleep 0.2', cpus: 1, networks: ['none']} for i in std.range(1, 40)]",
    ) else {
        return;
    };
    lab.run(&["--cpus", "2", "--rm", "never"]).code(0);
    let all = names(40);
    assert_eq!(most_at_once(&spans(&lab, &all), &[1; 40]), 2);
    for name in &all {
        let host = lab.inspect(name).host_config.unwrap();
        assert_eq!((host.nano_cpus, host.network_mode.as_deref()), (Some(1_000_000_000), Some("none")));
    }
    lab.kill().code(0);
    lab.assert_empty();
}

#[test]
fn a_trial_finds_its_cpus_in_its_own_cgroup() {
    // Version 1 of cgroups has two files, version 2 one with both numbers.
    let Some(lab) = docker_lab(
        "[{name: '@busy', image: 'IMAGE', cpus: 0.5, networks: ['none'], cmd: ['sh', '-c', |||
          cat /sys/fs/cgroup/cpu/cpu.cfs_quota_us /sys/fs/cgroup/cpu/cpu.cfs_period_us 2>/dev/null ||
            tr ' ' '\\n' < /sys/fs/cgroup/cpu.max
        |||]}]",
    ) else {
        return;
    };
    lab.run(&[]).code(0);
    assert_eq!(lab.lab.log(&lab.own("@busy")), "50000\n100000\n");
}

#[test]
fn memory_that_does_not_fit_together_never_runs_together() {
    let Some(lab) = docker_lab(
        "[{name: '@t%d' % i, image: 'IMAGE', cmd: 'sleep 0.2', memory: '%dm' % (16 * i), networks: ['none']}
          for i in std.range(1, 6)]",
    ) else {
        return;
    };
    lab.run(&["--memory", "112m", "--cpus", "6", "-j", "6", "--rm", "never"]).code(0);
    let (all, megabytes) = (names(6), [16, 32, 48, 64, 80, 96]);
    let most = most_at_once(&spans(&lab, &all), &megabytes);
    assert!((64..=112).contains(&most), "{most} MiB at once");
    for (name, megabytes) in all.iter().zip(megabytes) {
        assert_eq!(lab.inspect(name).host_config.unwrap().memory, Some(i64::try_from(megabytes << 20).unwrap()));
    }
    lab.kill().code(0);
    lab.assert_empty();
}

#[test]
fn a_trial_that_asks_for_more_than_the_host_has_is_refused_with_the_figures() {
    let Some(lab) = docker_lab("[{name: '@large', image: 'IMAGE', cpus: 10000, memory: '900t'}]") else { return };
    let refused = lab.run(&[]).code(2);
    assert!(refused.stderr.contains("asks for 10000 CPUs, but the engine's host has "), "{}", refused.stderr);
    assert!(
        refused.stderr.contains("asks for 943718400 MiB of memory, but the engine's host has "),
        "{}",
        refused.stderr
    );
    let refused = lab.run(&["--reserve", "cpus=9999"]).code(2);
    assert!(refused.stderr.contains("the reserve of 9999 CPUs leaves nothing"), "{}", refused.stderr);
    lab.assert_empty();
}

#[test]
fn a_trial_that_ran_out_of_memory_climbs_the_ladder_and_passes() {
    // It needs some 40 MiB of memory of its own.
    let Some(lab) = docker_lab(
        "[{name: '@hungry', image: 'IMAGE', memory: '16m', networks: ['none'],
           retries: {memory_factor: 2, memory_max: '256m'},
           cmd: ['sh', '-c', 'head -c 41943040 /dev/zero | tail > /dev/null']}]",
    ) else {
        return;
    };
    let said = lab.run(&["--progress", "json", "--rm", "never"]).code(0);
    let events = said.events();
    let scheduled: Vec<Value> = named(&events, "retry-scheduled").iter().map(|event| event["memory"].clone()).collect();
    assert!(!scheduled.is_empty() && scheduled[0] == json!(32 << 20), "{scheduled:?}");
    let ended: Vec<Value> = named(&events, "attempt-ended").iter().map(|event| event["status"].clone()).collect();
    assert_eq!(ended.first(), Some(&json!("oom")));
    assert_eq!(ended.last(), Some(&json!("succeeded")));
    let last = scheduled.last().and_then(Value::as_i64);
    assert_eq!(lab.inspect("@hungry").host_config.unwrap().memory, last);
    lab.kill().code(0);
    lab.assert_empty();
}

#[test]
fn a_timeout_ends_a_long_sleep_through_the_daemon() {
    let Some(lab) = docker_lab(
        "[{name: '@long', image: 'IMAGE', cmd: 'sleep 600', timeout: '2s', stop_grace: '1s', networks: ['none']}]",
    ) else {
        return;
    };
    let said = lab.run(&["--progress", "json"]).code(100);
    assert_eq!(named(&said.events(), "trial-ended")[0]["status"], "timed-out");
    assert_eq!(lab.containers(), BTreeMap::from([("long".to_owned(), "exited".to_owned())]));
    lab.kill().code(0);
    lab.assert_empty();
}

#[test]
fn the_first_failure_halts_a_hundred_trials() {
    let Some(lab) = docker_lab(
        "[{name: '@bad', image: 'IMAGE', cmd: 'false', networks: ['none']}] +
         [{name: '@t%d' % i, image: 'IMAGE', cmd: 'sleep 600', stop_grace: '1s', networks: ['none']}
          for i in std.range(1, 99)]",
    ) else {
        return;
    };
    let said = lab.run(&["--halt", "now,fail=1", "-j", "8", "--progress", "json"]).code(101);
    let events = said.events();
    let count = |status: &str| named(&events, "trial-ended").iter().filter(|event| event["status"] == status).count();
    assert_eq!(count("failed"), 1);
    assert_eq!(count("killed") + count("skipped"), 99);
    assert!(count("killed") < 10, "{} were running", count("killed"));
    assert!(!lab.containers().values().any(|state| state == "running"), "{:?}", lab.containers());
    lab.kill().code(0);
    lab.assert_empty();
}
