//! Pruning: which trials of a run are not worth going on with, by its rules. A fold over the run's events, so that whoever goes
//! on with the run comes to the same judgements.

mod asha;
mod curve;
mod median;
mod verdict;

use std::collections::HashMap;

use crate::model::event::{Fact, Record};
use crate::model::name::Name;
use crate::model::options::{Bound, Goal, Options, Prune};
use crate::model::pruning::asha::Rungs;
use crate::model::pruning::curve::Curve;

pub(crate) use verdict::PruneVerdict;

/// What the rules of a run know of its trials.
#[derive(Debug, Clone, Default)]
pub(crate) struct Pruning {
    goal: Option<Goal>,
    rules: Vec<Prune>,
    rungs: Vec<Rungs>,
    /// What the trials have told of the goal's metric.
    curves: HashMap<Name, Curve>,
}

impl Pruning {
    /// The rules that a run is given.
    pub(crate) fn new(options: &Options) -> Self {
        let rungs = options.prune.iter().filter_map(|rule| match rule {
            Prune::Asha { from, keep, most, pause } => Some(Rungs::new(*from, *keep, *most, *pause)),
            _ => None,
        });
        Self { goal: options.goal.clone(), rungs: rungs.collect(), rules: options.prune.clone(), ..Self::default() }
    }

    /// Takes one more fact into account; what the rules make of which trials now.
    pub(crate) fn add(&mut self, fact: &Fact) -> Vec<(Name, PruneVerdict)> {
        if self.rules.is_empty() {
            return Vec::new();
        }
        match fact {
            Fact::AttemptStarting { trial, .. } => {
                self.curves.insert(trial.clone(), Curve::default());
                self.rungs.iter_mut().for_each(|rungs| rungs.begin(trial));
                Vec::new()
            }
            Fact::TrialUnpaused { trial } | Fact::AttemptEnded { trial, .. } => {
                self.rungs.iter_mut().for_each(|rungs| rungs.goes_on(trial));
                Vec::new()
            }
            // It tells everything again, which was judged.
            Fact::AttemptAdopted { trial, .. } => {
                self.curves.entry(trial.clone()).or_default().again();
                Vec::new()
            }
            Fact::Recorded { trial, record: Record::Metric { name, value, step }, .. } => {
                self.told(trial, name, *value, *step)
            }
            _ => Vec::new(),
        }
    }

    fn told(&mut self, trial: &Name, metric: &str, value: f64, step: Option<u64>) -> Vec<(Name, PruneVerdict)> {
        let ends = |because| vec![(trial.clone(), PruneVerdict::Prune(because))];
        if let Some(bound) = self.beyond(metric, value) {
            return ends(format!("it told {metric} {value}, and `{bound}` ends a trial"));
        }
        let Some(goal) = self.goal.as_ref().filter(|goal| &*goal.metric == metric) else { return Vec::new() };
        let curve = self.curves.entry(trial.clone()).or_default();
        let Some(point) = curve.add(value, step, goal) else { return Vec::new() };
        let mut verdicts = Vec::new();
        for rungs in &mut self.rungs {
            verdicts.extend(rungs.judge(trial, goal, point));
        }
        if verdicts.iter().any(|(judged, _)| judged == trial) {
            return verdicts;
        }
        for rule in &self.rules {
            let because = match rule {
                Prune::Median { grace, least } if point.step >= *grace => {
                    median::judge((trial, &point), goal, *least, &self.curves)
                }
                Prune::Plateau { steps, by } => {
                    let stands = self.curves.get(trial).is_some_and(|curve| curve.stands(*steps, *by));
                    stands.then(|| format!("its {metric} has not become better for {steps} values"))
                }
                _ => None,
            };
            if let Some(because) = because {
                verdicts.extend(ends(because));
                break;
            }
        }
        verdicts
    }

    fn beyond(&self, metric: &str, value: f64) -> Option<&Bound> {
        let bounds = self.rules.iter().filter_map(|rule| match rule {
            Prune::Beyond(bound) => Some(bound),
            _ => None,
        });
        bounds.into_iter().find(|bound| &*bound.metric == metric && bound.holds(value))
    }
}
