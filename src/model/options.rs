//! Run options: what a spec's top level, a script's `run()` and the command line can say about a run.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::budget::{Load, Reserve};
use crate::model::destination::Destination;
use crate::model::name::EngineName;
use crate::model::retry::Retries;
use crate::model::trial::{Pull, Timeout, span};

/// Options of a run; everything absent means the default.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Options {
    /// How many trials run at once.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub parallel: Option<Parallel>,
    /// For trials that do not say it themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub retries: Option<Retries>,
    /// Longest an attempt may run, for trials that do not say it themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub timeout: Option<Timeout>,
    /// When a trial is announced as slow; absent: after three quarters of its timeout.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub slow: Option<Timeout>,
    /// Longest the whole run may take, in seconds; then it is halted.
    #[serde(skip_serializing_if = "Option::is_none", default, with = "span::optional")]
    pub time_budget: Option<Duration>,
    /// Seconds between stop signal and kill, for trials that do not say it themselves.
    #[serde(skip_serializing_if = "Option::is_none", default, with = "span::optional")]
    pub stop_grace: Option<Duration>,
    /// When the run ends early.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub halt: Option<Halt>,
    /// For trials that do not say it themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pull: Option<Pull>,
    /// For trials that do not say it themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub engine: Option<EngineName>,
    /// Which containers are removed once they ended and their logs are safe.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rm: Option<Remove>,
    /// Seed of the run, from which every trial's `COMBU_SEED` is derived.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seed: Option<u64>,
    /// CPUs the run may use; absent: those of the engine's host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cpus: Option<f64>,
    /// Bytes of memory the run may use; absent: those of the engine's host.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory: Option<u64>,
    /// Ids of the GPUs the run may use; absent: those found on the engine's host that nobody else uses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gpus: Option<Vec<String>>,
    /// What of the host is left to the people at the machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub reserve: Option<Reserve>,
    /// Named limits: name -> how much the trials that run may take of it together.
    #[serde(skip_serializing_if = "BTreeMap::is_empty", default)]
    pub limits: BTreeMap<String, u32>,
    /// The load above which nothing new is started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub load: Option<Load>,
    /// Free memory in bytes below which nothing new is started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memfree: Option<u64>,
    /// Share of the time, in percent, in which something waits for CPU, memory or disk (the kernel's pressure-stall
    /// information over 10 s) above which nothing new is started.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pressure: Option<f64>,
    /// `nice` of trials that do not say it themselves.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub nice: Option<u8>,
    /// Where the outputs of trials are sent, beside being kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outputs_to: Option<Destination>,
}

impl Options {
    /// These options where they say something, else those of `below`.
    pub fn over(self, below: Self) -> Self {
        let mut limits = below.limits;
        limits.extend(self.limits);
        Self {
            parallel: self.parallel.or(below.parallel),
            retries: self.retries.or(below.retries),
            timeout: self.timeout.or(below.timeout),
            stop_grace: self.stop_grace.or(below.stop_grace),
            halt: self.halt.or(below.halt),
            pull: self.pull.or(below.pull),
            engine: self.engine.or(below.engine),
            rm: self.rm.or(below.rm),
            seed: self.seed.or(below.seed),
            slow: self.slow.or(below.slow),
            time_budget: self.time_budget.or(below.time_budget),
            cpus: self.cpus.or(below.cpus),
            memory: self.memory.or(below.memory),
            gpus: self.gpus.or(below.gpus),
            reserve: self.reserve.or(below.reserve),
            limits,
            load: self.load.or(below.load),
            memfree: self.memfree.or(below.memfree),
            pressure: self.pressure.or(below.pressure),
            nice: self.nice.or(below.nice),
            outputs_to: self.outputs_to.or(below.outputs_to),
        }
    }
}

/// How many trials run at once, in GNU parallel's words for `-j`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Parallel {
    /// Exactly that many.
    Count(usize),
    /// That part of the host's CPUs, in percent.
    Percent(f64),
    /// The host's CPUs less that many.
    AllBut(usize),
}

impl Parallel {
    /// Reads `4`, `50%` or `-1`.
    ///
    /// # Errors
    /// A sentence that says what is accepted.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("`{text}` is not a number of trials: write `4`, `50%` (of the host's CPUs) or `-1` (all but one)")
        };
        let text = text.trim();
        if let Some(percent) = text.strip_suffix('%') {
            let percent: f64 = percent.trim().parse().map_err(|_| wrong())?;
            return if percent > 0.0 && percent.is_finite() { Ok(Self::Percent(percent)) } else { Err(wrong()) };
        }
        let number: i64 = text.parse().map_err(|_| wrong())?;
        match number {
            0 => Err(wrong()),
            1.. => Ok(Self::Count(number as usize)),
            _ => Ok(Self::AllBut(number.unsigned_abs() as usize)),
        }
    }

    /// The number on a host of `cpus` CPUs: at least one.
    pub fn on(self, cpus: f64) -> usize {
        match self {
            Self::Count(count) => count.max(1),
            Self::Percent(percent) => ((cpus * percent / 100.0).floor() as usize).max(1),
            Self::AllBut(count) => (cpus.floor() as usize).saturating_sub(count).max(1),
        }
    }
}

impl fmt::Display for Parallel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Count(count) => write!(f, "{count}"),
            Self::Percent(percent) => write!(f, "{percent}%"),
            Self::AllBut(count) => write!(f, "-{count}"),
        }
    }
}

impl<'de> Deserialize<'de> for Parallel {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        Self::parse(&String::deserialize(deserializer)?).map_err(serde::de::Error::custom)
    }
}

impl Serialize for Parallel {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

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

/// Which containers are removed once they ended and their logs are safe.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Remove {
    /// Those of trials that succeeded; the others stay until `kill`.
    #[default]
    Success,
    /// All of them.
    Always,
    /// None: all stay until `kill`.
    Never,
}

impl Remove {
    /// Every policy, in the order of the manual.
    pub const ALL: [Self; 3] = [Self::Success, Self::Always, Self::Never];

    /// The word in specs and options.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Success => "success",
            Self::Always => "always",
            Self::Never => "never",
        }
    }

    /// The policy a word names, if any.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|remove| remove.as_str() == word)
    }
}

#[cfg(test)]
mod tests {
    use super::{Halt, Parallel};

    #[test]
    fn parallel_reads_gnu_parallels_forms() {
        let on_8 = |text| Parallel::parse(text).map(|parallel| parallel.on(8.0));
        assert_eq!(on_8("3"), Ok(3));
        assert_eq!(on_8("50%"), Ok(4));
        assert_eq!(on_8("-1"), Ok(7));
        assert_eq!(on_8("-100"), Ok(1));
        assert_eq!(on_8("1%"), Ok(1));
        for wrong in ["", "0", "x", "-0%", "0%", "1.5"] {
            assert!(Parallel::parse(wrong).is_err(), "{wrong}");
        }
    }

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
