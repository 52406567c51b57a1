//! A session: the engines of this process and the runs started on them. Its methods block; its runs do not.

pub(crate) mod driver;
pub mod images;
pub mod interrupt;
pub mod live;
pub mod observer;
pub mod start;

use std::cell::OnceCell;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use rand::RngExt;
use tokio::runtime::{Handle as Tokio, Runtime};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{sleep_until, timeout_at};

use crate::engine::fake::Director;
use crate::engine::{Engine, EngineError, Obstacle, PrepareProgress, Selector, Settings, Survey};
use crate::model::capability::Gpu;
use crate::model::event::{Event, Journal};
use crate::model::experiment::Experiment;
use crate::model::history::History;
use crate::model::label;
use crate::model::name::{EngineName, Name, RunId};
use crate::model::options::Options;
use crate::model::trial::settled::Settled;
use crate::plan::{self, Plan, PlanError, Problem};
use crate::run::clock::Clock;
use crate::run::connections::{Connections, other_daemon};
use crate::run::context::RunContext;
use crate::run::dispatcher::Dispatcher;
use crate::run::dispatcher::life::{Beginning, Resumption};
use crate::run::load::Reading;
use crate::run::passed::{MissingValues, Passed};
use crate::run::permits::SharedRoom;
use crate::run::purpose::Purpose;
use crate::run::session::driver::Driver;
use crate::run::session::images::MissingImage;
use crate::run::session::interrupt::Interrupt;
use crate::run::session::live::{Live, Part, first_of};
use crate::run::session::start::Start;
use crate::run::uploads::{UploadError, Uploads};
use crate::run::user;

/// How long the models of GPUs that were named may take to be found: they are only shown.
const LOOK_FOR_MODELS: Duration = Duration::from_secs(3);

/// The engines of this process and the runs started on them. Clones share one state.
#[derive(Debug, Clone)]
pub struct Session {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    /// In a simulation, for what lies beside its runs: signals.
    runtime: Runtime,
    driver: Driver,
    engines: Connections,
    interrupt: Interrupt,
    runs: Mutex<Vec<JoinHandle<()>>>,
    /// What its runs share, if they do.
    room: Mutex<Option<SharedRoom>>,
}

