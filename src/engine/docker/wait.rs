//! Following an attempt to its end. Changes nothing.

use std::pin::pin;
use std::time::Duration;

use bollard::container::LogOutput;
use bollard::errors::Error;
use bollard::models::{ContainerInspectResponse, ContainerState, ContainerStateStatusEnum};
use bollard::query_parameters::{InspectContainerOptions, LogsOptionsBuilder, WaitContainerOptionsBuilder};
use futures_util::StreamExt;

use crate::engine::docker::call::{is_uncertain, is_unreached, status, steady};
use crate::engine::docker::connect::Connection;
use crate::engine::docker::logs::Pieces;
use crate::engine::docker::memory::{starts, time, was_killed};
use crate::engine::docker::restart::{Breaks, UnseenEnd, ending};
use crate::engine::error::EngineError;
use crate::engine::output::Output;
use crate::engine::retrying::Retrying;
use crate::model::outcome::Exit;

/// Longest silence of the output after the exit: it ends with the container, unless the daemon forgot to close it.
const SILENCE: Duration = Duration::from_secs(30);

/// Last pieces of the log that are compared with what was copied.
const TAIL: &str = "32";

/// Tries to follow an attempt anew after the connection broke, and the pauses between them, ten seconds in all: a daemon
/// that is restarted while its containers live on is back in seconds. What is to be started waits for this.
const TRIES: usize = 12;
const FIRST_PAUSE: Duration = Duration::from_millis(200);
const LONGEST_PAUSE: Duration = Duration::from_secs(1);

/// Looks at a killed container that somebody may be removing, half a second long, and the first pause between them.
const LOOKS_FOR_REMOVAL: usize = 3;
const FIRST_LOOK_FOR_REMOVAL: Duration = Duration::from_millis(100);

/// The reason why following stopped.
enum FollowError {
    /// The connection broke; the container may live on.
    Lost(EngineError),
    /// Nothing to follow any more.
    Failed(EngineError),
}

/// Copies what the container writes until it has ended, and tells how. Without an attached stream, what it wrote so far
/// comes from its log.
pub(super) async fn wait(
    daemon: &Connection,
    id: &str,
    attached: Option<Pieces>,
    breaks: &Breaks,
    output: &mut Output,
) -> Result<Exit, EngineError> {
    let mut attached = attached;
    let mut pauses = Retrying::new(FIRST_PAUSE, LONGEST_PAUSE).take(TRIES);
    let mut copied = 0;
    loop {
        let from_log = attached.is_none();
        let pieces = attached.take().unwrap_or_else(|| {
            copied = copied.max(output.bytes());
            output.restart();
            Pieces::logs(&daemon.api, id)
        });
        match follow(daemon, id, pieces, breaks, output).await {
            Ok(exit) => {
                breaks.forget(id);
                if from_log && starts(daemon, id).await > 1 {
                    output.note("was started again by something else: its logs have what it wrote each time");
                }
                if output.bytes() < copied {
                    let text = format!("Docker's log kept {} of {copied} bytes or more", output.bytes());
                    output.fail(std::io::Error::other(text));
                }
                return Ok(exit);
            }
            Err(FollowError::Failed(error)) => {
                breaks.forget(id);
                return Err(error);
            }
            Err(FollowError::Lost(error)) => {
                breaks.note(id);
                match pauses.next() {
                    Some(pause) => tokio::time::sleep(pause).await,
                    None => return Err(error),
                }
            }
        }
    }
}

