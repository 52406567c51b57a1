//! Verbs about runs that began before: going on with them, repeating them, comparing and forgetting them.

pub(crate) mod diff;
pub(crate) mod rerun;
pub(crate) mod resume;
pub(crate) mod rm;
