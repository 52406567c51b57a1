//! How a process ended (exit) and how a trial ended (outcome).

use std::fmt;

use serde::{Deserialize, Serialize};

/// How a process ended, as the engine saw it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Exit {
    /// It exited with that code, 0 to 255.
    Code(i32),
    /// That signal ended it.
    Signal(i32),
    /// The kernel killed it for exceeding its memory limit.
    Oom,
}

impl Exit {
    /// The code a shell would show: 128 + the signal's number, 137 after running out of memory.
    pub fn shell_code(self) -> i32 {
        match self {
            Self::Code(code) => code,
            Self::Signal(signal) => 128 + signal,
            Self::Oom => 137,
        }
    }

    /// Whether a signal ended it that is sent to end a process, and that its own faults do not raise.
    pub fn was_asked_for(self) -> bool {
        matches!(self, Self::Signal(1 | 2 | 3 | 9 | 15))
    }
}

impl fmt::Display for Exit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal(signal) => match signal_name(*signal) {
                Some(name) => write!(f, "killed by SIG{name}"),
                None => write!(f, "killed by signal {signal}"),
            },
            Self::Oom => write!(f, "out of memory"),
        }
    }
}

/// The name of a Linux signal without `SIG`, for the ones that end processes.
pub fn signal_name(number: i32) -> Option<&'static str> {
    Some(match number {
        1 => "HUP",
        2 => "INT",
        3 => "QUIT",
        4 => "ILL",
        5 => "TRAP",
        6 => "ABRT",
        7 => "BUS",
        8 => "FPE",
        9 => "KILL",
        10 => "USR1",
        11 => "SEGV",
        12 => "USR2",
        13 => "PIPE",
        14 => "ALRM",
        15 => "TERM",
        24 => "XCPU",
        25 => "XFSZ",
        31 => "SYS",
        _ => return None,
    })
}

/// How an attempt, and with its last attempt a trial, ended.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", tag = "status")]
pub enum Outcome {
    /// The process exited with 0.
    Succeeded,
    /// The process exited otherwise, or a signal ended it.
    Failed {
        /// How the process ended.
        exit: Exit,
    },
    /// The process ran out of its memory limit.
    Oom,
    /// It ran longer than its timeout and was stopped.
    TimedOut,
    /// Its healthcheck failed, others waited for it, and so it was stopped.
    Unhealthy,
    /// The engine could not start it.
    NotStarted {
        /// What the engine said.
        message: String,
    },
    /// The engine lost it: how it ended is unknown.
    Lost {
        /// What the engine said.
        message: String,
    },
    /// A service that was stopped because nothing needs it any more.
    Stopped,
    /// It was stopped on request: Ctrl-C, `kill`, or a halt.
    Killed,
    /// It was ended early because going on was not worth it: by the run's `prune`, or by `t.prune()` in a script.
    Pruned {
        /// Why, as a clause: "loss 0.9 at step 3 is not among the best third".
        because: String,
    },
    /// It never started.
    Skipped {
        /// Why, as a clause: "`loader` failed (exit code 1)".
        because: String,
    },
}

impl Outcome {
    /// The outcome a process's own end means.
    pub fn of(exit: Exit) -> Self {
        match exit {
            Exit::Code(0) => Self::Succeeded,
            Exit::Oom => Self::Oom,
            exit => Self::Failed { exit },
        }
    }

    /// The code a shell would show, where a process ended by itself.
    pub fn exit_code(&self) -> Option<i32> {
        match self {
            Self::Succeeded => Some(0),
            Self::Failed { exit } => Some(exit.shell_code()),
            Self::Oom => Some(Exit::Oom.shell_code()),
            _ => None,
        }
    }

    /// One word (kebab case): the value of `status` in results, scripts and JSON.
    pub fn status(&self) -> &'static str {
        match self {
            Self::Succeeded => "succeeded",
            Self::Failed { .. } => "failed",
            Self::Oom => "oom",
            Self::TimedOut => "timed-out",
            Self::Unhealthy => "unhealthy",
            Self::NotStarted { .. } => "not-started",
            Self::Lost { .. } => "lost",
            Self::Stopped => "stopped",
            Self::Killed => "killed",
            Self::Pruned { .. } => "pruned",
            Self::Skipped { .. } => "skipped",
        }
    }

    /// Succeeded, or a service that did its duty.
    pub fn is_success(&self) -> bool {
        matches!(self, Self::Succeeded | Self::Stopped)
    }

    /// Nothing went wrong: it succeeded, or was pruned.
    pub fn is_fine(&self) -> bool {
        self.is_success() || matches!(self, Self::Pruned { .. })
    }

    /// Ended badly by itself: not a success, not killed on request, not pruned, not skipped.
    pub fn is_failure(&self) -> bool {
        !self.is_success() && !matches!(self, Self::Killed | Self::Pruned { .. } | Self::Skipped { .. })
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Succeeded => write!(f, "succeeded"),
            Self::Failed { exit } => write!(f, "failed ({exit})"),
            Self::Oom => write!(f, "ran out of memory"),
            Self::TimedOut => write!(f, "timed out"),
            Self::Unhealthy => write!(f, "was unhealthy"),
            Self::NotStarted { message } => write!(f, "could not be started: {message}"),
            Self::Lost { message } => write!(f, "was lost: {message}"),
            Self::Stopped => write!(f, "stopped, nothing needs it any more"),
            Self::Killed => write!(f, "killed"),
            Self::Pruned { because } => write!(f, "pruned because {because}"),
            Self::Skipped { because } => write!(f, "skipped because {because}"),
        }
    }
}
