//! The command line: arguments, terminal, exit codes. The only folder that names clap.
//!
//! Floors, of which each names only those below: the verbs' list; the verbs, a file each; which run and which trials are
//! meant; the rooms for a run that is being executed (`stage`) and for reaching one of another process (`control`); what
//! verbs begin with (`context`); groups of arguments, errors and the terminal.

mod args;
mod before;
mod chosen;
mod completions;
mod config;
mod context;
mod control;
mod doors;
mod ends;
mod error;
mod exit;
#[cfg(test)]
mod fuzz;
mod help;
mod kill;
mod logging;
mod look;
mod man;
mod manual;
mod named;
mod past;
mod plan;
mod run;
mod script;
mod serve;
mod stage;
mod steer;
mod test;
mod time;
mod ui;
mod unknown;
mod unread;
mod verbs;
mod which;

pub use manual::reference;

use std::ffi::OsString;
use std::process::ExitCode;

use crate::cli::ui::Ui;
use crate::cli::verbs::{Cli, command};

/// Runs combu on this process's arguments.
pub fn main() -> ExitCode {
    completions::answer(command);
    let line: Vec<OsString> = std::env::args_os().collect();
    match Cli::read(&line) {
        Ok(cli) => cli.dispatch(&Ui::new()),
        Err(error) => match unknown::explain(&error, &line) {
            Some(error) => error.end(&Ui::new()),
            None => error.exit(),
        },
    }
}