/// The moment has come up to which something was waited for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct TimeUp;

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
    /// Images cannot be had; nothing was started.
    #[error("{}", images_text(.0))]
    Images(Vec<MissingImage>),
    /// Values that trials are to be given cannot be had; nothing was started.
    #[error(transparent)]
    Values(#[from] MissingValues),
    /// Outputs cannot be sent where they are to go; nothing was started.
    #[error(transparent)]
    Uploads(#[from] UploadError),
}

/// An experiment that was planned, and what the engines said of it: each is asked once for a start.
#[derive(Debug, Clone)]
pub struct Prepared {
    /// The plan.
    pub plan: Plan,
    engines: plan::Engines,
    survey: OnceCell<Survey>,
}

/// Threads of the runtime: the host is the trials', and threads that wake each other for every answer of a daemon cost
/// more than they bring (measured: a sixth of combu's CPU time per trial). One is too few: starting a process blocks its
/// thread until the program is loaded.
fn workers(cpus: usize) -> usize {
    (cpus / 2).clamp(2, 4)
}

fn threads(count: usize) -> std::io::Result<Runtime> {
    let mut runtime = tokio::runtime::Builder::new_multi_thread();
    runtime.worker_threads(count).enable_all().thread_name("combu").build()
}

impl Session {
    /// A session on a new tokio runtime.
    ///
    /// # Errors
    /// When the runtime's threads cannot be started.
    pub fn new(engines: Connections) -> std::io::Result<Self> {
        let workers = std::thread::available_parallelism().map_or(1, |cpus| workers(cpus.get()));
        let runtime = threads(workers)?;
        let driver = Driver::from(runtime.handle());
        Ok(Self::on(runtime, driver, engines, Interrupt::default()))
    }

    /// A session in virtual time on engines that run nothing: what attempts do, the director says, and time passes only while a thread waits for
    /// something of the session, and then at once. It ends as its runs do; the load of the machine holds nothing back, nothing is
    /// sent anywhere, and what is random follows from seeds.
    ///
    /// # Errors
    /// When the system refuses what a runtime needs, or does not tell how large this machine is.
    pub fn simulated(director: Arc<dyn Director>, interrupt: Interrupt) -> std::io::Result<Self> {
        let driver = Driver::in_virtual_time()?;
        let engines = driver.wait_for(Connections::directed(director)).map_err(std::io::Error::other)?;
        Ok(Self::on(threads(1)?, driver, engines, interrupt))
    }

    fn on(runtime: Runtime, driver: Driver, engines: Connections, interrupt: Interrupt) -> Self {
        let (runs, room) = (Mutex::default(), Mutex::default());
        Self { shared: Arc::new(Shared { runtime, driver, engines, interrupt, runs, room }) }
    }

    /// Has the runs that are started from now on share what those options give: a run's own budget is a part of it.
    pub fn share(&self, options: &Options) {
        *self.shared.room.lock().expect("no code panics while it holds the lock") = Some(SharedRoom::new(options));
    }

    /// A session that connects engines as `settings` say.
    ///
    /// # Errors
    /// When the runtime's threads cannot be started.
    pub fn connecting(settings: Settings) -> std::io::Result<Self> {
        Self::new(Connections::new(settings))
    }

    /// Interrupts of every run of this session.
    pub fn interrupt(&self) -> &Interrupt {
        &self.shared.interrupt
    }

    /// Threads for what lies beside the runs: signals, sockets.
    pub fn tokio(&self) -> &Tokio {
        self.shared.runtime.handle()
    }

    /// Waits for something of a run or an engine, on the calling thread, which is none of the session's.
    pub(crate) fn wait_for<F: Future>(&self, what: F) -> F::Output {
        self.shared.driver.wait_for(what)
    }

    /// This moment on the clock of its runs.
    pub(crate) fn moment(&self) -> Instant {
        let _inside = self.shared.driver.enter();
        tokio::time::Instant::now().into_std()
    }

    /// Waits for what comes next of these runs, but not beyond that moment: see [`first_of`].
    ///
    /// # Errors
    /// When the time is up.
    pub(crate) fn first_of(
        &self,
        runs: &mut [(&mut Live, Part)],
        until: Option<Instant>,
    ) -> Result<Option<(usize, Option<Event>)>, TimeUp> {
        self.wait_for(async {
            match until {
                Some(until) => timeout_at(until.into(), first_of(runs)).await.map_err(|_| TimeUp),
                None => Ok(first_of(runs).await),
            }
        })
    }

    /// Waits for that moment.
    pub(crate) fn wait_until(&self, moment: Instant) {
        self.wait_for(async { sleep_until(moment.into()).await });
    }

    /// The time that has passed in a simulation, and what its clocks show, in milliseconds since 1970-01-01 UTC. Absent in real
    /// time.
    pub fn virtual_time(&self) -> Option<(Duration, u64)> {
        self.shared.driver.virtual_time()
    }

    /// The engine of that name, connected at its first use.
    ///
    /// # Errors
    /// When it cannot be reached.
    pub fn engine(&self, name: EngineName) -> Result<Arc<dyn Engine>, EngineError> {
        self.wait_for(self.shared.engines.get(name))
    }

    /// Checks and orders an experiment for the engines its trials name; `options` win over the experiment's own.
    /// Starts nothing.
    ///
    /// # Errors
    /// When it cannot be planned, or an engine it needs cannot be reached.
    pub fn prepare(&self, experiment: Experiment, mut options: Options) -> Result<Prepared, RunError> {
        let in_force = plan::in_force(options.clone(), experiment.options.clone());
        let mut asking: BTreeMap<EngineName, bool> = BTreeMap::new();
        for trial in &experiment.trials {
            *asking.entry(Settled::engine_of(trial, &in_force.defaults)).or_default() |= trial.gpus.is_some();
        }
        if let Some(prefix) = &in_force.defaults.prefix {
            let resolved = prefix.resolved(&experiment.name, user::name);
            options.defaults.prefix = Some(resolved.map_err(|message| PlanError {
                experiment: experiment.name.clone(),
                problems: vec![Problem::BadPrefix { message }],
            })?);
        }
        let engines = self.capabilities(asking, in_force.budget.gpus.as_deref())?;
        Ok(Prepared { plan: plan::build(experiment, options, &engines)?, engines, survey: OnceCell::new() })
    }

    /// The experiment of a run that was left, as far as it takes to keep what is left of it: whether it could run now does
    /// not matter.
    ///
    /// # Errors
    /// When an engine of its trials cannot be reached.
    pub fn recall(&self, experiment: Experiment) -> Result<Prepared, RunError> {
        let defaults = &experiment.options.defaults;
        let asking = experiment.trials.iter().map(|trial| (Settled::engine_of(trial, defaults), false)).collect();
        let engines = self.capabilities(asking, None)?;
        Ok(Prepared { plan: plan::recall(experiment, &engines), engines, survey: OnceCell::new() })
    }

    /// What would be made, and what stands in the way. Starts nothing.
    ///
    /// # Errors
    /// When an engine fails.
    pub fn survey<'a>(&self, prepared: &'a Prepared) -> Result<&'a Survey, RunError> {
        if let Some(survey) = prepared.survey.get() {
            return Ok(survey);
        }
        let plan = &prepared.plan;
        let spec = plan.experiment.spec.to_string_lossy();
        let mut trials: BTreeMap<EngineName, Vec<Arc<Settled>>> = BTreeMap::new();
        for trial in &plan.trials {
            trials.entry(trial.engine).or_default().push(trial.clone());
        }
        let mut survey = Survey::default();
        for (name, trials) in trials {
            let engine = self.engine(name)?;
            let part = self.wait_for(engine.survey(&spec, &trials))?;
            survey.makes.extend(part.makes);
            survey.uses.extend(part.uses);
            survey.warnings.extend(part.warnings);
            survey.digests.extend(part.digests);
            survey.obstacles.extend(part.obstacles);
            survey.finished.extend(part.finished);
        }
        Ok(prepared.survey.get_or_init(|| survey))
    }

    /// Pulls the images of a run that are not there, but of the trials for which `is_over` holds. An interrupt ends it.
    ///
    /// # Errors
    /// All that cannot be had, or an engine that is out of reach.
    pub fn fetch_images(
        &self,
        prepared: &Prepared,
        run: &RunId,
        is_over: impl Fn(&Name) -> bool,
        progress: &PrepareProgress<'_>,
    ) -> Result<(), RunError> {
        let context = self.context(&prepared.plan, run, None);
        let trials = prepared.plan.trials.iter().filter(|trial| !is_over(&trial.name));
        let missing = self.wait_for(images::fetch(&context, trials, self.interrupt(), progress))?;
        if missing.is_empty() { Ok(()) } else { Err(RunError::Images(missing)) }
    }

    /// Looks whether everything can be had now that a run of this plan passes on to its trials. Keeps nothing of it.
    ///
    /// # Errors
    /// What cannot be had.
    pub fn check_values(&self, plan: &Plan) -> Result<(), MissingValues> {
        Passed::default().read(plan.trials.iter().map(|trial| &*trial.written))
    }

    /// Starts a run.
    ///
    /// # Errors
    /// When something stands in the way, a value that is to be passed on cannot be had, or an engine fails; nothing was
    /// started then.
    pub fn start(&self, prepared: Prepared, start: Start) -> Result<Live, RunError> {
        let Start { run, folder, journal, reused, past, purpose } = start;
        if let Some(past) = past.as_ref().filter(|past| past.may_have_left_something()) {
            let mut engines = prepared.engines.iter();
            if let Some(error) = engines.find_map(|(name, engine)| other_daemon(past.daemon(*name), engine)) {
                return Err(error.into());
            }
        }
        let starts = purpose.starts();
        let (mut obstacles, warnings) = match starts {
            true => self.survey(&prepared).map(|survey| (survey.obstacles.clone(), survey.warnings.clone()))?,
            false => (Vec::new(), Vec::new()),
        };
        // What is not run needs neither a name nor an image.
        obstacles.retain(|obstacle| obstacle.trial().is_none_or(|trial| !reused.contains_key(trial)));
        obstacles.retain(|obstacle| !past.as_ref().is_some_and(|past| is_its_own(&run, past, obstacle)));
        if !obstacles.is_empty() {
            return Err(RunError::Obstacles(obstacles));
        }
        let Prepared { mut plan, engines, .. } = prepared;
        plan.warnings.extend(warnings);
        let is_over = |trial: &Settled| match &past {
            Some(past) => !trial.service && !past.is_open(&trial.name),
            None => reused.contains_key(&trial.name),
        };
        let passed = Passed::default();
        passed.read(plan.trials.iter().filter(|trial| starts && !is_over(trial)).map(|trial| &*trial.written))?;
        let mut context = self.context(&plan, &run, folder);
        context.passed = passed;
        context.room = self.shared.room.lock().expect("no code panics while it holds the lock").clone();
        // `resume` sends what is not sent.
        if let Some(destination) =
            plan.experiment.options.outputs_to.as_ref().filter(|_| starts && self.virtual_time().is_none())
        {
            let opening = Uploads::open(destination, &plan.experiment.name, &run);
            context.uploads = Some(Arc::new(self.wait_for(opening)?));
        }
        context.resumed = past.is_some();
        context.contents = past.as_ref().map(History::contents).unwrap_or_default();
        let beginning = match past {
            Some(past) => Beginning::Again(Box::new(self.find_again(&plan, &run, past, purpose)?)),
            None => Beginning::Anew { reused },
        };
        let (live, dispatched) = start_on(&self.shared.driver, plan, engines, context, journal, beginning);
        // What only keeps ends is not stopped by one: what had ended by itself would seem to have been killed.
        if starts {
            self.shared.interrupt.register(&live);
        }
        let mut runs = self.shared.runs.lock().expect("no code panics while it holds the lock");
        runs.retain(|run| !run.is_finished());
        runs.push(dispatched);
        Ok(live)
    }

    /// A run that has ended before.
    pub(crate) fn ended(&self) -> Live {
        Live::over(self.shared.driver.clone())
    }

    /// Looks for what an earlier life of a run left on its engines.
    fn find_again(&self, plan: &Plan, run: &RunId, past: History, purpose: Purpose) -> Result<Resumption, EngineError> {
        let selector = Selector { labels: [(label::RUN.to_owned(), run.to_string())].into() };
        let engines = self.reached(None)?.with(&plan.engines().into_iter().collect())?;
        let found = self.find(&selector, &engines)?;
        Ok(Resumption { past, found, purpose })
    }

    /// Waits until every run of this session has ended and cleaned up.
    pub fn join(&self) {
        let runs = std::mem::take(&mut *self.shared.runs.lock().expect("no code panics while it holds the lock"));
        for run in runs {
            // A dispatcher that failed inside has told so already, as a panic.
            let _failed = self.wait_for(run);
        }
    }

    /// What these engines can do, with the GPUs of those whose trials ask for some: those that the user named, whoever
    /// uses them, or else those that are found.
    fn capabilities(
        &self,
        asking: BTreeMap<EngineName, bool>,
        named: Option<&[String]>,
    ) -> Result<plan::Engines, EngineError> {
        let mut engines = plan::Engines::new();
        for (name, asks_for_gpus) in asking {
            let engine = self.engine(name)?;
            let mut capabilities = engine.capabilities().clone();
            if asks_for_gpus {
                capabilities.gpus = self.wait_for(gpus(&*engine, named))?;
            }
            engines.insert(name, capabilities);
        }
        Ok(engines)
    }

    fn context(&self, plan: &Plan, run: &RunId, folder: Option<PathBuf>) -> RunContext {
        let time = self.virtual_time();
        let any = || if time.is_some() { 0 } else { u64::from(rand::random::<u32>()) };
        let seed = plan.experiment.options.seed.unwrap_or_else(any);
        let _inside = self.shared.driver.enter();
        let mut context = RunContext::new(&plan.experiment, run.clone(), seed, folder, self.shared.engines.clone());
        if let Some((_, now)) = time {
            context.clock = Clock::beginning(now);
            context.machine = Reading::idle;
        }
        context
    }
}

