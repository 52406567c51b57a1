//! Simulations: runs in virtual time of which nothing is really run.

mod model;
mod played;
mod recorded;

pub use model::{Model, ModelError};
pub use played::{Played, Simulation};
pub use recorded::{RecordedRun, UnknownTrial};
