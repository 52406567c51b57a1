//! Traces of several runs that share a room, as those of a script do.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use insta::assert_snapshot;
use rand::rngs::Xoshiro256PlusPlus;
use rand::{RngExt, SeedableRng};
use tokio::runtime::Handle;
use tokio::time::{Instant, sleep_until, timeout};

use crate::engine::fake::{Fake, Scene};
use crate::model::capability::Capabilities;
use crate::model::command::Command;
use crate::model::event::{Event, Fact, Journal};
use crate::model::name::{EngineName, Name, RunId};
use crate::model::options::{Budget, Options, Parallel};
use crate::model::trial::{Gpus, Trial};
use crate::run::connections::Connections;
use crate::run::context::RunContext;
use crate::run::permits::SharedRoom;
use crate::run::session::live::Live;
use crate::run::session::start_on;
use crate::run::traces::room::{GIB, host, planned, with};
use crate::run::traces::{after, anew, seconds, trial};

/// How many random sets of runs are played.
const SEEDS: u64 = 200;

/// A machine, the room that its runs share, and what has happened so far.
struct Lab {
    fake: Arc<Fake>,
    host: Capabilities,
    room: SharedRoom,
    began: Instant,
    log: Arc<Mutex<Log>>,
    trials: Mutex<BTreeMap<String, Trial>>,
}

/// What happened in all runs, in that order.
type Log = Vec<Entry>;

/// A trial of some run starts, or an attempt of it has ended.
#[derive(Debug, Clone)]
struct Entry {
    at: f64,
    starts: bool,
    service: bool,
    trial: String,
    gpus: Vec<String>,
    cores: Vec<u32>,
    what: String,
}

#[derive(Debug)]
struct Recorder {
    began: Instant,
    log: Arc<Mutex<Log>>,
    services: BTreeSet<Name>,
}

impl Journal for Recorder {
    fn keep(&mut self, events: &[Event]) -> std::io::Result<()> {
        events.iter().for_each(|event| self.hear(&event.fact));
        Ok(())
    }
}

impl Recorder {
    fn hear(&mut self, fact: &Fact) {
        let entry = |trial: &Name, what: String| Entry {
            at: self.began.elapsed().as_secs_f64(),
            starts: false,
            service: self.services.contains(trial),
            trial: trial.to_string(),
            gpus: Vec::new(),
            cores: Vec::new(),
            what,
        };
        let entry = match fact {
            Fact::RunStarted { services, .. } => {
                self.services.extend(services.iter().cloned());
                return;
            }
            Fact::AttemptStarting { trial, gpus, cores, .. } => {
                let given =
                    |what, given: String| if given == "[]" { String::new() } else { format!(" {what} {given}") };
                let (of_gpus, of_cores) = (format!("{gpus:?}").replace('"', ""), format!("{cores:?}"));
                let told = format!("starts{}{}", given("gpus", of_gpus), given("cores", of_cores));
                let starts = entry(trial, told);
                Entry { starts: true, gpus: gpus.clone(), cores: cores.clone(), ..starts }
            }
            Fact::AttemptEnded { trial, outcome, .. } => entry(trial, outcome.to_string()),
            _ => return,
        };
        self.log.lock().unwrap().push(entry);
    }
}

impl Lab {
    fn new((fake, host): (Arc<Fake>, Capabilities), budget: Budget) -> Self {
        let room = SharedRoom::new(&Options { budget, ..Options::default() });
        Self { fake, host, room, began: Instant::now(), log: Arc::default(), trials: Mutex::default() }
    }

