//! The contract that every engine keeps: each behaviour is written once and held by all of them.
//!
//! An engine joins with a [`Setup`] and one `every!` at the end of this file. One that needs something this machine may
//! lack (a daemon) has a function that returns `None` there.

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use combu::engine::docker::Docker;
use combu::engine::fake::Fake;
use combu::engine::local::Local;
use combu::engine::{
    Engine, EngineError, Found, Health, Launch, Obstacle, Output, Selector, Settings, Standing, Survey,
};
use combu::model::handle::Handle;
use combu::model::label;
use combu::model::name::{Name, RunId};
use combu::model::outcome::Exit;
use combu::model::trial::{Healthcheck, Trial};

use crate::daemon::{Daemon, IMAGE, apart};
use crate::harness::written;

/// Longer than anything here takes on a busy machine.
const GUARD: Duration = Duration::from_secs(60);
/// Shorter than [`GUARD`], longer than any stop that works.
const LONG: Duration = Duration::from_secs(45);

/// What an engine says of the trials of some launches, which are of one spec.
pub(crate) async fn surveyed(engine: &dyn Engine, launches: &[Launch]) -> Result<Survey, EngineError> {
    let trials: Vec<_> = launches.iter().map(|launch| launch.trial.clone()).collect();
    engine.survey(&launches[0].labels[label::SPEC], &trials).await
}

/// An engine under test.
pub(crate) trait Setup {
    /// A new engine object: what another combu would have.
    fn connect(&self) -> Arc<dyn Engine>;

    /// The name for a trial of one test: where names are shared with other tests, one that is not.
    fn name(&self, name: &str) -> String {
        name.to_owned()
    }

    /// Makes a trial do that.
    fn does(&self, trial: &mut Trial, does: &Does);
}

/// What the trials of these tests do.
#[derive(Debug, Clone, Copy)]
pub(crate) enum Does {
    /// Exits with that code.
    Exit(i32),
    /// That signal ends it.
    Signal(i32),
    /// Runs out of its memory limit.
    Oom,
    /// Writes `one`, `two`, `three` as lines to its standard output and `uno`, `dos`, `tres` to its standard error.
    Print,
    /// Writes the bytes 0, 255, 10, 13 and 0.
    Binary,
    /// Writes 10,000,000 times `x`.
    Megabytes,
    /// Writes `$COMBU_OURS $COMBU_BOTH $MINE $PASSED`.
    Environment,
    /// Writes its working folder.
    Folder,
    /// Writes `ready`, then sleeps for long; ends at the stop signal.
    Sleep,
    /// Writes `ready`, then sleeps for long; does not end at the stop signal.
    Stubborn,
    /// Writes a line every hundredth of a second, for long.
    Tick,
    /// Creates the file `ready` in its working folder (which [`CHECK`] looks for), then sleeps for long.
    Ready,
    /// As `Sleep`, with nothing that [`CHECK`] would find.
    Sick,
    /// Cannot be started: its program does not exist.
    Missing,
}

/// The probe of these tests.
const CHECK: &str = "test -e ready";

/// One test's engine and the world around it.
pub(crate) struct Stage {
    setup: Box<dyn Setup>,
    engine: Arc<dyn Engine>,
    folder: tempfile::TempDir,
    outputs: AtomicU32,
}

/// How an attempt ended and what it wrote.
#[derive(Debug, PartialEq, Eq)]
struct Ended {
    exit: Exit,
    stdout: Vec<u8>,
    stderr: Vec<u8>,
}

impl Stage {
    fn spec(&self) -> String {
        self.folder.path().join("spec.jsonnet").to_str().expect("temporary folders have plain names").to_owned()
    }

