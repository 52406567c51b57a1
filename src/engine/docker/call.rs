//! What bollard's errors mean for combu. Makes no call itself.

use std::error::Error as _;
use std::future::Future;
use std::time::Duration;

use bollard::errors::Error;

use crate::engine::EngineError;
use crate::model::name::EngineName;

/// Pauses before a call that changes nothing is made again after its connection broke: long enough for a busy daemon's
/// full backlog, short enough that nobody waits for a dead one.
const PAUSES: [Duration; 2] = [Duration::from_millis(50), Duration::from_millis(500)];

/// Makes a call that may be repeated, again if its connection broke.
pub(super) async fn steady<T, F>(call: impl Fn() -> F) -> Result<T, Error>
where
    F: Future<Output = Result<T, Error>>,
{
    for pause in PAUSES {
        match call().await {
            // A daemon that did not answer in minutes will not do so now.
            Err(error) if is_lost(&error) && !matches!(error, Error::RequestTimeoutError) => {
                tokio::time::sleep(pause).await;
            }
            answer => return answer,
        }
    }
    call().await
}

/// Whether the daemon's answer did not arrive: it may or may not have done what was asked.
pub(super) fn is_lost(error: &Error) -> bool {
    matches!(
        error,
        Error::RequestTimeoutError
            | Error::IOError { .. }
            | Error::HyperResponseError { .. }
            | Error::HyperLegacyError { .. }
    )
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

/// What the error means: out of reach, refused for good, or a call that may succeed another time.
pub(super) fn failure(address: &str, action: impl Into<String>, error: Error) -> EngineError {
    match &error {
        Error::SocketNotFoundError(_) => unreachable(address, deepest(&error)),
        Error::HyperLegacyError { err } if err.is_connect() => unreachable(address, deepest(&error)),
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
    } else {
        ""
    };
    EngineError::Unreachable {
        engine: EngineName::Docker,
        address: address.to_owned(),
        source: format!("{cause}{hint}").into(),
    }
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
