//! Event -> text. Reports name the model only, decide nothing, and never open a standard stream: the command line gives
//! each one its writer.

mod alike;
mod board;
mod by_run;
mod end;
pub mod json;
mod pace;
pub mod plain;
pub(crate) mod plot;
pub mod progress;
pub(crate) mod results;
pub mod simulation;
pub mod style;
pub mod summary;
pub mod table;
pub(crate) mod tail;
mod tally;
mod teller;
#[cfg(test)]
pub(crate) mod tests;

pub(crate) use alike::how;
pub(crate) use end::EndMessage;
pub use json::Json;
pub use plain::Plain;
pub use progress::Bars;
pub use simulation::SimulationReport;
pub use style::Style;
pub use summary::{NextCommands, summary};
pub use table::results_table;
pub(crate) use teller::why_early;
