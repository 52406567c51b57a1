//! Traces of budgets: CPUs, memory, cores, GPUs, named limits, and for whom room is kept.

use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use insta::assert_snapshot;

use crate::engine::Engine;
use crate::engine::fake::Fake;
use crate::model::capability::{Capabilities, Gpu};
use crate::model::command::Command;
use crate::model::event::Fact;
use crate::model::experiment::Experiment;
use crate::model::name::{EngineName, Name, RunId};
use crate::model::options::{Budget, Load, Options, Parallel, Reserve, TrialDefaults};
use crate::model::trial::{Gpus, Port, Protocol, Trial};
use crate::plan;
use crate::plan::admission::Scope;
use crate::run::connections::Connections;
use crate::run::context::RunContext;
use crate::run::load::Reading;
use crate::run::permits::Permits;
use crate::run::schedule::Schedule;
use crate::run::session::start_on;
use crate::run::traces::{after, anew, follow, trial, unkept};

pub(super) const GIB: u64 = 1 << 30;

pub(super) fn host(cpus: f64, gpus: usize) -> (Arc<Fake>, Capabilities) {
    let fake = Arc::new(Fake::new(cpus));
    let gpu =
        |place: usize| Gpu { id: place.to_string(), uuid: None, name: "A100".to_owned(), memory: 80 * GIB, busy: None };
    let mut capabilities = fake.capabilities().clone();
    capabilities.containers = false;
    (capabilities.memory, capabilities.gpus) = (8 * GIB, (0..gpus).map(gpu).collect());
    (fake, capabilities)
}

pub(super) fn with(name: &str, cmd: &str, edit: impl FnOnce(&mut Trial)) -> Trial {
    let mut trial = trial(name, cmd);
    edit(&mut trial);
    trial
}

pub(super) fn planned(host: &Capabilities, trials: Vec<Trial>, options: Options) -> plan::Plan {
    let trials = trials.into_iter().map(Arc::new).collect();
    let experiment =
        Experiment { name: "exp".to_owned(), id: "id".to_owned(), spec: "/exp.jsonnet".into(), options, trials };
    let above = Options {
        defaults: TrialDefaults { engine: Some(EngineName::Fake), ..TrialDefaults::default() },
        ..Options::default()
    };
    plan::build(experiment, above, &[(EngineName::Fake, host.clone())].into()).unwrap()
}

/// A run on that host: its trace, and a line for each attempt that got cores or GPUs.
async fn trace(
    (fake, host): (Arc<Fake>, Capabilities),
    trials: Vec<Trial>,
    options: Options,
    set: impl Fn(&Name) -> Option<Budget>,
) -> String {
    let plan = planned(&host, trials, options);
    let engines = [(EngineName::Fake, host)].into();
    let context = RunContext::new(&plan.experiment, RunId::from("run"), 1, None, Connections::with(fake));
    let live = start_on(&(&tokio::runtime::Handle::current()).into(), plan, engines, context, unkept(), anew()).0;
    let mut given = String::new();
    let (lines, _) = follow(live, |event, commands| match &event.fact {
        Fact::AttemptStarting { trial, cores, gpus, .. } if !cores.is_empty() || !gpus.is_empty() => {
            given.push_str(&format!("{trial} has cores {cores:?}, GPUs {gpus:?}\n"));
        }
        Fact::AttemptStarted { trial, .. } => {
            if let Some(change) = set(trial) {
                commands.send(Command::Set { change: Box::new(change) });
            }
        }
        _ => {}
    })
    .await;
    format!("{lines}{given}")
}

async fn quietly(host: (Arc<Fake>, Capabilities), trials: Vec<Trial>, options: Options) -> String {
    trace(host, trials, options, |_| None).await
}

