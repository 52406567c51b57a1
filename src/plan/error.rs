//! Why an experiment cannot be planned.

use std::fmt;

use crate::model::name::{EngineName, Name};

/// Everything that keeps an experiment from being planned.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error("the experiment `{experiment}` cannot run: {}", list(.problems))]
pub struct PlanError {
    /// The experiment.
    pub experiment: String,
    /// At least one.
    pub problems: Vec<Problem>,
}

impl PlanError {
    /// Whether nothing is wrong but that there is nothing to run.
    pub fn is_empty(&self) -> bool {
        self.problems == [Problem::NoTrials]
    }
}

/// One thing that keeps an experiment from being planned.
#[derive(Debug, Clone, PartialEq)]
pub enum Problem {
    /// There is nothing to run.
    NoTrials,
    /// Several trials have one name.
    Duplicate {
        /// The name.
        name: Name,
        /// Their places in the list, from 0.
        places: Vec<usize>,
    },
    /// The name is that of a file in the run's folder, where the trial's logs would lie.
    Reserved {
        /// The name.
        name: Name,
    },
    /// No name of a container can begin with what the prefix stands for.
    BadPrefix {
        /// Why not, and what to write.
        message: String,
    },
    /// Something has no goal to go by.
    NoGoal {
        /// What, and what it does.
        what: String,
    },
    /// A prerequisite is not in the experiment.
    UnknownDependency {
        /// The dependant.
        trial: Name,
        /// What it depends on.
        on: Name,
        /// The trial with the nearest name.
        nearest: Option<Name>,
        /// Where it is not: `the experiment`, `the run`.
        whole: &'static str,
    },
    /// Trials depend on each other in a circle.
    Cycle {
        /// The circle: each depends on the next, the last is the first.
        names: Vec<Name>,
    },
    /// An engine of containers needs an image.
    NoImage {
        /// The trial.
        trial: Name,
        /// Its engine.
        engine: EngineName,
    },
    /// A service ends only when nothing waits for it, and this trial waits for its end.
    CompletedService {
        /// The dependant.
        trial: Name,
        /// The service.
        service: Name,
    },
    /// Health is awaited, and nothing probes it.
    NoHealthcheck {
        /// The dependant.
        trial: Name,
        /// The prerequisite without a healthcheck.
        on: Name,
        /// The prerequisite's engine.
        engine: EngineName,
    },
    /// A trial asks for more than the host has.
    TooLarge {
        /// The trial.
        trial: Name,
        /// What it asks for: `4 CPUs`.
        asks: String,
        /// Who has less: `the engine's host`, `the run's budget`.
        owner: &'static str,
        /// What that has: `2 CPUs`.
        has: String,
    },
    /// A trial was submitted for an engine that the run does not use.
    UnusedEngine {
        /// The engine.
        engine: EngineName,
    },
    /// What is left to others is all that the host has.
    NothingLeft {
        /// The engine of that host.
        engine: EngineName,
        /// What is left to others.
        reserve: String,
        /// What the run would have without.
        has: String,
    },
    /// A trial asks for more GPUs than are known.
    TooFewGpus {
        /// The trial.
        trial: Name,
        /// What it asks for: `2 GPUs`.
        asks: String,
        /// How many are known.
        known: usize,
        /// Whether the engine's host is this machine, where they can be looked for.
        here: bool,
        /// Whether the user named them.
        named: bool,
    },
    /// A trial asks for a GPU that is not there.
    UnknownGpu {
        /// The trial.
        trial: Name,
        /// The GPU.
        id: String,
        /// Those that are.
        known: Vec<String>,
    },
    /// A trial counts against a limit that the run does not have.
    UnknownLimit {
        /// The trial.
        trial: Name,
        /// The limit.
        limit: String,
        /// The limit with the nearest name.
        nearest: Option<String>,
    },
    /// A trial that gets cores of its own asks for parts of one.
    PinnedToParts {
        /// The trial.
        trial: Name,
        /// What it asks for.
        cpus: Option<f64>,
    },
    /// A trial gets more memory after running out of it, and has no limit that could be raised.
    NoMemory {
        /// The trial.
        trial: Name,
    },
    /// A word of a trial's command, or a variable of its `env`, is longer than Linux takes.
    TooLong {
        /// The trial.
        trial: Name,
        /// What is too long: `the variable `A``.
        what: String,
        /// Its bytes.
        bytes: usize,
        /// The most that Linux takes.
        most: usize,
    },
    /// More containers may be on a network at once than it holds.
    Crowded {
        /// The network.
        network: String,
        /// How many may be there at once.
        at_once: usize,
        /// How many it holds.
        most: usize,
    },
}

