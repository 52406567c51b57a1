//! The start window: how many starts are in flight on one engine, learned from how fast it starts. Decides nothing else.
//!
//! Starting is serial inside a daemon. With too few starts in flight it idles between two of them; with too many each
//! only takes longer (moby/moby#42096). Where the line lies depends on the host, so it is measured while the run goes on,
//! by hill climbing with hysteresis:
//!
//! - The window begins at what the engine advises, `first`, and stays between half of that and eight times that.
//! - An *epoch* is 16 starts that went well, or four windows of them if that is more, while some attempt waits for the
//!   window all the time; its rate is starts per second. An epoch in which nobody waits, or a start fails, says nothing
//!   about the window and is begun anew. After a change of the window, as many starts as are in flight are not counted.
//! - A *try* is three epochs: at the present size, at another size (half as much again, or a third less), and at the
//!   present size once more, so that a host that gets slower or faster meanwhile favours neither.
//! - The larger size is kept when it starts at least 10 % more per second than the better of the two epochs around it; the
//!   smaller when it starts no fewer. So a window is never wider than what pays, and each start is as quick as it can be.
//! - The first try comes after two epochs. A try that paid is followed by one in the same direction. After one that did
//!   not, the direction turns, and the next waits for 2, 4, 8, .. and from then on 32 epochs: a window that is right is
//!   left alone, noise moves it seldom and by one size, and trying costs next to nothing.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::time::Instant;

/// Fewest starts of an epoch.
const EPOCH: usize = 16;

/// How much faster a larger window has to be.
const GAIN: f64 = 1.10;

/// Rest before the first try, in epochs: a short run keeps to the engine's advice.
const FIRST_REST: u32 = 2;

/// Longest rest between two tries, in epochs.
const LONGEST_REST: u32 = 32;

/// The decision: a size, changed by the moments at which starts ended. Plain data; time is what it is told.
#[derive(Debug)]
pub(crate) struct Window {
    /// The size that is known to be right so far.
    home: usize,
    smallest: usize,
    largest: usize,
    phase: TryPhase,
    epoch: Epoch,
    upwards: bool,
    /// Epochs of the last rest.
    rested: u32,
}

/// Where a try stands.
#[derive(Debug, Clone, Copy, PartialEq)]
enum TryPhase {
    /// So many epochs until the next try.
    Resting(u32),
    /// At home, before the other size.
    Before,
    /// At the other size; home started so many per second.
    Trying { size: usize, before: f64 },
    /// At home again; the other size started so many per second.
    After { size: usize, before: f64, tried: f64 },
}

#[derive(Debug, Default)]
struct Epoch {
    /// Starts not to be counted: they began under another size.
    skips: usize,
    began: Option<Duration>,
    starts: usize,
}

impl Window {
    /// Begins at the engine's advice.
    pub(crate) fn new(first: usize) -> Self {
        let first = first.clamp(1, usize::MAX / 8);
        Self {
            home: first,
            smallest: first.div_ceil(2),
            largest: first * 8,
            phase: TryPhase::Resting(FIRST_REST),
            epoch: Epoch { skips: first, ..Epoch::default() },
            upwards: true,
            rested: 1,
        }
    }

    /// How many starts may be in flight now.
    pub(crate) fn size(&self) -> usize {
        match self.phase {
            TryPhase::Trying { size, .. } => size,
            TryPhase::Resting(_) | TryPhase::Before | TryPhase::After { .. } => self.home,
        }
    }

    /// Takes note of a start that went well at that moment; `full` says whether another attempt waits for the window.
    pub(crate) fn started(&mut self, now: Duration, full: bool) {
        if !full {
            return self.disturbed();
        }
        if self.epoch.skips > 0 {
            self.epoch.skips -= 1;
            return;
        }
        let Some(began) = self.epoch.began else {
            self.epoch.began = Some(now);
            return;
        };
        self.epoch.starts += 1;
        if self.epoch.starts < EPOCH.max(4 * self.size()) {
            return;
        }
        let seconds = now.saturating_sub(began).as_secs_f64();
        // An engine whose starts take no time needs no window.
        if seconds > 0.0 {
            self.measured(self.epoch.starts as f64 / seconds);
        } else {
            self.disturbed();
        }
    }

