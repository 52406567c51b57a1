//! Spec text -> model: the jsonnet or JSON file that states an experiment.
//!
//! Checks the form of each field and nothing between trials: duplicate names, unknown prerequisites and what an
//! engine can do are the plan's. Never talks to an engine. Only `load.rs`, `manifest.rs` and `natives.rs` may name the jsonnet evaluator,
//! `slips.rs` and `uuid.rs` its lexer.

mod document;
mod error;
pub mod evaluator;
mod fields;
#[cfg(test)]
mod fuzz;
mod keys;
mod load;
mod manifest;
mod natives;
mod options;
mod parts;
mod plain;
mod reader;
mod reference;
mod schema;
mod search;
mod shape;
mod slips;
mod sources;
mod template;
mod trial;
mod units;
mod uuid;
mod variables;
mod words;

pub use document::{load, load_text};
pub use error::{Frame, Mistake, Problems, SpecError};
pub use fields::{BUDGET, FIELDS, Key, OPTIONS, TOP};
pub use options::{NICE, budget, gpu_ids, limit, niceness, options, pressure, reserve};
pub use reference::reference;
pub use schema::schema;
pub use search::SearchTrials;
pub use shape::Shape;
pub use sources::{LoadOptions, Sources};
pub use template::Template;
pub use trial::trial;
pub use units::{cpu_number, duration, size, timeout};
