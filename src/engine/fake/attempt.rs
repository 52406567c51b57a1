//! An attempt on the fake engine: its own course, and what comes to it from outside.

use std::collections::BTreeMap;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout_at};

use crate::engine::fake::scene::{FOR_EVER, Scene};
use crate::engine::seam::Health;
use crate::model::outcome::Exit;
use crate::model::trial::Healthcheck;

#[derive(Debug)]
pub(super) struct FakeAttempt {
    pub(super) course: Course,
    pub(super) labels: BTreeMap<String, String>,
    pub(super) meets: watch::Sender<Meets>,
    /// True while it counts among those that run.
    pub(super) counted: bool,
}

/// The course of an attempt by itself.
#[derive(Debug, Clone)]
pub(super) struct Course {
    pub(super) scene: Scene,
    pub(super) started: Instant,
}

/// Requests that came to an attempt from outside.
#[derive(Debug, Clone, Copy, Default)]
pub(super) struct Meets {
    /// The exit it was asked for, and the moment it takes effect.
    asked: Option<(Exit, Instant)>,
    /// Since when it stands still.
    paused: Option<Instant>,
    /// Time for which it stood still before.
    stood: Duration,
}

impl Meets {
    /// Asks for that exit at that moment, unless an earlier one was asked for. What stands still goes on for it.
    pub(super) fn ask(&mut self, exit: Exit, at: Instant) {
        self.unpause();
        if self.asked.is_none_or(|(_, before)| at < before) {
            self.asked = Some((exit, at));
        }
    }

    /// Makes it stand still; false when it does already.
    pub(super) fn pause(&mut self) -> bool {
        let goes = self.paused.is_none();
        self.paused.get_or_insert_with(Instant::now);
        goes
    }

    /// Lets it go on; false when it does already.
    pub(super) fn unpause(&mut self) -> bool {
        let Some(since) = self.paused.take() else { return false };
        self.stood += since.elapsed();
        true
    }
}

impl Course {
    /// The moment of what it does so long after its start; in a century while it stands still.
    fn time(&self, after: Duration, meets: &Meets) -> Instant {
        let time = later(self.started, after.saturating_add(meets.stood));
        if meets.paused.is_some_and(|paused| time > paused) { later(self.started, FOR_EVER) } else { time }
    }

    /// Exit and moment of the end, as things stand.
    fn end(&self, meets: &Meets) -> (Exit, Instant) {
        let own = (self.scene.exit, self.time(self.scene.run_for, meets));
        meets.asked.filter(|(_, at)| *at < own.1).unwrap_or(own)
    }

    /// Waits for its end, however often that changes.
    pub(super) async fn ended(&self, meets: &mut watch::Receiver<Meets>) -> Exit {
        loop {
            let (exit, at) = self.end(&meets.borrow_and_update());
            // Timers round up to a millisecond: a trial that takes no time must not take that.
            if at <= Instant::now() {
                return exit;
            }
            if !matches!(timeout_at(at, meets.changed()).await, Ok(Ok(()))) {
                sleep_until(at).await;
                return exit;
            }
        }
    }

    /// Waits until it has run for so long; false when it ends before.
    pub(super) async fn comes_to(&self, after: Duration, meets: &mut watch::Receiver<Meets>) -> bool {
        loop {
            let now = *meets.borrow_and_update();
            let (at, (_, end)) = (self.time(after, &now), self.end(&now));
            if end < at {
                return false;
            }
            if at <= Instant::now() {
                return true;
            }
            // Either the time has come, or something has changed.
            drop(timeout_at(at, meets.changed()).await);
        }
    }

    /// Whether it ends by itself, as things stand.
    pub(super) fn ends_by_itself(&self, meets: &Meets) -> bool {
        let own = self.time(self.scene.run_for, meets);
        meets.asked.is_none_or(|(_, at)| at >= own)
    }

    /// Waits for the verdict of its healthcheck, by Docker's defaults and arithmetic: so many failures, an interval apart.
    pub(super) async fn health(&self, check: &Healthcheck, meets: &mut watch::Receiver<Meets>) -> Health {
        let run_for = self.scene.run_for;
        let healthy_after = self.scene.healthy_after.filter(|after| *after <= run_for);
        let failures = check.interval.unwrap_or(Duration::from_secs(30)).saturating_mul(check.retries.unwrap_or(3));
        let sick_after = check.start_period.unwrap_or_default().saturating_add(failures);
        let decision = match healthy_after {
            Some(_) => Health::Healthy,
            None if sick_after < run_for => Health::Unhealthy,
            None => Health::Ended,
        };
        loop {
            let now = *meets.borrow_and_update();
            let at = self.time(healthy_after.unwrap_or(run_for.min(sick_after)), &now);
            if at <= Instant::now() {
                return decision;
            }
            if now.asked.is_some() {
                return Health::Ended;
            }
            // Either the time has come, or something has changed.
            drop(timeout_at(at, meets.changed()).await);
        }
    }
}

impl FakeAttempt {
    pub(super) fn runs(&self) -> bool {
        self.counted && Instant::now() < self.course.end(&self.meets.borrow()).1
    }
}

/// A moment so much later; or in a century, where the clock does not reach so far.
pub(super) fn later(from: Instant, by: Duration) -> Instant {
    from.checked_add(by).unwrap_or(from + FOR_EVER)
}
