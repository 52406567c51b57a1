//! Traces of runs whose process dies again and again: whoever goes on finds everything that was begun.

use std::collections::{BTreeMap, HashMap};
use std::io;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};

use insta::assert_snapshot;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use tokio::runtime::Handle as Tokio;
use tokio::task::JoinHandle;
use tokio::time::sleep;

use crate::engine::fake::{Fake, Scene};
use crate::engine::{Engine, Selector};
use crate::model::command::Command;
use crate::model::event::{Event, Fact, Journal};
use crate::model::history::History;
use crate::model::name::{EngineName, RunId};
use crate::model::options::{Budget, Options, Parallel};
use crate::model::outcome::{Exit, Outcome};
use crate::model::retry::Retries;
use crate::model::summary::Summary;
use crate::model::trial::{Condition, Dependency, Healthcheck, Timeout, Trial};
use crate::plan::{self, Plan};
use crate::run::connections::Connections;
use crate::run::context::RunContext;
use crate::run::dispatcher::life::{Beginning, Resumption};
use crate::run::purpose::Purpose;
use crate::run::session::live::Live;
use crate::run::session::start_on;
use crate::run::traces::{after, anew, follow, planned, seconds, trial};

/// How many small experiments, each from its own seed.
const EXPERIMENTS: u64 = 300;

/// A journal in memory, which outlives those who write to it.
#[derive(Debug, Clone, Default)]
struct Memory(Arc<Mutex<Vec<Event>>>);

impl Memory {
    fn events(&self) -> Vec<Event> {
        self.0.lock().unwrap().clone()
    }
}

impl Journal for Memory {
    fn keep(&mut self, events: &[Event]) -> io::Result<()> {
        self.0.lock().unwrap().extend_from_slice(events);
        Ok(())
    }
}

/// What a process that dies leaves: the engine, and what was kept.
pub(super) struct World {
    engine: Arc<Fake>,
    journal: Memory,
    first: Plan,
    /// Where logs and outputs go, if anywhere.
    folder: Option<PathBuf>,
}

impl World {
    pub(super) fn new(engine: Fake, trials: Vec<Trial>, options: Options) -> Self {
        let first = planned(&engine, trials, options);
        Self { engine: Arc::new(engine), journal: Memory::default(), first, folder: None }
    }

    /// Begins the run, or goes on with it.
    async fn live(&self) -> (Live, JoinHandle<()>) {
        self.live_for(Purpose::GoOn).await
    }

    /// Begins the run, or takes it up for that purpose.
    async fn live_for(&self, purpose: Purpose) -> (Live, JoinHandle<()>) {
        let capabilities = [(EngineName::Fake, self.engine.capabilities().clone())].into();
        let past = self.history();
        let past = past.has_begun().then_some(past);
        let plan = match &past {
            None => self.first.clone(),
            Some(past) => {
                let experiment = past.experiment("/exp.jsonnet".into(), "id".to_owned());
                plan::build(experiment, Options::default(), &capabilities).unwrap()
            }
        };
        let beginning = match past {
            None => anew(),
            Some(past) => Beginning::Again(Box::new(Resumption {
                past,
                found: self.engine.find(&Selector::default()).await.unwrap(),
                purpose,
            })),
        };
        let engines = Connections::with(self.engine.clone());
        let context = RunContext::new(&plan.experiment, RunId::from("run"), 1, self.folder.clone(), engines);
        start_on(&(&Tokio::current()).into(), plan, capabilities, context, Box::new(self.journal.clone()), beginning)
    }

    /// Lives until that many events came, and then for so long; true when the run came to its end before.
    pub(super) async fn live_and_die(&self, events: usize, then: f64) -> bool {
        let (mut live, dispatched) = self.live().await;
        for _ in 0..events {
            if live.recv_to_end().await.is_none() {
                return true;
            }
        }
        sleep(seconds(then)).await;
        dispatched.abort();
        drop(dispatched.await);
        false
    }

