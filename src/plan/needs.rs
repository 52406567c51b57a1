//! What trials ask for, against what the run may take of the engines' hosts: what could never start is refused here.

use crate::model::budget::Budget;
use crate::model::capability::Capabilities;
use crate::model::name::EngineName;
use crate::model::options::Options;
use crate::model::suggest::nearest;
use crate::model::trial::{Gpus, Trial};
use crate::plan::{Engines, Problem};

/// Adds a problem for each thing that a trial asks for and can never get.
pub(super) fn check(
    trials: &[std::sync::Arc<Trial>],
    options: &Options,
    engines: &Engines,
    problems: &mut Vec<Problem>,
) {
    for (name, host) in engines {
        let budget = Budget::of(options, host);
        let reserve = options.reserve.unwrap_or_default();
        if reserve.cpus > 0.0 && budget.cpus <= 0.0 {
            let (reserve, has) = (format!("{} CPUs", reserve.cpus), format!("{} CPUs", host.cpus));
            problems.push(Problem::NothingLeft { engine: *name, reserve, has });
        }
        if reserve.memory > 0 && budget.memory == 0 {
            let (reserve, has) = (mebibytes(reserve.memory), mebibytes(host.memory));
            problems.push(Problem::NothingLeft { engine: *name, reserve, has });
        }
    }
    for trial in trials {
        let engine = trial.engine.unwrap_or_default();
        if engine == EngineName::Docker && trial.image.is_none() {
            problems.push(Problem::NoImage { trial: trial.name.clone(), engine });
        }
        // A service gets its retries from the run's options more often than not, and is seldom limited.
        let climbs = trial.retries.as_ref().is_some_and(|retries| retries.memory_factor.is_some());
        if climbs && trial.memory.is_none() && trial.service != Some(true) {
            problems.push(Problem::NoMemory { trial: trial.name.clone() });
        }
        check_limits(trial, options, problems);
        if trial.pin && trial.cpus.is_none_or(|cpus| cpus.fract() != 0.0) {
            problems.push(Problem::PinnedToParts { trial: trial.name.clone(), cpus: trial.cpus });
        }
        if let Some(host) = engines.get(&engine) {
            check_host(trial, options, host, problems);
            check_gpus(trial, options, host, problems);
        }
    }
}

fn check_host(trial: &Trial, options: &Options, host: &Capabilities, problems: &mut Vec<Problem>) {
    let budget = Budget::of(options, host);
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

fn check_limits(trial: &Trial, options: &Options, problems: &mut Vec<Problem>) {
    for (limit, &amount) in trial.limits.iter().filter(|(_, amount)| **amount > 0) {
        match options.limits.get(limit) {
            None => {
                let nearest = nearest(limit, options.limits.keys().map(String::as_str)).map(str::to_owned);
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

fn check_gpus(trial: &Trial, options: &Options, host: &Capabilities, problems: &mut Vec<Problem>) {
    let known = host.gpus.len();
    let asks = match &trial.gpus {
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
    let (name, here, named) = (trial.name.clone(), host.here, options.gpus.is_some());
    problems.push(Problem::TooFewGpus { trial: name, asks, known, here, named });
}

fn check_ids(trial: &Trial, ids: &[String], host: &Capabilities, problems: &mut Vec<Problem>) {
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

    use super::check;
    use crate::model::budget::Reserve;
    use crate::model::capability::{CONTAINER_FIELDS, Capabilities, Gpu};
    use crate::model::name::{EngineName, Name};
    use crate::model::options::Options;
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
            description: "Docker".to_owned(),
            cpus: 4.0,
            memory: 8 << 30,
            here: true,
            gpus: (0..gpus).map(gpu).collect(),
            starts: 4,
            images: true,
            acts_on: CONTAINER_FIELDS,
        };
        [(EngineName::Docker, docker)].into()
    }

    fn problems(trial: Trial, options: &Options, gpus: usize) -> String {
        let mut problems = Vec::new();
        check(&[trial.into()], options, &host(gpus), &mut problems);
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
        let wide = Options { cpus: Some(16.0), ..Options::default() };
        assert_eq!(problems(trial(|trial| trial.cpus = Some(4.0)), &wide, 0), "");
    }

    #[test]
    fn gpus_have_to_be_known() {
        let asks = |gpus: Gpus| trial(|trial| trial.gpus = Some(gpus));
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
        let named = Options { gpus: Some(vec!["0".to_owned()]), ..Options::default() };
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
        let near = Options { limits: [("licence".to_owned(), 2)].into(), ..Options::default() };
        assert_snapshot!(problems(licensed(), &near, 0), @"
        `solver` counts against the limit `license`, which the run does not have
          did you mean `licence`?
        ");
        let few = Options { limits: [("license".to_owned(), 1)].into(), ..Options::default() };
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
