//! Random experiments, with random commands while they run: whatever happens, what every run promises.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};

use crate::engine::fake::{Fake, Scene};
use crate::engine::{Engine, Selector};
use crate::model::command::Command;
use crate::model::event::{Cause, Event, Fact};
use crate::model::name::{EngineName, Name};
use crate::model::options::{Budget, Halt, Options, Parallel, TrialDefaults};
use crate::model::outcome::{Exit, Outcome};
use crate::model::retry::Retries;
use crate::model::trial::{Condition, Dependency, Healthcheck, Timeout, Trial};
use crate::run::traces::{seconds, start, trial};

/// How many experiments, each from its own seed.
const EXPERIMENTS: u64 = 1_000;

/// How much there is of the one named limit.
const LICENSES: u32 = 2;

/// What is known of a trial from its events.
#[derive(Default, Clone, Debug)]
struct Seen {
    started: bool,
    healthy: bool,
    stopping: bool,
    /// Whether it holds what it asks for.
    holds: bool,
    ended: Option<Outcome>,
    ends: usize,
    reopened: usize,
}

fn experiment(random: &mut Xoshiro256PlusPlus) -> (Fake, Vec<Trial>) {
    let mut fake = Fake::new(random.random_range(1..=4).into());
    let mut trials: Vec<Trial> = Vec::new();
    for place in 0..random.random_range(1..=25) {
        let name = format!("t{place}");
        let service = random.random_bool(0.25);
        let mut next = Trial { service: Some(service), ..trial(&name, "true") };
        next.priority = random.random_range(0..3);
        next.cpus = random.random_bool(0.2).then_some(1.0);
        next.memory = random.random_bool(0.3).then(|| random.random_range(1..=64) << 30);
        if random.random_bool(0.2) {
            next.limits = [("license".to_owned(), random.random_range(1..=LICENSES))].into();
        }
        next.retries = random.random_bool(0.4).then(|| {
            Arc::new(Retries {
                delay: seconds(random.random_range(0.0..20.0)),
                memory_factor: next.memory.filter(|_| random.random_bool(0.5)).map(|_| 2.0),
                ..Retries::count(random.random_range(0..3))
            })
        });
        next.timeout = random.random_bool(0.1).then(|| match random.random_bool(0.5) {
            true => Timeout::After(seconds(random.random_range(1.0..30.0))),
            false => Timeout::OfMedian(random.random_range(50.0..300.0)),
        });
        if random.random_bool(0.3) {
            let (interval, test) = (Some(seconds(1.0)), vec!["CMD".to_owned(), "true".to_owned()]);
            next.healthcheck =
                Some(Healthcheck { test, interval, timeout: None, retries: Some(3), start_period: None }.into());
        }
        next.depends = dependencies(random, &trials);
        fake = fake.scene(&name, scenes(random, service));
        trials.push(next);
    }
    (fake, trials)
}

fn dependencies(random: &mut Xoshiro256PlusPlus, earlier: &[Trial]) -> Vec<Dependency> {
    let mut depends = Vec::new();
    for on in earlier {
        if !random.random_bool(2.0 / (earlier.len() as f64 + 1.0)) {
            continue;
        }
        let condition = match random.random_range(0..4) {
            0 if on.service == Some(false) => Condition::Completed,
            3 if on.service == Some(false) => Condition::Ended,
            1 if on.healthcheck.is_some() => Condition::Healthy,
            _ => Condition::Started,
        };
        depends.push(Dependency { trial: on.name.clone(), condition: Some(condition) });
    }
    depends
}

fn scenes(random: &mut Xoshiro256PlusPlus, service: bool) -> Vec<Scene> {
    let count = random.random_range(1..=3);
    let mut scene = || Scene {
        run_for: seconds(if service && random.random_bool(0.7) { 1e6 } else { random.random_range(0.0..30.0) }),
        exit: [Exit::Code(0), Exit::Code(0), Exit::Code(1), Exit::Oom, Exit::Signal(9)][random.random_range(0..5)],
        start_error: random.random_bool(0.05).then(|| "no".to_owned()),
        healthy_after: random.random_bool(0.8).then(|| seconds(random.random_range(0.0..5.0))),
        stubborn: random.random_bool(0.2),
        lost: random.random_bool(0.05),
        ..Scene::default()
    };
    (0..count).map(|_| scene()).collect()
}

fn command(random: &mut Xoshiro256PlusPlus, trials: &[Trial], serial: usize) -> Command {
    let any = &trials[random.random_range(0..trials.len())];
    match random.random_range(0..18) {
        0 => Command::Cancel { by: "SIGINT".to_owned() },
        1 => Command::Drain { by: "a test".to_owned() },
        2 | 3 => Command::Kill { trial: any.name.clone(), at_once: false },
        4 => Command::Set {
            change: Box::new(Budget {
                parallel: Some(Parallel::Count(random.random_range(1..6))),
                ..Budget::default()
            }),
        },
        5..8 => {
            let mut new = trial(&format!("new{serial}"), "sleep 3");
            new.depends.push(Dependency { trial: any.name.clone(), condition: None });
            Command::Submit { trial: Box::new(Trial { engine: Some(EngineName::Fake), ..new }) }
        }
        8 => Command::Pause { by: "a test".to_owned() },
        9 => Command::Unpause { by: "a test".to_owned() },
        10..13 => Command::PauseTrial { trial: any.name.clone(), because: "a test".to_owned() },
        13 => Command::UnpauseTrial { trial: any.name.clone() },
        _ => Command::Retry { trial: Box::new(Trial { engine: Some(EngineName::Fake), ..any.clone() }) },
    }
}