    /// Lives to the end of the run.
    pub(super) async fn live_on(&self) -> String {
        let (live, _dispatched) = self.live().await;
        follow(live, |_, _| {}).await.0
    }

    pub(super) fn history(&self) -> History {
        let mut past = History::default();
        self.journal.events().iter().for_each(|event| past.add(event));
        past
    }

    pub(super) fn summary(&self) -> Summary {
        let mut summary = Summary::default();
        self.journal.events().iter().for_each(|event| summary.add(event));
        summary
    }

    async fn left(&self) -> usize {
        self.engine.find(&Selector::default()).await.unwrap().len()
    }

    /// Each trial has one end that counts, and no attempt was launched twice.
    pub(super) fn check(&self, seed: u64) {
        let mut ends: HashMap<String, i64> = HashMap::new();
        for event in self.journal.events() {
            match event.fact {
                Fact::TrialEnded { trial, .. } => *ends.entry(trial.to_string()).or_default() += 1,
                Fact::TrialReopened { trial } => *ends.entry(trial.to_string()).or_default() -= 1,
                _ => {}
            }
        }
        assert_eq!(ends.len(), self.first.trials.len(), "seed {seed}");
        assert!(ends.values().all(|count| *count == 1), "seed {seed}: {ends:?}");
        for (attempt, launches) in self.engine.launched() {
            assert_eq!(launches, 1, "seed {seed}: {attempt:?} was launched again");
        }
    }
}

/// How each trial ended, and after how many attempts.
fn ends(summary: &Summary) -> BTreeMap<String, String> {
    let ends = summary.results.iter().map(|result| {
        // Which of two broken prerequisites a trial was skipped for depends on when it was looked at.
        let outcome = result.outcome().map_or("open", Outcome::status);
        // Whether a service was needed yet depends on it as well.
        let attempts = if result.service { String::new() } else { format!(" after {}", result.attempts) };
        (result.trial.name.to_string(), format!("{outcome}{attempts}"))
    });
    ends.collect()
}

/// Trials with services, healthchecks, retries and dependencies, whose ends do not depend on when they run.
fn experiment(random: &mut Xoshiro256PlusPlus) -> (Fake, Vec<Trial>) {
    let mut fake = Fake::new(4.0).starts(seconds(random.random_range(0.0..0.5)), 3);
    let mut trials: Vec<Trial> = Vec::new();
    for place in 0..random.random_range(2..=20) {
        let (name, service) = (format!("t{place}"), random.random_bool(0.2));
        let mut next = Trial { service: Some(service), ..trial(&name, "true") };
        let mut run_for = || seconds(if service { 1e6 } else { random.random_range(0.0..20.0) });
        let mut scenes = vec![
            Scene { run_for: run_for(), healthy_after: Some(seconds(1.0)), ..Scene::default() },
            Scene { run_for: run_for(), exit: Exit::Code(3), ..Scene::default() },
            Scene { run_for: run_for(), exit: Exit::Oom, ..Scene::default() },
        ];
        if !service {
            let first = random.random_range(0..3);
            scenes.rotate_left(first);
            next.memory = random.random_bool(0.5).then_some(1 << 30);
            next.retries = random.random_bool(0.7).then(|| {
                Arc::new(Retries {
                    delay: seconds(random.random_range(0.0..5.0)),
                    memory_factor: next.memory.map(|_| 2.0),
                    ..Retries::count(random.random_range(0..3))
                })
            });
        } else {
            scenes.truncate(1);
        }
        if random.random_bool(0.3) {
            let (interval, test) = (Some(seconds(1.0)), vec!["CMD".to_owned(), "true".to_owned()]);
            next.healthcheck =
                Some(Healthcheck { test, interval, timeout: None, retries: Some(9), start_period: None }.into());
        }
        for on in trials.iter().filter(|_| random.random_bool(0.2)) {
            let condition = match (on.service, &on.healthcheck) {
                (Some(true), Some(_)) => Condition::Healthy,
                (Some(true), None) => Condition::Started,
                _ => Condition::Completed,
            };
            next.depends.push(Dependency { trial: on.name.clone(), condition: Some(condition) });
        }
        fake = fake.scene(&name, scenes);
        trials.push(next);
    }
    (fake, trials)
}

