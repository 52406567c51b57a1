//! Model -> plan: an experiment checked and ordered. Pure: no engine is asked, no file is read.

pub mod admission;
mod build;
mod error;
mod graph;
pub mod identity;
mod networks;
mod text;
mod warnings;

pub use admission::Engines;
pub use build::{Plan, build, in_force, recall};
pub use error::{PlanError, Problem};
pub use graph::Wait;
