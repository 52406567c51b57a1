//! What cannot be used as a space, as points or as a base of trials.

use std::fmt;

/// Most points, or values of one param, that are made at once: more is a slip, and would fill the memory.
pub(super) const MOST: usize = 1_000_000;

/// A space, points or a base that cannot be used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadSpace {
    /// What is wrong.
    pub message: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl BadSpace {
    /// An error with what to do about it.
    pub fn new(message: impl Into<String>, hint: impl Into<String>) -> Self {
        Self { message: message.into(), hint: Some(hint.into()) }
    }

    pub(super) fn only(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }
}

impl fmt::Display for BadSpace {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)?;
        self.hint.iter().try_for_each(|hint| write!(f, "; {hint}"))
    }
}
