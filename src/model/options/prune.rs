//! A rule that ends trials early which are not worth going on with: `asha(from=1, keep=3)`, `median`, `loss > 10`.

use std::fmt;

use serde::{Deserialize, Serialize};

use crate::model::options::bound::Bound;
use crate::model::size::size;
use crate::model::suggest::did_you_mean;
use crate::model::written::written_as_text;

/// A rule that ends trials early. All but [`Prune::Beyond`] go by the run's goal.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Prune {
    /// Successive halving without waiting (ASHA; Li et al. 2018, in the form that stops): at the steps `from`,
    /// `from * keep`, `from * keep^2` and so on, only the best of `keep` trials that came so far goes on.
    Asha {
        /// The first step at which trials are compared, from 1.
        from: u64,
        /// One of how many goes on, from 2.
        keep: u64,
        /// From this step on nothing is compared any more.
        most: Option<u64>,
        /// Whether losers are paused, and go on when they are among the best of more that came.
        pause: Option<AshaPause>,
    },
    /// The median rule of Vizier (Golovin et al. 2017): a trial ends whose best value so far is worse than the median of what
    /// the others had told on average until the same step.
    Median {
        /// Before that step no trial ends.
        grace: u64,
        /// How many others must have come as far.
        least: usize,
    },
    /// A trial ends whose value has not become better for some time.
    Plateau {
        /// For how many values.
        steps: u64,
        /// By how much it must become better to count.
        by: f64,
    },
    /// A trial ends when it tells a value beyond a bound: `loss > 10`.
    Beyond(Bound),
}

/// How losers are paused.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AshaPause {
    /// Most bytes of memory that they may keep together; absent: whatever they have.
    pub hold: Option<u64>,
}

/// The rules with a name of their own, with their settings.
const NAMED: [(&str, &[&str]); 3] = [
    ("asha", &["from", "keep", "most", "pause", "hold"]),
    ("median", &["grace", "least"]),
    ("plateau", &["steps", "by"]),
];

impl Prune {
    /// Reads `asha(from=1, keep=3)`, `median(grace=5, least=3)`, `plateau(steps=10, by=0.001)` or `loss > 10`; what is not said
    /// has the values shown here (`by=0`).
    ///
    /// # Errors
    /// A sentence with the forms.
    pub fn parse(text: &str) -> Result<Self, String> {
        let text = text.trim();
        if text.contains(['<', '>']) {
            return Bound::parse(text).map(Self::Beyond);
        }
        let (name, inside) = match text.split_once('(') {
            Some((name, rest)) => (name.trim(), rest.strip_suffix(')').ok_or_else(|| wrong(text))?),
            None => (text, ""),
        };
        let Some((name, known)) = NAMED.into_iter().find(|(known, _)| *known == name) else {
            let hint = did_you_mean(name, NAMED.map(|(name, _)| name)).map(|hint| format!("; {hint}"));
            return Err(format!("{}{}", wrong(text), hint.unwrap_or_default()));
        };
        let mut settings = RuleSettings(Vec::new());
        for setting in inside.split(',').map(str::trim).filter(|setting| !setting.is_empty()) {
            let (key, value) = setting.split_once(['=', ':']).ok_or_else(|| wrong(text))?;
            let (key, value) = (key.trim(), value.trim());
            if !known.contains(&key) {
                let hint = did_you_mean(key, known.iter().copied());
                return Err(format!(
                    "`{name}` has no setting `{key}`: {}",
                    hint.unwrap_or_else(|| format!("there are {}", known.join(", ")))
                ));
            }
            settings.0.push((key, value));
        }
        settings.rule(name)
    }

    /// Whether it goes by the run's goal.
    pub fn needs_goal(&self) -> bool {
        !matches!(self, Self::Beyond(_))
    }
}

fn wrong(text: &str) -> String {
    format!(
        "`{text}` is no rule to end trials by: write `asha(from=1, keep=3)`, `median(grace=5, least=3)`, \
         `plateau(steps=10, by=0.001)`, or a bound such as `loss > 10`"
    )
}

/// The settings of a rule, as they are written.
struct RuleSettings<'a>(Vec<(&'a str, &'a str)>);