    fn start(&self, trials: Vec<Trial>, options: Options) -> Live {
        self.trials.lock().unwrap().extend(trials.iter().map(|trial| (trial.name.to_string(), trial.clone())));
        let plan = planned(&self.host, trials, options);
        let engines = [(EngineName::Fake, self.host.clone())].into();
        let connections = Connections::with(self.fake.clone());
        let mut context = RunContext::new(&plan.experiment, RunId::from("run"), 1, None, connections);
        context.room = Some(self.room.clone());
        let recorder = Recorder { began: self.began, log: self.log.clone(), services: BTreeSet::new() };
        start_on(&(&Handle::current()).into(), plan, engines, context, Box::new(recorder), anew()).0
    }

    /// Follows a run to its end.
    async fn follow(&self, mut live: Live) {
        let follow = async { while live.recv_to_end().await.is_some() {} };
        timeout(seconds(1e5), follow).await.expect("the run ends");
    }

    /// Starts each of these runs at its second, and follows all of them to their ends.
    async fn play(&self, runs: Vec<(f64, Vec<Trial>)>) -> String {
        let runs = runs.into_iter().map(|(at, trials)| (at, trials, Options::default()));
        self.play_with(runs.collect()).await
    }

    async fn play_with(&self, runs: Vec<(f64, Vec<Trial>, Options)>) -> String {
        let one = |(at, trials, options)| async move {
            sleep_until(self.began + seconds(at)).await;
            self.follow(self.start(trials, options)).await;
        };
        futures_util::future::join_all(runs.into_iter().map(one)).await;
        self.told()
    }

    fn told(&self) -> String {
        let line = |entry: &Entry| format!("{:>6.2}  {} {}\n", entry.at, entry.trial, entry.what);
        self.log.lock().unwrap().iter().map(line).collect()
    }

    /// What happened, with ends before the starts of the same moment, and without what took no time: a run hears of room
    /// before the one that gave it back has told why.
    fn sorted(&self) -> Vec<Entry> {
        let mut log = self.log.lock().unwrap().clone();
        let at_once = |one: &Entry| {
            let same = |other: &&Entry| (&other.trial, other.at) == (&one.trial, one.at) && other.starts != one.starts;
            log.iter().any(|other| same(&other))
        };
        let no_time: Vec<bool> = log.iter().map(at_once).collect();
        let mut no_time = no_time.into_iter();
        log.retain(|_| no_time.next() == Some(false));
        log.sort_by(|one, other| one.at.total_cmp(&other.at).then(one.starts.cmp(&other.starts)));
        log
    }

    /// The most trials that ran at once, services apart.
    fn most(&self) -> usize {
        let (mut running, mut most) = (0, 0);
        for entry in self.sorted().iter().filter(|entry| !entry.service) {
            running = if entry.starts { running + 1 } else { running - 1 };
            most = most.max(running);
        }
        most
    }

    /// Fails where a GPU or a core was given twice, or more of something was given than there is.
    fn check(&self, seed: u64) {
        let (mut holding, trials) = (BTreeMap::new(), self.trials.lock().unwrap());
        for entry in self.sorted() {
            let told = || format!("seed {seed}: {} {} at {}, in\n{}", entry.trial, entry.what, entry.at, self.told());
            if !entry.starts {
                holding.remove(&entry.trial);
                continue;
            }
            let others = || holding.values();
            let taken = |entry: &Entry, other: &Entry| {
                entry.gpus.iter().any(|gpu| other.gpus.contains(gpu))
                    || entry.cores.iter().any(|core| other.cores.contains(core))
            };
            assert!(!others().any(|other: &Entry| taken(&entry, other)), "{}", told());
            let of = |trial: &str| &trials[trial];
            let all = || others().map(|other| of(&other.trial)).chain([of(&entry.trial)]);
            let licenses: u32 = all().filter_map(|trial| trial.limits.get("license")).sum();
            assert!(licenses <= 2, "{}", told());
            // Services are never held back for these, and beside services alone one trial always fits. Of what starts in one
            // moment, any may have been the first.
            let before = || others().filter(|other| other.at < entry.at);
            if !entry.service && before().any(|other| !other.service) {
                let beside = || before().map(|other| of(&other.trial)).chain([of(&entry.trial)]);
                let memory: u64 = beside().filter_map(|trial| trial.memory).sum();
                assert!(of(&entry.trial).memory.is_none() || memory <= 8 * GIB, "{}", told());
                let cpus: f64 = beside().filter_map(|trial| trial.cpus).sum();
                assert!(of(&entry.trial).cpus.is_none() || cpus <= 4.0, "{}", told());
            }
            holding.insert(entry.trial.clone(), entry);
        }
    }

