//! Mounts: what trials mount of this machine and of the daemon's volumes, what of it is not there, and the folders that are
//! made.
//!
//! A folder that trials write to is made where it is missing, as `docker run -v` makes it, but as the caller's. One that is
//! mounted read-only would stay empty for ever, and what looks like a file is mostly a mistyped name: those are errors.

use std::collections::{BTreeMap, BTreeSet};
use std::io::ErrorKind;
use std::path::Path;
use std::sync::Arc;

use bollard::query_parameters::ListVolumesOptions;

use crate::engine::docker::call::steady;
use crate::engine::docker::connect::Connection;
use crate::engine::error::EngineError;
use crate::engine::found::{Obstacle, Survey};
use crate::engine::launch::Launch;
use crate::engine::seam::PrepareProgress;
use crate::model::name::Name;
use crate::model::trial::Volume;
use crate::model::trial::settled::Settled;

/// The mounts of one source in all trials.
#[derive(Default)]
struct Uses<'a> {
    trials: BTreeSet<&'a Name>,
    first: Option<(&'a Name, &'a Volume)>,
    is_written: bool,
}

/// Looks at the folders and files of this machine that trials mount. Those under a folder that some trial writes to may be
/// made by it, and are looked at when their trial starts.
pub(super) fn folders(trials: &[Arc<Settled>], survey: &mut Survey) {
    let uses = uses(trials, Volume::path);
    let written: Vec<&Path> =
        uses.iter().filter(|(_, uses)| uses.is_written).map(|(host, _)| Path::new(host)).collect();
    for (host, uses) in &uses {
        let Some((trial, volume)) = uses.first.filter(|_| is_missing(host)) else { continue };
        let makes = |folder: &&Path| match Path::new(host) {
            host if host == *folder => !looks_like_a_file(volume),
            host => host.starts_with(folder),
        };
        if let Some(because) = fault(volume).filter(|_| !written.iter().any(makes)) {
            survey.obstacles.push(Obstacle::MissingSource {
                trial: trial.clone(),
                source: (*host).to_owned(),
                because: because.to_owned(),
            });
        } else if uses.is_written {
            let count = uses.trials.len();
            let s = if count == 1 { "" } else { "s" };
            survey.makes.push(format!("create folder {host} (mounted in {count} trial{s})"));
        }
    }
}

/// Looks at the named volumes that trials mount.
pub(super) async fn volumes(
    daemon: &Connection,
    spec: &str,
    trials: &[Arc<Settled>],
    survey: &mut Survey,
) -> Result<(), EngineError> {
    let uses = uses(trials, Volume::name);
    if uses.is_empty() {
        return Ok(());
    }
    let there = steady(|| daemon.api.list_volumes(None::<ListVolumesOptions>))
        .await
        .map_err(|error| daemon.failure("list volumes", error))?;
    let there: BTreeSet<String> = there.volumes.unwrap_or_default().into_iter().map(|volume| volume.name).collect();
    let beside = Path::new(spec).parent().unwrap_or(Path::new("/"));
    for name in uses.into_keys() {
        let line = format!("volume {name}");
        if there.contains(name) {
            survey.uses.push(line);
        } else {
            survey.makes.push(format!("create {line}"));
        }
        if beside.join(name).is_dir() || Path::new(name).is_dir() {
            survey.warnings.push(format!(
                "`{name}` in `volumes` is a volume of Docker, and not the folder of that name: for the folder write `./{name}`"
            ));
        }
    }
    Ok(())
}

/// The mounts by their source, of those that have one of that kind.
fn uses(trials: &[Arc<Settled>], source: impl Fn(&Volume) -> Option<&str>) -> BTreeMap<&str, Uses<'_>> {
    let mut uses: BTreeMap<&str, Uses<'_>> = BTreeMap::new();
    for trial in trials {
        for volume in &trial.volumes {
            let Some(source) = source(volume) else { continue };
            let uses = uses.entry(source).or_default();
            uses.trials.insert(&trial.name);
            uses.first.get_or_insert((&trial.name, volume));
            uses.is_written |= !volume.readonly;
        }
    }
    uses
}

