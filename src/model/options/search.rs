//! A search that a run carries out: its trials are made one after the other, each of what those before came to.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::model::options::bound::Bound;

/// A search as a spec states it; read, but for its points, which are made while the run goes on.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct SpecSearch {
    /// The values of each param, in the forms of spaces.
    pub space: Map<String, Value>,
    /// What the trials have in common: fields of a trial, in which `{lr}` stands for a param.
    pub base: Map<String, Value>,
    /// How many trials it makes.
    pub trials: usize,
    /// How it chooses points: `tpe`, `cma`, `random` or `sobol`.
    pub method: String,
    /// Seed of its points.
    pub seed: u64,
    /// How many trials are made before anything is known.
    pub startup: usize,
    /// What ends it early: a trial that succeeds and meets this.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub enough: Option<Bound>,
}

impl SpecSearch {
    /// The words for methods; the first is what is usual.
    pub const METHODS: [&str; 4] = ["tpe", "cma", "random", "sobol"];
}
