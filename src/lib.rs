//! combu turns one container image into a thousand experiments.
//!
//! ```text
//! main -> cli -> { script, store, page, export } -> { report, run, spec, plan, search } -> { engine, space, stats } -> model
//!
//! spec text -load-> Trial[] -(script)-> Experiment -build-> Plan -start-> Run
//!    Run: dispatcher <-> attempt <-> Engine
//!           '-- Event -> observer: store -> report -> script hooks -> Summary
//! ```
//!
//! Facts go down; the only way up is a [`model::command::Command`]. `tests/it/tidy.rs` holds the arrows.

pub mod cli;
pub mod engine;
pub(crate) mod export;
#[cfg(test)]
mod fuzz;
pub mod model;
pub mod page;
pub mod plan;
pub mod report;
pub mod run;
pub mod script;
pub mod search;
pub mod space;
pub mod spec;
pub mod stats;
pub mod store;
