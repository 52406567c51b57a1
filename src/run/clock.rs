//! The clock of a run: it stands still while the run is paused, and knows when everything else does too.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, timeout_at};

/// The clock of a run, shared by all that has to do with it. Times on it are counted from the run's start.
#[derive(Debug, Clone)]
pub(crate) struct Clock {
    /// Milliseconds since 1970-01-01 UTC at the start.
    started_at: u64,
    /// What it showed then.
    lived: Duration,
    started: Instant,
    stands: Arc<watch::Sender<Stands>>,
    /// Attempts that run and are not paused.
    awake: Arc<watch::Sender<usize>>,
}

/// Since when the clock stands still, if it does, and for how long it has before.
#[derive(Debug, Clone, Copy, Default)]
struct Stands {
    since: Option<Instant>,
    stood: Duration,
}

impl Clock {
    /// A clock that shows that time now, and goes.
    pub(crate) fn showing(lived: Duration) -> Self {
        let started = Instant::now();
        let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap_or_default();
        // Where time is virtual, it runs ahead of the system's, and the lives of a run have to see the same.
        let ahead = started.into_std().saturating_duration_since(std::time::Instant::now());
        Self { lived, started, ..Self::beginning(millis(since + ahead)) }
    }

    /// A clock that begins now, which is that many milliseconds since 1970-01-01 UTC.
    pub(crate) fn beginning(started_at: u64) -> Self {
        Self {
            started_at,
            lived: Duration::ZERO,
            started: Instant::now(),
            stands: Arc::new(watch::Sender::new(Stands::default())),
            awake: Arc::new(watch::Sender::new(0)),
        }
    }

    /// The same clock for a run that has lived for some time.
    pub(crate) fn having_lived(self, lived: Duration) -> Self {
        Self { lived, ..self }
    }

    /// Milliseconds since 1970-01-01 UTC; this clock on the wall never stands still.
    pub(crate) fn on_the_wall(&self) -> u64 {
        self.started_at + millis(self.started.elapsed())
    }

    /// The time since the start, without that in which the clock stood still.
    pub(crate) fn elapsed(&self) -> Duration {
        self.at(*self.stands.borrow())
    }

    fn at(&self, Stands { since, stood }: Stands) -> Duration {
        since.unwrap_or_else(Instant::now).duration_since(self.started).saturating_sub(stood).saturating_add(self.lived)
    }

    /// Whether it stands still.
    pub(crate) fn stands(&self) -> bool {
        self.stands.borrow().since.is_some()
    }

    /// Makes it stand still, or go on.
    pub(crate) fn set(&self, stands: bool) {
        self.stands.send_if_modified(|state| {
            match (stands, state.since) {
                (true, None) => state.since = Some(Instant::now()),
                (false, Some(since)) => *state = Stands { since: None, stood: state.stood + since.elapsed() },
                _ => return false,
            }
            true
        });
    }

    /// Waits until it stands still, or goes on.
    pub(crate) async fn turns(&self, stands: bool) {
        let mut state = self.stands.subscribe();
        // The sender is ours: it cannot be gone.
        drop(state.wait_for(|state| state.since.is_some() == stands).await);
    }

    /// Sleeps until that time on this clock.
    pub(crate) async fn sleep_until(&self, time: Duration) {
        let mut stands = self.stands.subscribe();
        loop {
            let state = *stands.borrow_and_update();
            let left = time.saturating_sub(self.at(state));
            if left.is_zero() {
                return;
            }
            // A time beyond the clock's end never comes.
            let end = Instant::now().checked_add(left).filter(|_| state.since.is_none());
            match end {
                Some(end) => drop(timeout_at(end, stands.changed()).await),
                None => drop(stands.changed().await),
            }
        }
    }

    /// What tells others that the run stands still.
    pub(crate) fn stillness(&self) -> Stillness {
        Stillness { stands: self.stands.subscribe(), awake: self.awake.subscribe() }
    }
}

