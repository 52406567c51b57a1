//! Signals: the first SIGINT or SIGTERM stops the runs of this process, the second kills their trials.

use tokio::signal::unix::{SignalKind, signal};

use crate::run::session::Session;

/// Passes signals on to the session's runs from now on.
///
/// # Errors
/// When the system refuses a handler.
pub(crate) fn listen(session: &Session) -> std::io::Result<()> {
    let interrupt = session.interrupt().clone();
    let _inside = session.tokio().enter();
    let mut int = signal(SignalKind::interrupt())?;
    let mut term = signal(SignalKind::terminate())?;
    // A terminal that closes ends the run as `kill` would; --detach is how a run outlives its terminal.
    let mut hup = signal(SignalKind::hangup())?;
    session.tokio().spawn(async move {
        loop {
            tokio::select! {
                _ = int.recv() => interrupt.fire("SIGINT"),
                _ = term.recv() => interrupt.fire("SIGTERM"),
                _ = hup.recv() => interrupt.fire("SIGTERM"),
            }
        }
    });
    Ok(())
}
