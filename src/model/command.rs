//! Commands: the only way up, from the command line, a signal or a hook to the dispatcher.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::name::Name;
use crate::model::options::Budget;
use crate::model::trial::Trial;

/// What a run can be asked to do. Every command taken becomes an event.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "command")]
pub enum Command {
    /// Start nothing more and stop what runs, with its grace period. A second one kills at once.
    Cancel {
        /// Who asks, as a noun: `SIGINT`, `the script`.
        by: String,
    },
    /// Start nothing more; what runs may end.
    Drain {
        /// Who asks.
        by: String,
    },
    /// Stop one trial, or keep it from starting.
    Kill {
        /// The trial.
        trial: Name,
        /// Whether it has no time to end by itself.
        #[serde(skip_serializing_if = "std::ops::Not::not", default)]
        at_once: bool,
    },
    /// End one trial early because going on is not worth it, or keep it from starting.
    Prune {
        /// The trial.
        trial: Name,
        /// Why, as a clause.
        because: String,
    },
    /// Run an ended trial again, in the form given.
    Retry {
        /// The trial, perhaps changed; its name says which one.
        trial: Box<Trial>,
    },
    /// Add a trial to the run.
    Submit {
        /// The trial; its name is new and its prerequisites are in the run.
        trial: Box<Trial>,
    },
    /// Change the run's budget.
    Set {
        /// What of it.
        change: Box<Budget>,
    },
    /// Pause one running trial: others may have its CPUs, and it keeps its memory and its GPUs.
    PauseTrial {
        /// The trial.
        trial: Name,
        /// Why, as a clause.
        because: String,
    },
    /// Let a paused trial go on once there are CPUs for it.
    UnpauseTrial {
        /// The trial.
        trial: Name,
    },
    /// Pause every trial and start nothing new; timers stand still.
    #[serde(rename = "suspend")]
    Pause {
        /// Who asks.
        by: String,
    },
    /// Go on after a pause.
    #[serde(rename = "resume")]
    Unpause {
        /// Who asks.
        by: String,
    },
}

impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cancel { by } => write!(f, "stop (by {by})"),
            Self::Drain { by } => write!(f, "drain (by {by})"),
            Self::Kill { trial, at_once } => write!(f, "kill {trial}{}", if *at_once { " at once" } else { "" }),
            Self::Prune { trial, because } => write!(f, "prune {trial} because {because}"),
            Self::Retry { trial } => write!(f, "retry {}", trial.name),
            Self::Submit { trial } => write!(f, "submit {}", trial.name),
            Self::Set { change } => write!(f, "set {change}"),
            Self::PauseTrial { trial, because } => write!(f, "pause {trial} because {because}"),
            Self::UnpauseTrial { trial } => write!(f, "unpause {trial}"),
            Self::Pause { by } => write!(f, "pause (by {by})"),
            Self::Unpause { by } => write!(f, "unpause (by {by})"),
        }
    }
}
