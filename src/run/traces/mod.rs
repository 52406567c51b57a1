//! Traces of whole runs on the fake engine, in virtual time.

mod again;
mod away;
mod crashes;
mod keeping;
mod outputs;
mod paused_trials;
mod pausing;
mod pruning;
mod random;
mod retries;
mod room;
mod services;
pub(crate) mod shaky;
mod sharing;
mod times;
mod told;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use insta::assert_snapshot;

use crate::engine::Engine;
use crate::engine::fake::{Fake, Scene};
use crate::model::command::Command;
use crate::model::event::{Event, Fact, Journal};
use crate::model::experiment::Experiment;
use crate::model::name::{EngineName, Name, RunId};
use crate::model::options::{Budget, Halt, Options, Parallel, TrialDefaults};
use crate::model::outcome::{Exit, Outcome};
use crate::model::retry::{Backoff, Retries};
use crate::model::summary::Summary;
use crate::model::trial::{Condition, Dependency, Healthcheck, Timeout, Trial};
use crate::plan::{self, Plan};
use crate::run::connections::Connections;
use crate::run::context::RunContext;
use crate::run::dispatcher::life::Beginning;
use crate::run::session::live::{Commands, Live};
use crate::run::session::start::Start;
use crate::run::session::start_on;

pub(super) fn trial(name: &str, cmd: &str) -> Trial {
    let words = cmd.split(' ').map(ToOwned::to_owned).collect();
    Trial { cmd: (!cmd.is_empty()).then_some(words), ..Trial::new(Name::parse(name).unwrap()) }
}

pub(super) fn after(mut trial: Trial, on: &str, condition: Option<Condition>) -> Trial {
    trial.depends.push(Dependency { trial: Name::parse(on).unwrap(), condition });
    trial
}

pub(super) fn seconds(seconds: f64) -> Duration {
    Duration::from_secs_f64(seconds)
}

pub(super) fn planned(engine: &Fake, trials: Vec<Trial>, options: Options) -> Plan {
    let trials = trials.into_iter().map(Arc::new).collect();
    let experiment =
        Experiment { name: "exp".to_owned(), id: "id".to_owned(), spec: "/exp.jsonnet".into(), options, trials };
    let above = Options {
        defaults: TrialDefaults { engine: Some(EngineName::Fake), ..TrialDefaults::default() },
        ..Options::default()
    };
    plan::build(experiment, above, &[(EngineName::Fake, engine.capabilities().clone())].into()).unwrap()
}

/// The beginning of a new run.
pub(super) fn anew() -> Beginning {
    Beginning::Anew { reused: BTreeMap::new() }
}

/// What keeps nothing.
pub(super) fn unkept() -> Box<dyn Journal> {
    Start::unkept("run".into(), None).journal
}

pub(super) fn start(engine: &Arc<Fake>, trials: Vec<Trial>, options: Options) -> Live {
    let plan = planned(engine, trials, options);
    let engines = [(EngineName::Fake, engine.capabilities().clone())].into();
    let context = RunContext::new(&plan.experiment, RunId::from("run"), 1, None, Connections::with(engine.clone()));
    start_on(&(&tokio::runtime::Handle::current()).into(), plan, engines, context, unkept(), anew()).0
}

/// Follows a run to its end; `react` sees every event and may send commands.
pub(super) async fn follow(mut live: Live, mut react: impl FnMut(&Event, &Commands)) -> (String, Summary) {
    let (mut lines, mut summary, mut began) = (String::new(), Summary::default(), None);
    while let Some(event) = live.recv_to_end().await {
        let began = *began.get_or_insert(event.at);
        if let Some(text) = line(&event.fact) {
            lines.push_str(&format!("{:>6.2}  {text}\n", (event.at - began) as f64 / 1000.0));
        }
        summary.add(&event);
        react(&event, live.commands());
    }
    (lines, summary)
}

