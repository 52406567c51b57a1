//! Admission: whether a trial can run at all, asked of the trials of a plan and of those that are submitted later.

use std::collections::{BTreeMap, HashSet};

use crate::model::capability::Capabilities;
use crate::model::environment::{self, ALL, LONGEST};
use crate::model::name::{EngineName, Name};
use crate::model::options::{HostBudget, Options};
use crate::model::suggest::nearest;
use crate::model::trial::settled::Settled;
use crate::model::trial::{Condition, Dependency, Gpus, Trial};
use crate::plan::error::Problem;
use crate::plan::graph::Wait;

/// What is known of the engines; one that is missing here is not checked against.
pub type Engines = BTreeMap<EngineName, Capabilities>;

/// What trials are admitted to.
#[derive(Debug, Clone)]
pub struct Scope {
    /// The options in force.
    pub options: Options,
    /// The engines that the run uses.
    pub engines: Engines,
}

/// A prerequisite, as it is found by its name.
#[derive(Debug, Clone, Copy)]
pub struct Prerequisite<'a> {
    /// Its place among the trials.
    pub place: usize,
    /// The trial.
    pub trial: &'a Settled,
    /// Whether its health can be known although it has no healthcheck of its own: its image may bring one.
    pub probes: bool,
}

/// Files beside the folders of the trials; see `store`.
const RESERVED: [&str; 7] =
    ["lock", "run.json", "run.json.new", "combu.log", "control.sock", "provenance.json", "provenance.json.new"];

/// Whether a trial can run in that scope; what it waits for.
///
/// # Errors
/// Everything for which it could never start.
pub fn admit<'a>(
    trial: &Settled,
    scope: &Scope,
    find: impl Fn(&Name) -> Option<Prerequisite<'a>>,
    names: impl Iterator<Item = &'a Name> + Clone,
) -> Result<Vec<Wait>, Vec<Problem>> {
    if !scope.engines.contains_key(&trial.engine) {
        return Err(vec![Problem::UnusedEngine { engine: trial.engine }]);
    }
    let mut problems = Vec::new();
    let waits = check_depends(trial, "the run", find, names, &mut problems);
    check_needs(trial, scope, &mut problems);
    if problems.is_empty() { Ok(waits) } else { Err(problems) }
}

/// Whether a trial that has ended can run again in that form; it waits for what it waited for.
///
/// # Errors
/// Everything for which it could never start.
pub fn admit_again(trial: &Settled, scope: &Scope) -> Result<(), Vec<Problem>> {
    let mut problems = Vec::new();
    check_needs(trial, scope, &mut problems);
    if problems.is_empty() { Ok(()) } else { Err(problems) }
}

/// What a trial waits for in `whole`, each thing once.
pub(super) fn check_depends<'a>(
    trial: &Settled,
    whole: &'static str,
    find: impl Fn(&Name) -> Option<Prerequisite<'a>>,
    names: impl Iterator<Item = &'a Name> + Clone,
    problems: &mut Vec<Problem>,
) -> Vec<Wait> {
    let mut waits: Vec<Wait> = Vec::with_capacity(trial.depends.len());
    let mut seen = HashSet::with_capacity(trial.depends.len());
    for dependency in &trial.depends {
        let Some(on) = find(&dependency.trial) else {
            let nearest = nearest_name(&dependency.trial, names.clone().filter(|name| **name != trial.name));
            let (trial, on) = (trial.name.clone(), dependency.trial.clone());
            problems.push(Problem::UnknownDependency { trial, on, nearest, whole });
            continue;
        };
        let condition = condition(dependency, on.trial);
        if !seen.insert((on.place, condition)) {
            continue;
        }
        match condition {
            Condition::Completed | Condition::Ended if on.trial.service => {
                let (trial, service) = (trial.name.clone(), on.trial.name.clone());
                problems.push(Problem::CompletedService { trial, service });
            }
            Condition::Healthy if on.trial.healthcheck.is_none() && !on.probes => {
                let (trial, on, engine) = (trial.name.clone(), on.trial.name.clone(), on.trial.engine);
                problems.push(Problem::NoHealthcheck { trial, on, engine });
            }
            condition => waits.push(Wait { on: on.place, condition }),
        }
    }
    waits
}

/// What is awaited where a dependency does not say it.
pub(super) fn condition(dependency: &Dependency, on: &Trial) -> Condition {
    dependency.condition.unwrap_or(if on.healthcheck.is_some() { Condition::Healthy } else { Condition::Started })
}

