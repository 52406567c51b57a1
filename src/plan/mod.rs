//! Model -> plan: an experiment checked and ordered. Pure: no engine is asked, no file is read.

pub mod admission;
mod build;
mod error;
mod graph;
pub mod identity;
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
use crate::model::trial::{Condition, Settled};

pub use error::{PlanError, Problem};

/// An experiment checked and ordered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// The experiment, with the options in force.
    pub experiment: Experiment,
    /// Its trials as they were decided, in the order they were written.
    pub trials: Vec<Arc<Settled>>,
    /// For each trial, what it waits for.
    pub waits: Vec<Vec<Wait>>,
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

/// The options in force where `above` win over `below`; an engine that `above` name runs every trial.
pub fn in_force(above: Options, below: Options) -> Options {
    build::in_force(above, below)
}

impl Plan {
    /// The engines its trials run on.
    pub fn engines(&self) -> Vec<EngineName> {
        let mut engines: Vec<_> = self.trials.iter().map(|trial| trial.engine).collect();
        engines.sort_unstable();
        engines.dedup();
        engines
    }
}
