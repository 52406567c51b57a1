//! Looking at what is on the daemon: whose a name is, what a run would make, which attempts are ours. Changes nothing.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::Path;
use std::sync::Arc;

use bollard::models::{ContainerSummary, ContainerSummaryStateEnum as State};
use bollard::query_parameters::ListContainersOptionsBuilder;

use crate::engine::docker::call::steady;
use crate::engine::docker::connect::Connection;
use crate::engine::docker::{image, mounts, network};
use crate::engine::error::EngineError;
use crate::engine::found::{Found, Obstacle, Selector, Standing, Survey};
use crate::engine::launch::Claim;
use crate::model::handle::Handle;
use crate::model::label;
use crate::model::name::{EngineName, Name};
use crate::model::shell;
use crate::model::trial::Pull;
use crate::model::trial::settled::Settled;

/// Whose the name of a trial is.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Holder {
    /// A trial of this experiment, still running in that run.
    Running(String),
    /// A trial of this experiment, ended or never started.
    Finished,
    /// Something else.
    Foreign(Stranger),
}

/// A container that has the name of a trial and is another's.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Stranger {
    /// What it is, for people.
    pub(super) what: String,
    /// The command that frees the name.
    pub(super) frees: String,
}

impl Holder {
    /// Judges a container of that name, which the claimed trial is to have.
    pub(super) fn of(
        name: &str,
        labels: &HashMap<String, String>,
        image: Option<&str>,
        standing: Standing,
        claim: Claim<'_>,
    ) -> Self {
        let run = labels.get(label::RUN);
        let running = standing == Standing::Running;
        let does = match standing {
            Standing::Running => "runs",
            Standing::Created => "is being started, or could not be",
            Standing::Ended => "has ended and is kept",
        };
        match run {
            Some(run) if claim.covers(|key| labels.get(key)) => {
                if running {
                    Self::Running(run.clone())
                } else {
                    Self::Finished
                }
            }
            Some(_) => Self::Foreign(match labels.get(label::SPEC) {
                Some(spec) => Stranger {
                    what: format!("a container of the experiment at {spec}, which {does}"),
                    // A project that was moved finds its own by the runs that it recorded.
                    frees: match Path::new(spec).exists() {
                        true => format!("combu -f {} kill", shell::quoted(spec)),
                        false => format!("docker rm -f {name}"),
                    },
                },
                None => Stranger {
                    what: format!("a container of another experiment, which {does}"),
                    frees: format!("docker rm -f {name}"),
                },
            }),
            None => Self::Foreign(Stranger {
                what: format!(
                    "a container of image {}, which is not combu's and {does}",
                    image.unwrap_or("nobody knows")
                ),
                frees: format!("docker rm -f {name}"),
            }),
        }
    }
}

/// Obstacles in the way of the trials of an experiment, and things that would be made for them.
pub(super) async fn survey(daemon: &Connection, spec: &str, trials: &[Arc<Settled>]) -> Result<Survey, EngineError> {
    let mut survey = Survey::default();
    images(daemon, trials, &mut survey).await?;
    networks(daemon, trials, &mut survey).await?;
    mounts::volumes(daemon, spec, trials, &mut survey).await?;
    let everything = list(daemon, Vec::new()).await?;
    let by_name: HashMap<&str, &ContainerSummary> =
        everything.iter().flat_map(|container| names(container).map(move |name| (name, container))).collect();
    for trial in trials {
        let (name, trial) = (trial.container(), trial.name.clone());
        let Some(container) = by_name.get(&*name) else { continue };
        let no_labels = HashMap::new();
        let labels = container.labels.as_ref().unwrap_or(&no_labels);
        let claim = Claim::new(spec, &trial);
        match Holder::of(&name, labels, container.image.as_deref(), standing(container), claim) {
            Holder::Running(run) => survey.obstacles.push(Obstacle::Running { trial, run }),
            Holder::Finished => {
                survey.makes.push(format!("replace finished container {name}"));
                survey.finished.extend(self::found((*container).clone()));
            }
            Holder::Foreign(Stranger { what, frees }) => {
                survey.obstacles.push(Obstacle::Foreign { trial, name: name.into_owned(), holder: what, frees });
            }
        }
    }
    Ok(survey)
}

/// Attempts of ours that carry the labels.
pub(super) async fn find(daemon: &Connection, selector: &Selector) -> Result<Vec<Found>, EngineError> {
    let mut labels: Vec<String> = selector.labels.iter().map(|(key, value)| format!("{key}={value}")).collect();
    labels.extend([label::TRIAL.to_owned(), label::RUN.to_owned()]);
    let containers = list(daemon, labels).await?;
    Ok(containers.into_iter().filter_map(found).collect())
}

/// The attempt that a container is.
pub(super) fn found(container: ContainerSummary) -> Option<Found> {
    let standing = standing(&container);
    let labels: BTreeMap<String, String> = container.labels?.into_iter().collect();
    let trial = Name::parse(labels.get(label::TRIAL)?).ok()?;
    let handle = Handle { engine: EngineName::Docker, id: container.id? };
    Some(Found { handle, trial, labels, standing })
}

