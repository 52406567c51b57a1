//! Halt policies: when a run ends early.

use std::fmt;

use serde::{Deserialize, Serialize};

/// When a run ends early: GNU parallel's `--halt`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Halt {
    /// What happens to the trials that are running then.
    pub when: When,
    /// What is counted.
    pub what: What,
    /// How many, or what share.
    pub limit: Limit,
}

/// What happens to running trials at a halt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// They are stopped.
    Now,
    /// They may end; nothing new starts.
    Soon,
}

/// Which ends a halt counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum What {
    /// Failed trials.
    Fail,
    /// Succeeded trials.
    Success,
    /// Both.
    Done,
}

/// The number a halt counts to.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Limit {
    /// That many trials.
    Count(usize),
    /// That share of the run's trials, in percent; counted from the third end on, as GNU parallel does.
    Percent(f64),
}

impl Halt {
    /// Reads `now,fail=1`, `soon,fail=10%`, `now,success=1`, `soon,done=50`.
    ///
    /// # Errors
    /// A sentence that says what is accepted.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is not a halt policy: write `now` or `soon`, a comma, and `fail`, `success` or `done` with `=N` or `=N%`, such as `soon,fail=10%`"
            )
        };
        let (when, rest) = text.split_once(',').ok_or_else(wrong)?;
        let when = match when.trim() {
            "now" => When::Now,
            "soon" => When::Soon,
            _ => return Err(wrong()),
        };
        let (what, limit) = rest.split_once('=').ok_or_else(wrong)?;
        let what = match what.trim() {
            "fail" => What::Fail,
            "success" => What::Success,
            "done" => What::Done,
            _ => return Err(wrong()),
        };
        let limit = limit.trim();
        let limit = match limit.strip_suffix('%') {
            Some(percent) => match percent.parse() {
                Ok(percent) if percent > 0.0 && percent <= 100.0 => Limit::Percent(percent),
                _ => return Err(wrong()),
            },
            None => match limit.parse() {
                Ok(count) if count > 0 => Limit::Count(count),
                _ => return Err(wrong()),
            },
        };
        Ok(Self { when, what, limit })
    }

    /// Whether the run halts, of `total` trials, with so many ended so far.
    pub fn reached(&self, succeeded: usize, failed: usize, total: usize) -> bool {
        let count = match self.what {
            What::Fail => failed,
            What::Success => succeeded,
            What::Done => succeeded + failed,
        };
        match self.limit {
            Limit::Count(limit) => count >= limit,
            Limit::Percent(percent) => {
                succeeded + failed >= 3.min(total) && count > 0 && count as f64 * 100.0 >= percent * total as f64
            }
        }
    }
}

impl fmt::Display for Halt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let when = match self.when {
            When::Now => "now",
            When::Soon => "soon",
        };
        let what = match self.what {
            What::Fail => "fail",
            What::Success => "success",
            What::Done => "done",
        };
        match self.limit {
            Limit::Count(count) => write!(f, "{when},{what}={count}"),
            Limit::Percent(percent) => write!(f, "{when},{what}={percent}%"),
        }
    }
}

impl<'de> Deserialize<'de> for Halt {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl Serialize for Halt {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

#[cfg(test)]
mod tests {
    use super::Halt;

    #[test]
    fn halt_reads_gnu_parallels_grammar_and_prints_it_back() {
        for text in ["now,fail=1", "soon,fail=10%", "now,success=1", "soon,done=50"] {
            assert_eq!(Halt::parse(text).map(|halt| halt.to_string()), Ok(text.to_owned()));
        }
        for wrong in ["", "now", "now,fail", "later,fail=1", "now,fail=0", "now,fail=101%", "now,lost=1"] {
            assert!(Halt::parse(wrong).is_err(), "{wrong}");
        }
    }

    #[test]
    fn a_halt_by_percent_waits_for_three_ends() {
        let halt = Halt::parse("soon,fail=10%").unwrap();
        assert!(!halt.reached(0, 1, 10));
        assert!(halt.reached(2, 1, 10));
        assert!(!halt.reached(9, 0, 10));
        assert!(Halt::parse("now,fail=2").unwrap().reached(0, 2, 100));
    }
}
