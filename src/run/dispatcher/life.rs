//! The lives of a run: it is new, or another process left it.

use std::collections::BTreeMap;

use crate::engine::Found;
use crate::model::history::History;
use crate::model::name::{Name, RunId};
use crate::run::purpose::Purpose;

/// How a run begins.
#[derive(Debug)]
pub(crate) enum Beginning {
    /// It is new; those trials are not run, because they succeeded in that run.
    Anew { reused: BTreeMap<Name, RunId> },
    /// It goes on.
    Again(Box<Resumption>),
}

impl Beginning {
    /// What the run is begun for.
    pub(crate) fn purpose(&self) -> Purpose {
        match self {
            Self::Anew { .. } => Purpose::GoOn,
            Self::Again(again) => again.purpose.clone(),
        }
    }
}

/// What another life of a run begins with.
#[derive(Debug)]
pub(crate) struct Resumption {
    pub(crate) past: History,
    /// What carries the run's label on its engines.
    pub(crate) found: Vec<Found>,
    pub(crate) purpose: Purpose,
}
