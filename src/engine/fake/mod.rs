//! A fake engine: scripted trials in tokio's time, real in everything else. For tests, benches and rehearsals.
//!
//! A trial does what a [`Scene`] scripted for its name says, or what its own `cmd` says: steps separated by `;` out of
//! `echo TEXT`, `warn TEXT` (to standard error), `sleep SECONDS`, `exit CODE`, `signal NUMBER`, `oom`, `refuse TEXT`
//! (start fails), `usage CPU-SECONDS BYTES` (`usage 1.5 64m`), `write PATH TEXT` (a file to
//! be collected), `lost` (the engine loses it at its end), `stubborn` (has to be killed) and `sick` (is never healthy). Anything else succeeds at once.

mod attempt;
mod scene;

use std::collections::{BTreeMap, HashMap};
use std::fmt;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::watch;
use tokio::time::Instant;

use crate::engine::error::EngineError;
use crate::engine::fake::attempt::{Course, FakeAttempt, Meets, later};
use crate::engine::fake::scene::FOR_EVER;
use crate::engine::found::{Cleaned, Found, Obstacle, Selector, Standing, Survey};
use crate::engine::launch::{Claim, Launch};
use crate::engine::output::Output;
use crate::engine::outputs::Outputs;
use crate::engine::seam::{Engine, Health, PrepareProgress};
use crate::model::capability::{Capabilities, Gpu};
use crate::model::handle::Handle;
use crate::model::label;
use crate::model::name::EngineName;
use crate::model::outcome::Exit;
use crate::model::trial::settled::Settled;
use crate::model::trial::{Healthcheck, output};

pub use crate::engine::fake::scene::{Saying, Scene};

/// Decides what each attempt does, and hears what became of it.
pub trait Director: fmt::Debug + Send + Sync {
    /// What the attempt of a launch does; absent: nothing is to be started any more.
    fn scene(&self, launch: &Launch) -> Option<Scene>;

    /// An attempt of that trial has ended: by itself, or because it was asked to; it said so many of the things that it had to say later.
    fn ended(&self, trial: &str, scene: &Scene, said: usize, by_itself: bool);
}

