//! Trials that are paused one by one, on a real daemon: their containers stand still, also while no combu is there.

use rustix::process::Signal;

use crate::docker_lab::{DockerLab, docker_lab};
use crate::harness::{eventually, named};

fn is_paused(lab: &DockerLab, name: &str) -> bool {
    lab.inspect(name).state.unwrap().paused.unwrap()
}

#[test]
fn losers_of_a_rung_stand_still_outlive_combu_and_go_on_when_they_are_among_the_best() {
    // The third trial waits, so that the second stands still; when it and the fourth have told their loss, the second is among
    // the best two of four. None of them ends before it is paused.
    let Some(lab) = docker_lab(
        "{goal: 'min loss', prune: 'asha(from=1, keep=2, most=2, pause=true)', parallel: 1, trials: [
            {name: '@t%d' % i, image: 'IMAGE', networks: ['none'], volumes: ['./flag:/flag'], params: {loss: i},
             cmd: ['sh', '-c', |||
                 while [ $COMBU_PARAM_LOSS = 3 ] && [ ! -e /flag/go ]; do sleep 0.05; done
                 echo ::combu metric loss=$COMBU_PARAM_LOSS step=1
                 [ $COMBU_PARAM_LOSS -gt 2 ] && sleep 1000
                 while [ $COMBU_PARAM_LOSS = 2 ] && [ ! -e /flag/go ]; do sleep 0.05; done
                 echo done
             |||]} for i in std.range(1, 4)]}",
    ) else {
        return;
    };
    let live = lab.start_until("@t3");
    eventually("the container of the second stands still", || is_paused(&lab, "@t2"));
    live.signal(Signal::KILL);
    live.end();
    assert!(is_paused(&lab, "@t2"), "it goes on without combu");
    let mut live = lab.lab.start(&["resume", "--progress", "json"]);
    live.event("attempt-adopted", &lab.own("@t3"));
    let shown = lab.lab.combu(&["ps", "--status", "paused"]).code(0).stdout;
    assert!(shown.contains(&lab.own("@t2")) && !shown.contains(&lab.own("@t3")), "{shown}");
    assert!(shown.contains("paused: its loss at"), "{shown}");
    assert!(is_paused(&lab, "@t2"), "it goes on because another combu came");
    lab.lab.write("flag/go", "");
    let said = live.end().code(0);
    let events = said.events();
    let unpaused: Vec<_> = named(&events, "trial-unpaused").iter().map(|event| event["trial"].clone()).collect();
    assert_eq!(unpaused, [lab.own("@t2")]);
    let ends: Vec<String> = lab
        .lab
        .events()
        .iter()
        .filter(|event| event["event"] == "trial-ended")
        .map(|event| format!("{} {}", event["trial"].as_str().unwrap(), event["status"].as_str().unwrap()))
        .collect();
    let wanted = ["@t1 succeeded", "@t2 succeeded", "@t3 pruned", "@t4 pruned"].map(|end| lab.own(end));
    assert_eq!((ends.len(), wanted.iter().all(|end| ends.contains(end))), (4, true), "{ends:?}");
    assert_eq!(lab.lab.log(&lab.own("@t2")).lines().last(), Some("done"));
    lab.assert_empty();
}