#[tokio::test(start_paused = true)]
async fn a_run_that_dies_anywhere_ends_as_if_it_had_not() {
    let mut deaths = 0;
    for seed in 0..EXPERIMENTS {
        let options = || Options {
            budget: Budget { parallel: Some(Parallel::Count(3)), ..Budget::default() },
            ..Options::default()
        };
        let of_seed = || experiment(&mut Xoshiro256PlusPlus::seed_from_u64(seed));
        let (engine, trials) = of_seed();
        let whole = World::new(engine, trials, options());
        whole.live_on().await;
        let (engine, trials) = of_seed();
        let broken = World::new(engine, trials, options());
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed + 1_000_000);
        while !broken.live_and_die(random.random_range(0..25), random.random_range(0.0..3.0)).await {
            deaths += 1;
        }
        assert_eq!(ends(&broken.summary()), ends(&whole.summary()), "seed {seed}");
        assert_eq!(broken.left().await, whole.left().await, "seed {seed}");
        broken.check(seed);
    }
    assert!(deaths > 1_000, "only {deaths} deaths");
}

#[tokio::test(start_paused = true)]
async fn ten_thousand_trials_survive_hundreds_of_deaths() {
    let count = 10_000;
    let trials = (0..count).map(|place| {
        let cmd = format!("sleep {}", 1 + place % 7);
        Trial { retries: Some(Retries::count(2).into()), ..trial(&format!("t{place}"), &cmd) }
    });
    let mut engine = Fake::new(4.0);
    for place in (0..count).step_by(10) {
        let (fails, works) = (Scene { exit: Exit::Code(1), ..Scene::default() }, Scene::default());
        engine = engine.scene(&format!("t{place}"), [fails, works]);
    }
    let options =
        Options { budget: Budget { parallel: Some(Parallel::Count(100)), ..Budget::default() }, ..Options::default() };
    let world = World::new(engine, trials.collect(), options);
    let (mut deaths, mut random) = (0, Xoshiro256PlusPlus::seed_from_u64(7));
    while !world.live_and_die(random.random_range(0..450), random.random_range(0.0..1.0)).await {
        deaths += 1;
    }
    world.check(7);
    let counts = world.summary().counts();
    assert_eq!((counts.succeeded, counts.flaky), (10_000, 1_000));
    assert_eq!(world.left().await, 0);
    assert!(deaths >= 200, "only {deaths} deaths");
}

