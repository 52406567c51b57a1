//! Traces of retries: what follows which end, and what each attempt gets.

use std::sync::Arc;

use insta::assert_snapshot;

use crate::engine::fake::{Fake, Scene};
use crate::model::event::{Event, Fact};
use crate::model::options::{Budget, Options, Parallel};
use crate::model::outcome::Exit;
use crate::model::retry::{On, Retries};
use crate::model::trial::{Condition, Timeout, Trial};
use crate::run::traces::{after, follow, seconds, start, trace, trial};

fn ends(exit: Exit) -> Scene {
    Scene { run_for: seconds(1.0), exit, ..Scene::default() }
}

fn ladder(trial: Trial, mebibytes: u64, retries: Retries) -> Trial {
    Trial { memory: Some(mebibytes << 20), retries: Some(retries.into()), ..trial }
}

#[tokio::test(start_paused = true)]
async fn a_trial_out_of_memory_climbs_to_what_it_may_have_and_its_count_is_kept_for_failures() {
    let (oom, bad) = (ends(Exit::Oom), ends(Exit::Code(1)));
    let engine = Fake::new(4.0)
        .scene("passes", [oom.clone(), bad.clone(), oom.clone(), Scene::default()])
        .scene("too-large", [oom.clone()])
        .scene("whole-host", [oom]);
    let retries = Retries { memory_factor: Some(2.0), delay: seconds(2.0), ..Retries::count(1) };
    let capped = Retries { memory_max: Some(100 << 20), ..retries.clone() };
    let trials = vec![
        ladder(trial("passes", "true"), 32, retries.clone()),
        ladder(trial("too-large", "true"), 32, capped),
        ladder(trial("whole-host", "true"), 40 << 10, Retries { delay: seconds(20.0), ..retries }),
        after(trial("next", "true"), "passes", Some(Condition::Completed)),
    ];
    let engine = Arc::new(engine);
    let (lines, summary) = follow(start(&engine, trials, Options::default()), |_, _| {}).await;
    assert_snapshot!(lines, @"
     0.00  passes started
     0.00  too-large started
     0.00  whole-host started
     1.00  passes will be retried in 2s with 64 MiB
     1.00  too-large will be retried in 2s with 64 MiB
     1.00  whole-host will be retried in 20s with 65536 MiB
     3.00  passes started, attempt 2
     3.00  too-large started, attempt 2
     4.00  passes will be retried in 2s
     4.00  too-large will be retried in 2s with 100 MiB
     6.00  passes started, attempt 3
     6.00  too-large started, attempt 3
     7.00  passes will be retried in 2s with 128 MiB
     7.00  too-large ran out of memory
     9.00  passes started, attempt 4
     9.00  passes succeeded
     9.00  next started
     9.00  next succeeded
    21.00  whole-host started, attempt 2
    22.00  whole-host ran out of memory
    22.00  end
    ");
    let passes = &summary.results[0];
    assert_eq!((passes.trial.memory, passes.attempts, passes.flaky), (Some(128 << 20), 4, true));
}

#[tokio::test(start_paused = true)]
async fn the_next_attempt_reserves_the_memory_that_it_gets() {
    // The host has 64 GiB: with 48 of them, the second attempt does not fit beside the other trial any more.
    let engine = Fake::new(4.0).scene("grows", [ends(Exit::Oom), ends(Exit::Code(0))]);
    let retries = Retries { memory_factor: Some(2.0), ..Retries::count(0) };
    let trials = vec![
        ladder(trial("grows", "true"), 24 << 10, retries),
        Trial { memory: Some(32 << 30), ..trial("other", "sleep 5") },
    ];
    assert_snapshot!(trace(engine, trials, Options::default()).await, @"
    0.00  grows started
    0.00  other started
    1.00  grows will be retried in 0s with 49152 MiB
    5.00  other succeeded
    5.00  grows started, attempt 2
    6.00  grows succeeded
    6.00  end
    ");
}

#[tokio::test(start_paused = true)]
async fn only_the_ends_that_on_names_are_retried() {
    let on = |on: &[On]| Some(Retries { on: on.to_vec(), ..Retries::count(2) }.into());
    let named =
        |name: &str, on| Trial { retries: on, timeout: Some(Timeout::After(seconds(5.0))), ..trial(name, "true") };
    let engine = Fake::new(8.0)
        .scene("code", [ends(Exit::Code(3)), ends(Exit::Code(4))])
        .scene("signal", [ends(Exit::Signal(9)), Scene::default()])
        .scene("timeout", [Scene { run_for: seconds(9.0), ..Scene::default() }, ends(Exit::Code(1))])
        .scene("oom", [ends(Exit::Oom)]);
    let trials = vec![
        named("code", on(&[On::Code(3)])),
        named("signal", on(&[On::Code(137)])),
        named("timeout", on(&[On::Timeout])),
        named("oom", on(&[On::Oom])),
    ];
    assert_snapshot!(trace(engine, trials, Options::default()).await, @"
    0.00  code started
    0.00  signal started
    0.00  timeout started
    0.00  oom started
    1.00  code will be retried in 0s
    1.00  signal will be retried in 0s
    1.00  oom will be retried in 0s
    1.00  code started, attempt 2
    1.00  signal started, attempt 2
    1.00  signal succeeded
    1.00  oom started, attempt 2
    2.00  code failed (exit code 4)
    2.00  oom will be retried in 0s
    2.00  oom started, attempt 3
    3.00  oom ran out of memory
    3.75  timeout slow after 3.75s
    5.00  timeout stopping: it ran longer than its timeout (5s)
    5.00  timeout will be retried in 0s
    5.00  timeout started, attempt 2
    6.00  timeout failed (exit code 1)
    6.00  end
    ");
}

#[tokio::test(start_paused = true)]
async fn what_the_engine_lost_starts_again_and_is_counted_apart() {
    let (lost, bad) = (Scene { lost: true, ..ends(Exit::Code(0)) }, ends(Exit::Code(1)));
    let engine = Fake::new(8.0)
        .scene("unsaid", [lost.clone()])
        .scene("both", [lost.clone(), bad.clone(), lost.clone(), bad])
        .scene("once", [lost.clone(), Scene::default()])
        .scene("never", [lost]);
    let twice = Retries { crash_limit: Some(2), delay: seconds(10.0), ..Retries::count(1) };
    let trials = vec![
        trial("unsaid", "true"),
        Trial { retries: Some(twice.into()), ..trial("both", "true") },
        trial("once", "true"),
        Trial { retries: Some(Retries { on: vec![On::Failed], ..Retries::count(2) }.into()), ..trial("never", "true") },
    ];
    let (lines, summary) = follow(start(&Arc::new(engine), trials, Options::default()), |_, _| {}).await;
    assert_snapshot!(lines, @"
     0.00  unsaid started
     0.00  both started
     0.00  once started
     0.00  never started
     1.00  unsaid will be retried in 0s
     1.00  both will be retried in 10s
     1.00  once will be retried in 0s
     1.00  never was lost: nobody knows how it ended
     1.00  unsaid started, attempt 2
     1.00  once started, attempt 2
     1.00  once succeeded
     2.00  unsaid will be retried in 0s
     2.00  unsaid started, attempt 3
     3.00  unsaid will be retried in 0s
     3.00  unsaid started, attempt 4
     4.00  unsaid will be retried in 0s
     4.00  unsaid started, attempt 5
     5.00  unsaid will be retried in 0s
     5.00  unsaid started, attempt 6
     6.00  unsaid was lost: nobody knows how it ended
    11.00  both started, attempt 2
    12.00  both will be retried in 10s
    22.00  both started, attempt 3
    23.00  both will be retried in 10s
    33.00  both started, attempt 4
    34.00  both failed (exit code 1)
    34.00  end
    ");
    assert_eq!(summary.counts().flaky, 0, "a loss says nothing against a trial");
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_passes_after_a_failure_is_flaky() {
    let engine = Fake::new(4.0)
        .scene("flaky", [ends(Exit::Code(1)), Scene::default()])
        .scene("again", [ends(Exit::Code(0)), ends(Exit::Code(0))]);
    let retried = Trial { retries: Some(Retries::count(1).into()), ..trial("flaky", "true") };
    let options =
        Options { budget: Budget { parallel: Some(Parallel::Count(1)), ..Budget::default() }, ..Options::default() };
    let mut asked = false;
    let engine = Arc::new(engine);
    let (_, summary) = follow(start(&engine, vec![retried, trial("again", "true")], options), |event, commands| {
        // Run again though it succeeded: not flaky.
        if let Event { fact: Fact::TrialEnded { trial: name, .. }, .. } = event
            && name.as_str() == "again"
            && !std::mem::replace(&mut asked, true)
        {
            let engine = Some(crate::model::name::EngineName::Fake);
            let again = Trial { engine, ..trial("again", "true") };
            commands.send(crate::model::command::Command::Retry { trial: Box::new(again) });
        }
    })
    .await;
    let flaky: Vec<_> = summary.results.iter().map(|result| (result.attempts, result.flaky)).collect();
    assert_eq!((flaky, summary.counts().flaky), (vec![(2, true), (2, false)], 1));
}