#[tokio::test(start_paused = true)]
async fn memory_that_does_not_fit_never_runs_together() {
    let needs = |name: &str, gib: u64| with(name, "sleep 1", |trial| trial.memory = Some(gib * GIB));
    let trials = vec![needs("t5", 5), needs("t4", 4), needs("t3", 3), needs("t8", 8)];
    assert_snapshot!(quietly(host(8.0, 0), trials, Options::default()).await, @"
    0.00  warned: the engine fake reserves `memory` and does not enforce it (4 trials, such as `t5`)
    0.00  t5 started
    1.00  t5 succeeded
    1.00  t4 started
    1.00  t3 started
    2.00  t4 succeeded
    2.00  t3 succeeded
    2.00  t8 started
    3.00  t8 succeeded
    3.00  end
    ");
}

#[tokio::test(start_paused = true)]
async fn a_large_trial_starts_though_small_ones_keep_coming_and_they_use_what_it_leaves() {
    let small = |place: usize| with(&format!("small-{place}"), "sleep 2", |trial| trial.cpus = Some(1.0));
    let mut trials: Vec<Trial> = (1..=2).map(small).collect();
    trials.push(with("short", "sleep 1", |trial| trial.cpus = Some(1.0)));
    trials.push(with("large", "sleep 1", |trial| trial.cpus = Some(2.5)));
    trials.extend((3..=4).map(small));
    trials.push(with("half", "sleep 1", |trial| trial.cpus = Some(0.5)));
    assert_snapshot!(quietly(host(3.0, 0), trials, Options::default()).await, @"
    0.00  warned: the engine fake reserves `cpus` and does not enforce it (7 trials, such as `small-1`)
    0.00  small-1 started
    0.00  small-2 started
    0.00  short started
    1.00  short succeeded
    2.00  small-1 succeeded
    2.00  small-2 succeeded
    2.00  large started
    3.00  large succeeded
    3.00  small-3 started
    3.00  small-4 started
    3.00  half started
    4.00  half succeeded
    5.00  small-3 succeeded
    5.00  small-4 succeeded
    5.00  end
    ");
}

#[tokio::test(start_paused = true)]
async fn each_gpu_has_one_trial_and_trials_without_go_on_meanwhile() {
    let gpu = |name: &str, gpus: Gpus| with(name, "sleep 2", |trial| trial.gpus = Some(gpus.into()));
    let trials = vec![
        gpu("one", Gpus::Count(1)),
        gpu("two", Gpus::Count(2)),
        gpu("last", Gpus::Ids(vec!["1".to_owned()])),
        gpu("all", Gpus::Word("all".to_owned())),
        trial("without", "sleep 1"),
    ];
    assert_snapshot!(quietly(host(8.0, 2), trials, Options::default()).await, @r#"
      0.00  one started
      0.00  without started
      1.00  without succeeded
      2.00  one succeeded
      2.00  two started
      4.00  two succeeded
      4.00  last started
      6.00  last succeeded
      6.00  all started
      8.00  all succeeded
      8.00  end
    one has cores [], GPUs ["0"]
    two has cores [], GPUs ["0", "1"]
    last has cores [], GPUs ["1"]
    all has cores [], GPUs ["0", "1"]
    "#);
}

#[tokio::test(start_paused = true)]
async fn pinned_trials_have_cores_of_their_own() {
    let pinned = |name: &str, cpus: f64| with(name, "sleep 1", |trial| (trial.cpus, trial.pin) = (Some(cpus), true));
    let trials = vec![pinned("one", 1.0), pinned("two", 2.0), pinned("three", 3.0), trial("free", "sleep 1")];
    assert_snapshot!(quietly(host(4.0, 0), trials, Options::default()).await, @"
      0.00  warned: the engine fake reserves `cpus` and does not enforce it (3 trials, such as `one`)
      0.00  one started
      0.00  two started
      1.00  one succeeded
      1.00  two succeeded
      1.00  three started
      1.00  free started
      2.00  three succeeded
      2.00  free succeeded
      2.00  end
    one has cores [3], GPUs []
    two has cores [1, 2], GPUs []
    three has cores [1, 2, 3], GPUs []
    ");
}

#[tokio::test(start_paused = true)]
async fn named_limits_are_shared_and_can_be_raised_while_running() {
    let licensed = |name: &str| with(name, "sleep 2", |trial| trial.limits = [("license".to_owned(), 1)].into());
    let trials = vec![licensed("a1"), licensed("a2"), licensed("a3"), licensed("a4"), trial("free", "sleep 1")];
    let options = Options {
        budget: Budget { limits: [("license".to_owned(), 1)].into(), ..Budget::default() },
        ..Options::default()
    };
    let raise = |trial: &Name| {
        let change = Budget { limits: [("license".to_owned(), 3)].into(), ..Budget::default() };
        (trial.as_str() == "a2").then_some(change)
    };
    assert_snapshot!(trace(host(8.0, 0), trials, options, raise).await, @"
    0.00  a1 started
    0.00  free started
    1.00  free succeeded
    2.00  a1 succeeded
    2.00  a2 started
    2.00  taken: set limit license=3
    2.00  a3 started
    2.00  a4 started
    4.00  a2 succeeded
    4.00  a3 succeeded
    4.00  a4 succeeded
    4.00  end
    ");
}

#[tokio::test(start_paused = true)]
async fn what_is_reserved_for_people_is_left_and_a_budget_can_be_changed_while_running() {
    let trials = (1..=6).map(|place| trial(&format!("t{place}"), "sleep 2")).collect();
    let options = Options { reserve: Some(Reserve { cpus: 2.0, memory: 0 }), ..Options::default() };
    let narrow = |trial: &Name| {
        let change = Budget { cpus: Some(1.0), ..Budget::default() };
        (trial.as_str() == "t3").then_some(change)
    };
    assert_snapshot!(trace(host(4.0, 0), trials, options, narrow).await, @"
    0.00  t1 started
    0.00  t2 started
    2.00  t1 succeeded
    2.00  t2 succeeded
    2.00  t3 started
    2.00  t4 started
    2.00  taken: set cpus 1
    4.00  t3 succeeded
    4.00  t4 succeeded
    4.00  t5 started
    6.00  t5 succeeded
    6.00  t6 started
    8.00  t6 succeeded
    8.00  end
    ");
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_waits_for_what_a_service_keeps_is_skipped_and_holds_up_nobody() {
    let gpu = |trial: &mut Trial| trial.gpus = Some(Gpus::Count(1).into());
    let server = Trial { service: Some(true), ..with("server", "", gpu) };
    let trials = vec![server, after(with("client", "sleep 1", gpu), "server", None), trial("other", "sleep 1")];
    assert_snapshot!(quietly(host(4.0, 1), trials, Options::default()).await, @r#"
      0.00  server started
      0.00  other started
      1.00  other succeeded
      1.00  client skipped because it needs 1 GPU: 0 of 1 are free, and only services run, which keep theirs
      1.00  server stopping: nothing needs it any more
      1.00  server stopped, nothing needs it any more
      1.00  end
    server has cores [], GPUs ["0"]
    "#);
}

/// A machine with four CPUs where strangers keep five processes running, until ten seconds of the run have passed.
fn busy_for_ten_seconds() -> Reading {
    static READINGS: AtomicU32 = AtomicU32::new(0);
    let strangers = if READINGS.fetch_add(1, Ordering::Relaxed) < 10 { 5.0 } else { 0.0 };
    Reading { processes: strangers, cpus: 4.0, free: u64::MAX, pressure: None }
}

#[tokio::test(start_paused = true)]
async fn nothing_new_is_started_while_the_machine_has_too_much_to_do() {
    let (fake, host) = host(4.0, 0);
    let trials = (1..=3).map(|place| trial(&format!("t{place}"), "sleep 2")).collect();
    let plan = planned(
        &host,
        trials,
        Options { budget: Budget { load: Some(Load::Percent(50.0)), ..Budget::default() }, ..Options::default() },
    );
    let engines = [(EngineName::Fake, host)].into();
    let mut context = RunContext::new(&plan.experiment, RunId::from("run"), 1, None, Connections::with(fake));
    context.machine = busy_for_ten_seconds;
    let live = start_on(&(&tokio::runtime::Handle::current()).into(), plan, engines, context, unkept(), anew()).0;
    assert_snapshot!(follow(live, |_, _| {}).await.0, @"
     0.00  held back: 5 processes want to run, and the load may be 2
    10.00  released after 10s
    10.00  held back: 2 processes want to run, and the load may be 2
    10.00  t1 started
    10.00  t2 started
    11.00  released after 1s
    11.00  t3 started
    12.00  t1 succeeded
    12.00  t2 succeeded
    13.00  t3 succeeded
    13.00  end
    ");
}

/// The plan saw a stranger on it; the first look of the run finds it free.
#[tokio::test(start_paused = true)]
async fn a_gpu_is_given_once_the_stranger_has_left() {
    let (_, mut host) = host(4.0, 1);
    host.gpus[0].busy = Some("python (pid 7)".to_owned());
    let free = Gpu { busy: None, ..host.gpus[0].clone() };
    let fake = Arc::new(Fake::new(4.0).with_gpus(vec![free]));
    let trials =
        vec![with("gpu", "sleep 1", |trial| trial.gpus = Some(Gpus::Count(1).into())), trial("cpu", "sleep 1")];
    assert_snapshot!(quietly((fake, host), trials, Options::default()).await, @r#"
      0.00  cpu started
      0.00  gpu started
      1.00  cpu succeeded
      1.00  gpu succeeded
      1.00  end
    gpu has cores [], GPUs ["0"]
    "#);
}

#[test]
fn why_tells_what_each_trial_lacks() {
    let (_, host) = host(4.0, 1);
    let trials = vec![
        with("running", "x", |trial| (trial.cpus, trial.gpus) = (Some(2.0), Some(Gpus::Count(1).into()))),
        with("large", "x", |trial| trial.cpus = Some(4.0)),
        with("greedy", "x", |trial| {
            (trial.memory, trial.gpus) = (Some(8 * GIB), Some(Gpus::Word("all".to_owned()).into()));
            trial.limits = [("license".to_owned(), 2)].into();
        }),
        after(trial("later", "x"), "large", Some(crate::model::trial::Condition::Completed)),
        trial("database", ""),
        after(after(trial("last", "x"), "database", None), "large", Some(crate::model::trial::Condition::Completed)),
    ];
    let options = Options {
        budget: Budget {
            limits: [("license".to_owned(), 2)].into(),
            parallel: Some(Parallel::Count(2)),
            ..Budget::default()
        },
        ..Options::default()
    };
    let plan = planned(&host, trials, options);
    let scope = Scope { options: plan.experiment.options.clone(), engines: [(EngineName::Fake, host)].into() };
    let permits = Permits::new(&scope.engines, &scope.options, None);
    let mut schedule = Schedule::reusing(&plan, permits, scope, &std::collections::BTreeMap::new());
    assert_eq!(schedule.next_launch(), Some(0));
    assert_eq!(schedule.next_launch(), None);
    let told: Vec<String> = plan
        .trials
        .iter()
        .enumerate()
        .flat_map(|(place, _)| {
            let [first, rest @ ..] = &schedule.why(place)[..] else { panic!("no line") };
            let rest: Vec<_> = rest.iter().map(|line| format!("  {line}")).collect();
            [vec![first.clone()], rest].concat()
        })
        .collect();
    assert_snapshot!(told.join("\n"), @"
    `running` is being started, attempt 1
    `large` is ready and waits for room:
      4 CPUs: 2 of 4 are free
    `greedy` is ready and waits for room:
      all GPUs: 0 of 1 are free
      room is kept for `large`, which is before it
      1 ready trial is before it
    `later` waits for others:
      `large` to complete, which waits for room
    `database` is a service that no trial next in line needs yet
    `last` waits for others:
      `database` to start, which starts when a trial next in line needs it
      `large` to complete, which waits for room
    ");
}

#[tokio::test(start_paused = true)]
async fn a_port_of_the_host_is_given_to_one_trial_at_a_time() {
    let publishing = |name: &str, port: u16| {
        with(name, "sleep 2", |trial| {
            trial.ports = vec![Port { ip: None, host: Some(port), container: 80, protocol: Protocol::Tcp }];
        })
    };
    let trials =
        || vec![publishing("a1", 8080), publishing("a2", 8080), publishing("b1", 8081), with("c1", "sleep 2", |_| {})];
    let (fake, mut containers) = host(8.0, 0);
    containers.containers = true;
    assert_snapshot!(trace((fake, containers), trials(), Options::default(), |_| None).await, @"
        0.00  warned: `a1` and `a2` publish the host's port 8080: they run one after the other
        0.00  a1 started
        0.00  b1 started
        0.00  c1 started
        2.00  a1 succeeded
        2.00  b1 succeeded
        2.00  c1 succeeded
        2.00  a2 started
        4.00  a2 succeeded
        4.00  end
        ");
    assert_snapshot!(trace(host(8.0, 0), trials(), Options::default(), |_| None).await, @"
        0.00  warned: the engine fake ignores `ports` (3 trials, such as `a1`)
        0.00  a1 started
        0.00  a2 started
        0.00  b1 started
        0.00  c1 started
        2.00  a1 succeeded
        2.00  a2 succeeded
        2.00  b1 succeeded
        2.00  c1 succeeded
        2.00  end
        ");
}

#[tokio::test(start_paused = true)]
async fn a_trial_that_wants_the_port_of_a_service_that_it_needs_is_skipped() {
    let port = || vec![Port { ip: None, host: Some(8080), container: 80, protocol: Protocol::Tcp }];
    let (fake, mut containers) = host(8.0, 0);
    containers.containers = true;
    let service = with("srv", "", |trial| (trial.ports, trial.service) = (port(), Some(true)));
    let user = with("user", "sleep 2", |trial| trial.ports = port());
    assert_snapshot!(trace((fake, containers), vec![service, after(user, "srv", None)], Options::default(), |_| None).await, @"
        0.00  warned: `srv` and `user` publish the host's port 8080: they run one after the other
        0.00  srv started
        0.00  user skipped because it needs the host's port 8080, which another trial publishes, and only services run, which keep theirs
        0.00  srv stopping: nothing needs it any more
        0.00  srv stopped, nothing needs it any more
        0.00  end
        ");
}