    /// Takes note of a moment that says nothing about the window: nobody waits for it, or a start failed.
    pub(crate) fn disturbed(&mut self) {
        if matches!(self.phase, TryPhase::Trying { .. } | TryPhase::After { .. }) {
            self.rest();
        } else {
            self.begin_epoch(0);
        }
    }

    fn measured(&mut self, rate: f64) {
        match self.phase {
            TryPhase::Resting(left) if left > 1 => {
                self.phase = TryPhase::Resting(left - 1);
                self.begin_epoch(0);
            }
            TryPhase::Resting(_) => {
                self.phase = TryPhase::Before;
                self.begin_epoch(0);
            }
            TryPhase::Before => match self.neighbour() {
                Some(size) => {
                    self.phase = TryPhase::Trying { size, before: rate };
                    self.begin_epoch(self.home);
                }
                None => self.rest(),
            },
            TryPhase::Trying { size, before } => {
                self.phase = TryPhase::After { size, before, tried: rate };
                self.begin_epoch(size);
            }
            TryPhase::After { size, before, tried } => {
                let wanted = before.max(rate) * if size > self.home { GAIN } else { 1.0 };
                if tried < wanted {
                    return self.rest();
                }
                let skips = self.home;
                self.home = size;
                self.phase = TryPhase::Before;
                self.begin_epoch(skips);
            }
        }
    }

    /// Leaves the window alone for a while, longer each time, and turns round.
    fn rest(&mut self) {
        let skips = self.size();
        self.upwards = !self.upwards;
        self.rested = (self.rested * 2).min(LONGEST_REST);
        self.phase = TryPhase::Resting(self.rested);
        self.begin_epoch(skips);
    }

    fn begin_epoch(&mut self, skips: usize) {
        self.epoch = Epoch { skips, ..Epoch::default() };
    }

    /// The size to try next; absent at the end of the range.
    fn neighbour(&self) -> Option<usize> {
        let size = if self.upwards {
            (self.home + (self.home / 2).max(1)).min(self.largest)
        } else {
            (self.home - (self.home / 3).max(1)).max(self.smallest)
        };
        (size != self.home).then_some(size)
    }
}

/// The places among the starts in flight on one engine, given in the order they were asked for.
#[derive(Debug)]
pub(crate) struct Places {
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
    state: Mutex<WindowState>,
    /// When time began for the window.
    epoch: Instant,
}

#[derive(Debug)]
struct WindowState {
    window: Window,
    /// Places there are, given or free, less those that are not to come back.
    places: usize,
    /// Places that are not to come back: they were given when the window was larger.
    surplus: usize,
}

impl Places {
    pub(crate) fn new(first: usize) -> Arc<Self> {
        let window = Window::new(first);
        let places = window.size();
        let permits = Arc::new(Semaphore::new(places));
        let state = Mutex::new(WindowState { window, places, surplus: 0 });
        Arc::new(Self { permits, waiting: AtomicUsize::new(0), state, epoch: Instant::now() })
    }

    /// Waits for a place. May be dropped while it waits, and then leaves the queue.
    pub(crate) async fn take(self: &Arc<Self>) -> Place {
        let waits = Waits::among(&self.waiting);
        let permit = self.permits.clone().acquire_owned().await.expect("the semaphore is never closed");
        drop(waits);
        Place { places: self.clone(), permit: Some(permit), went_well: false }
    }

