//! Counts of a run's ends: how its trials ended, and how long those took that succeeded.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, HashMap};
use std::time::Duration;

use tokio::sync::watch;

use crate::model::options::Halt;
use crate::model::outcome::Outcome;
use crate::model::trial::Timeout;

/// The ends of the trials that are no services, and the median time of the successes.
#[derive(Debug)]
pub(super) struct EndCounts {
    /// For each trial that ended, whether it succeeded.
    ends: HashMap<usize, bool>,
    succeeded: usize,
    failed: usize,
    median: Median,
    /// The median as the attempts see it.
    published: watch::Sender<Option<Duration>>,
}

impl Default for EndCounts {
    fn default() -> Self {
        Self {
            ends: HashMap::new(),
            succeeded: 0,
            failed: 0,
            median: Median::default(),
            published: watch::Sender::new(None),
        }
    }
}

impl EndCounts {
    /// A trial that is no service ended, after its last attempt took that long.
    pub(super) fn ended(&mut self, place: usize, outcome: &Outcome, elapsed: Duration) {
        if outcome.is_success() || outcome.is_failure() {
            self.add(place, outcome.is_success());
        }
        if *outcome == Outcome::Succeeded {
            self.median.add(elapsed);
            self.published.send_replace(self.median.get());
        }
    }

    /// A trial is not run because it succeeded before.
    pub(super) fn reused(&mut self, place: usize) {
        self.add(place, true);
    }

    /// A trial that had ended waits again.
    pub(super) fn reopened(&mut self, place: usize) {
        match self.ends.remove(&place) {
            Some(true) => self.succeeded -= 1,
            Some(false) => self.failed -= 1,
            None => {}
        }
    }

    /// The median time of the successes, as it changes.
    pub(super) fn median(&self) -> watch::Receiver<Option<Duration>> {
        self.published.subscribe()
    }

    /// The reason to halt the run, of that many trials, if its policy is met.
    pub(super) fn halts(&self, halt: &Halt, trials: usize) -> Option<String> {
        let (succeeded, failed) = (self.succeeded, self.failed);
        halt.reached(succeeded, failed, trials)
            .then(|| format!("the halt policy `{halt}` was reached: {succeeded} succeeded, {failed} failed"))
    }

    fn add(&mut self, place: usize, success: bool) {
        self.reopened(place);
        self.ends.insert(place, success);
        *if success { &mut self.succeeded } else { &mut self.failed } += 1;
    }
}

/// The median of times that come one by one: the smaller half in one heap, the larger in another.
///
/// No time is ever taken back: a trial that succeeded and is run again has still shown how long it takes.
#[derive(Debug, Default)]
struct Median {
    small: BinaryHeap<Duration>,
    large: BinaryHeap<Reverse<Duration>>,
}

impl Median {
    fn add(&mut self, time: Duration) {
        self.small.push(time);
        self.large.extend(self.small.pop().map(Reverse));
        if self.large.len() > self.small.len() {
            self.small.extend(self.large.pop().map(|Reverse(time)| time));
        }
    }

    /// The median, once it is taken from enough of them.
    fn get(&self) -> Option<Duration> {
        let (count, small) = (self.small.len() + self.large.len(), *self.small.peek()?);
        let large = self.large.peek().filter(|_| count.is_multiple_of(2)).map_or(small, |Reverse(large)| *large);
        (count >= Timeout::SAMPLES).then(|| small + (large - small) / 2)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{EndCounts, Median};
    use crate::model::options::Halt;
    use crate::model::outcome::{Exit, Outcome};

    #[test]
    fn the_median_is_known_from_the_third_on() {
        let mut median = Median::default();
        let medians = [9, 1, 5, 7, 7, 100, 2].map(|seconds| {
            median.add(Duration::from_secs(seconds));
            median.get().map(|median| median.as_secs_f64())
        });
        assert_eq!(medians, [None, None, Some(5.0), Some(6.0), Some(7.0), Some(7.0), Some(7.0)]);
    }

    #[test]
    fn a_trial_counts_once_and_not_while_it_waits_again() {
        let (mut counts, halt) = (EndCounts::default(), Halt::parse("now,fail=1").unwrap());
        counts.ended(0, &Outcome::Failed { exit: Exit::Code(1) }, Duration::ZERO);
        assert_eq!(
            counts.halts(&halt, 2).as_deref(),
            Some("the halt policy `now,fail=1` was reached: 0 succeeded, 1 failed")
        );
        counts.reopened(0);
        assert_eq!(counts.halts(&halt, 2), None);
        counts.ended(0, &Outcome::Succeeded, Duration::ZERO);
        counts.ended(1, &Outcome::Killed, Duration::ZERO);
        assert_eq!((counts.halts(&halt, 2), counts.succeeded, counts.failed), (None, 1, 0));
    }
}
