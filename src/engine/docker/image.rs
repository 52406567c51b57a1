//! Images: their names, whether they are there, and pulling each once per run. Never removes one.
//!
//! A run uses one content of an image: the one that its name stands for when the first launch needs it. Containers are made
//! from that content by its id, so a tag that moves while the run goes on changes nothing.

use std::collections::HashMap;
use std::path::Path;
use std::time::{Duration, Instant};

use bollard::models::{CreateImageInfo, ImageInspect};
use bollard::query_parameters::CreateImageOptionsBuilder;
use futures_util::StreamExt;

use crate::engine::docker::call::{status, steady};
use crate::engine::docker::connect::Connection;
use crate::engine::docker::credentials;
use crate::engine::docker::once::Once;
use crate::engine::error::EngineError;
use crate::engine::launch::Launch;
use crate::engine::seam::PrepareProgress;
use crate::model::name::RunId;
use crate::model::trial::Pull;
use crate::model::trial::settled::Settled;

/// Shortest time between two progress lines of one pull.
const PROGRESS_EVERY: Duration = Duration::from_millis(250);

/// Extra time that a pull may take to begin: the daemon asks the registry first.
const REGISTRY_TIMEOUT: Duration = Duration::from_secs(300);

/// An image's name, taken apart as Docker does.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Reference {
    /// `docker.io`, `host:5000`.
    registry: String,
    /// `library/busybox`.
    repository: String,
    /// The name as written, without tag and digest.
    name: String,
    /// Tag or digest.
    tag: String,
}

impl Reference {
    /// Takes a name apart; absent when Docker would not take it for one.
    pub(super) fn parse(text: &str) -> Option<Self> {
        let allowed = |c: char| c.is_ascii_alphanumeric() || "._-/:@".contains(c);
        if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) || !text.chars().all(allowed) || text.contains("//") {
            return None;
        }
        let (rest, digest) = text.split_once('@').map_or((text, None), |(rest, digest)| (rest, Some(digest)));
        let after_slash = rest.rfind('/').map_or(0, |slash| slash + 1);
        let (name, tag) = match rest[after_slash..].split_once(':') {
            Some((last, tag)) => (&rest[..after_slash + last.len()], tag),
            None => (rest, "latest"),
        };
        let is_host = |part: &str| part.contains(['.', ':']) || part == "localhost";
        let (registry, repository) = match name.split_once('/').filter(|(first, _)| is_host(first)) {
            Some(("index.docker.io", repository)) => ("docker.io", repository),
            Some((host, repository)) => (host, repository),
            None => ("docker.io", name),
        };
        let library = registry == "docker.io" && !repository.contains('/');
        let repository = if library { format!("library/{repository}") } else { repository.to_owned() };
        let tag = digest.unwrap_or(tag).to_owned();
        let complete = !tag.is_empty() && !repository.ends_with('/');
        let complete = complete && !repository.contains(':') && !tag.contains(['/', '@']);
        complete.then(|| Self { registry: registry.to_owned(), repository, name: name.to_owned(), tag })
    }

    /// One text for all ways to write the same name.
    pub(super) fn canonical(&self) -> String {
        format!("{}/{}:{}", self.registry, self.repository, self.tag)
    }
}

/// An image as a run uses it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Used {
    run: RunId,
    image: String,
    platform: Option<String>,
}

/// A run's need of an image. `Pull::Always` is a need of its own: it is met once per run.
#[derive(Debug, PartialEq, Eq, Hash)]
struct Need {
    used: Used,
    always: bool,
    never: bool,
}

/// The images of the runs of this process.
#[derive(Debug, Default)]
pub(super) struct Images {
    /// The value is the id of the content, or why the image cannot be had: all who need it hear the same, and nobody tries
    /// again in this run.
    needs: Once<Need, Result<Option<String>, String>>,
    /// The id of the content that a run uses, whatever its needs of the image are.
    contents: Once<Used, Option<String>>,
}

