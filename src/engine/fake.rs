//! A fake engine: scripted trials in tokio's time, real in everything else. For tests, benches and rehearsals.
//!
//! A trial does what a [`Scene`] scripted for its name says, or what its own `cmd` says: steps separated by `;` out of
//! `echo TEXT`, `warn TEXT` (to standard error), `sleep SECONDS`, `exit CODE`, `signal NUMBER`, `oom`, `refuse TEXT`
//! (start fails), `stubborn` (has to be killed) and `sick` (is never healthy). Anything else succeeds at once.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::engine::{
    Cleaned, Engine, EngineError, Found, Health, Launch, Obstacle, Output, Progress, Selector, Survey,
};
use crate::model::capability::{CONTAINER_FIELDS, Capabilities, Gpu};
use crate::model::handle::Handle;
use crate::model::label;
use crate::model::name::EngineName;
use crate::model::outcome::Exit;
use crate::model::trial::Healthcheck;

/// The fake engine.
#[derive(Debug)]
pub struct Fake {
    capabilities: Capabilities,
    scenes: HashMap<String, Vec<Scene>>,
    start_takes: Duration,
    attempts: Mutex<BTreeMap<String, Attempt>>,
    running: AtomicUsize,
    peak: AtomicUsize,
    starting: AtomicUsize,
    starting_peak: AtomicUsize,
    serial: AtomicU64,
}

/// What one attempt of a trial does.
#[derive(Debug, Clone, PartialEq)]
pub struct Scene {
    /// How long it runs.
    pub run_for: Duration,
    /// How it ends by itself.
    pub exit: Exit,
    /// What it writes to its standard output.
    pub stdout: String,
    /// What it writes to its standard error.
    pub stderr: String,
    /// Why it cannot be started, if so.
    pub start_error: Option<String>,
    /// When it is healthy after its start; absent: never.
    pub healthy_after: Option<Duration>,
    /// Whether it ignores the stop signal and has to be killed.
    pub stubborn: bool,
}

/// How long a service runs that is not told otherwise: a century.
const FOR_EVER: Duration = Duration::from_secs(3_000_000_000);

impl Default for Scene {
    fn default() -> Self {
        Self {
            run_for: Duration::ZERO,
            exit: Exit::Code(0),
            stdout: String::new(),
            stderr: String::new(),
            start_error: None,
            healthy_after: Some(Duration::ZERO),
            stubborn: false,
        }
    }
}

#[derive(Debug)]
struct Attempt {
    scene: Scene,
    started: Instant,
    labels: BTreeMap<String, String>,
    /// Set once by `stop`: the exit and the moment it takes effect.
    stopped: watch::Sender<Option<(Exit, Instant)>>,
    counted: bool,
}

impl Attempt {
    fn runs(&self) -> bool {
        let asked = self.stopped.borrow().map(|(_, at)| at);
        let end = asked.into_iter().fold(later(self.started, self.scene.run_for), Instant::min);
        self.counted && Instant::now() < end
    }
}

impl Default for Fake {
    fn default() -> Self {
        Self::new(4.0)
    }
}

impl Fake {
    /// A fake engine on a host of so many CPUs and 64 GiB.
    pub fn new(cpus: f64) -> Self {
        Self {
            capabilities: Capabilities {
                here: true,
                gpus: Vec::new(),
                engine: EngineName::Fake,
                description: "a rehearsal: nothing real is run".to_owned(),
                cpus,
                memory: 64 << 30,
                starts: 1024,
                images: false,
                acts_on: CONTAINER_FIELDS,
            },
            scenes: HashMap::new(),
            start_takes: Duration::ZERO,
            attempts: Mutex::default(),
            running: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            starting: AtomicUsize::new(0),
            starting_peak: AtomicUsize::new(0),
            serial: AtomicU64::new(0),
        }
    }

    /// Scripts the attempts of a trial, the last scene repeating for further attempts.
    #[must_use]
    pub fn scene(mut self, trial: &str, scenes: impl Into<Vec<Scene>>) -> Self {
        self.scenes.insert(trial.to_owned(), scenes.into());
        self
    }

    /// Makes every start take that long, with at most `window` of them advised at once.
    #[must_use]
    pub fn starts(mut self, takes: Duration, window: usize) -> Self {
        self.start_takes = takes;
        self.capabilities.starts = window;
        self
    }

    /// Most attempts that ran at once so far.
    pub fn peak(&self) -> usize {
        self.peak.load(Ordering::SeqCst)
    }

    /// Most starts that were in flight at once so far.
    pub fn starting_peak(&self) -> usize {
        self.starting_peak.load(Ordering::SeqCst)
    }

