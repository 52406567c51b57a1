//! Building a plan: every check, in one pass over the trials each, all problems together.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

use serde::Serialize;

use crate::model::experiment::Experiment;
use crate::model::name::{EngineName, Name};
use crate::model::options::Options;
use crate::model::trial::settled::Settled;
use crate::model::trial::{Condition, Trial};
use crate::plan::admission::{Engines, Prerequisite, Scope, check_depends, check_hosts, check_needs, condition};
use crate::plan::error::{PlanError, Problem};
use crate::plan::graph::{self, Wait};
use crate::plan::{networks, warnings};

/// An experiment checked and ordered.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Plan {
    /// The experiment, with the options in force.
    pub experiment: Experiment,
    /// Its trials as they were decided, in the order they were written.
    pub trials: Vec<Arc<Settled>>,
    /// For each trial, what it waits for.
    pub waits: Vec<Vec<Wait>>,
    /// Trials by dependency depth. A group only names a depth: trials wait for their prerequisites, not for a group.
    pub groups: Vec<Vec<usize>>,
    /// Sentences about what will not be acted on.
    pub warnings: Vec<String>,
}

/// Checks and orders an experiment. `options` win over the experiment's own; an engine named there wins over the trials'.
///
/// # Errors
/// Every problem found, together.
pub fn build(experiment: Experiment, options: Options, engines: &Engines) -> Result<Plan, PlanError> {
    let (plan, problems) = lay_out(experiment, options, engines);
    if problems.is_empty() { Ok(plan) } else { Err(PlanError { experiment: plan.experiment.name, problems }) }
}

/// The plan of an experiment of which nothing is to be started any more: whether it could run does not matter.
pub fn recall(experiment: Experiment, engines: &Engines) -> Plan {
    lay_out(experiment, Options::default(), engines).0
}

/// The plan of an experiment, and every problem with it.
fn lay_out(mut experiment: Experiment, options: Options, engines: &Engines) -> (Plan, Vec<Problem>) {
    let mut problems = Vec::new();
    if experiment.trials.is_empty() {
        problems.push(Problem::NoTrials);
    }
    experiment.options = in_force(options, experiment.options);
    let places = places(&experiment.trials, &mut problems);
    let services = services(&experiment.trials, &places);
    let defaults = &experiment.options.defaults;
    let settle = |(trial, service): (&Arc<Trial>, bool)| Arc::new(Settled::new(trial.clone(), defaults, service));
    let trials: Vec<Arc<Settled>> = experiment.trials.iter().zip(services).map(settle).collect();
    let scope = Scope { options: experiment.options.clone(), engines: engines.clone() };
    let find = |name: &Name| {
        let place = *places.get(name)?;
        let trial = &*trials[place];
        let probes = engines.get(&trial.engine).is_none_or(|engine| engine.images);
        Some(Prerequisite { place, trial, probes })
    };
    // Of equally near names, the last is suggested.
    let names = trials.iter().rev().map(|trial| &trial.name);
    let waits: Vec<_> =
        trials.iter().map(|trial| check_depends(trial, "the experiment", find, names.clone(), &mut problems)).collect();
    check_hosts(&scope, &mut problems);
    if experiment.options.goal.is_none() {
        let rules = experiment.options.prune.iter().filter(|rule| rule.needs_goal());
        let rules = rules.map(|rule| format!("`prune: {rule}` compares trials"));
        let search = experiment.options.search.iter().map(|_| "`search` chooses trials".to_owned());
        problems.extend(rules.chain(search).map(|what| Problem::NoGoal { what }));
    }
    trials.iter().for_each(|trial| check_needs(trial, &scope, &mut problems));
    networks::check(&trials, engines, &experiment.options, &mut problems);
    let groups = match graph::groups(&waits) {
        Ok(groups) => groups,
        Err(circle) => {
            problems.push(Problem::Cycle { names: circle.iter().map(|&trial| trials[trial].name.clone()).collect() });
            Vec::new()
        }
    };
    let warnings = warnings::all(&trials, &waits, engines);
    (Plan { experiment, trials, waits, groups, warnings }, problems)
}

