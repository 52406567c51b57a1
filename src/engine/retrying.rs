//! Retrying: the pauses between tries of the same thing. Tries nothing itself.

use std::time::Duration;

/// Pauses between tries, each a few times as long as the one before, up to a longest. They do not end by themselves:
/// `take` limits their number.
#[derive(Debug, Clone)]
pub(crate) struct Retrying {
    next: Duration,
    factor: f64,
    longest: Duration,
    tries: usize,
}

impl Retrying {
    /// Pauses that double from a second on.
    pub(crate) fn up_to(longest: Duration) -> Self {
        Self::new(Duration::from_secs(1), longest)
    }

    /// Pauses that double.
    pub(crate) fn new(first: Duration, longest: Duration) -> Self {
        Self { next: first, factor: 2.0, longest, tries: 0 }
    }

    /// Pauses of which each is `factor` times as long as the one before.
    pub(crate) fn by(self, factor: f64) -> Self {
        Self { factor, ..self }
    }

    /// Tries so far that were followed by a pause.
    pub(crate) fn tries(&self) -> usize {
        self.tries
    }

    /// Waits for the next pause.
    pub(crate) async fn pause(&mut self) {
        tokio::time::sleep(self.advance()).await;
    }

    /// The next pause.
    pub(crate) fn advance(&mut self) -> Duration {
        let pause = self.next;
        self.next = pause.mul_f64(self.factor).min(self.longest);
        self.tries += 1;
        pause
    }
}

impl Iterator for Retrying {
    type Item = Duration;

    fn next(&mut self) -> Option<Duration> {
        Some(self.advance())
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Retrying;

    #[test]
    fn pauses_grow_up_to_the_longest() {
        let pauses = |factor: f64| {
            let retrying = Retrying::new(Duration::from_millis(100), Duration::from_secs(1)).by(factor);
            retrying.take(6).map(|pause| pause.as_millis()).collect::<Vec<_>>()
        };
        assert_eq!(pauses(2.0), [100, 200, 400, 800, 1000, 1000]);
        assert_eq!(pauses(4.0), [100, 400, 1000, 1000, 1000, 1000]);
    }
}
