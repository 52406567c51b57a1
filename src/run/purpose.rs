//! Purposes: what a run that another process left is taken up for.

use std::collections::BTreeSet;

use crate::model::name::Name;

/// What a run that another process left is taken up for.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Purpose {
    /// To go on with it.
    #[default]
    GoOn,
    /// To keep how those trials ended whose attempts have, with their logs and outputs. Nothing is started or stopped, and
    /// the run is as it was otherwise.
    Save(BTreeSet<Name>),
    /// To kill those trials. Those that ended by themselves keep their end, and the others stay as they are.
    Kill(BTreeSet<Name>),
    /// To end it: what has not ended by itself is killed.
    End,
}

impl Purpose {
    /// What is said to have killed.
    pub(crate) const KILLER: &'static str = "combu kill";

    /// Whether it is about that trial.
    pub(crate) fn is_about(&self, trial: &Name) -> bool {
        match self {
            Self::GoOn | Self::End => true,
            Self::Save(trials) | Self::Kill(trials) => trials.contains(trial),
        }
    }

    /// Whether trials of it are started.
    pub(crate) fn starts(&self) -> bool {
        matches!(self, Self::GoOn)
    }

    /// Whether it is about all trials, so that the run ends with it.
    pub(crate) fn ends_the_run(&self) -> bool {
        matches!(self, Self::GoOn | Self::End)
    }

    /// Whether what runs is killed.
    pub(crate) fn kills(&self) -> bool {
        matches!(self, Self::Kill(_) | Self::End)
    }
}