    /// The first attempt of a trial of this test's own experiment.
    fn launch(&self, name: &str, does: Does) -> Launch {
        let name = self.setup.name(name);
        let mut trial = Trial::new(Name::parse(&name).unwrap());
        trial.env =
            BTreeMap::from([("COMBU_BOTH", "mine"), ("MINE", "mine")].map(|(k, v)| (k.to_owned(), v.to_owned())));
        trial.healthcheck = matches!(does, Does::Ready | Does::Sick).then(|| Box::new(check()));
        self.setup.does(&mut trial, &does);
        let labels = [
            (label::RUN, "contract0run"),
            (label::EXPERIMENT, "contract"),
            (label::TRIAL, &name),
            (label::ATTEMPT, "1"),
            (label::SPEC, &self.spec()),
            (label::VERSION, "0"),
        ];
        Launch {
            run: RunId::from("contract0run"),
            trial: Arc::new(trial.into()),
            attempt: 1,
            content: None,
            cores: Vec::new(),
            gpus: Vec::new(),
            folder: None,
            env: [("COMBU_OURS", "ours"), ("COMBU_BOTH", "ours")].map(|(k, v)| (k.to_owned(), v.to_owned())).to_vec(),
            passed: vec![("PASSED".to_owned(), "passed".into()), ("MINE".to_owned(), "passed".into())],
            params: None,
            labels: labels.into_iter().map(|(key, value)| (key.to_owned(), value.to_owned())).collect(),
        }
    }

    async fn start(&self, name: &str, does: Does) -> Handle {
        self.start_on(&*self.engine, &self.launch(name, does)).await
    }

    async fn start_on(&self, engine: &dyn Engine, launch: &Launch) -> Handle {
        engine.prepare(launch, &|_, _| {}).await.unwrap();
        engine.start(launch).await.unwrap()
    }

    async fn wait(&self, handle: &Handle) -> Ended {
        let mut output = self.output();
        let exit = self.engine.wait(handle, &mut output).await.unwrap();
        assert!(output.error().is_none());
        let logs = output.logs().unwrap();
        Ended { exit, stdout: written(&logs.stdout), stderr: written(&logs.stderr) }
    }

    async fn run(&self, name: &str, does: Does) -> Ended {
        let handle = self.start(name, does).await;
        self.wait(&handle).await
    }

    fn output(&self) -> Output {
        let number = self.outputs.fetch_add(1, Ordering::Relaxed);
        Output::into_folder(&self.folder.path().join(format!("output-{number}")))
    }

    /// Starts a trial and returns once it has written `ready`: from then on it meets signals as it means to.
    async fn start_ready(&self, name: &str, does: Does) -> Handle {
        let handle = self.start(name, does).await;
        let mut output = self.output();
        let file = output.logs().unwrap().stdout;
        tokio::select! {
            exit = self.engine.wait(&handle, &mut output) => panic!("{name} ended before it was ready: {exit:?}"),
            () = until(|| written(&file) == b"ready\n") => {}
        }
        handle
    }

    async fn find(&self) -> Vec<Found> {
        self.find_on(&*self.engine).await
    }

    async fn find_on(&self, engine: &dyn Engine) -> Vec<Found> {
        let labels = BTreeMap::from([(label::SPEC.to_owned(), self.spec())]);
        engine.find(&Selector { labels }).await.unwrap()
    }
}

/// Looks again and again until something is so; the test's guard ends it otherwise.
pub(crate) async fn until(is_so: impl Fn() -> bool) {
    while !is_so() {
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
}

fn check() -> Healthcheck {
    Healthcheck {
        test: vec!["CMD-SHELL".to_owned(), CHECK.to_owned()],
        interval: Some(Duration::from_millis(100)),
        timeout: Some(Duration::from_secs(20)),
        retries: Some(2),
        start_period: None,
    }
}

/// Runs one behaviour, within [`GUARD`], and removes what it left.
pub(crate) fn hold<S: Setup + 'static>(setup: Option<S>, behaviour: impl AsyncFnOnce(&Stage)) {
    let Some(setup) = setup else { return };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let folder = tempfile::tempdir().unwrap();
        let stage = Stage { engine: setup.connect(), setup: Box::new(setup), folder, outputs: AtomicU32::new(0) };
        tokio::time::timeout(GUARD, behaviour(&stage)).await.expect("within a minute");
        for found in stage.find().await {
            stage.engine.remove(&found.handle).await.unwrap();
        }
    });
}

async fn an_exit_code_comes_back(stage: &Stage) {
    assert_eq!(stage.run("zero", Does::Exit(0)).await.exit, Exit::Code(0));
    assert_eq!(stage.run("three", Does::Exit(3)).await.exit, Exit::Code(3));
}

async fn a_signal_comes_back(stage: &Stage) {
    assert_eq!(stage.run("shot", Does::Signal(9)).await.exit.shell_code(), 137);
}

async fn running_out_of_memory_is_told_from_a_kill(stage: &Stage) {
    assert_eq!(stage.run("greedy", Does::Oom).await.exit, Exit::Oom);
}

