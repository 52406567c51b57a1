//! The state folder: what stays of runs on disk. Names the model only; runs nothing and shows nothing.

mod database;
mod error;
mod files;
mod folder;
mod follow;
#[cfg(test)]
mod fuzz;
mod held;
mod history;
mod journal;
mod location;
mod lock;
mod place;
mod provenance;
mod run;
mod script;
mod state;

pub use database::Kinds;
pub use error::StoreError;
pub use files::create_file;
pub use folder::RunDir;
pub use follow::Follower;
pub use history::PastRun;
pub use journal::EventLog;
pub use provenance::{Git, Provenance, RecordedHost};
pub use run::{LiveRun, RunRecord, ScriptRecord};
pub use script::{DeadScript, ScriptHead, ScriptMark, ScriptState};
pub use state::{LiveRuns, PastRuns, Search, StateDir};
