//! Refusals: launches that the local engine cannot run, or cannot run now, in words for people. Starts nothing.

use std::io;
use std::path::Path;
use std::process::Command;

use rustix::io::Errno;

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
        _ if error.raw_os_error() == Some(Errno::NOEXEC.raw_os_error()) => {
            let hint = "not a program of this machine, nor a script that begins with `#!`";
            refusal(format!("cannot run `{program}`: {hint}"))
        }
        _ => shortage(&format!("start `{program}`"), error),
    }
}

/// Something that the system has none of now, and will have again once others end; else the failed call.
pub(super) fn shortage(action: &str, error: io::Error) -> EngineError {
    let lack = match error.raw_os_error().map(Errno::from_raw_os_error) {
        Some(Errno::AGAIN) => "as many processes run as this user may have (`ulimit -u`)",
        Some(Errno::MFILE) => "as many files are open as combu may have (`ulimit -n`)",
        Some(Errno::NFILE) => "as many files are open as this machine may have",
        Some(Errno::NOMEM) => "this machine has no memory left for it",
        Some(Errno::NOSPC) => "a disk is full",
        Some(Errno::TXTBSY) => "something is writing that program",
        _ => return EngineError::Call { action: action.to_owned(), source: error.into() },
    };
    EngineError::Busy { message: format!("cannot {action} now: {lack}") }
}