async fn follow(
    daemon: &Connection,
    id: &str,
    mut pieces: Pieces,
    breaks: &Breaks,
    output: &mut Output,
) -> Result<Exit, FollowError> {
    let had_ended = pieces.is_log() && !is_running(&inspect(daemon, id).await?.state.unwrap_or_default());
    if !had_ended {
        // What runs now has outlived whatever broke before.
        breaks.forget(id);
    }
    let mut ended = pin!(until_ended(daemon, id));
    let mut code = None;
    let mut open = true;
    while open || code.is_none() {
        tokio::select! {
            copied = pieces.copy(output), if open => {
                open = copied.map_err(|error| stop(daemon, id, "read the output of", error))?;
            }
            answer = &mut ended, if code.is_none() => {
                code = Some(answer.map_err(|error| stop(daemon, id, "wait for", error))?);
            }
            () = tokio::time::sleep(SILENCE), if code.is_some() => open = false,
            // A connection can die without a word.
            () = tokio::time::sleep(daemon.within), if code.is_none() => {
                if !is_running(&inspect(daemon, id).await?.state.unwrap_or_default()) {
                    return Err(apart(id));
                }
            }
        }
    }
    // A connection that was closed on us ends as one that has said everything does, and a log that is followed may end a
    // moment before the last of it was read (seen with Docker 20.10).
    if !reaches_as_far_as_the_log(daemon, id, output).await? {
        return Err(apart(id));
    }
    // Nothing that an inspection could tell makes this another exit.
    if code == Some(0) && !had_ended {
        return Ok(Exit::Code(0));
    }
    let found = inspect(daemon, id).await?;
    let state = found.state.unwrap_or_default();
    if is_running(&state) {
        return Err(apart(id));
    }
    if had_ended {
        match ending(daemon, id, &state, breaks).await.map_err(|error| stop(daemon, id, "look at", error))? {
            UnseenEnd::Own => {}
            UnseenEnd::Unheard => {
                let text = "it ended while the daemon was away, and what it wrote then may not have been kept";
                output.fail(std::io::Error::other(text));
            }
            UnseenEnd::TakenAlong => {
                let message = format!("container `{id}` ended with its daemon, which was stopped or restarted");
                return Err(FollowError::Failed(EngineError::Refused { message }));
            }
        }
    }
    let exit = exit(&state);
    if exit == Exit::Signal(9) && is_being_removed(daemon, id, &state).await? {
        return Err(FollowError::Failed(gone(id)));
    }
    let limited = found.host_config.and_then(|host| host.memory).is_some_and(|memory| memory > 0);
    if exit == Exit::Signal(9) && limited && !pieces.is_log() && !was_killed(daemon, id).await {
        return Ok(Exit::Oom);
    }
    Ok(exit)
}

/// True when somebody is removing the killed container, as `docker rm --force` does: it is killed first, and gone a moment
/// later.
async fn is_being_removed(daemon: &Connection, id: &str, state: &ContainerState) -> Result<bool, FollowError> {
    let is_going =
        |state: &ContainerState| state.dead == Some(true) || state.status == Some(ContainerStateStatusEnum::REMOVING);
    let mut pauses = Retrying::new(FIRST_LOOK_FOR_REMOVAL, FIRST_PAUSE).take(LOOKS_FOR_REMOVAL);
    let mut going = is_going(state);
    while !going && let Some(pause) = pauses.next() {
        tokio::time::sleep(pause).await;
        going = match inspect(daemon, id).await {
            Ok(found) => found.state.is_some_and(|state| is_going(&state)),
            Err(error) if error.may_pass() => return Err(error.into()),
            Err(_) => true,
        };
    }
    Ok(going)
}

/// True when what was copied reaches as far as the container's log does. A log that cannot be read says nothing against it.
async fn reaches_as_far_as_the_log(daemon: &Connection, id: &str, output: &Output) -> Result<bool, FollowError> {
    match steady(|| log_tail(daemon, id)).await {
        Ok((stdout, stderr)) => Ok(output.reaches(&stdout, &stderr)),
        Err(error) if is_uncertain(&error) || is_unreached(&error) => Err(stop(daemon, id, "read the log of", error)),
        Err(_) => Ok(true),
    }
}

/// The last of what a container wrote to its standard output and error, as its log has it.
async fn log_tail(daemon: &Connection, id: &str) -> Result<(Vec<u8>, Vec<u8>), Error> {
    let options = LogsOptionsBuilder::new().stdout(true).stderr(true).tail(TAIL).build();
    let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
    let mut pieces = pin!(daemon.api.logs(id, Some(options)));
    while let Ok(Some(piece)) = tokio::time::timeout(SILENCE, pieces.next()).await {
        match piece? {
            LogOutput::StdErr { message } => stderr.extend_from_slice(&message),
            LogOutput::StdOut { message } => stdout.extend_from_slice(&message),
            // Half a piece of a connection that broke.
            LogOutput::Console { .. } | LogOutput::StdIn { .. } => {
                return Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into());
            }
        }
    }
    Ok((stdout, stderr))
}

/// The stream and the state contradict each other: the connection was closed on us, or is about to be.
fn apart(id: &str) -> FollowError {
    let source = "its output and its end do not come together".into();
    FollowError::Lost(EngineError::Call { action: format!("follow container `{id}`"), source })
}

