//! The health of a container: what its daemon's probes say, and combu's own where the daemon does not probe any more.
//!
//! A daemon that died while the healthcheck had not decided yet may never probe again (seen with Docker 20.10 and
//! live-restore): the container runs, its health stays `starting`, and who waits for it would wait for ever. Then the check
//! is run from here, as the daemon would have.

use std::time::Duration;

use bollard::exec::{CreateExecOptions, StartExecOptions};
use bollard::models::{Health as DaemonHealth, HealthConfig, HealthStatusEnum};
use tokio::time::{Instant, sleep};

use crate::engine::docker::call::steady;
use crate::engine::docker::connect::Connection;
use crate::engine::docker::wait::{inspect, is_running};
use crate::engine::error::EngineError;
use crate::engine::retrying::Retrying;
use crate::engine::seam::Health;

/// First and longest pause between two looks at a container's health.
const FIRST_LOOK: Duration = Duration::from_millis(200);
const SLOWEST_LOOK: Duration = Duration::from_secs(1);

/// What Docker takes where a healthcheck does not say it: interval and timeout, and probes that fail in a row.
const USUAL: Duration = Duration::from_secs(30);
const RETRIES: i64 = 3;

/// Longest time beyond interval and timeout in which a daemon that probes says nothing.
const SLACK: Duration = Duration::from_secs(5);

/// Pause between two looks whether a probe of ours has ended.
const PROBE: Duration = Duration::from_millis(100);

/// Waits until the healthcheck decided; a container without one is healthy as soon as it runs.
pub(super) async fn healthy(daemon: &Connection, id: &str) -> Result<Health, EngineError> {
    let mut pauses = Retrying::new(FIRST_LOOK, SLOWEST_LOOK).by(1.25);
    let began = Instant::now();
    let (mut said, mut since, mut failed) = (None, began, 0);
    loop {
        let found = inspect(daemon, id).await?;
        let state = found.state.unwrap_or_default();
        if !is_running(&state) {
            return Ok(Health::Ended);
        }
        let health = state.health.unwrap_or_default();
        match health.status {
            None | Some(HealthStatusEnum::EMPTY | HealthStatusEnum::NONE | HealthStatusEnum::HEALTHY) => {
                return Ok(Health::Healthy);
            }
            Some(HealthStatusEnum::UNHEALTHY) => return Ok(Health::Unhealthy),
            Some(HealthStatusEnum::STARTING) => {}
        }
        let check = found.config.and_then(|config| config.healthcheck).unwrap_or_default();
        let last = last_probe(&health);
        if last != said {
            (said, since) = (last, Instant::now());
        }
        if since.elapsed() < span(check.interval) + span(check.timeout) + SLACK {
            pauses.pause().await;
            continue;
        }
        if probe(daemon, id, &check).await? {
            return Ok(Health::Healthy);
        }
        let spared = check.start_period.and_then(|nanos| u64::try_from(nanos).ok()).map(Duration::from_nanos);
        failed += i64::from(began.elapsed() >= spared.unwrap_or_default());
        if failed >= check.retries.filter(|retries| *retries > 0).unwrap_or(RETRIES) {
            return Ok(Health::Unhealthy);
        }
        sleep(span(check.interval)).await;
    }
}

/// When the daemon's last probe ended.
fn last_probe(health: &DaemonHealth) -> Option<String> {
    health.log.as_ref()?.last()?.end.as_ref().map(ToString::to_string)
}

/// A span of a healthcheck in nanoseconds; 0 is the usual one.
fn span(nanos: Option<i64>) -> Duration {
    nanos.and_then(|nanos| u64::try_from(nanos).ok()).filter(|nanos| *nanos > 0).map_or(USUAL, Duration::from_nanos)
}

/// Runs the check in the container; true: it says that this is healthy.
async fn probe(daemon: &Connection, id: &str, check: &HealthConfig) -> Result<bool, EngineError> {
    let failed = |error| daemon.failure(format!("run the healthcheck of container `{id}`"), error);
    let cmd: Vec<String> = match check.test.as_deref().unwrap_or_default() {
        [kind, line] if kind == "CMD-SHELL" => vec!["/bin/sh".to_owned(), "-c".to_owned(), line.clone()],
        [_, words @ ..] => words.to_vec(),
        [] => return Ok(true),
    };
    let options = CreateExecOptions { cmd: Some(cmd), ..CreateExecOptions::default() };
    let exec = steady(|| daemon.api.create_exec(id, options.clone())).await.map_err(failed)?.id;
    let start = StartExecOptions { detach: true, ..StartExecOptions::default() };
    steady(|| daemon.api.start_exec(&exec, Some(start))).await.map_err(failed)?;
    let until = Instant::now() + span(check.timeout);
    while Instant::now() < until {
        let seen = steady(|| daemon.api.inspect_exec(&exec)).await.map_err(failed)?;
        if seen.running != Some(true) {
            return Ok(seen.exit_code == Some(0));
        }
        sleep(PROBE).await;
    }
    Ok(false)
}
