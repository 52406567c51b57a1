//! Launches: everything that an engine gets to know of one attempt.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::engine::secret::Secret;
use crate::model::label;
use crate::model::name::{Name, RunId};
use crate::model::trial::settled::Settled;

/// Everything an engine is told of one attempt.
#[derive(Debug, Clone)]
pub struct Launch {
    /// The run it belongs to.
    pub run: RunId,
    /// The trial, as it was decided for the run.
    pub trial: Arc<Settled>,
    /// From 1.
    pub attempt: u32,
    /// Id of the content that the run uses under the name of the trial's image, once it is known.
    pub content: Option<String>,
    /// Cores of its own, if it is pinned: it runs on no other.
    pub cores: Vec<u32>,
    /// Ids of the GPUs that it gets, and no other.
    pub gpus: Vec<String>,
    /// The run's folder on this machine, if it has one.
    pub folder: Option<PathBuf>,
    /// combu's own variables (`COMBU_*`); those of the trial win over them.
    pub env: Vec<(String, String)>,
    /// Variables of the trial whose values nobody writes down, each once; its `env` wins over them.
    pub passed: Vec<(String, Secret)>,
    /// All its parameters as JSON, where some of them do not fit into its environment: it gets them as a file.
    pub params: Option<Arc<str>>,
    /// combu's own labels; see [`crate::model::label`].
    pub labels: BTreeMap<String, String>,
}

/// The claim of an experiment to the name of one of its trials, whichever run makes it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Claim<'a> {
    spec: &'a str,
    trial: &'a str,
}

impl<'a> Claim<'a> {
    /// The claim of the experiment of that spec.
    pub(super) fn new(spec: &'a str, trial: &'a Name) -> Self {
        Self { spec, trial: trial.as_str() }
    }

    /// Whether an attempt with those labels was made under this claim.
    pub(super) fn covers<'l>(&self, labels: impl Fn(&str) -> Option<&'l String>) -> bool {
        let says = |key, value| labels(key).map_or("", String::as_str) == value;
        says(label::SPEC, self.spec) && says(label::TRIAL, self.trial)
    }
}

impl Launch {
    /// The value of a variable that the trial has of its own.
    pub(super) fn variable(&self, name: &str) -> Option<&str> {
        let passed = || self.passed.iter().find(|(passed, _)| passed == name).map(|(_, value)| value.expose());
        self.trial.env.get(name).map(String::as_str).or_else(passed)
    }

    /// Every variable, each once: combu's own, what is passed on, and those of the trial's `env`.
    pub(super) fn variables(&self) -> impl Iterator<Item = (&str, &str)> {
        let own = &self.trial.env;
        let combus = self.env.iter().filter(|(name, _)| self.variable(name).is_none());
        let passed = self.passed.iter().filter(|(name, _)| !own.contains_key(name));
        let combus = combus.map(|(name, value)| (name.as_str(), value.as_str()));
        let passed = passed.map(|(name, value)| (name.as_str(), value.expose()));
        combus.chain(passed).chain(own.iter().map(|(name, value)| (name.as_str(), value.as_str())))
    }

    /// The claim that it makes to its trial's name.
    pub(super) fn claim(&self) -> Claim<'_> {
        Claim::new(self.labels.get(label::SPEC).map_or("", String::as_str), &self.trial.name)
    }
}