    /// How many attempts wait for a place.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
    }

    fn give_back(&self, permit: OwnedSemaphorePermit, went_well: bool) {
        let mut state = self.state.lock().expect("no code panics while it holds the lock");
        if went_well {
            let full = self.waiting() > 0;
            state.window.started(self.epoch.elapsed(), full);
        } else {
            state.window.disturbed();
        }
        let size = state.window.size();
        if size < state.places {
            let fewer = state.places - size;
            state.surplus += fewer - self.permits.forget_permits(fewer);
        } else {
            let more = size - state.places;
            let kept = more.min(state.surplus);
            state.surplus -= kept;
            self.permits.add_permits(more - kept);
        }
        state.places = size;
        if state.surplus > 0 {
            state.surplus -= 1;
            permit.forget();
        }
    }
}

/// One among those who wait, for as long as it lives.
struct Waits<'a>(&'a AtomicUsize);

impl<'a> Waits<'a> {
    fn among(count: &'a AtomicUsize) -> Self {
        count.fetch_add(1, Ordering::Relaxed);
        Self(count)
    }
}

impl Drop for Waits<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

/// A place among the starts in flight; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Place {
    places: Arc<Places>,
    permit: Option<OwnedSemaphorePermit>,
    went_well: bool,
}

impl Place {
    /// Gives it back after a start that went well: the window learns from it.
    pub(crate) fn started(mut self) {
        self.went_well = true;
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let Some(permit) = self.permit.take() {
            self.places.give_back(permit, self.went_well);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Duration;

    use tokio::time::{Instant, sleep};

    use super::{EPOCH, Places, TryPhase, Window};

    /// An engine: how long a start takes when so many are in flight, in seconds.
    type Engine = fn(usize) -> f64;

    /// Starts one after the other inside: 0.1 s each, and 0.3 s beside which others can start.
    fn serial(in_flight: usize) -> f64 {
        (0.1 * in_flight as f64).max(0.4)
    }

    /// Starts 64 at once as fast as one.
    fn wide(in_flight: usize) -> f64 {
        (in_flight as f64 / 64.0).max(1.0)
    }

    /// Gets slower with each one more than two: 32 at once are moby/moby#42096.
    fn thrashing(in_flight: usize) -> f64 {
        0.1 * in_flight as f64 * (1.0 + 0.2 * in_flight.saturating_sub(2) as f64)
    }

    /// Has `starts` starts end on such an engine, up to `noise` of each measured time off, and notes each new size.
    fn sizes(mut window: Window, engine: Engine, noise: f64, starts: usize) -> Vec<usize> {
        let mut sizes = vec![window.size()];
        let (mut now, mut random) = (0.0, 1_u64);
        for _ in 0..starts {
            random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
            let off = 1.0 + noise * ((random >> 40) as f64 / f64::from(1 << 23) - 1.0);
            now += engine(window.size()) / window.size() as f64 * off;
            window.started(Duration::from_secs_f64(now), true);
            if sizes.last() != Some(&window.size()) {
                sizes.push(window.size());
            }
        }
        sizes
    }

    #[test]
    fn a_window_that_is_right_is_left_alone() {
        assert_eq!(sizes(Window::new(4), serial, 0.0, 1000), [4, 6, 4, 3, 4, 6, 4, 3, 4, 6, 4]);
        let noisy = sizes(Window::new(4), serial, 0.5, 100_000);
        // A try is two changes, and between tries lie 32 epochs of at least 16 starts.
        assert!(noisy.len() < 2 * 100_000 / (16 * 32) + 20, "{} changes: {noisy:?}", noisy.len());
        assert!(noisy.iter().all(|size| (2..=9).contains(size)), "{noisy:?}");
    }

    #[test]
    fn an_engine_that_starts_many_at_once_gets_more() {
        assert_eq!(
            sizes(Window::new(8), wide, 0.0, 4000)[..14],
            [8, 12, 8, 12, 18, 12, 18, 27, 18, 27, 40, 27, 40, 60]
        );
        assert_eq!(sizes(Window::new(8), wide, 0.0, 100_000).into_iter().max(), Some(64), "there is an end to it");
    }

    #[test]
    fn an_engine_that_is_slowed_down_by_many_gets_fewer() {
        assert_eq!(sizes(Window::new(8), thrashing, 0.0, 500)[..9], [8, 12, 8, 6, 8, 6, 4, 6, 4]);
        assert_eq!(sizes(Window::new(1), thrashing, 0.0, 500)[0], 1, "there is always one");
        assert_eq!(sizes(Window::new(8), thrashing, 0.2, 10_000).into_iter().min(), Some(4), "half at least");
    }

    #[test]
    fn nothing_is_learned_while_nobody_waits() {
        let mut window = Window::new(4);
        for start in 0..1000 {
            // Somebody waits most of the time, but never for a whole epoch.
            window.started(Duration::from_millis(start), start % (EPOCH as u64) != 0);
        }
        assert_eq!((window.size(), window.phase), (4, TryPhase::Resting(2)));
        // A try that is disturbed is over.
        for start in 0..55 {
            window.started(Duration::from_secs(start), true);
        }
        assert_eq!(window.size(), 6);
        window.disturbed();
        assert_eq!((window.size(), window.phase), (4, TryPhase::Resting(2)));
    }

    #[test]
    fn starts_that_take_no_time_are_not_measured() {
        let mut window = Window::new(4);
        (0..1000).for_each(|_| window.started(Duration::ZERO, true));
        assert_eq!(window.size(), 4);
    }

    /// Has so many attempts ask for a place at once, each holding it for a second; tells the most that held one.
    async fn crowd(places: &Arc<Places>, attempts: usize) -> usize {
        let held = Arc::new(std::sync::Mutex::new((0_usize, 0_usize)));
        let one = |places: Arc<Places>, held: Arc<std::sync::Mutex<(usize, usize)>>| async move {
            let place = places.take().await;
            {
                let mut held = held.lock().unwrap();
                held.0 += 1;
                held.1 = held.1.max(held.0);
            }
            sleep(Duration::from_secs(1)).await;
            held.lock().unwrap().0 -= 1;
            place.started();
        };
        let all: Vec<_> = (0..attempts).map(|_| tokio::spawn(one(places.clone(), held.clone()))).collect();
        for attempt in all {
            attempt.await.unwrap();
        }
        held.lock().unwrap().1
    }

    #[tokio::test(start_paused = true)]
    async fn places_follow_the_window() {
        let places = Places::new(4);
        let began = Instant::now();
        assert_eq!(crowd(&places, 16).await, 4);
        assert_eq!((began.elapsed(), places.waiting()), (Duration::from_secs(4), 0));
        // Each start takes a second however many there are: more are allowed, and never more than that.
        let most = crowd(&places, 4000).await;
        assert_eq!(most, 32);
        let size = places.state.lock().unwrap().window.size();
        assert_eq!(places.permits.available_permits(), size, "what was given came back");
    }

    #[tokio::test(start_paused = true)]
    async fn places_are_given_in_order_and_who_goes_away_leaves_the_queue() {
        let places = Places::new(1);
        let first = places.take().await;
        let order = Arc::new(std::sync::Mutex::new(Vec::new()));
        let waiting: Vec<_> = (0..4)
            .map(|number| {
                let (places, order) = (places.clone(), order.clone());
                tokio::spawn(async move {
                    let _place = places.take().await;
                    order.lock().unwrap().push(number);
                })
            })
            .collect();
        sleep(Duration::from_secs(1)).await;
        assert_eq!(places.waiting(), 4);
        waiting[1].abort();
        sleep(Duration::from_secs(1)).await;
        assert_eq!(places.waiting(), 3);
        drop(first);
        sleep(Duration::from_secs(1)).await;
        assert_eq!((order.lock().unwrap().clone(), places.waiting()), (vec![0, 2, 3], 0));
        assert_eq!(places.permits.available_permits(), 1);
    }
}
