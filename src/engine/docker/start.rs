//! Starting an attempt: create, attach, join, start; and nothing left when one of these fails. Never lists anything: it
//! is called for every attempt.

use std::collections::HashMap;
use std::time::Duration;

use bollard::errors::Error;
use bollard::models::{ContainerInspectResponse, NetworkConnectRequest};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, RemoveContainerOptionsBuilder, StartContainerOptions,
};
use rustix::process::{getgid, getuid};
use tokio::time::{Instant, sleep};

use crate::engine::docker::call::{is_lost, message, status, steady};
use crate::engine::docker::connect::Connection;
use crate::engine::docker::convert;
use crate::engine::docker::logs::Pieces;
use crate::engine::docker::survey::Holder;
use crate::engine::docker::wait::is_running;
use crate::engine::{EngineError, Launch};
use crate::model::label;

/// How long a removal that somebody else has begun may take: its volumes go with it.
const REMOVAL: Duration = Duration::from_secs(30);

/// How often in a row a name may be taken: the daemon forgets a container a moment before it frees its name.
const CLASHES: usize = 100;

/// Pause between two looks at what goes away by itself.
const LOOK: Duration = Duration::from_millis(50);

/// Why an attempt was not started.
pub(super) enum Failure {
    /// Something that was there is not there any more: an image, a network.
    Gone(EngineError),
    /// Anything else.
    Final(EngineError),
}

impl From<Failure> for EngineError {
    fn from(failure: Failure) -> Self {
        match failure {
            Failure::Gone(error) | Failure::Final(error) => error,
        }
    }
}

/// Starts an attempt: the container's id, and what it will write.
pub(super) async fn start(daemon: &Connection, launch: &Launch) -> Result<(String, Pieces), Failure> {
    let id = create(daemon, launch).await?;
    match run(daemon, launch, &id).await {
        Ok(pieces) => Ok((id, pieces)),
        Err(failure) => {
            remove(daemon, &id, "could not be started").await.map_err(Failure::Final)?;
            Err(failure)
        }
    }
}

/// Removes a container with its anonymous volumes, running or not; one that is gone is removed.
pub(super) async fn remove(daemon: &Connection, id: &str, which: &str) -> Result<(), EngineError> {
    let options = RemoveContainerOptionsBuilder::new().force(true).v(true).build();
    match steady(|| daemon.api.remove_container(id, Some(options.clone()))).await {
        Err(error) if status(&error) == Some(404) => Ok(()),
        // Somebody else's removal, perhaps our own of a moment ago.
        Err(error) if message(&error).contains("already in progress") => vanished(daemon, id, which).await,
        Err(error) => Err(daemon.failure(format!("remove container `{id}`, which {which}"), error)),
        Ok(()) => Ok(()),
    }
}

/// Waits until a container that is being removed is gone.
async fn vanished(daemon: &Connection, id: &str, which: &str) -> Result<(), EngineError> {
    let until = Instant::now() + REMOVAL;
    while inspect(daemon, id).await?.is_some() {
        if Instant::now() >= until {
            let source = format!("its removal goes on for more than {} s", REMOVAL.as_secs()).into();
            return Err(EngineError::Call { action: format!("remove container `{id}`, which {which}"), source });
        }
        sleep(LOOK).await;
    }
    Ok(())
}

async fn create(daemon: &Connection, launch: &Launch) -> Result<String, Failure> {
    let name = launch.trial.name.as_str();
    let mut options = CreateContainerOptionsBuilder::new().name(name);
    if let Some(platform) = &launch.trial.platform {
        options = options.platform(platform);
    }
    let options = options.build();
    let body = convert::body(launch, &format!("{}:{}", getuid().as_raw(), getgid().as_raw()));
    let call = async || daemon.api.create_container(Some(options.clone()), body.clone()).await;
    let mut answer = call().await;
    for clash in 0..CLASHES {
        if !answer.as_ref().is_err_and(is_clash) {
            break;
        }
        if clash > 0 {
            sleep(LOOK).await;
        }
        make_way(daemon, launch).await.map_err(Failure::Final)?;
        answer = call().await;
    }
    match answer {
        Ok(created) => Ok(created.id),
        Err(error) if is_lost(&error) => {
            let created = inspect(daemon, name).await.ok().flatten().filter(|found| is_attempt(found, launch));
            created.and_then(|found| found.id).ok_or_else(|| Failure::Final(failed(daemon, launch, "create", error)))
        }
        Err(error) if status(&error) == Some(404) && message(&error).contains("mage") => {
            let image = launch.trial.image.clone().unwrap_or_default();
            Err(Failure::Gone(EngineError::Image { image, message: message(&error) }))
        }
        Err(error) => Err(Failure::Final(failed(daemon, launch, "create", error))),
    }
}

