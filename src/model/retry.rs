//! Retries: how often a failed attempt is repeated, and after what delay. Pure: the caller brings the randomness.

use std::time::Duration;

use serde::Serialize;

use crate::model::trial::{optional_seconds, seconds};

/// How often, and after what delay, a failed attempt is repeated.
///
/// The fields follow nextest's `retries = { backoff, count, delay, max-delay, jitter }`.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Retries {
    /// Attempts beyond the first.
    pub count: u32,
    /// Seconds before the first repetition.
    #[serde(skip_serializing_if = "Duration::is_zero", serialize_with = "seconds")]
    pub delay: Duration,
    /// How the delay grows.
    pub backoff: Backoff,
    /// Upper end of the delay, in seconds.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "optional_seconds")]
    pub max_delay: Option<Duration>,
    /// Shorten each delay by a random part of up to a half.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub jitter: bool,
    /// Which ends are followed by another attempt; empty: all failures but running out of memory.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub on: Vec<On>,
    /// How often a trial that its engine lost is started again, counted apart from `count`; absent:
    /// [`Retries::CRASH_LIMIT`]. The word is HyperQueue's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crash_limit: Option<u32>,
    /// What `memory` is multiplied with after a trial ran out of it; absent: it is not started again for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_factor: Option<f64>,
    /// Most bytes that `memory` may grow to; absent: what the run's budget has.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_max: Option<u64>,
}

/// An end that is followed by another attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum On {
    /// It exited with a code that is not 0, a signal ended it, or it was unhealthy or could not be started.
    Failed,
    /// It ran out of its memory.
    Oom,
    /// It ran longer than its timeout.
    Timeout,
    /// Its engine lost it.
    Lost,
    /// It exited with that code, 1 to 255.
    Code(u8),
}

impl On {
    /// The words for all but the codes.
    pub const WORDS: [(&'static str, Self); 4] =
        [("failed", Self::Failed), ("oom", Self::Oom), ("timeout", Self::Timeout), ("lost", Self::Lost)];
}

impl Serialize for On {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Code(code) => serializer.serialize_u8(*code),
            on => {
                let word = Self::WORDS.iter().find(|(_, other)| other == on).map(|(word, _)| *word);
                serializer.serialize_str(word.unwrap_or_default())
            }
        }
    }
}

/// How the delay between attempts grows.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Backoff {
    /// The same delay each time.
    #[default]
    Fixed,
    /// Doubled each time.
    Exponential,
}

impl Retries {
    /// How often a trial that its engine lost is started again, where nobody says it: HyperQueue's default.
    pub const CRASH_LIMIT: u32 = 5;

    /// That many repetitions, at once.
    pub fn count(count: u32) -> Self {
        Self {
            count,
            delay: Duration::ZERO,
            backoff: Backoff::Fixed,
            max_delay: None,
            jitter: false,
            on: Vec::new(),
            crash_limit: None,
            memory_factor: None,
            memory_max: None,
        }
    }

    /// The delay before the attempt that follows `failed` failed ones; `None` when they are used up.
    ///
    /// `chance` is a random number in `0..1`, used for jitter only.
    pub fn delay_after(&self, failed: u32, chance: f64) -> Option<Duration> {
        if failed == 0 || failed > self.count {
            return None;
        }
        let factor = match self.backoff {
            Backoff::Fixed => 1.0,
            Backoff::Exponential => 2f64.powi((failed - 1).min(62) as i32),
        };
        // A century bounds what `Duration` has to hold; nobody waits longer.
        let grown = Duration::from_secs_f64((self.delay.as_secs_f64() * factor).min(3.2e9));
        let capped = self.max_delay.map_or(grown, |max| grown.min(max));
        Some(if self.jitter { capped.mul_f64(1.0 - chance / 2.0) } else { capped })
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Backoff, Retries};

    #[test]
    fn delays_double_up_to_the_maximum_and_end_with_the_count() {
        let retries = Retries {
            delay: Duration::from_secs(1),
            backoff: Backoff::Exponential,
            max_delay: Some(Duration::from_secs(3)),
            ..Retries::count(4)
        };
        let delays: Vec<_> = (0..=5).map(|failed| retries.delay_after(failed, 0.5).map(|d| d.as_secs_f64())).collect();
        assert_eq!(delays, [None, Some(1.0), Some(2.0), Some(3.0), Some(3.0), None]);
    }

    #[test]
    fn jitter_takes_away_at_most_half() {
        let retries = Retries { delay: Duration::from_secs(4), jitter: true, ..Retries::count(1) };
        assert_eq!(retries.delay_after(1, 0.0), Some(Duration::from_secs(4)));
        assert_eq!(retries.delay_after(1, 1.0), Some(Duration::from_secs(2)));
    }
}
