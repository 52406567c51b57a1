//! A timeout: a time, or a share of what the others took. Pure: the caller brings the median.

use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::model::span;

/// Longest time something may take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Timeout {
    /// That long.
    After(Duration),
    /// That share, in percent, of the median time of the run's successes so far: GNU parallel's `--timeout 300%`.
    OfMedian(f64),
}

impl Timeout {
    /// Successes that a median is taken from at least; before, a share of it is no limit yet.
    pub const SAMPLES: usize = 3;

    /// The time it allows, given the median of the successes so far; `None`: no limit yet.
    pub fn limit(self, median: Option<Duration>) -> Option<Duration> {
        match self {
            Self::After(span) => Some(span),
            // A century bounds what `Duration` has to hold; nobody waits longer.
            Self::OfMedian(percent) => {
                median.map(|median| Duration::from_secs_f64((median.as_secs_f64() * percent / 100.0).min(3.2e9)))
            }
        }
    }

    /// When a trial with this timeout is announced as slow, where nobody says it: at three quarters of it.
    pub fn slow(self) -> Self {
        match self {
            Self::After(span) => Self::After(span.mul_f64(0.75)),
            Self::OfMedian(percent) => Self::OfMedian(percent * 0.75),
        }
    }
}

impl fmt::Display for Timeout {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::After(span) => write!(f, "{span:?}"),
            Self::OfMedian(percent) => write!(f, "{percent}% of the median"),
        }
    }
}

/// Seconds, or `"300%"`: both read back as they were.
impl Serialize for Timeout {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::After(span) => span::serialize(span, serializer),
            Self::OfMedian(percent) => serializer.collect_str(&format_args!("{percent}%")),
        }
    }
}

impl<'de> Deserialize<'de> for Timeout {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum SpelledTimeout {
            After(#[serde(with = "span")] Duration),
            Share(String),
        }
        match SpelledTimeout::deserialize(deserializer)? {
            SpelledTimeout::After(span) => Ok(Self::After(span)),
            SpelledTimeout::Share(text) => {
                let percent = text.strip_suffix('%').and_then(|percent| percent.parse().ok());
                percent.map(Self::OfMedian).ok_or_else(|| serde::de::Error::custom(format!("`{text}` is no share")))
            }
        }
    }
}
