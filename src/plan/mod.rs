//! Model -> plan: an experiment checked and ordered. Pure: no engine is asked, no file is read.

mod build;
mod error;
mod graph;
pub mod identity;
mod needs;
mod networks;
mod text;
mod warnings;

use std::collections::BTreeMap;
use std::sync::Arc;

use serde::Serialize;

use crate::model::capability::Capabilities;
use crate::model::experiment::Experiment;
use crate::model::name::EngineName;
use crate::model::options::Options;
use crate::model::trial::{Condition, Trial};

pub use error::{PlanError, Problem};

/// An experiment checked and ordered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// The experiment, with the options in force.
    pub experiment: Experiment,
    /// Its trials with the options applied, in the order they were written.
    pub trials: Vec<Arc<Trial>>,
    /// For each trial, what it waits for.
    pub waits: Vec<Vec<Wait>>,
    /// For each trial, whether it is a service.
    pub services: Vec<bool>,
    /// Trials by dependency depth. A group only names a depth: trials wait for their prerequisites, not for a group.
    pub groups: Vec<Vec<usize>>,
    /// Sentences about what will not be acted on.
    pub warnings: Vec<String>,
}

/// A resolved edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub struct Wait {
    /// Index of the prerequisite.
    pub on: usize,
    /// What is awaited.
    pub condition: Condition,
}

/// What is known of the engines; one that is missing here is not checked against.
pub type Engines = BTreeMap<EngineName, Capabilities>;

/// Checks and orders an experiment. `options` win over the experiment's own; an engine named there wins over the trials'.
///
/// # Errors
/// Every problem found, together.
pub fn build(experiment: Experiment, options: Options, engines: &Engines) -> Result<Plan, PlanError> {
    build::build(experiment, options, engines)
}

/// Which engine a trial runs on, given the options that win over it and those below it.
pub fn engine_of(trial: &Trial, above: &Options, below: &Options) -> EngineName {
    above.engine.or(trial.engine).or(below.engine).unwrap_or_default()
}

/// A trial with what the plan decided and the run's options applied where it says nothing itself; a service is spared the
/// run's timeout.
pub fn resolve(trial: &Trial, engine: EngineName, options: &Options, service: bool) -> Trial {
    let mut trial = trial.clone();
    trial.engine = Some(engine);
    trial.pull = trial.pull.or(options.pull);
    trial.stop_grace = trial.stop_grace.or(options.stop_grace);
    trial.retries = trial.retries.or_else(|| options.retries.clone());
    if service {
        trial.service = Some(true);
    } else {
        trial.timeout = trial.timeout.or(options.timeout);
    }
    trial
}

impl Plan {
    /// The engines its trials run on.
    pub fn engines(&self) -> Vec<EngineName> {
        let mut engines: Vec<_> = self.trials.iter().map(|trial| trial.engine.unwrap_or_default()).collect();
        engines.sort_unstable();
        engines.dedup();
        engines
    }
}
