//! Findings on an engine: attempts of ours, what launches to come would meet, and what was cleaned up.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use crate::model::handle::Handle;
use crate::model::label;
use crate::model::name::Name;

/// Things made for attempts beside containers, and what became of them; as lines for people: `network irl`.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Cleaned {
    /// Things that are gone.
    pub removed: Vec<String>,
    /// Things that others still use.
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
    /// The attempt's trial.
    pub trial: Name,
    /// The attempt's labels.
    pub labels: BTreeMap<String, String>,
    /// Progress of the attempt.
    pub standing: Standing,
}

/// Progress of an attempt that was found.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// The container was made and never started.
    Created,
    /// The attempt runs, or is paused.
    Running,
    /// The attempt ran and ended.
    Ended,
}

impl Found {
    /// Number among the attempts of the trial, from 1, if its label says so.
    pub fn attempt(&self) -> Option<u32> {
        self.labels.get(label::ATTEMPT)?.parse().ok()
    }

    /// Time between the stop signal and the kill, if the label says so.
    pub fn stop_grace(&self) -> Option<Duration> {
        Duration::try_from_secs_f64(self.labels.get(label::STOP_GRACE)?.parse().ok()?).ok()
    }
}

/// A look at the engine before launches.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Survey {
    /// Things that will be made, as lines for people: `pull image busybox:1.36`, `create network irl`.
    pub makes: Vec<String>,
    /// Things that will be reused, as lines for people: `image busybox:1.36`, `network irl (not combu's: joined, never removed)`.
    pub uses: Vec<String>,
    /// Images that are there, and the id of the content of each: `sha256:...`.
    pub digests: BTreeMap<String, String>,
    /// Ended attempts, of whatever run, whose names launches would take.
    pub finished: Vec<Found>,
    /// Sentences about what a reader of the spec would not expect.
    pub warnings: Vec<String>,
    /// Obstacles in the way; with any of these, nothing may be started.
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
    /// Something that is not this experiment's has the name of a trial's container.
    Foreign {
        /// The trial.
        trial: Name,
        /// The name.
        name: String,
        /// Holder of the name, for people: `a container of image postgres`, `a container of the experiment at /x/a.jsonnet`.
        holder: String,
        /// The command that frees the name.
        frees: String,
    },
    /// An image is not there and may not be pulled.
    MissingImage {
        /// The image.
        image: String,
    },
    /// What a trial mounts is not there, and must not be made.
    MissingSource {
        /// A trial that mounts it.
        trial: Name,
        /// Path on the host.
        source: String,
        /// Why it must not be made, as a clause.
        because: String,
    },
}

impl Obstacle {
    /// The trial in whose way it stands, if it is one.
    pub fn trial(&self) -> Option<&Name> {
        match self {
            Self::Running { trial, .. } | Self::Foreign { trial, .. } | Self::MissingSource { trial, .. } => {
                Some(trial)
            }
            Self::MissingImage { .. } => None,
        }
    }

    /// What to do about it.
    pub fn hint(&self) -> String {
        match self {
            Self::Running { run, .. } => format!(
                "wait for that run; if its combu died, `combu resume {run}` goes on with it, and `combu kill {run}` ends it"
            ),
            Self::Foreign { .. } => {
                "combu never touches what is not its own: wait for what runs, free the name with that \
                                     command, or begin the names of this experiment's containers with something else: \
                                     `--prefix user`, `--prefix experiment` or `--prefix TEXT`"
                    .to_owned()
            }
            Self::MissingSource { .. } => {
                "correct the path in `volumes`, which is relative to the spec's folder, or make it first".to_owned()
            }
            Self::MissingImage { .. } => {
                "build or load the image first, or allow pulling with `--pull missing`".to_owned()
            }
        }
    }
}

impl fmt::Display for Obstacle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Running { trial, run } => write!(f, "`{trial}` is still running (run {run})"),
            Self::Foreign { name, holder, frees, .. } => {
                write!(f, "the name `{name}` is taken by {holder}: `{frees}` frees it")
            }
            Self::MissingSource { trial, source, because } => {
                write!(f, "`{source}`, which `{trial}` mounts, is not there, {because}")
            }
            Self::MissingImage { image } => write!(f, "the image `{image}` is not there, and `pull` is \"never\""),
        }
    }
}
