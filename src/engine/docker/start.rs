//! Starting an attempt: create, attach, join, start; and nothing left when one of these fails. Never lists anything: it
//! is called for every attempt.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use bollard::errors::Error;
use bollard::models::{ContainerInspectResponse, ContainerStateStatusEnum, NetworkConnectRequest};
use bollard::query_parameters::{
    CreateContainerOptionsBuilder, InspectContainerOptions, RemoveContainerOptionsBuilder, StartContainerOptions,
};
use rustix::process::{getgid, getuid};
use tokio::time::{Instant, sleep};

use crate::engine::docker::call::{is_refusal, is_shortage, is_trouble, is_uncertain, message, status, steady};
use crate::engine::docker::connect::Connection;
use crate::engine::docker::convert;
use crate::engine::docker::logs::Pieces;
use crate::engine::docker::memory::{DaemonMemory, recall, time};
use crate::engine::docker::survey::{Holder, Stranger};
use crate::engine::docker::wait::is_running;
use crate::engine::error::EngineError;
use crate::engine::found::Standing;
use crate::engine::launch::Launch;
use crate::engine::retrying::Retrying;
use crate::model::label;

/// Longest time for a removal that somebody else has begun: its volumes go with it.
const REMOVAL: Duration = Duration::from_secs(30);

/// Most clashes of a name in a row: the daemon forgets a container a moment before it frees its name.
const CLASHES: usize = 100;

/// Time for which a call is repeated whose answer did not arrive, though somebody listens.
const UNCERTAIN: Duration = Duration::from_secs(90);

/// Tries after the first with a daemon that says it failed.
const TROUBLES: usize = 6;

/// Pauses between tries. The first is longer than the daemon takes to begin with what
/// it was asked: from then on an inspection waits for the end of that.
const FIRST_PAUSE: Duration = Duration::from_millis(100);
const LONGEST_PAUSE: Duration = Duration::from_secs(3);

/// Longest time between the making of a container and its start, or between its end and its removal, in a run that lives.
const PASSING: Duration = Duration::from_secs(60);

/// Pause between two looks at what goes away by itself.
const LOOK: Duration = Duration::from_millis(50);

/// The reason why an attempt was not started.
pub(super) enum StartFailure {
    /// Something that was there is not there any more: an image, a network.
    Gone(EngineError),
    /// A container of that name is still noted as one of the network, and there is none.
    StillNoted { network: String, error: EngineError },
    /// Anything else.
    Final(EngineError),
}

impl From<StartFailure> for EngineError {
    fn from(failure: StartFailure) -> Self {
        match failure {
            StartFailure::Gone(error) | StartFailure::StillNoted { error, .. } | StartFailure::Final(error) => error,
        }
    }
}

/// A container that is this very attempt.
struct Made {
    id: String,
    standing: Standing,
    /// True when nobody else can have started it.
    is_new: bool,
}

/// Doubt about what became of a call: since when, and how often it was made again.
struct Doubt {
    since: Option<Instant>,
    pauses: Retrying,
}

impl Doubt {
    fn new() -> Self {
        Self { since: None, pauses: Retrying::new(FIRST_PAUSE, LONGEST_PAUSE) }
    }

    /// Waits a little before the next try; false when there is none: for what is certain, for a daemon that goes on to fail,
    /// and for one that is away. That one may be waited for by whoever called, who can be asked to stop.
    async fn goes_on(&mut self, error: &Error) -> bool {
        let since = *self.since.get_or_insert_with(Instant::now);
        let over = if is_trouble(error) { self.pauses.tries() >= TROUBLES } else { since.elapsed() >= UNCERTAIN };
        if over || !is_uncertain(error) {
            return false;
        }
        self.pauses.pause().await;
        true
    }
}

/// Starts an attempt: the container's id, and what it will write. Called again after an error that may pass, it takes over
/// what the calls before it made.
pub(super) async fn start(daemon: &Connection, launch: &Launch) -> Result<(String, Pieces), StartFailure> {
    let made = create(daemon, launch).await?;
    if made.standing != Standing::Created {
        let pieces = Pieces::logs(&daemon.api, &made.id);
        return Ok((made.id, pieces));
    }
    let started = match made.is_new || !was_restarted(daemon, &made.id).await? {
        true => run(daemon, launch, &made).await,
        false => Err(lost(launch)),
    };
    match started {
        Ok(pieces) => Ok((made.id, pieces)),
        Err(failure) => {
            remove(daemon, &made.id, "could not be started").await.map_err(StartFailure::Final)?;
            Err(failure)
        }
    }
}

