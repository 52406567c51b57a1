//! A fake engine: scripted trials in tokio's time, real in everything else. For tests, benches and rehearsals.
//!
//! A trial does what a [`Scene`] scripted for its name says, or what its own `cmd` says: steps separated by `;` out of
//! `echo TEXT`, `warn TEXT` (to standard error), `sleep SECONDS`, `exit CODE`, `signal NUMBER`, `oom` and `refuse TEXT`
//! (start fails). Anything else succeeds at once.

use std::collections::{BTreeMap, HashMap};
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::engine::{Engine, EngineError, Found, Health, Launch, Obstacle, Output, Progress, Selector, Survey};
use crate::model::capability::Capabilities;
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
                engine: EngineName::Fake,
                description: "a rehearsal: nothing real is run".to_owned(),
                cpus,
                memory: 64 << 30,
                starts: 1024,
                images: false,
                acts_on: &[
                    "image",
                    "cmd",
                    "entrypoint",
                    "env",
                    "workdir",
                    "user",
                    "hostname",
                    "labels",
                    "ports",
                    "volumes",
                    "networks",
                    "healthcheck",
                    "cpus",
                    "memory",
                    "shm_size",
                    "pids_limit",
                    "pull",
                    "init",
                    "platform",
                    "ulimits",
                    "tmpfs",
                    "devices",
                    "cap_add",
                    "extra_hosts",
                ],
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
        launch.trial.cmd.as_deref().map(scene_from).unwrap_or_default()
    }

    fn with<T>(&self, handle: &Handle, read: impl FnOnce(&mut Attempt) -> T) -> Option<T> {
        self.attempts.lock().expect("no code panics while it holds the lock").get_mut(&handle.id).map(read)
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
            for attempt in attempts.values().filter(|attempt| attempt.counted) {
                if attempt.labels.get(label::TRIAL).map(String::as_str) == Some(launch.trial.name.as_str()) {
                    let run = attempt.labels.get(label::RUN).cloned().unwrap_or_default();
                    survey.obstacles.push(Obstacle::Running { trial: launch.trial.name.clone(), run });
                }
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

    async fn healthy(&self, handle: &Handle, _check: &Healthcheck) -> Result<Health, EngineError> {
        let Some((scene, started, mut stopped)) =
            self.with(handle, |attempt| (attempt.scene.clone(), attempt.started, attempt.stopped.subscribe()))
        else {
            return Ok(Health::Ended);
        };
        let healthy_at = scene.healthy_after.filter(|after| *after <= scene.run_for).map(|after| started + after);
        let decided_at = healthy_at.unwrap_or(started + scene.run_for);
        tokio::select! {
            biased;
            () = tokio::time::sleep_until(decided_at) => Ok(if healthy_at.is_some() { Health::Healthy } else { Health::Ended }),
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
        let own_end = started + scene.run_for;
        let exit = loop {
            let asked = *stopped.borrow_and_update();
            let (exit, at) = asked.filter(|(_, at)| *at < own_end).unwrap_or((scene.exit, own_end));
            // A later stop may be a harder one.
            if tokio::time::timeout_at(at, stopped.changed()).await.is_err() {
                break exit;
            }
        };
        self.end(handle);
        Ok(exit)
    }

    async fn stop(&self, handle: &Handle, grace: Duration) -> Result<(), EngineError> {
        let until = self.with(handle, |attempt| {
            let now = Instant::now();
            let end = if attempt.scene.stubborn || grace.is_zero() {
                (Exit::Signal(9), now + grace)
            } else {
                (Exit::Signal(15), now)
            };
            attempt.stopped.send_modify(|stopped| {
                if stopped.is_none_or(|(_, at)| end.1 < at) {
                    *stopped = Some(end);
                }
            });
            end.1.min(attempt.started + attempt.scene.run_for)
        });
        if let Some(until) = until {
            tokio::time::sleep_until(until).await;
        }
        Ok(())
    }

    async fn remove(&self, handle: &Handle) -> Result<(), EngineError> {
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
                    running: attempt.counted,
                })
            })
            .collect())
    }

    async fn clean(&self, _selector: &Selector) -> Result<Vec<String>, EngineError> {
        Ok(Vec::new())
    }
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
            "sleep" => scene.run_for += Duration::try_from_secs_f64(rest.parse().unwrap_or(0.0)).unwrap_or_default(),
            "exit" => scene.exit = Exit::Code(rest.parse().unwrap_or(0)),
            "false" => scene.exit = Exit::Code(1),
            "signal" => scene.exit = Exit::Signal(rest.parse().unwrap_or(15)),
            "oom" => scene.exit = Exit::Oom,
            "refuse" => scene.start_error = Some(rest.to_owned()),
            _ => {}
        }
    }
    scene
}