/// The name that another one stands for, if it is near enough.
pub fn nearest_name<'a>(name: &Name, names: impl Iterator<Item = &'a Name> + Clone) -> Option<Name> {
    let near = nearest(name.as_str(), names.clone().map(Name::as_str))?;
    names.into_iter().find(|name| name.as_str() == near).cloned()
}

/// Adds a problem for each host of which the run is left nothing.
pub(super) fn check_hosts(scope: &Scope, problems: &mut Vec<Problem>) {
    for (name, host) in &scope.engines {
        let reserve = scope.options.reserve.unwrap_or_default();
        let left = HostBudget::of(&scope.options.budget, scope.options.reserve, host);
        if reserve.cpus > 0.0 && left.cpus <= 0.0 {
            let (reserve, has) = (format!("{} CPUs", reserve.cpus), format!("{} CPUs", host.cpus));
            problems.push(Problem::NothingLeft { engine: *name, reserve, has });
        }
        if reserve.memory > 0 && left.memory == 0 {
            let (reserve, has) = (mebibytes(reserve.memory), mebibytes(host.memory));
            problems.push(Problem::NothingLeft { engine: *name, reserve, has });
        }
    }
}

/// Adds a problem for each thing that a trial asks for and can never get.
pub(super) fn check_needs(trial: &Settled, scope: &Scope, problems: &mut Vec<Problem>) {
    if RESERVED.contains(&trial.name.as_str()) {
        problems.push(Problem::Reserved { name: trial.name.clone() });
    }
    let Scope { options, engines } = scope;
    let host = engines.get(&trial.engine);
    if trial.image.is_none() && host.map_or(trial.engine.has_images(), |host| host.images) {
        problems.push(Problem::NoImage { trial: trial.name.clone(), engine: trial.engine });
    }
    // A service gets its retries from the run's options more often than not, and is seldom limited.
    if trial.retries.memory_factor.is_some() && trial.memory.is_none() && !trial.service {
        problems.push(Problem::NoMemory { trial: trial.name.clone() });
    }
    check_lengths(trial, problems);
    check_limits(trial, options, problems);
    if trial.pin && trial.cpus.is_none_or(|cpus| cpus.fract() != 0.0) {
        problems.push(Problem::PinnedToParts { trial: trial.name.clone(), cpus: trial.cpus });
    }
    if let Some(host) = host {
        check_host(trial, options, host, problems);
        check_gpus(trial, options, host, problems);
    }
}

fn check_host(trial: &Settled, options: &Options, host: &Capabilities, problems: &mut Vec<Problem>) {
    let budget = HostBudget::of(&options.budget, options.reserve, host);
    let mut refuse = |asks: String, whole: bool, has: String| {
        let owner = if whole { "the engine's host" } else { "the run's budget" };
        problems.push(Problem::TooLarge { trial: trial.name.clone(), asks, owner, has });
    };
    // The engine enforces what a trial asks for, and cannot give more than its host has, whatever the budget says.
    if let Some(cpus) = trial.cpus.filter(|&cpus| cpus > budget.cpus.min(host.cpus)) {
        refuse(format!("{cpus} CPUs"), cpus > host.cpus, format!("{} CPUs", budget.cpus.min(host.cpus)));
    }
    if let Some(memory) = trial.memory.filter(|&memory| memory > budget.memory.min(host.memory)) {
        let has = mebibytes(budget.memory.min(host.memory));
        refuse(format!("{} of memory", mebibytes(memory)), memory > host.memory, has);
    }
}

/// Adds a problem for each word that Linux would not take.
fn check_lengths(trial: &Settled, problems: &mut Vec<Problem>) {
    let mut refuse = |what: String, bytes, most| {
        problems.push(Problem::TooLong { trial: trial.name.clone(), what, bytes, most });
    };
    for (name, value) in trial.env.iter().filter(|(name, value)| environment::size(name, value) > LONGEST) {
        refuse(format!("the variable `{name}`"), environment::size(name, value), LONGEST);
    }
    for (field, words) in [("entrypoint", &trial.entrypoint), ("cmd", &trial.cmd)] {
        for word in words.iter().flatten().filter(|word| word.len() >= LONGEST) {
            refuse(format!("a word in the `{field}`"), word.len() + 1, LONGEST);
        }
    }
    let all = environment::own_size(trial);
    if all > ALL {
        refuse("the command with the `env`".to_owned(), all, ALL);
    }
}

