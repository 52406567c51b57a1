//! Traces of trials that are paused one by one: others have their CPUs meanwhile, and what they keep is theirs.

use std::sync::Arc;

use insta::assert_snapshot;

use crate::engine::fake::{Fake, Scene};
use crate::model::capability::Gpu;
use crate::model::command::Command;
use crate::model::event::Fact;
use crate::model::name::Name;
use crate::model::options::{Budget, Options, Parallel};
use crate::model::trial::{Gpus, Timeout, Trial};
use crate::run::traces::crashes::World;
use crate::run::traces::pausing::trace;
use crate::run::traces::pruning::{constant, options};
use crate::run::traces::{after, follow, seconds, start, trial};

fn pause(trial: &str) -> Command {
    Command::PauseTrial { trial: Name::parse(trial).unwrap(), because: "a test".to_owned() }
}

fn unpause(trial: &str) -> Command {
    Command::UnpauseTrial { trial: Name::parse(trial).unwrap() }
}

fn one_at_a_time() -> Options {
    Options { budget: Budget { parallel: Some(Parallel::Count(1)), ..Budget::default() }, ..Options::default() }
}

#[tokio::test(start_paused = true)]
async fn a_paused_trial_gives_its_place_to_others_and_takes_one_to_go_on() {
    let trials = vec![
        Trial { timeout: Some(Timeout::After(seconds(11.0))), ..trial("a1", "sleep 10") },
        trial("a2", "sleep 4"),
        trial("a3", "sleep 4"),
    ];
    let commands = vec![(3.0, pause("a1")), (4.0, pause("a3")), (5.0, unpause("a1")), (6.0, unpause("a2"))];
    let (lines, summary) = trace(Fake::new(4.0), trials, one_at_a_time(), commands).await;
    assert_snapshot!(lines, @"
     0.00  a1 started
     3.00  taken: pause a1 because a test
     3.00  a1 paused: a test
     3.00  a2 started
     4.00  refused: `a3` was not paused: only a trial that runs can be, and no service
     5.00  taken: unpause a1
     6.00  taken: unpause a2
     7.00  a2 succeeded
     7.00  a1 goes on
    12.25  a1 slow after 8.25s
    14.00  a1 succeeded
    14.00  a3 started
    18.00  a3 succeeded
    18.00  end
    ");
    let elapsed: Vec<f64> = summary.results.iter().map(|result| result.elapsed.as_secs_f64()).collect();
    assert_eq!(elapsed, [10.0, 4.0, 4.0]);
}

#[tokio::test(start_paused = true)]
async fn what_stays_paused_is_pruned_when_nothing_else_is_left() {
    let trials = vec![trial("a1", "sleep 10"), trial("a2", "sleep 4"), trial("a3", "sleep 2")];
    let commands = vec![(1.0, pause("a1")), (2.0, pause("a2"))];
    let (lines, summary) = trace(Fake::new(1.0), trials, Options::default(), commands).await;
    assert_snapshot!(lines, @"
    0.00  a1 started
    1.00  taken: pause a1 because a test
    1.00  a1 paused: a test
    1.00  a2 started
    2.00  taken: pause a2 because a test
    2.00  a2 paused: a test
    2.00  a3 started
    4.00  a3 succeeded
    4.00  a1 stopping: a test
    4.00  a2 stopping: a test
    4.00  a1 pruned because a test
    4.00  a2 pruned because a test
    4.00  end
    ");
    assert!(summary.ok());
}

#[tokio::test(start_paused = true)]
async fn losers_of_a_rung_stand_still_and_go_on_when_more_trials_make_them_good() {
    let trials = ["1", "3", "2", "4", "5", "6"];
    let trials = trials.iter().enumerate().map(|(i, loss)| constant(&format!("a{}", i + 1), loss)).collect();
    let options = Options { budget: one_at_a_time().budget, ..options(&["asha(from=1, keep=3, most=9, pause=true)"]) };
    let (lines, summary) = trace(Fake::new(1.0), trials, options, Vec::new()).await;
    assert_snapshot!(lines, @"
     0.00  warned: `;` in the `cmd` of `a1` and 5 more is passed to the program as it stands: no shell reads a `cmd`; where a shell is to read it, write cmd: ['sh', '-c', '..']
     0.00  a1 started
     9.00  a1 succeeded
     9.00  a2 started
     9.00  a2 paused: its loss at step 1, 3, is not the best of 2
     9.00  a3 started
     9.00  a3 paused: its loss at step 1, 2, is not the best of 3
     9.00  a4 started
     9.00  a4 paused: its loss at step 1, 4, is not the best of 4
     9.00  a5 started
     9.00  a5 paused: its loss at step 1, 5, is not the best of 5
     9.00  a6 started
     9.00  a6 paused: its loss at step 1, 6, is not among the best 2 of 6
     9.00  a3 goes on
    11.00  a3 paused: its loss at step 3, 2, is not the best of 2
    11.00  a2 stopping: its loss at step 1, 3, is not the best of 2
    11.00  a3 stopping: its loss at step 3, 2, is not the best of 2
    11.00  a4 stopping: its loss at step 1, 4, is not the best of 4
    11.00  a5 stopping: its loss at step 1, 5, is not the best of 5
    11.00  a6 stopping: its loss at step 1, 6, is not among the best 2 of 6
    11.00  a2 pruned because its loss at step 1, 3, is not the best of 2
    11.00  a3 pruned because its loss at step 3, 2, is not the best of 2
    11.00  a4 pruned because its loss at step 1, 4, is not the best of 4
    11.00  a5 pruned because its loss at step 1, 5, is not the best of 5
    11.00  a6 pruned because its loss at step 1, 6, is not among the best 2 of 6
    11.00  end
    ");
    let counts = summary.counts();
    assert_eq!((counts.succeeded, counts.pruned, counts.paused), (1, 5, 0));
}

#[tokio::test(start_paused = true)]
async fn paused_trials_keep_their_memory_as_far_as_they_may_and_their_gpus() {
    let big = |name: &str, loss: &str| Trial { memory: Some(3 << 30), ..constant(name, loss) };
    let budget = Budget { memory: Some(16 << 30), ..one_at_a_time().budget };
    let options = Options { budget, ..options(&["asha(from=1, keep=9, pause=true, hold=7g)"]) };
    let trials = vec![big("a1", "1"), big("a2", "2"), big("a3", "3"), big("a4", "4")];
    let (lines, summary) = trace(Fake::new(4.0), trials, options, Vec::new()).await;
    assert_snapshot!(lines, @"
    0.00  warned: `;` in the `cmd` of `a1` and 3 more is passed to the program as it stands: no shell reads a `cmd`; where a shell is to read it, write cmd: ['sh', '-c', '..']
    0.00  a1 started
    9.00  a1 succeeded
    9.00  a2 started
    9.00  a2 paused: its loss at step 1, 2, is not the best of 2
    9.00  a3 started
    9.00  a3 paused: its loss at step 1, 3, is not the best of 3
    9.00  a4 started
    9.00  a4 stopping: its loss at step 1, 4, is not the best of 4
    9.00  a4 pruned because its loss at step 1, 4, is not the best of 4
    9.00  a2 stopping: its loss at step 1, 2, is not the best of 2
    9.00  a3 stopping: its loss at step 1, 3, is not the best of 3
    9.00  a2 pruned because its loss at step 1, 2, is not the best of 2
    9.00  a3 pruned because its loss at step 1, 3, is not the best of 3
    9.00  end
    ");
    assert_eq!(summary.counts().pruned, 3);
    let on_gpu = |name: &str| Trial { gpus: Some(Box::new(Gpus::Count(1))), ..trial(name, "sleep 5") };
    let trials = vec![on_gpu("a1"), on_gpu("a2"), trial("a3", "sleep 9")];
    let gpu = Gpu { id: "0".to_owned(), uuid: None, name: "A100".to_owned(), memory: 80 << 30, busy: None };
    let engine = Fake::new(4.0).with_gpus(vec![gpu]);
    let (lines, _) = trace(engine, trials, Options::default(), vec![(1.0, pause("a1"))]).await;
    assert_snapshot!(lines, @"
     0.00  a1 started
     0.00  a3 started
     1.00  taken: pause a1 because a test
     1.00  a1 paused: a test
     9.00  a3 succeeded
     9.00  a1 stopping: it is paused, and `a2` needs 1 GPU: 0 of 1 are free
     9.00  a1 pruned because it is paused, and `a2` needs 1 GPU: 0 of 1 are free
     9.00  a2 started
    14.00  a2 succeeded
    14.00  end
    ");
}

#[tokio::test(start_paused = true)]
async fn whoever_goes_on_finds_paused_trials_paused_and_lets_go_on_what_may() {
    let mut waited = 0;
    for events in 6.. {
        // When a4 makes a2 good, a5 has its place: a2 is to go on and has to wait.
        let first = Trial { priority: 5, ..trial("a5", "sleep 5") };
        let trials = ["1", "1.5", "2", "3"].iter().enumerate();
        let mut trials: Vec<Trial> = trials.map(|(i, loss)| constant(&format!("a{}", i + 1), loss)).collect();
        trials.push(after(first, "a4", None));
        let options = options(&["asha(from=1, keep=2, most=2, pause=true)"]);
        let world = World::new(Fake::new(2.0), trials, options);
        if world.live_and_die(events, 0.5).await {
            break;
        }
        let past = world.history();
        let pause = past.trial(&Name::parse("a2").unwrap()).and_then(|trial| trial.paused.as_ref());
        waited += usize::from(pause.is_some_and(|pause| pause.may_end));
        world.live_on().await;
        world.check(0);
        let ends: Vec<String> = world.summary().results.iter().map(|result| result.status().to_owned()).collect();
        assert_eq!(ends.join(" "), "succeeded succeeded pruned pruned succeeded", "after {events} events");
    }
    assert!(waited > 2, "it died only {waited} times while a2 had to wait");
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_does_not_run_cannot_be_paused_and_a_paused_one_can_be_killed() {
    let engine = Fake::new(1.0).scene("a2", [Scene { run_for: seconds(9.0), ..Scene::default() }]);
    let trials =
        vec![trial("a1", "sleep 5"), trial("a2", "true"), Trial { service: Some(true), ..trial("sv", "sleep 99") }];
    let kill = Command::Kill { trial: Name::parse("a1").unwrap(), at_once: false };
    let commands = vec![(1.0, pause("a2")), (1.0, pause("sv")), (1.0, unpause("a2")), (2.0, pause("a1")), (3.0, kill)];
    let (lines, summary) = trace(engine, trials, Options::default(), commands).await;
    assert_snapshot!(lines, @"
     0.00  sv started
     0.00  a1 started
     1.00  refused: `a2` was not paused: only a trial that runs can be, and no service
     1.00  refused: `sv` was not paused: only a trial that runs can be, and no service
     1.00  taken: unpause a2
     2.00  taken: pause a1 because a test
     2.00  a1 paused: a test
     2.00  a2 started
     3.00  taken: kill a1
     3.00  a1 killed
    11.00  a2 succeeded
    11.00  sv stopping: nothing needs it any more
    11.00  sv stopped, nothing needs it any more
    11.00  end
    ");
    assert_eq!(summary.counts().killed, 1);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_cancelled_ends_what_is_paused() {
    let trials = vec![trial("a1", "sleep 5"), trial("a2", "sleep 5")];
    let live = start(&Arc::new(Fake::new(1.0)), trials, Options::default());
    let (lines, _) = follow(live, |event, commands| match &event.fact {
        Fact::AttemptStarted { trial, .. } if trial.as_str() == "a1" => commands.send(pause("a1")),
        Fact::AttemptStarted { .. } => commands.send(Command::Cancel { by: "a test".to_owned() }),
        _ => {}
    })
    .await;
    assert_snapshot!(lines, @r#"
    0.00  a1 started
    0.00  taken: pause a1 because a test
    0.00  a1 paused: a test
    0.00  a2 started
    0.00  taken: stop (by a test)
    0.00  a1 killed
    0.00  a2 killed
    0.00  end: Cancelled("a test")
    "#);
}