/// Returns when the container does not run (any more), with the code it ended with.
async fn until_ended(daemon: &Connection, id: &str) -> Result<i64, Error> {
    // `not-running` also answers for a container that ended long ago; `next-exit` would wait for ever.
    let options = WaitContainerOptionsBuilder::new().condition("not-running").build();
    match pin!(daemon.api.wait_container(id, Some(options))).next().await {
        Some(Ok(answer)) => Ok(answer.status_code),
        Some(Err(Error::DockerContainerWaitError { code, .. })) => Ok(code),
        Some(Err(error)) => Err(error),
        None => Err(std::io::Error::from(std::io::ErrorKind::UnexpectedEof).into()),
    }
}

fn stop(daemon: &Connection, id: &str, what: &str, error: Error) -> FollowError {
    if status(&error) == Some(404) {
        return FollowError::Failed(gone(id));
    }
    let lost = is_uncertain(&error) || is_unreached(&error);
    let error = daemon.failure(format!("{what} container `{id}`"), error);
    if lost { FollowError::Lost(error) } else { FollowError::Failed(error) }
}

impl From<EngineError> for FollowError {
    fn from(error: EngineError) -> Self {
        if error.may_pass() { Self::Lost(error) } else { Self::Failed(error) }
    }
}

fn gone(id: &str) -> EngineError {
    EngineError::Refused { message: format!("container `{id}` is gone: something else removed it") }
}

/// The time that a container ran which has ended; nothing where the daemon does not say.
pub(super) async fn ran(daemon: &Connection, id: &str) -> Option<Duration> {
    lasted(&inspect(daemon, id).await.ok()?.state?)
}

pub(super) fn lasted(state: &ContainerState) -> Option<Duration> {
    time(state.finished_at.as_deref())?.duration_since(time(state.started_at.as_deref())?).ok()
}

/// The container as the daemon has it now.
pub(super) async fn inspect(daemon: &Connection, id: &str) -> Result<ContainerInspectResponse, EngineError> {
    match steady(|| daemon.api.inspect_container(id, None::<InspectContainerOptions>)).await {
        Ok(found) => Ok(found),
        Err(error) if status(&error) == Some(404) => Err(gone(id)),
        Err(error) => Err(daemon.failure(format!("look at container `{id}`"), error)),
    }
}

/// True for a container that runs, by its inspected state.
pub(super) fn is_running(state: &ContainerState) -> bool {
    state.running == Some(true) || state.paused == Some(true) || state.restarting == Some(true)
}

/// The exit of a container. Docker reports a signal as 128 + its number, as a shell does, so the two cannot be told
/// apart: a code that is one of the signals that end programs counts as that signal.
pub(super) fn exit(state: &ContainerState) -> Exit {
    let code = state.exit_code.and_then(|code| i32::try_from(code).ok()).unwrap_or(-1);
    match code {
        0 => Exit::Code(0),
        _ if state.oom_killed == Some(true) => Exit::Oom,
        129 | 130 | 131 | 134 | 137 | 139 | 141 | 142 | 143 => Exit::Signal(code - 128),
        code => Exit::Code(code),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use bollard::models::ContainerState;

    use super::{exit, lasted};
    use crate::model::outcome::Exit;

    #[test]
    fn a_run_time_is_read_from_a_daemon_of_any_time_zone() {
        let of = |from: &str, to: &str| {
            let (started_at, finished_at) = (Some(from.to_owned()), Some(to.to_owned()));
            lasted(&ContainerState { started_at, finished_at, ..Default::default() })
        };
        assert_eq!(of("2026-01-01T00:00:00.5Z", "2026-01-01T00:00:02Z"), Some(Duration::from_millis(1500)));
        assert_eq!(of("2026-01-01T09:00:00+09:00", "2026-01-01T09:00:02+09:00"), Some(Duration::from_secs(2)));
        assert_eq!(of("2026-01-01T09:00:00+09:00", ""), None);
    }

    #[test]
    fn an_exit_is_a_code_a_signal_or_out_of_memory() {
        let of =
            |code, oom| exit(&ContainerState { exit_code: Some(code), oom_killed: Some(oom), ..Default::default() });
        assert_eq!(of(0, false), Exit::Code(0));
        assert_eq!(of(3, false), Exit::Code(3));
        assert_eq!(of(127, false), Exit::Code(127));
        assert_eq!(of(143, false), Exit::Signal(15));
        assert_eq!(of(137, false), Exit::Signal(9));
        assert_eq!(of(200, false), Exit::Code(200));
        assert_eq!(of(137, true), Exit::Oom);
        assert_eq!(of(1, true), Exit::Oom, "a child was killed and the program gave up");
        assert_eq!(of(0, true), Exit::Code(0), "a child was killed and the program coped");
    }
}