fn images_text(missing: &[MissingImage]) -> String {
    missing.iter().map(|one| one.error.chain()).collect::<Vec<_>>().join("; ")
}

/// A new id of a run, or of a load of a spec: 12 random characters `[a-z0-9]`.
pub fn new_id() -> String {
    const LETTERS: &[u8; 36] = b"abcdefghijklmnopqrstuvwxyz0123456789";
    let mut random = rand::rng();
    (0..12).map(|_| char::from(LETTERS[random.random_range(0..LETTERS.len())])).collect()
}

/// Starts a run's dispatcher.
pub(crate) fn start_on(
    driver: &Driver,
    plan: Plan,
    engines: plan::Engines,
    context: RunContext,
    journal: Box<dyn Journal>,
    beginning: Beginning,
) -> (Live, JoinHandle<()>) {
    // Unbounded, both: a run never waits for a terminal or a script, and people send few commands.
    let (notice_sender, notices) = mpsc::unbounded_channel();
    let (sender, requests) = mpsc::unbounded_channel();
    let (stillness, dispatched) = {
        let _inside = driver.enter();
        let (dispatcher, inbox) =
            Dispatcher::new(&plan, engines, context, journal, (requests, notice_sender), &beginning);
        (dispatcher.stillness(), tokio::spawn(dispatcher.run(plan, beginning, inbox)))
    };
    (Live::new(driver.clone(), notices, sender, stillness), dispatched)
}

/// Whether what stands in the way is the run's own: an attempt of an earlier life, or in the way of a trial that has ended.
fn is_its_own(id: &RunId, past: &History, obstacle: &Obstacle) -> bool {
    match obstacle {
        Obstacle::Running { run, .. } => *run == id.as_str(),
        Obstacle::Foreign { trial, .. } | Obstacle::MissingSource { trial, .. } => !past.is_open(trial),
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
