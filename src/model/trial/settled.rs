//! A trial as it was decided for a run, beside the trial as it was written.

use std::borrow::Cow;
use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::name::EngineName;
use crate::model::options::{Prefix, TrialDefaults};
use crate::model::retry::Retries;
use crate::model::span;
use crate::model::trial::{Pull, Timeout, Trial};

/// A trial with everything that was decided for it in a run. Reads as the written trial, but for the fields that are
/// decided: those hide the written ones of the same name, so that nobody acts on a written one by mistake.
///
/// Its JSON form is that of a trial with the decisions in their fields, and what the trial itself said there under `written`.
#[derive(Debug, Clone, PartialEq)]
pub struct Settled {
    /// The trial as the spec or script wrote it.
    pub written: Arc<Trial>,
    /// What runs it.
    pub engine: EngineName,
    /// Whether it is a service.
    pub service: bool,
    /// How often and when a failed attempt is repeated.
    pub retries: Arc<Retries>,
    /// Longest an attempt may run; absent: as long as it takes.
    pub timeout: Option<Timeout>,
    /// Time between the stop signal and the kill.
    pub stop_grace: Duration,
    /// When the image is pulled.
    pub pull: Pull,
    /// How much it gives way to other work of the machine: 0 (not at all) to 19.
    pub nice: u8,
    /// Bytes of memory it needs; more than was written after it ran out of that.
    pub memory: Option<u64>,
    /// What the name of its container begins with, before its own.
    pub prefix: Option<Arc<str>>,
}

impl Settled {
    /// Time between the stop signal and the kill, where nobody says it: Docker's.
    pub const STOP_GRACE: Duration = Duration::from_secs(10);

    /// Decides what the trial leaves to the run. A service is spared the run's timeout.
    pub fn new(written: Arc<Trial>, defaults: &TrialDefaults, service: bool) -> Self {
        let TrialDefaults { engine: _, engine_of_all: _, retries, timeout, stop_grace, pull, nice, prefix } = defaults;
        let prefix = match prefix {
            Some(Prefix::Text(text)) => Some(text.clone()),
            None | Some(Prefix::Experiment | Prefix::User) => None,
        };
        Self {
            engine: Self::engine_of(&written, defaults),
            service,
            retries: written
                .retries
                .as_ref()
                .or(retries.as_ref())
                .cloned()
                .unwrap_or_else(|| Arc::new(Retries::count(0))),
            timeout: written.timeout.or(timeout.filter(|_| !service)),
            stop_grace: written.stop_grace.or(*stop_grace).unwrap_or(Self::STOP_GRACE),
            pull: written.pull.or(*pull).unwrap_or(Pull::Missing),
            nice: written.nice.or(*nice).unwrap_or(0),
            memory: written.memory,
            prefix,
            written,
        }
    }

    /// The engine that runs a trial.
    pub fn engine_of(written: &Trial, defaults: &TrialDefaults) -> EngineName {
        defaults.engine_of_all.or(written.engine).or(defaults.engine).unwrap_or_default()
    }

    /// The name of its container.
    pub fn container(&self) -> Cow<'_, str> {
        match &self.prefix {
            Some(prefix) => Cow::Owned(format!("{prefix}{}", self.name)),
            None => Cow::Borrowed(self.name.as_str()),
        }
    }

    /// The trial as another run may ask for it: as written, with the memory that it has come to need.
    pub fn to_ask_again(&self) -> Trial {
        Trial { memory: self.memory, ..(*self.written).clone() }
    }

    /// The trial with the decisions written into it; run as a spec, it is decided the same way.
    pub fn resolved(&self) -> Trial {
        Trial {
            engine: Some(self.engine),
            service: Some(self.service),
            retries: Some(self.retries.clone()),
            timeout: self.timeout,
            stop_grace: Some(self.stop_grace),
            pull: Some(self.pull),
            nice: Some(self.nice),
            memory: self.memory,
            ..(*self.written).clone()
        }
    }
}

/// A trial as a run without options decides it.
impl From<Trial> for Settled {
    fn from(written: Trial) -> Self {
        let service = written.service == Some(true);
        Self::new(Arc::new(written), &TrialDefaults::default(), service)
    }
}

impl Deref for Settled {
    type Target = Trial;

    fn deref(&self) -> &Trial {
        &self.written
    }
}

/// What the trial itself said in the fields that are decided.
#[derive(Debug, Serialize, Deserialize)]
struct Written {
    #[serde(skip_serializing_if = "Option::is_none")]
    engine: Option<EngineName>,
    #[serde(skip_serializing_if = "Option::is_none")]
    service: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    retries: Option<Arc<Retries>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    timeout: Option<Timeout>,
    #[serde(skip_serializing_if = "Option::is_none", default, with = "span::optional")]
    stop_grace: Option<Duration>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pull: Option<Pull>,
    #[serde(skip_serializing_if = "Option::is_none")]
    nice: Option<u8>,
    #[serde(skip_serializing_if = "Option::is_none")]
    memory: Option<u64>,
}

#[derive(Debug, Serialize, Deserialize)]
struct Stored {
    #[serde(flatten)]
    resolved: Trial,
    #[serde(skip_serializing_if = "Option::is_none")]
    prefix: Option<Arc<str>>,
    /// Absent in what an older combu stored, which took decisions for what was written.
    #[serde(skip_serializing_if = "Option::is_none")]
    written: Option<Written>,
}

impl Serialize for Settled {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let Trial { engine, service, retries, timeout, stop_grace, pull, nice, memory, .. } = &*self.written;
        let written = Written {
            engine: *engine,
            service: *service,
            retries: retries.clone(),
            timeout: *timeout,
            stop_grace: *stop_grace,
            pull: *pull,
            nice: *nice,
            memory: *memory,
        };
        let prefix = self.prefix.clone();
        Stored { resolved: self.resolved(), prefix, written: Some(written) }.serialize(serializer)
    }
}

impl<'de> Deserialize<'de> for Settled {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let Stored { resolved, prefix, written } = Stored::deserialize(deserializer)?;
        let decided = Self { prefix, ..Self::from(resolved) };
        let Some(Written { engine, service, retries, timeout, stop_grace, pull, nice, memory }) = written else {
            return Ok(decided);
        };
        let resolved = Arc::unwrap_or_clone(decided.written.clone());
        let own = Trial { engine, service, retries, timeout, stop_grace, pull, nice, memory, ..resolved };
        Ok(Self { written: Arc::new(own), ..decided })
    }
}
