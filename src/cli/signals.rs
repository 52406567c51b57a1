//! Signals: the first SIGINT or SIGTERM stops the runs of this process, the second kills their trials, and the third ends
//! the process, whatever keeps it.

use std::future::pending;
use std::time::Duration;

use tokio::signal::unix::{Signal, SignalKind, signal};

use crate::cli::error::CliError;
use crate::cli::exit;
use crate::cli::ui::Ui;
use crate::run::session::Session;

/// How long the last message may take: what keeps the process may be the terminal itself.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Passes signals on to the session's runs from now on; `kill` is the command that removes what they leave.
///
/// # Errors
/// When the system refuses a handler.
pub(crate) fn listen(session: &Session, kill: String, ui: &Ui) -> Result<(), CliError> {
    let (interrupt, ui) = (session.interrupt().clone(), ui.clone());
    let _inside = session.tokio().enter();
    // Where it cannot be read, nothing is known to be ignored.
    let ignored = std::fs::read_to_string("/proc/self/status").map_or(0, |status| ignored(&status));
    let mut int = unless_ignored(ignored, SignalKind::interrupt())?;
    // A terminal that closes ends the run as `kill` would; --detach and nohup are how a run outlives its terminal.
    let mut hup = unless_ignored(ignored, SignalKind::hangup())?;
    // Never ignored: it is how `kill` ends a run.
    let mut term = unless_ignored(0, SignalKind::terminate())?;
    session.tokio().spawn(async move {
        let mut count = 0;
        loop {
            let by = tokio::select! {
                () = next(&mut int) => "SIGINT",
                () = next(&mut term) => "SIGTERM",
                () = next(&mut hup) => {
                    // Shell and system may both tell of the same end of a terminal, so it never means "at once".
                    if count > 0 {
                        continue;
                    }
                    "SIGTERM"
                }
            };
            count += 1;
            if count > 2 {
                end(&ui, exit::of_signal(by), &kill).await;
            }
            interrupt.fire(by);
        }
    });
    Ok(())
}

/// Ends the process.
async fn end(ui: &Ui, code: u8, kill: &str) {
    let error = CliError::new(code, "ended by a third signal; trials may be left")
        .hint(format!("`{kill}` removes what is left"))
        .render(ui.err());
    let ui = ui.clone();
    let said = tokio::task::spawn_blocking(move || ui.message(&error));
    let _in_time = tokio::time::timeout(LAST_WORDS, said).await;
    std::process::exit(i32::from(code));
}

/// The signals of that kind, unless this process was started with it ignored: by `nohup`, or by a shell that gives the
/// terminal's Ctrl-C to others than its background jobs.
fn unless_ignored(ignored: u64, kind: SignalKind) -> Result<Option<Signal>, CliError> {
    if ignored >> (kind.as_raw_value() - 1) & 1 == 1 {
        return Ok(None);
    }
    signal(kind).map(Some).map_err(|error| CliError::new(exit::INTERNAL, format!("no signal handler: {error}")))
}

async fn next(signal: &mut Option<Signal>) {
    let received = match signal {
        Some(signal) => signal.recv().await,
        None => None,
    };
    // Without a signal to listen to, there is no next one.
    if received.is_none() {
        pending().await
    }
}

/// The signals that `/proc/self/status` calls ignored: bit 0 is signal 1.
fn ignored(status: &str) -> u64 {
    let mask = status.lines().find_map(|line| line.strip_prefix("SigIgn:"));
    mask.and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok()).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::ignored;

    #[test]
    fn ignored_signals_are_read_from_the_mask() {
        let status = "Name:\tcombu\nSigBlk:\t0000000000000004\nSigIgn:\t0000000000001003\nSigCgt:\t00000001\n";
        assert_eq!(ignored(status), 1 << 12 | 0b11);
        assert_eq!((ignored("Name:\tcombu\n"), ignored("SigIgn:\tnone\n")), (0, 0));
    }
}