#[tokio::test(start_paused = true)]
async fn what_ctrl_c_ended_runs_when_the_run_goes_on() {
    let trials = vec![
        trial("done", "sleep 1"),
        trial("long", "sleep 30"),
        after(trial("next", "sleep 1"), "long", Some(Condition::Completed)),
    ];
    let world = World::new(Fake::default(), trials, Options::default());
    let (live, _dispatched) = world.live().await;
    let (lines, _) = follow(live, |event, commands| {
        if matches!(&event.fact, Fact::TrialEnded { trial, .. } if trial.as_str() == "done") {
            commands.send(Command::Cancel { by: "SIGINT".to_owned() });
        }
    })
    .await;
    assert_snapshot!(lines, @r#"
    0.00  done started
    0.00  long started
    1.00  done succeeded
    1.00  taken: stop (by SIGINT)
    1.00  next skipped because the run was stopped by SIGINT
    1.00  long killed
    1.00  end: Cancelled("SIGINT")
    "#);
    assert_snapshot!(world.live_on().await, @"
     0.00  goes on with 2
     0.00  next waits again
     0.00  long waits again
     0.00  long started, attempt 2
    30.00  long succeeded
    30.00  next started
    31.00  next succeeded
    31.00  end
    ");
    world.check(0);
}

#[tokio::test(start_paused = true)]
async fn what_was_being_stopped_is_judged_by_why() {
    let stubborn = |name: &str, seconds: u32| trial(name, &format!("stubborn; sleep {seconds}"));
    let late = Trial { timeout: Some(Timeout::After(seconds(2.0))), ..stubborn("late", 100) };
    let world = World::new(Fake::default(), vec![late, stubborn("other", 60)], Options::default());
    let (mut live, dispatched) = world.live().await;
    while let Some(event) = live.recv().await {
        match event.fact {
            Fact::Stopping { .. } => live.commands().send(Command::Cancel { by: "SIGTERM".to_owned() }),
            Fact::CommandTaken { .. } => break,
            _ => {}
        }
    }
    dispatched.abort();
    drop(dispatched.await);
    sleep(seconds(5.0)).await;
    assert_snapshot!(world.live_on().await, @"
     0.00  goes on with 2
     0.00  late found again, attempt 1
     0.00  other found again, attempt 1
     5.00  late timed out
     5.00  other started, attempt 2
    65.00  other succeeded
    65.00  end
    ");
    world.check(0);
}

#[tokio::test(start_paused = true)]
async fn a_timeout_counts_from_the_start_and_not_from_the_new_life() {
    let slow = Trial { timeout: Some(Timeout::After(seconds(100.0))), ..trial("slow", "sleep 300") };
    let world = World::new(Fake::default(), vec![slow, trial("quick", "sleep 5")], Options::default());
    assert!(!world.live_and_die(6, 1.0).await);
    sleep(seconds(60.0)).await;
    assert_snapshot!(world.live_on().await, @"
     0.00  goes on with 1
     0.00  slow found again, attempt 1
     9.00  slow slow after 75s
    34.00  slow stopping: it ran longer than its timeout (100s)
    34.00  slow timed out
    34.00  end
    ");
    assert_eq!(world.summary().results[0].elapsed.as_secs(), 100);
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_is_gone_was_lost_and_runs_again() {
    let world = World::new(Fake::default(), vec![trial("a1", "sleep 10")], Options::default());
    assert!(!world.live_and_die(3, 1.0).await);
    for found in world.engine.find(&Selector::default()).await.unwrap() {
        world.engine.remove(&found.handle).await.unwrap();
    }
    assert_snapshot!(world.live_on().await, @"
     0.00  goes on with 1
     0.00  a1 will be retried in 0s
     0.00  a1 started, attempt 2
    10.00  a1 succeeded
    10.00  end
    ");
    world.check(0);
}

#[tokio::test(start_paused = true)]
async fn outputs_are_collected_anew_by_whoever_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let mut deaths = 0;
    // It dies after each of its events in turn, also between the collection and the end.
    for notices in 0..9 {
        let trials = vec![Trial { outputs: vec!["/out".to_owned()], ..trial("a1", "write /out/a text; sleep 10") }];
        let mut world = World::new(Fake::default(), trials, Options::default());
        let run = folder.path().join(notices.to_string());
        world.folder = Some(run.clone());
        std::fs::create_dir_all(run.join("a1/outputs/out")).unwrap();
        std::fs::write(run.join("a1/outputs/out/half"), "left by whoever died").unwrap();
        if !world.live_and_die(notices, 0.0).await {
            deaths += 1;
            world.live_on().await;
        }
        let summary = world.summary();
        let files: Vec<_> = summary.results[0].outputs.iter().map(|file| file.path.as_str()).collect();
        assert_eq!((files, summary.ok()), (vec!["out/a"], true), "after {notices}");
        assert_eq!(std::fs::read_to_string(run.join("a1/outputs/out/a")).unwrap(), "text");
        assert!(!run.join("a1/outputs/out/half").exists(), "after {notices}");
        world.check(0);
    }
    assert!(deaths > 4, "only {deaths} deaths");
}
