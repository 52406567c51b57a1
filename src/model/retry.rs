//! Retries: what follows the end of an attempt, and after what delay. Pure: the caller brings the randomness.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::model::outcome::Outcome;
use crate::model::span;

/// How often, and after what delay, a failed attempt is repeated.
///
/// The fields follow nextest's `retries = { backoff, count, delay, max-delay, jitter }`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Retries {
    /// Attempts beyond the first.
    pub count: u32,
    /// Seconds before the first repetition.
    #[serde(skip_serializing_if = "Duration::is_zero", default, with = "span")]
    pub delay: Duration,
    /// How the delay grows.
    pub backoff: Backoff,
    /// Upper end of the delay, in seconds.
    #[serde(skip_serializing_if = "Option::is_none", default, with = "span::optional")]
    pub max_delay: Option<Duration>,
    /// Shorten each delay by a random part of up to a half.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub jitter: bool,
    /// Which ends are followed by another attempt; empty: all failures but running out of memory.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub on: Vec<On>,
    /// How often a trial that its engine lost is started again, counted apart from `count`; absent:
    /// [`Retries::CRASH_LIMIT`]. The word is HyperQueue's.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub crash_limit: Option<u32>,
    /// What `memory` is multiplied with after a trial ran out of it; absent: it is not started again for that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub memory_factor: Option<f64>,
    /// Most bytes that `memory` may grow to; absent: what the run has, or else the host.
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

impl<'de> Deserialize<'de> for On {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        #[derive(Deserialize)]
        #[serde(untagged)]
        enum Spelled {
            Code(u8),
            Word(String),
        }
        match Spelled::deserialize(deserializer)? {
            Spelled::Code(code) => Ok(Self::Code(code)),
            Spelled::Word(word) => {
                let known = Self::WORDS.iter().find(|(known, _)| *known == word).map(|(_, on)| *on);
                known.ok_or_else(|| serde::de::Error::custom(format!("`{word}` is no end")))
            }
        }
    }
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
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
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

    /// The delay before a repetition that is the `repeat`th, from 1.
    ///
    /// `chance` is a random number in `0..1`, used for jitter only.
    pub fn delay(&self, repeat: u32, chance: f64) -> Duration {
        let factor = match self.backoff {
            Backoff::Fixed => 1.0,
            Backoff::Exponential => 2f64.powi(repeat.saturating_sub(1).min(62) as i32),
        };
        // A century bounds what `Duration` has to hold; nobody waits longer.
        let grown = Duration::from_secs_f64((self.delay.as_secs_f64() * factor).min(3.2e9));
        let capped = self.max_delay.map_or(grown, |max| grown.min(max));
        if self.jitter { capped.mul_f64(1.0 - chance / 2.0) } else { capped }
    }

    /// Whether `on` names that end, or names none and it is a failure that may pass: one for want of memory would not.
    fn covers(&self, outcome: &Outcome) -> bool {
        if self.on.is_empty() {
            return outcome.is_failure() && *outcome != Outcome::Oom;
        }
        self.on.iter().any(|on| match (on, outcome) {
            (On::Failed, Outcome::Failed { .. } | Outcome::Unhealthy | Outcome::NotStarted { .. })
            | (On::Oom, Outcome::Oom)
            | (On::Timeout, Outcome::TimedOut)
            | (On::Lost, Outcome::Lost { .. }) => true,
            (On::Code(code), Outcome::Failed { exit }) => exit.shell_code() == i32::from(*code),
            _ => false,
        })
    }
}

/// The attempts of a trial that ended badly since it was last asked for, each kind counted apart.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Repeats {
    /// Failed ones; counted against `count`.
    pub failures: u32,
    /// Those that the engine lost; counted against `crash_limit`.
    pub losses: u32,
    /// Those that ran out of memory and were followed by one with more.
    pub rungs: u32,
}

impl Repeats {
    /// Counts one more, which is followed by that.
    pub fn count(&mut self, next: Next) {
        match next {
            Next::Nothing => {}
            Next::AfterFailure => self.failures += 1,
            Next::AfterLoss => self.losses += 1,
            Next::WithMemory(_) => self.rungs += 1,
        }
    }

    /// All of them: what the delay grows with.
    pub fn all(self) -> u32 {
        self.failures + self.losses + self.rungs
    }
}

/// What follows the end of an attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Next {
    /// Nothing: the trial ended as its attempt did.
    Nothing,
    /// Another attempt; this one counts as a failure.
    AfterFailure,
    /// Another attempt; this one counts as a loss.
    AfterLoss,
    /// Another attempt, with that many bytes of memory.
    WithMemory(u64),
}

