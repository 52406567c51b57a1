//! The daemon's memory: its last 256 events, none of them from before its own start.

use std::collections::HashMap;
use std::pin::pin;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use bollard::errors::Error;
use bollard::models::SystemInfo;
use bollard::query_parameters::EventsOptionsBuilder;
use futures_util::StreamExt;
use jiff::Timestamp;

use crate::engine::docker::call::steady;
use crate::engine::docker::connect::Connection;

/// A daemon that tells fewer events than that remembers all since its start: it could tell 256, and those of the last
/// moments may not be among what it tells.
const FEW: usize = 128;

/// Time for which the daemon's events are read on, to hear of what happens meanwhile.
const LISTEN: Duration = Duration::from_secs(1);

/// Most questions to a daemon that says it was not there.
const ASKED: usize = 3;

/// Longest time from a kill to the daemon's report of it.
const REPORT: Duration = Duration::from_millis(300);

/// A daemon's memory of something that happened to a container.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum DaemonMemory {
    /// The daemon saw it.
    Saw,
    /// The daemon was not there.
    Absent,
    /// So much happened since that it may have forgotten.
    Forgot,
}

/// What the daemon remembers of an action (`create`, `start`) on a container, which was done at that time on its clock.
pub(super) async fn recall(
    daemon: &Connection,
    id: &str,
    action: &str,
    done: SystemTime,
    info: &SystemInfo,
) -> Result<DaemonMemory, Error> {
    let ask = || async move {
        let now = time(info.system_time.as_deref()).unwrap_or_else(SystemTime::now);
        let options = EventsOptionsBuilder::new().since("1").until(&stamp(now + LISTEN)).build();
        let mut events = pin!(daemon.api.events(Some(options)));
        let (mut count, mut oldest) = (0, None);
        while let Some(event) = events.next().await {
            let event = event?;
            count += 1;
            let at =
                event.time_nano.and_then(|at| u64::try_from(at).ok()).map(|at| UNIX_EPOCH + Duration::from_nanos(at));
            oldest = oldest.or(at);
            if event.action.as_deref() == Some(action) && event.actor.and_then(|actor| actor.id).as_deref() == Some(id)
            {
                return Ok(DaemonMemory::Saw);
            }
        }
        let reaches_back = count < FEW || oldest.is_some_and(|oldest| oldest < done);
        Ok::<_, Error>(if reaches_back { DaemonMemory::Absent } else { DaemonMemory::Forgot })
    };
    let mut memory = DaemonMemory::Absent;
    // A reply that was cut short is as good as a daemon that does not remember.
    for _ in 0..ASKED {
        memory = steady(ask).await?;
        if memory != DaemonMemory::Absent {
            break;
        }
    }
    Ok(memory)
}

/// True when somebody had the daemon kill the container. Where nobody did, and its memory is limited, the kernel did:
/// with many at once, Docker misses that for some of them and leaves `OOMKilled` false (7 % of 24 at once, cgroup v1).
///
/// Only for a container that has just ended.
pub(super) async fn was_killed(daemon: &Connection, id: &str) -> bool {
    // The stream tells the past at once and then waits for the future, of which only the kill's own report matters.
    let killed = is_signalled(daemon, id, None, |signal| matches!(signal, "9" | "KILL" | "SIGKILL"));
    tokio::time::timeout(REPORT, killed).await.unwrap_or(false)
}

/// True when somebody had the daemon send the container a signal that asks a program to end.
///
/// Only for a container that has just ended.
pub(super) async fn was_stopped(daemon: &Connection, id: &str) -> bool {
    let ends = |signal: &str| {
        let name = signal.trim_start_matches("SIG");
        matches!(name, "1" | "2" | "3" | "9" | "15" | "HUP" | "INT" | "QUIT" | "KILL" | "TERM")
    };
    let now = stamp(daemon.now());
    let stopped = is_signalled(daemon, id, Some(&now), ends);
    tokio::time::timeout(REPORT, stopped).await.unwrap_or(false)
}

/// How often the container was started, as far as the daemon remembers.
pub(super) async fn starts(daemon: &Connection, id: &str) -> usize {
    let filters = HashMap::from([("container", vec![id]), ("event", vec!["start"])]);
    let options = EventsOptionsBuilder::new().since("1").until(&stamp(daemon.now())).filters(&filters);
    let told = daemon.api.events(Some(options.build())).filter(|event| std::future::ready(event.is_ok())).count();
    tokio::time::timeout(REPORT, told).await.unwrap_or(0)
}

/// True when the daemon tells, until that time or for ever, that it sent the container such a signal.
async fn is_signalled(daemon: &Connection, id: &str, until: Option<&str>, is_such: impl Fn(&str) -> bool) -> bool {
    let filters = HashMap::from([("container", vec![id]), ("event", vec!["kill"])]);
    // Any time ago: the container's id is its own.
    let mut options = EventsOptionsBuilder::new().since("1").filters(&filters);
    if let Some(until) = until {
        options = options.until(until);
    }
    let mut events = pin!(daemon.api.events(Some(options.build())));
    while let Some(event) = events.next().await {
        // An event that cannot be read may be the one: then the exit stays what Docker says it is.
        let Ok(event) = event else { return until.is_none() };
        let signal = event.actor.and_then(|actor| actor.attributes?.remove("signal"));
        if signal.is_some_and(|signal| is_such(&signal)) {
            return true;
        }
    }
    false
}

/// A time as the daemon takes it.
fn stamp(time: SystemTime) -> String {
    let since = time.duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("{}.{:09}", since.as_secs(), since.subsec_nanos())
}

/// A time as a daemon writes it, in whatever time zone; Go's zero time, in the year 1, stands for never.
pub(super) fn time(text: Option<&str>) -> Option<SystemTime> {
    text?.parse::<Timestamp>().ok().filter(|time| *time >= Timestamp::UNIX_EPOCH).map(SystemTime::from)
}

#[cfg(test)]
mod tests {
    use std::time::{SystemTime, UNIX_EPOCH};

    use super::time;

    #[test]
    fn times_are_read_as_docker_writes_them() {
        let at = |text| time(Some(text)).map(|time: SystemTime| time.duration_since(UNIX_EPOCH).unwrap().as_millis());
        assert_eq!(at("1970-01-01T00:00:01.5Z"), Some(1500));
        assert_eq!(at("1970-01-01T09:00:01.5+09:00"), Some(1500));
        assert_eq!(at("1970-01-01T00:00:01.500000001-05:00"), Some(5 * 3_600_000 + 1500));
        assert_eq!((at("soon"), at("0001-01-01T00:00:00Z")), (None, None));
    }
}