fn check_limits(trial: &Settled, options: &Options, problems: &mut Vec<Problem>) {
    for (limit, &amount) in trial.limits.iter().filter(|(_, amount)| **amount > 0) {
        match options.budget.limits.get(limit) {
            None => {
                let nearest = nearest(limit, options.budget.limits.keys().map(String::as_str)).map(ToOwned::to_owned);
                problems.push(Problem::UnknownLimit { trial: trial.name.clone(), limit: limit.clone(), nearest });
            }
            Some(&all) if amount > all => problems.push(Problem::TooLarge {
                trial: trial.name.clone(),
                asks: format!("{amount} of the limit `{limit}`"),
                owner: "the run",
                has: all.to_string(),
            }),
            Some(_) => {}
        }
    }
}

fn check_gpus(trial: &Settled, options: &Options, host: &Capabilities, problems: &mut Vec<Problem>) {
    let known = host.gpus.len();
    let asks = match trial.gpus.as_deref() {
        None | Some(Gpus::Count(0)) => return,
        Some(Gpus::Count(count)) if *count as usize <= known => return,
        Some(Gpus::Count(1)) => "1 GPU".to_owned(),
        Some(Gpus::Count(count)) => format!("{count} GPUs"),
        Some(Gpus::Word(word)) if word == "all" => {
            if known > 0 {
                return;
            }
            "all GPUs".to_owned()
        }
        Some(Gpus::Word(id)) => return check_ids(trial, std::slice::from_ref(id), host, problems),
        Some(Gpus::Ids(ids)) => return check_ids(trial, ids, host, problems),
    };
    let (name, here, named) = (trial.name.clone(), host.here, options.budget.gpus.is_some());
    problems.push(Problem::TooFewGpus { trial: name, asks, known, here, named });
}

fn check_ids(trial: &Settled, ids: &[String], host: &Capabilities, problems: &mut Vec<Problem>) {
    for id in ids {
        if !host.gpus.iter().any(|gpu| gpu.id == *id || gpu.uuid.as_ref() == Some(id)) {
            let known = host.gpus.iter().map(|gpu| gpu.id.clone()).collect();
            problems.push(Problem::UnknownGpu { trial: trial.name.clone(), id: id.clone(), known });
        }
    }
}

