//! Verbs that speak with a live run: `set` and `why`.

pub(crate) mod set;
pub(crate) mod why;
