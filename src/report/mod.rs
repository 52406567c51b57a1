//! Event -> text. Reports name the model only, decide nothing, and never open a standard stream: the command line gives
//! each one its writer (bars draw where [`progress::Progress::stderr`] says).

mod board;
pub mod json;
pub mod plain;
pub mod progress;
pub mod style;
pub mod summary;
pub mod table;
pub(crate) mod tail;
mod tally;
mod teller;
#[cfg(test)]
mod tests;

pub use json::Json;
pub use plain::Plain;
pub use progress::Progress;
pub use style::Style;
pub use summary::{Next, summary};
pub use table::results_table;
pub(crate) use teller::{how, why_early};

use crate::model::name::RunId;

/// Something kept for each run in progress: a script may have more than one.
#[derive(Debug)]
pub(crate) struct ByRun<T>(Vec<(RunId, T)>);

impl<T> Default for ByRun<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> ByRun<T> {
    pub(crate) fn get_or(&mut self, run: &RunId, make: impl FnOnce() -> T) -> &mut T {
        let place = self.0.iter().position(|(known, _)| known == run).unwrap_or_else(|| {
            self.0.push((run.clone(), make()));
            self.0.len() - 1
        });
        &mut self.0[place].1
    }

    pub(crate) fn get(&mut self, run: &RunId) -> Option<&mut T> {
        self.0.iter_mut().find(|(known, _)| known == run).map(|(_, kept)| kept)
    }

    pub(crate) fn remove(&mut self, run: &RunId) {
        self.0.retain(|(known, _)| known != run);
    }

    pub(crate) fn clear(&mut self) {
        self.0.clear();
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|(_, kept)| kept)
    }
}
