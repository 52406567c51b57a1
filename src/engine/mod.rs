//! The engine seam: how ONE trial is run. Never order, retries, limits of concurrency, or events.
//!
//! Nothing above this folder knows which engine runs a trial; `tests/it/contract.rs` holds every engine to the same
//! behaviour.

mod cgroup;
pub mod docker;
mod error;
pub mod fake;
mod gpus;
pub mod local;
mod output;
mod outputs;
mod records;
mod retrying;

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};

use crate::model::capability::{Capabilities, Gpu};
use crate::model::handle::Handle;
use crate::model::label;
use crate::model::name::{EngineName, Name, RunId};
use crate::model::outcome::Exit;
use crate::model::trial::{Healthcheck, Settled};

pub use error::EngineError;
pub use output::Output;
pub use outputs::Outputs;
pub use records::{Recorder, Tail};

pub(crate) use retrying::Retrying;

/// Runs one trial at a time; never decides which, when, or how often.
#[async_trait]
pub trait Engine: fmt::Debug + Send + Sync {
    /// What the engine can do; known since it was connected.
    fn capabilities(&self) -> &Capabilities;

    /// Looks, without changing anything, at what stands in the way of these launches and what would be made for them.
    async fn survey(&self, launches: &[Launch]) -> Result<Survey, EngineError>;

    /// Makes what the launch needs: images, networks. Idempotent; the same need of many launches is met once.
    async fn prepare(&self, launch: &Launch, progress: &Progress<'_>) -> Result<(), EngineError>;

    /// The id of the content of the launch's image, once it is prepared: `sha256:...`; absent where there is none.
    async fn digest(&self, _launch: &Launch) -> Option<String> {
        None
    }

    /// Starts an attempt; when this returns an error, nothing runs. After an error that may pass nobody may know what became
    /// of it: then a further start of the same launch takes over what there is, and never launches it twice. Replaces a
    /// finished attempt of the same experiment and trial; never touches anything else of the same name.
    async fn start(&self, launch: &Launch) -> Result<Handle, EngineError>;

    /// Waits until the healthcheck decided. A check without a `test` means the image's own.
    async fn healthy(&self, handle: &Handle, check: &Healthcheck) -> Result<Health, EngineError>;

    /// The file on this machine that the attempt of a launch finds under `COMBU_METRICS`, where it finds one.
    async fn metrics_file(&self, _launch: &Launch) -> Option<PathBuf> {
        None
    }

    /// Waits for the end and copies what the attempt writes, complete and in order, to `output`.
    /// Returns when both the exit is known and the output is complete. May be dropped and called again.
    async fn wait(&self, handle: &Handle, output: &mut Output) -> Result<Exit, EngineError>;

    /// Copies what lies at a path of an ended attempt, with all that is below it, to the place below the outputs; false where
    /// nothing lies there. Idempotent: what is there of it already is replaced. A relative path starts where the trial's
    /// command ran. May be dropped.
    async fn collect(
        &self,
        _handle: &Handle,
        _launch: &Launch,
        (path, _place): (&str, &str),
        _outputs: &Outputs,
    ) -> Result<bool, EngineError> {
        let engine = self.capabilities().engine;
        Err(EngineError::Refused { message: format!("the engine {engine} cannot copy `{path}` out of a trial") })
    }

    /// How long an ended attempt ran, by the engine's own clock; absent where it cannot say.
    async fn ran(&self, _handle: &Handle) -> Option<Duration> {
        None
    }

    /// Asks the attempt to end (SIGTERM, or the image's stop signal) and kills it after `grace`; zero kills at once.
    /// Idempotent: an attempt that has ended, or is unknown, is stopped. `wait` then returns its exit.
    async fn stop(&self, handle: &Handle, grace: Duration) -> Result<(), EngineError>;

    /// Makes a running attempt stand still, with every process of it. Idempotent; an attempt that has ended stays so.
    /// An engine that cannot do it refuses.
    async fn pause(&self, _handle: &Handle) -> Result<(), EngineError> {
        Err(EngineError::Refused { message: format!("the engine {} cannot pause a trial", self.capabilities().engine) })
    }

    /// Lets a paused attempt go on. Idempotent; for an engine that pauses nothing there is nothing to do.
    async fn unpause(&self, _handle: &Handle) -> Result<(), EngineError> {
        Ok(())
    }

    /// The GPUs of the engine's host, and who uses them now; none where nobody can say.
    async fn gpus(&self) -> Result<Vec<Gpu>, EngineError>;

    /// Removes what is left of an ended attempt (the container); of a running one, kills it first. Idempotent.
    async fn remove(&self, handle: &Handle) -> Result<(), EngineError>;

    /// Attempts of ours that carry all the labels, whether they run or not: found on the engine, not in a database.
    async fn find(&self, selector: &Selector) -> Result<Vec<Found>, EngineError>;

    /// Removes what was made for those attempts beside containers: networks that carry all the labels, unless others
    /// still use them.
    async fn clean(&self, selector: &Selector) -> Result<Cleaned, EngineError>;
}

/// What a healthcheck decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Health {
    /// It passed.
    Healthy,
    /// It failed as often in a row as it may, while the attempt runs.
    Unhealthy,
    /// The attempt ended before the check decided.
    Ended,
}

/// Takes what `prepare` is doing: the object (`image busybox`) and its state (`pulling, 3 of 7 layers`).
pub type Progress<'a> = dyn Fn(&str, &str) + Send + Sync + 'a;