/// The options in force where `above` win over `below`; an engine that `above` name runs every trial.
pub fn in_force(above: Options, below: Options) -> Options {
    let engine_of_all = above.defaults.engine;
    let mut options = above.over(below);
    options.defaults.engine_of_all = engine_of_all.or(options.defaults.engine_of_all);
    options
}

impl Plan {
    /// The engines its trials run on.
    pub fn engines(&self) -> Vec<EngineName> {
        let mut engines: Vec<_> = self.trials.iter().map(|trial| trial.engine).collect();
        engines.sort_unstable();
        engines.dedup();
        engines
    }
}

fn places<'a>(trials: &'a [Arc<Trial>], problems: &mut Vec<Problem>) -> HashMap<&'a Name, usize> {
    let mut places: HashMap<&Name, usize> = HashMap::with_capacity(trials.len());
    let mut duplicates: BTreeMap<&Name, Vec<usize>> = BTreeMap::new();
    for (place, trial) in trials.iter().enumerate() {
        if let Some(&first) = places.get(&trial.name) {
            duplicates.entry(&trial.name).or_insert_with(|| vec![first]).push(place);
        } else {
            places.insert(&trial.name, place);
        }
    }
    problems.extend(duplicates.into_iter().map(|(name, places)| Problem::Duplicate { name: name.clone(), places }));
    places
}

