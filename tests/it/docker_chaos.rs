//! Runs through a daemon whose connections are reset, whose replies are 500, late, cut or lost, and whose streams break:
//! what is promised of a run holds all the same.

use std::collections::BTreeMap;

use crate::daemon::address;
use crate::docker_lab::docker_lab;
use crate::harness::named;
use crate::proxy::Proxy;

/// Lines that each trial prints.
const LINES: usize = 200;

/// 30 trials that print a numbered sequence and note each launch of theirs; every fifth needs a service on a network.
const SPEC: &str = r#"
local line = |||
  echo $COMBU_ATTEMPT >> /launches/$COMBU_TRIAL
  for i in $(seq 1 200); do echo $COMBU_TRIAL $i; [ $((i % 50)) -gt 0 ] || sleep 0.1; done
|||;
local trial(n) = {
  name: '@t%02d' % n, image: 'IMAGE', cmd: ['sh', '-c', line], volumes: ['./launches:/launches'],
} + if n % 5 == 0 then { networks: ['@net'], depends: ['@service'] } else { networks: ['none'] };
{
  parallel: 8,
  trials: [
    { name: '@service', image: 'IMAGE', cmd: ['sh', '-c', "trap 'exit 0' TERM; sleep 600 & wait"], service: true,
      networks: ['@net'] },
  ] + [trial(n) for n in std.range(1, 30)],
}
"#;

/// A run of the trials with that seed of the weather.
fn survives(seed: u64) {
    let Some(mut lab) = docker_lab(SPEC) else { return };
    let proxy = Proxy::before(address(&lab.daemon.engine), seed);
    lab.lab.set("DOCKER_HOST", proxy.address());
    let said = lab.run(&["--progress", "json"]);
    let (events, stderr) = (said.events(), &said.stderr);
    let ends = named(&events, "trial-ended");
    let outcomes: BTreeMap<&str, &str> =
        ends.iter().map(|end| (end["trial"].as_str().unwrap(), end["status"].as_str().unwrap())).collect();
    assert_eq!((ends.len(), outcomes.len()), (31, 31), "seed {seed}: one end for each\n{stderr}");
    for number in 1..=30 {
        let trial = lab.own(&format!("@t{number:02}"));
        let of_trial = |event: &&serde_json::Value| event["trial"] == trial.as_str();
        let told: Vec<_> = events.iter().filter(of_trial).collect();
        assert_eq!(outcomes[&*trial], "succeeded", "seed {seed}: {told:#?}\n{stderr}");
        let attempts: Vec<_> = named(&events, "attempt-ended").into_iter().filter(of_trial).collect();
        let expected: String = (1..=LINES).map(|line| format!("{trial} {line}\n")).collect();
        let log = lab.lab.read(attempts.last().unwrap()["logs"]["stdout"].as_str().unwrap());
        assert!(log == expected, "seed {seed}: the log of {trial} is not what it wrote:\n{log}\n{stderr}");
        let launches = lab.lab.read(format!("launches/{trial}"));
        assert_eq!(launches, format!("{}\n", attempts.len()), "seed {seed}: launches of {trial}: {told:#?}\n{stderr}");
    }
    assert_eq!(outcomes[&*lab.own("@service")], "stopped", "seed {seed}\n{stderr}");
    said.code(0);
    lab.assert_empty();
    assert!(proxy.harmed() > 20, "seed {seed}: only {} calls were harmed", proxy.harmed());
}

#[test]
fn a_run_through_bad_weather_keeps_its_promises() {
    // More of them: COMBU_TEST_ROUNDS=50.
    let rounds = std::env::var("COMBU_TEST_ROUNDS").ok().and_then(|rounds| rounds.parse().ok()).unwrap_or(4);
    let seeds: Vec<u64> = (1..=rounds).collect();
    // Some at once: most of the time goes to waiting for calls to be made again.
    for few in seeds.chunks(2) {
        std::thread::scope(|scope| few.iter().for_each(|seed| drop(scope.spawn(|| survives(*seed)))));
    }
}