async fn both_streams_come_complete_and_in_order(stage: &Stage) {
    let ended = stage.run("print", Does::Print).await;
    assert_eq!(String::from_utf8(ended.stdout).unwrap(), "one\ntwo\nthree\n");
    assert_eq!(String::from_utf8(ended.stderr).unwrap(), "uno\ndos\ntres\n");
}

async fn output_is_bytes(stage: &Stage) {
    assert_eq!(stage.run("binary", Does::Binary).await.stdout, [0, 255, 10, 13, 0]);
}

async fn ten_megabytes_of_output_come_complete(stage: &Stage) {
    let ended = stage.run("chatty", Does::Megabytes).await;
    assert_eq!((ended.exit, ended.stdout.len()), (Exit::Code(0), 10_000_000));
    assert!(ended.stdout.iter().all(|byte| *byte == b'x'));
}

async fn our_variables_reach_the_trial_and_its_own_win(stage: &Stage) {
    let ended = stage.run("env", Does::Environment).await;
    assert_eq!(String::from_utf8(ended.stdout).unwrap(), "ours mine mine passed\n");
}

async fn a_trial_runs_in_its_working_folder(stage: &Stage) {
    let mut launch = stage.launch("folder", Does::Folder);
    Arc::get_mut(&mut Arc::get_mut(&mut launch.trial).unwrap().written).unwrap().workdir = Some("/usr".to_owned());
    let handle = stage.start_on(&*stage.engine, &launch).await;
    assert_eq!(stage.wait(&handle).await.stdout, b"/usr\n");
}

async fn a_failed_start_leaves_nothing(stage: &Stage) {
    let launch = stage.launch("missing", Does::Missing);
    stage.engine.prepare(&launch, &|_, _| {}).await.unwrap();
    let error = stage.engine.start(&launch).await.unwrap_err();
    assert!(matches!(error, EngineError::Refused { .. }), "{error:?}");
    assert_eq!(stage.find().await, []);
}

async fn stop_ends_a_trial_that_listens(stage: &Stage) {
    let handle = stage.start_ready("sleeper", Does::Sleep).await;
    stage.engine.stop(&handle, LONG).await.unwrap();
    assert_eq!(stage.wait(&handle).await.exit.shell_code(), 143);
}

async fn a_stubborn_trial_is_killed_after_its_grace(stage: &Stage) {
    let handle = stage.start_ready("stubborn", Does::Stubborn).await;
    let (grace, asked) = (Duration::from_millis(300), Instant::now());
    stage.engine.stop(&handle, grace).await.unwrap();
    assert!(asked.elapsed() >= grace, "{:?}", asked.elapsed());
    assert_eq!(stage.wait(&handle).await.exit.shell_code(), 137);
}

async fn no_grace_kills_at_once(stage: &Stage) {
    let handle = stage.start_ready("stubborn", Does::Stubborn).await;
    let asked = Instant::now();
    stage.engine.stop(&handle, Duration::ZERO).await.unwrap();
    assert_eq!(stage.wait(&handle).await.exit.shell_code(), 137);
    assert!(asked.elapsed() < LONG, "{:?}", asked.elapsed());
}

async fn a_second_stop_can_cut_the_grace_short(stage: &Stage) {
    let handle = stage.start_ready("stubborn", Does::Stubborn).await;
    let asked = Instant::now();
    let kind = stage.engine.stop(&handle, GUARD);
    let hasty = async {
        tokio::task::yield_now().await;
        stage.engine.stop(&handle, Duration::ZERO).await
    };
    let (kind, hasty, ended) = tokio::join!(kind, hasty, stage.wait(&handle));
    assert!(kind.is_ok() && hasty.is_ok(), "{kind:?} {hasty:?}");
    assert_eq!(ended.exit.shell_code(), 137);
    assert!(asked.elapsed() < LONG, "{:?}", asked.elapsed());
}

async fn stopping_twice_is_stopping_once(stage: &Stage) {
    let handle = stage.start_ready("sleeper", Does::Sleep).await;
    stage.engine.stop(&handle, LONG).await.unwrap();
    stage.engine.stop(&handle, LONG).await.unwrap();
    assert_eq!(stage.wait(&handle).await.exit.shell_code(), 143);
    stage.engine.stop(&handle, Duration::ZERO).await.unwrap();
}