/// Fails where those that run have more of something than there is, after that trial was started.
fn check_budget(seen: &HashMap<Name, Seen>, trials: &HashMap<Name, Trial>, started: &Name, seed: u64) {
    let holding = || seen.iter().filter(|(_, seen)| seen.holds).map(|(name, _)| &trials[name]);
    let licenses: u32 = holding().filter_map(|trial| trial.limits.get("license")).sum();
    assert!(licenses <= LICENSES, "seed {seed}: {started} starts and {licenses} licenses are held");
    // Services are never held back for memory, and beside services alone one trial always fits.
    let work: Vec<&Trial> = holding().filter(|trial| trial.service != Some(true)).collect();
    let memory: u64 = holding().filter_map(|trial| trial.memory).sum();
    let starts_service = trials[started].service == Some(true);
    assert!(
        work.len() < 2 || starts_service || trials[started].memory.is_none() || memory <= 64 << 30,
        "seed {seed}: {started} starts and {} GiB are held",
        memory >> 30
    );
}

/// Takes an event into account, and fails where a trial starts whose prerequisites do not stand as it asks.
fn check(seen: &mut HashMap<Name, Seen>, trials: &mut HashMap<Name, Trial>, event: &Event, seed: u64) {
    match &event.fact {
        Fact::TrialSubmitted { trial } => {
            trials.insert(trial.name.clone(), (*trial.written).clone());
        }
        Fact::AttemptStarting { trial, .. } => {
            for dependency in &trials[trial].depends {
                let on = seen.get(&dependency.trial).cloned().unwrap_or_default();
                let probed = trials[&dependency.trial].healthcheck.is_some();
                let default = if probed { Condition::Healthy } else { Condition::Started };
                let ended_well = on.ended == Some(Outcome::Succeeded);
                let lives = on.ended.is_none() && !on.stopping;
                let met = match dependency.condition.unwrap_or(default) {
                    Condition::Started => ended_well || (lives && on.started),
                    Condition::Healthy => on.healthy && (ended_well || lives),
                    Condition::Completed => ended_well,
                    Condition::Ended => on.ended.is_some(),
                };
                assert!(met, "seed {seed}: {trial} starts though it waits for {dependency:?}, which stands so: {on:?}");
            }
            let this = seen.entry(trial.clone()).or_default();
            *this = Seen { holds: true, ends: this.ends, reopened: this.reopened, ..Seen::default() };
            check_budget(seen, trials, trial, seed);
        }
        Fact::AttemptStarted { trial, .. } => seen.entry(trial.clone()).or_default().started = true,
        Fact::Healthy { trial } => seen.entry(trial.clone()).or_default().healthy = true,
        Fact::Stopping { trial, cause: Cause::Unneeded, .. } => {
            seen.entry(trial.clone()).or_default().stopping = true;
        }
        Fact::AttemptEnded { trial, .. } => {
            let this = seen.entry(trial.clone()).or_default();
            (this.started, this.holds) = (false, false);
        }
        Fact::TrialEnded { trial, outcome, .. } => {
            let this = seen.entry(trial.clone()).or_default();
            assert_eq!(this.ends, this.reopened, "seed {seed}: {trial} ended twice");
            (this.ended, this.ends) = (Some(outcome.clone()), this.ends + 1);
        }
        Fact::TrialReopened { trial } => {
            let this = seen.entry(trial.clone()).or_default();
            (this.ended, this.healthy, this.reopened) = (None, false, this.reopened + 1);
        }
        _ => {}
    }
}

#[tokio::test(start_paused = true)]
async fn whatever_happens_a_run_ends_and_keeps_its_promises() {
    for seed in 0..EXPERIMENTS {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let (fake, trials) = experiment(&mut random);
        let halt = random.random_bool(0.1).then(|| Halt::parse("soon,fail=50%").unwrap());
        let limits = [("license".to_owned(), LICENSES)].into();
        let options = Options {
            defaults: TrialDefaults { stop_grace: Some(seconds(5.0)), ..TrialDefaults::default() },
            budget: Budget { limits, ..Budget::default() },
            halt,
            ..Options::default()
        };
        let fake = Arc::new(fake);
        let mut live = start(&fake, trials.clone(), options);
        let commands = live.commands().clone();
        let interrupts = random.random_range(0..8);
        let known = trials.clone();
        let sender = tokio::spawn(async move {
            for serial in 0..interrupts {
                tokio::time::sleep(seconds(random.random_range(0.0..15.0))).await;
                commands.send(command(&mut random, &known, serial));
            }
            // A run that stays paused does not end.
            commands.send(Command::Unpause { by: "a test".to_owned() });
        });
        let mut by_name: HashMap<Name, Trial> =
            trials.iter().map(|trial| (trial.name.clone(), trial.clone())).collect();
        let (mut seen, mut over) = (HashMap::new(), false);
        let follow = async {
            while let Some(event) = live.recv_to_end().await {
                check(&mut seen, &mut by_name, &event, seed);
                over = matches!(event.fact, Fact::RunEnded { .. });
            }
        };
        // Services that nobody else ends run for a million seconds.
        let ended = tokio::time::timeout(Duration::from_secs(1_000_000_000), follow).await;
        assert!(ended.is_ok() && over, "seed {seed}: the run does not end");
        sender.abort();
        for name in by_name.keys() {
            let ended = seen.get(name).and_then(|seen: &Seen| seen.ended.clone());
            assert!(ended.is_some(), "seed {seed}: {name} did not end");
        }
        let left = fake.find(&Selector::default()).await.unwrap();
        assert!(
            left.iter().all(|found| found.standing != crate::engine::Standing::Running),
            "seed {seed}: something is left running"
        );
    }
}
