//! How trials ended last, for expressions that ask for it: `done`, `failed`, `status`.

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use crate::model::name::Name;
use crate::model::outcome::Outcome;
use crate::model::trial::Trial;
use crate::plan::identity::{Triggers, identity};
use crate::store::{StateDir, StoreError};

/// How each of those trials of an experiment ended the last time that it did. A trial that was changed since is another
/// one: what its command, image, environment, mounts, limits or params are is the same then and now. `id` is what the UUID
/// of the spec stands for now; that it was another one then is no change.
pub(crate) fn last_ends(
    state: &StateDir,
    (spec, experiment, id): (&Path, &str, &str),
    trials: &[Arc<Trial>],
) -> Result<HashMap<Name, Outcome>, StoreError> {
    let written = |trial: &Trial| identity(&trial.clone().into(), None, 0, &Triggers::without_seed());
    let now: HashMap<&Name, &Arc<Trial>> = trials.iter().map(|trial| (&trial.name, trial)).collect();
    state.last_ends(spec, experiment, now.keys().copied(), |run, then| {
        now.get(&then.name).is_some_and(|now| {
            let then = with_id(then, &run.record.id, id);
            written(&then) == written(now)
        })
    })
}

/// The trial with another id in all its texts.
fn with_id(trial: &Trial, old: &str, new: &str) -> Trial {
    let text = serde_json::to_string(trial).unwrap_or_default();
    if old.is_empty() || !text.contains(old) {
        return trial.clone();
    }
    serde_json::from_str(&text.replace(old, new)).unwrap_or_else(|_| trial.clone())
}
