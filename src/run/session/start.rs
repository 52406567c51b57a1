//! What a run is started with, beside its plan.

use std::collections::BTreeMap;
use std::path::PathBuf;

use crate::model::event::{Event, Journal};
use crate::model::history::History;
use crate::model::name::{Name, RunId};
use crate::run::purpose::Purpose;

/// What a run is started with, beside its plan.
#[derive(Debug)]
pub struct Start {
    /// Its id.
    pub run: RunId,
    /// Where logs go; absent: nowhere.
    pub folder: Option<PathBuf>,
    /// What keeps its events.
    pub journal: Box<dyn Journal>,
    /// Trials that are not run because they succeeded unchanged before, and the run in which each did.
    pub reused: BTreeMap<Name, RunId>,
    /// What its earlier lives tell, if it had some; its plan is made of that.
    pub past: Option<History>,
    /// What for it is taken up again.
    pub purpose: Purpose,
}

impl Start {
    /// A run whose events nobody keeps: after a crash, nothing is known of it.
    pub fn unkept(run: RunId, folder: Option<PathBuf>) -> Self {
        Self { run, folder, journal: Box::new(Unkept), reused: BTreeMap::new(), past: None, purpose: Purpose::GoOn }
    }
}

#[derive(Debug)]
struct Unkept;

impl Journal for Unkept {
    fn keep(&mut self, _events: &[Event]) -> std::io::Result<()> {
        Ok(())
    }
}