/// Everything an engine is told of one attempt.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The run it belongs to.
    pub run: RunId,
    /// The trial, as it was decided for the run.
    pub trial: Arc<Settled>,
    /// From 1.
    pub attempt: u32,
    /// Cores of its own, if it is pinned: it runs on no other.
    pub cores: Vec<u32>,
    /// Ids of the GPUs that it gets, and no other.
    pub gpus: Vec<String>,
    /// The run's folder on this machine, if it has one.
    pub folder: Option<PathBuf>,
    /// combu's own variables (`COMBU_*`); the trial's `env` wins over them.
    pub env: Vec<(String, String)>,
    /// combu's own labels; see [`crate::model::label`].
    pub labels: BTreeMap<String, String>,
}

/// What became of the things that were made for attempts beside containers; as lines for people: `network irl`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// They are gone.
    pub removed: Vec<String>,
    /// Others still use them.
    pub kept: Vec<String>,
}

/// Selects attempts and networks by labels; all must match.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selector {
    /// Label -> value, from [`crate::model::label`].
    pub labels: BTreeMap<String, String>,
}

/// An attempt of ours that was found on an engine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The engine's name for it.
    pub handle: Handle,
    /// Its trial.
    pub trial: Name,
    /// Its labels.
    pub labels: BTreeMap<String, String>,
    /// How far it is.
    pub standing: Standing,
}

/// How far an attempt that was found is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// Its container was made and never started.
    Created,
    /// It runs, or is paused.
    Running,
    /// It ran and ended.
    Ended,
}

impl Found {
    /// Its number among the attempts of its trial, from 1, if its label tells.
    pub fn attempt(&self) -> Option<u32> {
        self.labels.get(label::ATTEMPT)?.parse().ok()
    }

    /// Its time between the stop signal and the kill, if its label tells.
    pub fn stop_grace(&self) -> Option<Duration> {
        Duration::try_from_secs_f64(self.labels.get(label::STOP_GRACE)?.parse().ok()?).ok()
    }
}

/// What a look at the engine says of launches to come.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// What will be made, as lines for people: `pull image busybox:1.36`, `create network irl`.
    pub makes: Vec<String>,
    /// What will be reused, as lines for people: `image busybox:1.36`, `network irl (not combu's: joined, never removed)`.
    pub uses: Vec<String>,
    /// Images that are there, and the id of the content of each: `sha256:...`.
    pub digests: BTreeMap<String, String>,
    /// What stands in the way; with any of these, nothing may be started.
    pub obstacles: Vec<Obstacle>,
}

/// Something that stands in the way of a launch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Obstacle {
    /// The experiment's own trial still runs, from that run.
    Running {
        /// The trial.
        trial: Name,
        /// The run that started it.
        run: String,
    },
    /// Something that is not this experiment's has the trial's name.
    Foreign {
        /// The trial.
        trial: Name,
        /// What has the name, for people: `a container of image postgres`, `a container of the experiment at /x/a.jsonnet`.
        holder: String,
    },
    /// An image is not there and may not be pulled.
    MissingImage {
        /// The image.
        image: String,
    },
}

impl Obstacle {
    /// The trial in whose way it stands, if it is one.
    pub fn trial(&self) -> Option<&Name> {
        match self {
            Self::Running { trial, .. } | Self::Foreign { trial, .. } => Some(trial),
            Self::MissingImage { .. } => None,
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running { trial, run } => write!(f, "`{trial}` is still running (run {run})"),
            Self::Foreign { trial, holder } => write!(f, "the name `{trial}` is taken by {holder}"),
            Self::MissingImage { image } => write!(f, "the image `{image}` is not there, and `pull` is \"never\""),
        }
    }
}

/// How to reach engines; what the command line and the environment say.
#[derive(Debug, Clone, Default)]
pub struct Settings {
    /// The program started (with `__watch`) to end local trials when combu dies; absent: none is started.
    pub watch: Option<PathBuf>,
    /// The program that tells this machine's GPUs, as `nvidia-smi` does; absent: `nvidia-smi`, where that is in `PATH`.
    pub nvidia_smi: Option<PathBuf>,
}

/// Connects to an engine.
///
/// # Errors
/// [`EngineError::Unreachable`] when nothing answers.
pub async fn connect(name: EngineName, settings: &Settings) -> Result<Arc<dyn Engine>, EngineError> {
    raise_file_limit();
    Ok(match name {
        EngineName::Docker => Arc::new(docker::Docker::connect(settings).await?),
        EngineName::Local => Arc::new(local::Local::connect(settings)?),
        EngineName::Fake => Arc::new(fake::Fake::default()),
    })
}

/// Every running trial holds two or three files, and the usual soft limit of 1024 ends that at some 300 trials.
///
/// Local trials inherit the limit, so it stays below what makes old programs slow that close every possible file.
fn raise_file_limit() {
    const ENOUGH: u64 = 65_536;
    let limit = getrlimit(Resource::Nofile);
    let wanted = limit.maximum.map_or(ENOUGH, |maximum| maximum.min(ENOUGH));
    if limit.current.is_some_and(|current| current < wanted) {
        // Raising the soft limit up to the hard one is always allowed; should it fail, only very wide runs would notice.
        let _kept = setrlimit(Resource::Nofile, Rlimit { current: Some(wanted), maximum: limit.maximum });
    }
}
