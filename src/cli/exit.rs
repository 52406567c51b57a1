//! The exit codes of combu.

use crate::model::event::Early;
use crate::model::summary::Summary;

/// An exit code and when it is given; the table of the manual.
pub(crate) const TABLE: [(u8, &str); 10] = [
    (OK, "every trial succeeded or was pruned"),
    (INTERNAL, "combu itself failed, or every trial succeeded and something of the run could not be kept: a full disk"),
    (USAGE, "usage, spec or script error, or something stands in the way; nothing was started"),
    (NOTHING, "nothing selected: there is no trial to run"),
    (
        OUTSTANDING,
        "`combu rerun`, `resume`: what was run succeeded, and other trials, or a script that died, are not done",
    ),
    (FAILED, "some trial failed"),
    (HALTED, "the run was halted by its policy (`--halt`), or its time was up (`--time-budget`)"),
    (ENGINE, "the engine is unreachable or refused"),
    (INTERRUPTED, "interrupted by SIGINT; its trials were stopped, unless a third signal ended combu at once"),
    (TERMINATED, "interrupted by SIGTERM or a closed terminal; else as 130"),
];

pub(crate) const OK: u8 = 0;
pub(crate) const INTERNAL: u8 = 1;
pub(crate) const USAGE: u8 = 2;
pub(crate) const NOTHING: u8 = 4;
pub(crate) const OUTSTANDING: u8 = 5;
pub(crate) const FAILED: u8 = 100;
pub(crate) const HALTED: u8 = 101;
pub(crate) const ENGINE: u8 = 125;
pub(crate) const INTERRUPTED: u8 = 130;
pub(crate) const TERMINATED: u8 = 143;

/// The code of a run with that summary.
pub(crate) fn of_summary(summary: &Summary) -> u8 {
    match &summary.early {
        Some(Early::Unreachable(_)) => ENGINE,
        Some(Early::Cancelled(by) | Early::Killed(by)) => of_signal(by),
        Some(Early::Halted(_)) => HALTED,
        None if summary.ok() && !summary.is_whole() => INTERNAL,
        None if summary.ok() => OK,
        None => FAILED,
    }
}

/// The code of an interrupt by that signal: 128 and its number, as a shell has it.
pub(crate) fn of_signal(by: &str) -> u8 {
    if matches!(by, "SIGTERM" | "SIGHUP") { TERMINATED } else { INTERRUPTED }
}