async fn images(daemon: &Connection, trials: &[Arc<Settled>], survey: &mut Survey) -> Result<(), EngineError> {
    let mut wanted: BTreeMap<(&str, Option<&str>), BTreeSet<&str>> = BTreeMap::new();
    for trial in trials {
        let (image, _) = image::named(trial)?;
        let policies = wanted.entry((image, trial.platform.as_deref())).or_default();
        policies.insert(trial.pull.as_str());
    }
    for ((image, platform), policies) in wanted {
        let found = image::look(daemon, image).await?.filter(|found| image::fits(found, platform));
        let there = found.is_some();
        survey.digests.extend(found.and_then(|found| Some((image.to_owned(), found.id?))));
        let policy = |policy: Pull| policies.contains(policy.as_str());
        if policy(Pull::Always) {
            survey.makes.push(format!("pull image {image} (always)"));
        } else if there {
            survey.uses.push(format!("image {image}"));
        } else if policy(Pull::Missing) {
            survey.makes.push(format!("pull image {image}"));
        }
        if !there && policy(Pull::Never) {
            survey.obstacles.push(Obstacle::MissingImage { image: image.to_owned() });
        }
    }
    Ok(())
}

async fn networks(daemon: &Connection, trials: &[Arc<Settled>], survey: &mut Survey) -> Result<(), EngineError> {
    let wanted: BTreeSet<&str> = trials.iter().flat_map(|trial| &trial.networks).map(String::as_str).collect();
    if wanted.is_empty() {
        return Ok(());
    }
    let there = network::all(daemon).await?;
    for name in wanted.into_iter().filter(|name| !name.starts_with("container:")) {
        match there.get(name) {
            None => survey.makes.push(format!("create network {name}")),
            Some(true) => survey.uses.push(format!("network {name}")),
            Some(false) => survey.uses.push(format!("network {name} (not combu's: joined, never removed)")),
        }
    }
    Ok(())
}

async fn list(daemon: &Connection, labels: Vec<String>) -> Result<Vec<ContainerSummary>, EngineError> {
    let filters = if labels.is_empty() { HashMap::new() } else { HashMap::from([("label", labels)]) };
    let options = ListContainersOptionsBuilder::new().all(true).filters(&filters).build();
    steady(|| daemon.api.list_containers(Some(options.clone())))
        .await
        .map_err(|error| daemon.failure("list containers", error))
}

/// A container's own names: those of links have a second slash.
pub(super) fn names(container: &ContainerSummary) -> impl Iterator<Item = &str> {
    let names = container.names.iter().flatten();
    names.map(|name| name.trim_start_matches('/')).filter(|name| !name.contains('/'))
}

fn standing(container: &ContainerSummary) -> Standing {
    match container.state {
        Some(State::RUNNING | State::PAUSED | State::RESTARTING) => Standing::Running,
        Some(State::CREATED) => Standing::Created,
        _ => Standing::Ended,
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use super::{Holder, Standing, Stranger};
    use crate::engine::launch::Claim;
    use crate::model::label;
    use crate::model::name::Name;

    #[test]
    fn a_name_is_ours_only_with_the_same_spec_and_trial() {
        let labels = |pairs: &[(&str, &str)]| -> HashMap<String, String> {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect()
        };
        let ours = labels(&[(label::RUN, "r1"), (label::SPEC, "/x/a.jsonnet"), (label::TRIAL, "ab")]);
        let name = Name::parse("ab").unwrap();
        let claim = Claim::new("/x/a.jsonnet", &name);
        let of = |labels: &HashMap<_, _>, running| {
            let standing = if running { Standing::Running } else { Standing::Ended };
            Holder::of("lab-ab", labels, Some("postgres"), standing, claim)
        };
        assert_eq!(of(&ours, true), Holder::Running("r1".to_owned()));
        assert_eq!(of(&ours, false), Holder::Finished);
        let lab = tempfile::tempdir().unwrap();
        let spec = lab.path().join("b c.jsonnet").display().to_string();
        let other = labels(&[(label::RUN, "r1"), (label::SPEC, &spec), (label::TRIAL, "ab")]);
        let stranger =
            |what: &str, frees: &str| Holder::Foreign(Stranger { what: what.to_owned(), frees: frees.to_owned() });
        let what = format!("a container of the experiment at {spec}, which has ended and is kept");
        assert_eq!(of(&other, false), stranger(&what, "docker rm -f lab-ab"), "its spec is gone");
        std::fs::write(&spec, "[]").unwrap();
        assert_eq!(of(&other, false), stranger(&what, &format!("combu -f '{spec}' kill")));
        assert_eq!(
            of(&HashMap::new(), true),
            stranger("a container of image postgres, which is not combu's and runs", "docker rm -f lab-ab")
        );
    }
}
