//! Networks: whether more containers could be on one than it holds.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::model::name::EngineName;
use crate::model::options::{HostBudget, Options};
use crate::model::trial::settled::Settled;
use crate::plan::admission::Engines;
use crate::plan::error::Problem;

/// Containers that one network holds: a Linux bridge has 1,024 ports, and joining fails a little before (moby/moby#44973).
const ENDPOINTS: usize = 1000;

/// A container is on its networks for as long as it runs, so only what may run at once can crowd one.
pub(super) fn check(trials: &[Arc<Settled>], engines: &Engines, options: &Options, problems: &mut Vec<Problem>) {
    let mut networks: BTreeMap<(EngineName, &str), Vec<usize>> = BTreeMap::new();
    for (place, trial) in trials.iter().enumerate() {
        let default = trial.networks.is_empty().then_some("bridge");
        for network in trial.networks.iter().map(String::as_str).chain(default) {
            if !matches!(network, "none" | "host") && !network.starts_with("container:") {
                networks.entry((trial.engine, network)).or_default().push(place);
            }
        }
    }
    let cpus = engines.values().map(|engine| engine.cpus).fold(1.0, f64::max);
    let limit = options.budget.parallel.map(|parallel| parallel.on(cpus));
    for ((engine, network), places) in networks {
        let Some(host) = engines.get(&engine).filter(|host| host.images) else { continue };
        if places.len() <= ENDPOINTS {
            continue;
        }
        let (served, work): (Vec<usize>, Vec<usize>) = places.into_iter().partition(|&place| trials[place].service);
        let work: Vec<&Settled> = work.into_iter().map(|place| &*trials[place]).collect();
        let at_once = served.len() + at_once(&work, &HostBudget::of(&options.budget, options.reserve, host), limit);
        if at_once > ENDPOINTS {
            problems.push(Problem::Crowded { network: network.to_owned(), at_once, most: ENDPOINTS });
        }
    }
}

/// Most of these trials that may run at once: within the limit, and as many of the smallest as fit the budget.
fn at_once(trials: &[&Settled], budget: &HostBudget, limit: Option<usize>) -> usize {
    let unsaid = if limit.is_some() { 0.0 } else { 1.0 };
    let fitting = |mut needs: Vec<f64>, room: f64| {
        needs.sort_by(f64::total_cmp);
        let sums = needs.iter().scan(0.0, |sum, need| {
            *sum += need;
            Some(*sum)
        });
        sums.take_while(|sum| *sum <= room).count().max(1)
    };
    let cpus = fitting(trials.iter().map(|trial| trial.cpus.unwrap_or(unsaid)).collect(), budget.cpus);
    let memory = fitting(trials.iter().map(|trial| trial.memory.unwrap_or(0) as f64).collect(), budget.memory as f64);
    cpus.min(memory).min(limit.unwrap_or(usize::MAX)).min(trials.len())
}
