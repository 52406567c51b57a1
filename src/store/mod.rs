//! The state folder: what stays of runs on disk. Names the model only; runs nothing and shows nothing.

mod database;
mod error;
mod files;
mod folder;
mod follow;
mod history;
mod provenance;
mod run;
mod state;

pub use database::{EventLog, Kinds};
pub use error::StoreError;
pub use files::create_file;
pub use folder::RunDir;
pub use follow::Follower;
pub use history::PastRun;
pub use provenance::{Git, Provenance, RecordedHost};
pub use run::{LiveRun, RunRecord};
pub use state::{LiveRuns, PastRuns, Search, StateDir};
