//! Starts in flight on one engine: a fixed number of places, given in the order they were asked for.
//!
//! The number was once learned while a run went on. A fixed one, several for each core, starts more per second from the
//! first trial on: see `benches/README.md`.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// The places among the starts in flight on one engine.
#[derive(Debug)]
pub(crate) struct Places {
    permits: Arc<Semaphore>,
    waiting: AtomicUsize,
}

/// A place among the starts in flight; dropping it gives it back.
#[derive(Debug)]
pub(crate) struct Place(#[expect(dead_code, reason = "held for its end")] OwnedSemaphorePermit);

impl Places {
    pub(crate) fn new(number: usize) -> Arc<Self> {
        Arc::new(Self { permits: Arc::new(Semaphore::new(number.max(1))), waiting: AtomicUsize::new(0) })
    }

    /// Waits for a place. May be dropped while it waits, and then leaves the queue.
    pub(crate) async fn take(&self) -> Place {
        let waits = Waits::among(&self.waiting);
        let permit = self.permits.clone().acquire_owned().await.expect("the semaphore is never closed");
        drop(waits);
        Place(permit)
    }

    /// How many attempts wait for a place.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Ordering::Relaxed)
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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};
    use std::time::Duration;

    use tokio::time::sleep;

    use super::Places;

    #[tokio::test(start_paused = true)]
    async fn places_are_given_in_order_and_who_goes_away_leaves_the_queue() {
        let places = Places::new(1);
        let first = places.take().await;
        let order = Arc::new(Mutex::new(Vec::new()));
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