async fn stopping_what_has_ended_changes_nothing(stage: &Stage) {
    let handle = stage.start("three", Does::Exit(3)).await;
    assert_eq!(stage.wait(&handle).await.exit, Exit::Code(3));
    stage.engine.stop(&handle, LONG).await.unwrap();
    assert_eq!(stage.wait(&handle).await.exit, Exit::Code(3));
}

async fn stopping_what_was_never_started_is_no_error(stage: &Stage) {
    let name = stage.engine.capabilities().engine;
    for id in ["0123456789abcdef", "2147483647:1"] {
        let handle = Handle { engine: name, id: id.to_owned() };
        stage.engine.stop(&handle, LONG).await.unwrap();
        stage.engine.remove(&handle).await.unwrap();
    }
}

async fn a_running_attempt_is_found_by_its_labels(stage: &Stage) {
    let launch = stage.launch("sleeper", Does::Sleep);
    let handle = stage.start_on(&*stage.engine, &launch).await;
    let found = stage.find().await;
    assert_eq!(found.len(), 1, "{found:?}");
    assert_eq!(
        (&found[0].handle, &found[0].trial, found[0].standing),
        (&handle, &launch.trial.name, Standing::Running)
    );
    assert!(launch.labels.iter().all(|(key, value)| found[0].labels.get(key) == Some(value)), "{found:?}");
    let mut labels = launch.labels.clone();
    labels.insert(label::RUN.to_owned(), "another0run0".to_owned());
    assert_eq!(stage.engine.find(&Selector { labels }).await.unwrap(), []);
}

async fn another_combu_finds_and_stops_it(stage: &Stage) {
    let handle = stage.start_ready("sleeper", Does::Sleep).await;
    let other = stage.setup.connect();
    let found = stage.find_on(&*other).await;
    assert_eq!(found.iter().map(|found| &found.handle).collect::<Vec<_>>(), [&handle]);
    let (stopped, ended) = tokio::join!(other.stop(&handle, LONG), stage.wait(&handle));
    assert!(stopped.is_ok(), "{stopped:?}");
    assert_eq!(ended.exit.shell_code(), 143);
    other.stop(&handle, LONG).await.unwrap();
}

async fn another_combu_kills_a_stubborn_one(stage: &Stage) {
    let handle = stage.start_ready("stubborn", Does::Stubborn).await;
    let other = stage.setup.connect();
    let grace = Duration::from_millis(200);
    let (stopped, ended) = tokio::join!(other.stop(&handle, grace), stage.wait(&handle));
    assert!(stopped.is_ok(), "{stopped:?}");
    assert_eq!(ended.exit.shell_code(), 137);
}

async fn what_was_removed_is_not_found(stage: &Stage) {
    let (ended, running) = (stage.start("ended", Does::Exit(0)).await, stage.start("runs", Does::Sleep).await);
    stage.wait(&ended).await;
    for handle in [&ended, &running, &ended, &running] {
        stage.engine.remove(handle).await.unwrap();
    }
    assert_eq!(stage.find().await, []);
}

async fn removing_a_running_attempt_ends_its_wait(stage: &Stage) {
    let handle = stage.start_ready("stubborn", Does::Stubborn).await;
    let mut output = Output::nowhere();
    let (ended, removed) = tokio::join!(stage.engine.wait(&handle, &mut output), stage.engine.remove(&handle));
    assert!(removed.is_ok(), "{removed:?}");
    // An engine may also say that it is gone.
    assert!(!matches!(ended, Ok(exit) if exit.shell_code() != 137), "{ended:?}");
}

async fn a_running_attempt_stands_in_the_way_of_its_trial(stage: &Stage) {
    let launches = [stage.launch("sleeper", Does::Sleep), stage.launch("other", Does::Sleep)];
    assert_eq!(surveyed(&*stage.engine, &launches).await.unwrap().obstacles, []);
    let handle = stage.start_on(&*stage.engine, &launches[0]).await;
    let survey = surveyed(&*stage.engine, &launches).await.unwrap();
    let running = Obstacle::Running { trial: launches[0].trial.name.clone(), run: "contract0run".to_owned() };
    assert_eq!(survey.obstacles, [running]);
    stage.engine.stop(&handle, Duration::ZERO).await.unwrap();
    stage.wait(&handle).await;
    assert_eq!(surveyed(&*stage.engine, &launches).await.unwrap().obstacles, []);
}

