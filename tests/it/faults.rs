//! Faults by seed, on a daemon of the test's own: it is killed or stopped, alone or together with combu, and strangers
//! lay hands on containers. However it goes, each trial ends as it would have, nothing is launched twice, and no log
//! lacks anything without a word. `COMBU_FAULT_ROUNDS` runs more rounds of each.

use std::collections::BTreeMap;
use std::io::Write;
use std::time::Duration;

use bollard::query_parameters::{
    ListContainersOptionsBuilder, RemoveContainerOptionsBuilder, RestartContainerOptionsBuilder,
    StopContainerOptionsBuilder,
};
use rand::rngs::Xoshiro256PlusPlus;
use rand::seq::IndexedRandom;
use rand::{RngExt, SeedableRng};
use rustix::process::Signal;
use serde_json::Value;

use crate::daemon::apart;
use crate::harness::{Lab, Live, fault_rounds, named};
use crate::own_daemon::{End, OwnDaemon, lab};

/// The trials, and the lines that each prints.
const TRIALS: usize = 10;
const LINES: usize = 40;

/// Trials that need a service, note each start and each end in a file, and take a second or two. Half of them end with 0
/// when they are asked to, as programs do that save their work; the service does, too. They see it live by its heartbeat,
/// and fail where they do not. What a stranger kills has failed, too: it is repeated as often as `retries` says.
fn spec(retries: u32) -> String {
    format!(
        r#"
local seq(n) = 'i=0; while [ $i -lt {LINES} ]; do i=$((i+1)); echo line $i; sleep 0.0%d; done; ' % (2 + n % 4);
local note(what) = 'echo $COMBU_TRIAL $COMBU_ATTEMPT ' + what + ' >>/shared/launches; ';
local polite(n) = if n % 2 == 0 then 'trap "exit 0" TERM; ' else '';
local served = 'beat=$(cat /shared/beat); n=0; while [ "$beat" = "$(cat /shared/beat)" ]; do n=$((n+1)); [ $n -lt 10 ] || exit 9; sleep 0.3; done; ';
local run(n) = {{
  name: 't%d' % n, image: 'IMAGE', networks: ['faults'], volumes: ['./shared:/shared'], stop_grace: '1s',
  retries: {{ count: {retries}, crash_limit: 20 }}, depends: ['srv'],
  cmd: ['sh', '-c', polite(n) + note('start') + served + seq(n) + note('done')],
}};
{{ trials: [{{
  name: 'srv', image: 'IMAGE', service: true, networks: ['faults'], volumes: ['./shared:/shared'], stop_grace: '1s',
  retries: {{ crash_limit: 20 }},
  cmd: ['sh', '-c', 'trap "exit 0" TERM; touch /up; while true; do cat /proc/uptime >/shared/beat; sleep 0.1; done'],
  healthcheck: {{ test: 'test -e /up', interval: '200ms' }},
}}] + [run(n) for n in std.range(0, {TRIALS} - 1)] }}"#
    )
}

/// One sweep under faults.
struct Round {
    kind: &'static str,
    seed: u64,
    random: Xoshiro256PlusPlus,
    daemon: OwnDaemon,
    lab: Lab,
}

/// The combu of a round: alive, or ended.
enum Combu {
    Alive(Live),
    Ended,
}

impl Combu {
    /// The combu of that run, killed.
    fn killed(live: Live) -> Self {
        live.signal_if_alive(Signal::KILL);
        live.end();
        Self::Ended
    }
}

impl Round {
    fn new(kind: &'static str, seed: u64, live_restore: bool) -> Option<Self> {
        let daemon = OwnDaemon::new(live_restore)?;
        let lab = lab(&daemon, &spec(if kind == "strangers" { 3 } else { 0 }));
        Some(Self { kind, seed, random: Xoshiro256PlusPlus::seed_from_u64(seed), daemon, lab })
    }

    fn run(&self) -> Live {
        self.lab.start(&["run", "spec.jsonnet", "-j", "5", "--progress", "json"])
    }

    fn pause(&mut self, most: u64) {
        std::thread::sleep(Duration::from_millis(self.random.random_range(0..most)));
    }

    /// Waits for some event from now on, among that many, and some milliseconds more: any moment.
    fn any_moment(&mut self, live: &mut Live, events: usize) {
        for _ in 0..self.random.random_range(1..events) {
            if live.any_line().is_none() {
                return;
            }
        }
        self.pause(300);
    }

    /// Ends the daemon and starts it again. False where it cannot come up on what it left itself, which is said: then there is
    /// nothing to judge.
    fn restart(&mut self, end: End) -> bool {
        self.daemon.end(end);
        self.pause(1500);
        let Err(why) = self.daemon.start() else { return true };
        writeln!(std::io::stderr(), "NOT JUDGED: {} seed {}: {why}", self.kind, self.seed)
            .expect("stderr can be written");
        false
    }

    /// Ends the daemon, starts it again, and judges what became of the run.
    fn survive(mut self, end: End, combu: Combu) {
        if self.restart(end) {
            self.judge(combu);
        }
    }

