//! A session: the engines of this process and the runs started on them. Its methods block; its runs do not.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use rand::RngExt;
use tokio::runtime::{Handle as Tokio, Runtime};
use tokio::sync::{mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::engine::{Engine, EngineError, Launch, Obstacle, Selector, Settings, Survey};
use crate::model::capability::Gpu;
use crate::model::command::Command;
use crate::model::event::{Event, Journal};
use crate::model::experiment::Experiment;
use crate::model::label;
use crate::model::name::{EngineName, Name, RunId};
use crate::model::options::Options;
use crate::model::trial::Trial;
use crate::plan::{self, Plan, PlanError};
use crate::run::clock::Stillness;
use crate::run::dispatcher::{Again, Beginning, Dispatcher};
use crate::run::engines::Engines;
use crate::run::executor::Executor;
use crate::run::interrupt::Interrupt;
use crate::run::kill::{Killed, kill};
use crate::run::message::Request;
use crate::run::past::Past;
use crate::run::permits::Permits;
use crate::run::start::Start;
use crate::run::uploads::{UploadError, Uploads};

/// How long the models of GPUs that were named may take to be found: they are only shown.
const LOOK_FOR_MODELS: Duration = Duration::from_secs(3);

/// The engines of this process and the runs started on them. Clones share one state.
#[derive(Debug, Clone)]
pub struct Session {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    runtime: Runtime,
    engines: Engines,
    interrupt: Interrupt,
    runs: Mutex<Vec<JoinHandle<()>>>,
}

/// What keeps a run from starting.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The experiment cannot be planned.
    #[error(transparent)]
    Plan(#[from] PlanError),
    /// An engine failed.
    #[error(transparent)]
    Engine(#[from] EngineError),
    /// Something stands in the way on the engine; nothing was started.
    #[error("{}", obstacles(.0))]
    Obstacles(Vec<Obstacle>),
    /// Outputs cannot be sent where they are to go; nothing was started.
    #[error(transparent)]
    Uploads(#[from] UploadError),
}

/// A run that was started. Dropping it before its end stops its trials.
#[derive(Debug)]
pub struct Live {
    tokio: Tokio,
    notices: mpsc::UnboundedReceiver<Notice>,
    commands: Commands,
    stillness: Stillness,
}

/// What a run tells.
#[derive(Debug)]
pub enum Notice {
    /// A fact.
    Event(Event),
    /// Nothing is left to do, for that time: the run ends when `Command::Close` is sent with that number, unless a trial
    /// is retried or submitted before.
    Drained(u64),
}

/// The way up to a run. Clones lead to the same run.
#[derive(Debug, Clone)]
pub struct Commands {
    sender: mpsc::UnboundedSender<Request>,
}

/// Threads of the runtime: the host is the trials', and threads that wake each other for every answer of a daemon cost
/// more than they bring (measured: a sixth of combu's CPU time per trial). One is too few: starting a process blocks its
/// thread until the program is loaded.
fn workers(cpus: usize) -> usize {
    (cpus / 2).clamp(2, 4)
}

impl Session {
    /// A session on a new tokio runtime.
    ///
    /// # Errors
    /// When the runtime's threads cannot be started.
    pub fn new(engines: Engines) -> std::io::Result<Self> {
        let workers = std::thread::available_parallelism().map_or(1, |cpus| workers(cpus.get()));
        let mut runtime = tokio::runtime::Builder::new_multi_thread();
        let runtime = runtime.worker_threads(workers).enable_all().thread_name("combu").build()?;
        let shared = Shared { runtime, engines, interrupt: Interrupt::default(), runs: Mutex::default() };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// A session that connects engines as `settings` say.
    ///
    /// # Errors
    /// When the runtime's threads cannot be started.
    pub fn connecting(settings: Settings) -> std::io::Result<Self> {
        Self::new(Engines::new(settings))
    }

    /// Interrupts of every run of this session.
    pub fn interrupt(&self) -> &Interrupt {
        &self.shared.interrupt
    }

    /// The runtime the runs live on.
    pub fn tokio(&self) -> &Tokio {
        self.shared.runtime.handle()
    }

    /// The engine of that name, connected at its first use.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub fn engine(&self, name: EngineName) -> Result<Arc<dyn Engine>, EngineError> {
        self.tokio().block_on(self.shared.engines.get(name))
    }

    /// Checks and orders an experiment for the engines its trials name; `options` win over the experiment's own.
    /// Starts nothing.
    ///
    /// # Errors
    /// When it cannot be planned, or an engine it needs cannot be reached.
    pub fn plan(&self, experiment: Experiment, options: Options) -> Result<Plan, RunError> {
        let engine_of = |trial| plan::engine_of(trial, &options, &experiment.options);
        let trials = experiment.trials.iter().map(|trial| (engine_of(trial), trial));
        let named = options.gpus.as_deref().or(experiment.options.gpus.as_deref());
        let engines = self.capabilities(trials, named)?;
        Ok(plan::build(experiment, options, &engines)?)
    }

    /// What would be made, and what stands in the way. Starts nothing.
    ///
    /// # Errors
    /// When an engine fails.
    pub fn survey(&self, plan: &Plan) -> Result<Survey, RunError> {
        let executor = self.executor(plan, &RunId::from("survey"), None);
        let mut launches: BTreeMap<EngineName, Vec<Launch>> = BTreeMap::new();
        for trial in &plan.trials {
            launches.entry(trial.engine.unwrap_or_default()).or_default().push(executor.launch(
                trial,
                1,
                Vec::new(),
                Vec::new(),
            ));
        }
        let mut survey = Survey::default();
        for (name, launches) in launches {
            let engine = self.engine(name)?;
            let part = self.tokio().block_on(engine.survey(&launches))?;
            survey.makes.extend(part.makes);
            survey.uses.extend(part.uses);
            survey.digests.extend(part.digests);
            survey.obstacles.extend(part.obstacles);
        }
        Ok(survey)
    }

    /// Starts a run.
    ///
    /// # Errors
    /// When something stands in the way, or an engine fails; nothing was started then.
    pub fn start(&self, plan: Plan, start: Start) -> Result<Live, RunError> {
        let Start { run, folder, journal, reused, past } = start;
        let mut obstacles = self.survey(&plan)?.obstacles;
        // What is not run needs neither a name nor an image.
        obstacles.retain(|obstacle| obstacle.trial().is_none_or(|trial| !reused.contains_key(trial)));
        obstacles.retain(|obstacle| !past.as_ref().is_some_and(|past| is_its_own(past, obstacle)));
        if !obstacles.is_empty() {
            return Err(RunError::Obstacles(obstacles));
        }
        let trials = plan.trials.iter().map(|trial| (trial.engine.unwrap_or_default(), &**trial));
        let engines = self.capabilities(trials, plan.experiment.options.gpus.as_deref())?;
        let permits = Permits::new(&engines, &plan.experiment.options);
        let mut executor = self.executor(&plan, &run, folder);
        if let Some(destination) = &plan.experiment.options.outputs_to {
            let opening = Uploads::open(destination, &plan.experiment.name, &run);
            executor.uploads = Some(Arc::new(self.tokio().block_on(opening)?));
        }
        let beginning = match past {
            Some(past) => Beginning::Again(Box::new(self.find_again(&plan, past)?)),
            None => Beginning::Anew { reused },
        };
        let (live, dispatched) = start_on(self.tokio(), plan, permits, executor, journal, beginning);
        self.shared.interrupt.register(&live);
        let mut runs = self.shared.runs.lock().expect("no code panics while it holds the lock");
        runs.retain(|run| !run.is_finished());
        runs.push(dispatched);
        Ok(live)
    }

    /// Looks for what an earlier life of a run left on its engines.
    fn find_again(&self, plan: &Plan, past: Past) -> Result<Again, EngineError> {
        let selector = Selector { labels: [(label::RUN.to_owned(), past.run.to_string())].into() };
        let mut found = Vec::new();
        for name in plan.engines() {
            let engine = self.engine(name)?;
            found.extend(self.tokio().block_on(engine.find(&selector))?);
        }
        Ok(Again { past, found })
    }

    /// Waits until every run of this session has ended and cleaned up.
    pub fn join(&self) {
        let runs = std::mem::take(&mut *self.shared.runs.lock().expect("no code panics while it holds the lock"));
        for run in runs {
            // A dispatcher that failed inside has told so already, as a panic.
            let _failed = self.tokio().block_on(run);
        }
    }

    /// Stops and removes everything that carries the labels on that engine.
    ///
    /// # Errors
    /// When the engine cannot be reached or asked. What could not be removed is listed in the value.
    pub fn kill(&self, selector: &Selector, engine: EngineName, grace: Duration) -> Result<Killed, EngineError> {
        let engine = self.engine(engine)?;
        self.tokio().block_on(kill(engine.as_ref(), selector, grace))
    }

    /// What the engines of these trials can do, with the GPUs of those engines whose trials ask for some: those that the
    /// user named, whoever uses them, or else those that are found.
    fn capabilities<'a>(
        &self,
        trials: impl Iterator<Item = (EngineName, &'a Trial)>,
        named: Option<&[String]>,
    ) -> Result<plan::Engines, EngineError> {
        let mut asking: BTreeMap<EngineName, bool> = BTreeMap::new();
        for (name, trial) in trials {
            *asking.entry(name).or_default() |= trial.gpus.is_some();
        }
        let mut engines = plan::Engines::new();
        for (name, asks) in asking {
            let engine = self.engine(name)?;
            let mut capabilities = engine.capabilities().clone();
            if asks {
                capabilities.gpus = self.tokio().block_on(gpus(&*engine, named))?;
            }
            engines.insert(name, capabilities);
        }
        Ok(engines)
    }

    fn executor(&self, plan: &Plan, run: &RunId, folder: Option<PathBuf>) -> Executor {
        let seed = plan.experiment.options.seed.unwrap_or_else(|| u64::from(rand::random::<u32>()));
        Executor::new(&plan.experiment, run.clone(), seed, folder, self.shared.engines.clone())
    }
}

/// A new id of a run, or of a load of a spec: 12 random characters `[a-z0-9]`.
pub fn new_id() -> String {
    const LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut random = rand::rng();
    (0..12).map(|_| char::from(LETTERS[random.random_range(0..LETTERS.len())])).collect()
}

/// Starts a run's dispatcher.
pub(crate) fn start_on(
    tokio: &Tokio,
    plan: Plan,
    permits: Permits,
    executor: Executor,
    journal: Box<dyn Journal>,
    beginning: Beginning,
) -> (Live, JoinHandle<()>) {
    // Unbounded, both: a run never waits for a terminal or a script, and people send few commands.
    let (notice_sender, notices) = mpsc::unbounded_channel();
    let (sender, requests) = mpsc::unbounded_channel();
    let commands = Commands { sender };
    let (stillness, dispatched) = {
        let _inside = tokio.enter();
        let dispatcher = Dispatcher::new(&plan, permits, executor, journal, (requests, notice_sender), &beginning);
        (dispatcher.stillness(), tokio.spawn(dispatcher.run(plan, beginning)))
    };
    (Live { tokio: tokio.clone(), notices, commands, stillness }, dispatched)
}

/// Whether what stands in the way is the run's own: an attempt of an earlier life, or in the way of a trial that has ended.
fn is_its_own(past: &Past, obstacle: &Obstacle) -> bool {
    match obstacle {
        Obstacle::Running { run, .. } => *run == past.run.to_string(),
        Obstacle::Foreign { trial, .. } => !past.is_open(trial),
        Obstacle::MissingImage { .. } => false,
    }
}

/// The GPUs of an engine's host, or those of them that were named: then what is found only tells their models.
async fn gpus(engine: &dyn Engine, named: Option<&[String]>) -> Result<Vec<Gpu>, EngineError> {
    let Some(named) = named else { return engine.gpus().await };
    let found = match tokio::time::timeout(LOOK_FOR_MODELS, engine.gpus()).await {
        Ok(Ok(found)) => found,
        // Named because they cannot be found, perhaps.
        Ok(Err(_)) | Err(_) => Vec::new(),
    };
    Ok(named.iter().map(|id| Gpu::named(id, &found)).collect())
}

impl Commands {
    /// Sends a command; a run that has ended takes none, and that is no error.
    pub fn send(&self, command: Command) {
        let _gone = self.sender.send(Request::Do(command));
    }

    /// What a trial waits for, as sentences: what it is doing, then each thing that it lacks. `None` when it is not in the
    /// run, or the run has ended. Blocks; not for use inside the runtime.
    pub fn why(&self, trial: &Name) -> Option<Vec<String>> {
        let (answer, answered) = oneshot::channel();
        self.sender.send(Request::Why { trial: trial.clone(), answer }).ok()?;
        answered.blocking_recv().ok()?
    }

    /// Whether the run has ended.
    pub fn is_closed(&self) -> bool {
        self.sender.is_closed()
    }
}

/// The notices to the last. Blocks; not for use inside the runtime.
impl Iterator for Live {
    type Item = Notice;

    fn next(&mut self) -> Option<Notice> {
        self.notices.blocking_recv()
    }
}

impl Live {
    /// The next notice, unless none comes in that time. Blocks; not for use inside the runtime.
    pub fn next_within(&mut self, time: Duration) -> Option<Notice> {
        let notices = &mut self.notices;
        self.tokio.block_on(async { tokio::time::timeout(time, notices.recv()).await.ok().flatten() })
    }

    /// The next notice; `None` after the last.
    pub async fn recv(&mut self) -> Option<Notice> {
        self.notices.recv().await
    }

    /// What tells that this run stands still.
    pub(crate) fn stillness(&self) -> &Stillness {
        &self.stillness
    }

    /// The way up to this run.
    pub fn commands(&self) -> &Commands {
        &self.commands
    }
}

fn obstacles(obstacles: &[Obstacle]) -> String {
    obstacles.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::gpus;
    use crate::engine::Settings;
    use crate::engine::local::Local;

    #[tokio::test]
    async fn named_gpus_are_taken_as_they_are_also_where_none_can_be_found() {
        let missing = Settings { nvidia_smi: Some("/nonexistent/nvidia-smi".into()), ..Settings::default() };
        let local = Local::connect(&missing).unwrap();
        assert!(gpus(&local, None).await.is_err());
        let named = gpus(&local, Some(&["3".to_owned(), "nvidia.com/gpu=0".to_owned()])).await.unwrap();
        assert_eq!(named.iter().map(|gpu| gpu.id.as_str()).collect::<Vec<_>>(), ["3", "nvidia.com/gpu=0"]);
    }
}
