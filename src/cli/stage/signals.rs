//! Signals: the first SIGINT or SIGTERM stops the runs of this process, the second kills their trials, and the third ends
//! the process, whatever keeps it. SIGTSTP (Ctrl-Z) pauses the trials before the process stops, and SIGCONT lets them go on.

use std::future::pending;
use std::pin::Pin;
use std::time::Duration;

use rustix::process::{getpid, kill_process};
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::{sleep, timeout};

use crate::cli::error::CliError;
use crate::cli::exit;
use crate::cli::ui::Ui;
use crate::run::session::Session;
use crate::run::session::interrupt::Interrupt;

/// Time limit of the last message: the terminal itself may be what keeps the process.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// Time limit for trials to be paused before the process stops: a user who presses Ctrl-Z wants the prompt, and an engine
/// that is out of reach pauses nothing.
const PATIENCE: Duration = Duration::from_secs(5);

/// Time for the reports to say that the runs are paused, and to take their bars away.
const REPORT: Duration = Duration::from_millis(100);

/// The time between a SIGTSTP and the process's stop.
type Pausing = Pin<Box<dyn Future<Output = ()> + Send>>;

/// The signals that this process listens to.
struct Signals {
    int: Option<Signal>,
    hup: Option<Signal>,
    term: Option<Signal>,
    tstp: Option<Signal>,
    cont: Option<Signal>,
}

/// Passes signals on to the session's runs from now on; `kill` is the command that removes what they leave.
///
/// # Errors
/// When the system refuses a handler.
pub(crate) fn listen(session: &Session, kill: String, ui: &Ui) -> Result<(), CliError> {
    let (interrupt, ui) = (session.interrupt().clone(), ui.clone());
    let _inside = session.tokio().enter();
    // Where it cannot be read, nothing is known to be ignored.
    let ignored = std::fs::read_to_string("/proc/self/status").map_or(0, |status| ignored(&status));
    let mut signals = Signals {
        int: unless_ignored(ignored, SignalKind::interrupt())?,
        // A terminal that closes ends the run as `kill` would; --detach and nohup are how a run outlives its terminal.
        hup: unless_ignored(ignored, SignalKind::hangup())?,
        // Never ignored: it is how `kill` ends a run.
        term: unless_ignored(0, SignalKind::terminate())?,
        tstp: unless_ignored(ignored, stop_of_a_terminal())?,
        cont: unless_ignored(0, continuation())?,
    };
    session.tokio().spawn(async move {
        let mut count = 0;
        let mut pausing: Pausing = Box::pin(pending());
        loop {
            let by = tokio::select! {
                biased;
                () = next(&mut signals.int) => "SIGINT",
                () = next(&mut signals.term) => "SIGTERM",
                () = next(&mut signals.hup) => {
                    // Shell and system may both report the same end of a terminal, so it never means "at once".
                    if count > 0 {
                        continue;
                    }
                    "SIGHUP"
                }
                () = next(&mut signals.cont) => {
                    pausing = Box::pin(pending());
                    interrupt.unpause("SIGCONT");
                    continue;
                }
                () = next(&mut signals.tstp) => {
                    pausing = Box::pin(pause(&interrupt));
                    continue;
                }
                () = &mut pausing => {
                    pausing = Box::pin(pending());
                    stand_still(&interrupt);
                    continue;
                }
            };
            // A process that is to end need not stop first.
            pausing = Box::pin(pending());
            count += 1;
            if count > 2 {
                end(&ui, exit::of_signal(by), &kill).await;
            }
            interrupt.fire(by);
        }
    });
    Ok(())
}

/// Pauses every trial, and waits until they stand still.
fn pause(interrupt: &Interrupt) -> impl Future<Output = ()> + Send + use<> {
    let still = interrupt.pause("SIGTSTP");
    async move {
        let _in_time = timeout(PATIENCE, still).await;
        sleep(REPORT).await;
    }
}

/// Stops this process until a SIGCONT comes: a shell's `fg`, or `kill -CONT`.
fn stand_still(interrupt: &Interrupt) {
    // Not the default action of SIGTSTP: a process without a terminal, as after --detach, would ignore it. Should it be
    // refused, nothing would ever send SIGCONT.
    if kill_process(getpid(), rustix::process::Signal::STOP).is_err() {
        interrupt.unpause("SIGCONT");
    }
}

fn stop_of_a_terminal() -> SignalKind {
    SignalKind::from_raw(rustix::process::Signal::TSTP.as_raw())
}

fn continuation() -> SignalKind {
    SignalKind::from_raw(rustix::process::Signal::CONT.as_raw())
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
