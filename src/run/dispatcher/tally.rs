//! What a run counts: how its trials ended, and what those took that succeeded.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use crate::model::trial::Timeout;

/// How the trials that are no services ended.
#[derive(Debug, Default)]
pub(super) struct Tally {
    ends: HashMap<usize, bool>,
    pub(super) succeeded: usize,
    pub(super) failed: usize,
}

impl Tally {
    pub(super) fn take_back(&mut self, place: usize) {
        match self.ends.remove(&place) {
            Some(true) => self.succeeded -= 1,
            Some(false) => self.failed -= 1,
            None => {}
        }
    }

    pub(super) fn add(&mut self, place: usize, success: bool) {
        self.take_back(place);
        self.ends.insert(place, success);
        *if success { &mut self.succeeded } else { &mut self.failed } += 1;
    }
}

/// The median of times that come one by one: the smaller half in one heap, the larger in another.
///
/// None is ever taken back: a trial that succeeded and is run again has still shown how long it takes.
#[derive(Debug, Default)]
pub(super) struct Median {
    small: BinaryHeap<Duration>,
    large: BinaryHeap<Reverse<Duration>>,
}

impl Median {
    pub(super) fn add(&mut self, time: Duration) {
        self.small.push(time);
        self.large.extend(self.small.pop().map(Reverse));
        if self.large.len() > self.small.len() {
            self.small.extend(self.large.pop().map(|Reverse(time)| time));
        }
    }

    /// The median, once it is taken from enough of them.
    pub(super) fn get(&self) -> Option<Duration> {
        let (count, small) = (self.small.len() + self.large.len(), *self.small.peek()?);
        let large = self.large.peek().filter(|_| count.is_multiple_of(2)).map_or(small, |Reverse(large)| *large);
        (count >= Timeout::SAMPLES).then(|| small + (large - small) / 2)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::Median;

    #[test]
    fn the_median_is_known_from_the_third_on() {
        let mut median = Median::default();
        let medians = [9, 1, 5, 7, 7, 100, 2].map(|seconds| {
            median.add(Duration::from_secs(seconds));
            median.get().map(|median| median.as_secs_f64())
        });
        assert_eq!(medians, [None, None, Some(5.0), Some(6.0), Some(7.0), Some(7.0), Some(7.0)]);
    }
}
