//! Launches: everything that an engine gets to know of one attempt.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::Arc;

use crate::model::name::RunId;
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