async fn a_new_attempt_replaces_the_ended_one(stage: &Stage) {
    let mut launch = stage.launch("again", Does::Exit(3));
    let first = stage.start_on(&*stage.engine, &launch).await;
    stage.wait(&first).await;
    launch.attempt = 2;
    launch.labels.insert(label::ATTEMPT.to_owned(), "2".to_owned());
    let second = stage.start_on(&*stage.engine, &launch).await;
    assert_ne!(first, second);
    let found = stage.find().await;
    assert!(found.iter().all(|found| found.handle == second), "{found:?}");
    assert_eq!(stage.wait(&second).await.exit, Exit::Code(3));
}

async fn a_wait_may_be_dropped_and_called_again(stage: &Stage) {
    let handle = stage.start_ready("sleeper", Does::Sleep).await;
    for _ in 0..3 {
        let mut output = Output::nowhere();
        let wait = stage.engine.wait(&handle, &mut output);
        assert!(tokio::time::timeout(Duration::ZERO, wait).await.is_err());
    }
    stage.engine.stop(&handle, LONG).await.unwrap();
    assert_eq!(stage.wait(&handle).await.exit.shell_code(), 143);
}

async fn a_trial_becomes_healthy(stage: &Stage) {
    let handle = stage.start("ready", Does::Ready).await;
    assert_eq!(stage.engine.healthy(&handle, &check()).await.unwrap(), Health::Healthy);
}

async fn a_sick_trial_is_unhealthy(stage: &Stage) {
    let handle = stage.start("sick", Does::Sick).await;
    assert_eq!(stage.engine.healthy(&handle, &check()).await.unwrap(), Health::Unhealthy);
}

async fn a_trial_that_ended_is_not_healthy(stage: &Stage) {
    let handle = stage.start("sick", Does::Sick).await;
    stage.engine.stop(&handle, Duration::ZERO).await.unwrap();
    let patient = Healthcheck { interval: Some(GUARD), ..check() };
    assert_eq!(stage.engine.healthy(&handle, &patient).await.unwrap(), Health::Ended);
}

/// A trial that is not paused is the clock: what the other one does not do in its time, it does not do.
async fn a_paused_trial_makes_no_progress_until_it_is_unpaused(stage: &Stage) {
    let engine = &stage.engine;
    let (paused, clock) = (stage.start("paused", Does::Tick).await, stage.start("clock", Does::Tick).await);
    let (mut one, mut other) = (stage.output(), stage.output());
    let (one_log, clock_log) = (one.logs().unwrap().stdout, other.logs().unwrap().stdout);
    let lines = |log: &Path| written(log).iter().filter(|byte| **byte == b'\n').count();
    let more = async |log: &Path, count: usize| {
        let enough = lines(log) + count;
        until(|| lines(log) >= enough).await;
    };
    let pauses = async {
        more(&one_log, 3).await;
        engine.pause(&paused).await.unwrap();
        engine.pause(&paused).await.unwrap();
        // What was written before is still on its way for a moment.
        more(&clock_log, 30).await;
        let before = lines(&one_log);
        more(&clock_log, 50).await;
        assert_eq!(lines(&one_log), before, "it goes on while it is paused");
        let found = stage.find().await;
        assert!(found.iter().all(|found| found.standing == Standing::Running) && found.len() == 2, "{found:?}");
        engine.unpause(&paused).await.unwrap();
        engine.unpause(&paused).await.unwrap();
        more(&one_log, 30).await;
    };
    tokio::select! {
        exit = engine.wait(&paused, &mut one) => panic!("it ended by itself: {exit:?}"),
        exit = engine.wait(&clock, &mut other) => panic!("it ended by itself: {exit:?}"),
        () = pauses => {}
    }
}

async fn a_paused_trial_can_be_stopped(stage: &Stage) {
    let handle = stage.start_ready("sleeper", Does::Sleep).await;
    stage.engine.pause(&handle).await.unwrap();
    let asked = Instant::now();
    stage.engine.stop(&handle, LONG).await.unwrap();
    assert_eq!(stage.wait(&handle).await.exit.shell_code(), 143);
    assert!(asked.elapsed() < LONG, "it heard nothing: {:?}", asked.elapsed());
}