/// Whether an attempt runs and is not paused; counted by the clock.
#[derive(Debug)]
pub(crate) struct Awake {
    clock: Clock,
    counts: AtomicBool,
}

impl Awake {
    pub(crate) fn not_yet(clock: Clock) -> Self {
        Self { clock, counts: AtomicBool::new(false) }
    }

    /// Counts it from now on, which has to wait while the clock stands still.
    pub(crate) async fn begin(&self) {
        loop {
            // Counted first: whoever sees the clock stand still sees this one too.
            self.set(true);
            if !self.clock.stands() {
                return;
            }
            self.set(false);
            self.clock.turns(false).await;
        }
    }

    /// Counts it, or no more.
    pub(crate) fn set(&self, awake: bool) {
        if self.counts.swap(awake, Ordering::SeqCst) != awake {
            self.clock.awake.send_modify(|count| *count = if awake { *count + 1 } else { *count - 1 });
        }
    }
}

impl Drop for Awake {
    fn drop(&mut self) {
        self.set(false);
    }
}

/// Tells when a run stands still with all that belongs to it.
#[derive(Debug, Clone)]
pub(crate) struct Stillness {
    stands: watch::Receiver<Stands>,
    awake: watch::Receiver<usize>,
}

impl Stillness {
    /// That of a run of which nothing is left.
    pub(crate) fn of_nothing() -> Self {
        Self { stands: watch::channel(Stands::default()).1, awake: watch::channel(0).1 }
    }

    /// Waits until the clock stands still and no attempt runs that is not paused; or until the run has ended.
    pub(crate) async fn reached(mut self) {
        // An error means that the run has ended.
        if self.stands.wait_for(|state| state.since.is_some()).await.is_ok() {
            drop(self.awake.wait_for(|awake| *awake == 0).await);
        }
    }
}

fn millis(span: Duration) -> u64 {
    u64::try_from(span.as_millis()).unwrap_or(u64::MAX)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::{Instant, advance, timeout};

    use super::{Awake, Clock};

    const fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[tokio::test(start_paused = true)]
    async fn a_clock_that_stood_still_wakes_sleepers_so_much_later() {
        let (clock, began) = (Clock::showing(Duration::ZERO), Instant::now());
        let sleeper = tokio::spawn({
            let clock = clock.clone();
            async move {
                clock.sleep_until(seconds(10)).await;
                began.elapsed().as_secs()
            }
        });
        advance(seconds(4)).await;
        clock.set(true);
        advance(seconds(100)).await;
        clock.set(true);
        assert_eq!((clock.elapsed(), clock.stands()), (seconds(4), true));
        clock.set(false);
        assert_eq!(sleeper.await.unwrap(), 110);
        assert_eq!(clock.elapsed(), seconds(10));
        // The end of the clock is as good as never.
        assert!(timeout(seconds(1_000_000), clock.sleep_until(Duration::MAX)).await.is_err());
    }

    #[tokio::test(start_paused = true)]
    async fn stillness_is_reached_when_the_last_attempt_is_paused_and_none_begins() {
        let clock = Clock::showing(Duration::ZERO);
        let (first, second) = (Awake::not_yet(clock.clone()), Awake::not_yet(clock.clone()));
        first.begin().await;
        let still = || timeout(seconds(5), clock.stillness().reached());
        assert!(still().await.is_err(), "the clock goes");
        clock.set(true);
        assert!(still().await.is_err(), "an attempt runs");
        assert!(timeout(seconds(5), second.begin()).await.is_err(), "none begins");
        first.set(false);
        assert!(still().await.is_ok());
        clock.set(false);
        second.begin().await;
        clock.set(true);
        drop(second);
        assert!(still().await.is_ok(), "what ended does not run");
        let stillness = clock.stillness();
        clock.set(false);
        drop((clock, first));
        stillness.reached().await;
    }
}
