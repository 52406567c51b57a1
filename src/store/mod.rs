//! The state folder: what stays of runs on disk. Names the model only; runs nothing and shows nothing.

mod error;
mod events;
mod history;
mod run;
mod state;

pub use error::StoreError;
pub use events::EventsFile;
pub use history::{End, History, PastRun};
pub use run::{LiveRun, RunDir, RunRecord};
pub use state::{LiveRuns, PastRuns, StateDir};
