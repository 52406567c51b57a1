//! A bound on a metric: `loss < 0.01`.

use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::model::written::written_as_text;

/// A condition on a metric: that it is less or greater than a number.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Bound {
    /// The name of the metric.
    pub metric: Arc<str>,
    /// How the metric compares with the limit.
    pub relation: Relation,
    /// The number that it is compared with.
    pub limit: f64,
}

/// How a metric compares with a number.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Relation {
    /// `<`
    Less,
    /// `<=`
    AtMost,
    /// `>`
    Greater,
    /// `>=`
    AtLeast,
}

impl Relation {
    /// Every relation; the longer sign before the shorter one that begins like it.
    const ALL: [Self; 4] = [Self::AtMost, Self::AtLeast, Self::Less, Self::Greater];

    fn sign(self) -> &'static str {
        match self {
            Self::Less => "<",
            Self::AtMost => "<=",
            Self::Greater => ">",
            Self::AtLeast => ">=",
        }
    }
}

impl Bound {
    /// Reads `loss < 0.01`; the name may stand behind `metrics.`, as in `--where`.
    ///
    /// # Errors
    /// A sentence with the forms.
    pub fn parse(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is no condition: write the name of a metric, `<`, `<=`, `>` or `>=`, and a number: `loss < 0.01`"
            )
        };
        let found = Relation::ALL.into_iter().find_map(|relation| Some((text.split_once(relation.sign())?, relation)));
        let ((metric, limit), relation) = found.ok_or_else(wrong)?;
        let limit: f64 = limit.trim().parse().map_err(|_| wrong())?;
        let metric = metric.trim().trim_start_matches("metrics.");
        if metric.is_empty() || metric.contains(char::is_whitespace) || !limit.is_finite() {
            return Err(wrong());
        }
        Ok(Self { metric: metric.into(), relation, limit })
    }

    /// Whether a value of the metric meets it; one that is no number meets none.
    pub fn holds(&self, value: f64) -> bool {
        match self.relation {
            Relation::Less => value < self.limit,
            Relation::AtMost => value <= self.limit,
            Relation::Greater => value > self.limit,
            Relation::AtLeast => value >= self.limit,
        }
    }
}

impl fmt::Display for Bound {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {} {}", self.metric, self.relation.sign(), self.limit)
    }
}

written_as_text!(Bound, String);

#[cfg(test)]
mod tests {
    use super::Bound;

    #[test]
    fn a_bound_reads_back_from_its_text() {
        for text in ["loss < 0.01", "eval/acc >= 3", "t <= -1.5", "x > 100"] {
            assert_eq!(Bound::parse(text).unwrap().to_string(), text);
        }
        let bound = Bound::parse("metrics.loss<=2").unwrap();
        assert!(bound.holds(2.0) && !bound.holds(2.1) && !bound.holds(f64::NAN));
        for wrong in ["", "soon", "loss <", "< 3", "loss = 3", "a b < 3", "loss < inf"] {
            assert!(Bound::parse(wrong).is_err(), "{wrong}");
        }
    }
}