async fn a_paused_trial_can_be_killed(stage: &Stage) {
    let handle = stage.start_ready("stubborn", Does::Stubborn).await;
    stage.engine.pause(&handle).await.unwrap();
    stage.engine.stop(&handle, Duration::ZERO).await.unwrap();
    assert_eq!(stage.wait(&handle).await.exit.shell_code(), 137);
}

async fn a_paused_trial_can_be_removed(stage: &Stage) {
    let handle = stage.start_ready("stubborn", Does::Stubborn).await;
    stage.engine.pause(&handle).await.unwrap();
    stage.engine.remove(&handle).await.unwrap();
    assert_eq!(stage.find().await, []);
}

async fn a_resumed_trial_listens_again(stage: &Stage) {
    let handle = stage.start_ready("sleeper", Does::Sleep).await;
    stage.engine.pause(&handle).await.unwrap();
    stage.engine.unpause(&handle).await.unwrap();
    let mut output = Output::nowhere();
    let (ended, stopped) = tokio::join!(stage.engine.wait(&handle, &mut output), stage.engine.stop(&handle, LONG));
    assert!(stopped.is_ok(), "{stopped:?}");
    assert_eq!(ended.unwrap().shell_code(), 143);
}

async fn pausing_what_does_not_run_is_no_error(stage: &Stage) {
    let ended = stage.start("three", Does::Exit(3)).await;
    assert_eq!(stage.wait(&ended).await.exit, Exit::Code(3));
    let name = stage.engine.capabilities().engine;
    let unknown = ["0123456789abcdef", "2147483647:1"].map(|id| Handle { engine: name, id: id.to_owned() });
    for handle in unknown.iter().chain([&ended]) {
        stage.engine.pause(handle).await.unwrap();
        stage.engine.unpause(handle).await.unwrap();
    }
    assert_eq!(stage.wait(&ended).await.exit, Exit::Code(3));
}

async fn another_combu_stops_a_paused_one(stage: &Stage) {
    let handle = stage.start_ready("sleeper", Does::Sleep).await;
    let other = stage.setup.connect();
    other.pause(&handle).await.unwrap();
    let (stopped, ended) = tokio::join!(other.stop(&handle, LONG), stage.wait(&handle));
    assert!(stopped.is_ok(), "{stopped:?}");
    assert_eq!(ended.exit.shell_code(), 143);
}

/// The engine of rehearsals.
struct Rehearsal;

impl Setup for Rehearsal {
    fn connect(&self) -> Arc<dyn Engine> {
        Arc::new(Fake::default())
    }

    fn does(&self, trial: &mut Trial, does: &Does) {
        let steps = match does {
            Does::Exit(code) => format!("exit {code}"),
            Does::Signal(signal) => format!("signal {signal}"),
            Does::Oom => "oom".to_owned(),
            Does::Print => "echo one; warn uno; echo two; warn dos; echo three; warn tres".to_owned(),
            Does::Sleep | Does::Ready => "echo ready; sleep 600".to_owned(),
            Does::Stubborn => "echo ready; sleep 600; stubborn".to_owned(),
            Does::Sick => "sleep 600; sick".to_owned(),
            Does::Missing => "refuse no such program".to_owned(),
            Does::Binary | Does::Megabytes | Does::Environment | Does::Folder | Does::Tick => {
                unreachable!("a fake does not")
            }
        };
        trial.cmd = Some(vec![steps]);
    }
}

/// The engine of this machine's processes.
pub(crate) struct Processes;

impl Setup for Processes {
    fn connect(&self) -> Arc<dyn Engine> {
        let watch = Some(Path::new(env!("CARGO_BIN_EXE_combu")).to_owned());
        Arc::new(Local::connect(&Settings { watch, ..Settings::default() }).unwrap())
    }

    fn does(&self, trial: &mut Trial, does: &Does) {
        trial.cmd = Some(match does {
            Does::Missing => vec!["no-such-program".to_owned()],
            does => ["sh", "-c", &shell(does)].map(str::to_owned).to_vec(),
        });
    }
}

/// The containers of a Docker daemon.
struct Containers(Daemon);

impl Setup for Containers {
    fn connect(&self) -> Arc<dyn Engine> {
        Arc::new(apart(Docker::connect(&Settings::default())).unwrap())
    }

    fn name(&self, name: &str) -> String {
        self.0.name(name)
    }