fn line(fact: &Fact) -> Option<String> {
    Some(match fact {
        Fact::AttemptStarted { trial, attempt: 1, .. } => format!("{trial} started"),
        Fact::AttemptStarted { trial, attempt, .. } => format!("{trial} started, attempt {attempt}"),
        Fact::TrialPaused { trial, because } => format!("{trial} paused: {because}"),
        Fact::TrialUnpaused { trial } => format!("{trial} goes on"),
        Fact::Healthy { trial } => format!("{trial} healthy"),
        Fact::Unhealthy { trial } => format!("{trial} unhealthy"),
        Fact::Stopping { trial, because, .. } => format!("{trial} stopping: {because}"),
        Fact::RetryScheduled { trial, delay, memory: None, .. } => {
            format!("{trial} will be retried in {}s", delay.as_secs_f64())
        }
        Fact::RetryScheduled { trial, delay, memory: Some(memory), .. } => {
            format!("{trial} will be retried in {}s with {} MiB", delay.as_secs_f64(), memory >> 20)
        }
        Fact::Slow { trial, elapsed } => format!("{trial} slow after {}s", elapsed.as_secs_f64()),
        Fact::TrialEnded { trial, outcome, .. } => format!("{trial} {outcome}"),
        Fact::RunResumed { open, .. } => format!("goes on with {open}"),
        Fact::AttemptAdopted { trial, attempt, .. } => format!("{trial} found again, attempt {attempt}"),
        Fact::CommandTaken { command } => format!("taken: {command}"),
        Fact::HeldBack { because } => format!("held back: {because}"),
        Fact::Released { elapsed } => format!("released after {}s", elapsed.as_secs_f64()),
        Fact::EngineAway { engine, because } => format!("{engine} is away: {because}"),
        Fact::EngineBack { engine, elapsed } => format!("{engine} is back after {}s", elapsed.as_secs_f64()),
        Fact::Halted { because } => format!("halted: {because}"),
        Fact::CommandRefused { message, .. } => format!("refused: {message}"),
        Fact::TrialReopened { trial } => format!("{trial} waits again"),
        Fact::Warned { message } => format!("warned: {message}"),
        Fact::RunEnded { early: None, .. } => "end".to_owned(),
        Fact::RunEnded { early: Some(early), .. } => format!("end: {early:?}"),
        _ => return None,
    })
}

pub(super) async fn trace(engine: Fake, trials: Vec<Trial>, options: Options) -> String {
    let engine = Arc::new(engine);
    follow(start(&engine, trials, options), |_, _| {}).await.0
}