    fn scene_of(&self, launch: &Launch) -> Scene {
        if let Some(scenes) = self.scenes.get(launch.trial.name.as_str()) {
            let index = (launch.attempt as usize).min(scenes.len()).saturating_sub(1);
            return scenes.get(index).cloned().unwrap_or_default();
        }
        let mut scene = launch.trial.cmd.as_deref().map(scene_from).unwrap_or_default();
        if launch.trial.service == Some(true) && scene == Scene::default() {
            scene.run_for = FOR_EVER;
        }
        scene
    }

    fn with<T>(&self, handle: &Handle, read: impl FnOnce(&mut Attempt) -> T) -> Option<T> {
        self.attempts.lock().expect("no code panics while it holds the lock").get_mut(&handle.id).map(read)
    }

    /// Forgets the ended attempts of the launch's trial: a new one takes their place, as a container's name does.
    fn replace(&self, launch: &Launch) {
        let mut attempts = self.attempts.lock().expect("no code panics while it holds the lock");
        attempts.retain(|_, attempt| attempt.counted || !is_of(&attempt.labels, launch));
    }

    fn end(&self, handle: &Handle) {
        let was_running = self.with(handle, |attempt| std::mem::take(&mut attempt.counted));
        if was_running == Some(true) {
            self.running.fetch_sub(1, Ordering::SeqCst);
        }
    }
}

#[async_trait]
impl Engine for Fake {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn survey(&self, launches: &[Launch]) -> Result<Survey, EngineError> {
        let attempts = self.attempts.lock().expect("no code panics while it holds the lock");
        let mut survey = Survey::default();
        for launch in launches {
            let running = |attempt: &&Attempt| attempt.runs() && is_of(&attempt.labels, launch);
            if let Some(attempt) = attempts.values().find(running) {
                let run = attempt.labels.get(label::RUN).cloned().unwrap_or_default();
                survey.obstacles.push(Obstacle::Running { trial: launch.trial.name.clone(), run });
            }
        }
        Ok(survey)
    }

    async fn prepare(&self, _launch: &Launch, _progress: &Progress<'_>) -> Result<(), EngineError> {
        Ok(())
    }

    async fn start(&self, launch: &Launch) -> Result<Handle, EngineError> {
        let scene = self.scene_of(launch);
        if self.start_takes > Duration::ZERO {
            let starting = self.starting.fetch_add(1, Ordering::SeqCst) + 1;
            self.starting_peak.fetch_max(starting, Ordering::SeqCst);
            tokio::time::sleep(self.start_takes).await;
            self.starting.fetch_sub(1, Ordering::SeqCst);
        }
        if let Some(message) = scene.start_error {
            return Err(EngineError::Refused { message });
        }
        self.replace(launch);
        let id = format!("fake-{}", self.serial.fetch_add(1, Ordering::SeqCst));
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.peak.fetch_max(running, Ordering::SeqCst);
        let attempt = Attempt {
            scene,
            started: Instant::now(),
            labels: launch.labels.clone(),
            stopped: watch::Sender::new(None),
            counted: true,
        };
        self.attempts.lock().expect("no code panics while it holds the lock").insert(id.clone(), attempt);
        Ok(Handle { engine: EngineName::Fake, id })
    }

    async fn healthy(&self, handle: &Handle, check: &Healthcheck) -> Result<Health, EngineError> {
        let Some((scene, started, mut stopped)) =
            self.with(handle, |attempt| (attempt.scene.clone(), attempt.started, attempt.stopped.subscribe()))
        else {
            return Ok(Health::Ended);
        };
        let healthy_at = scene.healthy_after.filter(|after| *after <= scene.run_for).map(|after| later(started, after));
        // Docker's defaults and arithmetic: so many failures, an interval apart.
        let failures = check.interval.unwrap_or(Duration::from_secs(30)).saturating_mul(check.retries.unwrap_or(3));
        let sick_after = check.start_period.unwrap_or_default().saturating_add(failures);
        let sick_at = later(started, scene.run_for.min(sick_after));
        let decision = match healthy_at {
            Some(_) => Health::Healthy,
            None if sick_after < scene.run_for => Health::Unhealthy,
            None => Health::Ended,
        };
        tokio::select! {
            biased;
            () = tokio::time::sleep_until(healthy_at.unwrap_or(sick_at)) => Ok(decision),
            _ = stopped.wait_for(Option::is_some) => Ok(Health::Ended),
        }
    }

    async fn wait(&self, handle: &Handle, output: &mut Output) -> Result<Exit, EngineError> {
        let Some((scene, started, mut stopped)) =
            self.with(handle, |attempt| (attempt.scene.clone(), attempt.started, attempt.stopped.subscribe()))
        else {
            return Err(EngineError::Refused { message: format!("no attempt `{}`", handle.id) });
        };
        output.restart();
        output.stdout(scene.stdout.as_bytes());
        output.stderr(scene.stderr.as_bytes());
        let exit = ended(&scene, started, &mut stopped).await;
        self.end(handle);
        Ok(exit)
    }