impl RuleSettings<'_> {
    fn rule(&self, name: &str) -> Result<Prune, String> {
        match name {
            "asha" => {
                let (from, keep) = (self.whole("from", 1, 1)?, self.whole("keep", 2, 3)?);
                let most = if self.get("most").is_some() { Some(self.whole("most", 1, 1)?) } else { None };
                let hold = self.get("hold").map(size).transpose()?;
                let pause = match self.get("pause") {
                    Some("true") => Some(AshaPause { hold }),
                    None | Some("false") if hold.is_none() => None,
                    None | Some("false") => return Err("`hold` goes with `pause=true`".to_owned()),
                    Some(other) => return Err(format!("`pause={other}` is not `true` or `false`")),
                };
                Ok(Prune::Asha { from, keep, most, pause })
            }
            "median" => {
                let least = usize::try_from(self.whole("least", 1, 3)?).unwrap_or(usize::MAX);
                Ok(Prune::Median { grace: self.whole("grace", 0, 5)?, least })
            }
            _ => {
                let by = self.get("by").map_or(Ok(0.0), |text| {
                    let number = text.parse::<f64>().ok().filter(|number| *number >= 0.0 && number.is_finite());
                    number.ok_or_else(|| format!("`by={text}` is not a number from 0 on"))
                })?;
                Ok(Prune::Plateau { steps: self.whole("steps", 1, 10)?, by })
            }
        }
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().rev().find(|(known, _)| *known == key).map(|(_, value)| *value)
    }

    fn whole(&self, key: &str, least: u64, usual: u64) -> Result<u64, String> {
        let Some(text) = self.get(key) else { return Ok(usual) };
        let number = text.parse().ok().filter(|number| *number >= least);
        number.ok_or_else(|| format!("`{key}={text}` is not a whole number from {least} on"))
    }
}

impl fmt::Display for Prune {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Asha { from, keep, most, pause } => {
                write!(f, "asha(from={from}, keep={keep}")?;
                most.map_or(Ok(()), |most| write!(f, ", most={most}"))?;
                pause.map_or(Ok(()), |_| f.write_str(", pause=true"))?;
                let hold = pause.and_then(|pause| pause.hold);
                hold.map_or(Ok(()), |hold| write!(f, ", hold={hold}"))?;
                f.write_str(")")
            }
            Self::Median { grace, least } => write!(f, "median(grace={grace}, least={least})"),
            Self::Plateau { steps, by } => write!(f, "plateau(steps={steps}, by={by})"),
            Self::Beyond(bound) => bound.fmt(f),
        }
    }
}

written_as_text!(Prune, String);

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::Prune;

    #[test]
    fn a_rule_reads_back_from_its_text() {
        for text in [
            "asha(from=1, keep=3)",
            "asha(from=2, keep=4, most=81)",
            "asha(from=2, keep=4, pause=true)",
            "asha(from=2, keep=4, most=81, pause=true, hold=8589934592)",
            "median(grace=5, least=3)",
            "plateau(steps=10, by=0.001)",
            "loss > 10",
        ] {
            assert_eq!(Prune::parse(text).unwrap().to_string(), text);
        }
        assert_eq!(Prune::parse(" asha "), Prune::parse("asha(keep: 3)"));
        assert_eq!(Prune::parse("plateau()").unwrap().to_string(), "plateau(steps=10, by=0)");
    }

    #[test]
    fn what_is_no_rule_is_told_with_the_forms() {
        let all = [
            "ahsa",
            "asha(form=1)",
            "asha(keep=1)",
            "median(grace=x)",
            "plateau(by=-1)",
            "asha(",
            "asha(3)",
            "loss > x",
            "",
        ];
        assert_snapshot!(all.map(|text| Prune::parse(text).unwrap_err()).join("\n"), @"
        `ahsa` is no rule to end trials by: write `asha(from=1, keep=3)`, `median(grace=5, least=3)`, `plateau(steps=10, by=0.001)`, or a bound such as `loss > 10`; did you mean `asha`?
        `asha` has no setting `form`: did you mean `from`?
        `keep=1` is not a whole number from 2 on
        `grace=x` is not a whole number from 0 on
        `by=-1` is not a number from 0 on
        `asha(` is no rule to end trials by: write `asha(from=1, keep=3)`, `median(grace=5, least=3)`, `plateau(steps=10, by=0.001)`, or a bound such as `loss > 10`
        `asha(3)` is no rule to end trials by: write `asha(from=1, keep=3)`, `median(grace=5, least=3)`, `plateau(steps=10, by=0.001)`, or a bound such as `loss > 10`
        `loss > x` is no condition: write the name of a metric, `<`, `<=`, `>` or `>=`, and a number: `loss < 0.01`
        `` is no rule to end trials by: write `asha(from=1, keep=3)`, `median(grace=5, least=3)`, `plateau(steps=10, by=0.001)`, or a bound such as `loss > 10`
        ");
    }
}
