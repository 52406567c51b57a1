//! Calls to the daemon, and the meaning of their errors for combu.

use std::error::Error as _;
use std::future::Future;
use std::time::Duration;

use bollard::errors::Error;

use crate::engine::error::EngineError;
use crate::engine::retrying::Retrying;
use crate::model::name::EngineName;

/// Tries after the first of a call whose answer did not arrive or says that the daemon failed inside.
const TRIES: usize = 5;
/// Pauses between those tries: four seconds in all.
const FIRST_PAUSE: Duration = Duration::from_millis(50);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);

/// Refusals that a daemon sends with a status of the 500s although it is sure of them: asking again changes nothing.
const REFUSALS: [&str; 8] = [
    "is not paused",
    "already paused",
    "select device driver",
    "CDI device",
    "OCI runtime",
    "name is already in use",
    "address pool",
    "does not support reading",
];

/// What a daemon says of a host port that another has: a refusal as well, though it passes.
const TAKEN_PORTS: [&str; 2] = ["already allocated", "address already in use"];

/// What a daemon says when its disk is full.
const FULL_DISK: &str = "no space left on device";

/// Makes a call that may be repeated, again while it is uncertain what became of it.
pub(super) async fn steady<T, F>(call: impl Fn() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    for pause in Retrying::new(FIRST_PAUSE, LONGEST_PAUSE).by(3.0).take(TRIES) {
        match call().await {
            // A daemon that did not answer in minutes will not do so now.
            Err(error) if is_uncertain(&error) && !matches!(error, Error::RequestTimeoutError) => {
                tokio::time::sleep(pause).await;
            }
            answer => return answer,
        }
    }
    call().await
}

/// True when nobody knows what became of the call: its answer did not arrive, or the daemon failed inside. It may or may not
/// have done what was asked.
pub(super) fn is_uncertain(error: &Error) -> bool {
    is_lost(error) || is_trouble(error)
}

/// True for a call that did not arrive: nothing listens there, so nothing was done.
pub(super) fn is_unreached(error: &Error) -> bool {
    match error {
        Error::SocketNotFoundError(_) => true,
        // A busy daemon's backlog was full: then somebody listens.
        Error::HyperLegacyError { err } => err.is_connect() && !is_about(err, std::io::ErrorKind::WouldBlock),
        _ => false,
    }
}

/// Trouble of the daemon: it says that it failed, and not that it refuses.
pub(super) fn is_trouble(error: &Error) -> bool {
    matches!(status(error), Some(500 | 502 | 503 | 504)) && !is_refusal(error)
}

/// A refusal of the daemon, which it would repeat.
pub(super) fn is_refusal(error: &Error) -> bool {
    let refuses = || {
        let text = error.to_string();
        REFUSALS.iter().chain(&TAKEN_PORTS).any(|refusal| text.contains(refusal))
    };
    status(error).is_some_and(|status| (400..500).contains(&status) || refuses())
}

/// True where something that others use is missing, until they give it back: a host port, room on the daemon's disk.
pub(super) fn is_shortage(error: &Error) -> bool {
    let text = error.to_string();
    status(error).is_some() && TAKEN_PORTS.iter().chain([&FULL_DISK]).any(|shortage| text.contains(shortage))
}

/// True for a connection that was closed before an answer began.
pub(super) fn is_cut_off(error: &Error) -> bool {
    matches!(error, Error::HyperLegacyError { .. }) && !is_unreached(error)
}

/// True for an answer that did not arrive, or not whole.
fn is_lost(error: &Error) -> bool {
    match error {
        Error::RequestTimeoutError | Error::IOError { .. } | Error::HyperResponseError { .. } => true,
        Error::HyperLegacyError { .. } => is_cut_off(error),
        Error::JsonSerdeError { err } => err.is_eof() || err.is_io(),
        _ => false,
    }
}