    async fn stop(&self, handle: &Handle, grace: Duration) -> Result<(), EngineError> {
        let asked = self.with(handle, |attempt| {
            let now = Instant::now();
            let end = if attempt.scene.stubborn || grace.is_zero() {
                (Exit::Signal(9), later(now, grace))
            } else {
                (Exit::Signal(15), now)
            };
            attempt.stopped.send_modify(|stopped| {
                if stopped.is_none_or(|(_, at)| end.1 < at) {
                    *stopped = Some(end);
                }
            });
            (attempt.scene.clone(), attempt.started, attempt.stopped.subscribe())
        });
        if let Some((scene, started, mut stopped)) = asked {
            ended(&scene, started, &mut stopped).await;
        }
        Ok(())
    }

    async fn pause(&self, _handle: &Handle) -> Result<(), EngineError> {
        Ok(())
    }

    async fn resume(&self, _handle: &Handle) -> Result<(), EngineError> {
        Ok(())
    }

    async fn gpus(&self) -> Result<Vec<Gpu>, EngineError> {
        Ok(Vec::new())
    }

    async fn remove(&self, handle: &Handle) -> Result<(), EngineError> {
        self.stop(handle, Duration::ZERO).await?;
        self.end(handle);
        self.attempts.lock().expect("no code panics while it holds the lock").remove(&handle.id);
        Ok(())
    }

    async fn find(&self, selector: &Selector) -> Result<Vec<Found>, EngineError> {
        let attempts = self.attempts.lock().expect("no code panics while it holds the lock");
        let matching = attempts
            .iter()
            .filter(|(_, attempt)| selector.labels.iter().all(|(key, value)| attempt.labels.get(key) == Some(value)));
        Ok(matching
            .filter_map(|(id, attempt)| {
                let trial = crate::model::name::Name::parse(attempt.labels.get(label::TRIAL)?).ok()?;
                Some(Found {
                    handle: Handle { engine: EngineName::Fake, id: id.clone() },
                    trial,
                    labels: attempt.labels.clone(),
                    running: attempt.runs(),
                })
            })
            .collect())
    }

    async fn clean(&self, _selector: &Selector) -> Result<Cleaned, EngineError> {
        Ok(Cleaned::default())
    }
}

/// Waits for the end of an attempt: its own, or the one it is asked for, however often that is brought forward.
async fn ended(scene: &Scene, started: Instant, stopped: &mut watch::Receiver<Option<(Exit, Instant)>>) -> Exit {
    let own_end = later(started, scene.run_for);
    loop {
        let asked = *stopped.borrow_and_update();
        let (exit, at) = asked.filter(|(_, at)| *at < own_end).unwrap_or((scene.exit, own_end));
        // Timers round up to a millisecond: a trial that takes no time must not take that.
        if at <= Instant::now() {
            return exit;
        }
        if let Ok(Ok(())) = tokio::time::timeout_at(at, stopped.changed()).await {
            continue;
        }
        tokio::time::sleep_until(at).await;
        return exit;
    }
}

/// That much later; or in a century, where the clock does not reach so far.
fn later(from: Instant, by: Duration) -> Instant {
    from.checked_add(by).unwrap_or(from + FOR_EVER)
}

/// Whether these are the labels of an attempt of the launch's own trial.
fn is_of(labels: &BTreeMap<String, String>, launch: &Launch) -> bool {
    let own = launch.labels.get(label::SPEC);
    labels.get(label::TRIAL).map(String::as_str) == Some(launch.trial.name.as_str()) && labels.get(label::SPEC) == own
}

/// Reads a command as the steps of the module's head.
fn scene_from(cmd: &[String]) -> Scene {
    let line = cmd.join(" ");
    let mut scene = Scene::default();
    for step in line.split(';') {
        let (verb, rest) = step.trim().split_once(' ').unwrap_or((step.trim(), ""));
        match verb {
            "echo" => scene.stdout.push_str(&format!("{rest}\n")),
            "warn" => scene.stderr.push_str(&format!("{rest}\n")),
            "sleep" => {
                let time = Duration::try_from_secs_f64(rest.parse().unwrap_or(0.0)).unwrap_or_default();
                scene.run_for = scene.run_for.saturating_add(time);
            }
            "exit" => scene.exit = Exit::Code(rest.parse().unwrap_or(0)),
            "false" => scene.exit = Exit::Code(1),
            "signal" => scene.exit = Exit::Signal(rest.parse().unwrap_or(15)),
            "oom" => scene.exit = Exit::Oom,
            "refuse" => scene.start_error = Some(rest.to_owned()),
            "stubborn" => scene.stubborn = true,
            "sick" => scene.healthy_after = None,
            _ => {}
        }
    }
    scene
}