/// Makes the folders of an attempt's mounts that are missing, as the caller: the daemon would refuse them, or, as
/// `docker run -v` has it, make them root's.
///
/// # Errors
/// A folder cannot be made; a source is missing that must be there.
pub(super) fn make_folders(launch: &Launch, progress: &PrepareProgress<'_>) -> Result<(), EngineError> {
    for volume in &launch.trial.volumes {
        let Some(host) = volume.path().filter(|host| is_missing(host)) else { continue };
        if let Some(because) = fault(volume) {
            return Err(EngineError::Refused { message: format!("`{host}` is not there, {because}") });
        }
        std::fs::create_dir_all(host).map_err(|error| EngineError::Refused {
            message: format!("cannot make the folder `{host}` to mount it: {error}"),
        })?;
        progress(&format!("folder {host}"), "created");
    }
    Ok(())
}

/// Why a source that is missing must not be made, as a clause.
fn fault(volume: &Volume) -> Option<&'static str> {
    if looks_like_a_file(volume) {
        Some("and a folder would be made in place of a file")
    } else {
        volume.readonly.then_some("and nothing could ever be in a folder that is mounted read-only")
    }
}

/// Whether both sides have the same ending, and it begins with a letter: `./out/lr-0.1` is a folder.
fn looks_like_a_file(volume: &Volume) -> bool {
    let ending = |path: &str| Path::new(path).extension().map(ToOwned::to_owned);
    volume.path().and_then(ending).is_some_and(|ending_of_host| {
        ending_of_host.as_encoded_bytes()[0].is_ascii_alphabetic() && ending(&volume.container) == Some(ending_of_host)
    })
}

fn is_missing(path: &str) -> bool {
    Path::new(path).metadata().is_err_and(|error| error.kind() == ErrorKind::NotFound)
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::folders;
    use crate::engine::found::Survey;
    use crate::model::name::Name;
    use crate::model::trial::settled::Settled;
    use crate::model::trial::{Trial, Volume};

    fn said(lab: &tempfile::TempDir, mounts: &[(&str, &str, bool)]) -> String {
        let at = |path: &str| lab.path().join(path).display().to_string();
        let trial = |(place, (host, container, readonly)): (usize, &(&str, &str, bool))| {
            let volumes =
                vec![Volume { host: Some(at(host)), container: (*container).to_owned(), readonly: *readonly }];
            let name = Name::parse(&format!("t{place}")).unwrap();
            Arc::new(Settled::from(Trial { volumes, ..Trial::new(name) }))
        };
        let trials: Vec<_> = mounts.iter().enumerate().map(trial).collect();
        let mut survey = Survey::default();
        folders(&trials, &mut survey);
        let lines = survey.makes.iter().cloned().chain(survey.obstacles.iter().map(ToString::to_string));
        lines.collect::<Vec<_>>().join("\n").replace(&lab.path().display().to_string(), "LAB")
    }

    #[test]
    fn what_is_missing_is_made_or_is_an_error() {
        let lab = tempfile::tempdir().unwrap();
        std::fs::create_dir(lab.path().join("data")).unwrap();
        std::fs::write(lab.path().join("config.yaml"), "").unwrap();
        let lines = said(
            &lab,
            &[
                ("data", "/data", true),
                ("config.yaml", "/cfg.yaml", true),
                ("out", "/out", false),
                ("out", "/more", false),
                ("out/lr-0.1", "/lr-0.1", false),
                ("nodata/x", "/data", true),
                ("confg.yaml", "/cfg.yaml", false),
                // Another trial may make it, below what it writes to.
                ("out/model", "/model", true),
                ("out/model.pt", "/model.pt", true),
            ],
        );
        insta::assert_snapshot!(lines, @"
        create folder LAB/out (mounted in 2 trials)
        create folder LAB/out/lr-0.1 (mounted in 1 trial)
        `LAB/confg.yaml`, which `t6` mounts, is not there, and a folder would be made in place of a file
        `LAB/nodata/x`, which `t5` mounts, is not there, and nothing could ever be in a folder that is mounted read-only
        ");
    }
}