impl Images {
    /// Makes sure that the launch's image is there, as its pull policy says. The answer is the id of the content that the
    /// run uses.
    pub(super) async fn prepare(
        &self,
        daemon: &Connection,
        config: Option<&Path>,
        launch: &Launch,
        progress: &PrepareProgress<'_>,
    ) -> Result<Option<String>, EngineError> {
        let (image, reference) = named(&launch.trial)?;
        let need = need(launch, &reference);
        let used = self.contents.cell(need.used.clone());
        let met = self.needs.cell(need);
        let met = met.get_or_try_init(async || {
            let platform = launch.trial.platform.as_deref();
            if let Some(content) = &launch.content
                && find(daemon, content, platform).await?.is_some()
            {
                return Ok(Ok(Some(content.clone())));
            }
            let policy = launch.trial.pull;
            let mut found = find(daemon, image, platform).await?;
            if policy == Pull::Never && found.is_none() {
                return Ok(Err("it is not there, and `pull` is `never`".to_owned()));
            }
            if policy == Pull::Always || found.is_none() {
                if let Err(message) = pull(daemon, config, &reference, launch, progress).await? {
                    return Ok(Err(message));
                }
                found = look(daemon, image).await?;
            }
            let now = found.and_then(|found| found.id);
            Ok::<_, EngineError>(match (&launch.content, &now) {
                (Some(then), Some(now)) if then != now => Err(moved(then, now)),
                _ => Ok(now),
            })
        });
        let content = met.await?.clone().map_err(|message| EngineError::Image { image: image.to_owned(), message })?;
        Ok(used.get_or_init(async || content).await.clone())
    }

    /// Forgets that the launch's image was there.
    pub(super) fn forget(&self, launch: &Launch) {
        if let Ok((_, reference)) = named(&launch.trial) {
            let gone = need(launch, &reference);
            self.needs.forget(|need| *need == gone);
        }
    }
}

/// An image that is there, for that platform.
async fn find(daemon: &Connection, image: &str, platform: Option<&str>) -> Result<Option<ImageInspect>, EngineError> {
    Ok(look(daemon, image).await?.filter(|found| fits(found, platform)))
}

/// Why a run cannot go on with an image whose name stands for something else now.
fn moved(then: &str, now: &str) -> String {
    format!(
        "the run began with its content {then}, which was removed since, and the name stands for {now} now; a new run uses \
         that (`combu run --resume` reuses what is still the same)"
    )
}

/// True for an image of that platform.
pub(super) fn fits(found: &ImageInspect, platform: Option<&str>) -> bool {
    platform.is_none_or(|platform| serves(found, platform))
}

/// An image that is there.
pub(super) async fn look(daemon: &Connection, image: &str) -> Result<Option<ImageInspect>, EngineError> {
    match steady(|| daemon.api.inspect_image(image)).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if status(&error) == Some(404) => Ok(None),
        Err(error) => Err(daemon.failure(format!("look at image `{image}`"), error)),
    }
}

/// A trial's image as written and taken apart.
pub(super) fn named(trial: &Settled) -> Result<(&str, Reference), EngineError> {
    let Some(image) = trial.image.as_deref() else {
        return Err(EngineError::Refused { message: format!("trial `{}` has no image", trial.name) });
    };
    let reference = Reference::parse(image).ok_or_else(|| EngineError::Image {
        image: image.to_owned(),
        message: "that is no name of an image (`name`, `name:tag`, `host/name:tag`)".to_owned(),
    })?;
    Ok((image, reference))
}

fn need(launch: &Launch, reference: &Reference) -> Need {
    Need {
        used: Used { run: launch.run.clone(), image: reference.canonical(), platform: launch.trial.platform.clone() },
        always: launch.trial.pull == Pull::Always,
        never: launch.trial.pull == Pull::Never,
    }
}

fn serves(image: &ImageInspect, platform: &str) -> bool {
    let mut parts = platform.split('/');
    let same = |wanted: Option<&str>, have: &Option<String>| match (wanted, have) {
        (Some(wanted), Some(have)) => wanted.eq_ignore_ascii_case(have),
        _ => true,
    };
    same(parts.next(), &image.os) && same(parts.next(), &image.architecture)
}

async fn pull(
    daemon: &Connection,
    config: Option<&Path>,
    reference: &Reference,
    launch: &Launch,
    progress: &PrepareProgress<'_>,
) -> Result<Result<(), String>, EngineError> {
    let image = launch.trial.image.as_deref().unwrap_or_default();
    let object = format!("image {image}");
    progress(&object, "pulling");
    let (login, problem) = match credentials::find(config, &reference.registry).await {
        Ok(login) => (login, None),
        Err(problem) => (None, Some(problem)),
    };
    let options = CreateImageOptionsBuilder::new().from_image(&reference.name).tag(&reference.tag);
    let options = options.platform(launch.trial.platform.as_deref().unwrap_or_default()).build();
    let api = daemon.patient(REGISTRY_TIMEOUT).with_request_modifier(|mut request| {
        // bollard writes this header with base64's standard alphabet; Docker reads it with the one for URLs.
        if let Some(header) = request.headers_mut().get_mut("x-registry-auth")
            && let Ok(Ok(url_safe)) = header.to_str().map(|text| text.replace('+', "-").replace('/', "_").parse())
        {
            *header = url_safe;
        }
        request
    });
    let mut answers = api.create_image(Some(options), None, login);
    let mut layers = Layers::default();
    let mut last_line = Instant::now();
    while let Some(answer) = answers.next().await {
        match answer {
            Ok(info) => {
                if layers.add(&info) && last_line.elapsed() >= PROGRESS_EVERY {
                    last_line = Instant::now();
                    progress(&object, &layers.to_string());
                }
            }
            Err(error) => {
                let action = format!("pull image `{image}`");
                return match daemon.failure(action, error) {
                    unreachable @ EngineError::Unreachable { .. } => Err(unreachable),
                    other => Ok(Err(pull_failure(&other.chain(), problem.as_deref()))),
                };
            }
        }
    }
    progress(&object, "pulled");
    Ok(Ok(()))
}