#[tokio::test(start_paused = true)]
async fn no_trial_waits_for_a_slow_stranger_in_the_group_before() {
    let trials = vec![
        trial("slow", "sleep 100"),
        trial("quick", "sleep 1"),
        after(trial("next", "sleep 1"), "quick", Some(Condition::Completed)),
    ];
    assert_snapshot!(trace(Fake::new(4.0), trials, Options::default()).await, @"
      0.00  slow started
      0.00  quick started
      1.00  quick succeeded
      1.00  next started
      2.00  next succeeded
    100.00  slow succeeded
    100.00  end
    ");
}

#[tokio::test(start_paused = true)]
async fn a_service_is_started_first_and_stopped_when_nothing_needs_it() {
    let trials = vec![
        trial("loader", ""),
        after(trial("solver-1", "sleep 2"), "loader", None),
        after(trial("solver-2", "sleep 3"), "loader", None),
    ];
    let engine = Fake::new(1.0).scene("loader", [Scene { run_for: seconds(1e6), ..Scene::default() }]);
    assert_snapshot!(trace(engine, trials, Options::default()).await, @"
    0.00  loader started
    0.00  solver-1 started
    2.00  solver-1 succeeded
    2.00  solver-2 started
    5.00  solver-2 succeeded
    5.00  loader stopping: nothing needs it any more
    5.00  loader stopped, nothing needs it any more
    5.00  end
    ");
}

#[tokio::test(start_paused = true)]
async fn a_dependant_waits_until_its_prerequisite_is_healthy() {
    let mut loader = trial("loader", "");
    loader.healthcheck = Some(
        Healthcheck {
            test: vec!["CMD".into(), "true".into()],
            interval: None,
            timeout: None,
            retries: None,
            start_period: None,
        }
        .into(),
    );
    let trials = vec![loader, after(trial("solver", "sleep 1"), "loader", None)];
    let scene = Scene { run_for: seconds(1e6), healthy_after: Some(seconds(5.0)), ..Scene::default() };
    assert_snapshot!(trace(Fake::new(1.0).scene("loader", [scene]), trials, Options::default()).await, @"
    0.00  loader started
    5.00  loader healthy
    5.00  solver started
    6.00  solver succeeded
    6.00  loader stopping: nothing needs it any more
    6.00  loader stopped, nothing needs it any more
    6.00  end
    ");
}

#[tokio::test(start_paused = true)]
async fn dependants_of_a_failed_trial_are_skipped_with_the_reason_and_the_rest_goes_on() {
    let trials = vec![
        trial("first", "sleep 1; exit 3"),
        after(trial("second", "true"), "first", Some(Condition::Completed)),
        after(trial("third", "true"), "second", Some(Condition::Completed)),
        trial("other", "sleep 2"),
    ];
    assert_snapshot!(trace(Fake::new(4.0), trials, Options::default()).await, @"
    0.00  first started
    0.00  other started
    1.00  first failed (exit code 3)
    1.00  second skipped because `first` failed (exit code 3)
    1.00  third skipped because `second` was skipped
    2.00  other succeeded
    2.00  end
    ");
}

#[tokio::test(start_paused = true)]
async fn who_waits_for_an_end_starts_however_it_ended() {
    let ended = Some(Condition::Ended);
    let trials = vec![
        trial("fails", "sleep 1; exit 3"),
        after(trial("skipped", "true"), "fails", Some(Condition::Completed)),
        after(trial("works", "sleep 2"), "fails", ended),
        after(after(trial("collect", "true"), "skipped", ended), "works", ended),
    ];
    assert_snapshot!(trace(Fake::new(4.0), trials, Options::default()).await, @"
    0.00  fails started
    1.00  fails failed (exit code 3)
    1.00  skipped skipped because `fails` failed (exit code 3)
    1.00  works started
    3.00  works succeeded
    3.00  collect started
    3.00  collect succeeded
    3.00  end
    ");
}

#[tokio::test(start_paused = true)]
async fn retries_double_their_delay_and_the_dependants_wait_for_the_last() {
    let fails = Scene { run_for: seconds(1.0), exit: Exit::Code(7), ..Scene::default() };
    let engine = Fake::new(4.0).scene("flaky", [fails.clone(), fails, Scene::default()]);
    let mut flaky = trial("flaky", "true");
    flaky.retries = Some(Retries { delay: seconds(2.0), backoff: Backoff::Exponential, ..Retries::count(3) }.into());
    let trials = vec![flaky, after(trial("after", "true"), "flaky", Some(Condition::Completed))];
    assert_snapshot!(trace(engine, trials, Options::default()).await, @"
    0.00  flaky started
    1.00  flaky will be retried in 2s
    3.00  flaky started, attempt 2
    4.00  flaky will be retried in 4s
    8.00  flaky started, attempt 3
    8.00  flaky succeeded
    8.00  after started
    8.00  after succeeded
    8.00  end
    ");
}

#[tokio::test(start_paused = true)]
async fn a_timeout_stops_with_grace_and_then_kills_what_is_stubborn() {
    let options = Options {
        defaults: TrialDefaults {
            timeout: Some(Timeout::After(seconds(2.0))),
            stop_grace: Some(seconds(3.0)),
            ..TrialDefaults::default()
        },
        ..Options::default()
    };
    let engine = Fake::new(4.0).scene("deaf", [Scene { run_for: seconds(60.0), stubborn: true, ..Scene::default() }]);
    let trials = vec![trial("deaf", "true"), trial("meek", "sleep 60"), trial("short", "sleep 1")];
    assert_snapshot!(trace(engine, trials, options).await, @"
    0.00  deaf started
    0.00  meek started
    0.00  short started
    1.00  short succeeded
    1.50  deaf slow after 1.5s
    1.50  meek slow after 1.5s
    2.00  deaf stopping: it ran longer than its timeout (2s)
    2.00  meek stopping: it ran longer than its timeout (2s)
    2.00  meek timed out
    5.00  deaf timed out
    5.00  end
    ");
}

#[tokio::test(start_paused = true)]
async fn as_many_run_at_once_as_fit_the_cpus_and_no_more() {
    let engine = Arc::new(Fake::new(3.0));
    let trials = (0..10).map(|i| trial(&format!("t{i}"), "sleep 1")).collect();
    let (_, summary) = follow(start(&engine, trials, Options::default()), |_, _| {}).await;
    assert_eq!((engine.peak(), summary.ok()), (3, true));
    assert_eq!(summary.elapsed, Some(seconds(4.0)));
}

#[tokio::test(start_paused = true)]
async fn a_large_trial_is_not_starved_by_small_ones() {
    let mut large = trial("large", "sleep 1");
    large.cpus = Some(2.0);
    let mut trials: Vec<_> = (1..=2).map(|i| trial(&format!("small-{i}"), &format!("sleep {i}"))).collect();
    trials.push(large);
    trials.extend((3..=6).map(|i| trial(&format!("small-{i}"), "sleep 1")));
    assert_snapshot!(trace(Fake::new(2.0), trials, Options::default()).await, @"
    0.00  small-1 started
    0.00  small-2 started
    1.00  small-1 succeeded
    2.00  small-2 succeeded
    2.00  large started
    3.00  large succeeded
    3.00  small-3 started
    3.00  small-4 started
    4.00  small-3 succeeded
    4.00  small-4 succeeded
    4.00  small-5 started
    4.00  small-6 started
    5.00  small-5 succeeded
    5.00  small-6 succeeded
    5.00  end
    ");
}

#[tokio::test(start_paused = true)]
async fn higher_priority_starts_first() {
    let mut trials: Vec<_> = (1..=3).map(|i| trial(&format!("t{i}"), "sleep 1")).collect();
    trials[2].priority = 5;
    assert_snapshot!(trace(Fake::new(1.0), trials, Options::default()).await, @"
    0.00  t3 started
    1.00  t3 succeeded
    1.00  t1 started
    2.00  t1 succeeded
    2.00  t2 started
    3.00  t2 succeeded
    3.00  end
    ");
}

#[tokio::test(start_paused = true)]
async fn starts_in_flight_are_bounded_apart_from_what_runs() {
    let engine = Arc::new(Fake::new(100.0).starts(seconds(0.5), 4));
    // Fewer than what it takes to learn that this engine could start more at once.
    let trials = (0..20).map(|i| trial(&format!("t{i}"), "sleep 100")).collect();
    let (_, summary) = follow(start(&engine, trials, Options::default()), |_, _| {}).await;
    assert!(summary.ok());
    assert_eq!((engine.starting_peak(), engine.peak()), (4, 20));
}

#[tokio::test(start_paused = true)]
async fn the_first_interrupt_stops_with_grace_and_the_second_kills() {
    let engine =
        Arc::new(Fake::new(2.0).scene("deaf", [Scene { run_for: seconds(1e6), stubborn: true, ..Scene::default() }]));
    let trials = vec![trial("deaf", "true"), trial("meek", "sleep 100"), trial("later", "true")];
    let live = start(&engine, trials, Options::default());
    let commands = live.commands().clone();
    tokio::spawn(async move {
        for _ in 0..2 {
            tokio::time::sleep(seconds(4.0)).await;
            commands.send(Command::Cancel { by: "SIGINT".to_owned() });
        }
    });
    assert_snapshot!(follow(live, |_, _| {}).await.0, @r#"
     0.00  deaf started
     0.00  meek started
     4.00  taken: stop (by SIGINT)
     4.00  later skipped because the run was stopped by SIGINT
     4.00  meek killed
     8.00  taken: stop (by SIGINT)
     8.00  deaf killed
     8.00  end: Cancelled("SIGINT")
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_halt_soon_lets_running_trials_end_and_a_halt_now_does_not() {
    let trials = || vec![trial("bad", "sleep 1; exit 1"), trial("long", "sleep 9"), trial("waiting", "true")];
    let halt = |text: &str| Options { halt: Some(Halt::parse(text).unwrap()), ..Options::default() };
    let soon = trace(Fake::new(2.0), trials(), halt("soon,fail=1")).await;
    let now = trace(Fake::new(2.0), trials(), halt("now,fail=1")).await;
    assert_snapshot!(format!("{soon}\n{now}"), @r#"
    0.00  bad started
    0.00  long started
    1.00  bad failed (exit code 1)
    1.00  halted: the halt policy `soon,fail=1` was reached: 0 succeeded, 1 failed
    1.00  waiting skipped because the halt policy `soon,fail=1` was reached: 0 succeeded, 1 failed
    9.00  long succeeded
    9.00  end: Halted("the halt policy `soon,fail=1` was reached: 0 succeeded, 1 failed")

    0.00  bad started
    0.00  long started
    1.00  bad failed (exit code 1)
    1.00  halted: the halt policy `now,fail=1` was reached: 0 succeeded, 1 failed
    1.00  waiting skipped because the halt policy `now,fail=1` was reached: 0 succeeded, 1 failed
    1.00  long killed
    1.00  end: Halted("the halt policy `now,fail=1` was reached: 0 succeeded, 1 failed")
    "#);
}

#[tokio::test(start_paused = true)]
async fn a_hook_retries_the_last_trial_before_the_run_can_end() {
    let fails = Scene { exit: Exit::Oom, ..Scene::default() };
    let engine = Arc::new(
        Fake::new(2.0)
            .scene("hungry", [fails, Scene::default()])
            .scene("loader", [Scene { run_for: seconds(1e6), ..Scene::default() }]),
    );
    let trials = vec![
        trial("loader", ""),
        after(trial("hungry", "true"), "loader", None),
        after(trial("report", "true"), "hungry", Some(Condition::Completed)),
    ];
    let retry = |event: &Event, commands: &Commands| {
        if let Fact::TrialEnded { trial: name, outcome, .. } = &event.fact
            && outcome.status() == "oom"
        {
            let again = after(trial(name.as_str(), "true"), "loader", None);
            commands.send(Command::Retry { trial: Box::new(Trial { engine: Some(EngineName::Fake), ..again }) });
        }
    };
    let (lines, summary) = follow(start(&engine, trials, Options::default()), retry).await;
    assert!(summary.ok());
    assert_snapshot!(lines, @"
    0.00  loader started
    0.00  hungry started
    0.00  hungry ran out of memory
    0.00  loader stopping: nothing needs it any more
    0.00  report skipped because `hungry` ran out of memory
    0.00  loader stopped, nothing needs it any more
    0.00  taken: retry hungry
    0.00  hungry waits again
    0.00  report waits again
    0.00  loader waits again
    0.00  loader started, attempt 2
    0.00  hungry started, attempt 2
    0.00  hungry succeeded
    0.00  loader stopping: nothing needs it any more
    0.00  loader stopped, nothing needs it any more
    0.00  report started
    0.00  report succeeded
    0.00  end
    ");
}

#[tokio::test(start_paused = true)]
async fn trials_are_submitted_killed_and_widened_while_running() {
    let engine = Arc::new(Fake::new(8.0));
    let trials = vec![trial("t1", "sleep 10"), trial("t2", "sleep 1"), trial("t3", "sleep 1")];
    let options =
        Options { budget: Budget { parallel: Some(Parallel::Count(1)), ..Budget::default() }, ..Options::default() };
    let react = |event: &Event, commands: &Commands| match &event.fact {
        Fact::AttemptStarted { trial: name, .. } if name.as_str() == "t1" => {
            commands.send(Command::Submit {
                trial: Box::new(after(trial("t4", "true"), "t3", Some(Condition::Completed))),
            });
            commands.send(Command::Submit { trial: Box::new(after(trial("t5", "true"), "nobody", None)) });
            commands.send(Command::Set {
                change: Box::new(Budget { parallel: Some(Parallel::Count(2)), ..Budget::default() }),
            });
            commands.send(Command::Kill { trial: Name::parse("t2").unwrap(), at_once: false });
        }
        Fact::TrialEnded { trial: name, .. } if name.as_str() == "t4" => {
            commands.send(Command::Kill { trial: Name::parse("t1").unwrap(), at_once: false });
        }
        _ => {}
    };
    assert_snapshot!(follow(start(&engine, trials, options), react).await.0, @"
    0.00  t1 started
    0.00  taken: submit t4
    0.00  refused: `t5` was not submitted: it depends on `nobody`, which is not in the run
    0.00  taken: set parallel 2
    0.00  taken: kill t2
    0.00  t2 killed
    0.00  t3 started
    1.00  t3 succeeded
    1.00  t4 started
    1.00  t4 succeeded
    1.00  taken: kill t1
    1.00  t1 killed
    1.00  end
    ");
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_is_deaf_ends_after_its_grace_or_at_once_as_it_is_asked() {
    let deaf = || Scene { run_for: seconds(1e6), stubborn: true, ..Scene::default() };
    for (asks, expected) in [(vec![false], 10.0), (vec![true], 0.0), (vec![false, true], 0.0)] {
        let engine = Arc::new(Fake::new(2.0).scene("deaf", [deaf()]));
        let mut ended = f64::NAN;
        let react = |event: &Event, commands: &Commands| match &event.fact {
            Fact::AttemptStarted { trial, .. } => {
                for &at_once in &asks {
                    commands.send(Command::Kill { trial: trial.clone(), at_once });
                }
            }
            Fact::AttemptEnded { outcome, elapsed, .. } => {
                assert_eq!(*outcome, Outcome::Killed);
                ended = elapsed.as_secs_f64();
            }
            _ => {}
        };
        follow(start(&engine, vec![trial("deaf", "")], Options::default()), react).await;
        assert_eq!(ended.round(), expected, "{asks:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_chain_of_ten_thousand_is_skipped_in_one_go() {
    let mut trials = vec![trial("t0", "exit 1")];
    trials.extend(
        (1..10_000).map(|i| after(trial(&format!("t{i}"), "true"), &format!("t{}", i - 1), Some(Condition::Completed))),
    );
    let engine = Arc::new(Fake::new(4.0));
    let (_, summary) = follow(start(&engine, trials, Options::default()), |_, _| {}).await;
    assert_eq!((summary.counts().failed, summary.counts().skipped), (1, 9_999));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_nobody_follows_stops_its_trials() {
    let engine = Arc::new(Fake::new(4.0));
    let mut live = start(&engine, vec![trial("long", "sleep 1000000")], Options::default());
    while let Some(event) = live.recv().await {
        if matches!(event.fact, Fact::AttemptStarted { .. }) {
            break;
        }
    }
    drop(live);
    let handle = engine.find(&crate::engine::Selector::default()).await.unwrap()[0].handle.clone();
    let exit = engine.wait(&handle, &mut crate::engine::Output::nowhere()).await.unwrap();
    assert_eq!(exit, Exit::Signal(15));
}