/// Joins the further networks, attaches, and starts.
async fn run(daemon: &Connection, launch: &Launch, id: &str) -> Result<Pieces, Failure> {
    for (network, endpoint) in convert::further_networks(&launch.trial) {
        let request = NetworkConnectRequest { container: id.to_owned(), endpoint_config: Some(endpoint) };
        let joined = daemon.api.connect_network(&network, request).await;
        joined.map_err(|error| {
            let gone = status(&error) == Some(404);
            let error = failed(daemon, launch, &format!("join network `{network}` with"), error);
            if gone { Failure::Gone(error) } else { Failure::Final(error) }
        })?;
    }
    // Attached before the start, so that not a byte is missed.
    let attached = Pieces::attach(&daemon.api, id).await;
    let pieces = attached.map_err(|error| Failure::Final(failed(daemon, launch, "attach to", error)))?;
    match daemon.api.start_container(id, None::<StartContainerOptions>).await {
        Ok(()) => Ok(pieces),
        Err(error) if is_lost(&error) && has_started(daemon, id).await => Ok(pieces),
        Err(error) if is_about_a_network(&error) => Err(Failure::Gone(failed(daemon, launch, "start", error))),
        Err(error) => Err(Failure::Final(failed(daemon, launch, "start", error))),
    }
}

/// Whether a network is not there any more, or there twice: two processes made it at once, and one takes its own back.
fn is_about_a_network(error: &Error) -> bool {
    let text = message(error);
    text.contains("network") && (status(error) == Some(404) || text.contains("is ambiguous"))
}

/// Takes a finished attempt of the same experiment and trial out of the way; anything else keeps the name.
async fn make_way(daemon: &Connection, launch: &Launch) -> Result<(), EngineError> {
    let name = launch.trial.name.as_str();
    let Some(found) = inspect(daemon, name).await? else { return Ok(()) };
    let running = found.state.as_ref().is_some_and(is_running);
    let config = found.config.unwrap_or_default();
    let labels: HashMap<String, String> = config.labels.unwrap_or_default();
    let refused = |message| Err(EngineError::Refused { message });
    match Holder::of(&labels, config.image.as_deref(), running, launch) {
        Holder::Finished => remove(daemon, &found.id.unwrap_or_default(), "has finished").await,
        Holder::Running(run) => refused(format!("trial `{name}` still runs, from run {run}")),
        Holder::Foreign(holder) => {
            refused(format!("the name `{name}` is taken by {holder}: remove that container or rename the trial"))
        }
    }
}

/// The container of that name or id; absent when there is none.
async fn inspect(daemon: &Connection, name: &str) -> Result<Option<ContainerInspectResponse>, EngineError> {
    match steady(|| daemon.api.inspect_container(name, None::<InspectContainerOptions>)).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if status(&error) == Some(404) => Ok(None),
        Err(error) => Err(daemon.failure(format!("look at container `{name}`"), error)),
    }
}

/// Whether a container is this very attempt: then a reply got lost, not the container.
fn is_attempt(found: &ContainerInspectResponse, launch: &Launch) -> bool {
    let labels = found.config.as_ref().and_then(|config| config.labels.as_ref());
    [label::RUN, label::TRIAL, label::ATTEMPT].iter().all(|key| {
        launch.labels.get(*key).is_some_and(|value| labels.and_then(|labels| labels.get(*key)) == Some(value))
    })
}

/// Whether a container runs or has run; asked when the reply to its start got lost.
async fn has_started(daemon: &Connection, id: &str) -> bool {
    let state = inspect(daemon, id).await.ok().flatten().and_then(|found| found.state).unwrap_or_default();
    // Go's zero time stands for never; a failed start has an exit code and no start time.
    is_running(&state) || state.started_at.is_some_and(|at| !at.is_empty() && !at.starts_with("0001-"))
}

fn is_clash(error: &Error) -> bool {
    // Podman says it with another status.
    status(error) == Some(409) || (status(error) == Some(500) && message(error).contains("name is already in use"))
}

/// What a failed call means for the launch.
fn failed(daemon: &Connection, launch: &Launch, verb: &str, error: Error) -> EngineError {
    const FOR_GOOD: [&str; 5] =
        ["already allocated", "address already in use", "select device driver", "CDI device", "OCI runtime"];
    let trial = launch.trial.name.as_str();
    let text = error.to_string();
    let client = status(&error).is_some_and(|status| (400..500).contains(&status));
    if client || FOR_GOOD.iter().any(|part| text.contains(part)) {
        let message = format!("failed to {verb} container `{trial}`: {}{}", message(&error), advice(&text));
        return EngineError::Refused { message };
    }
    daemon.failure(format!("{verb} container `{trial}`"), error)
}

/// What to do about it, where the daemon's words do not say that.
fn advice(text: &str) -> &'static str {
    if text.contains(r#"select device driver "cdi""#) {
        " (the daemon does not know CDI names: Docker does from version 25 on with `\"features\": {\"cdi\": true}` in \
         its daemon.json; GPUs are also named by index, `0`)"
    } else if text.contains("select device driver") {
        " (the daemon cannot give GPUs to containers: install nvidia-container-toolkit on its machine, run \
         `nvidia-ctk runtime configure --runtime=docker` there, and restart it)"
    } else if text.contains("CDI device") {
        " (`nvidia-ctk cdi list` on the daemon's machine lists the names there are)"
    } else {
        ""
    }
}