    fn now(&self) -> f64 {
        self.began.elapsed().as_secs_f64()
    }
}

fn several(prefix: &str, count: usize, cmd: &str) -> Vec<Trial> {
    (1..=count).map(|place| trial(&format!("{prefix}{place}"), cmd)).collect()
}

fn with_cpus(name: &str, cmd: &str, cpus: f64) -> Trial {
    with(name, cmd, |trial| trial.cpus = Some(cpus))
}

fn at_once(count: usize) -> Budget {
    Budget { parallel: Some(Parallel::Count(count)), ..Budget::default() }
}

#[tokio::test(start_paused = true)]
async fn four_runs_of_two_trials_run_two_at_once_on_two_cpus() {
    let lab = Lab::new(host(2.0, 0), Budget::default());
    lab.play(["a", "b", "c", "d"].map(|run| (0.0, several(&format!("{run}-"), 2, "sleep 1"))).into()).await;
    assert_eq!((lab.most(), lab.now()), (2, 4.0));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_alone_is_held_to_its_own_budget_only_until_another_comes() {
    let lab = Lab::new(host(2.0, 0), Budget::default());
    let own = Options { budget: Budget { cpus: Some(4.0), ..Budget::default() }, ..Options::default() };
    let runs = vec![(0.0, several("a-", 8, "sleep 2"), own), (1.0, several("b-", 1, "sleep 2"), Options::default())];
    assert_snapshot!(lab.play_with(runs).await, @"
    0.00  a-1 starts
    0.00  a-2 starts
    0.00  a-3 starts
    0.00  a-4 starts
    2.00  a-1 succeeded
    2.00  a-2 succeeded
    2.00  a-3 succeeded
    2.00  a-4 succeeded
    2.00  a-5 starts
    2.00  b-1 starts
    4.00  a-5 succeeded
    4.00  a-6 starts
    4.00  b-1 succeeded
    4.00  a-7 starts
    4.00  a-8 starts
    6.00  a-6 succeeded
    6.00  a-7 succeeded
    6.00  a-8 succeeded
    ");
}

#[tokio::test(start_paused = true)]
async fn runs_take_turns_and_a_higher_priority_goes_before() {
    let lab = Lab::new(host(1.0, 0), Budget::default());
    let urgent = with("urgent", "sleep 1", |trial| trial.priority = 5);
    let runs = vec![
        (0.0, several("a-", 4, "sleep 1")),
        (0.5, several("b-", 2, "sleep 1")),
        (0.6, vec![trial("c1", "sleep 1"), urgent]),
    ];
    assert_snapshot!(lab.play(runs).await, @"
    0.00  a-1 starts
    1.00  a-1 succeeded
    1.00  urgent starts
    2.00  urgent succeeded
    2.00  b-1 starts
    3.00  b-1 succeeded
    3.00  a-2 starts
    4.00  a-2 succeeded
    4.00  c1 starts
    5.00  c1 succeeded
    5.00  b-2 starts
    6.00  b-2 succeeded
    6.00  a-3 starts
    7.00  a-3 succeeded
    7.00  a-4 starts
    8.00  a-4 succeeded
    ");
}

#[tokio::test(start_paused = true)]
async fn a_large_trial_is_not_starved_by_small_ones_of_other_runs() {
    let lab = Lab::new(host(3.0, 0), Budget::default());
    let small: Vec<Trial> = [2, 3, 4, 2, 3, 4, 2, 3, 4]
        .iter()
        .enumerate()
        .map(|(place, time)| trial(&format!("small-{place}"), &format!("sleep {time}")))
        .collect();
    let large = vec![with_cpus("large", "sleep 1", 3.0)];
    assert_snapshot!(lab.play(vec![(0.0, small), (0.5, large)]).await, @"
     0.00  small-0 starts
     0.00  small-1 starts
     0.00  small-2 starts
     2.00  small-0 succeeded
     3.00  small-1 succeeded
     4.00  small-2 succeeded
     4.00  large starts
     5.00  large succeeded
     5.00  small-3 starts
     5.00  small-4 starts
     5.00  small-5 starts
     7.00  small-3 succeeded
     7.00  small-6 starts
     8.00  small-4 succeeded
     8.00  small-7 starts
     9.00  small-5 succeeded
     9.00  small-8 starts
     9.00  small-6 succeeded
    11.00  small-7 succeeded
    13.00  small-8 succeeded
    ");
}

#[tokio::test(start_paused = true)]
async fn a_gpu_is_never_given_to_trials_of_two_runs() {
    let gpus = |name: &str, gpus: Gpus| with(name, "sleep 2", |trial| trial.gpus = Some(gpus.into()));
    let lab = Lab::new(host(8.0, 2), Budget::default());
    let runs = vec![
        (0.0, vec![gpus("a1", Gpus::Count(1)), gpus("a2", Gpus::Count(1)), gpus("a3", Gpus::Count(1))]),
        (0.0, vec![gpus("b1", Gpus::Word("all".to_owned())), gpus("b2", Gpus::Ids(vec!["1".to_owned()]))]),
        (0.5, vec![gpus("c1", Gpus::Count(2)), trial("c2", "sleep 2")]),
    ];
    assert_snapshot!(lab.play(runs).await, @"
    0.00  a1 starts gpus [0]
    0.00  a2 starts gpus [1]
    0.50  c2 starts
    2.00  a1 succeeded
    2.00  a2 succeeded
    2.00  b1 starts gpus [0, 1]
    2.50  c2 succeeded
    4.00  b1 succeeded
    4.00  c1 starts gpus [0, 1]
    6.00  c1 succeeded
    6.00  a3 starts gpus [0]
    6.00  b2 starts gpus [1]
    8.00  a3 succeeded
    8.00  b2 succeeded
    ");
}

#[tokio::test(start_paused = true)]
async fn cores_memory_and_limits_are_those_of_all_runs_together() {
    let pinned = |name: &str, cpus: f64| with(name, "sleep 1", |trial| (trial.cpus, trial.pin) = (Some(cpus), true));
    let lab = Lab::new(host(4.0, 0), Budget::default());
    let runs =
        vec![(0.0, vec![pinned("a1", 2.0), pinned("a2", 2.0)]), (0.0, vec![pinned("b1", 1.0), pinned("b2", 3.0)])];
    assert_snapshot!(lab.play(runs).await, @"
    0.00  a1 starts cores [2, 3]
    0.00  a2 starts cores [0, 1]
    1.00  a1 succeeded
    1.00  a2 succeeded
    1.00  b1 starts cores [3]
    1.00  b2 starts cores [0, 1, 2]
    2.00  b1 succeeded
    2.00  b2 succeeded
    ");
    let heavy = |name: &str| with(name, "sleep 1", |trial| trial.memory = Some(5 * GIB));
    let lab = Lab::new(host(4.0, 0), Budget::default());
    lab.play(vec![(0.0, vec![heavy("one")]), (0.0, vec![heavy("two")])]).await;
    assert_eq!((lab.most(), lab.now()), (1, 2.0));
    let licensed = |name: &str| with(name, "sleep 1", |trial| trial.limits = [("license".to_owned(), 1)].into());
    let budget = Budget { limits: [("license".to_owned(), 2)].into(), ..Budget::default() };
    let lab = Lab::new(host(8.0, 0), budget.clone());
    let own = Options { budget, ..Options::default() };
    let runs =
        ["a", "b", "c"].map(|run| (0.0, [1, 2].map(|place| licensed(&format!("{run}{place}"))).to_vec(), own.clone()));
    lab.play_with(runs.into()).await;
    assert_eq!((lab.most(), lab.now()), (2, 3.0));
}

#[tokio::test(start_paused = true)]
async fn the_number_of_trials_at_once_is_that_of_all_runs_and_a_run_may_have_less() {
    let lab = Lab::new(host(16.0, 0), at_once(3));
    let of = |count: usize| Options { budget: at_once(count), ..Options::default() };
    let runs = vec![
        (0.0, several("a-", 4, "sleep 1"), of(1)),
        (0.0, several("b-", 4, "sleep 1"), of(3)),
        (0.0, several("c-", 4, "sleep 1"), of(3)),
    ];
    lab.play_with(runs).await;
    assert_eq!((lab.most(), lab.now()), (3, 5.0));
    // A change of the run's number does not change that of all.
    let lab = Lab::new(host(16.0, 0), at_once(3));
    let (changed, other) = (several("a-", 6, "sleep 1"), several("b-", 6, "sleep 1"));
    let [changed, other] = [changed, other].map(|trials| lab.start(trials, of(1)));
    changed.commands().send(Command::Set { change: Box::new(at_once(8)) });
    tokio::join!(lab.follow(changed), lab.follow(other));
    assert_eq!((lab.most(), lab.now()), (3, 7.0));
    // A trial without `cpus` counts none where its run has a number of its own.
    let lab = Lab::new(host(1.0, 0), Budget::default());
    lab.play_with(["a", "b"].map(|run| (0.0, several(&format!("{run}-"), 2, "sleep 1"), of(2))).into()).await;
    assert_eq!((lab.most(), lab.now()), (4, 1.0));
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_killed_or_dropped_gives_everything_back_and_leaves_the_line() {
    let lab = Lab::new(host(2.0, 0), Budget::default());
    let killed = lab.start(several("kill", 3, "sleep 1000"), Options::default());
    let way = killed.commands().clone();
    let dropped = async {
        sleep_until(lab.began + seconds(1.0)).await;
        let waits = lab.start(vec![with_cpus("waits", "sleep 1", 2.0)], Options::default());
        sleep_until(lab.began + seconds(3.0)).await;
        drop(waits);
    };
    let kill = async {
        sleep_until(lab.began + seconds(5.0)).await;
        way.send(Command::Kill { trial: Name::parse("kill1").unwrap(), at_once: false });
        sleep_until(lab.began + seconds(7.0)).await;
        way.send(Command::Cancel { by: "a test".to_owned() });
    };
    let other = lab.play(vec![(2.0, several("o-", 4, "sleep 3"))]);
    tokio::join!(lab.follow(killed), dropped, kill, other);
    assert_snapshot!(lab.told(), @"
     0.00  kill1 starts
     0.00  kill2 starts
     5.00  kill1 killed
     5.00  o-1 starts
     7.00  kill2 killed
     7.00  o-2 starts
     8.00  o-1 succeeded
     8.00  o-3 starts
    10.00  o-2 succeeded
    10.00  o-4 starts
    11.00  o-3 succeeded
    13.00  o-4 succeeded
    ");
}

#[tokio::test(start_paused = true)]
async fn a_run_that_is_paused_or_drained_does_not_stand_in_the_way() {
    let lab = Lab::new(host(2.0, 0), Budget::default());
    let first = lab.start(several("f-", 1, "sleep 10"), Options::default());
    let paused = lab.start(vec![with_cpus("large", "sleep 1", 2.0)], Options::default());
    let drained = lab.start(vec![with_cpus("wide", "sleep 1", 2.0)], Options::default());
    let ways = [paused.commands().clone(), drained.commands().clone()];
    let commands = async {
        sleep_until(lab.began + seconds(2.0)).await;
        ways[0].send(Command::Pause { by: "a test".to_owned() });
        sleep_until(lab.began + seconds(3.0)).await;
        ways[1].send(Command::Drain { by: "a test".to_owned() });
        sleep_until(lab.began + seconds(20.0)).await;
        ways[0].send(Command::Unpause { by: "a test".to_owned() });
    };
    let other = lab.play(vec![(1.0, several("o-", 2, "sleep 4"))]);
    tokio::join!(lab.follow(first), lab.follow(paused), lab.follow(drained), commands, other);
    assert_snapshot!(lab.told(), @"
     0.00  f-1 starts
     3.00  o-1 starts
     7.00  o-1 succeeded
     7.00  o-2 starts
    10.00  f-1 succeeded
    11.00  o-2 succeeded
    20.00  large starts
    21.00  large succeeded
    ");
}

#[tokio::test(start_paused = true)]
async fn services_are_not_held_back_by_other_runs_and_hold_back_nobody_alone() {
    let fake = Arc::new(Fake::new(1.0).scene("db", [Scene { run_for: seconds(1e6), ..Scene::default() }]));
    let (_, mut size) = host(1.0, 0);
    size.cpus = 1.0;
    let lab = Lab::new((fake, size), Budget::default());
    let db = with("db", "", |trial| (trial.service, trial.cpus) = (Some(true), Some(1.0)));
    let user = after(trial("user", "sleep 2"), "db", None);
    assert_snapshot!(lab.play(vec![(0.0, several("a-", 2, "sleep 3")), (1.0, vec![db, user])]).await, @"
    0.00  a-1 starts
    1.00  db starts
    3.00  a-1 succeeded
    3.00  user starts
    5.00  user succeeded
    5.00  a-2 starts
    5.00  db stopped, nothing needs it any more
    8.00  a-2 succeeded
    ");
}

#[tokio::test(start_paused = true)]
async fn why_tells_of_other_runs() {
    let lab = Lab::new(host(2.0, 0), Budget::default());
    let first = lab.start(several("f-", 2, "sleep 10"), Options::default());
    sleep_until(lab.began + seconds(1.0)).await;
    let large = lab.start(vec![with_cpus("large", "sleep 1", 2.0)], Options::default());
    sleep_until(lab.began + seconds(2.0)).await;
    let small = lab.start(several("s-", 2, "sleep 1"), Options::default());
    sleep_until(lab.began + seconds(3.0)).await;
    let why = |live: &Live, name: &str| {
        let (commands, name) = (live.commands().clone(), Name::parse(name).unwrap());
        async move { commands.asks_why(&name).await.unwrap().unwrap().join("\n") }
    };
    let told = [why(&large, "large").await, why(&small, "s-1").await, why(&small, "s-2").await].join("\n");
    assert_snapshot!(told, @"
    `large` is ready and waits for room:
    2 CPUs: 0 of 2 are free; other runs of the script have some of it
    `s-1` is ready and waits for room:
    1 CPU: 0 of 2 are free; other runs of the script have some of it
    `s-2` is ready and waits for room:
    1 CPU: 0 of 2 are free; other runs of the script have some of it
    1 ready trial is before it
    ");
    tokio::join!(lab.follow(first), lab.follow(large), lab.follow(small));
}

#[tokio::test(start_paused = true)]
async fn services_of_two_runs_that_have_what_the_others_trials_want_are_no_deadlock() {
    let forever = || [Scene { run_for: seconds(1e6), ..Scene::default() }];
    let (_, size) = host(4.0, 2);
    let lab =
        Lab::new((Arc::new(Fake::new(4.0).scene("db-a", forever()).scene("db-b", forever())), size), Budget::default());
    let run = |name: &str, own: &str, other: &str| {
        let gpu = |id: &str| Some(Gpus::Ids(vec![id.to_owned()]).into());
        let db = format!("db-{name}");
        let service = with(&db, "", |trial| (trial.service, trial.gpus) = (Some(true), gpu(own)));
        vec![service, after(with(&format!("user-{name}"), "sleep 2", |trial| trial.gpus = gpu(other)), &db, None)]
    };
    let mut runs = vec![(0.0, run("a", "0", "1"), Options::default()), (0.0, run("b", "1", "0"), Options::default())];
    runs.push((0.0, several("c-", 1, "sleep 3"), Options::default()));
    assert_snapshot!(lab.play_with(runs).await, @"
    0.00  db-a starts gpus [0]
    0.00  db-b starts gpus [1]
    0.00  c-1 starts
    3.00  c-1 succeeded
    3.00  db-b stopped, nothing needs it any more
    3.00  user-a starts gpus [1]
    5.00  user-a succeeded
    5.00  db-a stopped, nothing needs it any more
    ");
}

fn random_trial(random: &mut Xoshiro256PlusPlus, name: &str) -> Trial {
    let time = random.random_range(1..5);
    with(name, &format!("sleep {time}"), |trial| {
        trial.priority = random.random_range(0..3);
        trial.cpus = random.random_bool(0.5).then(|| f64::from(random.random_range(1..9)) / 2.0);
        trial.memory = random.random_bool(0.3).then(|| random.random_range(1..9) * GIB);
        (trial.pin, trial.cpus) = match random.random_bool(0.1) {
            true => (true, Some(f64::from(random.random_range(1..4)))),
            false => (false, trial.cpus),
        };
        trial.gpus = random.random_bool(0.3).then(|| match random.random_range(0..4) {
            0 => Gpus::Word("all".to_owned()).into(),
            1 => Gpus::Ids(vec!["1".to_owned()]).into(),
            count => Gpus::Count(count - 1).into(),
        });
        if random.random_bool(0.2) {
            trial.limits = [("license".to_owned(), random.random_range(1..3))].into();
        }
    })
}

#[tokio::test(start_paused = true)]
async fn whatever_runs_share_a_room_all_of_them_end_and_none_has_more_than_there_is() {
    for seed in 0..SEEDS {
        let mut random = Xoshiro256PlusPlus::seed_from_u64(seed);
        let forever = || [Scene { run_for: seconds(1e6), ..Scene::default() }];
        let fake = (0..6).fold(Fake::new(4.0), |fake, run| fake.scene(&format!("r{run}-service"), forever()));
        let budget = Budget { limits: [("license".to_owned(), 2)].into(), ..Budget::default() };
        let lab = Lab::new((Arc::new(fake), host(4.0, 2).1), budget);
        let mut runs = Vec::new();
        for run in 0..random.random_range(2..6) {
            let count = random.random_range(1..8);
            let mut trials: Vec<Trial> =
                (0..count).map(|place| random_trial(&mut random, &format!("r{run}-{place}"))).collect();
            if random.random_bool(0.4) {
                let name = format!("r{run}-service");
                let mut service = random_trial(&mut random, &name);
                (service.cmd, service.service) = (None, Some(true));
                let needing = trials.into_iter().map(|trial| match random.random_bool(0.7) {
                    true => after(trial, &name, None),
                    false => trial,
                });
                trials = needing.collect();
                trials.push(service);
            }
            let budget = Budget {
                parallel: random.random_bool(0.3).then(|| Parallel::Count(random.random_range(1..5))),
                limits: [("license".to_owned(), 2)].into(),
                ..Budget::default()
            };
            let delay = random.random_bool(0.2).then(|| Duration::from_secs(random.random_range(1..4)));
            runs.push((f64::from(random.random_range(0..5)), trials, Options { budget, delay, ..Options::default() }));
        }
        lab.play_with(runs).await;
        lab.check(seed);
    }
}