/// True when the daemon that made the container was restarted since. Then nobody knows whether a container that seems never
/// to have been started was: its daemon may have died between the start and the note of it.
async fn was_restarted(daemon: &Connection, id: &str) -> Result<bool, StartFailure> {
    // Podman has no daemon that could forget it.
    if daemon.is_podman {
        return Ok(false);
    }
    let Some(found) = inspect(daemon, id).await.map_err(StartFailure::Final)? else { return Ok(false) };
    let failed = |error| StartFailure::Final(daemon.failure(format!("ask for the events of container `{id}`"), error));
    let info = steady(|| daemon.api.info()).await.map_err(failed)?;
    let made = time(found.created.map(|made| made.to_string()).as_deref()).unwrap_or_else(|| daemon.now());
    let memory = recall(daemon, id, "create", made, &info).await.map_err(failed)?;
    Ok(memory == DaemonMemory::Absent)
}

/// A launch whose start was cut off by the end of its daemon.
fn lost(launch: &Launch) -> StartFailure {
    let trial = &launch.trial.name;
    let message = format!("the daemon ended while it started `{trial}`, and nobody knows how far that came");
    StartFailure::Final(EngineError::Lost { message })
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

/// Makes the container, or takes over the one that is this very attempt. After a lost answer the name tells whether it was
/// made: there is one container of a name at most.
async fn create(daemon: &Connection, launch: &Launch) -> Result<Made, StartFailure> {
    let mut options = CreateContainerOptionsBuilder::new().name(&launch.trial.container());
    if let Some(platform) = &launch.trial.platform {
        options = options.platform(platform);
    }
    let options = options.build();
    let body = convert::body(launch, &format!("{}:{}", getuid().as_raw(), getgid().as_raw()));
    let (mut doubt, mut clashes) = (Doubt::new(), 0);
    loop {
        let error = match daemon.api.create_container(Some(options.clone()), body.clone()).await {
            Ok(created) => return Ok(Made { id: created.id, standing: Standing::Created, is_new: true }),
            Err(error) => error,
        };
        if is_clash(&error) && clashes < CLASHES {
            if clashes > 0 {
                sleep(LOOK).await;
            }
            clashes += 1;
            if let Some(made) = make_way(daemon, launch).await.map_err(StartFailure::Final)? {
                return Ok(made);
            }
        } else if status(&error) == Some(404) && message(&error).contains("mage") {
            let image = launch.trial.image.clone().unwrap_or_default();
            return Err(StartFailure::Gone(EngineError::Image { image, message: message(&error) }));
        } else if !doubt.goes_on(&error).await {
            return Err(StartFailure::Final(failed(daemon, launch, "create", error)));
        }
    }
}

/// Joins the further networks, attaches, and starts.
async fn run(daemon: &Connection, launch: &Launch, made: &Made) -> Result<Pieces, StartFailure> {
    for (network, endpoint) in convert::further_networks(&launch.trial) {
        let request = NetworkConnectRequest { container: made.id.clone(), endpoint_config: Some(endpoint) };
        match steady(|| daemon.api.connect_network(&network, request.clone())).await {
            Err(error) if message(&error).contains("already connected") => {}
            Err(error) => {
                let gone = status(&error) == Some(404);
                let error = failed(daemon, launch, &format!("join network `{network}` with"), error);
                return Err(if gone { StartFailure::Gone(error) } else { StartFailure::Final(error) });
            }
            Ok(()) => {}
        }
    }
    // Attached before the start, so that not a byte is missed. Where somebody else may be starting it this could be late.
    let attached = if made.is_new { Some(steady(|| Pieces::attach(&daemon.api, &made.id)).await) } else { None };
    let pieces = match attached {
        Some(Ok(pieces)) => pieces,
        Some(Err(error)) if !is_uncertain(&error) => {
            return Err(StartFailure::Final(failed(daemon, launch, "attach to", error)));
        }
        Some(Err(_)) | None => Pieces::logs(&daemon.api, &made.id),
    };
    begin(daemon, launch, &made.id).await?;
    Ok(pieces)
}

/// Starts the container. It is never asked for a second time unless it is known that the first did nothing: a container
/// that has ended would run again.
async fn begin(daemon: &Connection, launch: &Launch, id: &str) -> Result<(), StartFailure> {
    let mut doubt = Doubt::new();
    loop {
        let Err(error) = daemon.api.start_container(id, None::<StartContainerOptions>).await else { return Ok(()) };
        if is_left_over(&error) {
            return Err(lost(launch));
        }
        if let Some(network) = still_noted(&message(&error), &launch.trial.container()) {
            return Err(StartFailure::StillNoted { network, error: failed(daemon, launch, "start", error) });
        }
        if is_about_a_network(&error) {
            return Err(StartFailure::Gone(failed(daemon, launch, "start", error)));
        }
        loop {
            if !doubt.goes_on(&error).await {
                return Err(StartFailure::Final(failed(daemon, launch, "start", error)));
            }
            match inspect(daemon, id).await {
                Ok(found) if found.as_ref().map(standing).is_some_and(|standing| standing != Standing::Created) => {
                    return Ok(());
                }
                Ok(_) if was_restarted(daemon, id).await? => return Err(lost(launch)),
                Ok(_) => break,
                Err(EngineError::Call { .. }) => {}
                Err(error) => return Err(StartFailure::Final(error)),
            }
        }
    }
}

/// True where a daemon that was killed left the processes of the container, which its successor knows nothing of.
fn is_left_over(error: &Error) -> bool {
    let text = message(error);
    text.starts_with("task ") && text.contains("already exists")
}

/// The network that still has the endpoint of a container of that name, which ended while no daemon was there to note it.
fn still_noted(text: &str, name: &str) -> Option<String> {
    let (_, network) = text.split_once(&format!("endpoint with name {name} already exists in network "))?;
    network.split_whitespace().next().map(ToOwned::to_owned)
}

/// True for an error about a network that is not there any more, or there twice: two processes made it at once, and one takes its own back.
fn is_about_a_network(error: &Error) -> bool {
    let text = message(error);
    text.contains("network") && (status(error) == Some(404) || text.contains("is ambiguous"))
}

/// Takes a finished attempt of the same experiment and trial out of the way; anything else keeps the name. A container that
/// is this very attempt is the answer: a reply got lost, or the combu that made it.
async fn make_way(daemon: &Connection, launch: &Launch) -> Result<Option<Made>, EngineError> {
    let name = &*launch.trial.container();
    let Some(found) = inspect(daemon, name).await? else { return Ok(None) };
    if is_attempt(&found, launch) && !is_going(&found) {
        let standing = standing(&found);
        return Ok(found.id.map(|id| Made { id, standing, is_new: false }));
    }
    if is_superseded(&found, launch) {
        remove(daemon, &found.id.unwrap_or_default(), "was started again by somebody").await?;
        return Ok(None);
    }
    let standing = standing(&found);
    let is_passing = standing == Standing::Running || passes(daemon, &found);
    let config = found.config.unwrap_or_default();
    let labels: HashMap<String, String> = config.labels.unwrap_or_default();
    match Holder::of(name, &labels, config.image.as_deref(), standing, launch.claim()) {
        Holder::Finished => {
            remove(daemon, &found.id.unwrap_or_default(), "has finished").await?;
            Ok(None)
        }
        Holder::Running(run) => {
            Err(EngineError::Busy { message: format!("trial `{name}` still runs, from run {run}") })
        }
        Holder::Foreign(Stranger { what, frees }) => {
            let message = format!("the name `{name}` is taken by {what}: `{frees}` frees it");
            let is_ours = labels.contains_key(label::RUN);
            Err(if is_ours && is_passing { EngineError::Busy { message } } else { EngineError::Refused { message } })
        }
    }
}

/// True for a container of this very trial that an earlier attempt of this run was: that one has ended for the run, and
/// somebody else started it again.
fn is_superseded(found: &ContainerInspectResponse, launch: &Launch) -> bool {
    let labels = found.config.as_ref().and_then(|config| config.labels.as_ref());
    let says = |key: &str| labels.and_then(|labels| labels.get(key));
    [label::RUN, label::TRIAL].iter().all(|key| launch.labels.get(*key).is_some_and(|value| says(key) == Some(value)))
        && says(label::ATTEMPT)
            .and_then(|number| number.parse().ok())
            .is_some_and(|number: u32| number < launch.attempt)
}

/// True for a container that is about to be started, or to be removed: a live run has it.
fn passes(daemon: &Connection, found: &ContainerInspectResponse) -> bool {
    let since = |time: Option<SystemTime>| time.and_then(|time| daemon.now().duration_since(time).ok());
    let state = found.state.as_ref();
    let ended = since(time(state.and_then(|state| state.finished_at.as_deref())));
    let made = since(time(found.created.as_ref().map(ToString::to_string).as_deref()));
    ended.or(made).is_some_and(|since| since < PASSING)
}

/// The container of that name or id; absent when there is none.
async fn inspect(daemon: &Connection, name: &str) -> Result<Option<ContainerInspectResponse>, EngineError> {
    match steady(|| daemon.api.inspect_container(name, None::<InspectContainerOptions>)).await {
        Ok(found) => Ok(Some(found)),
        Err(error) if status(&error) == Some(404) => Ok(None),
        Err(error) => Err(daemon.failure(format!("look at container `{name}`"), error)),
    }
}

/// True for a container that is this very attempt.
fn is_attempt(found: &ContainerInspectResponse, launch: &Launch) -> bool {
    let labels = found.config.as_ref().and_then(|config| config.labels.as_ref());
    [label::RUN, label::TRIAL, label::ATTEMPT].iter().all(|key| {
        launch.labels.get(*key).is_some_and(|value| labels.and_then(|labels| labels.get(*key)) == Some(value))
    })
}

/// True for a container that is being removed.
fn is_going(found: &ContainerInspectResponse) -> bool {
    let state = found.state.as_ref();
    state.is_some_and(|state| state.dead == Some(true) || state.status == Some(ContainerStateStatusEnum::REMOVING))
}

fn standing(found: &ContainerInspectResponse) -> Standing {
    let Some(state) = &found.state else { return Standing::Created };
    // Go's zero time stands for never; a failed start has an exit code and no start time.
    let has_run = state.started_at.as_ref().is_some_and(|at| !at.is_empty() && !at.starts_with("0001-"));
    match (is_running(state), has_run) {
        (true, _) => Standing::Running,
        (false, true) => Standing::Ended,
        (false, false) => Standing::Created,
    }
}

fn is_clash(error: &Error) -> bool {
    // Podman says it with another status.
    status(error) == Some(409) || (status(error) == Some(500) && message(error).contains("name is already in use"))
}

/// The meaning of a failed call for the launch.
fn failed(daemon: &Connection, launch: &Launch, verb: &str, error: Error) -> EngineError {
    let trial = launch.trial.container();
    if is_shortage(&error) {
        return EngineError::Busy { message: format!("failed to {verb} container `{trial}`: {}", message(&error)) };
    }
    if is_refusal(&error) {
        let advice = advice(&error.to_string(), daemon.is_here());
        let message = format!("failed to {verb} container `{trial}`: {}{advice}", message(&error));
        return EngineError::Refused { message };
    }
    daemon.failure(format!("{verb} container `{trial}`"), error)
}

/// Advice where the daemon's words give none.
fn advice(text: &str, is_here: bool) -> &'static str {
    if text.contains("bind source path does not exist") && !is_here {
        " (the daemon mounts folders of its own machine, and not of this one: copy it to the same path there, or put it into \
         the image or a named volume; `outputs` brings what trials write back here)"
    } else if text.contains(r#"select device driver "cdi""#) {
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

#[cfg(test)]
mod tests {
    use super::still_noted;

    #[test]
    fn a_network_is_still_noted_for_a_container_of_that_very_name() {
        let text = "endpoint with name d-01 already exists in network dnet";
        assert_eq!(still_noted(text, "d-01").as_deref(), Some("dnet"));
        assert_eq!(still_noted(text, "d-0"), None);
        assert_eq!(still_noted("network dnet not found", "d-01"), None);
    }
}
