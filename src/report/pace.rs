//! The time that a run has left, from the pace of its ends: by the clock, so that starting, stopping and removing count. Pure.

use std::collections::VecDeque;
use std::time::Duration;

/// Ends that say how fast a run is: enough to be steady, and few enough to see that it became slower.
const ENDS: usize = 50;

/// A run's pace, over its last ends.
#[derive(Debug, Default)]
pub(super) struct Pace {
    /// When this life of the run began, then each end: the time, and the trials done by then, with parts of those that ran.
    ends: VecDeque<(u64, f64)>,
    ended: u32,
    /// Milliseconds that the ended trials took of the run, from being handed to their engine on.
    took: f64,
}

/// What is left of a run at one moment.
#[derive(Debug, Clone, Copy)]
pub(super) struct Remaining<'a> {
    /// Trials that have not ended.
    pub(super) trials: usize,
    /// Milliseconds since each of those that run was handed to its engine.
    pub(super) running: &'a [u64],
}

impl Pace {
    /// The run begins, or goes on after a break.
    pub(super) fn begin(&mut self, now: u64) {
        self.ends.clear();
        self.ends.push_back((now, f64::from(self.ended)));
    }

    /// A trial ended that was handed to its engine at `since`; `running` are the ages of the others, in milliseconds.
    pub(super) fn end(&mut self, now: u64, since: u64, running: &[u64]) {
        self.ended += 1;
        self.took += now.saturating_sub(since) as f64;
        self.ends.push_back((now, f64::from(self.ended) + self.parts(running)));
        // Trials that were started together end together: a few rounds of them.
        while self.ends.len() > ENDS.max(running.len() * 4) {
            self.ends.pop_front();
        }
    }

    /// The mean time of a trial, in milliseconds.
    fn mean(&self) -> f64 {
        (self.took / f64::from(self.ended)).max(1.0)
    }

    /// What runs is done in part; a trial that takes longer than the others takes nothing off them.
    fn parts(&self, running: &[u64]) -> f64 {
        running.iter().map(|age| (*age as f64 / self.mean()).min(1.0)).sum()
    }

    /// Everything stood still for so long.
    pub(super) fn stand(&mut self, millis: u64) {
        self.ends.iter_mut().for_each(|(at, _)| *at += millis);
    }

    /// The time that is left; `None` before the first end, and when what is left takes longer than trials do.
    pub(super) fn left(&self, now: u64, remaining: Remaining<'_>) -> Option<Duration> {
        let (from, before) = *self.ends.front()?;
        if self.ended == 0 {
            return None;
        }
        let parts = self.parts(remaining.running);
        let left = remaining.trials as f64 - parts;
        let done = f64::from(self.ended) - before + parts;
        if left <= 0.0 || done <= 0.0 {
            return None;
        }
        let pace = left * now.saturating_sub(from) as f64 / done;
        // Nothing ends sooner than the trial that has just been started.
        let youngest = remaining.running.iter().map(|age| self.mean() - *age as f64).fold(0.0, f64::max);
        Some(Duration::from_secs_f64(pace.max(youngest) / 1000.0))
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Pace, Remaining};

    fn left(pace: &Pace, now: u64, trials: usize, running: &[u64]) -> Option<f64> {
        pace.left(now, Remaining { trials, running }).map(|left| left.as_secs_f64())
    }

    #[test]
    fn what_it_takes_to_start_and_remove_a_trial_counts() {
        let mut pace = Pace::default();
        pace.begin(0);
        assert_eq!(left(&pace, 5_000, 1_001, &[5_000, 5_000]), None);
        // Trials of 0.3 s, of which one ends each 1.1 s.
        for end in 1..=100_u64 {
            pace.end(end * 1_100, (end * 1_100).saturating_sub(2_000), &[1_000]);
        }
        let real = 901.0 * 1.1;
        let said = left(&pace, 110_000, 901, &[900, 0]).unwrap();
        assert!((said - real).abs() < real * 0.05, "{said} for {real}");
    }

    #[test]
    fn the_first_of_a_round_says_no_more_than_the_whole_round() {
        let mut pace = Pace::default();
        pace.begin(0);
        pace.end(50_000, 0, &[50_000; 7]);
        // Seven more are about to end, sixteen follow: two more rounds.
        assert_eq!(left(&pace, 50_000, 23, &[50_000; 7]), Some(100.0));
    }

    #[test]
    fn a_run_that_became_slower_has_more_to_do() {
        let mut pace = Pace::default();
        pace.begin(0);
        (1..=200_u64).for_each(|end| pace.end(end * 1_000, end * 1_000 - 1_000, &[]));
        assert_eq!(left(&pace, 200_000, 100, &[0]).map(f64::round), Some(100.0));
        (1..=60_u64).for_each(|end| pace.end(200_000 + end * 10_000, 200_000 + end * 10_000 - 10_000, &[]));
        assert_eq!(left(&pace, 800_000, 40, &[]).map(f64::round), Some(400.0));
        // And nothing that ends for long is seen, too.
        assert!(left(&pace, 1_600_000, 40, &[800_000]).unwrap() > 800.0);
    }

    #[test]
    fn the_last_trial_takes_as_long_as_it_does() {
        let mut pace = Pace::default();
        pace.begin(0);
        (1..=4_u64).for_each(|_| pace.end(60_000, 0, &[]));
        assert_eq!(left(&pace, 70_000, 1, &[10_000]), Some(50.0));
        assert_eq!(left(&pace, 200_000, 1, &[140_000]), None);
    }

    #[test]
    fn a_pause_and_the_time_between_two_lives_are_nobodys() {
        let mut pace = Pace::default();
        pace.begin(0);
        (1..=10_u64).for_each(|end| pace.end(end * 1_000, end * 1_000 - 1_000, &[]));
        pace.stand(3_600_000);
        assert_eq!(left(&pace, 3_610_000, 10, &[]), Some(10.0));
        pace.begin(9_000_000);
        pace.end(9_001_000, 9_000_000, &[]);
        assert_eq!(left(&pace, 9_001_000, 9, &[]), Some(9.0));
        assert_eq!(pace.left(9_001_000, Remaining { trials: 0, running: &[] }), None::<Duration>);
    }
}