    fn does(&self, trial: &mut Trial, does: &Does) {
        trial.image = Some(IMAGE.to_owned());
        trial.memory = matches!(does, Does::Oom).then_some(16 << 20);
        trial.cmd = Some(match does {
            Does::Missing => vec!["no-such-program".to_owned()],
            does => ["sh", "-c", &shell(does)].map(str::to_owned).to_vec(),
        });
    }
}

/// The line that makes a shell do that, as process 1 of a container or as any other.
pub(crate) fn shell(does: &Does) -> String {
    match does {
        Does::Exit(code) => format!("exit {code}"),
        // Process 1 cannot shoot itself.
        Does::Signal(signal) => format!("sh -c 'kill -{signal} $$'; exit $?"),
        Does::Oom => "tail /dev/zero".to_owned(),
        Does::Print => "echo one; echo uno >&2; echo two; echo dos >&2; echo three; echo tres >&2".to_owned(),
        Does::Binary => r"printf '\000\377\n\r\000'".to_owned(),
        Does::Megabytes => "head -c 10000000 /dev/zero | tr '\\000' x".to_owned(),
        Does::Environment => "echo $COMBU_OURS $COMBU_BOTH $MINE $PASSED".to_owned(),
        Does::Folder => "pwd".to_owned(),
        Does::Sleep => "trap 'exit 143' TERM; echo ready; sleep 600 & wait".to_owned(),
        Does::Stubborn => "trap '' TERM; echo ready; exec sleep 600".to_owned(),
        Does::Tick => "while :; do echo tick; sleep 0.01; done".to_owned(),
        Does::Ready => "touch ready; exec sleep 600".to_owned(),
        Does::Sick => "exec sleep 600".to_owned(),
        Does::Missing => unreachable!("a shell is there"),
    }
}

/// One test for each behaviour: those that every engine has, and some more.
macro_rules! every {
    ($engine:ident, $setup:expr, $($more:ident),+ $(,)?) => {
        contract!($engine, $setup,
            an_exit_code_comes_back,
            a_signal_comes_back,
            both_streams_come_complete_and_in_order,
            a_failed_start_leaves_nothing,
            stop_ends_a_trial_that_listens,
            a_stubborn_trial_is_killed_after_its_grace,
            no_grace_kills_at_once,
            a_second_stop_can_cut_the_grace_short,
            stopping_twice_is_stopping_once,
            stopping_what_has_ended_changes_nothing,
            stopping_what_was_never_started_is_no_error,
            a_running_attempt_is_found_by_its_labels,
            what_was_removed_is_not_found,
            removing_a_running_attempt_ends_its_wait,
            a_running_attempt_stands_in_the_way_of_its_trial,
            a_new_attempt_replaces_the_ended_one,
            a_wait_may_be_dropped_and_called_again,
            a_trial_becomes_healthy,
            a_sick_trial_is_unhealthy,
            a_paused_trial_can_be_stopped,
            a_paused_trial_can_be_killed,
            a_paused_trial_can_be_removed,
            a_resumed_trial_listens_again,
            pausing_what_does_not_run_is_no_error,
            a_trial_that_ended_is_not_healthy,
            $($more),+
        );
    };
}

macro_rules! contract {
    ($engine:ident, $setup:expr, $($behaviour:ident),+) => {
        mod $engine {
            $(
                #[test]
                fn $behaviour() {
                    super::hold($setup, super::$behaviour);
                }
            )+
        }
    };
}

every!(fake, Some(super::Rehearsal), running_out_of_memory_is_told_from_a_kill);

every!(
    local,
    Some(super::Processes),
    output_is_bytes,
    ten_megabytes_of_output_come_complete,
    our_variables_reach_the_trial_and_its_own_win,
    a_trial_runs_in_its_working_folder,
    another_combu_finds_and_stops_it,
    another_combu_kills_a_stubborn_one,
    another_combu_stops_a_paused_one,
    a_paused_trial_makes_no_progress_until_it_is_unpaused,
);

every!(
    docker,
    crate::daemon::daemon().map(super::Containers),
    running_out_of_memory_is_told_from_a_kill,
    output_is_bytes,
    ten_megabytes_of_output_come_complete,
    our_variables_reach_the_trial_and_its_own_win,
    a_trial_runs_in_its_working_folder,
    another_combu_finds_and_stops_it,
    another_combu_kills_a_stubborn_one,
    another_combu_stops_a_paused_one,
    a_paused_trial_makes_no_progress_until_it_is_unpaused,
);
