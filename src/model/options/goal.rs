//! What a run is to find: the trial with the least or the greatest value of a metric.

use std::cmp::Ordering;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::written::written_as_text;

/// The metric that says how good a trial is, and which way: `min loss`, `max acc`, `min best(loss)`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Goal {
    /// Which value is better.
    pub sense: Sense,
    /// The name of the metric.
    pub metric: Arc<str>,
    /// Whether its best value over all steps counts, and not its last.
    pub over_all: bool,
}

/// Which of two values is better.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sense {
    /// The smaller one.
    Min,
    /// The greater one.
    Max,
}

impl Sense {
    /// A value of which the smaller is better, and from that the value again.
    pub fn ascending(self, value: f64) -> f64 {
        match self {
            Self::Min => value,
            Self::Max => -value,
        }
    }
}

impl Goal {
    /// Reads `min loss`, `max acc` or `min best(loss)`.
    ///
    /// # Errors
    /// A sentence with the forms.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!("`{text}` is no goal: write `min loss`, `max acc`, or `min best(loss)` for the best of all steps")
        };
        let (sense, metric) = text.trim().split_once(char::is_whitespace).ok_or_else(wrong)?;
        let sense = match sense {
            "min" => Sense::Min,
            "max" => Sense::Max,
            _ => return Err(wrong()),
        };
        let metric = metric.trim();
        let best = metric.strip_prefix("best(").and_then(|rest| rest.strip_suffix(')')).map(str::trim);
        let name = best.unwrap_or(metric);
        if name.is_empty() || name.contains(char::is_whitespace) {
            return Err(wrong());
        }
        Ok(Self { sense, metric: name.into(), over_all: best.is_some() })
    }

    /// Orders two values, the better one first.
    pub fn order(&self, one: f64, other: f64) -> Ordering {
        match self.sense {
            Sense::Min => one.total_cmp(&other),
            Sense::Max => other.total_cmp(&one),
        }
    }
}

impl fmt::Display for Goal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let sense = match self.sense {
            Sense::Min => "min",
            Sense::Max => "max",
        };
        if self.over_all { write!(f, "{sense} best({})", self.metric) } else { write!(f, "{sense} {}", self.metric) }
    }
}

written_as_text!(Goal, String);

#[cfg(test)]
mod tests {
    use super::{Goal, Sense};

    #[test]
    fn a_goal_reads_back_from_its_text() {
        for text in ["min loss", "max eval/acc", "min best(loss)"] {
            assert_eq!(Goal::parse(text).unwrap().to_string(), text);
        }
        let goal = Goal::parse(" max  best( acc ) ").unwrap();
        assert_eq!((goal.sense, &*goal.metric, goal.over_all), (Sense::Max, "acc", true));
        for wrong in ["", "loss", "min", "least loss", "min a b", "min best()"] {
            assert!(Goal::parse(wrong).is_err(), "{wrong}");
        }
    }
}
