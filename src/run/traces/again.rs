//! Traces of what comes while a run goes on: services that come and go, retries and submissions by hooks.

use std::sync::Arc;
use std::time::Duration;

use insta::assert_snapshot;

use crate::engine::fake::{Fake, Scene};
use crate::model::command::Command;
use crate::model::event::{Event, Fact};
use crate::model::name::{EngineName, Name, RunId};
use crate::model::options::{Budget, Options, Parallel, TrialDefaults};
use crate::model::outcome::Exit;
use crate::model::retry::Retries;
use crate::model::summary::Summary;
use crate::model::trial::{Condition, Dependency, Healthcheck, Trial};
use crate::run::connections::Connections;
use crate::run::context::RunContext;
use crate::run::session::live::Commands;
use crate::run::session::start_on;
use crate::run::traces::{after, anew, follow, planned, seconds, start, trace, trial, unkept};

const COMPLETED: Option<Condition> = Some(Condition::Completed);

fn forever() -> Scene {
    Scene { run_for: seconds(1e6), ..Scene::default() }
}

fn crash(after: f64) -> Scene {
    Scene { run_for: seconds(after), exit: Exit::Code(1), ..Scene::default() }
}

fn probed(mut trial: Trial) -> Trial {
    let (interval, retries) = (Some(seconds(1.0)), Some(2));
    let test = vec!["CMD".to_owned(), "true".to_owned()];
    trial.healthcheck = Some(Healthcheck { test, interval, timeout: None, retries, start_period: None }.into());
    trial
}

fn retried(mut trial: Trial, delay: f64) -> Trial {
    trial.retries = Some(Retries { delay: seconds(delay), ..Retries::count(3) }.into());
    trial
}

/// Sends a command, once, when that trial has ended so.
fn when(name: &'static str, status: &'static str, command: impl Fn() -> Command) -> impl FnMut(&Event, &Commands) {
    let mut sent = false;
    move |event, commands| {
        if let Fact::TrialEnded { trial, outcome, .. } = &event.fact
            && (trial.as_str(), outcome.status(), sent) == (name, status, false)
        {
            sent = true;
            commands.send(command());
        }
    }
}

fn retry(trial: Trial) -> Command {
    Command::Retry { trial: Box::new(Trial { engine: Some(EngineName::Fake), ..trial }) }
}

fn submit(trial: Trial) -> Command {
    Command::Submit { trial: Box::new(Trial { engine: Some(EngineName::Fake), ..trial }) }
}

/// Fails, in virtual time, where a run would never end.
async fn ends(run: impl Future<Output = (String, Summary)>) -> String {
    tokio::time::timeout(seconds(5e5), run).await.expect("the run ends").0
}

#[tokio::test(start_paused = true)]
async fn a_hook_that_takes_longer_than_the_retry_can_ask_again() {
    let fails = Scene { exit: Exit::Oom, ..Scene::default() };
    let engine = Arc::new(Fake::new(2.0).scene("hungry", [fails.clone(), fails, Scene::default()]));
    let mut live = start(&engine, vec![trial("hungry", "true")], Options::default());
    let mut summary = Summary::default();
    while let Some(event) = live.recv_to_end().await {
        summary.add(&event);
        if let Fact::TrialEnded { outcome, .. } = &event.fact
            && outcome.status() == "oom"
        {
            live.commands().send(retry(trial("hungry", "true")));
            // The rest of the hook.
            tokio::time::sleep(seconds(5.0)).await;
        }
    }
    assert_eq!((summary.ok(), summary.results[0].attempts), (true, 3));
}