impl Problem {
    /// What to do about it, if that is not plain from the problem.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::UnknownDependency { nearest: Some(nearest), .. } => Some(format!("did you mean `{nearest}`?")),
            Self::Cycle { .. } => Some("remove one of these from `depends`".to_owned()),
            Self::NoImage { .. } => {
                Some("give it an `image`, or `engine: \"local\"` to run it as a process".to_owned())
            }
            Self::CompletedService { service, .. } => {
                Some(format!("give `{service}` a `cmd` or `service: false`, or wait for \"started\""))
            }
            Self::NoHealthcheck { on, .. } => Some(format!("give `{on}` a `healthcheck`, or wait for \"started\"")),
            Self::TooLarge { owner: "the engine's host", .. } => {
                Some("ask for less, or run it on a larger host".to_owned())
            }
            Self::TooLarge { .. } | Self::NothingLeft { .. } => Some("ask for less, or give the run more".to_owned()),
            Self::TooFewGpus { named: true, .. } => Some("name more of them with `--gpus`".to_owned()),
            Self::TooFewGpus { here: true, .. } => {
                Some("`nvidia-smi` has to list them; or name them: `--gpus 0,1`".to_owned())
            }
            Self::TooFewGpus { .. } => {
                Some("those of another machine are not looked for; name them: `--gpus 0,1`".to_owned())
            }
            Self::UnknownLimit { nearest: Some(nearest), .. } => Some(format!("did you mean `{nearest}`?")),
            Self::UnknownLimit { limit, .. } => Some(format!(
                "say how much there is of it: `--limit {limit}=1`, or `limits: {{{limit}: 1}}` at the top level of the spec"
            )),
            Self::PinnedToParts { .. } => Some("give it a whole number of `cpus`, such as 1".to_owned()),
            Self::NoMemory { .. } => {
                Some("give it a `memory`, or `retries` of its own without `memory_factor`".to_owned())
            }
            Self::TooLong { .. } => {
                Some("write it to a file and mount that with `volumes`, or make it one of the `params`".to_owned())
            }
            Self::Crowded { most, .. } => Some(format!(
                "run fewer at once (`-j {most}` less its services), spread the trials over several `networks`, or give those \
                 that need none `networks: [\"none\"]`"
            )),
            _ => None,
        }
    }
}

impl fmt::Display for Problem {
    #[expect(clippy::too_many_lines, reason = "a line for each problem")]
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::BadPrefix { message } => f.write_str(message),
            Self::NoGoal { what } => {
                write!(f, "{what} by the run's goal, and there is none: give a `goal` such as `min loss`")
            }
            Self::NoTrials => write!(f, "it has no trials"),
            Self::Duplicate { name, places } => {
                let places: Vec<_> = places.iter().map(|place| format!("[{place}]")).collect();
                write!(f, "the name `{name}` is used by {} trials: {}", places.len(), shortened(&places))
            }
            Self::Reserved { name } => {
                write!(f, "`{name}` cannot be a trial's name: combu keeps a file of that name beside the logs")
            }
            Self::UnknownDependency { trial, on, whole, .. } => {
                write!(f, "`{trial}` depends on `{on}`, which is not in {whole}")
            }
            Self::Cycle { names } => {
                let names: Vec<_> = names.iter().map(|name| format!("`{name}`")).collect();
                write!(f, "trials depend on each other in a circle: {}", names.join(" -> "))
            }
            Self::NoImage { trial, engine } => write!(f, "`{trial}` has no `image`, which the engine {engine} needs"),
            Self::CompletedService { trial, service } => {
                write!(
                    f,
                    "`{trial}` waits for the service `{service}` to end, but a service runs until nothing needs it"
                )
            }
            Self::NoHealthcheck { trial, on, engine } => {
                write!(f, "`{trial}` waits until `{on}` is healthy, but `{on}` has no healthcheck (engine {engine})")
            }
            Self::UnusedEngine { engine } => write!(f, "no trial of the run's plan uses the engine {engine}"),
            Self::TooLarge { trial, asks, owner, has } => write!(f, "`{trial}` asks for {asks}, but {owner} has {has}"),
            Self::NothingLeft { engine, reserve, has } => {
                write!(f, "the reserve of {reserve} leaves nothing of the {has} that the engine {engine} has")
            }
            Self::TooFewGpus { trial, asks, known: 0, .. } => {
                write!(f, "`{trial}` asks for {asks}, but no GPU is known on the engine's host")
            }
            Self::TooFewGpus { trial, asks, known, .. } => {
                write!(f, "`{trial}` asks for {asks}, but the run has {known}")
            }
            Self::UnknownGpu { trial, id, known } if known.is_empty() => {
                write!(f, "`{trial}` asks for the GPU `{id}`, but no GPU is known on the engine's host")
            }
            Self::UnknownGpu { trial, id, known } => {
                write!(f, "`{trial}` asks for the GPU `{id}`, but the run has {}", known.join(", "))
            }
            Self::UnknownLimit { trial, limit, .. } => {
                write!(f, "`{trial}` counts against the limit `{limit}`, which the run does not have")
            }
            Self::PinnedToParts { trial, cpus: Some(cpus) } => {
                write!(f, "`{trial}` is pinned to cores of its own, and {cpus} CPUs are no whole cores")
            }
            Self::PinnedToParts { trial, cpus: None } => {
                write!(f, "`{trial}` is pinned to cores of its own, and does not say how many: it has no `cpus`")
            }
            Self::NoMemory { trial } => {
                write!(f, "`{trial}` has a `memory_factor` in its `retries` and no `memory` to multiply")
            }
            Self::TooLong { trial, what, bytes, most } => {
                write!(f, "{what} of `{trial}` has {bytes} bytes, and no program can be given more than {most}")
            }
            Self::Crowded { network, at_once, most } => {
                write!(f, "up to {at_once} trials at once may be on the network `{network}`, which holds {most}")
            }
        }
    }
}

fn shortened(places: &[String]) -> String {
    match places {
        [first @ .., last] if places.len() > 6 => format!("{}, ... {last}", first[..4].join(", ")),
        _ => places.join(", "),
    }
}

fn list(problems: &[Problem]) -> String {
    problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("; ")
}
