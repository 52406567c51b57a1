//! Healthchecks, which Docker's daemon runs for its containers and we run for ours. Never ends an attempt.

use std::process::Command;
use std::time::Duration;

use rustix::process::{Pid, Signal};
use tokio::time::Instant;

use crate::engine::error::EngineError;
use crate::engine::launch::Launch;
use crate::engine::local::attempt::LocalAttempt;
use crate::engine::local::launch::{self, Programs};
use crate::engine::local::{proc, refusal};
use crate::engine::retrying::Retrying;
use crate::engine::seam::Health;
use crate::model::trial::Healthcheck;

/// Docker's defaults.
const INTERVAL: Duration = Duration::from_secs(30);
const TIMEOUT: Duration = Duration::from_secs(30);
const RETRIES: u32 = 3;
/// Pauses before the verdict grow from the first of these to the second, so that dependants of a trial that is ready
/// at once do not wait for Docker's long interval.
const QUICK: Duration = Duration::from_millis(100);
const CALM: Duration = Duration::from_secs(1);
/// A century: as good as for ever, and does not overflow the clock.
const CENTURY: Duration = Duration::from_secs(3_000_000_000);

/// Probes until the verdict: healthy at the first success, unhealthy after the failures in a row that
/// Docker would take.
///
/// We probe oftener than `interval`, but a failure counts once per interval only: the verdict is never harsher.
///
/// # Errors
/// [`EngineError::Refused`] when the test could not even be run until then: a failure that has to be told.
pub(super) async fn verdict(
    attempt: &LocalAttempt,
    check: &Healthcheck,
    (token, programs): (Option<&str>, &Programs),
) -> Result<Health, EngineError> {
    let Some(launch) = &attempt.launch else {
        return Err(EngineError::Refused { message: "was started without a healthcheck".to_owned() });
    };
    let words: Vec<&str> = check.test.iter().map(String::as_str).collect();
    let words = match words.as_slice() {
        ["NONE"] => return Ok(Health::Healthy),
        ["CMD", words @ ..] if !words.is_empty() => words.to_vec(),
        ["CMD-SHELL", line] => vec!["/bin/sh", "-c", line],
        _ => {
            let message = "a healthcheck's test is `[\"CMD\", word, ..]` or `[\"CMD-SHELL\", line]`".to_owned();
            return Err(EngineError::Refused { message });
        }
    };
    tokio::select! {
        // An attempt that has ended is not healthy, whatever a probe says.
        biased;
        ended = attempt.ended() => ended.map(|_| Health::Ended),
        healthy = probe(attempt, launch, &words, check, (token, programs)) => healthy.map(|healthy| if healthy { Health::Healthy } else { Health::Unhealthy }),
    }
}

async fn probe(
    attempt: &LocalAttempt,
    launch: &Launch,
    words: &[&str],
    check: &Healthcheck,
    (token, programs): (Option<&str>, &Programs),
) -> Result<bool, EngineError> {
    let or = |given: Option<Duration>, default| given.filter(|given| !given.is_zero()).unwrap_or(default).min(CENTURY);
    let (interval, timeout) = (or(check.interval, INTERVAL), or(check.timeout, TIMEOUT));
    let retries = check.retries.filter(|retries| *retries > 0).unwrap_or(RETRIES);
    let (mut failures, mut pauses) = (0, Retrying::new(QUICK, CALM));
    let mut counts_from = Instant::now() + check.start_period.unwrap_or_default().min(CENTURY) + interval;
    loop {
        // What stands still answers nobody, and is not sick for that.
        if attempt.is_paused() {
            tokio::time::sleep(QUICK).await;
            counts_from = counts_from.max(Instant::now() + interval);
            continue;
        }
        let outcome = match launch::probe(launch, words, token, programs) {
            Ok(command) => passes(command, timeout).await,
            Err(error) => Err(error),
        };
        if matches!(outcome, Ok(true)) {
            return Ok(true);
        }
        let now = Instant::now();
        // A probe may have been cut in half by a pause.
        if now >= counts_from && !attempt.is_paused() {
            failures += 1;
            counts_from = now + interval;
            if failures >= retries {
                // Final, whatever it was: it was tried again already.
                return outcome.map_err(|error| EngineError::Refused { message: error.chain() });
            }
        }
        tokio::time::sleep(pauses.advance().min(interval)).await;
    }
}

/// Runs one probe; one that takes too long has failed.
async fn passes(command: Command, timeout: Duration) -> Result<bool, EngineError> {
    let mut command = tokio::process::Command::from(command);
    let mut child = command.spawn().map_err(|error| refusal::of_start(command.as_std(), error))?;
    let _end = ProbeEnd(child.id().and_then(|pid| Pid::from_raw(pid.cast_signed())));
    match tokio::time::timeout(timeout, child.wait()).await {
        Ok(Ok(status)) => Ok(status.success()),
        Ok(Err(source)) => {
            Err(EngineError::Call { action: "wait for a healthcheck".to_owned(), source: source.into() })
        }
        Err(_) => Ok(false),
    }
}

/// Ends a probe's group, also when nobody wants its answer any more.
struct ProbeEnd(Option<Pid>);

impl Drop for ProbeEnd {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            proc::send(group, Signal::KILL);
        }
    }
}
