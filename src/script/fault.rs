//! Faults: errors of combu's own on their way through Rhai, with what to do about them.

use std::fmt;

use rhai::{Dynamic, EvalAltResult, Position};

use crate::engine::{EngineError, Obstacle};
use crate::plan::Problem;
use crate::run::session::RunError;

/// Most characters, elements or bytes that are made in one step.
const MOST: i64 = 50_000_000;

/// Answer of a native function.
pub(super) type Answer<T> = Result<T, Box<EvalAltResult>>;

/// Kind of error that ended a script; the command line chooses its exit code by it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ScriptErrorKind {
    /// The file could not be read.
    Read,
    /// The script, or a module it imports, is no Rhai.
    Parse,
    /// A call failed, or the script threw.
    Run,
    /// A signal ended it; who sent it, as a noun: `SIGINT`.
    Interrupted(String),
    /// An engine is out of reach or refused.
    Engine,
}

/// An error of combu's own on its way through Rhai; what `catch (e)` gives.
#[derive(Debug, Clone)]
pub(super) struct ScriptFault {
    pub(super) message: String,
    pub(super) hint: Option<String>,
    pub(super) kind: ScriptErrorKind,
}

impl fmt::Display for ScriptFault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

/// An error with a message.
pub(super) fn fault(message: impl Into<String>) -> Box<EvalAltResult> {
    raise(ScriptFault { message: message.into(), hint: None, kind: ScriptErrorKind::Run })
}

/// An error with a message and what to do next.
pub(super) fn fault_with(message: impl Into<String>, hint: impl Into<String>) -> Box<EvalAltResult> {
    raise(ScriptFault { message: message.into(), hint: Some(hint.into()), kind: ScriptErrorKind::Run })
}

/// An obstacle that keeps a run from starting, as a script error.
pub(super) fn run_fault(error: &RunError) -> Box<EvalAltResult> {
    match error {
        RunError::Engine(error) => engine_fault(error),
        RunError::Plan(error) => {
            let hint = error.problems.iter().find_map(Problem::hint);
            let problems: Vec<String> = error.problems.iter().map(ToString::to_string).collect();
            let list = match &problems[..] {
                [problem] => format!(" {problem}"),
                problems => problems.iter().map(|problem| format!("\n  {problem}")).collect(),
            };
            let message = format!("the experiment `{}` cannot run:{list}", error.experiment);
            raise(ScriptFault { message, hint, kind: ScriptErrorKind::Run })
        }
        RunError::Values(missing) => {
            let hint = missing.0.first().map(|missing| missing.hint.clone());
            raise(ScriptFault { message: format!("nothing was started: {missing}"), hint, kind: ScriptErrorKind::Run })
        }
        RunError::Images(_) => raise(ScriptFault {
            message: format!("nothing was started: {error}"),
            hint: None,
            kind: ScriptErrorKind::Engine,
        }),
        RunError::Uploads(error) => fault(format!("nothing was started: {error}")),
        RunError::Obstacles(obstacles) => raise(ScriptFault {
            message: format!("nothing was started: {error}"),
            hint: obstacles.first().map(Obstacle::hint),
            kind: ScriptErrorKind::Run,
        }),
    }
}

/// An engine's error, as a script error.
pub(super) fn engine_fault(error: &EngineError) -> Box<EvalAltResult> {
    raise(ScriptFault { message: error.chain(), hint: None, kind: ScriptErrorKind::Engine })
}

/// An engine that went out of reach while a run was on it.
pub(super) fn unreachable_fault(message: &str) -> Box<EvalAltResult> {
    raise(ScriptFault {
        message: format!("the engine is out of reach: {message}"),
        hint: None,
        kind: ScriptErrorKind::Engine,
    })
}

/// Ends the script, whatever it catches.
pub(super) fn interrupted(by: Option<String>) -> Box<EvalAltResult> {
    let by = by.unwrap_or_else(|| "an interrupt".to_owned());
    EvalAltResult::ErrorTerminated(by.into(), Position::NONE).into()
}

/// Ends the script, whatever it catches: it takes more memory than it may.
pub(super) fn out_of_memory(limit: u64) -> Dynamic {
    let message = match limit >> 30 {
        0 => format!("the script takes more than {} MiB of memory", limit >> 20),
        gib => format!("the script takes more than {gib} GiB of memory"),
    };
    let hint = "look for a text, a list or a map that grows without an end";
    Dynamic::from(ScriptFault { message, hint: Some(hint.to_owned()), kind: ScriptErrorKind::Run })
}

/// An error of combu's own with the place in a value that it is about.
pub(super) fn within(place: &str, error: EvalAltResult) -> Box<EvalAltResult> {
    match error {
        EvalAltResult::ErrorRuntime(value, position) => match value.try_cast_result::<ScriptFault>() {
            Ok(fault) => raise(ScriptFault { message: format!("{place}: {}", fault.message), ..fault }),
            Err(value) => EvalAltResult::ErrorRuntime(value, position).into(),
        },
        error => error.into(),
    }
}

/// The message of an error and of its causes.
pub(super) fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(&format!(": {error}"));
        cause = error.source();
    }
    text
}

/// A length that is made; one below zero is zero, as Rhai has it.
pub(super) fn bounded(length: i64) -> Answer<usize> {
    if length > MOST {
        let hint = "make it in parts, or write it to a file";
        return Err(fault_with(format!("a length of {length} is more than the {MOST} that are made at once"), hint));
    }
    Ok(usize::try_from(length).unwrap_or(0))
}

fn raise(fault: ScriptFault) -> Box<EvalAltResult> {
    EvalAltResult::ErrorRuntime(Dynamic::from(fault), Position::NONE).into()
}
