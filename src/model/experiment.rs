//! An experiment: a named set of trials with dependencies.

use std::path::PathBuf;
use std::sync::Arc;

use serde::Serialize;

use crate::model::options::Options;
use crate::model::trial::Trial;

/// A named set of trials with dependencies.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Experiment {
    /// The name, by default the spec's file name without its ending.
    pub name: String,
    /// The 12 characters that `"UUID"` and `std.extVar("combu.id")` stand for.
    pub id: String,
    /// Absolute path of the spec or script it came from: its identity for `kill`.
    pub spec: PathBuf,
    /// Run options the spec states.
    pub options: Options,
    /// The trials, as written.
    pub trials: Vec<Arc<Trial>>,
}