fn mebibytes(bytes: u64) -> String {
    format!("{} MiB", bytes >> 20)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::{Scope, check_hosts, check_needs};
    use crate::model::capability::{Capabilities, Gpu};
    use crate::model::name::{EngineName, Name};
    use crate::model::options::{Budget, Options, Reserve};
    use crate::model::trial::{Gpus, Trial};
    use crate::plan::Engines;

    fn trial(edit: impl FnOnce(&mut Trial)) -> Trial {
        let mut trial = Trial::new(Name::parse("solver").unwrap());
        trial.image = Some("solver".to_owned());
        edit(&mut trial);
        trial
    }

    fn host(gpus: usize) -> Engines {
        let gpu = |place: usize| Gpu {
            id: place.to_string(),
            uuid: Some(format!("GPU-{place}")),
            name: "A100".to_owned(),
            memory: 0,
            busy: None,
        };
        let docker = Capabilities {
            engine: EngineName::Docker,
            daemon: None,
            description: "Docker".to_owned(),
            cpus: 4.0,
            memory: 8 << 30,
            here: true,
            gpus: (0..gpus).map(gpu).collect(),
            starts: 4,
            images: true,
            containers: true,
        };
        [(EngineName::Docker, docker)].into()
    }

    fn problems(trial: Trial, options: &Options, gpus: usize) -> String {
        let mut problems = Vec::new();
        let scope = Scope { options: options.clone(), engines: host(gpus) };
        check_hosts(&scope, &mut problems);
        check_needs(&trial.into(), &scope, &mut problems);
        let line = |problem: &crate::plan::Problem| match problem.hint() {
            Some(hint) => format!("{problem}\n  {hint}"),
            None => problem.to_string(),
        };
        problems.iter().map(line).collect::<Vec<_>>().join("\n")
    }

    #[test]
    fn what_the_host_has_not_is_refused_with_the_figures() {
        let large = trial(|trial| (trial.cpus, trial.memory) = (Some(5.0), Some(9 << 30)));
        assert_snapshot!(problems(large, &Options::default(), 0), @"
        `solver` asks for 5 CPUs, but the engine's host has 4 CPUs
          ask for less, or run it on a larger host
        `solver` asks for 9216 MiB of memory, but the engine's host has 8192 MiB
          ask for less, or run it on a larger host
        ");
    }

    #[test]
    fn what_the_budget_has_not_is_refused_though_the_host_has_it() {
        let reserve = Some(Reserve { cpus: 1.0, memory: 2 << 30 });
        let options = Options { reserve, ..Options::default() };
        let large = trial(|trial| (trial.cpus, trial.memory) = (Some(4.0), Some(7 << 30)));
        assert_snapshot!(problems(large, &options, 0), @"
        `solver` asks for 4 CPUs, but the run's budget has 3 CPUs
          ask for less, or give the run more
        `solver` asks for 7168 MiB of memory, but the run's budget has 6144 MiB
          ask for less, or give the run more
        ");
        let all = Options { reserve: Some(Reserve { cpus: 4.0, memory: 8 << 30 }), ..Options::default() };
        assert_snapshot!(problems(trial(|_| ()), &all, 0), @"
        the reserve of 4 CPUs leaves nothing of the 4 CPUs that the engine docker has
          ask for less, or give the run more
        the reserve of 8192 MiB leaves nothing of the 8192 MiB that the engine docker has
          ask for less, or give the run more
        ");
        let wide = Options { budget: Budget { cpus: Some(16.0), ..Budget::default() }, ..Options::default() };
        assert_eq!(problems(trial(|trial| trial.cpus = Some(4.0)), &wide, 0), "");
    }

    #[test]
    fn gpus_have_to_be_known() {
        let asks = |gpus: Gpus| trial(|trial| trial.gpus = Some(gpus.into()));
        assert_eq!(problems(asks(Gpus::Count(2)), &Options::default(), 2), "");
        assert_eq!(problems(asks(Gpus::Ids(vec!["0".to_owned(), "GPU-1".to_owned()])), &Options::default(), 2), "");
        assert_snapshot!(problems(asks(Gpus::Count(1)), &Options::default(), 0), @"
        `solver` asks for 1 GPU, but no GPU is known on the engine's host
          `nvidia-smi` has to list them; or name them: `--gpus 0,1`
        ");
        assert_snapshot!(problems(asks(Gpus::Count(3)), &Options::default(), 2), @"
        `solver` asks for 3 GPUs, but the run has 2
          `nvidia-smi` has to list them; or name them: `--gpus 0,1`
        ");
        assert_snapshot!(problems(asks(Gpus::Word("all".to_owned())), &Options::default(), 0), @"
        `solver` asks for all GPUs, but no GPU is known on the engine's host
          `nvidia-smi` has to list them; or name them: `--gpus 0,1`
        ");
        assert_snapshot!(problems(asks(Gpus::Word("7".to_owned())), &Options::default(), 2), @"`solver` asks for the GPU `7`, but the run has 0, 1");
        let named =
            Options { budget: Budget { gpus: Some(vec!["0".to_owned()]), ..Budget::default() }, ..Options::default() };
        assert_snapshot!(problems(asks(Gpus::Count(2)), &named, 1), @"
        `solver` asks for 2 GPUs, but the run has 1
          name more of them with `--gpus`
        ");
    }

    #[test]
    fn limits_are_the_runs_and_pinned_trials_have_whole_cores() {
        let licensed = || trial(|trial| trial.limits = [("license".to_owned(), 2)].into());
        assert_snapshot!(problems(licensed(), &Options::default(), 0), @"
        `solver` counts against the limit `license`, which the run does not have
          say how much there is of it: `--limit license=1`, or `limits: {license: 1}` at the top level of the spec
        ");
        let near = Options {
            budget: Budget { limits: [("licence".to_owned(), 2)].into(), ..Budget::default() },
            ..Options::default()
        };
        assert_snapshot!(problems(licensed(), &near, 0), @"
        `solver` counts against the limit `license`, which the run does not have
          did you mean `licence`?
        ");
        let few = Options {
            budget: Budget { limits: [("license".to_owned(), 1)].into(), ..Budget::default() },
            ..Options::default()
        };
        assert_snapshot!(problems(licensed(), &few, 0), @"
        `solver` asks for 2 of the limit `license`, but the run has 1
          ask for less, or give the run more
        ");
        let half = trial(|trial| (trial.pin, trial.cpus) = (true, Some(1.5)));
        assert_snapshot!(problems(half, &Options::default(), 0), @"
        `solver` is pinned to cores of its own, and 1.5 CPUs are no whole cores
          give it a whole number of `cpus`, such as 1
        ");
    }
}