/// The fake engine.
#[derive(Debug)]
pub struct Fake {
    director: Option<Arc<dyn Director>>,
    capabilities: Capabilities,
    scenes: HashMap<String, Vec<Scene>>,
    start_takes: Duration,
    attempts: Mutex<BTreeMap<String, FakeAttempt>>,
    running: AtomicUsize,
    peak: AtomicUsize,
    starting: AtomicUsize,
    starting_peak: AtomicUsize,
    serial: AtomicU64,
    launched: Mutex<BTreeMap<(String, u32), usize>>,
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
            director: None,
            capabilities: Capabilities {
                here: true,
                gpus: Vec::new(),
                engine: EngineName::Fake,
                daemon: None,
                description: "a rehearsal: nothing real is run".to_owned(),
                cpus,
                memory: 64 << 30,
                starts: 1024,
                images: false,
                containers: true,
            },
            scenes: HashMap::new(),
            start_takes: Duration::ZERO,
            attempts: Mutex::default(),
            running: AtomicUsize::new(0),
            peak: AtomicUsize::new(0),
            starting: AtomicUsize::new(0),
            starting_peak: AtomicUsize::new(0),
            serial: AtomicU64::new(0),
            launched: Mutex::default(),
        }
    }

    /// An engine that takes the place of that one on a host of that size, and whose attempts do as the director says.
    pub fn directed(engine: EngineName, host: &Capabilities, director: Arc<dyn Director>) -> Self {
        let is_docker = engine == EngineName::Docker;
        let mut fake = Self { director: Some(director), ..Self::new(host.cpus) };
        fake.capabilities = Capabilities {
            engine,
            description: "a simulation: nothing is really run".to_owned(),
            memory: host.memory,
            images: is_docker,
            containers: engine != EngineName::Local,
            ..fake.capabilities
        };
        fake
    }

    /// Scripts the attempts of a trial, the last scene repeating for further attempts.
    #[must_use]
    pub fn scene(mut self, trial: &str, scenes: impl Into<Vec<Scene>>) -> Self {
        self.scenes.insert(trial.to_owned(), scenes.into());
        self
    }

    /// Makes every start take that long, with at most `most` of them at once.
    #[must_use]
    pub fn starts(mut self, takes: Duration, most: usize) -> Self {
        self.start_takes = takes;
        self.capabilities.starts = most;
        self
    }

    /// Gives the host these GPUs.
    #[must_use]
    pub fn with_gpus(mut self, gpus: impl Into<Vec<Gpu>>) -> Self {
        self.capabilities.gpus = gpus.into();
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

    /// Starts of each attempt so far, by trial and number.
    pub fn launched(&self) -> BTreeMap<(String, u32), usize> {
        self.launched.lock().expect("no code panics while it holds the lock").clone()
    }

    /// The very attempt, if it is there: whoever starts it again lost the answer.
    fn same(&self, launch: &Launch) -> Option<Handle> {
        let same = |labels: &BTreeMap<String, String>| {
            [label::RUN, label::TRIAL, label::ATTEMPT].iter().all(|key| labels.get(*key) == launch.labels.get(*key))
        };
        let attempts = self.attempts.lock().expect("no code panics while it holds the lock");
        let found = attempts.iter().find(|(_, attempt)| same(&attempt.labels));
        found.map(|(id, _)| self.handle(id.clone()))
    }

    fn scene_of(&self, launch: &Launch) -> Option<Scene> {
        let mut scene = match &self.director {
            Some(director) => director.scene(launch)?,
            None => self.scripted(launch),
        };
        if launch.trial.service && scene == Scene::default() {
            scene.run_for = FOR_EVER;
        }
        Some(scene)
    }

    fn scripted(&self, launch: &Launch) -> Scene {
        if let Some(scenes) = self.scenes.get(launch.trial.name.as_str()) {
            let index = (launch.attempt as usize).min(scenes.len()).saturating_sub(1);
            return scenes.get(index).cloned().unwrap_or_default();
        }
        launch.trial.cmd.as_deref().map(Scene::from_command).unwrap_or_default()
    }

    fn handle(&self, id: String) -> Handle {
        Handle { engine: self.capabilities.engine, id }
    }

    /// Course of an attempt, and the requests that come to it.
    fn followed(&self, handle: &Handle) -> Option<(Course, watch::Receiver<Meets>)> {
        self.with(handle, |attempt| (attempt.course.clone(), attempt.meets.subscribe()))
    }

    fn with<T>(&self, handle: &Handle, read: impl FnOnce(&mut FakeAttempt) -> T) -> Option<T> {
        self.attempts.lock().expect("no code panics while it holds the lock").get_mut(&handle.id).map(read)
    }

    /// Forgets the ended attempts of the launch's trial: a new one takes their place, as a container's name does.
    fn replace(&self, launch: &Launch) {
        let mut attempts = self.attempts.lock().expect("no code panics while it holds the lock");
        attempts.retain(|_, attempt| attempt.counted || !launch.claim().covers(|key| attempt.labels.get(key)));
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

    async fn survey(&self, spec: &str, trials: &[Arc<Settled>]) -> Result<Survey, EngineError> {
        let attempts = self.attempts.lock().expect("no code panics while it holds the lock");
        let mut survey = Survey::default();
        for trial in trials {
            let claim = Claim::new(spec, &trial.name);
            let running = |attempt: &&FakeAttempt| attempt.runs() && claim.covers(|key| attempt.labels.get(key));
            if let Some(attempt) = attempts.values().find(running) {
                let run = attempt.labels.get(label::RUN).cloned().unwrap_or_default();
                survey.obstacles.push(Obstacle::Running { trial: trial.name.clone(), run });
            }
        }
        Ok(survey)
    }

    async fn prepare(&self, _launch: &Launch, _progress: &PrepareProgress<'_>) -> Result<Option<String>, EngineError> {
        Ok(None)
    }

    async fn start(&self, launch: &Launch) -> Result<Handle, EngineError> {
        let Some(scene) = self.scene_of(launch) else {
            return Err(EngineError::Refused { message: "nothing is to be started any more".to_owned() });
        };
        if self.start_takes > Duration::ZERO {
            let starting = self.starting.fetch_add(1, Ordering::SeqCst) + 1;
            self.starting_peak.fetch_max(starting, Ordering::SeqCst);
            tokio::time::sleep(self.start_takes).await;
            self.starting.fetch_sub(1, Ordering::SeqCst);
        }
        if let Some(message) = scene.start_error {
            return Err(EngineError::Refused { message });
        }
        if let Some(handle) = self.same(launch) {
            return Ok(handle);
        }
        self.replace(launch);
        {
            let mut launched = self.launched.lock().expect("no code panics while it holds the lock");
            *launched.entry((launch.trial.name.to_string(), launch.attempt)).or_default() += 1;
        }
        let id = format!("fake-{}", self.serial.fetch_add(1, Ordering::SeqCst));
        let running = self.running.fetch_add(1, Ordering::SeqCst) + 1;
        self.peak.fetch_max(running, Ordering::SeqCst);
        let attempt = FakeAttempt {
            course: Course { scene, started: Instant::now() },
            labels: launch.labels.clone(),
            meets: watch::Sender::new(Meets::default()),
            counted: true,
        };
        self.attempts.lock().expect("no code panics while it holds the lock").insert(id.clone(), attempt);
        Ok(self.handle(id))
    }

    async fn healthy(&self, handle: &Handle, check: &Healthcheck) -> Result<Health, EngineError> {
        match self.followed(handle) {
            Some((course, mut meets)) => Ok(course.health(check, &mut meets).await),
            None => Ok(Health::Ended),
        }
    }

    async fn wait(&self, handle: &Handle, output: &mut Output) -> Result<Exit, EngineError> {
        let Some((course, mut meets)) = self.followed(handle) else {
            return Err(EngineError::Refused { message: format!("no attempt `{}`", handle.id) });
        };
        output.restart();
        output.stdout(course.scene.stdout.as_bytes());
        output.stderr(course.scene.stderr.as_bytes());
        let mut said = 0;
        for (after, saying) in &course.scene.later {
            if !course.comes_to(*after, &mut meets).await {
                break;
            }
            match saying {
                Saying::Text(text) => output.stdout(text.as_bytes()),
                Saying::Record(record) => output.tell(record.clone()),
            }
            said += 1;
        }
        let exit = course.ended(&mut meets).await;
        self.end(handle);
        let by_itself = course.ends_by_itself(&meets.borrow());
        if let Some(director) = &self.director {
            let trial = self.with(handle, |attempt| attempt.labels.get(label::TRIAL).cloned()).flatten();
            director.ended(&trial.unwrap_or_default(), &course.scene, said, by_itself);
        }
        if let Some(usage) = &course.scene.usage {
            output.used(usage);
        }
        if course.scene.lost && exit == course.scene.exit {
            return Err(EngineError::Refused { message: "nobody knows how it ended".to_owned() });
        }
        Ok(exit)
    }

    async fn collect(
        &self,
        handle: &Handle,
        _launch: &Launch,
        (_path, place): (&str, &str),
        outputs: &Outputs,
    ) -> Result<bool, EngineError> {
        let files = self.with(handle, |attempt| attempt.course.scene.files.clone()).unwrap_or_default();
        let mut is_there = false;
        for (name, text) in files {
            let name = output::place(&name).unwrap_or_default();
            let rest = name.strip_prefix(place).filter(|rest| rest.is_empty() || rest.starts_with('/'));
            if let Some(rest) = rest {
                is_there = true;
                outputs.take_text(&format!("{place}{rest}"), &text);
            }
        }
        Ok(is_there)
    }

    async fn stop(&self, handle: &Handle, grace: Duration) -> Result<(), EngineError> {
        self.with(handle, |attempt| {
            let now = Instant::now();
            let deaf = attempt.course.scene.stubborn || grace.is_zero();
            let (exit, at) = if deaf { (Exit::Signal(9), later(now, grace)) } else { (Exit::Signal(15), now) };
            attempt.meets.send_modify(|meets| meets.ask(exit, at));
        });
        if let Some((course, mut meets)) = self.followed(handle) {
            course.ended(&mut meets).await;
        }
        Ok(())
    }

    async fn pause(&self, handle: &Handle) -> Result<(), EngineError> {
        self.with(handle, |attempt| attempt.meets.send_if_modified(Meets::pause));
        Ok(())
    }

    async fn unpause(&self, handle: &Handle) -> Result<(), EngineError> {
        self.with(handle, |attempt| attempt.meets.send_if_modified(Meets::unpause));
        Ok(())
    }

    async fn gpus(&self) -> Result<Vec<Gpu>, EngineError> {
        Ok(self.capabilities.gpus.clone())
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
                    handle: self.handle(id.clone()),
                    trial,
                    labels: attempt.labels.clone(),
                    standing: if attempt.runs() { Standing::Running } else { Standing::Ended },
                })
            })
            .collect())
    }

    async fn clean(&self, _selector: &Selector) -> Result<Cleaned, EngineError> {
        Ok(Cleaned::default())
    }
}