/// True when an error of that kind is the cause.
fn is_about(error: &(dyn std::error::Error + 'static), kind: std::io::ErrorKind) -> bool {
    let mut cause = Some(error);
    while let Some(error) = cause {
        if error.downcast_ref::<std::io::Error>().is_some_and(|error| error.kind() == kind) {
            return true;
        }
        cause = error.source();
    }
    false
}

/// The status of an answer that says no.
pub(super) fn status(error: &Error) -> Option<u16> {
    match error {
        Error::DockerResponseServerError { status_code, .. } => Some(*status_code),
        _ => None,
    }
}

/// The text of an answer that says no, without the noise of the layers it came through.
pub(super) fn message(error: &Error) -> String {
    match error {
        Error::DockerResponseServerError { message, .. } => clean(message),
        Error::DockerStreamError { error } => clean(error),
        other => deepest(other),
    }
}

/// The meaning of an error: out of reach, refused for good, or a call that may succeed another time.
pub(super) fn failure(address: &str, action: impl Into<String>, error: Error) -> EngineError {
    match &error {
        _ if is_unreached(&error) => unreachable(address, deepest(&error)),
        Error::RequestTimeoutError => unreachable(address, format!("no answer when combu tried to {}", action.into())),
        Error::DockerResponseServerError { status_code: 400..=499, .. } => {
            EngineError::Refused { message: format!("failed to {}: {}", action.into(), message(&error)) }
        }
        _ => EngineError::Call { action: action.into(), source: Box::new(error) },
    }
}

/// Nothing answers at that address, with what to do about the usual causes.
pub(super) fn unreachable(address: &str, cause: String) -> EngineError {
    let hint = if cause.contains("ermission denied") {
        " (is this user in the group of the socket, mostly `docker`?)"
    } else if cause.contains("o such file") || cause.contains("onnection refused") {
        " (is the daemon running? DOCKER_HOST or `docker context use` choose another one)"
    } else if cause.contains("no answer") {
        " (something listens there and is frozen or has too much to do: does `docker version` answer?)"
    } else {
        ""
    };
    out_of_reach(address, format!("{cause}{hint}"))
}

/// Nothing answers at that address, for a reason that says all.
pub(super) fn out_of_reach(address: &str, because: String) -> EngineError {
    EngineError::Unreachable { engine: EngineName::Docker, address: address.to_owned(), source: because.into() }
}

/// The last cause of an error: the layers above it say only where it passed.
fn deepest(error: &Error) -> String {
    if let Error::SocketNotFoundError(path) = error {
        return format!("no such file: {path}");
    }
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = error.to_string();
        cause = error.source();
    }
    text
}

/// Takes the names of Docker's inner layers off a message.
fn clean(message: &str) -> String {
    const LAYERS: [&str; 7] = [
        "failed to create task for container: ",
        "failed to create shim task: ",
        "failed to create shim: ",
        "OCI runtime create failed: ",
        "runc create failed: ",
        "unable to start container process: ",
        "starting container process caused: ",
    ];
    let mut text = message.trim();
    loop {
        let layer = LAYERS.iter().find_map(|layer| text.strip_prefix(layer));
        // runc 1.0 names a line of its source: `container_linux.go:380: `.
        let line = text.split_once(": ").filter(|(head, _)| head.contains(".go:")).map(|(_, rest)| rest);
        let port = text.strip_prefix("driver failed programming external connectivity on endpoint ");
        let port = port.and_then(|rest| rest.split_once("): ")).map(|(_, rest)| rest);
        match layer.or(line).or(port) {
            Some(rest) => text = rest,
            None => return text.strip_suffix(": unknown").unwrap_or(text).trim_end_matches('.').to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{clean, unreachable};

    #[test]
    fn a_message_loses_the_layers_it_came_through() {
        let old = "OCI runtime create failed: container_linux.go:380: starting container process caused: exec: \"nope\": \
                   executable file not found in $PATH: unknown";
        assert_eq!(clean(old), "exec: \"nope\": executable file not found in $PATH");
        let new = "failed to create task for container: failed to create shim task: OCI runtime create failed: runc create \
                   failed: unable to start container process: exec: \"nope\": executable file not found in $PATH: unknown";
        assert_eq!(clean(new), clean(old));
        let port = "driver failed programming external connectivity on endpoint a (5f2c): Bind for 0.0.0.0:80 failed: port \
                    is already allocated";
        assert_eq!(clean(port), "Bind for 0.0.0.0:80 failed: port is already allocated");
    }

    #[test]
    fn an_unreachable_daemon_says_what_to_do() {
        let chain = unreachable("unix:///x.sock", "Permission denied (os error 13)".to_owned()).chain();
        assert_eq!(
            chain,
            "no docker engine answers at unix:///x.sock: Permission denied (os error 13) (is this user in the group of the \
             socket, mostly `docker`?)"
        );
    }
}
