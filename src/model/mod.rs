//! The vocabulary: plain data and pure functions, nothing that touches a clock, a file or a terminal.
//!
//! May name `std`, `serde`, `serde_json` and, in `suggest`, `strsim` only.

pub mod access;
pub mod capability;
pub mod command;
pub mod environment;
pub mod event;
pub mod experiment;
pub mod handle;
pub mod history;
pub mod label;
pub mod name;
pub mod nesting;
pub mod options;
pub mod outcome;
pub(crate) mod pruning;
pub mod retry;
pub mod script;
pub mod seed;
pub mod shell;
pub mod size;
pub mod source;
pub(crate) mod span;
pub mod suggest;
pub mod summary;
pub mod trial;
mod written;
