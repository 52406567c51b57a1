//! The engine seam: how ONE trial is run. Never order, retries, limits of concurrency, or events.
//!
//! Nothing above this folder knows which engine runs a trial.

mod cgroup;
mod connect;
pub mod docker;
mod error;
pub mod fake;
mod files;
mod found;
#[cfg(test)]
mod fuzz;
mod gpus;
mod launch;
pub mod local;
mod output;
mod outputs;
mod records;
mod retrying;
mod seam;
mod secret;
mod settings;
mod traced;

pub use connect::connect;
pub use error::EngineError;
pub use found::{Cleaned, Found, Obstacle, Selector, Standing, Survey};
pub use launch::Launch;
pub use output::Output;
pub use outputs::Outputs;
pub use records::{MetricsTail, Recorder};
pub use seam::{Engine, Health, PrepareProgress};
pub use secret::Secret;
pub use settings::Settings;

pub(crate) use retrying::Retrying;
