//! Refusals: launches that the local engine cannot run, in words for people. Starts nothing.

use std::io;
use std::path::Path;
use std::process::Command;

use crate::engine::error::EngineError;

/// A refusal as a result.
///
/// # Errors
/// [`EngineError::Refused`], always.
pub(super) fn refused<T>(message: String) -> Result<T, EngineError> {
    Err(refusal(message))
}

/// A refusal with that message.
pub(super) fn refusal(message: String) -> EngineError {
    EngineError::Refused { message }
}

/// The refusal, or the failed call, that a system's error at the start of a command means.
pub(super) fn of_start(command: &Command, error: io::Error) -> EngineError {
    let program = command.get_program().display();
    match error.kind() {
        io::ErrorKind::NotFound => refusal(format!("cannot run `{program}`: its interpreter is missing")),
        io::ErrorKind::PermissionDenied => {
            let folder = command.get_current_dir().unwrap_or(Path::new(".")).display();
            refusal(format!("may not run `{program}` in `{folder}`: permission denied"))
        }
        io::ErrorKind::ArgumentListTooLong => {
            refusal(format!("cannot run `{program}`: its arguments and environment are too long"))
        }
        _ if error.raw_os_error() == Some(rustix::io::Errno::NOEXEC.raw_os_error()) => {
            let hint = "not a program of this machine, nor a script that begins with `#!`";
            refusal(format!("cannot run `{program}`: {hint}"))
        }
        _ => EngineError::Call { action: format!("start `{program}`"), source: error.into() },
    }
}
