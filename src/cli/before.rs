//! What earlier runs say of trials: which succeeded unchanged before.

use std::collections::BTreeMap;

use crate::model::history::History;
use crate::model::name::{Name, RunId};
use crate::model::outcome::Outcome;
use crate::model::trial::Trial;
use crate::plan::Plan;
use crate::plan::identity::{Triggers, identity};

fn digest<'a>(trial: &Trial, digests: &'a BTreeMap<String, String>) -> Option<&'a str> {
    digests.get(trial.image.as_deref()?).map(String::as_str)
}

/// The trials of a plan that succeeded unchanged before, by the last of those runs in which each ran: `runs`, the last
/// first. One that waits for the end of a trial that runs again runs again too. `digests` says what images are now.
pub(crate) fn unchanged<'runs>(
    plan: &Plan,
    digests: &BTreeMap<String, String>,
    seed: u64,
    runs: impl IntoIterator<Item = &'runs History>,
    triggers: &Triggers,
) -> BTreeMap<Name, RunId> {
    let mut reused = BTreeMap::new();
    let runs: Vec<_> = runs.into_iter().map(|run| (run, run.digests())).collect();
    for trial in plan.trials.iter().filter(|trial| !trial.service) {
        let last = runs.iter().find_map(|(run, digests)| {
            let (result, history) = run.get(&trial.name)?;
            let outcome = result.outcome().filter(|_| result.reused.is_none())?;
            Some((outcome, &history.planned, run, digests))
        });
        let Some((Outcome::Succeeded, planned, run, then)) = last else { continue };
        if identity(planned, digest(planned, then), run.seed, triggers)
            == identity(trial, digest(trial, digests), seed, triggers)
        {
            reused.extend(run.summary.run.clone().map(|run| (trial.name.clone(), run)));
        }
    }
    // In the order of depth, so that each prerequisite is decided before those that wait for it.
    for place in plan.groups.iter().flatten() {
        let runs_again = plan.waits[*place].iter().any(|wait| {
            let on = &plan.trials[wait.on];
            !on.service && !reused.contains_key(&on.name)
        });
        if runs_again {
            reused.remove(&plan.trials[*place].name);
        }
    }
    reused
}
