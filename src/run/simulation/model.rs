//! The model of a simulation: what says how attempts would go.

use std::error::Error;
use std::fmt;

use crate::engine::Launch;
use crate::engine::fake::Scene;

/// What a model says where it cannot say how an attempt would go.
pub type ModelError = Box<dyn Error + Send + Sync>;

/// Says how attempts would go.
pub trait Model: fmt::Debug + Send + Sync {
    /// How the attempt of a launch would go.
    ///
    /// # Errors
    /// Why it cannot say; the simulation ends then.
    fn scene(&self, launch: &Launch) -> Result<Scene, ModelError>;
}
