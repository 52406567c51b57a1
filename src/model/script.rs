//! The record of a script: what it was told from outside, in order, so that it can be told the same again.
//!
//! A script is a function of its text, its arguments and these entries. Whoever runs it again from its top and answers it from
//! them brings it to where it was; what its runs did lies in their own events.

use serde::{Deserialize, Serialize};
use serde_json::Value;

/// One entry of a script's record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "entry")]
pub enum ScriptEntry {
    /// The answer to something that it asked.
    Answer {
        /// What it asked for.
        question: ScriptQuestion,
        /// What it was told.
        value: Value,
        /// How many times, one after the other.
        #[serde(default = "once", skip_serializing_if = "is_once")]
        count: usize,
    },
    /// The next events of one of its runs were taken in.
    Events {
        /// The run, by the order of their starts, from 0.
        run: usize,
        /// How many.
        count: usize,
    },
    /// What it waited for was over: a run, a pause, a line of shell.
    WaitOver,
}

impl ScriptEntry {
    /// How many steps of the script it stands for.
    pub fn count(&self) -> usize {
        match self {
            Self::Answer { count, .. } | Self::Events { count, .. } => *count,
            Self::WaitOver => 1,
        }
    }

    /// The same for so many steps.
    #[must_use]
    pub fn times(self, count: usize) -> Self {
        match self {
            Self::Answer { question, value, .. } => Self::Answer { question, value, count },
            Self::Events { run, .. } => Self::Events { run, count },
            Self::WaitOver => Self::WaitOver,
        }
    }
}

fn once() -> usize {
    1
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks so")]
fn is_once(count: &usize) -> bool {
    *count == 1
}

/// What a script asks of the world outside, which another time may answer otherwise.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ScriptQuestion {
    /// A new id: of a run, of a spec that is loaded.
    Id,
    /// The time.
    Now,
    /// A variable of the environment.
    Variable,
    /// How trials ended before.
    Ends,
    /// Which runs there were before.
    History,
    /// How many trials were removed that earlier runs had left.
    Removed,
    /// How long a file was before something was added to it.
    FileLength,
}
