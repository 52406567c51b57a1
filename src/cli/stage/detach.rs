//! `--detach`: handing a run to a combu in the background that survives the terminal.
//!
//! The same command line is started again with `--detached` before it. Its stderr is passed on until it writes one line
//! on stdout: the run is started, and from then on it writes to the run's folder only.

use std::io::{BufRead, BufReader, Write};
use std::path::Path;
use std::process::{Command, Stdio};

use crate::cli::context::SpecSource;
use crate::cli::error::{CliError, kill_command};
use crate::cli::exit;
use crate::cli::ui::Ui;
use crate::model::name::RunId;
use crate::model::shell::quoted;

/// Starts the background half and waits until it has started the run.
pub(crate) fn hand_over(spec: &Path, ui: &Ui) -> Result<u8, CliError> {
    let failed =
        |error: std::io::Error| CliError::new(exit::INTERNAL, format!("failed to go to the background: {error}"));
    let program = std::env::current_exe().map_err(failed)?;
    let from_stdin = SpecSource::is_stdin(spec);
    let mut child = Command::new(program)
        .arg("--detached")
        .args(std::env::args_os().skip(1))
        .stdin(if from_stdin { Stdio::inherit() } else { Stdio::null() })
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(failed)?;
    let said = child.stderr.take().map(|stderr| {
        let ui = ui.clone();
        std::thread::spawn(move || {
            for line in BufReader::new(stderr).lines().map_while(Result::ok) {
                ui.message(&line);
            }
        })
    });
    let mut ready = String::new();
    if let Some(stdout) = child.stdout.take() {
        BufReader::new(stdout).read_line(&mut ready).map_err(failed)?;
    }
    let Some((run, log)) = ready.trim_end().split_once('\t') else {
        let status = child.wait().map_err(failed)?;
        if let Some(said) = said {
            // A panic there lost lines of a message; the exit code below still counts.
            let _lost = said.join();
        }
        return Ok(status.code().and_then(|code| u8::try_from(code).ok()).unwrap_or(exit::INTERNAL));
    };
    ui.result(run)?;
    ui.message(&format!("run {run} goes on in the background"));
    ui.message(&format!("  progress: tail -f {}", quoted(log)));
    let kill = if from_stdin { format!("combu kill {run}") } else { kill_command(spec) };
    ui.message(&format!("  end it:   {kill}"));
    Ok(exit::OK)
}

/// Leaves the terminal's session, so that its end does not reach us.
pub(crate) fn leave_terminal() -> Result<(), CliError> {
    rustix::process::setsid()
        .map(|_session| ())
        .map_err(|error| CliError::new(exit::INTERNAL, format!("failed to leave the terminal: {error}")))
}

/// Reports to the foreground half that the run is started, and where its log is.
///
/// # Errors
/// When the foreground half is gone: the user would not know of the run.
pub(crate) fn report_ready(run: &RunId, log: &Path, ui: &Ui) -> Result<(), CliError> {
    writeln!(ui.stdout(), "{run}\t{}", log.display()).map_err(|error| {
        CliError::new(exit::INTERNAL, format!("combu was ended before its run was in the background: {error}"))
    })
}
