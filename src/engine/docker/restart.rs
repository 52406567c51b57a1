//! Restarts of the daemon: whether a container ended by itself or because its daemon did. Changes nothing.
//!
//! Without live-restore no container outlives its daemon: one that stops ends them all, and one that died has what is left
//! of them ended when it comes back. The daemon tells nobody: such a container has ended with some code, mostly that of its
//! stop signal, and a program that handles the signal may even end with 0. What tells is the daemon's memory. A daemon
//! remembers its last 256 events, and no event from before its own start: a container whose start it does not remember,
//! though it would have to, belonged to the daemon before it. If that one ended after combu lost sight of it, the daemon
//! took it along, or it ended by itself in the same moments: how it would have ended is not known, and it is lost. The same
//! holds where combu was not there to see when: a program that ends with 0 when it is asked to has not done its work.
//!
//! With live-restore a container goes on without its daemon, and the daemon learns its exit code later. But what it writes
//! in its last moments without a daemon is kept by nobody (seen with Docker 20.10): its log may not be complete then. Where
//! the code was lost, too, it is not known how it ended, and it runs again.

use std::collections::HashMap;
use std::time::{Duration, SystemTime};

use bollard::errors::Error;
use bollard::models::{ContainerState, SystemInfo};
use tokio::sync::watch;
use tokio::time::timeout;

use crate::engine::docker::call::steady;
use crate::engine::docker::connect::Connection;
use crate::engine::docker::memory::{DaemonMemory, recall, time};

/// Longest time between a container's end and the moment when combu hears of it.
const SLACK: Duration = Duration::from_secs(3);

/// The code of a container that ended nobody knows how.
const UNKNOWN: i64 = 255;

/// Codes of containers that were made to end: killed, asked to end, and ended nobody knows how.
const TAKEN_ALONG: [i64; 3] = [137, 143, UNKNOWN];

/// Longest time for which a start waits for the containers that are out of sight.
const OUT_OF_SIGHT: Duration = Duration::from_secs(15);

/// Moments at which combu lost sight of containers that it follows, by their ids.
#[derive(Debug, Default)]
pub(super) struct Breaks(watch::Sender<HashMap<String, SystemTime>>);

impl Breaks {
    /// Notes that the container is out of sight from now on, unless it is already.
    pub(super) fn note(&self, id: &str) {
        self.0.send_modify(|breaks| {
            breaks.entry(id.to_owned()).or_insert_with(SystemTime::now);
        });
    }

    /// Forgets it: the container is in sight, or gone.
    pub(super) fn forget(&self, id: &str) {
        self.0.send_if_modified(|breaks| breaks.remove(id).is_some());
    }

    fn of(&self, id: &str) -> Option<SystemTime> {
        self.0.borrow().get(id).copied()
    }

    /// Waits until no container is out of sight: after a break, what is started next may need one that is gone. One that
    /// does not come into sight is not waited for longer than [`OUT_OF_SIGHT`].
    pub(super) async fn are_over(&self) {
        let mut breaks = self.0.subscribe();
        let seen = breaks.wait_for(HashMap::is_empty);
        // Over, or waited for long enough.
        drop(timeout(OUT_OF_SIGHT, seen).await);
    }
}

/// An end of a container that combu did not see.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum UnseenEnd {
    /// By itself, and its daemon heard everything it wrote.
    Own,
    /// By itself, while there was no daemon.
    Unheard,
    /// Because its daemon did.
    TakenAlong,
}

/// The end of a container that has ended out of sight.
pub(super) async fn ending(
    daemon: &Connection,
    id: &str,
    state: &ContainerState,
    breaks: &Breaks,
) -> Result<UnseenEnd, Error> {
    let lost = breaks.of(id);
    let suspicious = state.exit_code.is_some_and(|code| TAKEN_ALONG.contains(&code)) && state.oom_killed != Some(true);
    // Podman has no daemon that could take anything along.
    if daemon.is_podman {
        return Ok(UnseenEnd::Own);
    }
    let info = steady(|| daemon.api.info()).await?;
    let (Some(started), Some(ended)) = (time(state.started_at.as_deref()), time(state.finished_at.as_deref())) else {
        return Ok(UnseenEnd::Own);
    };
    let memory = recall(daemon, id, "start", started, &info).await?;
    // Its clock may not be ours.
    let lost = lost.map(|lost| shifted(lost, &info));
    let outlives = info.live_restore_enabled == Some(true);
    Ok(match decided(memory, lost, ended, suspicious) {
        false => UnseenEnd::Own,
        true if outlives && state.exit_code != Some(UNKNOWN) => UnseenEnd::Unheard,
        true => UnseenEnd::TakenAlong,
    })
}

/// True when the container ended under another daemon than the one that answers, or under none.
fn decided(memory: DaemonMemory, lost: Option<SystemTime>, ended: SystemTime, suspicious: bool) -> bool {
    let unseen = lost.is_none_or(|lost| ended + SLACK >= lost);
    match memory {
        DaemonMemory::Saw => false,
        DaemonMemory::Absent => unseen,
        DaemonMemory::Forgot => unseen && suspicious && lost.is_some(),
    }
}

/// A moment on our clock as the daemon's clock shows it.
fn shifted(moment: SystemTime, info: &SystemInfo) -> SystemTime {
    let (ours, Some(theirs)) = (SystemTime::now(), time(info.system_time.as_deref())) else { return moment };
    match theirs.duration_since(ours) {
        Ok(ahead) => moment + ahead,
        Err(behind) => moment - behind.duration(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, UNIX_EPOCH};

    use super::{DaemonMemory, decided};

    #[test]
    fn only_what_ended_out_of_sight_and_under_another_daemon_is_taken_along() {
        let lost = UNIX_EPOCH + Duration::from_secs(100);
        let (before, after) = (UNIX_EPOCH + Duration::from_secs(90), UNIX_EPOCH + Duration::from_secs(101));
        // A program that handles its stop signal ends with 0: that is no success.
        assert!(decided(DaemonMemory::Absent, Some(lost), after, false));
        assert!(
            !decided(DaemonMemory::Absent, Some(lost), before, true),
            "it ended in sight, and only its report was late"
        );
        assert!(!decided(DaemonMemory::Saw, Some(lost), after, true), "the daemon was not restarted");
        assert!(
            decided(DaemonMemory::Forgot, Some(lost), after, true)
                && !decided(DaemonMemory::Forgot, Some(lost), after, false)
        );
        // Found ended by a combu that was not there: judged as if it had been.
        assert!(decided(DaemonMemory::Absent, None, after, true) && decided(DaemonMemory::Absent, None, after, false));
        assert!(!decided(DaemonMemory::Forgot, None, after, true) && !decided(DaemonMemory::Saw, None, after, true));
    }
}
