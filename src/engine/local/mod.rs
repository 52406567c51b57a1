//! The local engine: trials as process groups of this machine, with the manners of containers.
//!
//! It needs no daemon: `/proc` is its memory. What has ended leaves nothing behind, and what runs is found by the
//! labels in its environment, by any combu of the same user. It never limits how much a trial may use; only on which
//! cores, at which priority, and of which GPUs.

mod affinity;
mod attempt;
mod health;
mod launch;
mod pipes;
mod proc;
mod refusal;
mod watch;

use std::collections::{BTreeMap, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::available_parallelism;
use std::time::Duration;

use async_trait::async_trait;
use rustix::process::{Resource, Signal, getrlimit};

use crate::engine::error::EngineError;
use crate::engine::found::{Cleaned, Found, Obstacle, Selector, Standing, Survey};
use crate::engine::gpus::GpuSource;
use crate::engine::launch::{Claim, Launch};
use crate::engine::local::affinity::Affinity;
use crate::engine::local::attempt::LocalAttempt;
use crate::engine::local::launch::Programs;
use crate::engine::local::proc::{Process, ProcessGroup};
use crate::engine::local::watch::WatchProcess;
use crate::engine::output::Output;
use crate::engine::outputs::{Outputs, take_path};
use crate::engine::records;
use crate::engine::seam::{Engine, Health, PrepareProgress};
use crate::engine::settings::Settings;
use crate::model::capability::{Capabilities, Gpu};
use crate::model::handle::Handle;
use crate::model::label;
use crate::model::name::{EngineName, Name};
use crate::model::outcome::Exit;
use crate::model::trial::Healthcheck;
use crate::model::trial::settled::Settled;

pub use watch::watch;

/// The local engine.
#[derive(Debug)]
pub struct Local {
    capabilities: Capabilities,
    /// The attempts this engine started and that were not removed, by handle.
    attempts: Mutex<HashMap<String, KnownAttempt>>,
    watch: Option<Guard>,
    gpus: GpuSource,
    programs: Programs,
    /// Most attempts at once, for the limit of open files.
    most: usize,
}

/// Files that an attempt holds open: its two pipes, its end, its two logs, and two while it is started.
const FILES: u64 = 7;

/// Files that combu itself holds open.
const OWN_FILES: u64 = 48;

/// An attempt of ours, as far as it is still needed.
#[derive(Debug, Clone)]
enum KnownAttempt {
    Started(Arc<LocalAttempt>),
    Ended(Exit),
}

/// The guard against orphans: a watch process, and the mark of the trials it ends.
#[derive(Debug)]
struct Guard {
    program: PathBuf,
    token: String,
    /// Absent before the first start, and after the watch was lost.
    watch: Mutex<Option<WatchProcess>>,
}

impl Local {
    /// The engine of this machine. Starts nothing yet; the watch process comes with the first trial.
    ///
    /// # Errors
    /// [`EngineError::Unreachable`] where there is no `/proc`, without which no process can be told from another.
    pub fn connect(settings: &Settings) -> Result<Self, EngineError> {
        if let Err(source) = Path::new("/proc/self/stat").metadata() {
            let address = "/proc".to_owned();
            return Err(EngineError::Unreachable { engine: EngineName::Local, address, source: source.into() });
        }
        let cpus = available_parallelism().map_or(1, usize::from);
        let guard = |program: &PathBuf| Guard {
            program: program.clone(),
            token: format!("{:016x}", rand::random::<u64>()),
            watch: Mutex::new(None),
        };
        Ok(Self {
            capabilities: Capabilities {
                here: true,
                gpus: Vec::new(),
                engine: EngineName::Local,
                daemon: None,
                description: "processes of this machine".to_owned(),
                cpus: cpus as f64,
                memory: proc::memory(),
                starts: (4 * cpus).max(8),
                images: false,
                containers: false,
            },
            attempts: Mutex::default(),
            watch: settings.watch.as_ref().map(guard),
            gpus: GpuSource::new(settings),
            programs: Programs::default(),
            most: most(getrlimit(Resource::Nofile).current),
        })
    }

    fn token(&self) -> Option<&str> {
        self.watch.as_ref().map(|guard| guard.token.as_str())
    }

    /// # Errors
    /// [`EngineError::Busy`] while as many attempts run as there are files for.
    fn check_room(&self) -> Result<(), EngineError> {
        let started = |known: &&KnownAttempt| matches!(known, KnownAttempt::Started(_));
        if self.lock().values().filter(started).count() < self.most {
            return Ok(());
        }
        let message = format!("{} processes run, and the limit of open files (`ulimit -n`) allows no more", self.most);
        Err(EngineError::Busy { message })
    }

    fn known(&self, handle: &Handle) -> Option<KnownAttempt> {
        self.lock().get(&handle.id).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, KnownAttempt>> {
        self.attempts.lock().expect("no code panics while it holds the lock")
    }
}

/// The attempts that a limit of open files has room for.
fn most(files: Option<u64>) -> usize {
    let most = files.map(|files| files.saturating_sub(OWN_FILES) / FILES);
    most.and_then(|most| usize::try_from(most.max(1)).ok()).unwrap_or(usize::MAX)
}

#[async_trait]
impl Engine for Local {
    fn capabilities(&self) -> &Capabilities {
        &self.capabilities
    }

    async fn survey(&self, spec: &str, trials: &[Arc<Settled>]) -> Result<Survey, EngineError> {
        let mut survey = Survey::default();
        let running = running(BTreeMap::new()).await?;
        for trial in trials {
            let claim = Claim::new(spec, &trial.name);
            if let Some(group) = running.iter().find(|group| claim.covers(|key| group.labels.get(key))) {
                let run = group.labels.get(label::RUN).cloned().unwrap_or_default();
                survey.obstacles.push(Obstacle::Running { trial: trial.name.clone(), run });
            }
        }
        Ok(survey)
    }

    async fn prepare(&self, _launch: &Launch, _progress: &PrepareProgress<'_>) -> Result<Option<String>, EngineError> {
        Ok(None)
    }

    async fn start(&self, launch: &Launch) -> Result<Handle, EngineError> {
        let mut command = launch::command(launch, self.token(), &self.programs)?;
        // Without the file it starts all the same.
        if let Some(file) = records::plain(launch).filter(|file| records::make_plain(file).is_ok())
            && launch.variable(records::VARIABLE).is_none()
        {
            command.env(records::VARIABLE, file);
        }
        self.check_room()?;
        if let (Some(file), Some(params)) = (records::plain_params(launch), &launch.params) {
            records::write_plain_params(&file, params).map_err(|error| EngineError::Call {
                action: format!("write the params of `{}` to `{}`", launch.trial.name, file.display()),
                source: error.into(),
            })?;
            if launch.variable(records::PARAMS_VARIABLE).is_none() {
                command.env(records::PARAMS_VARIABLE, file);
            }
        }
        if let Some(guard) = &self.watch {
            guard.raise()?;
        }
        let kept = launch.trial.healthcheck.is_some().then(|| launch.clone());
        let attempt = LocalAttempt::start(command, kept, &Affinity::of(launch))?;
        if let Some(guard) = &self.watch {
            guard.started(attempt.process);
        }
        let id = attempt.process.id();
        self.lock().insert(id.clone(), KnownAttempt::Started(Arc::new(attempt)));
        Ok(Handle { engine: EngineName::Local, id })
    }

    async fn metrics_file(&self, launch: &Launch) -> Option<PathBuf> {
        records::plain(launch)
    }

    async fn params_file(&self, launch: &Launch) -> Option<String> {
        records::plain_params(launch).map(|file| file.display().to_string())
    }

    async fn collect(
        &self,
        _handle: &Handle,
        launch: &Launch,
        (path, place): (&str, &str),
        outputs: &Outputs,
    ) -> Result<bool, EngineError> {
        // A folder that is gone by now has nothing in it.
        let Ok(folder) = launch::folder(launch) else { return Ok(false) };
        let folder = if path.starts_with('/') { Path::new("/").to_owned() } else { folder };
        let (source, place, outputs) = (folder.join(place), place.to_owned(), outputs.clone());
        // The runs' own folder may lie in what is copied, and would be copied into itself.
        let runs = launch.folder.as_deref().and_then(Path::parent).map(Path::to_path_buf);
        let copied = tokio::task::spawn_blocking(move || take_path(&outputs, &place, &source, runs.as_deref()));
        copied.await.map_err(|error| EngineError::Call { action: format!("copy `{path}`"), source: error.into() })
    }

    async fn healthy(&self, handle: &Handle, check: &Healthcheck) -> Result<Health, EngineError> {
        match self.known(handle) {
            Some(KnownAttempt::Started(attempt)) => {
                health::verdict(&attempt, check, (self.token(), &self.programs)).await
            }
            Some(KnownAttempt::Ended(_)) => Ok(Health::Ended),
            None => Err(not_ours(handle)),
        }
    }

    async fn wait(&self, handle: &Handle, output: &mut Output) -> Result<Exit, EngineError> {
        let attempt = match self.known(handle) {
            Some(KnownAttempt::Started(attempt)) => attempt,
            Some(KnownAttempt::Ended(exit)) => return Ok(exit),
            None => return Err(not_ours(handle)),
        };
        let exit = attempt.wait(output).await?;
        if let Some(guard) = &self.watch {
            guard.ended(attempt.process);
        }
        // Its pipes and its pidfd are closed; the exit stays until it is removed.
        if let Some(known) = self.lock().get_mut(&handle.id) {
            *known = KnownAttempt::Ended(exit);
        }
        Ok(exit)
    }

    async fn stop(&self, handle: &Handle, grace: Duration) -> Result<(), EngineError> {
        match self.known(handle) {
            Some(KnownAttempt::Started(attempt)) => attempt.stop(grace).await,
            Some(KnownAttempt::Ended(_)) => Ok(()),
            None => match Process::parse(&handle.id) {
                Some(process) => attempt::stop_foreign(process, grace).await,
                None => Ok(()),
            },
        }
    }

    async fn pause(&self, handle: &Handle) -> Result<(), EngineError> {
        match self.known(handle) {
            Some(KnownAttempt::Started(attempt)) => attempt.pause(),
            Some(KnownAttempt::Ended(_)) => {}
            None => attempt::signal_foreign(handle, Signal::STOP),
        }
        Ok(())
    }

    async fn unpause(&self, handle: &Handle) -> Result<(), EngineError> {
        match self.known(handle) {
            Some(KnownAttempt::Started(attempt)) => attempt.unpause(),
            Some(KnownAttempt::Ended(_)) => {}
            None => attempt::signal_foreign(handle, Signal::CONT),
        }
        Ok(())
    }

    async fn gpus(&self) -> Result<Vec<Gpu>, EngineError> {
        self.gpus.look().await
    }

    async fn remove(&self, handle: &Handle) -> Result<(), EngineError> {
        self.stop(handle, Duration::ZERO).await?;
        let known = self.lock().remove(&handle.id);
        if let (Some(guard), Some(KnownAttempt::Started(attempt))) = (&self.watch, known) {
            guard.ended(attempt.process);
        }
        Ok(())
    }

    async fn find(&self, selector: &Selector) -> Result<Vec<Found>, EngineError> {
        let found = running(selector.labels.clone()).await?.into_iter().filter_map(|group| {
            let trial = Name::parse(group.labels.get(label::TRIAL)?).ok()?;
            let handle = Handle { engine: EngineName::Local, id: group.first.id() };
            Some(Found { handle, trial, labels: group.labels, standing: Standing::Running })
        });
        Ok(found.collect())
    }

    async fn clean(&self, _selector: &Selector) -> Result<Cleaned, EngineError> {
        Ok(Cleaned::default())
    }
}

impl Guard {
    /// Makes sure that a watch process listens.
    fn raise(&self) -> Result<(), EngineError> {
        let mut watch = self.lock();
        if watch.is_none() {
            *watch = Some(WatchProcess::start(&self.program, &self.token)?);
        }
        Ok(())
    }

    fn started(&self, process: Process) {
        let mut watch = self.lock();
        if watch.as_mut().is_some_and(|watch| !watch.started(process)) {
            // Somebody ended it: the next start brings a new one, which finds this group by its token.
            *watch = None;
        }
    }

    fn ended(&self, process: Process) {
        if let Some(watch) = self.lock().as_mut() {
            watch.ended(process);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<WatchProcess>> {
        self.watch.lock().expect("no code panics while it holds the lock")
    }
}

/// Reads all of `/proc`, away from the threads that serve other trials.
async fn running(labels: BTreeMap<String, String>) -> Result<Vec<ProcessGroup>, EngineError> {
    tokio::task::spawn_blocking(move || proc::groups(&labels))
        .await
        .map_err(|error| EngineError::Call { action: "read /proc".to_owned(), source: error.into() })
}

fn not_ours(handle: &Handle) -> EngineError {
    let message = format!("process group `{}` was started by another combu: only that one can wait for it", handle.id);
    EngineError::Refused { message }
}
