//! What a rule makes of a trial.

/// What a rule makes of a trial.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum PruneVerdict {
    /// It is not worth going on with; why, as a clause.
    Prune(String),
    /// It is not worth going on with for now.
    Pause {
        /// Why, as a clause.
        because: String,
        /// Most bytes of memory that paused trials may keep together: beyond, it is pruned.
        hold: Option<u64>,
    },
    /// It was paused, and is worth going on with after all.
    GoOn,
}