/// For each trial, whether it is a service: when it says so; else when others wait until it is healthy, or when it has no
/// command of its own and others depend on it; and nobody waits for its end.
fn services(trials: &[Arc<Trial>], places: &HashMap<&Name, usize>) -> Vec<bool> {
    let mut needed = vec![false; trials.len()];
    let mut awaited_end = vec![false; trials.len()];
    let mut awaited_health = vec![false; trials.len()];
    for dependency in trials.iter().flat_map(|trial| &trial.depends) {
        let Some(&on) = places.get(&dependency.trial) else { continue };
        match condition(dependency, &trials[on]) {
            Condition::Completed | Condition::Ended => awaited_end[on] = true,
            Condition::Started => needed[on] = true,
            Condition::Healthy => (needed[on], awaited_health[on]) = (true, true),
        }
    }
    let by_default = |place: usize| {
        let serves = awaited_health[place] || trials[place].cmd.is_none();
        needed[place] && !awaited_end[place] && serves
    };
    trials.iter().enumerate().map(|(place, trial)| trial.service.unwrap_or_else(|| by_default(place))).collect()
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use insta::assert_snapshot;

    use crate::model::capability::Capabilities;
    use crate::model::experiment::Experiment;
    use crate::model::name::{EngineName, Name};
    use crate::model::options::{Budget, Options, Parallel, TrialDefaults};
    use crate::model::retry::Retries;
    use crate::model::trial::{Condition, Dependency, Port, Protocol, Timeout, Trial};
    use crate::plan::{Engines, Plan, PlanError, build};

    fn trial(name: &str, cmd: &str) -> Trial {
        let cmd = (!cmd.is_empty()).then(|| cmd.split(' ').map(ToOwned::to_owned).collect());
        Trial { image: Some("busybox".to_owned()), cmd, ..Trial::new(Name::parse(name).unwrap()) }
    }

    fn after(mut trial: Trial, on: &str, condition: Option<Condition>) -> Trial {
        trial.depends.push(Dependency { trial: Name::parse(on).unwrap(), condition });
        trial
    }

    fn docker() -> Engines {
        let docker = Capabilities {
            here: true,
            gpus: Vec::new(),
            engine: EngineName::Docker,
            daemon: None,
            description: String::new(),
            cpus: 2.0,
            memory: 1 << 30,
            starts: 4,
            images: true,
            containers: true,
        };
        let local = Capabilities { engine: EngineName::Local, images: false, containers: false, ..docker.clone() };
        [(EngineName::Docker, docker), (EngineName::Local, local)].into()
    }

    fn planned(trials: Vec<Trial>, options: Options) -> Result<Plan, PlanError> {
        let spec = "/exp.jsonnet".into();
        let trials = trials.into_iter().map(Arc::new).collect();
        let experiment = Experiment { name: "exp".to_owned(), id: "id".to_owned(), spec, options, trials };
        build(experiment, Options::default(), &docker())
    }

    fn refusal(trials: Vec<Trial>) -> String {
        let problems = planned(trials, Options::default()).unwrap_err().problems;
        let lines = problems.iter().map(|problem| match problem.hint() {
            Some(hint) => format!("{problem}\n  {hint}\n"),
            None => format!("{problem}\n"),
        });
        lines.collect()
    }

    #[test]
    fn a_plan_prints_its_groups_services_and_what_each_trial_waits_for() {
        let trials = vec![
            after(trial("solver-a", "solve --mode a"), "loader", None),
            after(after(trial("merge", "merge 'two words'"), "solver-a", Some(Condition::Completed)), "loader", None),
            trial("loader", ""),
        ];
        assert_snapshot!(planned(trials, Options::default()).unwrap(), @r#"
        experiment exp: 3 trials in 3 groups

        group 1: 1 trial
          loader (service)  busybox

        group 2: 1 trial
          solver-a  busybox: solve --mode a  after loader

        group 3: 1 trial
          merge  busybox: merge "'two" "words'"  after solver-a completed, loader
        "#);
    }

    #[test]
    fn every_problem_is_told_at_once() {
        let trials = vec![
            after(trial("solver-a", "x"), "laoder", None),
            trial("loader", ""),
            trial("loader", "again"),
            after(trial("left", "x"), "right", None),
            after(trial("right", "x"), "left", None),
            after(trial("lonely", "x"), "lonely", None),
            Trial { image: None, ..trial("bare", "x") },
            Trial { cpus: Some(4.0), memory: Some(2 << 30), ..trial("huge", "x") },
            Trial {
                retries: Some(Retries { memory_factor: Some(2.0), ..Retries::count(1) }.into()),
                ..trial("climber", "x")
            },
            Trial { service: Some(true), ..trial("server", "x") },
            after(trial("waiter", "x"), "server", Some(Condition::Completed)),
            Trial { engine: Some(EngineName::Local), ..trial("process", "x") },
            after(trial("prober", "x"), "process", Some(Condition::Healthy)),
        ];
        assert_snapshot!(refusal(trials), @r#"
        the name `loader` is used by 2 trials: [1], [2]
        `solver-a` depends on `laoder`, which is not in the experiment
          did you mean `loader`?
        `waiter` waits for the service `server` to end, but a service runs until nothing needs it
          give `server` a `cmd` or `service: false`, or wait for "started"
        `prober` waits until `process` is healthy, but `process` has no healthcheck (engine local)
          give `process` a `healthcheck`, or wait for "started"
        `bare` has no `image`, which the engine docker needs
          give it an `image`, or `engine: "local"` to run it as a process
        `huge` asks for 4 CPUs, but the engine's host has 2 CPUs
          ask for less, or run it on a larger host
        `huge` asks for 2048 MiB of memory, but the engine's host has 1024 MiB
          ask for less, or run it on a larger host
        `climber` has a `memory_factor` in its `retries` and no `memory` to multiply
          give it a `memory`, or `retries` of its own without `memory_factor`
        trials depend on each other in a circle: `left` -> `right` -> `left`
          remove one of these from `depends`
        "#);
    }

    #[test]
    fn a_circle_is_shown_without_the_trials_that_only_lead_into_it() {
        let trials = vec![
            after(trial("t0", "x"), "t1", None),
            after(trial("t1", "x"), "t2", None),
            after(trial("t2", "x"), "t3", None),
            after(trial("t3", "x"), "t1", None),
        ];
        assert_snapshot!(refusal(trials), @"
        trials depend on each other in a circle: `t1` -> `t2` -> `t3` -> `t1`
          remove one of these from `depends`
        ");
    }

    #[test]
    fn an_experiment_without_trials_is_told_apart_from_a_wrong_one() {
        assert!(planned(Vec::new(), Options::default()).unwrap_err().is_empty());
        assert!(!planned(vec![after(trial("t1", "x"), "t1", None)], Options::default()).unwrap_err().is_empty());
    }

    #[test]
    fn what_no_one_acts_on_is_warned_of_once_per_field() {
        let local = |name: &str| Trial { engine: Some(EngineName::Local), image: None, ..trial(name, "x") };
        let first = Trial { hostname: Some("a".to_owned()), priority: 3, ..local("t1") };
        let last = Trial { cpus: Some(1.0), ..local("process") };
        let plan =
            planned(vec![first.clone(), Trial { name: Name::parse("t2").unwrap(), ..first }, last], Options::default());
        assert_snapshot!(plan.unwrap().warnings.join("\n"), @"
        the engine local reserves `cpus` and does not enforce it (`process`)
        the engine local ignores `hostname` (2 trials, such as `t1`)
        ");
    }

    #[test]
    fn what_a_reader_would_not_expect_is_warned_of() {
        let mut params = trial("params", "x");
        for name in ["a-b", "a_b", "学習率", "最適化"] {
            params.params.insert(name.to_owned(), 1.into());
        }
        let trials = vec![trial("unprobed", "x"), after(params, "unprobed", Some(Condition::Healthy))];
        assert_snapshot!(planned(trials, Options::default()).unwrap().warnings.join("\n"), @"
        `unprobed` is waited for until it is healthy and has no `healthcheck`: where its image has none either, it counts as healthy as soon as it runs
        the parameters `a-b` and `a_b` of `params` are both `COMBU_PARAM_A_B` in its environment: COMBU_PARAMS tells them apart
        ");
    }

    fn warned(trials: Vec<Trial>) -> String {
        planned(trials, Options::default()).unwrap().warnings.join("\n")
    }

    #[test]
    fn signs_of_a_shell_that_no_shell_reads_are_warned_of() {
        let sweep = (1..=3).map(|n| trial(&format!("t{n}"), "echo $HOME"));
        let quiet = [
            Trial { entrypoint: Some(vec!["sh".to_owned(), "-c".to_owned()]), ..trial("shell", "$CMD") },
            trial("price", "echo 5$ $1 a>b --glob=*.py"),
        ];
        let trials: Vec<Trial> = sweep.chain([trial("chain", "ls | wc -l")]).chain(quiet).collect();
        assert_snapshot!(warned(trials), @"
        `$HOME` in the `cmd` of `t1` and 2 more is passed to the program as it stands: no shell reads a `cmd`; where a shell is to read it, write cmd: ['sh', '-c', '..']
        `|` in the `cmd` of `chain` is passed to the program as it stands: no shell reads a `cmd`; where a shell is to read it, write cmd: ['sh', '-c', '..']
        ");
    }

    #[test]
    fn who_starts_before_the_end_of_a_bare_prerequisite_is_warned() {
        let summary = |name: &str| after(trial(name, "cat r1"), "fold", None);
        let trials = vec![trial("fold", "fit"), summary("sum-1"), summary("sum-2"), summary("sum-3")];
        assert_snapshot!(warned(trials), @"`sum-1` and 2 more start as soon as `fold` has started, and not when it is done: if they need its end, write { trial: 'fold', condition: 'completed' } in `depends`");
        let said = Trial { service: Some(false), ..trial("fold", "fit") };
        assert_eq!(warned(vec![said, summary("sum-1")]), "");
        assert_eq!(warned(vec![trial("fold", "fit"), after(trial("sum", "x"), "fold", Some(Condition::Started))]), "");
    }

    #[test]
    fn a_trial_that_is_awaited_as_healthy_is_a_service_unless_it_says_otherwise() {
        let awaited = |db: Trial| {
            let plan = planned(vec![db, after(trial("web", "x"), "db", Some(Condition::Healthy))], Options::default());
            plan.unwrap().trials[0].service
        };
        assert!(awaited(trial("db", "sleep 600")));
        assert!(!awaited(Trial { service: Some(false), ..trial("db", "sleep 600") }));
        let both = vec![
            trial("db", "sleep 600"),
            after(trial("web", "x"), "db", Some(Condition::Healthy)),
            after(trial("end", "x"), "db", Some(Condition::Completed)),
        ];
        assert!(!planned(both, Options::default()).unwrap().trials[0].service, "somebody waits for its end");
    }

    #[test]
    fn a_port_of_the_host_that_several_trials_publish_is_warned_of() {
        let publishing = |name: &str, host: Option<u16>, ip: Option<&str>| Trial {
            ports: vec![Port { ip: ip.map(ToOwned::to_owned), host, container: 80, protocol: Protocol::Tcp }],
            ..trial(name, "x")
        };
        let trials = vec![
            publishing("t1", Some(8080), None),
            publishing("t2", Some(8080), Some("127.0.0.1")),
            publishing("t3", Some(8081), None),
            publishing("t4", Some(8082), Some("10.0.0.1")),
            publishing("t5", Some(8082), Some("10.0.0.2")),
            publishing("t6", None, None),
            publishing("t7", None, None),
        ];
        assert_snapshot!(warned(trials), @"`t1` and `t2` publish the host's port 8080: they run one after the other");
    }

    #[test]
    fn a_trial_cannot_be_named_as_a_file_of_the_runs_folder() {
        assert_snapshot!(refusal(vec![trial("lock", "x"), trial("combu.log", "x")]), @"
        `lock` cannot be a trial's name: combu keeps a file of that name beside the logs
        `combu.log` cannot be a trial's name: combu keeps a file of that name beside the logs
        ");
    }

    #[test]
    fn a_network_takes_only_so_many_at_once() {
        let many = |count: usize, networks: &[&str]| -> Vec<Trial> {
            let networks: Vec<String> = networks.iter().map(|network| (*network).to_owned()).collect();
            let one = |i| Trial { networks: networks.clone(), ..trial(&format!("t{i}"), "x") };
            (0..count).map(one).collect()
        };
        let at_once = |trials: Vec<Trial>, count: Option<usize>| {
            planned(
                trials,
                Options {
                    budget: Budget { parallel: count.map(Parallel::Count), ..Budget::default() },
                    ..Options::default()
                },
            )
        };
        // However many there are: only what runs at once counts, and two CPUs run two.
        assert!(at_once(many(3000, &["irl"]), None).is_ok());
        assert!(at_once(many(3000, &["irl"]), Some(1000)).is_ok());
        assert!(at_once(many(3000, &["none"]), Some(3000)).is_ok());
        let mut with_service = many(3000, &["irl", "other"]);
        with_service[7].service = Some(true);
        let problems = at_once(with_service, Some(1000)).unwrap_err().problems;
        assert_snapshot!(problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"), @"
        up to 1001 trials at once may be on the network `irl`, which holds 1000
        up to 1001 trials at once may be on the network `other`, which holds 1000
        ");
        assert_snapshot!(problems[0].hint().unwrap(), @r#"run fewer at once (`-j 1000` less its services), spread the trials over several `networks`, or give those that need none `networks: ["none"]`"#);
        // Small ones fit many at once, on the default bridge too; memory may be what they do not fit.
        let mut small = many(1500, &[]);
        small.iter_mut().for_each(|trial| trial.cpus = Some(0.001));
        assert_snapshot!(at_once(small.clone(), None).unwrap_err(), @"the experiment `exp` cannot run: up to 1500 trials at once may be on the network `bridge`, which holds 1000");
        small.iter_mut().for_each(|trial| trial.memory = Some(2 << 20));
        assert!(at_once(small, None).is_ok());
    }

    #[test]
    fn options_fill_what_trials_do_not_say_and_spare_services_the_timeout() {
        let ten = std::time::Duration::from_secs(10);
        let options = Options {
            defaults: TrialDefaults {
                timeout: Some(Timeout::After(ten)),
                retries: Some(Retries::count(2).into()),
                ..TrialDefaults::default()
            },
            ..Options::default()
        };
        let own = Trial { retries: Some(Retries::count(0).into()), ..trial("solver", "x") };
        let plan = planned(vec![trial("loader", ""), after(own, "loader", None)], options).unwrap();
        assert_eq!((plan.trials[0].service, plan.trials[1].service), (true, false));
        assert_eq!((plan.trials[0].timeout, plan.trials[1].timeout), (None, Some(Timeout::After(ten))));
        assert_eq!(plan.trials[0].retries, Retries::count(2).into());
        assert_eq!(plan.trials[1].retries, Retries::count(0).into());
    }
}
