//! A running attempt: everything that can happen to it from its start to its end, waited for all at once.

use std::future::pending;
use std::pin::{Pin, pin};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::timeout;

use crate::engine::{Engine, EngineError, Health, Output, Retrying};
use crate::model::handle::Handle;
use crate::model::outcome::Exit;
use crate::model::trial::Timeout;
use crate::model::trial::settled::Settled;
use crate::run::attempt::flight::{Attempt, Ending, LAST_TRY, Stop};
use crate::run::attempt::pausing::{Held, keep};
use crate::run::message::Stage;

/// Grace of an attempt that is pruned, where nobody says one.
const PRUNE_GRACE: Duration = Duration::from_secs(1);

/// How the wait went.
pub(super) struct Waited {
    pub(super) exit: Result<Exit, EngineError>,
    /// What had made the attempt stop.
    pub(super) cause: Option<Ending>,
    /// How long it stood still for itself.
    pub(super) stood: Duration,
}

/// Since when an attempt stands still for itself, on the run's clock, and for how long it has before.
#[derive(Debug, Clone, Copy, Default)]
struct Stood {
    since: Option<Duration>,
    before: Duration,
}

impl Stood {
    fn until(self, now: Duration) -> Duration {
        self.before + self.since.map_or(Duration::ZERO, |since| now.saturating_sub(since))
    }

    fn set(&mut self, stands: bool, now: Duration) {
        *self = Self { since: stands.then_some(now), before: self.until(now) };
    }
}

/// A running attempt.
pub(super) struct Running<'a> {
    attempt: &'a Attempt,
    engine: &'a dyn Engine,
    handle: &'a Handle,
    /// On the run's clock.
    started: Duration,
    /// How long it had run before.
    ahead: Duration,
    cause: Option<Ending>,
    held: watch::Sender<Held>,
    stood: watch::Sender<Stood>,
    stopping: Pin<Box<dyn Future<Output = ()> + Send + 'a>>,
}

impl<'a> Running<'a> {
    pub(super) fn new(
        attempt: &'a Attempt,
        engine: &'a dyn Engine,
        handle: &'a Handle,
        started: Duration,
        ahead: Duration,
    ) -> Self {
        let (held, stopping) = (watch::Sender::new(Held::default()), Box::pin(pending()));
        let stood = watch::Sender::new(Stood::default());
        Self { attempt, engine, handle, started, ahead, cause: None, held, stood, stopping }
    }

    /// Waits for the end, and stops the attempt when it is asked to, takes too long, or is unhealthy. While the run is
    /// paused, the attempt stands still, unless it is being stopped; `cause` says that it is already.
    pub(super) async fn wait(mut self, output: &mut Output, cause: Option<Ending>) -> Waited {
        let Self { attempt, engine, handle, started, ahead, .. } = self;
        let grace = attempt.launch.trial.stop_grace;
        let mut exit = pin!(attempt.exit(engine, handle, output));
        let (timeout, stood) = (attempt.launch.trial.timeout, self.stood.clone());
        let mut timer = pin!(over(attempt, timeout, started, ahead, stood.subscribe()));
        let mut slow = pin!(over(attempt, attempt.slow, started, ahead, stood.subscribe()));
        let mut health = pin!(health(attempt, engine, handle, self.held.subscribe()));
        let mut keeper = pin!(keep(attempt, engine, handle, self.held.clone()));
        let (mut stop, mut pauses, mut paused) = (attempt.stop.clone(), attempt.paused.clone(), false);
        let (mut seen, mut timed, mut told, mut probed, mut stands) = (None, false, false, false, false);
        if let Some(cause) = cause {
            self.end_for(cause, grace);
        }
        loop {
            // The order matters where things happen together: an end before its reasons, and nothing probes an attempt
            // that is about to stand still.
            tokio::select! {
                biased;
                waited = &mut exit => {
                    let stood = self.stood.borrow().until(attempt.clock.elapsed());
                    return Waited { exit: waited, cause: self.cause, stood };
                }
                asked = next_stop(&mut stop, &mut seen) => self.asked(asked, grace),
                () = attempt.clock.turns(!stands), if self.cause.is_none() => {
                    stands = !stands;
                    self.held.send_modify(|held| held.wanted = stands || paused);
                }
                () = changed(&mut pauses, paused), if self.cause.is_none() => {
                    paused = !paused;
                    self.stand(paused);
                    self.held.send_modify(|held| held.wanted = stands || paused);
                }
                limit = &mut timer, if !timed => {
                    timed = true;
                    if self.cause.is_none() {
                        attempt.say(Stage::TimedOut(limit));
                        self.end_for(Ending::TimedOut, grace);
                    }
                }
                limit = &mut slow, if !told => {
                    told = true;
                    if self.cause.is_none() {
                        attempt.say(Stage::Slow(limit));
                    }
                }
                health = &mut health, if !probed => {
                    probed = true;
                    if attempt.report_health(health) && self.cause.is_none() {
                        self.end_for(Ending::Unhealthy, grace);
                    }
                }
                () = &mut keeper => {}
                () = &mut self.stopping => self.stopping = Box::pin(pending()),
            }
        }
    }

    /// Counts the time for which the attempt stands still for itself.
    fn stand(&self, stands: bool) {
        self.stood.send_modify(|stood| stood.set(stands, self.attempt.clock.elapsed()));
    }