/// What follows an attempt that ended so, after those of `before`; the attempt had that memory, and `most` is what there
/// is, both in bytes.
pub fn next(retries: &Retries, memory: Option<u64>, outcome: &Outcome, before: Repeats, most: u64) -> Next {
    match (outcome, memory, retries.memory_factor) {
        (Outcome::Oom, Some(memory), Some(factor)) => {
            // A float beyond the largest integer becomes that.
            let more = ((memory as f64 * factor) as u64).min(retries.memory_max.unwrap_or(most));
            if more > memory { Next::WithMemory(more) } else { Next::Nothing }
        }
        _ if !retries.covers(outcome) => Next::Nothing,
        // Nobody has to ask for another attempt after a loss: that a machine went down says nothing against the trial.
        (Outcome::Lost { .. }, ..) => {
            let limit = retries.crash_limit.unwrap_or(Retries::CRASH_LIMIT);
            if before.losses < limit { Next::AfterLoss } else { Next::Nothing }
        }
        _ if before.failures < retries.count => Next::AfterFailure,
        _ => Next::Nothing,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use insta::assert_snapshot;

    use super::{Backoff, Next, On, Repeats, Retries, next};
    use crate::model::outcome::{Exit, Outcome};

    #[test]
    fn delays_double_up_to_the_maximum() {
        let retries = Retries {
            delay: Duration::from_secs(1),
            backoff: Backoff::Exponential,
            max_delay: Some(Duration::from_secs(3)),
            ..Retries::count(4)
        };
        let delays: Vec<_> = (1..=4).map(|repeat| retries.delay(repeat, 0.5).as_secs_f64()).collect();
        assert_eq!(delays, [1.0, 2.0, 3.0, 3.0]);
        assert_eq!(Retries { max_delay: None, ..retries }.delay(u32::MAX, 0.5), Duration::from_secs(3_200_000_000));
    }

    #[test]
    fn jitter_takes_away_at_most_half() {
        let retries = Retries { delay: Duration::from_secs(4), jitter: true, ..Retries::count(1) };
        assert_eq!(retries.delay(1, 0.0), Duration::from_secs(4));
        assert_eq!(retries.delay(1, 1.0), Duration::from_secs(2));
    }

    fn first(retries: Option<Retries>, memory: Option<u64>, outcome: &Outcome) -> Next {
        next(&retries.unwrap_or(Retries::count(0)), memory, outcome, Repeats::default(), 1000)
    }

    fn ends() -> Vec<Outcome> {
        let message = || "gone".to_owned();
        vec![
            Outcome::Failed { exit: Exit::Code(3) },
            Outcome::Failed { exit: Exit::Signal(9) },
            Outcome::Oom,
            Outcome::TimedOut,
            Outcome::Unhealthy,
            Outcome::NotStarted { message: message() },
            Outcome::Lost { message: message() },
            Outcome::Succeeded,
            Outcome::Stopped,
            Outcome::Killed,
            Outcome::Skipped { because: message() },
        ]
    }

    #[test]
    fn what_follows_an_end_is_what_on_says_and_without_it_all_failures_but_oom() {
        let on = |on: &[On]| Some(Retries { on: on.to_vec(), ..Retries::count(1) });
        let columns = [
            None,
            on(&[]),
            on(&[On::Failed]),
            on(&[On::Oom, On::Timeout]),
            on(&[On::Lost]),
            on(&[On::Code(3)]),
            on(&[On::Code(137)]),
        ];
        let mut lines = format!("{:<12}  none  all   fail  o, t  lost  3     137\n", "");
        for outcome in ends() {
            let cells = columns.iter().map(|retries| match first(retries.clone(), None, &outcome) {
                Next::Nothing => "-     ",
                Next::AfterFailure => "again ",
                Next::AfterLoss => "loss  ",
                Next::WithMemory(_) => "more  ",
            });
            lines.push_str(format!("{:<12}  {}", outcome.status(), cells.collect::<String>()).trim_end());
            lines.push('\n');
        }
        assert_snapshot!(lines, @"
                      none  all   fail  o, t  lost  3     137
        failed        -     again again -     -     again -
        failed        -     again again -     -     -     again
        oom           -     -     -     again -     -     -
        timed-out     -     again -     again -     -     -
        unhealthy     -     again again -     -     -     -
        not-started   -     again again -     -     -     -
        lost          loss  loss  -     -     loss  -     -
        succeeded     -     -     -     -     -     -     -
        stopped       -     -     -     -     -     -     -
        killed        -     -     -     -     -     -     -
        skipped       -     -     -     -     -     -     -
        ");
    }

    #[test]
    fn failures_and_losses_are_counted_apart() {
        let [failed, lost] = [Outcome::TimedOut, Outcome::Lost { message: String::new() }];
        let retries = Retries { crash_limit: Some(1), ..Retries::count(2) };
        let after =
            |outcome, failures, losses| next(&retries, None, outcome, Repeats { failures, losses, rungs: 9 }, 0);
        assert_eq!(after(&failed, 1, 7), Next::AfterFailure);
        assert_eq!(after(&failed, 2, 0), Next::Nothing);
        assert_eq!(after(&lost, 7, 0), Next::AfterLoss);
        assert_eq!(after(&lost, 0, 1), Next::Nothing);
        let after = |losses| next(&Retries::count(0), None, &lost, Repeats { losses, ..Repeats::default() }, 0);
        assert_eq!((after(4), after(5)), (Next::AfterLoss, Next::Nothing));
    }

    #[test]
    fn memory_grows_by_its_factor_to_the_top_and_no_further() {
        let ladder = |factor, memory_max| {
            let retries = Some(Retries { memory_factor: Some(factor), memory_max, ..Retries::count(0) });
            let (mut memory, mut rungs) = (100, Vec::new());
            while let Next::WithMemory(more) = first(retries.clone(), Some(memory), &Outcome::Oom) {
                rungs.push(more);
                memory = more;
            }
            (rungs, first(retries, Some(memory), &Outcome::Oom))
        };
        assert_eq!(ladder(2.0, None), (vec![200, 400, 800, 1000], Next::Nothing));
        assert_eq!(ladder(1.5, Some(230)), (vec![150, 225, 230], Next::Nothing));
        assert_eq!(ladder(f64::MAX, Some(u64::MAX)), (vec![u64::MAX], Next::Nothing));
        assert_eq!(ladder(2.0, Some(50)), (vec![], Next::Nothing));
        // Without a limit there is nothing to climb from.
        let retries = Some(Retries { memory_factor: Some(2.0), ..Retries::count(3) });
        assert_eq!(first(retries, None, &Outcome::Oom), Next::Nothing);
    }
}
