//! Model -> plan: an experiment checked and ordered. Pure.

use std::sync::Arc;

use crate::model::experiment::Experiment;
use crate::model::trial::{Condition, Trial};

/// An experiment checked and ordered.
#[derive(Debug, Clone, PartialEq)]
pub struct Plan {
    /// The experiment, with the options in force.
    pub experiment: Experiment,
    /// Its trials with the options applied, in the order they were written.
    pub trials: Vec<Arc<Trial>>,
    /// For each trial, what it waits for.
    pub waits: Vec<Vec<Wait>>,
    /// For each trial, whether it is a service.
    pub services: Vec<bool>,
    /// Trials by dependency depth.
    pub groups: Vec<Vec<usize>>,
    /// Sentences about what will not be acted on.
    pub warnings: Vec<String>,
}

/// A resolved edge.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wait {
    /// Index of the prerequisite.
    pub on: usize,
    /// What is awaited.
    pub condition: Condition,
}

/// Why an experiment cannot be planned.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// Nothing to run.
    #[error("the experiment `{experiment}` has no trials")]
    Empty {
        /// The experiment.
        experiment: String,
    },
}