#[tokio::test(start_paused = true)]
async fn a_prerequisite_that_was_healthy_and_ended_well_still_counts() {
    let late = after(after(trial("late", "true"), "server", None), "slow", COMPLETED);
    let server = || Trial { service: Some(false), ..probed(trial("server", "sleep 10")) };
    let trials = vec![server(), trial("slow", "sleep 20"), late];
    let beside = trace(Fake::new(4.0), trials, Options::default()).await;
    let trials = vec![server(), after(trial("late", "true"), "server", None)];
    let without_room = trace(Fake::new(1.0), trials, Options::default()).await;
    assert_snapshot!(format!("{beside}\n{without_room}"), @"
     0.00  server started
     0.00  server healthy
     0.00  slow started
    10.00  server succeeded
    20.00  slow succeeded
    20.00  late started
    20.00  late succeeded
    20.00  end

     0.00  server started
     0.00  server healthy
    10.00  server succeeded
    10.00  late started
    10.00  late succeeded
    10.00  end
    ");
}

#[tokio::test(start_paused = true)]
async fn a_crashed_service_comes_back_before_a_large_trial_that_does_not_fit() {
    let engine = Fake::new(2.0).scene("zdb", [crash(5.0), forever()]);
    let large = Trial { cpus: Some(2.0), ..after(trial("large", "sleep 1"), "first", COMPLETED) };
    let user = after(trial("user", "sleep 100"), "zdb", None);
    let trials = vec![large, user, retried(trial("zdb", ""), 0.0), trial("first", "sleep 1")];
    assert_snapshot!(trace(engine, trials, Options::default()).await, @"
      0.00  zdb started
      0.00  first started
      0.00  user started
      1.00  first succeeded
      5.00  zdb will be retried in 0s
      5.00  zdb started, attempt 2
    100.00  user succeeded
    100.00  zdb stopping: nothing needs it any more
    100.00  zdb stopped, nothing needs it any more
    100.00  large started
    101.00  large succeeded
    101.00  end
    ");
}

#[tokio::test(start_paused = true)]
async fn services_start_when_the_trials_next_in_line_need_them() {
    let (mut engine, mut trials) = (Fake::new(1.0), Vec::new());
    for pair in 0..200 {
        engine = engine.scene(&format!("s{pair}"), [forever()]);
        trials.push(trial(&format!("s{pair}"), ""));
        trials.push(after(trial(&format!("t{pair}"), "sleep 1"), &format!("s{pair}"), None));
    }
    let engine = Arc::new(engine);
    let options =
        Options { budget: Budget { parallel: Some(Parallel::Count(2)), ..Budget::default() }, ..Options::default() };
    let (_, summary) = follow(start(&engine, trials, options), |_, _| {}).await;
    // Two trials, their services, and the services of the next two.
    assert!(summary.ok() && engine.peak() <= 6, "{} at once", engine.peak());
}

#[tokio::test(start_paused = true)]
async fn a_service_that_waits_for_work_holds_back_nobody() {
    let engine = Fake::new(1.0).scene("db", [forever()]).scene("cache", [forever()]);
    let trials = vec![
        after(trial("db", ""), "migrate", COMPLETED),
        after(trial("first", "sleep 1"), "db", None),
        trial("cache", ""),
        after(trial("second", "sleep 1"), "cache", None),
        trial("migrate", "sleep 5"),
    ];
    assert_snapshot!(trace(engine, trials, Options::default()).await, @"
    0.00  migrate started
    0.00  cache started
    5.00  migrate succeeded
    5.00  second started
    5.00  db started
    6.00  second succeeded
    6.00  cache stopping: nothing needs it any more
    6.00  cache stopped, nothing needs it any more
    6.00  first started
    7.00  first succeeded
    7.00  db stopping: nothing needs it any more
    7.00  db stopped, nothing needs it any more
    7.00  end
    ");
}

#[tokio::test(start_paused = true)]
async fn a_dependant_does_not_start_while_its_service_is_down() {
    let engine = Fake::new(4.0).scene("db", [crash(5.0), forever()]);
    let user = after(after(trial("user", "sleep 1"), "db", None), "data", COMPLETED);
    let trials = vec![
        retried(trial("db", ""), 30.0),
        trial("data", "sleep 10"),
        after(trial("early", "sleep 60"), "db", None),
        user,
    ];
    assert_snapshot!(trace(engine, trials, Options::default()).await, @"
     0.00  db started
     0.00  data started
     0.00  early started
     5.00  db will be retried in 30s
    10.00  data succeeded
    35.00  db started, attempt 2
    35.00  user started
    36.00  user succeeded
    60.00  early succeeded
    60.00  db stopping: nothing needs it any more
    60.00  db stopped, nothing needs it any more
    60.00  end
    ");
}

#[tokio::test(start_paused = true)]
async fn retrying_the_first_of_many_layers_opens_each_trial_once() {
    let mut trials = vec![trial("root", "true")];
    for layer in 0..8 {
        for width in 0..3 {
            let mut next = trial(&format!("l{layer}-{width}"), "true");
            let before = if layer == 0 {
                vec!["root".to_owned()]
            } else {
                (0..3).map(|w| format!("l{}-{w}", layer - 1)).collect()
            };
            for on in before {
                next = after(next, &on, COMPLETED);
            }
            trials.push(next);
        }
    }
    let engine = Arc::new(Fake::new(4.0).scene("root", [crash(0.0), Scene::default()]));
    let mut ended = 0;
    let mut react = when("root", "failed", || retry(trial("root", "true")));
    let (_, summary) = follow(start(&engine, trials, Options::default()), |event, commands| {
        ended += usize::from(matches!(event.fact, Fact::TrialEnded { .. }));
        react(event, commands);
    })
    .await;
    assert_eq!((summary.ok(), ended), (true, 2 * 25));
}

#[tokio::test(start_paused = true)]
async fn retrying_the_first_of_a_chain_of_ten_thousand_runs_them_all() {
    let mut trials = vec![trial("t0", "true")];
    trials.extend((1..10_000).map(|i| after(trial(&format!("t{i}"), "true"), &format!("t{}", i - 1), COMPLETED)));
    let engine = Arc::new(Fake::new(4.0).scene("t0", [crash(0.0), Scene::default()]));
    let react = when("t0", "failed", || retry(trial("t0", "true")));
    assert!(follow(start(&engine, trials, Options::default()), react).await.1.ok());
}

#[tokio::test(start_paused = true)]
async fn a_trial_submitted_onto_a_stopped_service_brings_it_back_alone() {
    let engine = Arc::new(Fake::new(4.0).scene("db", [forever()]));
    let never = after(after(trial("never", "true"), "db", None), "bad", COMPLETED);
    let trials = vec![trial("db", ""), trial("bad", "exit 1"), never, after(trial("early", "sleep 1"), "db", None)];
    let react = when("db", "stopped", || submit(after(trial("late", "true"), "db", None)));
    assert_snapshot!(ends(follow(start(&engine, trials, Options::default()), react)).await, @"
    0.00  db started
    0.00  bad started
    0.00  bad failed (exit code 1)
    0.00  never skipped because `bad` failed (exit code 1)
    0.00  early started
    1.00  early succeeded
    1.00  db stopping: nothing needs it any more
    1.00  db stopped, nothing needs it any more
    1.00  taken: submit late
    1.00  db waits again
    1.00  db started, attempt 2
    1.00  late started
    1.00  late succeeded
    1.00  db stopping: nothing needs it any more
    1.00  db stopped, nothing needs it any more
    1.00  end
    ");
}

#[tokio::test(start_paused = true)]
async fn a_submission_that_could_never_start_is_refused() {
    let trials = || {
        vec![trial("db", ""), after(trial("early", "sleep 1"), "db", None), after(trial("long", "sleep 3"), "db", None)]
    };
    let mut traces = String::new();
    for condition in [Condition::Healthy, Condition::Completed] {
        let engine = Arc::new(Fake::new(4.0).scene("db", [forever()]));
        let react = when("early", "succeeded", || submit(after(trial("late", "true"), "db", Some(condition))));
        traces += &ends(follow(start(&engine, trials(), Options::default()), react)).await;
    }
    let sick = Scene { healthy_after: None, ..forever() };
    let engine = Arc::new(Fake::new(4.0).scene("db", [sick]));
    let started = Some(Condition::Started);
    let trials = vec![
        probed(trial("db", "")),
        after(trial("early", "sleep 5"), "db", started),
        after(trial("long", "sleep 9"), "db", started),
    ];
    let react = when("early", "succeeded", || submit(after(trial("late", "true"), "db", None)));
    traces += &ends(follow(start(&engine, trials, Options::default()), react)).await;
    let notable: Vec<&str> = traces.lines().filter(|line| line.contains("late")).collect();
    assert_snapshot!(notable.join("\n"), @"
    1.00  refused: `late` was not submitted: it waits until `db` is healthy, but `db` has no healthcheck (engine fake)
    1.00  refused: `late` was not submitted: it waits for the service `db` to end, but a service runs until nothing needs it
    5.00  taken: submit late
    5.00  late skipped because `db` is unhealthy
    ");
}

#[tokio::test(start_paused = true)]
async fn a_service_that_is_needed_again_while_it_stops_can_still_fail() {
    // base <- mid (crashes once, is retried) <- user
    let refused = Scene { start_error: Some("no".to_owned()), ..Scene::default() };
    let stubborn = Scene { stubborn: true, ..forever() };
    let engine = Fake::new(4.0).scene("base", [crash(11.0), refused]).scene("mid", [crash(1.0), stubborn]);
    let trials = vec![
        retried(trial("base", ""), 60.0),
        retried(after(trial("mid", ""), "base", None), 0.0),
        after(trial("user", "sleep 5; exit 1"), "mid", None),
    ];
    let options = Options {
        defaults: TrialDefaults { stop_grace: Some(seconds(10.0)), ..TrialDefaults::default() },
        ..Options::default()
    };
    let react = when("user", "failed", || retry(after(trial("user", "sleep 5"), "mid", None)));
    assert_snapshot!(ends(follow(start(&Arc::new(engine), trials, options), react)).await, @"
     0.00  base started
     0.00  mid started
     0.00  user started
     1.00  mid will be retried in 0s
     1.00  mid started, attempt 2
     5.00  user failed (exit code 1)
     5.00  mid stopping: nothing needs it any more
     5.00  taken: retry user
     5.00  user waits again
    11.00  base will be retried in 60s
    71.00  base could not be started: no
    71.00  mid failed (exit code 1)
    71.00  user skipped because `mid` failed (exit code 1)
    71.00  end
    ");
}

#[tokio::test(start_paused = true)]
async fn a_second_delay_is_not_cut_short_by_the_first() {
    let engine = Arc::new(Fake::new(4.0).scene("flaky", [crash(0.0), crash(0.0), Scene::default()]));
    let flaky = retried(trial("flaky", "true"), 100.0);
    let again = flaky.clone();
    let mut live = start(&engine, vec![flaky, trial("clock", "sleep 1000")], Options::default());
    let commands = live.commands().clone();
    tokio::spawn(async move {
        tokio::time::sleep(seconds(50.0)).await;
        commands.send(Command::Kill { trial: Name::parse("flaky").unwrap(), at_once: false });
        tokio::time::sleep(seconds(10.0)).await;
        commands.send(retry(again));
    });
    let mut starts = Vec::new();
    while let Some(event) = live.recv_to_end().await {
        if matches!(&event.fact, Fact::AttemptStarted { trial, .. } if trial.as_str() == "flaky") {
            starts.push(event.at);
        }
    }
    let gaps: Vec<u64> = starts.iter().map(|at| (at - starts[0]) / 1000).collect();
    assert_eq!(gaps, [0, 60, 160]);
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_left_after_its_work_is_done_ends() {
    let engine = Arc::new(Fake::new(2.0));
    let plan = planned(&engine, vec![trial("only", "true")], Options::default());
    let engines = [(EngineName::Fake, plan_host(&engine))].into();
    let context = RunContext::new(&plan.experiment, RunId::from("run"), 1, None, Connections::with(engine.clone()));
    let (mut live, dispatched) =
        start_on(&(&tokio::runtime::Handle::current()).into(), plan, engines, context, unkept(), anew());
    // As an interrupt does, which must be able to reach the run for as long as it lives.
    let _kept = live.commands().clone();
    while live.recv().await.is_some() {}
    drop(live);
    tokio::time::timeout(Duration::from_secs(1000), dispatched).await.expect("it ends").unwrap();
}

fn plan_host(engine: &Fake) -> crate::model::capability::Capabilities {
    crate::engine::Engine::capabilities(engine).clone()
}

#[tokio::test(start_paused = true)]
async fn dependants_wait_while_an_unhealthy_service_is_retried() {
    let sick = Scene { healthy_after: None, ..forever() };
    let engine = Fake::new(2.0).scene("db", [sick, forever()]);
    let trials = vec![retried(probed(trial("db", "")), 1.0), after(trial("user", "sleep 1"), "db", None)];
    assert_snapshot!(trace(engine, trials, Options::default()).await, @"
    0.00  db started
    2.00  db unhealthy
    2.00  db will be retried in 1s
    3.00  db started, attempt 2
    3.00  db healthy
    3.00  user started
    4.00  user succeeded
    4.00  db stopping: nothing needs it any more
    4.00  db stopped, nothing needs it any more
    4.00  end
    ");
}

#[tokio::test(start_paused = true)]
async fn a_dependency_can_be_named_twice() {
    let mut twice = after(trial("twice", "true"), "first", COMPLETED);
    twice.depends.push(Dependency { trial: Name::parse("first").unwrap(), condition: Some(Condition::Started) });
    assert_snapshot!(trace(Fake::new(2.0), vec![trial("first", "sleep 1"), twice], Options::default()).await, @"
    0.00  first started
    1.00  first succeeded
    1.00  twice started
    1.00  twice succeeded
    1.00  end
    ");
}