    /// Follows the run to its end, through `resume` where its combu is dead, and checks what became of it.
    fn judge(self, combu: Combu) {
        let said = match combu {
            Combu::Alive(live) => live.end(),
            Combu::Ended => self.lab.combu(&["resume", "-j", "5"]),
        };
        let events = self.lab.events();
        let context = format!("{} seed {}", self.kind, self.seed);
        let story = || {
            let ends: Vec<String> = named(&events, "attempt-ended")
                .into_iter()
                .map(|event| {
                    let exit = &event["exit"];
                    format!("{} {} {} {exit} {}", event["trial"], event["attempt"], event["status"], event["message"])
                })
                .collect();
            let warned: Vec<_> = named(&events, "warned").into_iter().map(|event| &event["message"]).collect();
            format!("{context}\n{ends:#?}\n{warned:#?}\n{}\n{}", self.lab.read("shared/launches"), said.stderr)
        };
        let warned = |trial: &str| {
            named(&events, "warned")
                .iter()
                .any(|event| event["message"].as_str().is_some_and(|message| message.contains(&format!("`{trial}`"))))
        };
        let launches = self.lab.read("shared/launches");
        let whole: String = (1..=LINES).map(|line| format!("line {line}\n")).collect();
        for trial in (0..TRIALS).map(|n| format!("t{n}")) {
            let attempts: Vec<&Value> =
                named(&events, "attempt-ended").into_iter().filter(|event| event["trial"] == trial.as_str()).collect();
            let last = attempts.last().unwrap_or_else(|| panic!("{trial} never ended: {}", story()));
            assert_eq!(last["status"], "succeeded", "{trial}: {}", story());
            // One without a byte need not be there.
            let log = std::fs::read_to_string(last["logs"]["stdout"].as_str().unwrap()).unwrap_or_default();
            assert!(log == whole || warned(&trial), "the log of {trial}: {log:?} {}", story());
            let mut noted: BTreeMap<(&str, &str), usize> = BTreeMap::new();
            for line in launches.lines() {
                let words: Vec<&str> = line.split(' ').collect();
                if let [name, attempt, what] = words[..]
                    && name == trial
                {
                    *noted.entry((attempt, what)).or_default() += 1;
                }
            }
            let number = last["attempt"].to_string();
            for ((attempt, what), count) in &noted {
                // A stranger may start one again that has ended.
                let by_stranger = self.kind == "strangers";
                assert!(*count == 1 || by_stranger, "{trial} {attempt} {what}: {}", story());
            }
            assert!(noted.contains_key(&(number.as_str(), "done")), "{trial} was not done: {}", story());
        }
        // Something of a log may be missing, and then it is said.
        let is_whole = !named(&events, "attempt-ended").iter().any(|event| event["incomplete"] == true);
        let had_ended = said.code == Some(4) && !named(&events, "run-ended").is_empty();
        assert!(had_ended || said.code == Some(i32::from(!is_whole)), "{:?} {}", said.code, story());
        if named(&events, "warned").is_empty() {
            assert_eq!(self.daemon.containers(), 0, "{}", story());
        }
    }
}

#[test]
fn a_daemon_that_is_killed_among_starts_costs_no_trial() {
    for seed in 0..fault_rounds(3) {
        let Some(mut round) = Round::new("killed among starts", seed, false) else { return };
        let mut live = round.run();
        live.line(r#""event":"healthy""#);
        round.pause(1500);
        let restarts = round.random.random_range(1..=2);
        let is_up = (0..restarts).all(|_| {
            let is_up = round.restart(End::Crash);
            round.pause(2500);
            is_up
        });
        if is_up {
            round.judge(Combu::Alive(live));
        }
    }
}

#[test]
fn a_daemon_that_dies_together_with_combu_costs_no_trial() {
    for seed in 0..fault_rounds(3) {
        let Some(mut round) = Round::new("killed together", seed, false) else { return };
        let mut live = round.run();
        round.any_moment(&mut live, 60);
        round.survive(End::Crash, Combu::killed(live));
    }
}

#[test]
fn a_daemon_that_is_restarted_gracefully_costs_no_trial() {
    for seed in 0..fault_rounds(3) {
        let Some(mut round) = Round::new("restarted", seed, false) else { return };
        let mut live = round.run();
        round.any_moment(&mut live, 60);
        let combu = if round.random.random_bool(0.5) { Combu::killed(live) } else { Combu::Alive(live) };
        round.survive(End::Stop, combu);
    }
}

#[test]
fn a_daemon_whose_containers_outlive_it_costs_no_trial() {
    for seed in 0..fault_rounds(3) {
        let Some(mut round) = Round::new("live-restore", seed, true) else { return };
        let mut live = round.run();
        round.any_moment(&mut live, 60);
        let end = if round.random.random_bool(0.5) { End::Stop } else { End::Crash };
        let combu = if round.random.random_bool(0.5) { Combu::killed(live) } else { Combu::Alive(live) };
        round.survive(end, combu);
    }
}

#[test]
fn strangers_that_stop_or_remove_containers_cost_no_trial() {
    for seed in 0..fault_rounds(3) {
        let Some(mut round) = Round::new("strangers", seed, false) else { return };
        let mut live = round.run();
        live.line(r#""event":"healthy""#);
        for _ in 0..4 {
            round.pause(1500);
            let act = round.random.random_range(0..4);
            let api = round.daemon.api();
            let running = ListContainersOptionsBuilder::new().build();
            let found = apart(async { api.list_containers(Some(running)).await.unwrap() });
            let Some(container) = found.choose(&mut round.random) else { continue };
            let id = container.id.clone().unwrap();
            // It may have ended by now.
            let _done = apart(async {
                match act {
                    0 => {
                        let forced = RemoveContainerOptionsBuilder::new().force(true).build();
                        api.remove_container(&id, Some(forced)).await
                    }
                    1 => api.stop_container(&id, Some(StopContainerOptionsBuilder::new().t(1).build())).await,
                    2 => api.kill_container(&id, None::<bollard::query_parameters::KillContainerOptions>).await,
                    _ => api.restart_container(&id, Some(RestartContainerOptionsBuilder::new().t(1).build())).await,
                }
            });
        }
        round.judge(Combu::Alive(live));
    }
}