fn pull_failure(said: &str, problem: Option<&str>) -> String {
    let problem = problem.map(|problem| format!("; {problem}")).unwrap_or_default();
    format!(
        "{said}{problem}; the image is not on this machine: check its name with `docker image ls`, build it, or pull it when the registry can be reached"
    )
}

/// Progress of the layers of a pull.
#[derive(Debug, Default)]
pub(super) struct Layers {
    done: HashMap<String, bool>,
}

impl Layers {
    /// Takes one line of the daemon's; true when it changed what there is to say.
    pub(super) fn add(&mut self, info: &CreateImageInfo) -> bool {
        let (Some(id), Some(state)) = (&info.id, info.status.as_deref()) else { return false };
        let done = match state {
            "Pull complete" | "Already exists" => true,
            "Pulling fs layer" | "Waiting" | "Downloading" | "Verifying Checksum" | "Download complete"
            | "Extracting" => false,
            _ => return false,
        };
        self.done.insert(id.clone(), done) != Some(done)
    }
}

impl std::fmt::Display for Layers {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let done = self.done.values().filter(|done| **done).count();
        write!(f, "pulling, {done} of {} layers", self.done.len())
    }
}

#[cfg(test)]
mod tests {
    use bollard::models::CreateImageInfo;

    use super::{Layers, Reference};

    #[test]
    fn a_name_is_taken_apart_as_docker_does() {
        let seen = |text: &str| {
            let found = Reference::parse(text)?;
            Some(format!("{} pulled as {} {}", found.canonical(), found.name, found.tag))
        };
        let names = [
            "busybox",
            "busybox:1.36",
            "docker.io/busybox",
            "lab/solver",
            "localhost/solver:dev",
            "box:5000/solver",
            "box:5000/lab/solver:2",
            "reg.example/a/b@sha256:0a",
            "busybox:1@sha256:0b",
            "",
            "a b",
            "a:",
            "-a",
            "a?tag=x",
            "a/",
            "a/b:1/c",
            "a@b/c",
        ];
        let table: Vec<String> = names
            .iter()
            .map(|name| format!("{name:?}: {}", seen(name).unwrap_or_else(|| "no name".to_owned())))
            .collect();
        insta::assert_snapshot!(table.join("\n"), @r#"
        "busybox": docker.io/library/busybox:latest pulled as busybox latest
        "busybox:1.36": docker.io/library/busybox:1.36 pulled as busybox 1.36
        "docker.io/busybox": docker.io/library/busybox:latest pulled as docker.io/busybox latest
        "lab/solver": docker.io/lab/solver:latest pulled as lab/solver latest
        "localhost/solver:dev": localhost/solver:dev pulled as localhost/solver dev
        "box:5000/solver": box:5000/solver:latest pulled as box:5000/solver latest
        "box:5000/lab/solver:2": box:5000/lab/solver:2 pulled as box:5000/lab/solver 2
        "reg.example/a/b@sha256:0a": reg.example/a/b:sha256:0a pulled as reg.example/a/b sha256:0a
        "busybox:1@sha256:0b": docker.io/library/busybox:sha256:0b pulled as busybox sha256:0b
        "": no name
        "a b": no name
        "a:": no name
        "-a": no name
        "a?tag=x": no name
        "a/": no name
        "a/b:1/c": no name
        "a@b/c": no name
        "#);
    }

    #[test]
    fn layers_are_counted_by_their_last_state() {
        let mut layers = Layers::default();
        let mut add = |id: &str, state: &str| {
            layers.add(&CreateImageInfo {
                id: Some(id.to_owned()),
                status: Some(state.to_owned()),
                ..Default::default()
            })
        };
        assert!(!add("latest", "Pulling from library/busybox"));
        assert!(add("a", "Pulling fs layer"));
        assert!(add("b", "Already exists"));
        assert!(!add("a", "Downloading"));
        assert!(add("a", "Pull complete"));
        assert!(add("c", "Waiting"));
        assert_eq!(layers.to_string(), "pulling, 2 of 3 layers");
    }
}
