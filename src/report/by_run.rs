//! A value for each run in progress.

use crate::model::name::RunId;

/// A value for each run in progress: a script may have more than one.
#[derive(Debug)]
pub(super) struct ByRun<T>(Vec<(RunId, T)>);

impl<T> Default for ByRun<T> {
    fn default() -> Self {
        Self(Vec::new())
    }
}

impl<T> ByRun<T> {
    pub(super) fn get_or(&mut self, run: &RunId, make: impl FnOnce() -> T) -> &mut T {
        let place = self.0.iter().position(|(known, _)| known == run).unwrap_or_else(|| {
            self.0.push((run.clone(), make()));
            self.0.len() - 1
        });
        &mut self.0[place].1
    }

    pub(super) fn get(&mut self, run: &RunId) -> Option<&mut T> {
        self.0.iter_mut().find(|(known, _)| known == run).map(|(_, kept)| kept)
    }

    pub(super) fn remove(&mut self, run: &RunId) {
        self.0.retain(|(known, _)| known != run);
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    pub(super) fn iter(&self) -> impl Iterator<Item = &T> {
        self.0.iter().map(|(_, kept)| kept)
    }
}
