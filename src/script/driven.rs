//! Runs that a rule drives: what follows is decided where a trial ends.

use std::sync::Arc;

use rhai::Map;

use crate::model::trial::Trial;
use crate::script::caller::Caller;
use crate::script::fault::Answer;
use crate::script::host::Script;
use crate::script::live::{next_of, start};
use crate::script::values::experiment::ScriptExperiment;
use crate::script::values::result::{RunResult, TrialView};

/// Runs an experiment to its end; `next` gives the trials that are to follow the one that ended.
pub(super) fn driven(
    script: &Script,
    caller: &Caller<'_>,
    experiment: &ScriptExperiment,
    options: Map,
    mut next: impl FnMut(&TrialView) -> Answer<Vec<Arc<Trial>>>,
) -> Answer<RunResult> {
    let run = start(script, caller, experiment, options)?;
    let mut refused = None;
    while let Some(ended) = next_of(script, caller, std::slice::from_ref(&run))? {
        for trial in next(&ended)? {
            // Of a run that takes no more, the other trials are heard of all the same.
            refused = refused.or(run.0.way.submit(&trial).err());
        }
    }
    let result = run.0.wait(script, caller)?;
    match refused {
        // It was ended early, by its halt policy or by a hook: then nothing was to follow.
        Some(error) if result.0.summary.early.is_none() => Err(error),
        _ => Ok(result),
    }
}
