//! What a plan warns of: what will not be acted on, and what a reader would not expect.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::model::label::param_variable;
use crate::model::name::{EngineName, Name};
use crate::model::trial::Condition;
use crate::model::trial::fields::Actor;
use crate::model::trial::settled::Settled;
use crate::plan::admission::Engines;
use crate::plan::graph::Wait;

/// Every warning, as sentences.
pub(super) fn all(trials: &[Arc<Settled>], waits: &[Vec<Wait>], engines: &Engines) -> Vec<String> {
    let mut warnings = ignored(trials, engines);
    warnings.extend(unprobed(trials, waits));
    warnings.extend(colliding(trials));
    warnings
}

/// Docker's images may bring a healthcheck that the spec does not show; one that has none is healthy as soon as it runs.
fn unprobed(trials: &[Arc<Settled>], waits: &[Vec<Wait>]) -> Vec<String> {
    let awaited = waits.iter().flatten().filter(|wait| wait.condition == Condition::Healthy).map(|wait| wait.on);
    let unprobed: BTreeSet<usize> = awaited.filter(|on| trials[*on].healthcheck.is_none()).collect();
    let warning = |on: usize| {
        let name = &trials[on].name;
        format!(
            "`{name}` is waited for until it is healthy and has no `healthcheck`: where its image has none either, it counts as healthy as soon as it runs"
        )
    };
    unprobed.into_iter().map(warning).collect()
}

/// Parameters of one trial that become the same variable.
fn colliding(trials: &[Arc<Settled>]) -> Option<String> {
    trials.iter().find_map(|trial| {
        let mut seen: BTreeMap<String, &String> = BTreeMap::new();
        trial.params.keys().find_map(|name| {
            let other = seen.insert(param_variable(name), name)?;
            let variable = param_variable(name);
            Some(format!("the parameters `{other}` and `{name}` of `{}` are both `{variable}` in its environment: COMBU_PARAMS tells them apart", trial.name))
        })
    })
}

/// Fields that the engine of their trial does not act on. What is given to every trial was not asked of this one.
fn ignored(trials: &[Arc<Settled>], engines: &Engines) -> Vec<String> {
    let mut ignored: BTreeMap<(EngineName, &str), (usize, &Name, Actor)> = BTreeMap::new();
    for trial in trials {
        let Some(engine) = engines.get(&trial.engine) else { continue };
        for field in trial.written.fields() {
            if !engine.acts_on(field.actor) && field.value.is_said() {
                ignored.entry((engine.engine, field.name)).or_insert((0, &trial.name, field.actor)).0 += 1;
            }
        }
    }
    let warning = |((engine, field), (count, first, actor)): ((EngineName, &str), (usize, &Name, Actor))| {
        let whose = if count == 1 { format!("of `{first}`") } else { format!("of {count} trials, such as `{first}`,") };
        let how = if actor == Actor::Reserved { "is reserved but not enforced" } else { "is not acted on" };
        format!("`{field}` {whose} {how} by the engine {engine}")
    };
    ignored.into_iter().map(warning).collect()
}