    /// Somebody asks for the end. A stronger request counts instead of a weaker one, but never instead of the attempt's
    /// own fault.
    fn asked(&mut self, asked: Stop, grace: Duration) {
        let cause = match self.cause {
            None | Some(Ending::Asked(_)) => Ending::Asked(asked),
            Some(own) => own,
        };
        if asked == (Stop::Killed { at_once: true }) {
            self.end_for(cause, Duration::ZERO);
        } else if self.cause.is_none() {
            let pruned = if asked == Stop::Pruned { grace.min(self.prune_grace()) } else { grace };
            self.end_for(cause, pruned);
        }
        self.cause = Some(cause);
    }

    /// Longest grace of an attempt that is pruned: others wait for its place, so a program that pays no attention to its
    /// stop signal gets ten seconds only where somebody said so.
    fn prune_grace(&self) -> Duration {
        let trial = &self.attempt.launch.trial;
        let is_said = trial.written.stop_grace.is_some() || trial.stop_grace != Settled::STOP_GRACE;
        if is_said { Duration::MAX } else { PRUNE_GRACE }
    }

    /// Ends the attempt. One that stands still goes on first: it could not handle its stop signal.
    fn end_for(&mut self, cause: Ending, grace: Duration) {
        self.cause = Some(cause);
        self.stand(false);
        self.held.send_modify(|held| held.wanted = false);
        let (attempt, engine, handle) = (self.attempt, self.engine, self.handle);
        let mut held = self.held.subscribe();
        self.stopping = Box::pin(async move {
            // An engine that does not answer is not waited for: the stop itself is repeated until it succeeds.
            drop(timeout(LAST_TRY, held.wait_for(|held| !held.is)).await);
            end(attempt, engine, handle, grace).await;
        });
    }
}

/// Waits until the attempt has run for that long, and says how long that is; for ever, if there is no limit. The median
/// that the limit may be a share of changes all the while.
async fn over(
    attempt: &Attempt,
    timeout: Option<Timeout>,
    started: Duration,
    ahead: Duration,
    mut stood: watch::Receiver<Stood>,
) -> Duration {
    let Some(timeout) = timeout else { return pending().await };
    let mut median = attempt.median.clone();
    loop {
        let limit = timeout.limit(*median.borrow_and_update());
        let Stood { since, before } = *stood.borrow_and_update();
        let passed = async {
            match limit.filter(|_| since.is_none()) {
                Some(limit) => {
                    let end = started.saturating_add(limit).saturating_add(before).saturating_sub(ahead);
                    attempt.clock.sleep_until(end).await;
                }
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            () = passed => return limit.unwrap_or_default(),
            // The sender lives as long as the attempt runs.
            Ok(()) = stood.changed() => {}
            changed = median.changed(), if matches!(timeout, Timeout::OfMedian(_)) => {
                // The sender is gone: it stays as it is.
                if changed.is_err() {
                    return pending().await;
                }
            }
        }
    }
}

/// Waits until the healthcheck decided, also while the engine is away; for ever if there is none. What stands still is
/// not probed, and probed anew when it goes on.
async fn health(
    attempt: &Attempt,
    engine: &dyn Engine,
    handle: &Handle,
    mut held: watch::Receiver<Held>,
) -> Result<Health, EngineError> {
    let Some(check) = &attempt.health else { return pending().await };
    let mut pauses = Retrying::up_to(Duration::from_secs(10));
    loop {
        // The sender lives as long as the attempt runs.
        drop(held.wait_for(|held| !held.wanted && !held.is).await);
        let answer = tokio::select! {
            biased;
            _ = held.wait_for(|held| held.wanted) => continue,
            answer = engine.healthy(handle, check) => answer,
        };
        match answer {
            Err(error) if error.may_pass() => {
                if pauses.tries() == 0 {
                    attempt.out_of_sight(&error, Some("is not known to be healthy and is looked at again"));
                }
                pauses.pause().await;
            }
            answer => return answer,
        }
    }
}

/// Ends the attempt. A stop that failed is repeated until one succeeds, with what is left of the grace period.
async fn end(attempt: &Attempt, engine: &dyn Engine, handle: &Handle, grace: Duration) {
    let began = tokio::time::Instant::now();
    let mut pauses = Retrying::up_to(Duration::from_secs(10));
    while let Err(error) = engine.stop(handle, grace.saturating_sub(began.elapsed())).await {
        if pauses.tries() == 0 {
            attempt.out_of_sight(&error, Some("could not be stopped and is stopped again"));
        }
        pauses.pause().await;
    }
}

/// Waits until the attempt is to stand still, or to go on, other than now.
async fn changed(pauses: &mut watch::Receiver<bool>, now: bool) {
    if pauses.wait_for(|paused| *paused != now).await.is_err() {
        // The sender is gone: nobody will ask any more.
        pending::<()>().await;
    }
}

/// Waits for a request to stop that is stronger than those before.
async fn next_stop(stop: &mut watch::Receiver<Option<Stop>>, seen: &mut Option<Stop>) -> Stop {
    let before = *seen;
    match stop.wait_for(|asked| *asked > before).await.map(|asked| *asked) {
        Ok(Some(asked)) => {
            *seen = Some(asked);
            asked
        }
        // The sender is gone: nobody will ask any more.
        Ok(None) | Err(_) => pending().await,
    }
}
